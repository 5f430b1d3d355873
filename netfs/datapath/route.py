"""Into a namespace: an arrived IP packet is checked, routed, and delivered or forwarded.

Mirrors ``ip_rcv``, ``ip_route_input_slow`` and ``ip_forward`` (net/ipv4/ip_input.c, route.c, ip_forward.c),
``ip6_rcv_core``, ``ip6_forward`` (net/ipv6/ip6_input.c, ip6_output.c). Forwarding asks the ingress device
in IPv4 and conf.all in IPv6.
"""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from netfs.datapath.output import by_rule, query_of, size, unread
from netfs.datapath.position import End, Position, Step, Ways, drop, followed, unknown
from netfs.datapath.routing import RouteAnswer, describe, lookup, martian_check, reverse_check
from netfs.model import ip
from netfs.model.route import NextHop

if TYPE_CHECKING:
    from netfs.datapath.walk import Walk

DELIVERED_HERE = ("local", "broadcast", "anycast")
REFUSALS = {"blackhole": "EINVAL", "unreachable": "EHOSTUNREACH", "prohibit": "EACCES"}


def arrive(_walk: Walk, at: Position) -> Step:
    """Check the packet; PREROUTING is next."""
    view, link = at.view, at.link
    if at.frame.packet.family == 6 and link.ipv6.get("disable_ipv6", 0):
        return drop(
            at,
            "route",
            "IPV6DISABLED",
            f"IPv6 is switched off on {link.name} in {view.name}",
            fix=f"sysctl -w {quote(f'net/ipv6/conf/{link.name}/disable_ipv6=0')}",
            slug="ipv6-disabled",
        )
    return at.then("prerouting")


def routed(walk: Walk, at: Position) -> Step:
    """Believe the packet's source, and find its way."""
    if at.link.loopback:
        # The route of its output stays with a looped packet: ip_rcv_finish asks no tables.
        return at.go("input", iif=at.link)
    missing = unread(at.view)
    if missing is not None:
        return unknown(at, "route", missing)
    view, link, packet = at.view, at.link, at.frame.packet
    martian = martian_check(view, link, packet.src, packet.dst)
    if martian is not None:
        return drop(at, "route", martian.reason, f"{view.name} refuses it: {martian.why}", slug="martian-source")
    if ip.is_multicast(packet.dst):
        return _multicast(walk, at)
    answer = lookup(view, query_of(packet, iif=link.name, mark=packet.mark))
    if answer.kind == "unknown":
        return unknown(at, "route", answer.unknown or "the routing tables cannot be decided")
    if answer.kind in DELIVERED_HERE:
        return _believed(at, 0) or at.go("input", iif=link, route=answer.route)
    if answer.kind != "unicast" and at.frame.packet.family == 6:  # ip6_pkt_discard, not ip6_forward, is its input
        return _no_way(at, answer)
    off = _not_forwarding(at)
    if off is not None:
        return off
    if answer.kind != "unicast":
        return _no_way(at, answer)
    hops, left = followed(answer.nexthops)
    ways = [_forward(at.go("route", iif=link), answer, hop, left) for hop in hops]
    going = [way for way in ways if isinstance(way, Position)]
    return Ways(going) if len(going) > 1 else ways[0]


def _believed(at: Position, out: int) -> End | None:
    """``fib_validate_source``."""
    packet, link = at.frame.packet, at.link
    check = reverse_check(
        at.view,
        link,
        packet.src,
        packet.dst,
        packet.mark,
        packet.tos,
        out=out,
    )
    if check.ok:
        return None
    if check.ok is None:
        return unknown(at, "route", f"whether {at.view.name} believes the source cannot be known: {check.why}")
    reason = check.reason or "IP_RPFILTER"
    slug = {"IP_RPFILTER": "rp-filter-strict", "IP_LOCAL_SOURCE": "accept-local-needed"}.get(reason, "martian-source")
    return drop(
        at,
        "route",
        reason,
        f"{at.view.name} does not believe that {packet.src} comes by {link.name}: {check.why}",
        evidence=check.evidence,
        slug=slug,
    )


def _not_forwarding(at: Position) -> End | None:
    view, link = at.view, at.link
    if at.frame.packet.family == 6:
        if view.sysctl("net.ipv6.conf.all.forwarding", 0) or link.ipv6.get("force_forwarding", 0):
            return None
        return drop(
            at,
            "route",
            "IP_INADDRERRORS",
            f"{view.name} does not forward IPv6 (net.ipv6.conf.all.forwarding is 0)",
            fix="sysctl -w net.ipv6.conf.all.forwarding=1",
            slug="ipv6-forwarding-off",
        )
    if link.ipv4.get("forwarding", view.sysctl("net.ipv4.ip_forward", 0) or 0):
        return None
    if view.pod is not None:
        return drop(
            at,
            "route",
            "IP_INADDRERRORS",
            f"{view.name} gets a packet for {at.frame.packet.dst}, which it does not hold, and a pod does not forward: "
            f"the sender takes {link.mac} for the MAC of {at.frame.packet.dst}",
            slug="neighbour-stale-pod-mac",
        )
    return drop(
        at,
        "route",
        "IP_INADDRERRORS",
        f"{view.name} does not forward what comes by {link.name}, and {at.frame.packet.dst} is not its own",
        fix="sysctl -w net.ipv4.ip_forward=1",
        slug="forwarding-off",
    )


def _no_way(at: Position, answer: RouteAnswer) -> End:
    dst, view = at.frame.packet.dst, at.view
    evidence = describe(answer.route, view) if answer.route is not None else "; ".join(answer.considered[-3:]) or None
    if answer.kind == "none":
        return drop(at, "route", "IP_INNOROUTES", f"{view.name} has no route to {dst}", evidence=evidence)
    if answer.kind not in REFUSALS:
        return unknown(at, "route", f"a route of type {answer.kind} decides on {dst}: not modelled")
    why, fix = by_rule(answer) or (f"a {answer.kind} route of {view.name} refuses {dst}", None)
    return drop(at, "route", REFUSALS[answer.kind], why, evidence=evidence, fix=fix, slug="route-blackhole")


def _forward(at: Position, answer: RouteAnswer, hop: NextHop, left: str) -> Step:
    """``ip_forward``: source, TTL, size, then the FORWARD hook. ``left``: a word on ways that are not followed."""
    view, link, packet = at.view, at.link, at.frame.packet
    out = view.links.get(hop.index or 0)
    if out is None:
        return unknown(at, "route", f"the device of the route to {packet.dst} is not in the snapshot")
    if hop.encap is not None:
        return unknown(at, "route", f"the route encapsulates with {hop.encap}: not modelled")
    disbelief = _believed(at, out.index)
    if disbelief is not None:
        return disbelief
    if packet.ttl <= 1:
        return drop(at, "route", "IP_INHDR", f"the TTL ran out on {view.name}: ICMP time exceeded", slug="route-loop")
    if packet.family == 6 and ip.is_link_local(packet.src):
        return drop(at, "route", "IP_INHDR", f"{view.name} does not forward from a link-local source")
    evidence = describe(answer.route, view) if answer.route is not None else None
    at.note("route", "forward", f"{evidence or 'taken to be on the link'}{left}", evidence=evidence)
    way = at.go("forward", link=out, iif=link, next_hop=hop.gateway, route=answer.route)
    too_big = size(way, link)
    if too_big is not None:
        return too_big
    way.frame = way.frame.forwarded(ttl=packet.ttl - 1)
    return way


def _multicast(walk: Walk, at: Position) -> Step:
    """``ip_check_mc_rcu``: taken in where a VXLAN device joined the group on this device."""
    group, view = at.frame.packet.dst, at.view
    for port in walk.topology.tunnels.get(view.key, ()):
        vxlan = port.link.vxlan
        if vxlan is not None and vxlan.group == group and vxlan.lower == at.link.index and port.link.up:
            return at.go("input", iif=at.link)
    return drop(at, "route", "OTHERHOST", f"nobody on {view.name} joined the group {group} on {at.link.name}")
