"""What was not read leaves the verdict open, and says what is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netfs.cluster.endpoint import resolve
from netfs.cluster.topology import Topology
from netfs.datapath import request, trace
from netfs.model.gaps import Gap
from tests.unit import clusters


@pytest.mark.parametrize("what", ["routes", "rules", "links", "addresses", "xfrm", "nft", "iptables_legacy"])
def test_a_gap_in_what_decides_makes_the_verdict_unknown(what: str) -> None:
    """node2's state was not read: the trace goes to node2 and no further."""
    snapshots = [
        replace(one, gaps=(Gap("node2", what, "Permission denied", one.netns),)) if one.name == "node2" else one
        for one in clusters.cluster(2, 2)
    ]
    topology = Topology(snapshots)
    answer = trace(topology, resolve(topology, "pod-a"), resolve(topology, "pod-b"), request())
    assert answer.verdict == "unknown"
    assert "Permission denied" in (answer.forward.unknown or "")
    assert answer.gaps == snapshots[1].gaps


def test_a_gap_elsewhere_changes_nothing() -> None:
    """What could not be read of another pod is no matter."""
    snapshots = [
        replace(one, gaps=(Gap("node2/pod-d", "routes", "gone", one.pods[1].netns),)) if one.name == "node2" else one
        for one in clusters.cluster(2, 2)
    ]
    topology = Topology(snapshots)
    assert trace(topology, resolve(topology, "pod-a"), resolve(topology, "pod-b"), request()).verdict == "delivered"
