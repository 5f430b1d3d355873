"""``bridge-nf-call-iptables``: bridged IP frames meet the hooks of IP.

Mirrors net/bridge/br_netfilter_hooks.c and br_netfilter_ipv6.c: ``br_nf_pre_routing`` and its ``_finish`` functions,
``br_nf_forward_ip``, ``br_nf_post_routing``. A frame that enters by a port meets PREROUTING there, with the bridge as
its device, and not again when it is passed up. Where its destination was translated, it is routed at once: to a
host behind the same bridge it is bridged on, with that host's MAC; else it goes up to the bridge device. What is
bridged on meets FORWARD and POSTROUTING. The sysctls belong to the bridge's network namespace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netfs.cluster.netns import NetNsView
from netfs.datapath import hooks
from netfs.datapath.connection import five_tuple
from netfs.datapath.frame import Frame
from netfs.datapath.output import by_rule, query_of, unread
from netfs.datapath.position import End, Position, Step, Ways, drop, unknown
from netfs.datapath.routing import lookup, martian_check, reverse_check
from netfs.model.link import Link

if TYPE_CHECKING:
    from netfs.datapath.walk import Walk


def calls_ip_tables(view: NetNsView, bridge: Link, frame: Frame) -> bool:
    """Whether bridged frames meet the tables of their IP family (``br_nf_pre_routing``)."""
    name = "ip6tables" if frame.packet.family == 6 else "iptables"
    if view.sysctl(f"net.bridge.bridge-nf-call-{name}", 0):
        return True
    if bridge.bridge is None:
        return False
    return bridge.bridge.nf_call_ip6tables if name == "ip6tables" else bridge.bridge.nf_call_iptables


def enter(at: Position) -> Position:
    """A frame that the rules of IP are called for; where there are none, only its size is looked at again."""
    at.frame = at.frame.bridged(at.link)
    if hooks.guarded(at.view):
        at.stage = "bridge-prerouting"
    return at


def leave(at: Position) -> bool:
    """Whether a frame that leaves by a port meets rules of IP before; it goes on there then."""
    if at.port is None or at.frame.physin is None or not hooks.guarded(at.view):
        return False
    at.stage = "bridge-forward"
    return True


def prerouting(_walk: Walk, at: Position) -> Step:
    """``br_nf_pre_routing``."""
    bridge = at.view.links[at.link.master or 0]
    step = hooks.meet(at, "prerouting", bridge, None, "bridge-prerouted")
    before = at.frame.packet.dst
    for way in step.positions if isinstance(step, Ways) else (_kept(at, step),):
        if isinstance(way, Position):
            if way.frame.packet.dst == before:
                way.stage = "bridge-decide"
    return step


def prerouted(_walk: Walk, at: Position) -> Step:
    """``br_nf_pre_routing_finish``: the destination was translated, so the frame is routed, as of the bridge."""
    view, port = at.view, at.link
    bridge, packet = view.links[port.master or 0], at.frame.packet
    missing = unread(view)
    if missing is not None:
        return unknown(at, "bridge", missing)
    answer = lookup(view, query_of(packet, iif=bridge.name, mark=packet.mark))
    if answer.kind == "unknown":
        return unknown(at, "bridge", answer.unknown or "the routing tables cannot be decided")
    if answer.kind == "unicast":
        refused = _refused(at, bridge, answer.nexthops[0].index or 0)
        if refused is not None:
            return refused
        hop = answer.nexthops[0]
        if hop.index == bridge.index:
            why = f"translated to {packet.dst}, which {bridge.name} itself leads to: bridged on with its MAC"
            at.note("bridge", "forward", why)
            return at.go("neighbour", link=bridge, port=port, next_hop=hop.gateway, route=answer.route)
    elif not answer.usable:
        why, fix = by_rule(answer) or (f"{view.name} has no route to it", None)
        slug = "route-blackhole" if answer.kind != "none" else None
        return drop(at, "bridge", "IP_INNOROUTES", f"translated to {packet.dst}: {why}", fix=fix, slug=slug)
    frame = at.frame.addressed(at.frame.src_mac, bridge.mac)
    frame.born = at.frame.born
    return at.go("bridge-decide", frame=frame)


def _refused(at: Position, bridge: Link, out: int) -> End | None:
    """What ``ip_route_input`` says against the packet. Without forwarding, only its way out is asked for."""
    view, packet = at.view, at.frame.packet
    forwards = packet.family == 6 or bridge.ipv4.get("forwarding", view.sysctl("net.ipv4.ip_forward", 0) or 0)
    if not forwards:
        if out == bridge.index:
            return None
        why = f"translated to {packet.dst}, which lies beyond {bridge.name}, and {view.name} does not forward"
        return drop(at, "bridge", "IP_INADDRERRORS", why, slug="forwarding-off")
    martian = martian_check(view, bridge, packet.src, packet.dst)
    if martian is not None:
        return drop(at, "bridge", martian.reason, f"{view.name} refuses it: {martian.why}", slug="martian-source")
    check = reverse_check(view, bridge, packet.src, packet.dst, packet.mark, packet.tos, out=out)
    if check.ok is None:
        return unknown(at, "bridge", f"whether {view.name} believes the source cannot be known: {check.why}")
    if check.ok:
        return None
    reason = check.reason or "IP_RPFILTER"
    why = f"{view.name} does not believe that {packet.src} comes by {bridge.name}: {check.why}"
    return drop(at, "bridge", reason, why, evidence=check.evidence)


def forward(_walk: Walk, at: Position) -> Step:
    """``br_nf_forward_ip``: from port to port, both seen as the bridge."""
    bridge = at.view.links[at.link.master or 0]
    return _kept(at, hooks.meet(at, "forward", bridge, bridge, "bridge-postrouting", physout=at.link))


def postrouting(_walk: Walk, at: Position) -> Step:
    """``br_nf_post_routing``."""
    bridge = at.view.links[at.link.master or 0]
    return _kept(at, hooks.meet(at, "postrouting", None, bridge, "bridge-leave", physout=at.link))


def _kept(at: Position, step: Step) -> Step:
    """The same frame to whoever watches for circles."""
    if isinstance(step, Position):
        step.frame.born = at.frame.born
    return step


def unmet(at: Position, bridge: Link) -> None:
    """A frame that is only bridged: where it answers a translated connection of this namespace, nothing undoes that."""
    frame = at.frame
    if not at.branch.connections or frame.dst_mac == bridge.mac:
        return
    found = at.branch.find(at.view.key, five_tuple(frame.packet))
    if found is None or not found[1]:
        return
    if found[0].service is not None or not {"dnat", "snat"}.isdisjoint(found[0].status):
        at.branch = at.branch.with_bypass(bridge.name)
