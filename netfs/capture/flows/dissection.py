"""What is known of a chunk's packets while their headers are read, one level after the other."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from netfs.capture.file.chunk import Chunk
from netfs.capture.flows.columns import Fields, Front, Mask, Offsets, Rows, Words, mix
from netfs.capture.flows.keys import FIRST, LEVELS, ROW, TAP, WIDTH

Counter: TypeAlias = NDArray[np.int64]
NEVER = LEVELS
"""Instead of a level: at none."""


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """TCP segments that take room in the sequence: bytes, SYN or FIN."""

    rows: Rows
    sequence: Counter
    length: Counter
    syn: Mask

    def where(self, mask: Mask) -> Segments:
        """Those of a mask."""
        return Segments(self.rows[mask], self.sequence[mask], self.length[mask], self.syn[mask])


@dataclass(frozen=True, slots=True, eq=False)
class Quotes:
    """ICMP errors, and where the packet begins that each one quotes."""

    level: int
    packets: Front
    """At the quotation."""
    kind: Words
    """Type in the upper byte, code in the lower."""
    mtu: Counter
    """0: it tells none."""

    def where(self, mask: Mask) -> Quotes:
        """Those of a mask."""
        return Quotes(self.level, self.packets.where(mask), self.kind[mask], self.mtu[mask])


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """Fragments of one level: those that begin a datagram, or those that do not."""

    level: int
    rows: Rows
    datagram: Words
    """Hash of what all fragments of a datagram share (RFC 791 section 3.2, RFC 8200 section 4.5), and of all levels
    around it."""


class Dissection:
    """Columns of a chunk, filled in by the functions that read headers.

    A row that no function finishes is a packet of which too little was captured.
    """

    def __init__(self, chunk: Chunk, linktypes: Counter, tunnelled: Mask) -> None:
        self.data = chunk.data
        self.chunk = chunk
        self.count = len(chunk.start)
        self.linktypes = linktypes
        """LINKTYPE_* by interface."""
        self.tunnelled = tunnelled
        """Of each UDP port, whether a tunnel may be behind it."""
        self.innermost = LEVELS - 1
        """The level at which tunnels are looked into no more."""
        self.words: dict[int, Words] = {}
        """Columns of the key, ``keys.py``; what is not here is 0."""
        self.sports: dict[int, Counter] = {}
        """Outer source ports of tunnels by level; -1: none."""
        self.depth = np.full(self.count, -1, np.int8)
        """Level of the innermost header that was understood; -1: not finished."""
        self.largest = np.zeros(self.count, np.int64)
        """Bytes of the outermost IP packet."""
        self.ttl = np.full(self.count, -1, np.int64)
        """Of the innermost IP header; -1: none."""
        self.fragmented = np.full(self.count, NEVER, np.int8)
        """The outermost level at which it is a fragment."""
        self.marks: dict[str, list[Rows]] = {}
        """Names of counters, and packets that count in them."""
        self.segments: list[Segments] = []
        self.quotes: list[Quotes] = []
        self.firsts: list[Pieces] = []
        self.rests: list[Pieces] = []
        self.macs: list[tuple[Rows, Words]] = []
        """Of ARP: sender hardware addresses."""
        self.cooked: list[Front] = []
        """Packets that were recorded by a tap on all devices, behind their link-layer header."""
        self.todo: deque[tuple[str, int, Front]] = deque()
        """What ``levels.py`` reads next: the header's name, its level, the packets."""

    def later(self, header: str, level: int, front: Front) -> None:
        """These packets have this header next."""
        if len(front):
            self.todo.append((header, level, front))

    def put(self, level: int, word: int, rows: Rows, values: Words) -> None:
        """Sets a word of these rows' keys."""
        self._column(FIRST + level * WIDTH + word, rows, values)

    def _column(self, number: int, rows: Rows, values: Words) -> None:
        if not len(rows):
            return
        column = self.words.get(number)
        if column is not None:
            self.set(column, rows, values)
        elif len(rows) == self.count:
            self.words[number] = values
        else:
            column = self.words[number] = np.zeros(self.count, np.uint64)
            column[rows] = values

    def tap(self, rows: Rows, values: Words) -> None:
        """Sets the tap's word of these rows' keys."""
        self._column(TAP, rows, values)

    def set(self, column: Fields, rows: Rows, values: Fields | int) -> None:
        """Sets a column of these rows; all at once where these are all."""
        if len(rows) == self.count:
            column[:] = values
        else:
            column[rows] = values

    def finish(self, level: int, rows: Rows) -> None:
        """Nothing is left to read in these."""
        self.set(self.depth, rows, level)

    def mark(self, counter: str, rows: Rows) -> None:
        """These count there."""
        if len(rows):
            self.marks.setdefault(counter, []).append(rows)

    def sport(self, level: int, rows: Rows, ports: Fields) -> None:
        """Notes outer source ports of tunnels."""
        if level not in self.sports:
            self.sports[level] = np.full(self.count, -1, np.int64)
        self.set(self.sports[level], rows, ports)

    def datagram(self, level: int, rows: Rows, identity: Words) -> Words:
        """Hash of what fragments of one datagram share; ``identity`` holds its identification and protocol."""
        end = FIRST + (level + 1) * WIDTH
        around = {number: column[rows] for number, column in self.words.items() if FIRST <= number < end}
        return mix({**around, ROW: identity}, len(rows))

    def wire_end(self, rows: Rows) -> Offsets:
        """Where these packets would end, had they been captured whole."""
        chunk = self.chunk
        if len(rows) == self.count:
            return chunk.start + chunk.length
        return chunk.start.take(rows) + chunk.length.take(rows)
