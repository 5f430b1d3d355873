"""A small netlink reader: dumps and single questions, as bytes (RFC 3549, include/uapi/linux/netlink.h).

Only questions are asked. An answer is handed on as the kernel gave it, message headers included, so that
reading and decoding stay apart: ``messages`` and ``attributes`` walk it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from struct import Struct
from typing import Self

NETLINK_ROUTE = 0
NETLINK_SOCK_DIAG = 4
NETLINK_XFRM = 6
NETLINK_NETFILTER = 12
NETLINK_GENERIC = 16

NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_REQUEST = 0x1
NLM_F_DUMP = 0x300
NLM_F_DUMP_INTR = 0x10
NLM_F_CAPPED = 0x100
NLM_F_ACK_TLVS = 0x200

SOL_NETLINK = 270
NETLINK_EXT_ACK = 11
NLMSGERR_ATTR_MSG = 1

RECEIVE = 1 << 20
"""Bytes of one receive buffer: far above the 32 KiB the kernel packs into one answer."""
ATTEMPTS = 5
"""How often an interrupted dump is taken again."""

HEADER = Struct("=IHHII")
ATTRIBUTE = Struct("=HH")
ERRNO = Struct("=i")


class NetlinkError(OSError):
    """The kernel refused a question: errno, and its own words where it gave some (extended ack)."""


class MalformedError(ValueError):
    """A message whose lengths contradict each other."""


class InterruptedDumpError(Exception):
    """A dump that changed under the reader every time; ``data`` is the last answer."""

    def __init__(self, data: bytes) -> None:
        super().__init__(f"changed while it was read, {ATTEMPTS} times")
        self.data = data


class LongDumpError(Exception):
    """A dump of more messages than were wanted; ``data`` is what came of it."""

    def __init__(self, data: bytes) -> None:
        super().__init__("longer than wanted")
        self.data = data


class Netlink:
    """One netlink socket in the network namespace of the calling thread."""

    def __init__(self, protocol: int, buffer: bytearray) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        self._buffer = buffer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def dump(self, kind: int, body: bytes, most: int | None = None) -> bytes:
        """Every message of a dump. Raises NetlinkError, InterruptedDumpError, MalformedError.

        Where it has more than ``most`` messages, it raises LongDumpError, and the socket is of no use any more.
        """
        request = HEADER.pack(16 + len(body), kind, NLM_F_REQUEST | NLM_F_DUMP, 1, 0) + body
        data = b""
        for _ in range(ATTEMPTS):
            self._socket.send(request)
            data, interrupted = self._answer(most=most)
            if not interrupted:
                return data
        raise InterruptedDumpError(data)

    def ask(self, kind: int, body: bytes) -> bytes:
        """The one message that answers a question. Raises NetlinkError, MalformedError."""
        self._socket.send(HEADER.pack(16 + len(body), kind, NLM_F_REQUEST, 1, 0) + body)
        return self._answer(single=True)[0]

    def _answer(self, single: bool = False, most: int | None = None) -> tuple[bytes, bool]:
        buffer = self._buffer
        view = memoryview(buffer)
        header = HEADER.unpack_from
        chunks: list[bytes] = []
        interrupted = count = 0
        while True:
            size = self._socket.recv_into(buffer, 0, socket.MSG_TRUNC)
            if size > len(buffer):
                raise MalformedError(f"an answer of {size} bytes")
            done = single
            offset = 0
            while offset + 16 <= size:
                length, kind, flags, _, _ = header(buffer, offset)
                if length < 16 or offset + length > size:
                    raise MalformedError(f"a message of {length} bytes in {size - offset}")
                interrupted |= flags & NLM_F_DUMP_INTR
                if kind in (NLMSG_ERROR, NLMSG_DONE):
                    refusal(view[offset : offset + length].tobytes(), kind, flags)
                    done = True
                else:
                    count += 1
                    if most is not None and count > most:
                        raise LongDumpError(b"".join((*chunks, view[:offset])))
                offset += (length + 3) & ~3
            chunks.append(view[:size].tobytes())
            if done:
                return (chunks[0] if len(chunks) == 1 else b"".join(chunks)), bool(interrupted)


def refusal(message: bytes, kind: int, flags: int) -> None:
    """Raise NetlinkError where an ERROR or DONE message carries an errno."""
    if len(message) < 20:
        return
    (code,) = ERRNO.unpack_from(message, 16)
    if code >= 0:
        return
    start = 20
    if kind == NLMSG_ERROR:
        start = 36 if flags & NLM_F_CAPPED or len(message) < 24 else 20 + HEADER.unpack_from(message, 20)[0]
    tlvs = attributes(message, start, len(message)) if flags & NLM_F_ACK_TLVS else {}
    raise NetlinkError(-code, text(tlvs.get(NLMSGERR_ATTR_MSG)) or os.strerror(-code))


def said(failure: Exception) -> str:
    """Why a question failed, in the kernel's words alone."""
    return getattr(failure, "strerror", None) or str(failure)


def messages(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(type, start of the body, end) of every message but errors and ends. Raises MalformedError."""
    offset, size = 0, len(data)
    while offset + 16 <= size:
        length, kind, _, _, _ = HEADER.unpack_from(data, offset)
        end: int = offset + length
        if length < 16 or end > size:
            raise MalformedError(f"a message of {length} bytes in {size - offset}")
        if kind > NLMSG_DONE:
            yield kind, offset + 16, end
        offset += (length + 3) & ~3


def attributes(data: bytes, start: int, end: int) -> dict[int, bytes]:
    """Attributes by type, nesting and byte-order bits cleared. Raises MalformedError.

    Messages of one kind mostly have their attributes at the same places. So the places are remembered by
    length and first header, and a message that has them there is taken apart in one step.
    """
    key = end - start, data[start : start + 4]
    layout = _layouts.get(key)
    if layout is not None:
        parts = layout.struct.unpack_from(data, start)
        if parts[::2] == layout.headers:
            return dict(zip(layout.kinds, parts[1::2], strict=True))
    return _walk(data, start, end, key)


class _Layout:
    """Where the attributes of a message lie: its headers as bytes, and a struct of (header, value) pairs."""

    def __init__(self, headers: tuple[bytes, ...], kinds: tuple[int, ...]) -> None:
        self.headers = headers
        self.kinds = kinds
        lengths = [ATTRIBUTE.unpack(header)[0] - 4 for header in headers]
        form = "".join(f"4s{length}s{-length & 3}x" for length in lengths[:-1])
        self.struct = Struct(f"={form}4s{lengths[-1]}s" if lengths else "=")


LAYOUTS = 2048
"""How many layouts are remembered."""
_layouts: dict[tuple[int, bytes], _Layout] = {}


def _walk(data: bytes, start: int, end: int, key: tuple[int, bytes]) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    headers: list[bytes] = []
    kinds: list[int] = []
    unpack = ATTRIBUTE.unpack_from
    last = end - 4
    while start <= last:
        length, kind = unpack(data, start)
        if length < 4 or start + length > end:
            raise MalformedError(f"an attribute of {length} bytes in {end - start}")
        headers.append(data[start : start + 4])
        kinds.append(kind & 0x3FFF)
        found[kind & 0x3FFF] = data[start + 4 : start + length]
        start += (length + 3) & ~3
    if len(_layouts) < LAYOUTS and len(headers) > 1:
        _layouts[key] = _Layout(tuple(headers), tuple(kinds))
    return found


def nested(data: bytes) -> dict[int, bytes]:
    """The attributes inside an attribute."""
    return attributes(data, 0, len(data))


def listed(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The attributes inside an attribute, in order, types repeated. Raises MalformedError."""
    start, end = 0, len(data)
    while start + 4 <= end:
        length, kind = ATTRIBUTE.unpack_from(data, start)
        if length < 4 or start + length > end:
            raise MalformedError(f"an attribute of {length} bytes in {end - start}")
        yield kind & 0x3FFF, data[start + 4 : start + length]
        start += (length + 3) & ~3


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded."""
    return ATTRIBUTE.pack(4 + len(value), kind) + value + b"\0" * (-len(value) & 3)


def number(value: bytes | None, default: int = 0) -> int:
    """An unsigned integer in host byte order of whatever width; ``default`` where there is none."""
    return default if value is None else int.from_bytes(value, "little" if LITTLE else "big")


def text(value: bytes | None) -> str:
    """A NUL-ended string; what is not UTF-8 is kept as backslash escapes, so that it stays readable."""
    return "" if value is None else value.rstrip(b"\0").decode("utf-8", "backslashreplace")


LITTLE = ERRNO.pack(1)[0] == 1
