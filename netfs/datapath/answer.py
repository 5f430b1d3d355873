"""Who answers an ARP request or a neighbour solicitation.

Mirrors ``arp_process`` (net/ipv4/arp.c) and ``ndisc_recv_ns`` (net/ipv6/ndisc.c). Leaves out: duplicate
address detection and gratuitous ARP.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netfs.datapath import below_ip
from netfs.datapath.frame import Frame, Question
from netfs.datapath.position import End, Position, Step
from netfs.datapath.routing import RouteQuery, conf, lookup, martian_check, reverse_check
from netfs.model import ip
from netfs.model.address import IFA_F_DADFAILED, IFA_F_TENTATIVE
from netfs.model.trace import DROPPED, UNKNOWN

if TYPE_CHECKING:
    from netfs.datapath.walk import Walk


def heard(walk: Walk, at: Position) -> Step:
    """A question or an answer reaches a namespace."""
    question = at.frame.question
    assert question is not None
    lost = below_ip.question_hook(at, "input")
    if lost is not None:
        return lost
    if question.answer:
        if at.frame.dst_mac != at.link.mac:
            return End(at, DROPPED, "OTHERHOST", "the answer is for somebody else")
        return End(at, "answered", why=question.mac)
    if at.link.noarp:
        return End(at, DROPPED, "NOARP", f"{at.link.name} in {at.view.name} neither asks nor answers ARP")
    refusal = _refuses_nd(at, question) if ":" in question.target else _refuses_arp(at, question)
    if refusal is not None:
        return refusal
    if question.source not in ("0.0.0.0", "::"):
        walk.hear(at.view, at.link, question.source, question.mac)
    mac = at.link.mac or ""
    answer = Question(question.target, question.source, mac, answer=True)
    packet = at.frame.packet
    frame = Frame(packet, mac, question.mac, question=answer)
    back = Position("transmit", at.view, at.link, frame)
    return below_ip.question_hook(back, "output") or back


def _refuses_arp(at: Position, question: Question) -> End | None:
    """Why this namespace does not answer; None: it does."""
    view, link, target, source = at.view, at.link, question.target, question.source
    if source == "0.0.0.0":
        return _refuses_nobody(at, question)
    if martian_check(view, link, source, target) is not None:
        return End(at, DROPPED, "MARTIAN", f"{view.name} takes {source} for impossible on {link.name}")
    answer = lookup(view, RouteQuery(dst=target, src=source, iif=link.name))
    if answer.kind == "unknown":
        return End(at, UNKNOWN, why=f"whether {view.name} answers for {target} cannot be known: {answer.unknown}")
    if answer.kind == "local":
        check = reverse_check(view, link, source, target)
        if check.ok is False:
            return End(at, DROPPED, "IP_RPFILTER", f"{view.name} does not answer ARP for {target}: {check.why}")
        return _ignored(at, question) or _filtered(at, question)
    out = answer.nexthops[0].index if answer.kind == "unicast" and answer.nexthops else None
    if out is not None:
        check = reverse_check(view, link, source, target, out=out)
        if check.ok is False:
            return End(at, DROPPED, "IP_RPFILTER", f"{view.name} does not answer ARP for {target}: {check.why}")
    return _not_proxied(at, question, out)


def _refuses_nobody(at: Position, question: Question) -> End | None:
    """A question from 0.0.0.0, as duplicate address detection asks: only a holder answers, and no route is asked."""
    owner = at.view.owned.get(question.target)
    if owner is None:
        return End(at, DROPPED, "NOT_OWNER", f"{at.view.name} does not hold {question.target}")
    return _ignored(at, question)


def _ignored(at: Position, question: Question) -> End | None:
    """``arp_ignore``: the larger of conf.all and the device's (net/ipv4/arp.c)."""
    view, link = at.view, at.link
    level = conf(view, link, "arp_ignore", join="max")
    refused = False
    here = view.addresses.get(link.index, ())
    if level == 1:
        refused = all(a.local != question.target for a in here)
    elif level == 2:
        refused = all(
            a.local != question.target or not ip.contains(f"{a.local}/{a.prefixlen}", question.source) for a in here
        )
    elif level == 3:
        owner = view.owned.get(question.target)
        refused = owner is not None and owner.scope >= 253
    elif level == 8:
        refused = True
    if not refused:
        return None
    return End(at, DROPPED, "ARP_IGNORED", f"arp_ignore={level} on {link.name} in {view.name} forbids the answer")


def _filtered(at: Position, question: Question) -> End | None:
    """``arp_filter``: answers only where the way back to the asker leaves by the same device."""
    view, link = at.view, at.link
    if not conf(view, link, "arp_filter"):
        return None
    back = lookup(view, RouteQuery(dst=question.source, src=question.target))
    if back.kind == "unicast" and any(hop.index == link.index for hop in back.nexthops):
        return None
    return End(at, DROPPED, "ARP_FILTERED", f"arp_filter on {link.name} in {view.name}: the way back leaves elsewhere")


def _not_proxied(at: Position, question: Question, out: int | None) -> End | None:
    """``arp_fwd_proxy`` and proxy entries: a router answers for what it forwards."""
    view, link = at.view, at.link
    forwarding = link.ipv4.get("forwarding", 0)
    proxy = conf(view, link, "proxy_arp")
    if forwarding and out is not None and out != link.index:
        if proxy or view.is_proxy(link.index, question.target):
            return None
    if forwarding and out == link.index and link.ipv4.get("proxy_arp_pvlan", 0):
        return None
    return End(at, DROPPED, "NOT_OWNER", f"{view.name} does not hold {question.target}")


def _refuses_nd(at: Position, question: Question) -> End | None:
    view, link = at.view, at.link
    if link.ipv6.get("disable_ipv6", 0):
        return End(at, DROPPED, "IPV6DISABLED", f"IPv6 is off on {link.name} in {view.name}")
    for address in view.addresses.get(link.index, ()):
        if address.local == question.target:
            if address.flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED):
                return End(at, DROPPED, "TENTATIVE", f"{question.target} in {view.name} has not passed DAD")
            return None
    if link.ipv6.get("proxy_ndp", 0) or view.sysctl("net.ipv6.conf.all.proxy_ndp", 0):
        if view.is_proxy(link.index, question.target) and view.sysctl("net.ipv6.conf.all.forwarding", 0):
            return None
    return End(at, DROPPED, "NOT_OWNER", f"{view.name} does not hold {question.target} on {link.name}")
