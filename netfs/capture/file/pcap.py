"""pcap (draft-ietf-opsawg-pcap): a header, then records of 16 bytes of header and the packet.

A record tells little more than its length, so that a damaged one is noticed only by what follows it: a record is given
once the next one has been looked at. After a damage ``PcapSearch`` says where to go on.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy

from netfs.capture.file.chunk import Chunk, Column, Interface
from netfs.capture.file.pcap_search import DAY, REACH, STRIDE, PcapSearch
from netfs.capture.file.window import FEWEST, MOST, GivenUp, Window, columns_at

HEADER = 24
MAGIC = {0xA1B2C3D4: (1000, 16), 0xA1B23C4D: (1, 16), 0xA1B2CD34: (1000, 24)}
"""Magic number: nanoseconds of a tick, bytes of a record's header. The third is Kuznetzov's modified pcap, whose
records tell interface, protocol and direction as well."""
_LIMIT, _MOST_LIMIT = 262144, 16 << 20
_RAW_IP = {12: 101, 14: 101}
"""DLT_RAW as it got into files, and the LINKTYPE it means (libpcap, pcap-common.c)."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What the file's header says."""

    order: str
    """``<`` or ``>``."""
    tick_ns: int
    record: int
    """Bytes of a record's header."""
    limit: int
    """The longest packet there can be: MAXIMUM_SNAPLEN of libpcap, or the header's snap length where that is more."""
    interface: Interface


def is_magic(head: bytes) -> bool:
    """Whether a file that begins so may be meant to be a pcap."""
    return int.from_bytes(head, "big") in MAGIC or int.from_bytes(head, "little") in MAGIC


def layout(head: bytes) -> Layout | None:
    """What a file's first 24 bytes say; None: they are no pcap."""
    if len(head) < HEADER:
        return None
    for order in "<>":
        magic, _, _, _, _, snaplen, network = struct.unpack_from(order + "IHHiIII", head)
        if magic in MAGIC:
            tick_ns, record = MAGIC[magic]
            linktype = network & 0xFFFF  # above it are the length of the FCS and reserved bits
            interface = Interface("", _RAW_IP.get(linktype, linktype), snaplen)
            return Layout(order, tick_ns, record, max(_LIMIT, min(snaplen, _MOST_LIMIT)), interface)
    return None


class PcapReader:
    """The records behind the header."""

    def __init__(self, window: Window, layout: Layout) -> None:
        self._window = window
        self._layout = layout
        self._search = PcapSearch(window, layout.order, layout.record, 1_000_000_000 // layout.tick_ns)
        self._margin = max(REACH + STRIDE, layout.limit + 2 * layout.record)
        self._number = 0
        self._at = HEADER
        """Offset of the next record that was not given."""

    def chunks(self) -> Iterator[Chunk]:
        """All records, in order."""
        window, record = self._window, self._layout.record
        most = MOST
        try:
            while window.hold(self._at, self._margin) or window.end - self._at >= record:
                starts, heads = self._walk(most)
                # The last one waits until it is known what follows it, unless nothing does.
                waits = len(starts) == most or not window.ended
                after = window.base + int(starts[-1]) + (0 if waits else record + int(heads[2, -1]))
                bad = self._first_bad(starts, heads)
                if bad is None and after > window.end:
                    bad = len(starts) - 1
                if bad is not None:
                    most = FEWEST
                    yield from self._pass_over(starts, heads, bad)
                    continue
                most = min(2 * most, MOST)
                given = len(starts) - waits
                yield from self._give(starts[:given], heads[:, :given])
                self._at = after
            if self._at < window.end:
                window.mark(self._at, f"the file is cut off: {window.end - self._at} bytes of a record's header")
        except GivenUp:
            return

    def _walk(self, most: int) -> tuple[Column, Column]:
        """Where the next records begin in the window's data, and their headers: seconds, ticks, captured, length.

        They are so many, or as many as begin before the file's end or before the margin, and one more.
        """
        window, record, data = self._window, self._layout.record, self._window.data
        first, last = self._at - window.base, window.size - record
        stop = last if window.ended else window.size - self._margin
        captured = struct.Struct(self._layout.order + "8xI").unpack_from

        def walk() -> Iterator[int]:
            at = first
            while at <= stop:
                yield at
                at += captured(data, at)[0] + record
            if at <= last:
                yield at

        starts = numpy.fromiter(islice(walk(), most), numpy.int64)
        return starts, columns_at(data, starts, 16, self._layout.order + "u4")

    def _first_bad(self, starts: Column, heads: Column) -> int | None:
        """Index of the first record that cannot be one: too long, zeros, or contradicted by those around it."""
        seconds, ticks, captured, length = heads
        none = (captured > self._layout.limit) | ((seconds | ticks | captured | length) == 0)
        odd = (ticks >= self._search.second) | (captured > length) | (length == 0)
        odd[1:] |= numpy.abs(numpy.diff(seconds)) > DAY
        # The first one was looked at before, as the one that follows; but for the file's first.
        odd[0] &= self._at == HEADER
        for index in numpy.flatnonzero(none | odd if self._search.questions else none).tolist():
            if none[index] or self._contradicted(starts, heads, index):
                return int(index)
        return None

    def _contradicted(self, starts: Column, heads: Column, index: int) -> bool:
        return self._search.contradicts(*self._around(starts, heads, index))

    def _around(self, starts: Column, heads: Column, bad: int) -> tuple[int, bool, int, int | None]:
        """What the search is told: the offset of the record before a bad one; whether the length of that can be
        trusted; the offset of the bad one; the time of the one before it, if it can be relied on.
        """
        damaged = self._window.base + int(starts[bad])
        if not bad:
            return damaged, True, damaged, None
        second, _, captured, length = heads[:, bad - 1].tolist()
        if not length or (bad > 1 and abs(second - int(heads[0, bad - 2])) > DAY):
            second = None
        trusted = captured in {length, self._layout.interface.snaplen}
        return self._window.base + int(starts[bad - 1]), trusted, damaged, second

    def _give(self, starts: Column, heads: Column) -> Iterator[Chunk]:
        if not len(starts):
            return
        yield Chunk(
            data=self._window.array(),
            start=starts + self._layout.record,
            captured=heads[2],
            length=heads[3],
            at_ns=heads[0] * 1_000_000_000 + heads[1] * self._layout.tick_ns,
            interface=numpy.zeros(len(starts), numpy.int64),
            first=self._number,
        )
        self._number += len(starts)

    def _pass_over(self, starts: Column, heads: Column, bad: int) -> Iterator[Chunk]:
        """Give what comes before a bad record; go on where records make sense again.

        Where that is before the bad record, the one before it told a wrong length, and is passed over with it.
        """
        window, record = self._window, self._layout.record
        last, trusted, damaged, second = self._around(starts, heads, bad)
        captured, zeros = int(heads[2, bad]), not heads[:, bad].any()
        yield from self._give(starts[: max(bad - 1, 0)], heads[:, : max(bad - 1, 0)])
        window.hold(last, 2 * REACH)
        cut = window.ended and captured <= self._layout.limit and damaged + record + captured > window.end
        found = self._search.after(last, trusted, damaged, second, cut)
        if found is not None and found < damaged:
            damaged, captured, zeros, cut = last, int(heads[2, bad - 1]), False, False
        elif bad:
            yield from self._give(numpy.array([last - window.base]), heads[:, bad - 1 : bad])
        while found is None and not window.ended:
            begin = max(damaged + 1, window.end - REACH)
            window.slide(begin, 2 * REACH)
            found = self._search.next_row(begin, window.end, second)
        self._at = window.end if found is None else found
        what = "zeros, and no record" if zeros else f"a record is damaged: it tells of {captured} bytes"
        if found is None and cut:
            there = window.end - damaged - record
            window.mark(damaged, f"the file is cut off: {there} of a packet's {captured} bytes are there")
        else:
            window.mark(damaged, f"{what}; passed over up to {self._at}")
