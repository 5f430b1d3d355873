"""What was seen, on the hops of the way that was taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from netfs.capture.compare.ground import Key
from netfs.capture.compare.points import Point
from netfs.capture.compare.times import Times
from netfs.capture.compare.verdict import Judged
from netfs.model.live import AGREES, Observation, Sighting
from netfs.model.trace import Direction, KernelDrop


def observed(direction: Direction, judged: Judged, there: Judged, listening: frozenset[Key], clock: Times) -> Direction:
    """The direction with ``Hop.observed`` and ``Drop.kernel`` on the way that was taken, be it itself or a branch.

    Times count from the first tap that saw the probe on its way ``there``, those of its answer as well.
    """
    course = judged.course
    if course is None:
        return direction
    starts = _starts(there)
    found: dict[int, Observation] = {}
    for index, point in enumerate(course.points):
        observation = _observation(index, point, judged, starts, listening, clock)
        if observation is not None:
            found |= dict.fromkeys(point.shown, observation)
    hops = tuple(replace(hop, observed=found[hop.index]) if hop.index in found else hop for hop in course.way.hops)
    drop = course.way.drop
    if drop is not None and judged.word is not None and judged.way.verdict == AGREES:
        drop = replace(drop, kernel=KernelDrop(judged.word.reason, judged.word.location))
    taken = replace(course.way, hops=hops, drop=drop)
    if course.branch == 0:
        return taken
    ways = list(direction.branches)
    ways[course.branch - 1] = replace(taken, branches=ways[course.branch - 1].branches)
    return replace(direction, branches=tuple(ways))


def _starts(there: Judged) -> Mapping[int, Sighting]:
    """The first sighting of each probe on its way."""
    firsts = {one.number: next((seen for seen in one.run.found if seen is not None), None) for one in there.fates}
    return {number: first for number, first in firsts.items() if first is not None}


def _observation(
    index: int,
    point: Point,
    judged: Judged,
    starts: Mapping[int, Sighting],
    listening: frozenset[Key],
    clock: Times,
) -> Observation | None:
    """What the tap saw, with the time of the first probe that it saw; None: it does not tell."""
    ones = {one.number: seen for one in judged.fates if (seen := one.run.found[index]) is not None}
    if not ones:
        return Observation(seen=False) if point.key in listening and point.sure else None
    number = min(ones)
    first, start = ones[number], starts.get(number)
    at_us = None if start is None else clock.between(start, first)
    return Observation(True, at_us, first.packet.outer, len(ones))
