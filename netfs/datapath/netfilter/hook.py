"""One hook of one namespace: which chains a packet meets there, and what they make of it.

What reads and walks rules is imported when there are some: most namespaces have no firewall, and a trace's
start-up should not wait for it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from netfs.cluster.netns import NetNsView
from netfs.datapath.netfilter.answer import ACCEPT, BRANCHES, UNKNOWN, HookAnswer, HookContext, RuleRef
from netfs.model.packet import Packet

if TYPE_CHECKING:
    from netfs.datapath.netfilter.records import Chain, Ruleset
    from netfs.datapath.netfilter.ways import Effect, Outcome, Outcomes


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
    translated = packet if context.restore is None else context.restore(packet)
    routed = (translated,) if hook == "output" and translated.dst != packet.dst else ()
    if rules is None:
        return HookAnswer(ACCEPT, translated, "no rules", ct_mark=context.ct_mark, untracked=untracked, routed=routed)
    if rules.defect is not None:
        return HookAnswer(UNKNOWN, packet, rules.defect, ct_mark=context.ct_mark, untracked=untracked)
    chains = rules.hooks.get((layer, hook), ())
    if not chains:
        why = "no chain on this hook"
        return HookAnswer(ACCEPT, translated, why, ct_mark=context.ct_mark, untracked=untracked, routed=routed)
    from netfs.datapath.netfilter.translate import Translation
    from netfs.datapath.netfilter.walk import Walker

    walker = Walker(rules, chains, hook, context, Translation(view, hook, context))
    return _joined(walker.outcomes(packet), packet)


def _answer(outcome: Outcome, share: float | None = None) -> HookAnswer:
    way = outcome.way
    met = way.met
    return HookAnswer(
        verdict=outcome.verdict,
        packet=way.packet,
        why=outcome.why,
        matched=tuple(one.rule for one in met if one.decided),
        nat=way.nat,
        met=met,
        reject_with=outcome.reject_with,
        ct_mark=way.ct_mark,
        untracked=way.ct_state == "untracked",
        changed=way.changed,
        routed=way.routed,
        share=share,
    )


def _joined(outcomes: Outcomes, packet: Packet) -> HookAnswer:
    """One answer where every way has the same effect; else ``branches`` or ``unknown``, with each as a branch."""
    first = outcomes.found[0]
    if len(outcomes.found) == 1:
        return _answer(first)
    effects: dict[Effect, Outcome] = {}
    for outcome in outcomes.found:
        effects.setdefault(outcome.effect, outcome)
    if len(effects) == 1:
        return _answer(outcomes.found[-1])  # in which no doubtful rule matches: what it says decided, decided
    odds, answer = outcomes.odds(), _answer(first)
    reasons: dict[RuleRef, str] = {}
    for fork in outcomes.forks:
        if fork.rule is not None and fork.doubt == (odds is None):
            reasons.setdefault(fork.rule, fork.reason)
    why = "; ".join(f"{ref}: {reason}" for ref, reason in list(reasons.items())[:3])
    return replace(
        answer,
        verdict=UNKNOWN if odds is None else BRANCHES,
        packet=packet,
        why=why or next((found.why for found in outcomes.found if found.verdict == UNKNOWN), first.why),
        matched=tuple(dict.fromkeys((*reasons, *(answer.matched if odds is None else ())))),
        nat=None,
        reject_with=None,
        branches=tuple(_answer(outcome, odds[effect] if odds else None) for effect, outcome in effects.items()),
    )
