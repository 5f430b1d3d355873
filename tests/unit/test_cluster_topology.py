"""How snapshots are joined: identities, peers, owners, segments, the graph."""

from __future__ import annotations

from dataclasses import replace

from netfs.cluster.graph import graph
from netfs.cluster.topology import Topology
from tests.unit import clusters


def test_a_veth_pair_is_joined_by_index_and_namespace() -> None:
    """Each end is the other's peer, whatever they are called."""
    topology = clusters.two_nodes()
    pod = topology.pods["default", "pod-a"][0]
    peer = topology.peer(pod, pod.links_by_name["eth0"])
    assert peer is not None
    assert (peer.view.name, peer.link.name) == ("node1", "veth1x1")
    back = topology.peer(peer.view, peer.link)
    assert back is not None
    assert back.view is pod


def test_an_address_is_owned_by_the_port_that_holds_it() -> None:
    """Owner of a pod's address, node of a node's, nobody of a stranger's."""
    topology = clusters.two_nodes()
    assert [port.view.name for port in topology.owners["10.244.2.2"]] == ["pod-b"]
    node = topology.node_of("192.168.52.12")
    assert node is not None
    assert node.name == "node2"
    assert topology.node_of("192.0.2.1") is None


def test_a_namespace_in_several_snapshots_is_one() -> None:
    """A node seen again as another node's pod stays the node."""
    snapshots = clusters.cluster(2, 2)
    assert set(Topology([*snapshots, *snapshots]).views) == set(Topology(snapshots).views)


def test_machines_on_one_subnet_share_a_wire() -> None:
    """Where no bridge was seen, a common subnet is the segment."""
    topology = Topology(clusters.synthetic_snapshots(3, 1))
    one, other = topology.nodes["node1"], topology.nodes["node2"]
    eth0 = one.links_by_name["eth0"]
    mac = other.links_by_name["eth0"].mac
    assert mac is not None
    assert [port.view.name for port in topology.on_wire(one, eth0, mac)] == ["node2"]
    assert topology.on_wire(one, eth0, "02:00:00:00:00:99") == ()


def test_the_graph_holds_every_device_and_what_connects_them() -> None:
    """Public API: nodes are devices, edges say what kind of connection they are."""
    drawn = graph(clusters.two_nodes())
    kinds = {data["kind"] for _, _, data in drawn.edges(data=True)}
    assert {"veth", "port", "lower", "tunnel"} <= kinds
    assert drawn.nodes["node1", "pod-a", "eth0"]["addresses"] == ("10.244.1.2/24",)
    assert drawn.has_edge(("node1", "pod-a", "eth0"), ("node1", "node1", "veth1x1"))
    tunnels = [edge for edge in drawn.edges(data=True) if edge[2]["kind"] == "tunnel"]
    assert len(tunnels) == 1
    assert {tunnels[0][0][:2], tunnels[0][1][:2]} == {("node1", "node1"), ("node2", "node2")}


def test_pods_of_one_name_in_two_namespaces_are_two_in_the_graph() -> None:
    """Names are unique within a namespace only."""
    snapshots = clusters.cluster(1, 2)
    first, second = snapshots[0].pods
    pods = (replace(first, name="web"), replace(second, name="web", namespace="team"))
    drawn = graph(Topology([replace(snapshots[0], pods=pods), *snapshots[1:]]))
    assert {key[1] for key in drawn if key[2] == "eth0"} >= {"web", "team/web"}
