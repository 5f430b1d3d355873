"""A trace: the packet there, its answer back."""

from __future__ import annotations

from dataclasses import replace

from netfs.cluster.endpoint import Endpoint, name_of
from netfs.cluster.netns import NetNsView
from netfs.cluster.topology import Topology
from netfs.datapath.frame import Frame
from netfs.datapath.misled import misled
from netfs.datapath.position import End, Position
from netfs.datapath.request import Request
from netfs.datapath.walk import Walk
from netfs.errors import EndpointError, UsageError
from netfs.model import ip
from netfs.model.link import Link
from netfs.model.packet import Packet
from netfs.model.trace import DELIVERED, DROPPED, UNKNOWN, Direction, Drop, EndpointRef, Hop, Trace

BRANCHES = 8
"""Branches of a forward way whose answers are followed."""
GONE = frozenset(("NEIGH_FAILED", "NO_SOCKET", "NO_CARRIER", "OTHERHOST", "IP_INNOROUTES", "IP_OUTNOROUTES"))
"""Drops that mean: whom the packet was sent to is not there."""
WORSE = {DROPPED: 0, UNKNOWN: 1, DELIVERED: 2}
"""Verdicts in the order in which they outweigh each other."""


def trace(topology: Topology, source: Endpoint, destination: Endpoint, request: Request) -> Trace:
    """Follow the packet and its answer; findings are another room's work.

    Raises EndpointError where the source is nowhere that was read, UsageError where the two ends share no
    address family.
    """
    view = source.view
    if view is None:
        raise EndpointError(
            f"no namespace that was read holds {source.name}", hint="a trace starts in a pod or on a node"
        )
    family = _family(source, destination, request)
    target = destination.address_in(family) or ""
    start = source.address_in(family) or ""
    packet = request.packet(source.address or "", target)
    walk = Walk(topology)
    walk.whole = request.df is True
    held = [_held(end, target, destination.view) for end in _there(walk, view, packet)]
    forward_ends = [_served(topology, packet, end) for end in held]
    forward = _direction(forward_ends, destination.view)
    reverse = Direction(UNKNOWN, unknown="nothing arrived that could be answered")
    arrived = [end for end in forward_ends if end.verdict == DELIVERED]
    if arrived:
        reverse = _back(walk, arrived, view)
    verdict = min((forward.verdict, reverse.verdict), key=WORSE.__getitem__)
    touched = {hop.node for way in (forward, reverse) for hop in way.hops} | {view.node.name}
    return Trace(
        verdict=verdict,
        source=EndpointRef(source.name, view.node.name, start or _chosen(forward)),
        destination=EndpointRef(
            destination.name, destination.view.node.name if destination.view is not None else None, target
        ),
        forward=forward,
        reverse=reverse,
        gaps=tuple(gap for name in sorted(touched) for gap in topology.gaps_by_node.get(name, ())),
    )


def _family(source: Endpoint, destination: Endpoint, request: Request) -> int:
    """The address family both ends have; IPv4 first."""
    wanted = (request.family,) if request.family is not None else (4, 6)
    for family in wanted:
        if destination.address_in(family) and (source.address is None or source.address_in(family)):
            if source.address_in(family) or len(wanted) == 1:
                return family
    for family in wanted:
        if destination.address_in(family):
            return family
    families = " or ".join(f"IPv{family}" for family in wanted)
    raise UsageError(f"{destination.name} has no {families} address that {source.name} could send to")


def _first_link(view: NetNsView) -> Link:
    """The device that a packet which finds no way is said to be at."""
    links = sorted(view.netns.links, key=lambda link: (link.loopback, link.index))
    return links[0] if links else Link(0, "lo")


def _there(walk: Walk, view: NetNsView, packet: Packet) -> list[End]:
    """The packet's ways. A link-local address names no device: that one is meant on which it is reached."""
    first = _first_link(view)
    if not _scoped(packet.dst) or packet.dst in view.owned:
        return walk.run(Position("output", view, first, Frame(packet, local=True)))
    scoped = {address.index for address in view.netns.addresses if _scoped(address.local)}
    links = [link for link in view.netns.links if link.index in scoped and not link.loopback]
    tries = [
        walk.run(Position("output", view, link, Frame(packet, local=True), oif=link.name)) for link in links or [first]
    ]
    reached = [ends for ends in tries if any(end.verdict == DELIVERED for end in ends)]
    return [end for ends in reached or tries for end in ends]


def _scoped(address: str) -> bool:
    """Whether an address means something on one link alone (``rt6_need_strict``)."""
    return ":" in address and ip.is_link_local(address)


def _back(walk: Walk, arrived: list[End], source: NetNsView) -> Direction:
    """The answers to every branch that arrived, each from its branch's end, with what its conntrack remembers."""
    walk.replying = True
    walk.whole = False
    ends: list[End] = []
    for end in arrived[:BRANCHES]:
        at = end.at
        answer = Frame(reply_of(at.frame.packet), local=True)
        answer.dports = at.frame.sports if at.frame.packet.sport is None else None
        # ``icmpv6_echo_reply``, ``tcp_v6_send_response``: to a link-local address, out of the device it came in by.
        oif = at.link.name if _scoped(answer.packet.dst) else None
        ends += walk.run(Position("output", at.view, at.link, answer, oif=oif, branch=at.branch))
    return _direction([_held(end, end.at.frame.packet.dst, source) for end in ends], source)


def reply_of(packet: Packet) -> Packet:
    """The answer to a packet: ICMP echo reply, SYN-ACK, or a datagram back."""
    return replace(
        packet,
        src=packet.dst,
        dst=packet.src,
        sport=packet.dport,
        dport=packet.sport,
        ttl=64,
        df=packet.proto != "icmp",  # icmp_sk_init: IP_PMTUDISC_DONT; other sockets begin with IP_PMTUDISC_WANT
        mark=0,
        src_mac=None,
        dst_mac=None,
        outer=None,
        icmp_type="echo-reply" if packet.proto == "icmp" else None,
        tcp_flags="syn-ack" if packet.proto == "tcp" else None,
    )


def _held(end: End, target: str, expected: NetNsView | None) -> End:
    """A packet delivered to another holder of the address did not reach whom it was meant for.

    One whose destination was translated on its way reached whom the rules chose.
    """
    if end.verdict != DELIVERED or expected is None or end.at.view is expected or end.at.frame.packet.dst != target:
        return end
    why = f"it is delivered to {name_of(end.at.view)}, which holds the address too, not to {name_of(expected)}"
    at = end.at
    at.note("deliver", "drop", why)
    return End(at, DROPPED, "WRONG_ENDPOINT", why, slug="address-duplicate")


def _served(topology: Topology, asked: Packet, end: End) -> End:
    """A packet for a Service that reached what is no backend of it went astray: rules are missing, or stale."""
    if end.verdict != DELIVERED:
        return end
    at, got = end.at, end.at.frame.packet
    wrong = misled(topology, (asked.dst, asked.proto, asked.dport), (got.dst, got.dport), at.view)
    if wrong is None:
        return end
    at.note("deliver", "drop", wrong.why)
    return End(at, DROPPED, "WRONG_ENDPOINT", wrong.why, slug=wrong.slug)


def _direction(ends: list[End], expected: NetNsView | None) -> Direction:
    """One way's answer; the worst of its branches stands first."""
    ways = sorted(_distinct([_way(end, expected) for end in ends]), key=lambda way: WORSE[way.verdict])
    first, others = ways[0], tuple(ways[1:])
    return replace(first, branches=others) if others else replace(first, share=None)


def _distinct(ways: list[Direction]) -> list[Direction]:
    """Ways that differ, their shares summed: the answers to two branches may well take one way."""
    found: dict[tuple[object, ...], Direction] = {}
    for way in ways:
        reason = way.drop.reason if way.drop is not None else None
        key = (way.verdict, reason, *(_step(hop) for hop in way.hops))
        known = found.get(key)
        if known is None:
            found[key] = way
        else:
            both = known.share is not None and way.share is not None
            found[key] = replace(known, share=(known.share or 0) + (way.share or 0) if both else None)
    return list(found.values())


def _step(hop: Hop) -> tuple[object, ...]:
    packet = hop.packet
    return hop.netns_id, hop.device, hop.stage, packet.src, packet.dst, packet.sport, packet.dport


def _way(end: End, expected: NetNsView | None) -> Direction:
    hops = end.at.trail.hops() if end.at.trail is not None else ()
    share = end.at.branch.share
    if end.verdict == DELIVERED:
        return Direction(DELIVERED, hops, share=share, reached=_reached(end, expected))
    if end.verdict == UNKNOWN:
        return Direction(UNKNOWN, hops, unknown=end.why, share=share)
    last = hops[-1] if hops else None
    drop = Drop(
        index=last.index if last is not None else 0,
        node=last.node if last is not None else end.at.view.node.name,
        netns=last.netns if last is not None else end.at.view.name,
        device=last.device if last is not None else end.at.link.name,
        reason=end.reason,
        why=end.why,
        fix=end.fix,
        slug=end.slug or ("conntrack-stale-nat" if end.reason in GONE and end.at.branch.stale() else None),
    )
    return Direction(DROPPED, hops, drop, share=share)


def _reached(end: End, expected: NetNsView | None) -> EndpointRef | None:
    """Who took the packet, where that is not who was named."""
    view = end.at.view
    return None if view is expected else EndpointRef(name_of(view), view.node.name, end.at.frame.packet.dst)


def _chosen(direction: Direction) -> str:
    return direction.hops[0].packet.src if direction.hops else ""
