"""One hook of one namespace: which chains a packet meets there, and what they make of it.

What reads and walks rules is imported when there are some: most namespaces have no firewall, and a trace's
start-up should not wait for it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from netfs.cluster.netns import NetNsView
from netfs.datapath.netfilter.answer import ACCEPT, UNKNOWN, HookAnswer, HookContext, RuleRef
from netfs.model.packet import Packet

if TYPE_CHECKING:
    from netfs.datapath.netfilter.records import Chain, Ruleset
    from netfs.datapath.netfilter.ways import Outcome


def run_hook(view: NetNsView, hook: str, packet: Packet, context: HookContext) -> HookAnswer:
    """Send a packet through ``prerouting``, ``input``, ``forward``, ``output`` or ``postrouting``.

    The tables of its own family and of family inet answer, in the kernel's order.
    """
    return _run(view, "ip6" if packet.family == 6 else "ip", hook, packet, context)


def run_bridge_hook(view: NetNsView, hook: str, packet: Packet, context: HookContext) -> HookAnswer:
    """Send a bridged packet through a hook of family bridge; ``iif`` and ``oif`` are the bridge's ports."""
    return _run(view, "bridge", hook, packet, context)


def run_arp_hook(view: NetNsView, hook: str, packet: Packet, context: HookContext) -> HookAnswer:
    """Send an ARP packet (``proto`` is ``arp``) through ``input`` or ``output`` of family arp."""
    return _run(view, "arp", hook, packet, context)


def run_device_hook(view: NetNsView, hook: str, packet: Packet, context: HookContext) -> HookAnswer:
    """Send a packet through ``ingress`` (of ``iif``) or ``egress`` (of ``oif``): families netdev and inet."""
    return _run(view, "netdev", hook, packet, context)


def chains_on(view: NetNsView, layer: str, hook: str) -> tuple[Chain, ...]:
    """The base chains of a hook in the order of their call; layer: ``ip``, ``ip6``, ``arp``, ``bridge``, ``netdev``."""
    rules = _ruleset(view)
    return rules.hooks.get((layer, hook), ()) if rules is not None else ()


def _ruleset(view: NetNsView) -> Ruleset | None:
    if view.netns.firewall is None and not view.gaps:
        return None
    from netfs.datapath.netfilter.parse import ruleset

    return ruleset(view)


def _run(view: NetNsView, layer: str, hook: str, packet: Packet, context: HookContext) -> HookAnswer:
    rules = _ruleset(view)
    untracked = context.ct_state == "untracked"
    if rules is None:
        return HookAnswer(ACCEPT, packet, "no rules", ct_mark=context.ct_mark, untracked=untracked)
    if rules.defect is not None:
        return HookAnswer(UNKNOWN, packet, rules.defect, ct_mark=context.ct_mark, untracked=untracked)
    chains = rules.hooks.get((layer, hook), ())
    if not chains:
        return HookAnswer(ACCEPT, packet, "no chain on this hook", ct_mark=context.ct_mark, untracked=untracked)
    from netfs.datapath.netfilter.translate import Translation
    from netfs.datapath.netfilter.walk import Walker

    walker = Walker(rules, chains, hook, context, Translation(view, hook, context))
    return _joined(walker.outcomes(packet), packet)


def _answer(outcome: Outcome) -> HookAnswer:
    way = outcome.way
    return HookAnswer(
        verdict=outcome.verdict,
        packet=way.packet,
        why=outcome.why,
        matched=way.matched,
        nat=way.nat,
        reject_with=outcome.reject_with,
        ct_mark=way.ct_mark,
        untracked=way.ct_state == "untracked",
        share=way.share,
    )


def _joined(outcomes: list[Outcome], packet: Packet) -> HookAnswer:
    """One answer where every way has the same effect; else ``unknown``, with each as a branch."""
    first = outcomes[0]
    effects: dict[tuple[object, ...], list[Outcome]] = {}
    for outcome in outcomes:
        effects.setdefault(outcome.effect, []).append(outcome)
    if len(effects) == 1:
        return replace(_answer(first), share=None)
    doubted: dict[RuleRef, str] = {}
    for outcome in outcomes:
        for ref, reason in outcome.way.doubts:
            doubted.setdefault(ref, reason)
    why = "; ".join(f"{ref}: {reason}" for ref, reason in list(doubted.items())[:3]) or first.why
    branches = tuple(replace(_answer(same[0]), share=_share(same)) for same in effects.values())
    return replace(
        _answer(first),
        verdict=UNKNOWN,
        packet=packet,
        why=why,
        matched=tuple(dict.fromkeys((*doubted, *first.way.matched))),
        nat=None,
        reject_with=None,
        share=None,
        branches=branches,
    )


def _share(outcomes: list[Outcome]) -> float | None:
    total = 0.0
    for outcome in outcomes:
        if outcome.way.share is None:
            return None
        total += outcome.way.share
    return total
