"""pcapng (draft-ietf-opsawg-pcapng): sections of blocks, each of which tells its length before and behind its body."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice

import numpy

from netfs.capture.file.chunk import Chunk, Column, Interface
from netfs.capture.file.pcapng_blocks import BYTE_ORDER, INTERFACE, LEAST, SECTION, STATISTICS, comments, dropped
from netfs.capture.file.pcapng_packets import Packets, Section
from netfs.capture.file.pcapng_search import REACH, next_block
from netfs.capture.file.window import FEWEST, MOST, GivenUp, Window, columns_at

LEAST_SECTION = 28
"""Bytes of the shortest Section Header Block (section 4.1)."""
_LONGEST = 16 << 20
"""A longer block is none: Wireshark draws its line (MAX_BLOCK_SIZE) near to this."""
_MAGIC = SECTION.to_bytes(4)


def begins(head: bytes) -> bool:
    """Whether the first 28 bytes of a file are a section's."""
    return len(head) == LEAST_SECTION and is_magic(head[:4]) and head[8:12] in BYTE_ORDER


def is_magic(head: bytes) -> bool:
    """Whether a file that begins so may be meant to be a pcapng."""
    return head == _MAGIC


class PcapngReader:
    """The blocks of a file that ``begins`` as pcapng does."""

    def __init__(
        self, window: Window, interfaces: list[Interface], comments: list[str], dropped: dict[int, int]
    ) -> None:
        self._window = window
        self._dropped = dropped
        self._comments = comments
        self._section = Section("<", interfaces)
        self._packets = Packets(window)
        self._at = 0
        """Offset of the next block."""

    def chunks(self) -> Iterator[Chunk]:
        """All packets, in order."""
        window = self._window
        most = MOST
        try:
            while window.hold(self._at, LEAST):
                if window.take(self._at, 4) == _MAGIC:
                    self._begin_section()
                starts, ends = self._walk(most)
                if len(starts):
                    most = min(2 * most, MOST)
                    self._at = window.base + int(ends[-1])
                    yield from self._blocks(starts, ends)
                elif not self._read_on():
                    most = FEWEST
                    yield from self._pass_over()
            if self._at < window.end:
                window.mark(self._at, f"the file is cut off: {window.end - self._at} bytes of a block's header")
        except GivenUp:
            return

    def _begin_section(self) -> None:
        order = BYTE_ORDER.get(self._window.take(self._at + 8, 4))
        if order is not None:
            self._section = Section(order, self._section.interfaces)

    def _walk(self, most: int) -> tuple[Column, Column]:
        """Where the next whole blocks begin and end in the window's data, up to the next section, and no more than
        so many.
        """
        data, size, order = self._window.data, self._window.size, self._section.order
        first = self._at - self._window.base
        head = struct.Struct(order + "II").unpack_from

        def walk() -> Iterator[int]:
            at = first
            yield at
            while at + 8 <= size:
                kind, length = head(data, at)
                if length < LEAST or (kind == SECTION and at != first):
                    return
                at += length
                yield at

        found = numpy.fromiter(islice(walk(), most + 1), numpy.int64)
        if found[-1] > size:
            found = found[:-1]
        starts, ends = found[:-1], found[1:]
        sizes = ends - starts
        wrong = (columns_at(data, ends - 4, 4, order + "u4")[0] != sizes) | (sizes & 3 != 0)
        good = int(wrong.argmax()) if wrong.any() else len(wrong)
        return starts[:good], ends[:good]

    def _blocks(self, starts: Column, ends: Column) -> Iterator[Chunk]:
        """What consecutive blocks of a section tell."""
        data, order = self._window.data, self._section.order
        kinds = columns_at(data, starts, 4, order + "u4")[0]
        if kinds[0] == SECTION:
            body = bytes(data[starts[0] + 24 : ends[0] - 4])
            self._comments.extend(comments(body, order))
        describes = kinds == INTERFACE
        known = len(self._section.clocks) + numpy.cumsum(describes)
        for index in numpy.flatnonzero(describes).tolist():
            self._describe(int(starts[index]), int(ends[index]))
        yield from self._packets.chunks(self._section, kinds, starts, ends, known)
        for index in numpy.flatnonzero(kinds == STATISTICS).tolist():
            told = dropped(bytes(data[starts[index] + 8 : ends[index] - 4]), order)
            if told and told[0] < len(self._section.clocks):
                self._dropped[self._section.first + told[0]] = told[1]

    def _describe(self, start: int, end: int) -> None:
        if end - start < 20:
            self._window.mark(self._window.base + start, "an interface's description is too short")
        self._section.describe(self._window, bytes(self._window.data[start + 8 : end - 4]), start)

    def _read_on(self) -> bool:
        """Whether more of the next block could be read."""
        window = self._window
        _, size = struct.unpack(self._section.order + "II", window.take(self._at, 8))
        if window.ended or not LEAST <= size <= _LONGEST or self._at + size <= window.end:
            return False
        window.slide(self._at, size)
        return True

    def _pass_over(self) -> Iterator[Chunk]:
        """Go on where blocks make sense again."""
        window, order, damaged = self._window, self._section.order, self._at
        window.hold(damaged, 2 * REACH)
        kind, size = struct.unpack(order + "II", window.take(damaged, 8))
        found = next_block(window, damaged + 1, order)
        if found is not None or window.ended:
            self._at = window.end if found is None else found
            yield from self._mended(damaged, kind, size)
            return
        self._at = self._search_on(damaged + 1)
        window.mark(damaged, f"a block is damaged: it tells of {size} bytes; passed over up to {self._at}")

    def _search_on(self, begin: int) -> int:
        """Where blocks make sense again, behind this window; else the end."""
        window, found = self._window, None
        while found is None and not window.ended:
            begin = max(begin, window.end - REACH)
            window.slide(begin, 2 * REACH)
            found = next_block(window, begin, self._section.order)
        return window.end if found is None else found

    def _mended(self, damaged: int, kind: int, size: int) -> Iterator[Chunk]:
        """Tell of a damaged block, and take what can be had of it.

        If it extends as far as one of its two lengths says, only the other one is damaged, and nothing is lost. Of an
        interface at least the number must be kept: else all that come after it are taken for others.
        """
        window, extent = self._window, self._at - damaged
        start = damaged - window.base
        trailer = struct.unpack(self._section.order + "I", window.take(self._at - 4, 4))[0] if extent >= LEAST else 0
        if extent in {size, trailer} and extent % 4 == 0:
            window.mark(damaged, f"a block tells two lengths, {size} and {trailer}: it has {extent} bytes")
            yield from self._blocks(numpy.array([start]), numpy.array([start + extent]))
        elif kind == INTERFACE and extent < size + REACH:
            window.mark(damaged, "an interface's description is damaged: its name and its times may be wrong")
            self._describe(start, start + extent)
        elif self._at == window.end and extent < size <= _LONGEST:
            window.mark(damaged, f"the file is cut off: {extent} of a block's {size} bytes are there")
        else:
            window.mark(damaged, f"a block is damaged: it tells of {size} bytes; passed over up to {self._at}")
