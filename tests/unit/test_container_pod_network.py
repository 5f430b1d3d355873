"""The network of a pod: other ends, bridges, the way out of the node, routes, sockets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from netfs.cluster.netns import NetNsView
from netfs.cluster.topology import Topology
from netfs.container.pod_network import Network, network
from netfs.model.inspected import Interface
from netfs.model.link import Bridge, Ipvlan, Macvlan, Vlan
from netfs.model.route import Rule
from netfs.model.snapshot import Listener, NetNs
from tests.unit.clusters import Edit, cluster, device, down, no_route, route, two_nodes


def add(*devices: Any, routes: Any = (), addresses: Any = ()) -> Edit:
    def edit(netns: NetNs) -> NetNs:
        kept = tuple(each for each in netns.links if each.index not in {one.index for one in devices})
        return replace(
            netns,
            links=(*kept, *devices),
            routes=(*netns.routes, *routes),
            addresses=(*netns.addresses, *addresses),
        )

    return edit


def drop(index: int) -> Edit:
    """Takes the addresses of a device away, and the routes over it."""

    def edit(netns: NetNs) -> NetNs:
        return replace(
            netns,
            addresses=tuple(each for each in netns.addresses if each.index != index),
            routes=tuple(each for each in netns.routes if all(hop.index != index for hop in each.nexthops)),
        )

    return edit


DEFAULT = route("0.0.0.0/0", 2, "192.168.52.1")
OUT = add(routes=[DEFAULT])


def told(topology: Topology, name: str = "pod-a", **fields: Any) -> Network:
    (view,) = topology.pods["default", name]
    return network(view, topology, **({"owners": {}, "commands": {}} | fields))


def eth0(topology: Topology) -> Interface:
    return next(each for each in told(topology).interfaces if each.name == "eth0")


def test_a_devices_other_end_its_bridge_and_the_way_out_are_told() -> None:
    assert eth0(two_nodes(node1=OUT)) == Interface(
        "eth0",
        "veth",
        "02:42:00:01:01:02",
        1450,
        True,
        ("10.244.1.2/24",),
        "veth1x1",
        "node1",
        "cni0",
        ("eth0", "veth1x1", "cni0", "eth0"),
    )


def test_loopback_has_no_way() -> None:
    lo = told(two_nodes(node1=OUT)).interfaces[0]
    assert (lo.name, lo.kind, lo.addresses, lo.peer, lo.way) == ("lo", "lo", ("127.0.0.1/8",), "", ())


def test_without_a_way_out_of_the_node_peer_and_bridge_are_still_told() -> None:
    found = eth0(two_nodes())
    assert (found.peer, found.bridge, found.way) == ("veth1x1", "cni0", ())


@pytest.mark.parametrize("edit", [no_route("0.0.0.0/0"), down("eth0")])
def test_a_pod_that_sends_nothing_out_has_no_way(edit: Edit) -> None:
    found = eth0(two_nodes(node1=OUT, pod_a=edit))
    assert (found.peer, found.way) == ("veth1x1", ())


def test_a_way_through_a_tunnel_goes_down_to_what_the_tunnel_stands_on() -> None:
    over = add(routes=[route("0.0.0.0/0", 4, "10.244.2.0", onlink=True)])
    assert eth0(two_nodes(node1=over)).way == ("eth0", "veth1x1", "cni0", "flannel.1", "eth0")


def test_a_way_by_a_vlan_goes_down_to_its_device() -> None:
    vlan = device(30, "eth0.7", "vlan", router=True, link_index=2, vlan=Vlan(7))
    over = add(vlan, routes=[route("0.0.0.0/0", 30, "198.51.100.1", onlink=True)])
    assert eth0(two_nodes(node1=over)).way == ("eth0", "veth1x1", "cni0", "eth0.7", "eth0")


def test_policy_rules_are_asked() -> None:
    def edit(netns: NetNs) -> NetNs:
        rules = (Rule(family=4, priority=10, table=100, iif="cni0"), *netns.rules)
        other = replace(DEFAULT, table=100, nexthops=(replace(DEFAULT.nexthops[0], index=4),))
        return replace(netns, rules=rules, routes=(*netns.routes, other, DEFAULT))

    assert eth0(two_nodes(node1=edit)).way == ("eth0", "veth1x1", "cni0", "flannel.1", "eth0")


def test_a_veth_that_is_no_port_is_routed_by_the_node() -> None:
    def edit(netns: NetNs) -> NetNs:
        return replace(netns, links=tuple(replace(one, master=None, port=None) for one in netns.links))

    found = eth0(two_nodes(node1=[edit, OUT]))
    assert (found.bridge, found.way) == ("", ("eth0", "veth1x1", "eth0"))


def test_a_bridge_without_address_leads_to_its_one_port_that_is_a_wire() -> None:
    wire = device(40, "ens3", master=3)
    found = eth0(two_nodes(node1=[drop(3), add(wire)]))
    assert found.way == ("eth0", "veth1x1", "cni0", "ens3")
    assert eth0(two_nodes(node1=[drop(3), add(wire, device(41, "ens4", master=3))])).way == ()
    assert eth0(two_nodes(node1=drop(3))).way == ()


def test_a_switch_that_is_no_bridge_is_not_guessed_at() -> None:
    def edit(netns: NetNs) -> NetNs:
        links = (replace(one, kind="openvswitch", bridge=None) if one.name == "cni0" else one for one in netns.links)
        return replace(netns, links=tuple(links))

    found = eth0(two_nodes(node1=[edit, OUT]))
    assert (found.peer, found.bridge, found.way) == ("veth1x1", "", ())


@pytest.mark.parametrize(
    "more", [{"kind": "macvlan", "macvlan": Macvlan("bridge")}, {"kind": "ipvlan", "ipvlan": Ipvlan("l2")}]
)
def test_what_stands_on_a_device_of_the_node_leaves_by_it(more: dict[str, Any]) -> None:
    def edit(netns: NetNs) -> NetNs:
        links = (replace(one, link_index=2, **more) if one.name == "eth0" else one for one in netns.links)
        return replace(netns, links=tuple(links))

    found = eth0(two_nodes(pod_a=edit))
    assert (found.kind, found.peer, found.peer_netns, found.way) == (more["kind"], "eth0", "node1", ("eth0", "eth0"))


def test_a_peer_in_another_pod_leads_nowhere_that_is_known() -> None:
    topology = two_nodes()
    other = topology.pods["default", "pod-c"][0].netns.id

    def edit(netns: NetNs) -> NetNs:
        links = (replace(one, link_index=2, link_netns=other) if one.name == "eth0" else one for one in netns.links)
        return replace(netns, links=tuple(links))

    found = eth0(two_nodes(pod_a=edit, node1=OUT))
    assert (found.peer, found.peer_netns, found.bridge, found.way) == ("eth0", "pod-c", "", ())


def test_a_peer_that_was_not_seen_is_none() -> None:
    def edit(netns: NetNs) -> NetNs:
        links = (replace(one, link_netns=4099) if one.name == "eth0" else one for one in netns.links)
        return replace(netns, links=tuple(links))

    found = eth0(two_nodes(pod_a=edit, node1=OUT))
    assert (found.peer, found.peer_netns, found.way) == ("", "", ())


def test_the_nodes_own_devices_lead_down_themselves() -> None:
    topology = two_nodes(node1=OUT)
    view = topology.nodes["node1"]
    ways = {each.name: each.way for each in network(view, topology, owners={}, commands={}).interfaces}
    assert ways["eth0"] == ("eth0",)
    assert ways["cni0"] == ()


def test_devices_that_stand_on_each_other_in_a_circle_end() -> None:
    one = device(30, "a", "vlan", router=True, link_index=31, vlan=Vlan(1))
    other = device(31, "b", "vlan", router=True, link_index=30, vlan=Vlan(2))
    over = add(one, other, routes=[route("0.0.0.0/0", 30, "198.51.100.1", onlink=True)])
    assert eth0(two_nodes(node1=over)).way == ("eth0", "veth1x1", "cni0", "a", "b")


def test_a_bridge_within_a_bridge_ends() -> None:
    ports = [device(50 + n, f"br{n}", "bridge", bridge=Bridge(), master=50 + (n + 1) % 3) for n in range(3)]
    over = add(*ports, routes=[route("0.0.0.0/0", 50, "198.51.100.1", onlink=True)])
    assert eth0(two_nodes(node1=over)).way[-1] == "br0"


def test_without_a_topology_devices_are_told_alone() -> None:
    (view,) = two_nodes().pods["default", "pod-a"]
    found = network(view, None, owners={}, commands={}).interfaces[1]
    assert (found.name, found.addresses, found.peer, found.way) == ("eth0", ("10.244.1.2/24",), "", ())


def test_routes_are_those_of_table_main_as_ip_prints_them() -> None:
    (view,) = two_nodes().pods["default", "pod-a"]
    six = replace(route("fe80::/64", 2), protocol=2, metric=256)
    more = NetNsView(view.node, replace(view.netns, routes=(six, *view.netns.routes)), view.pod)
    assert network(more, None, owners={}, commands={}).routes == (
        "10.244.1.0/24 dev eth0 proto kernel scope link src 10.244.1.2",
        "default via 10.244.1.1 dev eth0",
        "fe80::/64 dev eth0 proto kernel metric 256",
    )


def listening(*listeners: Listener) -> Callable[..., Network]:
    (view,) = two_nodes().pods["default", "pod-a"]
    changed = NetNsView(view.node, replace(view.netns, listeners=listeners), view.pod)
    return lambda **fields: network(changed, None, **({"owners": {}, "commands": {}} | fields))


def test_sockets_name_who_has_them() -> None:
    ask = listening(
        Listener("udp", 4, "0.0.0.0", 53, index=2, inode=3),
        Listener("tcp", 6, "::", 80, inode=2),
        Listener("tcp", 4, "0.0.0.0", 22, inode=1),
        Listener("tcp", 4, "0.0.0.0", 21, index=99, inode=1),
    )
    found = ask(owners={1: (9, 7), 2: (8,)}, commands={7: "sshd", 9: "other"}).sockets
    assert [(each.proto, each.address, each.port, each.device, each.pids, each.command) for each in found] == [
        ("tcp", "0.0.0.0", 21, "if99", (7, 9), "sshd"),
        ("tcp", "0.0.0.0", 22, "", (7, 9), "sshd"),
        ("tcp", "::", 80, "", (8,), ""),
        ("udp", "0.0.0.0", 53, "eth0", (), ""),
    ]


def test_several_sockets_of_one_address_are_told_together() -> None:
    ask = listening(Listener("tcp", 4, "0.0.0.0", 80, inode=1), Listener("tcp", 4, "0.0.0.0", 80, inode=2))
    (found,) = ask(owners={1: (5,), 2: (6,)}).sockets
    assert found.pids == (5, 6)


def test_of_some_processes_only_their_sockets_are_told() -> None:
    ask = listening(Listener("tcp", 4, "0.0.0.0", 80, inode=1), Listener("tcp", 4, "0.0.0.0", 81, inode=2))
    assert [each.port for each in ask(owners={1: (5, 7), 2: (6,)}, only={7}).sockets] == [80]


def test_sockets_that_were_not_read_are_none() -> None:
    (view,) = two_nodes().pods["default", "pod-a"]
    changed = NetNsView(view.node, replace(view.netns, listeners=None), view.pod)
    assert network(changed, None, owners={}, commands={}).sockets == ()


def test_the_order_of_snapshots_does_not_matter() -> None:
    assert told(Topology(reversed(cluster()))) == told(Topology(cluster()))
