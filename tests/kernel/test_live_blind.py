"""Faults localised by the packet alone: what was seen is laid beside the prediction of a healthy lab.

So nothing that knows of the fault takes part. The tap that saw the packet last must be the last one before the drop
that the trace of the broken lab predicts.
"""

from __future__ import annotations

from typing import Any

import pytest

import netfs
import netfs.lab
from netfs.capture import live
from netfs.capture.compare.ground import Key, key_of
from netfs.capture.compare.points import expected
from netfs.capture.wish import Wish
from netfs.cluster.topology import Topology
from netfs.lab import faults
from netfs.lab.state import LabState
from netfs.model.live import LOST, OTHER_PATH, UNHEARD
from netfs.model.trace import DELIVERED, DROPPED, Direction
from netfs.sources.reach import reach
from tests.kernel.test_fault_oracle import HEADERS, UNDECIDED, addressed, lab

__all__ = ["lab"]

OF_BROKEN_LABS = frozenset({"address-outside-pod-cidr", "nodeport-not-local-address"})
"""Faults whose probe goes to an address that nobody has in a healthy lab."""
LOSING = sorted(
    slug for slug, fault in faults.catalogue().items() if fault.lost and slug not in UNDECIDED | OF_BROKEN_LABS
)
SAMPLE = frozenset(
    {
        "accept-local-needed",
        "bridge-fdb-stale",
        "bridge-nf-off",
        "firewall-rule-drops",
        "ipv6-forwarding-off",
        "mac-duplicate",
        "mtu-underlay-mismatch",
        "neighbour-wrong-mac",
        "route-asymmetric",
        "route-default-missing",
        "route-loop",
        "service-rules-missing",
        "service-target-port-closed",
        "underlay-drops-vxlan",
        "vxlan-fdb-wrong-dst",
        "vxlan-vni-mismatch",
    }
)
"""Played in every run, the others in long ones: ways that end early and late, there and back, and other ways."""


def question(lab: LabState, slug: str) -> tuple[str, str, dict[str, Any]]:
    """Source, destination and request of a fault's probe."""
    fault = faults.catalogue()[slug]
    sent = fault.probe
    size = None
    if sent.proto != "tcp":
        size = sent.size + HEADERS[sent.proto] + (40 if sent.family == 6 else 20)
    named = sent.dst if sent.address is None and sent.dst != lab.fabric.name else addressed(lab, fault)
    asked = {"proto": sent.proto, "port": sent.port, "sport": sent.sport, "size": size, "family": sent.family}
    return sent.src, named, asked


@pytest.mark.parametrize(
    "slug", [slug if slug in SAMPLE else pytest.param(slug, marks=pytest.mark.soak) for slug in LOSING]
)
def test_the_last_tap_that_saw_it_is_the_last_before_the_drop(lab: LabState, slug: str) -> None:
    src, dst, asked = question(lab, slug)
    healthy = netfs.load(f"lab:{lab.name}").trace(src, dst, **asked)
    assert healthy.verdict == DELIVERED
    netfs.lab.break_fault(lab.name, slug)
    cluster = netfs.load(f"lab:{lab.name}")
    broken = cluster.trace(src, dst, **asked)
    packet = healthy.forward.hops[0].packet
    reaches = reach(cluster.snapshots, cluster.uris)
    answer = live.run(cluster.topology, reaches, healthy, packet, Wish(wait_s=0.4)).trace
    assert answer.live is not None
    there = broken.forward.verdict == DROPPED
    way, direction = (answer.live.forward, broken.forward) if there else (answer.live.reverse, broken.reverse)
    assert there or answer.live.forward.arrived
    if there and way.arrived:
        assert refused(direction)
        assert any("reset" in note for note in answer.live.notes), answer.live
        return
    assert not way.arrived or way.verdict == OTHER_PATH  # an answer that was not translated back is none
    assert way.verdict in (LOST, OTHER_PATH, UNHEARD), way
    if way.verdict == LOST:
        assert (way.last and key_of(way.last)) in ends(cluster.topology, direction), way


def refused(direction: Direction) -> bool:
    """Whether it comes to the end of its way, and is not taken in."""
    last = direction.hops[-1] if direction.hops else None
    return last is not None and last.stage == "deliver" and direction.drop is not None


def ends(topology: Topology, direction: Direction) -> set[Key | None]:
    """The last taps that see a packet by any way of a direction; None: it is lost before any does.

    Where frames are flooded to whom they are not for, that is every port of the bridge and what is behind it.
    """
    found: set[Key | None] = set()
    for way in (direction, *direction.branches):
        points = expected(topology, way)
        sure = [point.key for point in points if point.sure]
        found |= {points[-1].key, *sure[-1:]} if points else {None}
        if way.drop is not None and way.drop.reason == "OTHERHOST":
            bridge = next(view for view in topology.views.values() if view.netns.id == points[-1].tap.netns_id)
            for link in bridge.ports.get(points[-1].tap.index, ()):
                far = topology.peer(bridge, link)
                found |= {(bridge.node.name, bridge.netns.id, link.index)}
                found |= {(far.view.node.name, far.view.netns.id, far.link.index)} if far is not None else set()
    return found
