"""Neighbours: the MAC of the next hop, from the table or by asking.

Mirrors ``neigh_resolve_output`` (net/core/neighbour.c), ``arp_constructor`` and ``arp_solicit``
(net/ipv4/arp.c), ``ndisc_solicit`` (net/ipv6/ndisc.c). A question is walked over the segment like any
frame, so a bridge that does not forward it, or a host that may not answer, loses the packet here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netfs.cluster.netns import NetNsView
from netfs.datapath.device import ARPHRD_ETHER
from netfs.datapath.frame import BROADCAST
from netfs.datapath.position import End, Position, Step, Ways, drop, unknown
from netfs.datapath.routing import conf
from netfs.model import ip
from netfs.model.address import NUD_FAILED, NUD_INCOMPLETE, NUD_NOARP, NUD_PERMANENT, NUD_VALID, Neighbour
from netfs.model.link import Link
from netfs.model.trace import UNKNOWN

if TYPE_CHECKING:
    from netfs.datapath.walk import Walk

STATES = {
    1: "INCOMPLETE",
    2: "REACHABLE",
    4: "STALE",
    8: "DELAY",
    16: "PROBE",
    32: "FAILED",
    64: "NOARP",
    128: "PERMANENT",
}


def resolve(walk: Walk, at: Position) -> Step:
    """Find the MAC to send to."""
    link, target = at.link, at.next_hop or at.frame.packet.dst
    if link.loopback or link.arp_type != ARPHRD_ETHER:
        return at.go("transmit", frame=at.frame.addressed(None, None))
    entry = at.view.neighbour(link.index, target)
    fixed = _without_asking(at, target, entry)
    if fixed is not None:
        return _addressed(at, fixed)
    heard = walk.heard(at.view, link, target)
    if heard is not None and not (entry is not None and entry.state & (NUD_PERMANENT | NUD_NOARP)):
        return _send(at, heard, f"{target} asked before, and so is known by {heard}", None)
    if entry is not None and entry.state & NUD_VALID and entry.mac is not None:
        return _send(at, entry.mac, describe(at.view, entry), describe(at.view, entry))
    return _ask(walk, at, target, entry)


def _without_asking(at: Position, target: str, entry: Neighbour | None) -> str | None:
    """MACs that follow from the address or the device (RFC 1112 6.4, RFC 2464 7, ``arp_constructor``).

    An entry that is there was made before, by hand: it counts also on a device without ARP.
    """
    link = at.link
    if at.route is not None and at.route.type == "broadcast" and at.next_hop is None:
        return BROADCAST
    if ip.is_multicast(target):
        value = ip.to_int(target)
        if ":" in target:
            return "33:33:" + ":".join(f"{value >> shift & 0xFF:02x}" for shift in (24, 16, 8, 0))
        return f"01:00:5e:{value >> 16 & 0x7F:02x}:{value >> 8 & 0xFF:02x}:{value & 0xFF:02x}"
    if link.noarp and entry is None:
        at.note("neighbour", "resolve", f"{link.name} does not use ARP: the frame carries its own MAC")
        return link.mac
    return None


def _ask(walk: Walk, at: Position, target: str, entry: Neighbour | None) -> Step:
    view, link = at.view, at.link
    if link.noarp:  # arp_solicit, ndisc_solicit: nothing leaves by such a device
        return _failed(at, target, entry, [])
    gap = next((gap for gap in view.gaps if gap.what == "neighbours"), None)
    if gap is not None:
        return unknown(at, "neighbour", f"the neighbours of {view.name} could not be read: {gap.reason}")
    source = _asker(view, link, at.frame.packet.src, target)
    if source is None:
        return drop(
            at,
            "neighbour",
            "NEIGH_FAILED",
            f"{link.name} has no link-local address to ask for {target} from",
        )
    ends = walk.ask(view, link, target, source)
    answers = {end.why: end for end in ends if end.verdict == "answered" and end.at.view is view}
    macs = list(answers)
    if len(macs) == 1:
        lost = at.go("unanswered", next_hop=target)
        sent = _send(at, macs[0], f"{target} answers {_question(target)} with {macs[0]}", None)
        return Ways([sent, lost]) if answers[macs[0]].by_chance else sent
    if macs:
        return _several(at, target, macs)
    doubt = next((end for end in ends if end.verdict == UNKNOWN), None)
    if doubt is not None:
        return unknown(at, "neighbour", f"{_question(target)} for {target} on {link.name}: {doubt.why}")
    return _failed(at, target, entry, ends)


def unanswered(_walk: Walk, at: Position) -> Step:
    """The other way of an answer that came by chance."""
    target = at.next_hop or at.frame.packet.dst
    return drop(
        at,
        "neighbour",
        "NEIGH_FAILED",
        f"{_question(target)} for {target} on {at.link.name} may get no answer: it goes astray on one of several ways",
    )


def _addressed(at: Position, mac: str) -> Position:
    """With its Ethernet header. A bridged frame keeps its sender's MAC and goes back to the port it came in by
    (``neigh_hh_bridge``, ``br_nf_pre_routing_finish_bridge_slow``).
    """
    if at.port is not None:
        frame = at.frame.addressed(at.frame.src_mac, mac)
        frame.born = at.frame.born
        return at.go("bridge-decide", link=at.port, frame=frame)
    return at.go("transmit", frame=at.frame.addressed(at.link.mac, mac))


def _send(at: Position, mac: str, why: str, evidence: str | None) -> Position:
    way = _addressed(at, mac)
    at.note("neighbour", "resolve", why, evidence=evidence, frame=way.frame)
    way.trail = at.trail
    return way


def _several(at: Position, target: str, macs: list[str]) -> Step:
    """Two owners of one address: whoever answers first is believed."""
    ways: list[Position | End] = []
    for mac in macs:
        way = _addressed(at, mac)
        why = f"{len(macs)} hosts answer {_question(target)} for {target}; this one with {mac}"
        way.note("neighbour", "resolve", why, link=at.link)
        ways.append(way)
    return Ways(ways)


def _failed(at: Position, target: str, entry: Neighbour | None, ends: list[End]) -> End:
    link, view = at.link, at.view
    told = [end for end in ends if end.reason not in ("NOT_OWNER", "OTHERHOST")]
    reason = told[0].why if told else f"nobody on the segment of {link.name} holds it"
    if link.noarp:
        reason = f"{link.name} does not ask"
    state = ""
    if entry is not None and entry.state & (NUD_FAILED | NUD_INCOMPLETE):
        state = f" (entry: {describe(view, entry)})"
    return drop(
        at,
        "neighbour",
        "NEIGH_FAILED",
        f"{_question(target)} for {target} on {link.name} gets no answer: {reason}{state}",
        evidence=describe(view, entry) if entry is not None else None,
    )


def _question(target: str) -> str:
    return "neighbour discovery" if ":" in target else "ARP"


def _asker(view: NetNsView, link: Link, packet_source: str, target: str) -> str | None:
    """The address a question carries as its sender's."""
    here = view.addresses.get(link.index, ())
    if ":" in target:
        if any(address.local == packet_source for address in here):
            return packet_source
        return next((a.local for a in here if a.family == 6 and a.scope == 253), None)
    announce = conf(view, link, "arp_announce", join="max")
    if announce < 2 and packet_source in view.owned:
        if announce == 0 or any(
            ip.contains(f"{a.local}/{a.prefixlen}", target) and a.local == packet_source for a in here
        ):
            return packet_source
    fours = [a for a in here if a.family == 4 and a.scope <= 253]
    on_link = [a.local for a in fours if ip.contains(f"{a.local}/{a.prefixlen}", target)]
    if on_link or fours:
        return (on_link or [fours[0].local])[0]
    elsewhere = (a.local for a in view.netns.addresses if a.family == 4 and a.scope <= 253 and a.scope != 254)
    return next(elsewhere, "0.0.0.0")


def describe(view: NetNsView, entry: Neighbour) -> str:
    """The entry as ``ip neigh`` prints it."""
    link = view.links.get(entry.index)
    device = link.name if link is not None else f"if{entry.index}"
    mac = f" lladdr {entry.mac}" if entry.mac is not None else ""
    state = STATES.get(entry.state, hex(entry.state))
    return f"{entry.address} dev {device}{mac} {state}"
