"""Clocks of different kernels, laid on one by the packets that went between them.

A packet arrives after it left. So one that went from A to B bounds how far B's clock is ahead from above, one from B to
A from below: the truth lies between, and the middle is off by half of that at most. For one packet there and one back
this is RFC 5905 section 8: offset ((T2 - T1) + (T3 - T4)) / 2, delay (T4 - T1) - (T3 - T2). Of several probes the
tightest bounds count, those of least delay; bounds add up along A, B, C. All is a system of difference constraints,
whose tightest bounds are shortest paths (Bellman, Floyd).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf

from netfs.model.live import Clock


@dataclass(frozen=True, slots=True)
class Tick:
    """One packet at one moment, by one kernel's clock."""

    kernel: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """How far a clock is ahead of the reference: ``offset_ns`` plus or minus ``uncertainty_ns``."""

    offset_ns: float
    uncertainty_ns: float


@dataclass(frozen=True, slots=True)
class Clocks:
    """The clocks of every kernel beside that of the reference."""

    reference: str
    estimates: Mapping[str, Estimate] = field(default_factory=dict)

    def since_us(self, start: Tick, end: Tick) -> float | None:
        """Microseconds from one tick to another; None where the clocks do not tell, never negative.

        By one clock, what is negative is the noise of taps: 0.
        """
        if start.kernel == end.kernel:
            return max(0, end.at_ns - start.at_ns) / 1000
        first, last = self.offset_ns(start.kernel), self.offset_ns(end.kernel)
        if first is None or last is None:
            return None
        between = (end.at_ns - start.at_ns - (last - first)) / 1000
        return round(between, 3) if between >= 0 else None

    def offset_ns(self, kernel: str) -> float | None:
        """How far a clock is ahead of the reference; None: not known."""
        if kernel == self.reference:
            return 0.0
        found = self.estimates.get(kernel)
        return None if found is None else found.offset_ns

    def of(self, node: str, kernel: str) -> Clock:
        """A node's clock, as a live trace tells it."""
        found = self.estimates.get(kernel)
        if found is None:
            return Clock(node, None, 0.0)
        return Clock(node, found.offset_ns / 1000, found.uncertainty_ns / 1000)


def estimate(reference: str, journeys: Sequence[Sequence[Tick]]) -> Clocks:
    """The clocks, from journeys of packets in the order in which they set out: each the moments of one packet, in the
    order in which it passed them.

    A kernel that packets went to and did not come back from has no estimate. Clocks that drift apart while the probes
    go contradict themselves in the end: then the earlier half is asked alone.
    """
    bounds = _tightest(_bounds(journeys))
    estimates: dict[str, Estimate] = {}
    contradicted = False
    for kernel in sorted({kernel for pair in bounds for kernel in pair} - {reference}):
        most, least = bounds.get((reference, kernel), inf), -bounds.get((kernel, reference), inf)
        if -inf < least <= most < inf:
            estimates[kernel] = Estimate((most + least) / 2, (most - least) / 2)
        contradicted = contradicted or least > most
    if contradicted and len(journeys) > 1:
        return estimate(reference, journeys[: len(journeys) // 2])
    return Clocks(reference, estimates)


def _bounds(journeys: Iterable[Sequence[Tick]]) -> dict[tuple[str, str], float]:
    """By (A, B): B's clock is ahead of A's by at most so many nanoseconds."""
    bounds: dict[tuple[str, str], float] = {}
    for journey in journeys:
        for sent, got in pairwise(journey):
            if sent.kernel != got.kernel:
                pair = sent.kernel, got.kernel
                bounds[pair] = min(bounds.get(pair, inf), got.at_ns - sent.at_ns)
    return bounds


def _tightest(bounds: dict[tuple[str, str], float]) -> dict[tuple[str, str], float]:
    """The bounds that follow from all of them."""
    kernels = sorted({kernel for pair in bounds for kernel in pair})
    tight = dict(bounds)
    for middle in kernels:
        for one in kernels:
            for other in kernels:
                way = tight.get((one, middle), inf) + tight.get((middle, other), inf)
                if one != other and way < tight.get((one, other), inf):
                    tight[one, other] = way
    return tight
