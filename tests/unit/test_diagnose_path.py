"""The findings of a trace: what concerns its path, what its drop shows, and nothing of bystanders."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from netfs import diagnose
from netfs.cluster.topology import Topology
from netfs.model.link import LinkStats
from netfs.model.live import Observation
from netfs.model.packet import Encapsulation, Packet
from netfs.model.trace import DELIVERED, DROPPED, Direction, Drop, EndpointRef, Hop, Trace
from tests.unit.clusters import (
    Edit,
    add,
    change,
    cluster,
    conf4,
    link,
    new_address,
    no_fdb,
    no_route,
    port,
    route,
    synthetic_snapshots,
    two_nodes,
    vtep_mac,
)

A, B = EndpointRef("default/pod-a", "node1", "10.244.1.2"), EndpointRef("default/pod-b", "node2", "10.244.2.2")
PACKET = Packet("10.244.1.2", "10.244.2.2")


def _hop(node: str, device: str, **fields: object) -> Hop:
    return Hop(1, node, node, device, "transmit", "forward", "", PACKET, **fields)  # type: ignore[arg-type]


def _trace(drop: Drop | None = None, *hops: Hop, source: EndpointRef = A, destination: EndpointRef = B) -> Trace:
    verdict = DROPPED if drop else DELIVERED
    return Trace(verdict, source, destination, Direction(verdict, hops, drop), Direction(verdict))


def _drop(reason: str, slug: str | None = None, node: str = "node1", device: str = "flannel.1") -> Drop:
    return Drop(3, node, node, device, reason, "why it was lost", "true", slug)


def _slugs(topology: Topology, trace: Trace) -> list[str]:
    return [finding.slug for finding in diagnose.examine_path(topology, trace)]


def test_a_healthy_path_has_no_finding() -> None:
    assert _slugs(two_nodes(), _trace()) == []


def test_the_destinations_pod_is_examined_even_if_the_packet_never_came_there() -> None:
    topology = two_nodes(pod_b=conf4("eth0", arp_ignore=8), node1=no_fdb(vtep_mac(2)))
    found = _slugs(topology, _trace(_drop("NO_TX_TARGET", "vxlan-fdb-missing")))
    assert found == ["vxlan-fdb-missing", "arp-ignored"]


def test_pods_and_nodes_beside_the_path_are_left_out() -> None:
    snapshots = change(cluster(3, 2), "node3", no_fdb(vtep_mac(1)))
    snapshots = change(snapshots, "pod-d", no_route("0.0.0.0/0"))
    topology = Topology(snapshots)
    assert _slugs(topology, _trace()) == []
    assert {finding.slug for finding in diagnose.examine(topology)} == {"vxlan-fdb-missing", "route-default-missing"}


@pytest.mark.parametrize(
    ("edit", "first", "reason"),
    [
        (no_fdb(vtep_mac(2)), "vxlan-fdb-missing", "NO_TX_TARGET"),
        (no_route("10.244.2.0/24"), "route-remote-subnet-missing", "IP_INNOROUTES"),
    ],
)
def test_what_the_drop_says_comes_first_and_is_not_repeated(edit: Edit, first: str, reason: str) -> None:
    topology = two_nodes(node1=[edit, add(routes=[route("10.244.2.2/32", type="blackhole")])])
    assert _slugs(topology, _trace(_drop(reason, first))) == [first, "route-blackhole"]


def test_a_drop_in_a_network_without_pods_is_told_as_the_datapath_tells_it() -> None:
    finding = diagnose.examine_path(two_nodes(), _trace(_drop("IP_RPFILTER", None, "node2", "eth0")))[0]
    assert (finding.slug, finding.object, finding.fix) == ("rp-filter-strict", "node2/eth0", "true")


def test_a_generic_drop_is_a_consequence_of_what_state_shows() -> None:
    topology = two_nodes(node2=port("veth2x1", state=4))
    assert _slugs(topology, _trace(_drop("NEIGH_FAILED", None, "node2", "cni0"))) == ["bridge-port-blocked"]


def test_an_endpoints_doubled_address_is_told() -> None:
    assert _slugs(two_nodes(node2=new_address("lo", "10.244.1.2/32")), _trace()) == ["accept-local-needed"]


def test_a_tunnelled_probe_that_left_and_never_came() -> None:
    outer = Encapsulation("vxlan", "192.168.52.11", "192.168.52.12", 1, None, 8472)
    sent, lost = (
        replace(_hop(node, "eth0", observed=Observation(seen)), packet=replace(PACKET, outer=outer))
        for node, seen in (("node1", True), ("node2", False))
    )
    found = diagnose.examine_path(two_nodes(), _trace(None, sent, lost))
    assert [(f.slug, f.object) for f in found] == [("underlay-drops-vxlan", "node1/eth0")]


def test_counters_that_rise_between_two_snapshots() -> None:
    before = two_nodes(node1=link("eth0", stats=LinkStats(rx_errors=1)))
    after = two_nodes(node1=link("eth0", stats=LinkStats(rx_errors=8), carrier_changes=4))
    found = diagnose.examine_between(before, after)
    assert [(f.slug, f.object) for f in found] == [("link-errors", "node1/eth0"), ("link-flapping", "node1/eth0")]
    assert "rx_errors +7" in found[0].evidence
    assert diagnose.examine_between(after, after) == ()


def test_a_known_path_costs_nothing_that_grows_with_the_cluster() -> None:
    def cost(topology: Topology, trace: Trace) -> float:
        diagnose.examine_path(topology, trace)
        times = []
        for _ in range(50):
            start = time.perf_counter()
            diagnose.examine_path(topology, trace)
            times.append(time.perf_counter() - start)
        return min(times)

    large = Topology(synthetic_snapshots(120, 3))
    a, b = EndpointRef("default/pod-1", "node1", "10.128.1.2"), EndpointRef("default/pod-2", "node2", "10.128.2.2")
    small = cost(two_nodes(), _trace())
    assert cost(large, _trace(source=a, destination=b)) < 5 * small
