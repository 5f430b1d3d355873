"""What the rules of a hook answered, as hops and ends: in words, with the rules met and the command that mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netfs.cluster.netns import NetNsView
from netfs.datapath.connection import Connection, five_tuple
from netfs.datapath.frame import Frame
from netfs.datapath.netfilter.remedy import removal
from netfs.datapath.position import End, Position, drop, unknown
from netfs.model.packet import Packet
from netfs.model.trace import RuleMet

if TYPE_CHECKING:
    from netfs.datapath.netfilter import HookAnswer


def passed(at: Position, hook: str, before: Packet, answer: HookAnswer, undone: Connection | None) -> None:
    """Write the hop of a packet that goes on. ``undone``: the connection whose translation it has."""
    changed = at.frame.packet != before
    why, evidence = f"{hook}: {answer.why}", _evidence(answer)
    if answer.nat is not None and answer.matched:
        why = f"{hook}: {five_tuple(before)} becomes {five_tuple(at.frame.packet)} by {answer.matched[-1]}"
    if undone is not None and changed and answer.nat is None:
        why = f"{hook}: {_known(undone, before, at.frame.packet)}"
        evidence = evidence if undone.entry is None else f"{undone.original}, answered {undone.reply}"
    at.note("netfilter", "rewrite" if changed else "accept", why, evidence=evidence, rules=rules_met(answer))


def untranslated(at: Position, hook: str, connection: Connection) -> None:
    """Write the hop of a packet whose connection is known, and has no translation."""
    flow = connection.original
    why = f"{hook}: the connection table holds {flow} already, not translated: no nat rule is asked"
    at.note("netfilter", "accept", why, evidence=f"{flow}, answered {connection.reply}")


def _known(connection: Connection, before: Packet, after: Packet) -> str:
    """Why a packet is translated by no rule of today."""
    flow = five_tuple(after)
    if connection.entry is None:
        return f"connection tracking translates {five_tuple(before)} into {flow}, as the connection began"
    return f"the connection table holds {connection.original} already: it becomes {flow}, and no nat rule is asked"


def refused(at: Position, hook: str, answer: HookAnswer) -> End:
    """The end that a hook made of a packet."""
    text, rules = f"{hook}: {answer.why}", rules_met(answer)
    if answer.verdict not in ("drop", "reject"):
        return unknown(at, "netfilter", text, rules=rules)
    if answer.reject_with is not None:
        text += f"; the sender is told {answer.reject_with}{_untranslated(at, answer)}"
    return drop(
        at,
        "netfilter",
        "NETFILTER_DROP",
        text,
        evidence=_evidence(answer),
        fix=_fix(answer),
        slug=_slug(at.view, at.frame, answer),
        rules=rules,
    )


def _untranslated(at: Position, answer: HookAnswer) -> str:
    """A reset for what a bridge's port passed up leaves by that port at once, beside every hook (``nf_send_reset``)."""
    connection = at.branch.connection(at.frame.tracked)
    if answer.reject_with != "tcp reset" or at.frame.physin is None or connection is None:
        return ""
    if "dnat" not in connection.status:
        return ""
    return f", as from {at.frame.packet.dst}, whom it never asked: it waits in vain"


def rules_met(answer: HookAnswer) -> tuple[RuleMet, ...]:
    """The rules met, as a hop holds them."""
    found: list[RuleMet] = []
    for met in answer.met:
        packets, size = met.rule.counters or (None, None)
        found.append(RuleMet(met.rule.place, met.rule.text, met.decided, packets, size))
    return tuple(found)


def _evidence(answer: HookAnswer) -> str | None:
    return answer.matched[-1].text if answer.matched else None


def _fix(answer: HookAnswer) -> str | None:
    """The command that takes away what dropped the packet: the rule, or the chain's policy."""
    return removal(answer.matched[-1]) if answer.matched else None


def _slug(view: NetNsView, frame: Frame, answer: HookAnswer) -> str:
    if frame.inner is not None:
        return "underlay-drops-vxlan" if view.node.role == "fabric" else "vxlan-outer-blocked"
    policy = bool(answer.matched) and answer.matched[-1].policy
    return "firewall-forward-drop" if policy else "firewall-rule-drops"
