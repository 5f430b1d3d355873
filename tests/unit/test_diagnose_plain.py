"""Networks that are no VXLAN cluster: expectations of one do not apply to them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netfs import diagnose
from netfs.cluster.topology import Topology
from netfs.model.link import Bridge, BridgePort, Link
from netfs.model.route import Route
from netfs.model.snapshot import NetNs, NodeSnapshot, Pod
from tests.unit.clusters import address, change, device, down, mac, namespace, no_route, route


def _host(number: int, subnet: str = "172.17.0", *, routes: tuple[Route, ...] = ()) -> NodeSnapshot:
    """A machine with one bridge and two containers, on hardware eth0."""
    id = number * 100
    links: list[Link] = [
        device(2, "eth0", router=True, mac=mac(1, number)),
        device(3, "docker0", "bridge", router=True, mac=mac(number, 1), bridge=Bridge()),
    ]
    containers = []
    for each in (1, 2):
        links.append(
            device(10 + each, f"veth{each}", "veth", router=True, master=3, port=BridgePort(), mac=mac(number, 2, each),
                   link_index=2, link_netnsid=each, link_netns=id + each)
        )  # fmt: skip
        eth0 = device(2, "eth0", "veth", mac=mac(3, each), link_index=10 + each, link_netnsid=0, link_netns=id)
        containers.append(
            namespace(id + each, f"c{number}{each}", [eth0], [address(2, f"{subnet}.{each + 1}/16")],
                      [route("0.0.0.0/0", 2, f"{subnet}.1")])
        )  # fmt: skip
    own = namespace(
        id,
        f"host{number}",
        links,
        [address(2, f"192.168.1.{number}/24"), address(3, f"{subnet}.1/16")],
        [route("0.0.0.0/0", 2, "192.168.1.254"), *routes],
        router=True,
    )
    pods = tuple(Pod(each.name, each.id) for each in containers)
    return NodeSnapshot(f"host{number}", f"kernel-{number}", id, (own, *containers), pods)


def test_docker_hosts_with_the_same_private_subnet_are_healthy() -> None:
    assert diagnose.examine(Topology([_host(1), _host(2)])) == ()


def test_a_fault_on_a_docker_host_is_found_all_the_same() -> None:
    snapshots = change([_host(1), _host(2)], "host2", down("docker0"))
    assert [(f.slug, f.object) for f in diagnose.examine(Topology(snapshots))] == [("bridge-down", "host2/docker0")]


def _not_forwarding(netns: NetNs) -> NetNs:
    links = tuple(replace(link, ipv4={**link.ipv4, "forwarding": 0}) for link in netns.links)
    return replace(netns, links=links, sysctls={**netns.sysctls, "net.ipv4.ip_forward": 0})


def _without_bridge(netns: NetNs) -> NetNs:
    """As the ptp plugin makes it: no bridge, and the gateway's address on every veth."""
    links = tuple(replace(link, master=None, port=None) for link in netns.links if link.name != "docker0")
    addresses = [own for own in netns.addresses if own.index != 3]
    addresses += [address(10 + each, "172.17.0.1/32") for each in (1, 2)]
    return replace(netns, links=links, addresses=tuple(addresses))


def test_a_docker_host_that_does_not_forward() -> None:
    found = diagnose.examine(Topology(change([_host(1)], "host1", _not_forwarding)))
    assert [(f.slug, f.object, f.fix) for f in found] == [
        ("forwarding-off", "host1", "sysctl -w net.ipv4.ip_forward=1")
    ]
    assert "arrives on docker0" in found[0].evidence


def test_pods_on_veths_of_a_node_that_does_not_forward() -> None:
    assert diagnose.examine(Topology(change([_host(1)], "host1", _without_bridge))) == ()
    found = diagnose.examine(Topology(change([_host(1)], "host1", _without_bridge, _not_forwarding)))
    assert [(f.slug, f.object) for f in found] == [("forwarding-off", "host1")]
    assert "arrives on veth1, veth2" in found[0].evidence


def test_a_bridge_that_is_only_a_switch_needs_no_forwarding() -> None:
    """Neither an address of the node nor a way out: the containers talk among themselves."""

    def switch(netns: NetNs) -> NetNs:
        return replace(netns, addresses=tuple(own for own in netns.addresses if own.index != 3))

    snapshots = change([_host(1)], "host1", _not_forwarding, switch)
    for name in ("c11", "c12"):
        snapshots = change(snapshots, name, no_route("0.0.0.0/0"))
    assert "forwarding-off" not in [f.slug for f in diagnose.examine(Topology(snapshots))]


def _host_gw() -> list[NodeSnapshot]:
    return [
        _host(1, "10.1.0", routes=(route("10.2.0.0/16", 2, "192.168.1.2"),)),
        _host(2, "10.2.0", routes=(route("10.1.0.0/16", 2, "192.168.1.1"),)),
    ]


def test_host_gw_nodes_are_healthy() -> None:
    assert diagnose.examine(Topology(_host_gw())) == ()


def test_a_host_gw_node_without_the_route_back() -> None:
    snapshots = change(_host_gw(), "host2", no_route("10.1.0.0/16"))
    found = diagnose.examine(Topology(snapshots))
    assert [(f.slug, f.object, f.fix) for f in found] == [
        ("route-remote-subnet-missing", "host2", "ip route replace 10.1.0.0/16 via 192.168.1.1")
    ]


@pytest.mark.parametrize("forwarding", [True, False])
def test_plain_namespaces_as_hosts_and_a_router_are_healthy(forwarding: bool) -> None:
    def end(id: int, name: str, own: str, gateway: str) -> NodeSnapshot:
        eth0 = device(2, "eth0", "veth", mac=mac(id), link_index=id, link_netnsid=0, link_netns=90)
        made = namespace(id, name, [eth0], [address(2, own)], [route("0.0.0.0/0", 2, gateway)])
        return NodeSnapshot(name, "kernel", id, (made,))

    links = [
        device(id, f"r{id}", "veth", router=forwarding, mac=mac(9, id), link_index=2, link_netnsid=id, link_netns=id)
        for id in (10, 20)
    ]
    own = namespace(90, "router", links, [address(10, "10.0.1.1/24"), address(20, "10.0.2.1/24")], router=forwarding)
    ends = [end(10, "h1", "10.0.1.2/24", "10.0.1.1"), end(20, "h2", "10.0.2.2/24", "10.0.2.1")]
    assert diagnose.examine(Topology([*ends, NodeSnapshot("router", "kernel", 90, (own,))])) == ()
