"""TCP's sequence, by column: which segments had been seen before, and where the sequence jumped ahead.

Only segments that take room count: bytes, SYN, FIN (RFC 9293 section 3.4). All arithmetic is modulo 2^32. Each row of
the flow table has a sequence of its own; the rows of one flow are its taps, so what two taps saw is no repetition.

A segment that ends at or before the highest number so far is a retransmission, unless it fills a hole that an earlier
gap left: then it is late, and new. A SYN with another number than the last one begins a new connection.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netfs.capture.flows.columns import Mask, Rows
from netfs.capture.flows.dissection import Counter, Segments

MODULUS = 0xFFFFFFFF
MOST_HOLES = 64
"""Of one sequence; the oldest are forgotten first."""


@dataclass(frozen=True, slots=True, eq=False)
class _Runs:
    """Segments of one owner and one connection after the other."""

    owner: Rows
    """Of each segment, its row of the flow table."""
    starts: Rows
    number: Rows
    """Of each segment, its run."""
    carried: Mask
    """Of each run, whether it goes on with what an earlier chunk left."""
    begin: Counter
    """Of each segment, its distance from where the run began or goes on."""
    before: Counter
    """Likewise the highest end of the segments before it."""
    highest: Counter
    """Of each run, at its end."""


class Sequences:
    """What is known of every sequence so far."""

    def __init__(self) -> None:
        self._next = np.zeros(0, np.int64)
        """The number behind the highest one seen."""
        self._syn = np.zeros(0, np.int64)
        """The last SYN's number; -1: none was seen, -2: nothing was."""
        self._torn = np.zeros(0, np.bool_)
        """Whether there are holes."""
        self._holes: dict[int, list[tuple[int, int]]] = {}

    def add(self, owner: Rows, segments: Segments) -> tuple[Rows, Rows, Rows]:
        """Takes segments with the rows that own them; answers the owner of each retransmission, of each gap, and of
        each segment that fills one.
        """
        self._grow(int(owner.max()) + 1)
        order = np.argsort(owner << 32 | segments.rows)
        owner, sequence, length = owner[order], segments.sequence[order], segments.length[order]
        fresh = self._fresh(owner, sequence, segments.syn[order])
        runs = self._runs(owner, sequence, length, fresh)
        gap = runs.begin > runs.before
        again = runs.begin + length <= runs.before
        late = self._holes_filled(runs, gap, sequence, length)
        self._keep(runs, sequence)
        return owner[again & ~late], owner[gap], owner[late]

    def _grow(self, size: int) -> None:
        lacking = size - len(self._next)
        if lacking > 0:
            lacking += size // 2
            self._next = np.concatenate([self._next, np.zeros(lacking, np.int64)])
            self._torn = np.concatenate([self._torn, np.zeros(lacking, np.bool_)])
            self._syn = np.concatenate([self._syn, np.full(lacking, -2, np.int64)])

    def _fresh(self, owner: Rows, sequence: Counter, syn: Mask) -> Mask:
        """SYNs that begin a connection; keeps the last SYN of each owner."""
        fresh = np.zeros(len(owner), np.bool_)
        places = syn.nonzero()[0]
        if len(places):
            owners, numbers = owner[places], sequence[places]
            known = self._syn[owners]
            same = owners[1:] == owners[:-1]
            known[1:][same] = numbers[:-1][same]
            fresh[places] = numbers != known
            last = np.append(owners[1:] != owners[:-1], True)
            self._new_syn = owners[last], numbers[last]
        else:
            self._new_syn = owner[:0], sequence[:0]
        return fresh

    def _runs(self, owner: Rows, sequence: Counter, length: Counter, fresh: Mask) -> _Runs:
        first = np.ones(len(owner), np.bool_)
        first[1:] = owner[1:] != owner[:-1]
        start = first | fresh
        starts = start.nonzero()[0]
        number = np.cumsum(start) - 1
        heads = owner[starts]
        carried = ~fresh[starts] & (self._syn[heads] != -2)
        step = np.zeros(len(owner), np.int64)
        step[1:] = sequence[1:] - sequence[:-1]
        step[starts] = np.where(carried, sequence[starts] - self._next[heads], 0)
        # The shorter way round: a step of more than 2^31 ahead is one back (RFC 9293 section 3.4).
        step = (step + (1 << 31) & MODULUS) - (1 << 31)
        walked = np.cumsum(step)
        begin = walked - (walked[starts] - step[starts])[number]
        end = begin + length
        # A running maximum of each run at once: runs are moved apart, so that each lies above those before it.
        low = np.minimum(np.minimum.reduceat(end, starts), 0)
        highest = np.maximum(np.maximum.reduceat(end, starts), 0)
        span = highest - low + 1
        shift = (np.cumsum(span) - span - low)[number]
        reached = np.maximum.accumulate(end + shift)
        before = shift.copy()
        before[1:] = np.maximum(reached[:-1], shift[1:])
        return _Runs(owner, starts, number, carried, begin, before - shift, highest)

    def _holes_filled(self, runs: _Runs, gap: Mask, sequence: Counter, length: Counter) -> Mask:
        """Which segments fill holes. Only what is out of order in sequences with holes is looked at one by one."""
        late = np.zeros(len(gap), np.bool_)
        torn = np.zeros(len(runs.starts), np.bool_)
        torn[runs.number[gap]] = True
        heads = runs.owner[runs.starts]
        torn |= self._torn[heads] & runs.carried
        events = (torn[runs.number] & (runs.begin != runs.before)).nonzero()[0]
        ahead = (runs.begin - runs.before)[events].tolist()
        holes: dict[int, list[tuple[int, int]]] = {
            run: self._holes.get(int(heads[run]), []) if runs.carried[run] else [] for run in torn.nonzero()[0].tolist()
        }
        for event, run, distance in zip(events.tolist(), runs.number[events].tolist(), ahead, strict=True):
            begin = int(sequence[event])
            if distance > 0:
                holes[run].append((begin - distance & MODULUS, begin))
                del holes[run][:-MOST_HOLES]
            else:
                late[event] = _fill(holes[run], begin, int(length[event]))
        last = np.append(heads[1:] != heads[:-1], True)
        for run, owner in zip(last.nonzero()[0].tolist(), heads[last].tolist(), strict=True):
            if holes.get(run):
                self._holes[owner] = holes[run]
                self._torn[owner] = True
            elif self._torn[owner] and (run in holes or not runs.carried[run]):
                del self._holes[owner]
                self._torn[owner] = False
        return late

    def _keep(self, runs: _Runs, sequence: Counter) -> None:
        heads = runs.owner[runs.starts]
        origin = sequence[runs.starts] - runs.begin[runs.starts]
        # Of several runs of one owner numpy keeps the last.
        self._next[heads] = origin + runs.highest & MODULUS
        self._syn[heads] = np.maximum(self._syn[heads], -1)
        owners, numbers = self._new_syn
        self._syn[owners] = numbers


def _fill(holes: list[tuple[int, int]], begin: int, length: int) -> bool:
    """Takes a segment out of the holes; whether it filled any."""
    filled = False
    left: list[tuple[int, int]] = []
    for low, high in holes:
        # Distances from the segment's begin, the shorter way round.
        below = (low - begin + (1 << 31) & MODULUS) - (1 << 31)
        above = (high - begin + (1 << 31) & MODULUS) - (1 << 31)
        if below >= length or above <= 0:
            left.append((low, high))
            continue
        filled = True
        if below < 0:
            left.append((low, begin))
        if above > length:
            left.append((begin + length & MODULUS, high))
    holes[:] = left
    return filled
