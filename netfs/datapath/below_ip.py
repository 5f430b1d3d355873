"""Rules on what is no IP packet yet: frames between a bridge's ports, frames at a device, ARP and neighbour discovery.

Families bridge, netdev and arp of nftables. Their rules seldom part ways; where chance decides here, or where
a rule would send the frame elsewhere, the answer is ``unknown``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

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
from netfs.datapath.position import End, Position
from netfs.datapath.verdicts import passed, refused
from netfs.model import ip
from netfs.model.link import Link
from netfs.model.packet import Packet
from netfs.model.trace import DROPPED, UNKNOWN

if TYPE_CHECKING:
    from netfs.datapath.walk import Walk

SOLICITED_NODE = 0xFF02_0000_0000_0000_0000_0001_FF00_0000
"""ff02::1:ff00:0/104 (RFC 4291 2.7.1)."""


def bridge_hook(walk: Walk, at: Position, hook: str, bridge: Link, iif: Link | None, oif: Link | None) -> Frame | End:
    """The rules of family bridge on a frame between ports."""
    if at.view.netns.firewall is None or not chains_on(at.view, "bridge", hook):
        return at.frame
    context = HookContext(
        iif=iif if hook in ("prerouting", "input", "forward") else None,
        oif=oif,
        ct_state=_bridged_state(walk, at.frame),
        ibrname=bridge.name,
        obrname=bridge.name if oif is not None else None,
    )
    return _passed(at, hook, lambda packet: run_bridge_hook(at.view, hook, packet, context))


def device_hook(at: Position, hook: str) -> Frame | End:
    """The rules of family netdev on a device: ``ingress`` or ``egress``."""
    if at.view.netns.firewall is None or not chains_on(at.view, "netdev", hook):
        return at.frame
    context = HookContext(iif=at.link) if hook == "ingress" else HookContext(oif=at.link)
    return _passed(at, hook, lambda packet: run_device_hook(at.view, hook, packet, context))


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


def _passed(at: Position, hook: str, run: Callable[[Packet], HookAnswer]) -> Frame | End:
    """The frame after the rules; a question stays what it is or is lost."""
    question, frame = at.frame.question, at.frame
    seen = frame.visible()
    answer = run(seen if question is None else question_packet(question))
    if question is not None:
        return frame if answer.verdict == "accept" else _refused(at, hook, answer)
    if answer.verdict != "accept":
        return refused(at, hook, answer)
    before = frame.packet
    if answer.packet != seen:
        at.frame = frame = frame.after(answer.packet)
    if answer.met or answer.packet != seen:
        passed(at, hook, before, answer, None)
    return frame


def _refused(at: Position, hook: str, answer: HookAnswer) -> End:
    asked = "neighbour discovery" if at.frame.packet.family == 6 else "ARP"
    if answer.verdict not in ("drop", "reject"):
        return End(at, UNKNOWN, "", f"{hook} of {at.view.name}: {answer.why}")
    return End(at, DROPPED, "NETFILTER_DROP", f"{asked} is dropped at {hook} of {at.view.name}: {answer.why}")
