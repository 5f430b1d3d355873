"""A part of a file that lies in memory, and moves forward."""

from __future__ import annotations

import numpy
from numpy.typing import NDArray

from netfs.capture.file.chunk import Column, Damage
from netfs.capture.file.stream import Broken, Stream

CHUNK_BYTES = 4 << 20
MOST, FEWEST = 1 << 16, 64
"""Packets that are looked for at a time; after a damage a few, so that a file full of them is not walked many times."""
MOST_DAMAGES = 1000
"""After so many damaged places a file is given up: work on a hostile one has an end."""


class GivenUp(Exception):  # noqa: N818  # not raised to callers
    """The file is damaged in too many places."""


class Window:
    """Bytes ``base`` to ``end`` of a stream, in one buffer that each slide writes to anew."""

    def __init__(self, stream: Stream, damage: list[Damage], chunk_bytes: int = CHUNK_BYTES) -> None:
        self._stream = stream
        self._damage = damage
        self.data = bytearray(chunk_bytes)
        self.size = 0
        """How many of the data's bytes are the stream's."""
        self.base = 0
        self.ended = False
        """Nothing comes after ``end``."""

    @property
    def end(self) -> int:
        """Offset in the stream behind the last byte that lies here."""
        return self.base + self.size

    def slide(self, keep: int, least: int = 0) -> None:
        """Forget what lies before offset ``keep``, and read on; make room for so many bytes at least."""
        begin, have = keep - self.base, self.end - keep
        data = self.data if least <= len(self.data) else bytearray(least)
        view = memoryview(data)
        view[:have] = memoryview(self.data)[begin : self.size]
        self.data, self.base = data, keep
        try:
            while have < len(data) and not self.ended:
                got = self._stream.readinto(view[have:])
                self.ended = not got
                have += got or 0
        except Broken as broken:
            self.ended = True
            self.mark(keep + have, str(broken))
        finally:
            self.size = have

    def hold(self, at: int, size: int) -> bool:
        """Slide if need be until ``size`` bytes from offset ``at`` on lie here; False: the stream ends before."""
        if at + size > self.end and not self.ended:
            self.slide(at, size)
        return at + size <= self.end

    def mark(self, offset: int, what: str) -> None:
        """Note a damage. Raises GivenUp after too many."""
        if len(self._damage) >= MOST_DAMAGES:
            self._damage.append(Damage(offset, "damaged in too many places: nothing was read from here on"))
            raise GivenUp
        self._damage.append(Damage(offset, what))

    def take(self, at: int, size: int) -> bytes:
        """A copy of so many bytes from an offset on; fewer where the end is near."""
        return bytes(memoryview(self.data)[at - self.base : min(at - self.base + size, self.size)])

    def array(self) -> NDArray[numpy.uint8]:
        """All that lies here, without a copy."""
        return numpy.frombuffer(self.data, numpy.uint8, self.size)


def columns_at(data: bytearray, starts: Column, size: int, type: str) -> Column:
    """The first ``size`` bytes at each start as integers of that type: one row for the first of them, and so on. All
    of them lie within the data.
    """
    if not len(starts):
        return numpy.empty((size // numpy.dtype(type).itemsize, 0), numpy.int64)
    every = numpy.ndarray((len(data) - size + 1,), f"V{size}", data, strides=(1,))
    return every[starts].view(type).reshape(len(starts), -1).T.astype(numpy.int64, order="C")
