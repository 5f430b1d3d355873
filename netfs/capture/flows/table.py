"""The flow table: a row for each flow at each tap, counters by column, over all chunks of a capture."""

from __future__ import annotations

import numpy as np

from netfs.capture.flows.columns import Rows, Words
from netfs.capture.flows.dissection import Counter, Dissection, Segments
from netfs.capture.flows.groups import Groups, group
from netfs.capture.flows.keys import LEVELS, ROW, packed
from netfs.capture.flows.tcp import Sequences

COUNTED = (
    "retransmissions",
    "gaps",
    "late",
    "resets",
    "syns",
    "syn_acks",
    "echo_requests",
    "echo_replies",
    "fragments",
    "outer_fragments",
)
"""Counters of a row that most packets leave as they are."""
NONE, SEVERAL = -1, -2
"""Instead of an outer source port."""
MOST_MACS = 4
NO_TTL = 256
LATEST = np.iinfo(np.int64).max


class FlowTable:
    """Rows are numbered as they come."""

    def __init__(self) -> None:
        self._rows: dict[bytes, int] = {}
        self.packets = np.zeros(0, np.int64)
        self.octets = np.zeros(0, np.int64)
        self.first = np.zeros(0, np.int64)
        self.last = np.zeros(0, np.int64)
        self.largest = np.zeros(0, np.int64)
        self.ttl_least = np.zeros(0, np.int64)
        """NO_TTL: none was seen."""
        self.ttl_most = np.zeros(0, np.int64)
        """-1: none was seen."""
        self.sports = np.zeros((LEVELS, 0), np.int64)
        """Outer source ports by level: one, NONE or SEVERAL."""
        self.counted = {name: np.zeros(0, np.int64) for name in COUNTED}
        self.macs: dict[int, list[int]] = {}
        """Of ARP, by row: sender hardware addresses, as they came."""
        self._sequences = Sequences()

    def __len__(self) -> int:
        """How many rows."""
        return len(self._rows)

    def packed_keys(self) -> list[bytes]:
        """The words of each row's key, in the order of rows."""
        return list(self._rows)

    def add(self, d: Dissection, copies: Rows) -> int:
        """Takes the packets of a chunk; answers how many were told too little of.

        ``copies`` count as packets, and in nothing else but fragments.
        """
        kept = (d.depth >= 0).nonzero()[0]
        if not len(kept):
            return d.count
        whole = len(kept) == d.count
        words = d.words if whole else {number: column[kept] for number, column in d.words.items()}
        groups = group(words, len(kept))
        keys = np.zeros((len(groups), ROW), np.uint64)
        for number, column in words.items():
            keys[:, number] = column[groups.sample]
        rows = self._rows_of(keys)
        self._count(d, kept if not whole else slice(None), groups, rows)
        owner = np.full(d.count, -1, np.int64)
        owner[kept] = rows[groups.number]
        self._mark(d, owner, copies)
        return d.count - len(kept)

    def _rows_of(self, keys: Words) -> Rows:
        known = self._rows
        rows = np.fromiter((known.setdefault(row, len(known)) for row in packed(keys)), np.int64, len(keys))
        self._grow(len(known))
        return rows

    def _grow(self, size: int) -> None:
        lacking = size - len(self.packets)
        if lacking <= 0:
            return
        lacking += size // 2

        def longer(column: Counter, value: int = 0) -> Counter:
            return np.concatenate([column, np.full(lacking, value, np.int64)])

        self.packets, self.octets = longer(self.packets), longer(self.octets)
        self.first, self.last = longer(self.first, LATEST), longer(self.last, -1)
        self.largest = longer(self.largest)
        self.ttl_least, self.ttl_most = longer(self.ttl_least, NO_TTL), longer(self.ttl_most, -1)
        self.sports = np.concatenate([self.sports, np.full((LEVELS, lacking), NONE, np.int64)], axis=1)
        self.counted = {name: longer(column) for name, column in self.counted.items()}

    def _count(self, d: Dissection, kept: Rows | slice, groups: Groups, rows: Rows) -> None:
        at, ttl = d.chunk.at_ns[kept], d.ttl[kept]
        self.packets[rows] += np.bincount(groups.number, minlength=len(groups))
        self.octets[rows] += groups.total(d.chunk.length[kept])
        self.first[rows] = np.minimum(self.first[rows], groups.least(at))
        self.last[rows] = np.maximum(self.last[rows], groups.most(at))
        self.largest[rows] = np.maximum(self.largest[rows], groups.most(d.largest[kept]))
        self.ttl_least[rows] = np.minimum(self.ttl_least[rows], groups.least(np.where(ttl < 0, NO_TTL, ttl)))
        self.ttl_most[rows] = np.maximum(self.ttl_most[rows], groups.most(ttl))
        for level, column in d.sports.items():
            ports = column[kept]
            told = ports[groups.sample]
            told[groups.number[ports != told[groups.number]]] = SEVERAL
            known = self.sports[level][rows]
            both = np.where(known == told, known, SEVERAL)
            self.sports[level][rows] = np.where(known == NONE, told, np.where(told == NONE, known, both))

    def _mark(self, d: Dissection, owner: Rows, copies: Rows) -> None:
        fragment = d.fragmented < LEVELS
        if fragment.any():
            self._add("fragments", owner[fragment])
            self._add("outer_fragments", owner[d.fragmented < d.depth])
        if len(copies):
            owner = owner.copy()
            owner[copies] = -1
        for name, parts in d.marks.items():
            self._add(name, owner[np.concatenate(parts)])
        if d.segments:
            segments = _joined(d.segments)
            if len(copies):
                segments = segments.where(owner[segments.rows] >= 0)
            if len(segments.rows):
                again, gaps, late = self._sequences.add(owner[segments.rows], segments)
                self._add("retransmissions", again)
                self._add("gaps", gaps)
                self._add("late", late)
        for rows, macs in d.macs:
            for row, mac in dict.fromkeys(zip(owner[rows].tolist(), macs.tolist(), strict=True)):
                known = self.macs.setdefault(row, [])
                if mac not in known and len(known) < MOST_MACS:
                    known.append(mac)

    def _add(self, name: str, owners: Rows) -> None:
        owners = owners[owners >= 0]
        if len(owners):
            counts = np.bincount(owners)
            self.counted[name][: len(counts)] += counts


def _joined(parts: list[Segments]) -> Segments:
    if len(parts) == 1:
        return parts[0]
    return Segments(
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.sequence for part in parts]),
        np.concatenate([part.length for part in parts]),
        np.concatenate([part.syn for part in parts]),
    )
