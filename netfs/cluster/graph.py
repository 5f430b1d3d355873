"""The topology as a networkx graph: public API, and what diagrams are drawn from.

A graph node is (node, namespace, device): ``("node1", "pod-a", "eth0")``; a pod outside namespace ``default`` is
told as ``team/web``. Edges carry ``kind``: ``veth``, ``port`` (a port and its bridge), ``lower`` (a device and the
one below it), ``tunnel`` (two VXLAN devices of one VNI, of which one's table names the other's node).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netfs.cluster.netns import NetNsView
from netfs.cluster.topology import Port, Topology
from netfs.model.link import Link

if TYPE_CHECKING:
    import networkx

Key = tuple[str, str, str]
"""(node, namespace, device)."""


def graph(topology: Topology) -> networkx.MultiGraph[Key]:
    """Every device of every namespace, and what connects them."""
    import networkx

    drawn: networkx.MultiGraph[Key] = networkx.MultiGraph()
    for view in topology.views.values():
        for link in view.netns.links:
            drawn.add_node(key_of(view, link), **_attributes(view, link))
    for view in topology.views.values():
        for link in view.netns.links:
            _connect(drawn, topology, view, link)
    return drawn


def key_of(view: NetNsView, link: Link) -> Key:
    """The graph's node of a device."""
    pod = view.pod
    place = f"{pod.namespace}/{pod.name}" if pod is not None and pod.namespace != "default" else view.name
    return view.node.name, place, link.name


def _attributes(view: NetNsView, link: Link) -> dict[str, object]:
    return {
        "node": view.node.name,
        "netns": view.name,
        "pod": f"{view.pod.namespace}/{view.pod.name}" if view.pod is not None else None,
        "role": view.node.role if view.is_node else "pod",
        "device": link.name,
        "kind": link.kind or ("loopback" if link.loopback else "hardware"),
        "up": link.up,
        "mtu": link.mtu,
        "mac": link.mac,
        "addresses": tuple(f"{a.local}/{a.prefixlen}" for a in view.addresses.get(link.index, ())),
    }


def _connect(drawn: networkx.MultiGraph[Key], topology: Topology, view: NetNsView, link: Link) -> None:
    here = key_of(view, link)
    if link.master is not None and (master := view.links.get(link.master)) is not None:
        drawn.add_edge(here, key_of(view, master), kind="port")
    lower = topology.lower(view, link)
    if lower is not None:
        kind = "veth" if link.kind == "veth" else "lower"
        there = key_of(lower.view, lower.link)
        if kind == "lower" or here < there:
            drawn.add_edge(here, there, kind=kind)
    for peer in _tunnels(topology, view, link):
        drawn.add_edge(here, key_of(peer.view, peer.link), kind="tunnel", vni=link.vxlan.vni if link.vxlan else None)


def _tunnels(topology: Topology, view: NetNsView, link: Link) -> list[Port]:
    """The VXLAN devices that this one's table sends to; each pair is told once, by the lesser."""
    found: dict[Key, Port] = {}
    for entry in view.netns.fdb if link.vxlan is not None else ():
        if entry.index != link.index or entry.dst is None:
            continue
        node = topology.node_of(entry.dst)
        for peer in topology.tunnels.get(node.key, ()) if node is not None else ():
            there = key_of(peer.view, peer.link)
            same = peer.link.vxlan is not None and link.vxlan is not None and peer.link.vxlan.vni == link.vxlan.vni
            if same and (key_of(view, link) < there or not _names(peer, view, topology)):
                found[there] = peer
    return list(found.values())


def _names(port: Port, view: NetNsView, topology: Topology) -> bool:
    """Whether a device's own table sends to a node."""
    return any(
        entry.index == port.link.index and entry.dst is not None and topology.node_of(entry.dst) is view
        for entry in port.view.netns.fdb
    )
