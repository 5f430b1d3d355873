"""What every node's station is told for a live trace: where to listen, for what, and what to send."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from netfs.capture.compare.places import namespaces
from netfs.capture.marker import TUNNELS, Marker
from netfs.capture.probe import craft
from netfs.capture.station.order import Order, Post, Sender, Tracing
from netfs.capture.wish import Wish
from netfs.cluster.netns import NetNsView
from netfs.cluster.topology import Topology
from netfs.errors import SourceError
from netfs.model.packet import Packet
from netfs.model.trace import Trace
from netfs.sources.reach import Reach

NUMBERS = {("icmp", 4): 1, ("icmp", 6): 58, ("tcp", 4): 6, ("tcp", 6): 6, ("udp", 4): 17, ("udp", 6): 17}
"""IANA protocol numbers."""
WHOLE = 1280
"""Bytes of IP packet that no link has to fragment (RFC 8200 section 5)."""
SHORTEST, TCP_SHORTEST = 28, 40
"""Bytes of the shortest IPv4 packet of UDP, or fragment; and of TCP."""


def marker_of(topology: Topology, trace: Trace, asked: Packet) -> Marker:
    """A new mark, the ports by which UDP's answers are known, and those behind which there may be a tunnel."""
    packets = [hop.packet for way in trace.ways for hop in way.hops]
    there = [hop.packet for way in trace.forward.ways for hop in way.hops]
    pairs = {(one.sport, one.dport) for one in (asked, *packets) if one.sport is not None and one.dport is not None}
    devices = {
        link.vxlan.port for view in topology.views.values() for link in view.netns.links if link.vxlan is not None
    }
    return Marker(
        token=os.urandom(6),
        proto=asked.proto,
        family=asked.family,
        sport=asked.sport,
        dport=asked.dport,
        ports=frozenset(pairs) if asked.proto == "udp" else frozenset(),
        targets=frozenset(port for one in there if (port := one.dport) is not None),
        tunnels=tuple(sorted({*TUNNELS, *devices})),
    )


def source_of(topology: Topology, trace: Trace) -> NetNsView:
    """The namespace that the packet starts in. Raises SourceError where it was not read."""
    first = next((hop for hop in trace.forward.hops), None)
    for view in topology.views.values():
        if view.node.name != trace.source.node:
            continue
        if (first is not None and view.netns.id == first.netns_id) or (first is None and trace.source.ip in view.owned):
            return view
    raise SourceError(f"the namespace of {trace.source.name} was not read", hint="a probe starts in a pod or on a node")


def placed(view: NetNsView) -> str:
    """``node1``, ``node1/pod-a``: a namespace as notes and errors name it."""
    return view.node.name if view.is_node else f"{view.node.name}/{view.name}"


def listened(topology: Topology, trace: Trace, source: NetNsView) -> tuple[NetNsView, ...]:
    """The namespaces to listen in, the source's first, each once."""
    return tuple(dict.fromkeys((source, *namespaces(topology, trace))))


def reachable(
    views: Iterable[NetNsView], reaches: Mapping[str, Reach]
) -> tuple[tuple[NetNsView, ...], tuple[str, ...]]:
    """The namespaces that there is a way into, and why there is none into the others."""
    open_: list[NetNsView] = []
    deaf: list[str] = []
    for view in views:
        try:
            reaches[view.node.name].path(view.netns.id)
            open_.append(view)
        except SourceError as failure:
            deaf.append(f"{placed(view)}: not listened to: {failure.what}")
    return tuple(open_), tuple(deaf)


def sender_of(marker: Marker, asked: Packet, wish: Wish, bound: str, df: bool | None) -> Sender:
    """The probe, as the source's station sends it. Raises UsageError where it cannot hold its mark."""
    return Sender(
        post=0,
        family=asked.family,
        protocol=NUMBERS[asked.proto, asked.family],
        source=bound,
        destination=asked.dst,
        datagrams=craft.datagrams(marker, packet=asked, count=wish.count),
        interval_s=wish.interval_s,
        df=df,
        port=asked.sport,
        crafted=craft.source(asked),
    )


def orders_of(
    views: Sequence[NetNsView],
    reaches: Mapping[str, Reach],
    source: NetNsView,
    sender: Sender,
    filter_: bytes,
    asked: Packet,
) -> dict[str, tuple[Reach, Order]]:
    """What each node's station does. The sender's asks its kernel for drops, and one of every other kernel does."""
    orders: dict[str, tuple[Reach, Order]] = {}
    asked_of: set[str] = set()
    for node in dict.fromkeys(view.node.name for view in views):
        reach = reaches[node]
        here = [view for view in views if view.node.name == node]
        sends = node == source.node.name  # the first of all
        asks = reach.kernel not in asked_of
        asked_of.add(reach.kernel)
        orders[node] = (
            reach,
            Order(
                posts=tuple(Post(reach.path(view.netns.id), view.netns.id) for view in here),
                program=filter_,
                tracing=_tracing(asked) if asks else None,
                sender=sender if sends else None,
            ),
        )
    return orders


def _tracing(asked: Packet) -> Tracing:
    """Lengths that the probe's packets and their answers may have."""
    if asked.size > WHOLE:
        return Tracing(SHORTEST, asked.size)
    return Tracing({"icmp": asked.size, "tcp": TCP_SHORTEST, "udp": SHORTEST}[asked.proto], asked.size)
