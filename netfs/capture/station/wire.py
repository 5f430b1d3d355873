"""What passes between a station and whoever started it: messages over two pipes.

A message is its kind, the length of what follows, and that. A station believes its order (``marshal``); what a
station says is checked byte by byte, for it may run on another machine.
"""

from __future__ import annotations

import json
import marshal
from collections.abc import Iterator
from struct import Struct
from struct import error as StructError  # noqa: N812  # the library's name for an exception
from typing import Any, NamedTuple

from netfs.capture.station.order import Datagram, Order, Post, Sender, Tracing

HEADER = Struct("<BI")
"""Kind, length."""
LARGEST = 1 << 28
"""Bytes of the largest message: an order of 1000 datagrams."""

# to a station
ORDER = 1
"""``marshal``: what to do. The station opens everything, and answers READY."""
GO = 2
"""Record the kernel's events, send the probe."""
STOP = 3
"""Hand up what there is, then ENDED."""

# from a station
READY = 16
"""JSON, ``Ready``."""
BLOCK = 17
"""``BLOCK_HEAD``, then frames as the kernel laid them (``block``)."""
SENT = 18
"""``SENT_HEAD``, then the errno's name; empty where the kernel took it."""
EVENTS = 19
"""Text of tracefs: all that was heard since GO."""
ENDED = 20
"""JSON: for each post [received, dropped]; null where it was not open."""
FAILED = 21
"""Text: why the station ends before it was told to."""

BLOCK_HEAD = Struct("<HI")
"""Post, number of frames."""
SENT_HEAD = Struct("<IQ")
"""The datagram's number, nanoseconds since the epoch."""

TO_STATION = frozenset({ORDER, GO, STOP})
FROM_STATION = frozenset({READY, BLOCK, SENT, EVENTS, ENDED, FAILED})


class WireError(Exception):
    """What came is no message of ours."""


class Ready(NamedTuple):
    """A station's answer to its order."""

    posts: tuple[str | None, ...]
    """Why a post is deaf; None: it listens."""
    sender: str | None
    """Why the probe cannot be sent; None: it can, or there is none."""
    tracing: str | None
    """Why the kernel's events are not heard; None: they are, or were not asked for."""
    realtime_ns: int
    monotonic_ns: int
    boottime_ns: int
    """The node's clocks at one moment."""
    byteorder: str
    """``little`` or ``big``: how the kernel wrote the frames."""


class Incoming:
    """Bytes as they come out of a pipe, cut into messages."""

    def __init__(self, kinds: frozenset[int]) -> None:
        self._kinds = kinds
        self._held = bytearray()
        self._at = 0
        """Where the next message begins."""

    def feed(self, data: bytes) -> None:
        """Take what has come."""
        del self._held[: self._at]
        self._at = 0
        self._held += data

    def messages(self) -> Iterator[tuple[int, bytes]]:
        """(Kind, what follows) of those that are whole by now, each once. Raises WireError."""
        while len(self._held) - self._at >= HEADER.size:
            kind, length = HEADER.unpack_from(self._held, self._at)
            if kind not in self._kinds or length > LARGEST:
                raise WireError(f"no message: kind {kind}, {length} bytes")
            begin = self._at + HEADER.size
            if len(self._held) < begin + length:
                return
            self._at = begin + length
            with memoryview(self._held) as held:
                content = bytes(held[begin : self._at])
            yield kind, content


def message(kind: int, data: bytes = b"") -> bytes:
    """A message."""
    return HEADER.pack(kind, len(data)) + data


def pack_order(order: Order) -> bytes:
    """An order as bytes that any Python reads."""
    tracing = None if order.tracing is None else tuple(order.tracing)
    sender = None
    if order.sender is not None:
        sender = tuple(order.sender._replace(datagrams=tuple(map(tuple, order.sender.datagrams))))  # type: ignore[arg-type]
    plain = order._replace(posts=tuple(map(tuple, order.posts)), tracing=tracing, sender=sender)  # type: ignore[arg-type]
    return marshal.dumps(tuple(plain), 2)


def unpack_order(data: bytes) -> Order:
    """The order; believed. Raises ValueError, EOFError, TypeError for what is none."""
    order = Order(*marshal.loads(data))  # noqa: S302  # from whoever started this process
    tracing = None if order.tracing is None else Tracing(*order.tracing)
    sender = None if order.sender is None else Sender(*order.sender)
    if sender is not None:
        sender = sender._replace(datagrams=tuple(Datagram(*each) for each in sender.datagrams))
    return order._replace(posts=tuple(Post(*each) for each in order.posts), tracing=tracing, sender=sender)


def pack_ready(ready: Ready) -> bytes:
    """A READY's content."""
    return json.dumps(ready).encode()


def unpack_ready(data: bytes, posts: int) -> Ready:
    """A READY of a station with so many posts. Raises WireError."""
    heard, sender, tracing, realtime, monotonic, boottime, byteorder = _array(data, len(Ready._fields))
    if not isinstance(heard, list) or len(heard) != posts:
        raise WireError(f"no answer of a station with {posts} posts")
    for why in (*heard, sender, tracing):
        if why is not None and not isinstance(why, str):
            raise WireError("no reasons of a station")
    for clock in (realtime, monotonic, boottime):
        if type(clock) is not int:
            raise WireError("no clocks of a station")
    if byteorder not in ("little", "big"):  # it may be of any type
        raise WireError("no byte order of a station")
    return Ready(tuple(heard), sender, tracing, realtime, monotonic, boottime, byteorder)


def pack_ended(tallies: list[tuple[int, int] | None]) -> bytes:
    """An ENDED's content: (received, dropped) of each post."""
    return json.dumps(tallies).encode()


def unpack_ended(data: bytes, posts: int) -> tuple[tuple[int, int] | None, ...]:
    """(received, dropped) of each post; None: it was deaf. Raises WireError."""
    found: list[tuple[int, int] | None] = []
    for each in _array(data, posts):
        if each is None:
            found.append(None)
            continue
        if not isinstance(each, list) or len(each) != 2 or not all(type(count) is int for count in each):
            raise WireError("no counts of a station")
        found.append((each[0], each[1]))
    return tuple(found)


def unpack_sent(data: bytes) -> tuple[int, int, str | None]:
    """(number, nanoseconds since the epoch, the errno's name or None). Raises WireError."""
    try:
        number, at_ns = SENT_HEAD.unpack_from(data)
        return number, at_ns, data[SENT_HEAD.size :].decode("ascii") or None
    except (StructError, UnicodeDecodeError) as wrong:
        raise WireError(f"no word of a probe: {wrong}") from None


def _array(data: bytes, length: int) -> list[Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise WireError("no JSON") from None
    if not isinstance(found, list) or len(found) != length:
        raise WireError(f"no array of {length}")
    return found
