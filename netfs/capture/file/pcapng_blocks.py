"""The blocks of pcapng that describe: sections, interfaces, their options and clocks (draft-ietf-opsawg-pcapng)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from netfs.capture.file.chunk import Column, Interface

SECTION = 0x0A0D0D0A
INTERFACE, PACKET, SIMPLE, NAMES, STATISTICS, ENHANCED, SECRETS = 1, 2, 3, 4, 5, 6, 10
CUSTOM, CUSTOM_LOCAL = 0xBAD, 0x40000BAD
KNOWN = (INTERFACE, PACKET, SIMPLE, NAMES, STATISTICS, ENHANCED, SECRETS, CUSTOM, CUSTOM_LOCAL)
BYTE_ORDER = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
LEAST = 12
"""Bytes of a block without a body."""
_COMMENT, _NAME, _DESCRIPTION, _RESOLUTION, _OFFSET = 1, 2, 3, 9, 14
_DROPPED_BY_INTERFACE, _DROPPED_BY_SYSTEM = 5, 7
_BILLION = 1_000_000_000
_FURTHEST = 9_223_372_035
"""Seconds whose nanoseconds still fit in 64 bits: the year 2262."""


@dataclass(frozen=True, slots=True)
class Clock:
    """How an interface counts time: if_tsresol and if_tsoffset."""

    per_second: int = 1_000_000
    offset_s: int = 0

    def nanoseconds(self, high: Column, low: Column) -> Column:
        """Time stamps of two halves, as nanoseconds since the epoch; what does not fit is as far off as fits."""
        ticks = high.astype(numpy.uint64) << numpy.uint64(32) | low.astype(numpy.uint64)
        if self.per_second == _BILLION and not self.offset_s and int(high.max(initial=0)) < 1 << 31:
            return ticks.astype(numpy.int64)
        if self.per_second < 1 << 64:
            seconds, rest = numpy.divmod(ticks, numpy.uint64(self.per_second))
        else:
            seconds, rest = numpy.zeros(len(ticks), numpy.uint64), ticks
        whole = numpy.minimum(seconds, numpy.uint64(2 * _FURTHEST)).astype(numpy.int64)
        whole = numpy.clip(whole + max(-2 * _FURTHEST, min(self.offset_s, 2 * _FURTHEST)), -_FURTHEST, _FURTHEST)
        return whole * _BILLION + _part(rest, self.per_second)


def _part(rest: NDArray[numpy.uint64], per_second: int) -> Column:
    """Ticks of less than a second as nanoseconds; finer than a quarter of one, a power of 2 is cut off."""
    if _BILLION % per_second == 0:
        return (rest * numpy.uint64(_BILLION // per_second)).astype(numpy.int64)
    divisor, remainder = divmod(per_second, _BILLION)
    shift = max(0, per_second.bit_length() - 34)  # so that what is multiplied fits
    if divisor >= 1 << 64 or shift >= 64:
        return numpy.zeros(len(rest), numpy.int64)
    if not remainder:
        return (rest // numpy.uint64(divisor)).astype(numpy.int64)
    product = (rest >> numpy.uint64(shift)) * numpy.uint64(_BILLION)
    return (product // numpy.uint64(per_second >> shift)).astype(numpy.int64)


@dataclass(frozen=True, slots=True)
class Described:
    """One Interface Description Block."""

    interface: Interface
    clock: Clock


def options(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Codes and values, up to the end of options or to one that is longer than what is left (section 3.5)."""
    at = 0
    while at + 4 <= len(data):
        code, size = struct.unpack_from(order + "HH", data, at)
        if code == 0 or at + 4 + size > len(data):
            return
        yield code, data[at + 4 : at + 4 + size]
        at += 4 + (size + 3) // 4 * 4


def text(value: bytes) -> str:
    """An option's text; bytes that are no UTF-8 are shown as what they are."""
    return value.rstrip(b"\0").decode("utf-8", "backslashreplace")


def comments(data: bytes, order: str) -> list[str]:
    """The comments among options."""
    return [text(value) for code, value in options(data, order) if code == _COMMENT]


def described(body: bytes, order: str, number: int) -> Described:
    """What the body of an Interface Description Block says (section 4.2); at least 8 bytes."""
    linktype, _, snaplen = struct.unpack_from(order + "HHI", body)
    found: dict[int, bytes] = {}
    for code, value in options(body[8:], order):
        found.setdefault(code, value)
    name = text(found.get(_NAME, b"")) or text(found.get(_DESCRIPTION, b"")) or str(number)
    return Described(
        Interface(name, linktype, snaplen, text(found.get(_COMMENT, b""))),
        Clock(_per_second(found.get(_RESOLUTION, b"")), _offset(found.get(_OFFSET, b""), order)),
    )


def _per_second(value: bytes) -> int:
    """if_tsresol: a negative power of 10, or of 2 where the highest bit is set; microseconds without it."""
    if not value:
        return 1_000_000
    return int(2 ** (value[0] & 0x7F)) if value[0] & 0x80 else int(10 ** value[0])


def _offset(value: bytes, order: str) -> int:
    return int(struct.unpack(order + "q", value)[0]) if len(value) == 8 else 0


def dropped(body: bytes, order: str) -> tuple[int, int] | None:
    """What the body of an Interface Statistics Block says (section 4.6): number of the interface, packets that it or
    the operating system dropped; None: it does not tell.
    """
    if len(body) < 12:
        return None
    told = [
        struct.unpack(order + "Q", value)[0]
        for code, value in options(body[12:], order)
        if code in {_DROPPED_BY_INTERFACE, _DROPPED_BY_SYSTEM} and len(value) == 8
    ]
    return (struct.unpack_from(order + "I", body)[0], sum(told)) if told else None
