"""Sockets that accept packets: the answers to ``questions`` as records."""

from __future__ import annotations

from functools import lru_cache
from socket import AF_INET, AF_INET6
from struct import Struct

from netfs.collect.addresses import address_text
from netfs.collect.netlink import LITTLE, MalformedError, attributes, messages, number
from netfs.collect.questions import PROTOS, SOCK_DIAG_BY_FAMILY, TABLES
from netfs.model.snapshot import Listener

INET_DIAG_SKV6ONLY = 11
ANSWER = Struct("=BBxx2s2s16s16sI8x16xI")
"""``struct inet_diag_msg`` (include/uapi/linux/inet_diag.h): the last of its five counters is the inode."""


@lru_cache(maxsize=4096)
def decode_sockets(name: str, data: bytes) -> tuple[Listener, ...]:
    """The listeners of one dump of ``QUESTIONS``. Raises MalformedError."""
    found: list[Listener] = []
    for kind, start, end in messages(data):
        if kind != SOCK_DIAG_BY_FAMILY or end - start < 72:
            continue
        family, state, sport, dport, src, _, index, inode = ANSWER.unpack_from(data, start)
        if family not in (AF_INET, AF_INET6) or state != PROTOS[name[:3]][1] or dport != b"\0\0":
            continue
        attrs = attributes(data, start + 72, end)
        found.append(
            Listener(
                proto=name[:3],
                family=4 if family == AF_INET else 6,
                address=address_text(src[:4] if family == AF_INET else src),
                port=int.from_bytes(sport, "big"),
                index=index or None,
                v6only=bool(number(attrs.get(INET_DIAG_SKV6ONLY))),
                inode=inode,
            )
        )
    return tuple(found)


@lru_cache(maxsize=4096)
def decode_table(name: str, data: bytes) -> tuple[Listener, ...]:
    """The listeners of a table of /proc/net. It knows neither the bound device nor v6only. Raises MalformedError."""
    found: list[Listener] = []
    for line in data.split(b"\n")[1:]:
        words = line.split()
        if len(words) < 10:
            continue
        try:
            if int(words[3], 16) != PROTOS[name[:3]][1] or not words[2].endswith(b":0000"):
                continue
            address, port = words[1].split(b":")
            found.append(
                Listener(
                    proto=name[:3],
                    family=int(name[3]),
                    address=address_text(_hex_words(bytes.fromhex(address.decode()))),
                    port=int(port, 16),
                    inode=int(words[9]),
                )
            )
        except ValueError as wrong:
            raise MalformedError(f"/proc/net/{TABLES[name]}: {wrong}") from None
    return tuple(found)


def _hex_words(value: bytes) -> bytes:
    """The table prints each 32-bit word as a number in host order."""
    if not LITTLE:
        return value
    return b"".join(value[at : at + 4][::-1] for at in range(0, len(value), 4))
