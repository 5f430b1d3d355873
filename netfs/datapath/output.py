"""Out of a namespace: a local packet is routed, and any packet leaves by a device.

Mirrors ``ip_route_output_key_hash``, ``__ip_local_out``, ``ip_output``, ``ip_finish_output`` and ``ip_fragment``
(net/ipv4/route.c, ip_output.c) and their ip6 counterparts. A tunnel's outer packet starts here again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from netfs.cluster.netns import NetNsView
from netfs.datapath.connection import five_tuple
from netfs.datapath.frame import Frame
from netfs.datapath.position import End, Position, Step, Ways, drop, followed, unknown
from netfs.datapath.request import number
from netfs.datapath.routing import RouteAnswer, RouteQuery, describe, describe_rule, lookup, select_source
from netfs.datapath.vxlan import OVERHEAD
from netfs.model.link import Link
from netfs.model.packet import Packet
from netfs.model.route import NextHop

if TYPE_CHECKING:
    from netfs.datapath.walk import Walk

IPV6_LEAST_MTU = 1280
"""RFC 8200 5."""
ROUTING = ("routes", "rules", "links", "addresses", "xfrm")
"""Gaps that leave it open what becomes of a packet that is routed."""

ERRORS = {
    "none": ("IP_OUTNOROUTES", "there is no route to {dst}: Network is unreachable"),
    "blackhole": ("EINVAL", "a blackhole route swallows it"),
    "unreachable": ("EHOSTUNREACH", "an unreachable route refuses it: No route to host"),
    "prohibit": ("EACCES", "a prohibit route refuses it: Permission denied"),
}


def route_local(_walk: Walk, at: Position) -> Step:
    """A packet made in this namespace finds its way out, or back to itself."""
    view, packet = at.view, at.frame.packet
    missing = unread(view)
    if missing is not None:
        return unknown(at, "output", missing)
    if packet.family == 6 or ":" in packet.dst:
        off = _ipv6_off(at)
        if off is not None:
            return off
    asked = at.rerouted or packet
    query = query_of(asked, oif=at.oif, mark=0 if at.frame.inner is not None and at.rerouted is None else asked.mark)
    answer = lookup(view, query)
    chosen = None
    if not answer.usable and answer.kind != "unknown" and ":" in packet.dst and query.src is None:
        answer, query, chosen = _again_with_source(view, answer, query)
    if answer.usable and packet.proto == "tcp" and query.src is None and ":" not in packet.dst:
        answer, query, chosen = _again_with_source(view, answer, query)
    if answer.kind == "unknown":
        return unknown(at, "output", answer.unknown or "the routing tables cannot be decided")
    if not answer.usable:
        return _no_way(at, answer, asked.dst)
    if answer.kind == "broadcast" and at.frame.inner is None:
        return _to_all(at, packet)
    hops, left = followed(answer.nexthops)
    ways = [_way(at, answer, query, hop, left, chosen) for hop in hops]
    if len(ways) == 1:
        return ways[0]
    going = [way for way in ways if isinstance(way, Position)]
    return Ways(going) if len(going) > 1 else ways[0]


def unread(view: NetNsView) -> str | None:
    """What is not known of all that decides on any packet that is routed here, in words."""
    gap = next((gap for gap in view.gaps if gap.what in ROUTING), None)
    if gap is None:
        return None
    if gap.what == "xfrm":
        return f"what IPsec does in {view.name} is not known: {gap.reason}"
    return f"the {gap.what} of {view.name} could not be read: {gap.reason}"


def _to_all(at: Position, packet: Packet) -> End:
    """``raw_sendmsg``, ``udp_sendmsg``, ``tcp_v4_connect``: a socket sends to all only where it asked for that."""
    reason = "ENETUNREACH" if packet.proto == "tcp" else "EACCES"
    why = f"{packet.dst} is a broadcast address: a socket sends there only where it was told to (SO_BROADCAST)"
    return drop(at, "output", reason, why)


def _again_with_source(
    view: NetNsView, answer: RouteAnswer, query: RouteQuery
) -> tuple[RouteAnswer, RouteQuery, str | None]:
    """Once more with the source that was chosen, and why it was; None: there is none to choose.

    ``ip6_dst_lookup_tail``: an error found without a source never existed, if the look-up with one is better.
    ``ip_route_connect``: an IPv4 connection asks for its source first, and with it for its route.
    """
    source, why = select_source(view, answer, query)
    if source is None:
        return answer, query, None
    chosen = replace(query, src=source)
    return lookup(view, chosen), chosen, why


def query_of(packet: Packet, *, iif: str | None = None, oif: str | None = None, mark: int = 0) -> RouteQuery:
    """The packet's question to the routing tables."""
    family = 6 if ":" in packet.dst else 4
    return RouteQuery(
        dst=packet.dst,
        src=packet.src or None,
        iif=iif,
        oif=oif,
        mark=mark,
        tos=packet.tos,
        proto=number(packet.proto, family),
        sport=packet.sport,
        dport=packet.dport,
    )


def _ipv6_off(at: Position) -> End | None:
    if all(link.ipv6.get("disable_ipv6", 0) for link in at.view.netns.links if not link.loopback):
        if at.view.sysctl("net.ipv6.conf.all.disable_ipv6", 0):
            return drop(
                at,
                "output",
                "IPV6DISABLED",
                f"IPv6 is switched off in {at.view.name}",
                fix="sysctl -w net.ipv6.conf.all.disable_ipv6=0",
                slug="ipv6-disabled",
            )
    return None


def _no_way(at: Position, answer: RouteAnswer, dst: str) -> End:
    if answer.kind not in ERRORS:
        return unknown(at, "output", f"a route of type {answer.kind} decides on {dst}: not modelled")
    reason, words = ERRORS[answer.kind]
    why = words.format(dst=dst)
    evidence = (
        describe(answer.route, at.view) if answer.route is not None else "; ".join(answer.considered[-3:]) or None
    )
    if answer.error not in (None, "ENETUNREACH") and answer.kind == "none":
        reason, why = answer.error or reason, f"the kernel refuses to send to {dst}: {answer.error}"
    slug = "route-blackhole" if answer.kind != "none" else None
    why, fix = by_rule(answer) or (why, None)
    where = "pod" if at.view.pod is not None else "node"
    return drop(at, "output", reason, f"{where} {at.view.name}: {why}", evidence=evidence, fix=fix, slug=slug)


def by_rule(answer: RouteAnswer) -> tuple[str, str] | None:
    """Where a policy rule refuses by itself: that in words, and the command that takes it away."""
    rule = answer.rule
    if rule is None or answer.route is not None or answer.kind not in ("blackhole", "unreachable", "prohibit"):
        return None
    tool = "ip -6" if rule.family == 6 else "ip"
    return f"the rule {describe_rule(rule)} refuses it", f"{tool} rule del priority {rule.priority}"


def _way(
    at: Position, answer: RouteAnswer, query: RouteQuery, hop: NextHop, left: str, chosen: str | None = None
) -> Step:
    """One way of an equal-cost route; most routes have one.

    ``left``: a word on ways that are not followed. ``chosen``: why the source is what it is, where it was asked with.
    """
    view, frame = at.view, at.frame
    source, reason = select_source(view, answer, query, hop if hop.index is not None else None)
    if source is None:
        if frame.packet.family == 6 or ":" in frame.packet.dst:
            return drop(at, "output", "EADDRNOTAVAIL", f"{view.name} has no IPv6 address to send from")
        source = "0.0.0.0"
    link = _device(view, answer, hop, at.link)
    if frame.packet.src != source:
        frame = frame.change(src=source)
    if frame.tunnel == (view.key, link.index):
        return drop(at, "output", "ELOOP", f"the way to {frame.packet.dst} leads into {link.name}, the tunnel itself")
    if hop.encap is not None:
        return unknown(at, "output", f"the route encapsulates with {hop.encap}: not modelled")
    evidence = describe(answer.route, view) if answer.route is not None else None
    why = evidence or "taken to be on the link"
    if chosen is not None or not query.src:
        why += f", source {source}: {chosen or reason}"
    why += left
    way = at.go(
        "egress" if at.rerouted is not None else "local-out",
        link=link,
        frame=frame,
        oif=at.oif,
        next_hop=hop.gateway,
        route=answer.route,
        rerouted=at.rerouted,
    )
    if at.branch.asked is None and frame.inner is None:
        way.branch = at.branch.with_asked(five_tuple(frame.packet))
    way.note("output", "local" if answer.kind == "local" else "forward", why, evidence=evidence, frame=frame)
    return way


def _device(view: NetNsView, answer: RouteAnswer, hop: NextHop, fallback: Link) -> Link:
    if answer.kind in ("local", "anycast"):
        return next((link for link in view.netns.links if link.loopback), fallback)
    return view.links.get(hop.index or 0, fallback)


def leave(walk: Walk, at: Position) -> Step:
    """The size, then the hook on the way out, then the neighbour."""
    too_big = size(at, None, whole=walk.whole) if at.iif is None else None
    return at.then("postrouting") if too_big is None else too_big


def size(at: Position, iif: Link | None, *, whole: bool = False) -> End | None:
    """Hold the packet against the MTU; shortens it to a fragment where it may be fragmented.

    ``whole``: the local sender insists that it is sent in one piece.
    """
    link, packet = at.link, at.frame.packet
    mtu = at.route.mtu if at.route is not None and at.route.mtu else link.mtu
    if link.loopback or packet.size <= mtu:
        return None
    inner = at.frame.inner
    if inner is not None:
        return _outer_size(at, mtu)
    if whole if iif is None else (packet.df or packet.family == 6):
        return _too_big(at, packet.size, mtu, iif)
    at.frame = at.frame.change(size=mtu, df=False)
    at.note("size", "fragment", f"{packet.size} bytes are more than the MTU {mtu} of {link.name}: sent in fragments")
    return None


def _too_big(at: Position, length: int, mtu: int, iif: Link | None) -> End:
    if iif is not None:
        kind = "packet too big" if at.frame.packet.family == 6 else "fragmentation needed"
        told = f"the sender is told (ICMP {kind}, MTU {mtu})"
        return drop(at, "size", "PKT_TOO_BIG", f"{length} bytes do not fit {at.link.name} (MTU {mtu}): {told}")
    return drop(
        at,
        "size",
        "EMSGSIZE",
        f"{length} bytes do not fit {at.link.name} (MTU {mtu}) and may not be fragmented: Message too long",
    )


def _next_one(inner: Frame, room: int) -> str:
    """What a packet too large for its tunnel teaches its sender (``skb_tunnel_check_pmtu``)."""
    if inner.local or (inner.packet.family == 6 and room >= IPV6_LEAST_MTU):
        return f"; the next of more than {room} bytes is refused"
    return ""


def _outer_size(at: Position, mtu: int) -> End | None:
    """A tunnel's outer packet is sent in fragments, unless the tunnel may not (``vxlan.whole``)."""
    packet, inner = at.frame.packet, at.frame.inner
    assert inner is not None
    room = mtu - OVERHEAD[packet.family]
    if at.frame.whole:
        return drop(
            at,
            "size",
            "PKT_TOO_BIG",
            f"{inner.packet.size} bytes and {packet.size - inner.packet.size} of VXLAN do not fit {at.link.name} "
            f"(MTU {mtu}): at most {room} bytes pass this tunnel",
            slug="vxlan-df-too-big" if packet.df else "mtu-overlay-too-big",
        )
    at.frame = at.frame.change(size=mtu)
    at.note(
        "size",
        "fragment",
        f"the outer packet of {packet.size} bytes is sent in fragments (MTU {mtu}){_next_one(inner, room)}",
    )
    return None
