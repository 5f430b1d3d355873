"""Which taps a predicted way leads past. The lists were compared with what taps of a real lab saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from netfs.capture.compare.ground import link_of, view_of
from netfs.capture.compare.points import Point, expected
from netfs.cluster.topology import Topology
from netfs.datapath.stages import STAGES
from netfs.model.address import FdbEntry
from netfs.model.trace import Direction, Trace
from tests.conformance.agreement import Probe, traced
from tests.unit import clusters, live_worlds
from tests.unit.live_worlds import World, broken, healthy, machines, web
from tests.unit.test_recorded_worlds import CASES, cluster


def told(points: tuple[Point, ...]) -> list[str]:
    """``node1/cni0 in``; in brackets where a tap may well not see it."""
    return [f"{p.tap.name} {p.way}" if p.sure else f"({p.tap.name} {p.way})" for p in points]


def test_over_a_tunnel_the_inner_packet_the_outer_one_and_the_inner_one_again() -> None:
    there = healthy().there
    assert told(there) == [
        "node1/pod-a/eth0 out",
        "node1/veth1x1 in",
        "node1/cni0 in",
        "node1/flannel.1 out",
        "node1/eth0 out",
        "fabric/port1 in",
        "fabric/port2 out",
        "node2/eth0 in",
        "node2/flannel.1 in",
        "node2/cni0 out",
        "node2/veth2x1 out",
        "node2/pod-b/eth0 in",
    ]
    assert [p.packet.outer is not None for p in there] == [False] * 4 + [True] * 4 + [False] * 4
    assert [p.packet.ttl for p in there] == [64, 64, 64, 63, 63, 63, 63, 63, 63, 62, 62, 62]


def test_behind_one_bridge_the_bridge_device_sees_nothing() -> None:
    assert told(healthy("pod-a", "pod-c").there) == [
        "node1/pod-a/eth0 out",
        "node1/veth1x1 in",
        "node1/veth1x2 out",
        "node1/pod-c/eth0 in",
    ]


def test_loopback_sees_a_packet_go_and_come() -> None:
    assert told(healthy("pod-a", "pod-a").there) == ["node1/pod-a/lo out", "node1/pod-a/lo in"]


def test_a_node_hands_its_own_packet_to_the_tunnel_first() -> None:
    assert told(healthy("node/node1", "pod-b").there)[:2] == ["node1/flannel.1 out", "node1/eth0 out"]


def test_to_a_node_it_ends_at_the_nodes_device() -> None:
    assert told(healthy("pod-a", "node/node1").there) == [
        "node1/pod-a/eth0 out",
        "node1/veth1x1 in",
        "node1/cni0 in",
    ]


def test_over_a_wire_between_machines_nobody_listens() -> None:
    assert told(machines().there)[4:6] == ["node1/eth0 out", "node2/eth0 in"]


def test_an_arrival_shows_the_packet_as_it_was_before_the_rules_behind_the_tap() -> None:
    there = web("10.244.2.2:80").there
    seen = {p.tap.name: p.packet.dst for p in there}
    assert seen["node1/veth1x1"] == "10.96.0.10"
    assert seen["node1/flannel.1"] == "10.244.2.2"


def test_a_translated_frame_that_is_bridged_on_may_be_handed_to_the_bridge_for_its_mac() -> None:
    world = web("10.244.1.3:80")
    assert told(world.there) == [
        "node1/pod-a/eth0 out",
        "node1/veth1x1 in",
        "(node1/cni0 out)",
        "node1/veth1x2 out",
        "node1/pod-c/eth0 in",
    ]
    assert [p.packet.dst for p in world.there] == ["10.96.0.10"] * 2 + ["10.244.1.3"] * 3


@pytest.mark.parametrize(
    ("changes", "last"),
    [
        ({"pod_a": clusters.no_route("0.0.0.0/0")}, None),
        ({"node1": clusters.conf4("cni0", forwarding=0)}, "node1/cni0 in"),
        ({"node1": clusters.no_fdb(clusters.vtep_mac(2))}, "node1/flannel.1 out"),
        ({"node2": clusters.vxlan("flannel.1", vni=7)}, "node2/eth0 in"),
        ({"node2": clusters.vxlan("flannel.1", port=4789)}, "node2/eth0 in"),
        ({"node2": clusters.port("veth2x1", state=0)}, "node2/flannel.1 in"),
    ],
)
def test_a_drop_ends_the_points_where_the_last_tap_is(changes: dict[str, Any], last: str | None) -> None:
    world = broken(**changes)
    assert world.trace.forward.drop is not None
    assert next(reversed(told(world.there)), None) == last


def test_before_an_xdp_program_no_tap_is_sure() -> None:
    world = broken(node2=clusters.link("flannel.1", xdp=True))
    assert told(world.there)[-1] == "(node2/flannel.1 in)"


def test_a_frame_that_circles_is_seen_at_the_port_where_it_came_back() -> None:
    way = healthy().trace.forward
    cut = replace(way, verdict="dropped", hops=way.hops[:3])
    assert told(expected(healthy().topology, cut)) == ["node1/pod-a/eth0 out", "(node1/veth1x1 in)"]


def test_a_topology_that_knows_nothing_gives_points_without_devices() -> None:
    way = healthy().trace.forward
    points = expected(Topology([]), way)
    assert points
    assert {p.tap.index for p in points} == {0}


@cache
def pool() -> list[tuple[str, Topology, Trace]]:
    """Traces of every kind."""
    worlds: dict[str, World] = {
        "lab": healthy(),
        "same node": healthy("pod-a", "pod-c"),
        "itself": healthy("pod-a", "pod-a"),
        "machines": machines(),
        "service": web("10.244.1.3:80", "10.244.2.2:80"),
        "hairpin": web("10.244.1.2:80"),
        "flooded": broken(node2=clusters.no_fdb("02:42:00:02:01:02")),
        "wrong tunnel end": broken(node1=clusters.fdb(clusters.vtep_mac(2), dst="192.168.52.99")),
        "poisoned": broken(node2=clusters.add(fdb=[FdbEntry(12, "02:42:00:02:01:02", master=3)])),
    }
    found = [(name, world.topology, world.trace) for name, world in worlds.items()]
    for case in CASES:
        name, probe, _ = case.values
        assert isinstance(name, str)
        assert isinstance(probe, Probe)
        found.append((str(case.id), cluster(name).topology, traced(cluster(name), probe)))
    return found


def every_way() -> Iterator[tuple[str, Topology, Direction]]:
    for name, topology, answer in pool():
        for way in live_worlds.ways(answer):
            yield name, topology, way


def test_what_leaves_by_a_veth_comes_in_by_its_peer() -> None:
    compared = 0
    for name, topology, way in every_way():
        points = expected(topology, way)
        for index, point in enumerate(points):
            link, view = link_of(topology, point.tap), view_of(topology, point.tap.node, point.tap.netns_id)
            assert link is not None, name
            assert view is not None, name
            peer = topology.peer(view, link) if point.way == "out" else None
            if peer is None or way.hops[-1].index in point.hops:
                continue
            after = points[index + 1]
            assert after.way == "in", name
            assert after.key == (peer.view.node.name, peer.view.netns.id, peer.link.index), name
            compared += 1
    assert compared > 500


def test_every_hop_with_a_tap_shows_one_sighting_unless_the_frame_comes_to_a_bridge_again() -> None:
    for name, topology, way in every_way():
        shown = Counter(index for point in expected(topology, way) for index in point.shown)
        assert set(shown.values()) <= {1}, name
        for before, hop in zip((None, *way.hops), way.hops, strict=False):
            stage = STAGES[hop.stage]
            again = hop.stage == "bridge" and before is not None and before.stage == "neighbour"
            if stage.tap is not None and not again and not (before is not None and before.stage == hop.stage):
                assert hop.index in shown, (name, hop)


def test_the_hops_of_the_points_are_in_order() -> None:
    for name, topology, way in every_way():
        indexes = [index for point in expected(topology, way) for index in point.hops]
        assert indexes == sorted(indexes), name
