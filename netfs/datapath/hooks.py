"""Netfilter's hooks on an IP packet's way: each is a stage of the walk.

The rules are evaluated in ``netfs.datapath.netfilter``. Here they are given what they look at (devices, the
connection, the address a masquerade would use), and their answer becomes the next position, several where chance
decides, or an end. Mirrors ``nf_hook_slow`` (net/netfilter/core.c), the places where ``ip_rcv``, ``ip_local_deliver``,
``ip_forward``, ``__ip_local_out`` and ``ip_output`` call it, and ``nf_nat_inet_fn`` (net/netfilter/nf_nat_core.c).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from netfs.cluster.netns import NetNsView
from netfs.datapath import conntrack, ipvs_in
from netfs.datapath.connection import DESTINATION, INVALID, UNTRACKED, Branch, Connection, FiveTuple, Tracked
from netfs.datapath.frame import bare
from netfs.datapath.netfilter import HookAnswer, HookContext, chains_on, run_hook
from netfs.datapath.output import query_of
from netfs.datapath.position import End, Position, Step, Ways, drop, unknown
from netfs.datapath.routing import RouteAnswer, RouteQuery, lookup, select_source
from netfs.datapath.routing.source_address import inet_select_addr
from netfs.datapath.verdicts import passed, refused, untranslated
from netfs.model import ip
from netfs.model.link import Link
from netfs.model.packet import Packet
from netfs.model.route import RT_SCOPE_UNIVERSE, NextHop

if TYPE_CHECKING:
    from netfs.datapath.walk import Walk

_GAPS = frozenset({"firewall", "nft", "iptables_legacy", "ip6tables_legacy"})
"""What was not read of a firewall and leaves a packet's fate open; iptables-nft's rules are nft's as well."""

FOLLOWED = 256
"""So many of the ways that chance may choose at one hook are walked."""


def prerouting(_walk: Walk, at: Position) -> Step:
    """An arrived packet, before it is routed. A frame that met it on its bridge does not again (``ip_sabotage_in``)."""
    if at.frame.physin is not None:
        return at.then("routed")
    return meet(at, "prerouting", at.link, None, "routed")


def input_(_walk: Walk, at: Position) -> Step:
    """A packet for this namespace, or for one of its virtual services."""
    return _to_service(at, "input", at.iif or at.link, None) or meet(at, "input", at.iif or at.link, None, "deliver")


def forward(_walk: Walk, at: Position) -> Step:
    """A packet that is passed on."""
    return meet(at, "forward", at.iif, at.link, "egress")


def output(_walk: Walk, at: Position) -> Step:
    """A packet made here; routed again where the rules changed what its route depends on."""
    step = _to_service(at, "output", None, at.link)
    if step is not None:
        return step
    step = meet(at, "output", None, at.link, "egress")
    for way in step.positions if isinstance(step, Ways) else (step,):
        if isinstance(way, Position) and way.rerouted is not None:
            way.stage, way.next_hop, way.route = "output", None, None
    return step


def postrouting(_walk: Walk, at: Position) -> Step:
    """A packet that leaves by a device."""
    return meet(at, "postrouting", at.iif, at.link, "neighbour")


def _decisive(view: NetNsView, routed: tuple[Packet, ...]) -> Packet:
    """The packet as it was when its last route was found, or when there was none (``ip_route_me_harder``)."""
    for packet in routed[:-1]:
        if not lookup(view, query_of(packet, mark=packet.mark)).usable:
            return packet
    return routed[-1]


def guarded(view: NetNsView) -> bool:
    """Whether there are rules, or may be."""
    return view.netns.firewall is not None or any(gap.what in _GAPS for gap in view.gaps)


def meet(at: Position, hook: str, iif: Link | None, oif: Link | None, then: str, physout: Link | None = None) -> Step:
    """Send a packet through the rules of a hook; it goes on at stage ``then``."""
    view = at.view
    if not guarded(view):
        return at.then(then)
    gap = next((gap for gap in view.gaps if gap.what in _GAPS), None)
    if gap is not None:
        return unknown(at, "netfilter", f"the firewall of {view.name} could not be read: {gap.reason}")
    met = _entered(at, hook)
    context = _context(at, hook, iif, oif, physout, met)
    answer = run_hook(view, hook, at.frame.visible(), context)
    if answer.verdict != "branches":
        return _follow(at.on(then), hook, met, answer)
    if len(answer.branches) > FOLLOWED:
        many = f"{hook}: {answer.why}; only the first {FOLLOWED} of {len(answer.branches):,} choices are followed"
        at.note("netfilter", "accept", many)
    ways = [_parted(at.on(then), hook, met, each) for each in answer.branches[:FOLLOWED]]
    return Ways(ways, known=True)


def _to_service(at: Position, hook: str, iif: Link | None, oif: Link | None) -> Step | None:
    """A packet that IPVS takes, behind the chains that stand before it; None: it takes none."""
    unread = next((gap for gap in at.view.gaps if gap.what == "ipvs"), None)
    if unread is not None and at.frame.packet.proto != "icmp" and at.frame.inner is None:
        return unknown(at, "ipvs", f"the virtual services of {at.view.name} could not be read: {unread.reason}")
    firewall = at.view.netns.firewall
    if firewall is None or not firewall.ipvs or any(gap.what in _GAPS for gap in at.view.gaps):
        return None
    met = _entered(at, hook)
    if met.connection is not None and (met.connection.service is not None or met.tracked.reply):
        return None
    context = replace(_context(at, hook, iif, oif, None, met), before=ipvs_in.PLACE[hook])
    answer = run_hook(at.view, hook, at.frame.visible(), context)
    if answer.verdict != "accept" or ipvs_in.wanted(at.view, answer.packet) is None:
        return None
    return _follow(at.on("ipvs"), hook, met, answer)


class _Entered(NamedTuple):
    """What conntrack knows of a packet at a hook."""

    branch: Branch
    tracked: Tracked
    connection: Connection | None
    undo: Callable[[Packet], Packet] | None
    """The translation that the connection has already, at this hook."""


def _entered(at: Position, hook: str) -> _Entered:
    branch, tracked = at.branch, at.frame.tracked
    if hook in ("prerouting", "output") and (tracked is None or tracked is INVALID):
        branch, tracked = conntrack.enter(at.view, branch, at.frame.packet)
    tracked = tracked or INVALID
    connection = branch.connection(tracked)
    return _Entered(branch, tracked, connection, _undo(connection, tracked, hook))


def _undo(connection: Connection | None, tracked: Tracked, hook: str) -> Callable[[Packet], Packet] | None:
    """What the connection's own translation makes of its packets at a hook (``nf_nat_manip_pkt``)."""
    if connection is None or hook == "forward":  # the one hook without NAT
        return None
    goal = connection.translated(hook, reply=tracked.reply)
    if goal is None:
        return None
    if hook in DESTINATION:
        return lambda packet: replace(packet, dst=goal.dst, dport=goal.dport)
    return lambda packet: replace(packet, src=goal.src, sport=goal.sport)


def _parted(at: Position, hook: str, met: _Entered, answer: HookAnswer) -> Position | End:
    """One of the ways that chance may choose."""
    return _follow(at, hook, met._replace(branch=met.branch.parted(answer.share)), answer)


def _follow(at: Position, hook: str, met: _Entered, answer: HookAnswer) -> Position | End:
    """What an answer leads to."""
    tracked = UNTRACKED if answer.untracked else met.tracked
    at.branch = at.branch.parted(answer.share) if answer.untracked else _remembered(hook, met, answer)
    if answer.changed:
        at.branch = at.branch.with_changes(at.view.key, answer.changed)
    if answer.verdict != "accept":
        return refused(at, hook, answer)
    fresh = tracked is not UNTRACKED and met.connection is not None and "confirmed" not in met.connection.status
    lost = conntrack.full(at.view) if fresh and at.frame.tracked is None else None
    if lost is not None:
        return drop(at, "netfilter", "NETFILTER_DROP", f"{hook}: {lost}", slug="conntrack-full")
    before, undone = at.frame, met.connection if met.undo is not None else None
    packet = bare(answer.packet)
    if met.connection is not None and met.connection.service is not None and met.tracked.reply:
        if hook in ipvs_in.RESTORED:
            packet, undone = ipvs_in.restored(met.connection, packet), met.connection
    at.frame = before.with_packet(packet)
    if packet.sport is None and before.packet.sport is not None:
        at.frame.sports = conntrack.chosen_ports(before.packet.sport)
    at.frame.tracked = tracked
    if packet != before.packet or answer.met:
        passed(at, hook, before.packet, answer, undone)
    if met.connection is not None and not met.tracked.reply and _too_old(at.view, met.connection, hook):
        untranslated(at, hook, met.connection)
    if answer.routed and at.stage == "egress":
        at.rerouted = _decisive(at.view, answer.routed)
    return at


def _too_old(view: NetNsView, connection: Connection, hook: str) -> bool:
    """Whether there are nat rules here that a connection is too old for: it began without a translation."""
    if connection.entry is None or hook not in DESTINATION or connection.status & {"snat", "dnat"}:
        return False
    layer = "ip6" if ":" in connection.original.dst else "ip"
    return any(chain.type == "nat" for chain in chains_on(view, layer, hook))


def _remembered(hook: str, met: _Entered, answer: HookAnswer) -> Branch:
    """The branch after a hook: the connection with the translation, the mark and the state that it has now."""
    branch, connection = met.branch, met.connection
    if connection is None:
        return branch
    now = connection
    if answer.nat is not None:
        now = now.with_nat(hook, answer.nat.address_to, answer.nat.port_to)
    if answer.ct_mark != now.mark:
        now = replace(now, mark=answer.ct_mark)
    if hook != "forward" and not now.done(hook):
        now = replace(now, dst_done=True) if hook in DESTINATION else replace(now, src_done=True)
    if hook in ("input", "postrouting") and "confirmed" not in now.status:
        now = replace(now, status=now.status | {"confirmed"})
    return branch if now is connection else branch.with_connection(now)


def _context(
    at: Position, hook: str, iif: Link | None, oif: Link | None, physout: Link | None, met: _Entered
) -> HookContext:
    connection, physin = met.connection, at.frame.physin
    return HookContext(
        iif=iif,
        oif=oif,
        ct_state=met.tracked.state,
        ct_status=connection.status if connection is not None else frozenset(),
        ct_direction="reply" if met.tracked.reply else "original",
        ct_mark=connection.mark if connection is not None else 0,
        nat_done=connection is not None and connection.done(hook),
        original=connection.first if connection is not None else None,
        reply=_packet_of(connection.reply) if connection is not None else None,
        tracked=at.frame.tracked is not None and at.frame.tracked is not INVALID,
        masquerade_source=_masquerade(at, oif) if hook == "postrouting" and oif is not None else None,
        bridged=physout is not None,
        socketless=at.frame.inner is not None and not at.frame.inner.local,
        physin=physin.name if physin is not None else None,
        physout=physout.name if physout is not None else None,
        fib=lambda result, flags, asked: _fib(at.view, result, flags, asked, iif, oif),
        changed=met.branch.changes.get(at.view.key, ()),
        restore=met.undo,
        sports=at.frame.sports,
        dports=at.frame.dports,
    )


def _packet_of(flow: FiveTuple) -> Packet:
    return Packet(flow.src, flow.dst, flow.proto, flow.sport, flow.dport)


def _masquerade(at: Position, oif: Link) -> str | None:
    """The address a masquerade uses: of the device, near the next hop, whatever the route's ``src`` says
    (``nf_nat_masquerade_ipv4``, ``nf_nat_masquerade_ipv6``).
    """
    dst = at.frame.packet.dst
    if ":" in dst:
        answer = RouteAnswer("unicast", nexthops=(NextHop(oif.index),))
        return select_source(at.view, answer, RouteQuery(dst=dst), NextHop(oif.index))[0]
    gateway = at.next_hop if at.next_hop is not None and ":" not in at.next_hop else None
    return inet_select_addr(at.view, oif, gateway or dst, RT_SCOPE_UNIVERSE)[0]


def _fib(
    view: NetNsView, result: str, flags: frozenset[str], packet: Packet, iif: Link | None, oif: Link | None
) -> str | None:
    """What ``fib`` answers of the source or the destination; by ``iif`` or ``oif`` only that device counts
    (``nft_fib4_eval``, ``nft_fib6_eval``). For what came in by a loopback device no route is asked for
    (``nft_fib_can_skip``).
    """
    if result != "type" and iif is not None and iif.loopback:
        return iif.name
    source = "saddr" in flags
    dst = packet.src if source else packet.dst
    device = iif if "iif" in flags else oif if "oif" in flags else None
    answer = lookup(view, RouteQuery(dst=dst, mark=packet.mark if "mark" in flags else 0))
    if answer.kind == "unknown":
        return None
    links = [view.links[hop.index] for hop in answer.nexthops if hop.index is not None and hop.index in view.links]
    if result == "type":
        kind = _address_type(answer, dst)
        elsewhere = kind in ("local", "broadcast") and device is not None and not _holds(view, device, dst, links)
        return "unicast" if elsewhere else kind
    if not answer.usable or (device is not None and device not in links):
        return ""
    return (device or links[0]).name if links else ""


def _address_type(answer: RouteAnswer, address: str) -> str:
    """``inet_addr_type`` asks the table of local addresses alone; ``nft_fib6_eval_type`` asks for a route."""
    if ":" in address:
        return answer.kind if answer.usable else "unreachable"
    if ip.to_int(address) >> 24 == 0:
        return "broadcast"
    return answer.kind if answer.kind in ("local", "broadcast", "multicast") else "unicast"


def _holds(view: NetNsView, device: Link, address: str, links: list[Link]) -> bool:
    """Whether an address of this host is the device's own (``inet_dev_addr_type``)."""
    owner = view.owned.get(address)
    return owner.index == device.index if owner is not None else device in links
