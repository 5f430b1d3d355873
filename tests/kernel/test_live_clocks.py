"""Clocks of two machines, of which one is simulated: real sightings of a lab, those of one node by a clock that is
ahead or behind and runs at another speed.

The estimate must hold the true offset, and no time may be negative, or out of order by more than it is uncertain.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netfs
import netfs.lab
from netfs.api import Cluster
from netfs.capture import live
from netfs.capture.compare.compare import compare
from netfs.capture.seen import Seen
from netfs.capture.wish import Wish
from netfs.cluster.topology import Topology
from netfs.model.live import Clock, Sighting
from netfs.model.snapshot import Snapshots
from netfs.model.trace import DELIVERED, Direction, Trace

COUNT = 8
S = 1_000_000_000
ROUNDING_US = 0.002
"""Times are told in thousandths of a microsecond."""


@dataclass(frozen=True)
class Watched:
    """A live trace from pod-a on node1 to pod-b on node2, what was seen, and the cluster with two kernels."""

    told: Trace
    seen: Seen
    apart: Cluster

    @property
    def began_ns(self) -> int:
        return min(one.at_ns for one in self.seen.sightings)

    @property
    def took_ns(self) -> int:
        return max(one.at_ns for one in self.seen.sightings) - self.began_ns

    def shifted(self, offset_ns: int, drift: float, node: str = "node2") -> Seen:
        """What would have been seen if the clock of a node were so far ahead, and gained so much a second."""

        def by_its_clock(one: Sighting) -> Sighting:
            if one.tap.node != node:
                return one
            return replace(one, at_ns=one.at_ns + offset_ns + round(drift * (one.at_ns - self.began_ns)))

        return replace(self.seen, sightings=tuple(map(by_its_clock, self.seen.sightings)))

    def compared(self, seen: Seen) -> Trace:
        return compare(self.apart.topology, self.apart.trace("pod-a", "pod-b"), seen)


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    name = f"clocks-{os.getpid()}"
    netfs.lab.up(name)
    try:
        whole = netfs.load(f"lab:{name}")
        # Machines have no namespace between them that could be read.
        nodes = replace(whole.snapshots, nodes=whole.nodes)
        with pytest.MonkeyPatch.context() as patch:
            kept: list[Seen] = []

            def keeping(topology: Topology, trace: Trace, seen: Seen, marker: str = "") -> Trace:
                kept.append(seen)
                return compare(topology, trace, seen, marker)

            patch.setattr(live, "compare", keeping)
            told = Cluster(nodes, whole.uris).trace("pod-a", "pod-b", live=Wish(count=COUNT, interval_s=0.03))
        (seen,) = kept
        yield Watched(told, seen, Cluster(two_kernels(nodes)))
    finally:
        netfs.lab.down(name)


def two_kernels(snapshots: Snapshots) -> Snapshots:
    nodes = (replace(node, kernel="another") if node.name == "node2" else node for node in snapshots.nodes)
    return replace(snapshots, nodes=tuple(nodes))


def moments(direction: Direction) -> list[float | None]:
    return [hop.observed.at_us for hop in direction.hops if hop.observed is not None and hop.observed.seen]


def clock(answer: Trace) -> Clock:
    assert answer.live is not None
    (found,) = answer.live.clocks
    assert found.node == "node2"
    return found


def in_order(times: Sequence[float | None], doubt_us: float) -> bool:
    known = [time for time in times if time is not None]
    return all(time >= 0 for time in known) and all(after >= before - doubt_us for before, after in pairwise(known))


def test_by_one_clock_there_is_nothing_to_estimate(watched: Watched) -> None:
    assert watched.told.live is not None
    assert watched.told.live.clocks == ()
    assert watched.told.live.forward.arrived == watched.told.live.reverse.arrived == COUNT
    assert in_order(moments(watched.told.forward) + moments(watched.told.reverse), 0)


@settings(max_examples=100, deadline=None)
@given(offset_ns=st.integers(-10 * S, 10 * S), drift=st.floats(-200e-6, 200e-6))
def test_the_true_offset_lies_within_the_estimate(watched: Watched, offset_ns: int, drift: float) -> None:
    answer = watched.compared(watched.shifted(offset_ns, drift))
    found = clock(answer)
    gained_us = abs(drift) * watched.took_ns / 1000
    """The offset is another one at the end than at the beginning."""
    assert found.offset_us is not None
    assert abs(found.offset_us - offset_ns / 1000) <= found.uncertainty_us + gained_us + ROUNDING_US
    assert answer.live is not None
    assert (answer.live.forward.verdict, answer.live.reverse.verdict) == ("agrees", "agrees")
    assert answer.live.forward.arrived == COUNT
    doubt_us = 2 * found.uncertainty_us + gained_us + ROUNDING_US
    by_one = (*moments(watched.told.forward), *moments(watched.told.reverse))
    by_two = (*moments(answer.forward), *moments(answer.reverse))
    assert len(by_one) == len(by_two)
    assert None not in by_one
    for one, other in zip(by_one, by_two, strict=True):
        assert other is None or (one is not None and abs(one - other) <= doubt_us)
    assert in_order(moments(answer.forward), doubt_us)
    assert in_order(moments(answer.reverse), doubt_us)
    assert answer.live.forward.latency_us is not None
    assert answer.live.forward.latency_us[0] >= 0


def test_without_drift_no_time_is_lost_and_the_uncertainty_is_half_the_way_there_and_back(watched: Watched) -> None:
    answer = watched.compared(watched.shifted(7 * S, 0.0))
    found = clock(answer)
    assert found.offset_us == pytest.approx(7_000_000, abs=found.uncertainty_us + ROUNDING_US)
    assert 0 < found.uncertainty_us < 5_000
    assert None not in moments(answer.forward) + moments(answer.reverse)


def test_the_clock_of_the_source_may_be_the_one_that_is_wrong(watched: Watched) -> None:
    found = clock(watched.compared(watched.shifted(3 * S, 0.0, node="node1")))
    assert found.offset_us == pytest.approx(-3_000_000, abs=found.uncertainty_us + ROUNDING_US)


def test_a_clock_that_is_set_meanwhile_is_taken_as_it_was_before(watched: Watched) -> None:
    set_ns = watched.began_ns + watched.took_ns * 2 // 3
    shifted = watched.shifted(S, 0.0)
    stepped = replace(
        shifted,
        sightings=tuple(
            replace(one, at_ns=one.at_ns + 5 * S) if one.tap.node == "node2" and one.at_ns - S > set_ns else one
            for one in shifted.sightings
        ),
    )
    answer = watched.compared(stepped)
    found = clock(answer)
    assert found.offset_us == pytest.approx(1_000_000, abs=found.uncertainty_us + ROUNDING_US)
    assert in_order(moments(answer.forward), 2 * found.uncertainty_us)


def test_packets_one_way_alone_tell_no_time_across_machines(watched: Watched) -> None:
    shifted = watched.shifted(-2 * S, 0.0)
    there = tuple(one for one in shifted.sightings if one.role == "probe")
    answer = watched.compared(replace(shifted, sightings=there))
    assert clock(answer).offset_us is None
    assert answer.forward.verdict == DELIVERED
    times = {
        node: [hop.observed.at_us for hop in answer.forward.hops if hop.observed is not None and hop.node == node]
        for node in ("node1", "node2")
    }
    assert None not in times["node1"]
    assert set(times["node2"]) == {None}
