"""The blocks of pcapng that hold packets, as columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy

from netfs.capture.file.chunk import Chunk, Column, Interface
from netfs.capture.file.pcapng_blocks import ENHANCED, PACKET, SIMPLE, Clock, described
from netfs.capture.file.window import GivenUp, Window, columns_at

_MOST_INTERFACES = 1 << 16
_HEADER, _SIMPLE_HEADER, _TRAILER = 28, 12, 4
"""Bytes before the packet of an Enhanced Packet Block (section 4.3) and of the obsolete Packet Block (appendix A), of
a Simple Packet Block (section 4.4), and behind it."""


class Section:
    """What is known of the section that is read."""

    def __init__(self, order: str, interfaces: list[Interface]) -> None:
        self.order = order
        """``<`` or ``>``."""
        self.interfaces = interfaces
        """Of the whole file."""
        self.first = len(interfaces)
        """Index of the section's first one."""
        self.clocks: list[Clock] = []
        """Of the section's interfaces."""
        self.strange: set[int] = set()
        """Numbers of interfaces that packets name and that the section does not describe."""

    def describe(self, window: Window, body: bytes, start: int) -> None:
        """Take an Interface Description Block's body, which begins the window's data at ``start``."""
        if len(self.interfaces) >= _MOST_INTERFACES:
            window.mark(window.base + start, f"more than {_MOST_INTERFACES} interfaces: nothing was read from here on")
            raise GivenUp
        found = described(body.ljust(8, b"\0"), self.order, len(self.interfaces))
        self.interfaces.append(found.interface)
        self.clocks.append(found.clock)

    def times(self, interface: Column, high: Column, low: Column) -> Column:
        """Both halves of time stamps in nanoseconds, each by its interface's clock."""
        kinds = {clock: number for number, clock in enumerate(dict.fromkeys(self.clocks))}
        if len(kinds) == 1:
            return self.clocks[0].nanoseconds(high, low)
        which = numpy.array([kinds[clock] for clock in self.clocks], numpy.int64)[interface]
        times = numpy.zeros(len(interface), numpy.int64)
        for clock, number in kinds.items():
            of = which == number
            times[of] = clock.nanoseconds(high[of], low[of])
        return times


@dataclass(frozen=True, slots=True)
class _Found:
    """Columns as of a chunk, interfaces by their numbers in the section; and what is wrong, by offset in the data."""

    columns: tuple[Column, Column, Column, Column, Column]
    """Start, captured, length, time, interface."""
    troubles: list[tuple[int, str]]
    strangers: list[tuple[int, int]]
    """Packets of interfaces that were not described, and these interfaces' numbers; the first packet of each."""


class Packets:
    """Makes chunks of blocks, and counts packets."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._number = 0

    def chunks(self, section: Section, kinds: Column, starts: Column, ends: Column, known: Column) -> Iterator[Chunk]:
        """The packets of consecutive blocks; ``known`` is how many interfaces are described when each one comes.

        A Simple Packet Block tells no time: it is 0.
        """
        data = self._window.data
        timed, simple = (kinds == ENHANCED) | (kinds == PACKET), kinds == SIMPLE
        found = _timed(data, section, starts[timed], ends[timed], known[timed])
        if simple.any():
            found = _both(found, _simple(data, section, starts[simple], ends[simple], known[simple]))
        start, captured, length, at_ns, interface = found.columns
        if len(start):
            yield Chunk(self._window.array(), start, captured, length, at_ns, interface + section.first, self._number)
            self._number += len(start)
        troubles = found.troubles
        for at, number in sorted(found.strangers):
            if number not in section.strange:
                section.strange.add(number)
                troubles.append((at, f"interface {number} is not described: its packets are left out"))
        for at, what in sorted(troubles):
            self._window.mark(self._window.base + at, what)


def _timed(data: bytearray, section: Section, starts: Column, ends: Column, known: Column) -> _Found:
    """Of Enhanced and obsolete Packet Blocks."""
    room = ends - starts - _HEADER - _TRAILER
    troubles = _short(starts, room)
    if troubles:
        starts, room, known = starts[room >= 0], room[room >= 0], known[room >= 0]
    kind, _, interface, high, low, captured, length = columns_at(data, starts, _HEADER, section.order + "u4")
    if (kind == PACKET).any():  # a number of 16 bits, then a count of drops
        number = interface & 0xFFFF if section.order == "<" else interface >> 16
        interface = numpy.where(kind == PACKET, number, interface)
    strange, wrong = interface >= known, captured > room
    strangers = _strangers(starts[strange], interface[strange])
    if strange.any() or wrong.any():
        for index in numpy.flatnonzero(wrong & ~strange).tolist():
            what = f"a packet tells of {captured[index]} bytes, and its block has room for {room[index]}"
            troubles.append((int(starts[index]), what))
        good = ~(strange | wrong)
        starts, captured, length, interface = starts[good], captured[good], length[good], interface[good]
        high, low = high[good], low[good]
    at_ns = section.times(interface, high, low)
    return _Found((starts + _HEADER, captured, length, at_ns, interface), troubles, strangers)


def _simple(data: bytearray, section: Section, starts: Column, ends: Column, known: Column) -> _Found:
    """Of Simple Packet Blocks: the section's first interface, and its snap length, are theirs."""
    room = ends - starts - _SIMPLE_HEADER - _TRAILER
    troubles = _short(starts, room)
    strangers = _strangers(starts[known == 0], known[known == 0])
    good = (room >= 0) & (known > 0)
    starts, room = starts[good], room[good]
    _, _, length = columns_at(data, starts, _SIMPLE_HEADER, section.order + "u4")
    captured = numpy.minimum(length, room)
    if len(starts) and (snaplen := section.interfaces[section.first].snaplen):
        captured = numpy.minimum(captured, snaplen)
    nothing = numpy.zeros(len(starts), numpy.int64)
    return _Found((starts + _SIMPLE_HEADER, captured, length, nothing, nothing), troubles, strangers)


def _both(one: _Found, other: _Found) -> _Found:
    """Two kinds of blocks, in the file's order."""
    start, *others = (numpy.concatenate(pair) for pair in zip(one.columns, other.columns, strict=True))
    order = start.argsort()
    captured, length, at_ns, interface = (column[order] for column in others)
    columns = (start[order], captured, length, at_ns, interface)
    return _Found(columns, one.troubles + other.troubles, one.strangers + other.strangers)


def _short(starts: Column, room: Column) -> list[tuple[int, str]]:
    return [(at, "a packet's block is too short") for at in starts[room < 0].tolist()]


def _strangers(starts: Column, interface: Column) -> list[tuple[int, int]]:
    numbers, first = numpy.unique(interface, return_index=True)
    return list(zip(starts[first].tolist(), numbers.tolist(), strict=True))
