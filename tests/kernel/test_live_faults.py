"""Every fault that loses packets, seen live: the packet is lost where the trace says, and where the kernel says.

The same lab, fault and probe as in ``test_fault_oracle``; here the trace itself sends the packet.
"""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

import netfs
import netfs.lab
from netfs.api import Cluster
from netfs.capture.wish import Wish
from netfs.datapath.reasons import documented
from netfs.lab import faults
from netfs.lab.state import LabState
from netfs.model.live import LiveWay
from netfs.model.trace import DELIVERED, DROPPED, Direction, Drop, Trace
from tests.kernel.test_fault_oracle import HEADERS, UNDECIDED, addressed, lab

__all__ = ["lab"]

LOSING = sorted(slug for slug, fault in faults.catalogue().items() if fault.lost and slug not in UNDECIDED)
PLAYED = LOSING if os.geteuid() == 0 else LOSING[::3]
"""An ordinary user is told nothing by the kernel, and all else is as root sees it."""
NAMELESS = {
    "bridge-port-blocked": "br_dev_xmit",
    "ipv6-disabled": "neigh_invalidate, called for IPv6",
    "mtu-mismatch-veth": "__dev_forward_skb2",
    "mtu-underlay-mismatch": "__dev_forward_skb2",
    "route-blackhole": "ip_error",
    "vxlan-df-too-big": "ip_fragment",
}
"""Drops to which the kernel gives no reason of their own (NOT_SPECIFIED), and the function."""
UNTOLD = {
    "masquerade-missing": "its route is looked up before there is a packet",
    "route-default-missing": "its route is looked up before there is a packet",
}
"""Drops of which the kernel says nothing."""


def watched(lab: LabState, slug: str, wait_s: float = 0.4) -> Trace:
    """The live trace of a fault's probe."""
    sent = faults.catalogue()[slug].probe
    size = None
    if sent.proto != "tcp":
        size = sent.size + HEADERS[sent.proto] + (40 if sent.family == 6 else 20)
    named = (
        sent.dst if sent.address is None and sent.dst != lab.fabric.name else addressed(lab, faults.catalogue()[slug])
    )
    return netfs.load(f"lab:{lab.name}").trace(
        sent.src,
        named,
        proto=sent.proto,
        port=sent.port,
        sport=sent.sport,
        size=size,
        family=sent.family,
        live=Wish(wait_s=wait_s),
    )


@pytest.mark.parametrize("slug", PLAYED)
def test_the_packet_is_lost_at_the_hop_that_the_trace_names(lab: LabState, slug: str) -> None:
    netfs.lab.break_fault(lab.name, slug)
    answer = watched(lab, slug)
    assert answer.live is not None
    assert answer.verdict == DROPPED
    for direction, way in ((answer.forward, answer.live.forward), (answer.reverse, answer.live.reverse)):
        if direction.verdict == DROPPED:
            drop = as_predicted(direction, way)
            if answer.live.unheard is None:
                as_the_kernel_says(slug, drop)
            break
        assert way.arrived == way.sent == 1, way


def as_predicted(direction: Direction, way: LiveWay) -> Drop:
    """Nobody saw the packet behind the predicted drop; the last tap that did is the last one before it."""
    taken = direction if way.branch == 0 else direction.branches[way.branch - 1]
    assert taken.drop is not None
    assert way.verdict == "agrees", (way, taken.drop)
    assert way.arrived == 0
    if way.sent:
        assert taken.drop.index in way.hops
    return taken.drop


def as_the_kernel_says(slug: str, drop: Drop) -> None:
    """The kernel gives the reason that was predicted. For want of a neighbour other tests lose packets as well, whose
    word it may be: then none is told.
    """
    if slug in UNTOLD:
        assert drop.kernel is None
        return
    if drop.reason == "NEIGH_FAILED" and drop.kernel is None:
        return
    assert drop.kernel is not None
    if drop.kernel.reason != drop.reason:
        assert slug in NAMELESS
        assert drop.kernel.reason == "NOT_SPECIFIED"
        assert documented(drop.reason, drop.kernel.reason, drop.kernel.location)


def test_where_the_network_between_nodes_is_not_seen_a_plain_ping_tells_what_it_drops(lab: LabState) -> None:
    """`underlay-drops-vxlan` as real clusters have it: nobody can look into the network between the nodes."""
    netfs.lab.break_fault(lab.name, "underlay-drops-vxlan")
    whole = netfs.load(f"lab:{lab.name}")
    cluster = Cluster(replace(whole.snapshots, nodes=whole.nodes), whole.uris)
    answer = cluster.trace("pod-a", "pod-b", live=Wish(wait_s=0.4))
    assert answer.live is not None
    assert answer.forward.verdict == DELIVERED  # nothing that was read drops it
    assert answer.live.forward.verdict == "lost"
    assert [tap and tap.name for tap in (answer.live.forward.last, answer.live.forward.next)] == [
        "node1/eth0",
        "node2/eth0",
    ]
    (finding,) = [one for one in answer.findings if one.slug == "underlay-drops-vxlan"]
    assert finding.evidence.endswith("a plain ping from node1 to node2 arrives")
