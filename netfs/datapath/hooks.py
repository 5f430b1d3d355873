"""Netfilter's hooks on a packet's way: what the rules of a namespace do to it.

The rules themselves are evaluated in ``netfs.datapath.netfilter``; here they are given what they look at
(devices, conntrack's view, the address a masquerade would use), and their answer becomes a hop or an end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from shlex import quote
from typing import TYPE_CHECKING

from netfs.cluster.netns import NetNsView
from netfs.datapath.frame import Frame, Question
from netfs.datapath.netfilter import (
    HookAnswer,
    HookContext,
    chains_on,
    run_arp_hook,
    run_bridge_hook,
    run_device_hook,
    run_hook,
)
from netfs.datapath.position import End, Position, drop, unknown
from netfs.datapath.routing import RouteQuery, lookup, select_source
from netfs.model import ip
from netfs.model.link import Link
from netfs.model.packet import Packet
from netfs.model.trace import DROPPED, UNKNOWN

if TYPE_CHECKING:
    from netfs.datapath.walk import Walk

SOLICITED_NODE = 0xFF02_0000_0000_0000_0000_0001_FF00_0000
"""ff02::1:ff00:0/104 (RFC 4291 2.7.1)."""

_GAPS = frozenset({"nft", "iptables_legacy", "ip6tables_legacy"})
"""What was not read of a firewall and leaves a packet's fate open; iptables-nft's rules are nft's as well."""


def pass_hook(walk: Walk, at: Position, hook: str, iif: Link | None, oif: Link | None) -> Frame | End:
    """The frame after the hook's rules, or the end they made of it."""
    return _run(walk, at, hook, iif, oif, None, None)


def bridged(walk: Walk, at: Position, bridge: Link, port: Link) -> Frame | End:
    """``bridge-nf-call-iptables``: a bridged IP frame meets the hooks of its family (br_netfilter_hooks.c)."""
    if at.frame.question is not None or at.view.netns.firewall is None:
        return at.frame
    if not calls_ip_tables(at.view, bridge, at.frame):
        return at.frame
    frame = at.frame
    hooks = ["prerouting"]
    if frame.dst_mac not in (bridge.mac, port.mac):
        hooks += ["forward", "postrouting"]
    for hook in hooks:
        result = _run(walk, at, hook, bridge, None if hook == "prerouting" else bridge, bridge, port)
        if isinstance(result, End):
            return result
        if (result.packet.dst, result.packet.src) != (frame.packet.dst, frame.packet.src):
            return unknown(at, "netfilter", f"rules translate a frame that {bridge.name} only bridges: not modelled")
    return frame


def calls_ip_tables(view: NetNsView, bridge: Link, frame: Frame) -> bool:
    """Whether bridged frames meet the tables of their IP family (``br_nf_pre_routing``)."""
    name = "ip6tables" if frame.packet.family == 6 else "iptables"
    if view.sysctl(f"net.bridge.bridge-nf-call-{name}", 0):
        return True
    if bridge.bridge is None:
        return False
    return bridge.bridge.nf_call_ip6tables if name == "ip6tables" else bridge.bridge.nf_call_iptables


def bridge_hook(walk: Walk, at: Position, hook: str, bridge: Link, iif: Link | None, oif: Link | None) -> Frame | End:
    """The rules of family bridge on a frame between ports."""
    if at.view.netns.firewall is None or not chains_on(at.view, "bridge", hook):
        return at.frame
    context = HookContext(
        iif=iif or bridge,
        oif=oif,
        ct_state=_bridged_state(walk, at.frame),
        ibrname=bridge.name,
        obrname=bridge.name if oif is not None else None,
    )
    return _passed(walk, at, hook, lambda packet: run_bridge_hook(at.view, hook, packet, context))


def device_hook(walk: Walk, at: Position, hook: str) -> Frame | End:
    """The rules of family netdev on a device: ``ingress`` or ``egress``."""
    if at.view.netns.firewall is None or not chains_on(at.view, "netdev", hook):
        return at.frame
    context = HookContext(iif=at.link) if hook == "ingress" else HookContext(oif=at.link)
    return _passed(walk, at, hook, lambda packet: run_device_hook(at.view, hook, packet, context))


def question_hook(at: Position, hook: str) -> End | None:
    """The rules on a question or its answer where it is made (``output``) or heard (``input``).

    ARP meets family arp (``arp_xmit``, ``arp_rcv``); neighbour discovery is ICMPv6 and meets ip6, untracked
    (``ndisc_send_skb``, ``ip6_input``, ``nf_conntrack_icmpv6_error``).
    """
    question = at.frame.question
    if question is None or at.view.netns.firewall is None:
        return None
    discovery = ":" in question.target
    layer = "ip6" if discovery else "arp"
    state = "untracked" if discovery else "invalid"
    context = HookContext(iif=at.link, ct_state=state) if hook == "input" else HookContext(oif=at.link, ct_state=state)
    before = ("prerouting", "input") if hook == "input" else ("output", "postrouting")
    for name in before if discovery else (hook,):
        if chains_on(at.view, layer, name):
            run = run_hook if discovery else run_arp_hook
            answer = run(at.view, name, question_packet(question), context)
            if answer.verdict != "accept":
                return _refused(at, name, answer)
    return None


def question_packet(question: Question) -> Packet:
    """A question as the rules see it: an ARP packet, or a neighbour solicitation or advertisement (RFC 4861 4.3)."""
    source, target = question.source, question.target
    if question.answer:
        source, target = target, source
    if ":" not in target:
        return Packet(source, target, proto="arp", size=46)
    if question.answer:
        return Packet(source, target, size=72, ttl=255, icmp_type="nd-neighbor-advert")
    group = ip.to_text(SOLICITED_NODE | ip.to_int(target) & 0xFFFFFF, 6)
    return Packet(source, group, size=72, ttl=255, icmp_type="nd-neighbor-solicit")


def _bridged_state(walk: Walk, frame: Frame) -> str:
    """What ``ct state`` finds on a bridge: ARP is never tracked."""
    if frame.question is not None:
        return "untracked" if ":" in frame.question.target else "invalid"
    return "established" if walk.replying else "new"


def _passed(walk: Walk, at: Position, hook: str, run: Callable[[Packet], HookAnswer]) -> Frame | End:
    """The frame after rules below IP; a question stays what it is or is lost."""
    question = at.frame.question
    if question is None:
        return _judged(walk, at, hook, at.frame, run(at.frame.packet))
    answer = run(question_packet(question))
    return at.frame if answer.verdict == "accept" else _refused(at, hook, answer)


def _refused(at: Position, hook: str, answer: HookAnswer) -> End:
    asked = "neighbour discovery" if at.frame.packet.family == 6 else "ARP"
    if answer.verdict == "unknown":
        return End(at, UNKNOWN, "", f"{hook} of {at.view.name}: {answer.why}")
    return End(at, DROPPED, "NETFILTER_DROP", f"{asked} is dropped at {hook} of {at.view.name}: {answer.why}")


def _run(
    walk: Walk, at: Position, hook: str, iif: Link | None, oif: Link | None, bridge: Link | None, port: Link | None
) -> Frame | End:
    view, frame = at.view, at.frame
    if walk.replying:
        frame = _restored(walk, view, hook, frame)
    gap = next((gap for gap in view.gaps if gap.what in _GAPS), None)
    if gap is not None:
        return unknown(at, "netfilter", f"the firewall of {view.name} could not be read: {gap.reason}")
    if view.netns.firewall is None:
        return frame
    before = frame.packet
    if hook in ("prerouting", "output") and not walk.replying:
        walk.conntrack.open(view.key, before)
    answer = run_hook(view, hook, before, _context(walk, view, hook, before, iif, oif, bridge, port))
    return _judged(walk, at, hook, frame, answer)


def _judged(walk: Walk, at: Position, hook: str, frame: Frame, answer: HookAnswer) -> Frame | End:
    if answer.verdict == "accept":
        return _accepted(walk, at, hook, frame, answer)
    text = f"{hook}: {answer.why}"
    evidence = answer.matched[-1].text if answer.matched else None
    if answer.verdict == "unknown":
        return unknown(at, "netfilter", text)
    return drop(
        at, "netfilter", "NETFILTER_DROP", text, evidence=evidence, fix=_fix(answer), slug=_slug(at.view, frame, answer)
    )


def _accepted(walk: Walk, at: Position, hook: str, frame: Frame, answer: HookAnswer) -> Frame:
    if answer.packet == frame.packet:
        return frame
    changed = frame.with_packet(answer.packet)
    walk.conntrack.translate(at.view.key, frame.packet, answer.packet)
    evidence = answer.matched[-1].text if answer.matched else None
    at.note("netfilter", "rewrite", f"{hook}: {answer.why}", evidence=evidence, frame=changed)
    return changed


def _context(
    walk: Walk,
    view: NetNsView,
    hook: str,
    packet: Packet,
    iif: Link | None,
    oif: Link | None,
    bridge: Link | None,
    port: Link | None,
) -> HookContext:
    original = walk.conntrack.original(view.key, packet) if walk.replying else None
    known = walk.replying and original is not None
    return HookContext(
        iif=iif,
        oif=oif,
        ct_state="established" if known else ("invalid" if walk.replying and packet.tcp_flags else "new"),
        ct_direction="reply" if known else "original",
        nat_done=known,
        original=original,
        masquerade_source=_source(view, packet, oif) if hook == "postrouting" and oif is not None else None,
        bridged=bridge is not None,
        physin=port.name if port is not None else None,
        fib=lambda result, _flags, asked: _fib(view, result, asked),
    )


def _restored(walk: Walk, view: NetNsView, hook: str, frame: Frame) -> Frame:
    """The answer with the connection's translations undone."""
    if hook in ("prerouting", "output"):
        packet = walk.conntrack.restore_destination(view.key, frame.packet)
    elif hook in ("input", "postrouting"):
        packet = walk.conntrack.restore_source(view.key, frame.packet)
    else:
        return frame
    return frame if packet is frame.packet else frame.with_packet(packet)


def _source(view: NetNsView, packet: Packet, oif: Link) -> str | None:
    """The address a masquerade uses: the one the kernel would send from (``nf_nat_masquerade_ipv4``)."""
    query = RouteQuery(dst=packet.dst, oif=oif.name)
    answer = lookup(view, query)
    return select_source(view, answer, query)[0] if answer.usable else None


def _fib(view: NetNsView, result: str, packet: Packet) -> str | None:
    """What ``fib daddr`` answers of a packet's destination."""
    answer = lookup(view, RouteQuery(dst=packet.dst))
    if answer.kind == "unknown":
        return None
    if result == "type":
        return "unspec" if answer.kind == "none" else answer.kind
    link = view.links.get(answer.nexthops[0].index or 0) if answer.nexthops else None
    return link.name if link is not None else ""


def _fix(answer: HookAnswer) -> str | None:
    """The command that takes away what dropped the packet: the rule, or the chain's policy."""
    if not answer.matched:
        return None
    last = answer.matched[-1]
    chain = " ".join(quote(word) for word in (last.family, last.table, last.chain))
    if last.handle is None:
        return f"nft add chain {chain} '{{ policy accept; }}'"
    return f"nft delete rule {chain} handle {last.handle}"


def _slug(view: NetNsView, frame: Frame, answer: HookAnswer) -> str:
    if frame.inner is not None:
        return "underlay-drops-vxlan" if view.node.role == "fabric" else "vxlan-outer-blocked"
    policy = bool(answer.matched) and answer.matched[-1].handle is None
    return "firewall-forward-drop" if policy else "firewall-rule-drops"


def reply_of(packet: Packet) -> Packet:
    """The answer to a packet: ICMP echo reply, SYN-ACK, or a datagram back."""
    return replace(
        packet,
        src=packet.dst,
        dst=packet.src,
        sport=packet.dport,
        dport=packet.sport,
        ttl=64,
        df=packet.proto == "tcp",
        mark=0,
        src_mac=None,
        dst_mac=None,
        outer=None,
        icmp_type="echo-reply" if packet.proto == "icmp" else None,
        tcp_flags="syn-ack" if packet.proto == "tcp" else None,
    )
