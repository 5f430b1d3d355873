"""Where a live trace listens: the namespaces of its predicted ways, and one step around them."""

from __future__ import annotations

from collections.abc import Iterator

from netfs.capture.compare.ground import views
from netfs.cluster.netns import NetNsKey, NetNsView
from netfs.cluster.topology import Topology
from netfs.model.trace import Trace

AROUND = 32
"""Namespaces that are listened in beside those of the ways; one socket each."""


def namespaces(topology: Topology, trace: Trace) -> tuple[NetNsView, ...]:
    """Those on the ways first, there and back, every branch; then at most ``AROUND`` that lie next to them.

    Next to them lie the ends themselves and their nodes, what carries packets between nodes, the nodes that tunnels and
    routes of the ways' nodes lead to, and whoever is at the other end of their veths.
    """
    known = views(topology)
    found: dict[NetNsKey, NetNsView] = {}
    for way in trace.ways:
        for hop in way.hops:
            view = known.get((hop.node, hop.netns_id))
            if view is not None:
                found.setdefault(view.key, view)
    on_way = len(found)
    for view in _around(topology, trace, tuple(found.values())):
        if len(found) - on_way >= AROUND:
            break
        found.setdefault(view.key, view)
    return tuple(found.values())


def _around(topology: Topology, trace: Trace, on_way: tuple[NetNsView, ...]) -> Iterator[NetNsView]:
    """What lies next to the ways, the likeliest first."""
    yield from _ends(topology, trace)
    yield from (view for view in topology.views.values() if view.is_node and view.node.role == "fabric")
    for view in on_way:
        yield from _remote(topology, view)
    for view in on_way:
        yield from _peers(topology, view)


def _ends(topology: Topology, trace: Trace) -> Iterator[NetNsView]:
    """Who holds the addresses that the trace is about, and their nodes."""
    reached = [way.reached.ip for way in trace.ways if way.reached is not None]
    for address in (trace.source.ip, trace.destination.ip, *reached):
        for port in topology.owners.get(address, ()):
            yield port.view
            node = topology.nodes.get(port.view.node.name)
            if node is not None:
                yield node
    for name in (trace.source.node, trace.destination.node):
        if name is not None and name in topology.nodes:
            yield topology.nodes[name]


def _remote(topology: Topology, view: NetNsView) -> Iterator[NetNsView]:
    """The nodes that a namespace's tunnels and gateways are."""
    addresses = dict.fromkeys(entry.dst for entry in view.netns.fdb if entry.dst is not None)
    addresses |= dict.fromkeys(
        hop.gateway for route in view.netns.routes for hop in route.nexthops if hop.gateway is not None
    )
    for address in addresses:
        node = topology.node_of(address)
        if node is not None:
            yield node


def _peers(topology: Topology, view: NetNsView) -> Iterator[NetNsView]:
    """Whoever is at the other end of a namespace's veths, or above its devices."""
    for link in view.netns.links:
        peer = topology.peer(view, link)
        if peer is not None:
            yield peer.view
        yield from (port.view for port in topology.macvlans.get((view.key, link.index), ()))
        if link.macvlan is not None and (lower := topology.lower(view, link)) is not None:
            yield lower.view
