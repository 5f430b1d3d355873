"""Names of a capture's addresses, and the choice among its flows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netfs.capture.flows import question, select
from netfs.capture.flows.names import Owner, named, owners_of, tunnel_ports
from netfs.cluster.topology import Topology
from netfs.errors import EndpointError, FilterError, UsageError
from netfs.model.flows import Decoded, Suspicion, Tunnel
from netfs.model.kubernetes import Kubernetes, Service, ServicePort
from tests.unit import clusters
from tests.unit.flows import NODE1, NODE2, POD_A, POD_B, POD_C, POD_D, START, VXLAN, both, capture, error, flow

SERVICE = "10.96.0.10"
API = Kubernetes(
    services=(
        Service("web", "default", cluster_ips=(SERVICE,), ports=(ServicePort(80),), external_ips=("203.0.113.5",)),
    )
)
WORLD = clusters.two_nodes()
IN_VXLAN = both(POD_A, POD_B, "tcp", 40000, 80, tunnel=VXLAN)


def world(**edits: object) -> Topology:
    return Topology(clusters.two_nodes(**edits).snapshots, API)  # type: ignore[arg-type]


def ends(decoded: Decoded) -> set[tuple[str, str]]:
    return {(each.src, each.dst) for each in decoded.flows}


def test_pods_are_named_inside_and_nodes_outside() -> None:
    (there, _) = named(capture(*IN_VXLAN), WORLD).flows
    assert (there.src_name, there.src_node) == ("default/pod-a", "node1")
    assert (there.dst_name, there.dst_node) == ("default/pod-b", "node2")
    assert [(each.src_node, each.dst_node) for each in there.tunnels] == [("node1", "node2")]


def test_what_nobody_owns_has_no_name() -> None:
    (found,) = named(capture(flow("198.51.100.1", "02:42:00:00:00:01", "0x88cc")), WORLD).flows
    assert (found.src_name, found.dst_name, found.src_node) == (None, None, None)


@pytest.mark.parametrize(
    ("address", "owner"),
    [
        (NODE1, Owner("node/node1", "node1")),
        ("10.244.1.0", Owner("node/node1", "node1")),
        (POD_D, Owner("default/pod-d", "node2")),
        (SERVICE, Owner("default/svc/web", None)),
        ("203.0.113.5", Owner("default/svc/web", None)),
    ],
)
def test_an_address_has_one_owner(address: str, owner: Owner) -> None:
    assert owners_of(world())[address] == owner


def test_a_service_owns_its_address_though_ipvs_puts_it_on_every_node() -> None:
    held = [clusters.new_address("cni0", f"{SERVICE}/32")]
    assert owners_of(world(node1=held, node2=held))[SERVICE] == Owner("default/svc/web", None)


def test_an_address_of_several_has_no_name() -> None:
    held = [clusters.new_address("cni0", "172.17.0.1/16")]
    assert "172.17.0.1" not in owners_of(clusters.two_nodes(node1=held, node2=held))
    assert "172.17.0.1" in owners_of(clusters.two_nodes(node1=held))
    assert "127.0.0.1" not in owners_of(WORLD)


def test_the_ports_of_the_devices_are_those_to_unwrap() -> None:
    assert tunnel_ports(WORLD) == (8472,)
    assert tunnel_ports(Topology([])) == ()


FLOWS = capture(
    *IN_VXLAN,
    *both(POD_C, POD_D, "udp", 40000, 53, tunnel=replace(VXLAN, vni=7)),
    *both(POD_A, POD_C, "icmp"),
    flow("fd00::a", "fd00::b", "tcp", 40000, 443, vlans=(100,)),
    flow(NODE1, NODE2, "arp"),
    flow("02:42:00:00:00:01", "01:80:c2:00:00:0e", "0x88cc"),
    flow(POD_A, "10.9.9.9", "253", tunnel=Tunnel("ipip", NODE1, NODE2)),
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"host {POD_A}", {0, 1, 4, 5, 9}),
        (f"src host {POD_A}", {0, 4, 9}),
        (f"host {NODE1}", {0, 1, 2, 3, 7, 9}),
        ("net 10.244.2.0/24", {0, 1, 2, 3}),
        ("port 80", {0, 1}),
        ("dst port 53", {2}),
        ("port 8472", {0, 1, 2, 3}),
        ("tcp", {0, 1, 6}),
        ("udp", {0, 1, 2, 3}),
        ("icmp", {4, 5}),
        ("arp", {7}),
        ("vlan 100", {6}),
        ("vni 7", {2, 3}),
        ("vxlan", {0, 1, 2, 3}),
        ("not vxlan", {4, 5, 6, 7, 8, 9}),
        (f"tcp and not host {POD_B}", {6}),
        (f"host {POD_A} and host {POD_C} or port 443", {4, 5, 6}),
        ("ip6", {6}),
        ("ether proto 0x88cc", {8}),
        ("proto 253", {9}),
    ],
)
def test_an_expression_is_asked_outside_and_inside(text: str, found: set[int]) -> None:
    chosen = select.select(FLOWS, question=question.of(text))
    every = [replace(each, reverse=None) for each in FLOWS.flows]
    assert {every.index(replace(each, reverse=None)) for each in chosen.flows} == found


@pytest.mark.parametrize("text", ["ether host 02:42:00:00:00:01", "greater 100", "tcp and less 60"])
def test_what_no_flow_keeps_cannot_be_asked(text: str) -> None:
    with pytest.raises(UsageError, match="does not keep"):
        question.of(text)


def test_an_expression_that_is_none_is_usage() -> None:
    with pytest.raises(FilterError):
        question.of("host and")


@pytest.mark.parametrize(
    ("pod", "found"),
    [
        ("pod-a", {POD_A}),
        ("default/pod-a", {POD_A}),
        (POD_A, {POD_A}),
        ("svc/web", {SERVICE, "203.0.113.5"}),
        ("10.9.9.9", {"10.9.9.9"}),
    ],
)
def test_a_pod_is_its_addresses(pod: str, found: set[str]) -> None:
    assert select.addresses_of_pod(world(), pod, "default") == found


def test_a_node_is_its_addresses_and_those_of_its_pods() -> None:
    found = select.addresses_of_node(WORLD, "node1")
    assert found >= {NODE1, POD_A, POD_C, "10.244.1.0"}
    assert found.isdisjoint({NODE2, POD_B, "127.0.0.1"})
    assert select.addresses_of_node(WORLD, "node/node1") == select.addresses_of_node(WORLD, NODE1) == found


def test_without_a_source_an_address_stands_for_itself() -> None:
    assert select.addresses_of_pod(None, "FD00:0::A", "default") == {"fd00::a"}
    assert select.addresses_of_node(None, NODE1) == {NODE1}


@pytest.mark.parametrize("name", ["pod-z", "node9"])
def test_an_unknown_name_is_usage(name: str) -> None:
    with pytest.raises(EndpointError):
        select.addresses_of_pod(WORLD, name, "default")
    with pytest.raises(UsageError):
        select.addresses_of_node(WORLD, name)


def test_a_pod_is_looked_for_inside_and_a_node_everywhere() -> None:
    assert ends(select.select(FLOWS, ends=frozenset({NODE1}))) == {(NODE1, NODE2)}
    assert len(select.select(FLOWS, anywhere=frozenset({NODE1})).flows) == 6


def test_all_that_is_asked_must_fit() -> None:
    chosen = select.select(FLOWS, vni=7, proto="UDP", question=question.of("dst port 53"))
    assert [(each.src, each.dst) for each in chosen.flows] == [(POD_C, POD_D)]


TOLD = replace(
    FLOWS,
    suspicions=(
        Suspicion("a", "error", "about two", (0, 4)),
        Suspicion("b", "error", "about another", (2,)),
        Suspicion("c", "warning", "about the file"),
    ),
    errors=(
        error(NODE1, 3, 1, POD_A, POD_C, flow=4),
        error(NODE1, 3, 1, POD_C, POD_D, flow=2),
        error(NODE1, 3, 1, "", ""),
    ),
)


def test_what_points_to_flows_follows_them() -> None:
    chosen = select.select(TOLD, proto="icmp")
    assert ends(chosen) == {(POD_A, POD_C), (POD_C, POD_A)}
    assert [each.reverse for each in chosen.flows] == [1, 0]
    assert [(each.slug, each.flows) for each in chosen.suspicions] == [("a", (0,)), ("c", ())]
    assert [each.flow for each in chosen.errors] == [0, None, None]
    assert (chosen.packets, chosen.bytes) == (FLOWS.packets, FLOWS.bytes), "the file is what it was"


def test_who_asks_for_nothing_gets_everything() -> None:
    assert select.select(TOLD) is TOLD
    assert select.ordered(TOLD, "bytes") == TOLD


def test_flows_are_put_in_order() -> None:
    decoded = capture(
        flow(POD_A, POD_B, packets=1, bytes=900, first_ns=START + 2),
        flow(POD_B, POD_A, packets=5, bytes=500, first_ns=START + 1),
        flow(POD_A, POD_C, packets=3, bytes=100, first_ns=START),
    )
    assert [each.bytes for each in select.ordered(decoded, "packets").flows] == [500, 100, 900]
    latest_last = select.ordered(decoded, "time", 2)
    assert [each.bytes for each in latest_last.flows] == [100, 500]
    assert [each.reverse for each in latest_last.flows] == [None, None]
    assert [each.reverse for each in select.ordered(decoded, "time").flows] == [None, 2, 1]
