"""Fragments have no ports: they are of the flow of the fragment that begins their datagram, where that was captured."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from netfs.capture.flows.columns import Rows, Words
from netfs.capture.flows.dissection import Counter, Dissection, Pieces
from netfs.capture.flows.keys import FIRST, LEVELS, ROW

Profiles: TypeAlias = NDArray[np.int64]
"""For each packet what tells its flow: the words of its key but the tap, outer source ports, the innermost level."""
_SPORTS = ROW
_DEPTH = ROW + LEVELS
_WIDTH = _DEPTH + 1
MOST = 16384
"""Datagrams that are remembered, and at most as many older ones."""


class Datagrams:
    """First fragments of all chunks so far.

    A fragment is of the newest datagram of its identity that began before it; else of the first that begins behind it,
    within its chunk. Else it is of the flow that has its addresses and no ports.
    """

    def __init__(self) -> None:
        self._young: dict[int, Profiles] = {}
        self._old: dict[int, Profiles] = {}

    def resolve(self, d: Dissection) -> None:
        """Gives fragments of this chunk the key of their first one.

        Innermost levels come first, since the first fragment of an outer packet may hold a fragment of an inner one.
        """
        for level in sorted({pieces.level for pieces in (*d.firsts, *d.rests)}, reverse=True):
            rests = _joined(d.rests, level)
            firsts = _joined(d.firsts, level)
            finished = d.depth[firsts.rows] >= 0
            firsts = Pieces(level, firsts.rows[finished], firsts.datagram[finished])
            profiles = _profiles(d, firsts.rows)
            if len(rests.rows):
                self._assign(d, firsts, profiles, rests)
            self._remember(firsts.datagram, profiles)

    def _assign(self, d: Dissection, firsts: Pieces, profiles: Profiles, rests: Pieces) -> None:
        before, behind = _neighbours(firsts, rests)
        for index in (before < 0).nonzero()[0].tolist():
            datagram = int(rests.datagram[index])
            profile = self._young.get(datagram)
            profile = self._old.get(datagram) if profile is None else profile
            if profile is not None:
                _assume(d, rests.level, rests.rows[index : index + 1], profile[None, :])
                behind[index] = -1
        chosen = np.where(before >= 0, before, behind)
        told = chosen >= 0
        _assume(d, rests.level, rests.rows[told], profiles[chosen[told]])

    def _remember(self, datagrams: Words, profiles: Profiles) -> None:
        self._young.update(zip(datagrams.tolist(), profiles, strict=True))
        if len(self._young) > MOST:
            self._old = dict(list(self._young.items())[-MOST:])
            self._young = {}


def _joined(parts: list[Pieces], level: int) -> Pieces:
    chosen = [part for part in parts if part.level == level]
    if not chosen:
        return Pieces(level, np.zeros(0, np.int64), np.zeros(0, np.uint64))
    return Pieces(
        level, np.concatenate([part.rows for part in chosen]), np.concatenate([part.datagram for part in chosen])
    )


def _neighbours(firsts: Pieces, rests: Pieces) -> tuple[Rows, Rows]:
    """For each of ``rests``, indexes into ``firsts`` of its datagram: the last before it, the next behind it; or -1."""
    count = len(firsts.rows)
    rows = np.concatenate([firsts.rows, rests.rows])
    datagram = np.concatenate([firsts.datagram, rests.datagram])
    order = np.lexsort((rows, datagram))
    datagram = datagram[order]
    first = order < count
    place = np.arange(len(order))
    answers = []
    for found in (
        np.maximum.accumulate(np.where(first, place, -1)),
        np.minimum.accumulate(np.where(first, place, len(order))[::-1])[::-1],
    ):
        inside = (found >= 0) & (found < len(order))
        nearest = np.where(inside, found, 0)
        same = inside & (datagram[nearest] == datagram)
        answer = np.empty(len(order), np.int64)
        answer[order] = np.where(same, order[nearest], -1)
        answers.append(answer[count:])
    return answers[0], answers[1]


def _profiles(d: Dissection, rows: Rows) -> Profiles:
    profiles: Profiles = np.zeros((len(rows), _WIDTH), np.int64)
    for number, column in d.words.items():
        if number >= FIRST:
            profiles[:, number] = column[rows].view(np.int64)
    profiles[:, _SPORTS:_DEPTH] = -1
    for level, ports in d.sports.items():
        profiles[:, _SPORTS + level] = ports[rows]
    profiles[:, _DEPTH] = d.depth[rows]
    return profiles


def _assume(d: Dissection, level: int, rows: Rows, profiles: Profiles) -> None:
    """Makes these packets as those of the profiles."""
    for number in range(FIRST, ROW):
        values = profiles[:, number]
        if number in d.words or values.any():
            d.put(0, number - FIRST, rows, values.view(np.uint64))
    for tunnel in range(LEVELS):
        ports = profiles[:, _SPORTS + tunnel]
        if (ports >= 0).any():
            d.sport(tunnel, rows, ports)
    depth: Counter = profiles[:, _DEPTH]
    d.depth[rows] = depth
    # What was read is the TTL of the fragmented packet; that of a packet inside it is not known.
    d.ttl[rows[depth > level]] = -1
