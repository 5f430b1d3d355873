"""What a drop by a rule is really: of kube-proxy's rules, of policies, of connection tracking, of a TTL."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

from netfs.diagnose.checks import network_policies, proxies
from netfs.diagnose.checks.services import refused
from netfs.diagnose.commands import advised
from netfs.diagnose.evidence import Evidence
from netfs.diagnose.traced import asked_for
from netfs.model.findings import Finding
from netfs.model.trace import Drop, Trace

UNSERVED = ("has no endpoints", "has no local endpoints", "@no-endpoint-", "kube-proxy reject-chain")
"""Words of its rules for Services without endpoints."""
REJECTED = "rejected by"
_SETS_TTL = re.compile(r" -j (?:TTL|HL) |\b(?:ttl|hoplimit) set ")
PROXYS = ("KUBE-", "kube-proxy")
"""What the rules that kube-proxy wrote are told by: its chains of iptables, its table of nftables."""


def of_rule(known: Evidence, trace: Trace, drop: Drop, state: list[Finding]) -> Finding | str | None:
    """What a drop by a rule really is: another finding; a word to add to its own; None: what it says it is.

    An empty word: the state shows the cause already.
    """
    if drop.slug not in network_policies.BY_RULES:
        return None
    if any(each in drop.why for each in PROXYS) and any(each.slug.startswith("service-") for each in state):
        return ""
    if found := _invalid(trace, drop, state) or _unwelcome(known, trace, drop) or _unserved(known, trace, drop):
        return found
    asked = network_policies.of_drop(known, trace, drop)
    if isinstance(asked, Finding) or not any(each in drop.why for each in PROXYS):
        return asked
    return Finding(
        "firewall-rule-drops",
        "error",
        f"{drop.netns}/{drop.device}" if drop.device else drop.netns,
        f"{drop.why}; {asked}" if asked else drop.why,
        "# Kubernetes wrote this rule, and would write it again: correct what it was written for",
        node=drop.node,
        netns=drop.netns,
    )


def _unserved(known: Evidence, trace: Trace, drop: Drop) -> Finding | None:
    """A rule of kube-proxy's that stands for endpoints there are not: nowhere (it rejects), or here (it drops)."""
    match, _ = asked_for(known, trace)
    node = known.topology.nodes.get(drop.node)
    if match is None or node is None or not any(each in drop.why for each in UNSERVED):
        return None
    if REJECTED in drop.why:
        return refused(match.view)
    way = next(way for way in trace.forward.ways if way.hops)
    target = f"{way.hops[0].packet.dst}:{way.hops[0].packet.dport}"
    return proxies.no_local(node, match.view, target, [], "error")


def shortened(trace: Trace, drop: Drop) -> Finding | None:
    """`firewall-rule-drops` of a TTL that ran out because a rule set it, and no route led in a circle."""
    found = (way for way in trace.ways if way.drop is drop)
    for before, hop in pairwise(next(found, trace.forward).hops):
        rule = next((each for each in hop.rules if each.decided and _SETS_TTL.search(each.rule)), None)
        if rule is None or hop.packet.ttl >= before.packet.ttl:
            continue
        return Finding(
            "firewall-rule-drops",
            "error",
            f"{hop.netns}/{hop.device}",
            f"{rule.chain}: {rule.rule}: leaves the packet a TTL of {hop.packet.ttl}; {drop.why}",
            advised(f"# let this rule leave a larger TTL, or delete it: {rule.chain}: {rule.rule}"),
            node=hop.node,
            netns=hop.netns,
        )
    return None


def _unwelcome(known: Evidence, trace: Trace, drop: Drop) -> Finding | None:
    """A rule of kube-proxy's that keeps clients out because the Service says so."""
    match, sent = asked_for(known, trace)
    if match is None or sent is None or not any(each in drop.why for each in PROXYS):
        return None
    source = next((way.hops[-1].packet.src for way in trace.forward.ways if way.drop is drop), None)
    if source is None or not proxies.unwelcome(match, source):
        return None
    name = match.view.name
    return Finding(
        "firewall-rule-drops",
        "error",
        f"{drop.netns}/{drop.device}",
        f"loadBalancerSourceRanges of {name} do not hold {source}: {drop.why}",
        advised(f"# add {source} to loadBalancerSourceRanges of {name}"),
        node=drop.node,
        netns=drop.netns,
    )


def _invalid(trace: Trace, drop: Drop, state: list[Finding]) -> Finding | None:
    """`conntrack-invalid-drop`: a rule on INVALID, where a namespace sees one direction of the connection only.

    Repaired by the route that leads the answers there, where one is known to be wrong; else by the rule.
    """
    way = next((way for way in trace.reverse.ways if way.drop is drop), None)
    if way is None or not way.hops or "invalid" not in f"{drop.why} {way.hops[-1].evidence}".lower():
        return None
    here = way.hops[-1].netns_id
    if any(hop.netns_id == here for each in trace.forward.ways for hop in each.hops):
        return None
    why = f"{drop.netns} sees the answers of the connection and not its packets, and takes them for invalid: {drop.why}"
    found = Finding(
        "conntrack-invalid-drop",
        "error",
        f"{drop.netns}/{drop.device}",
        why,
        drop.fix or "# make both directions take the same way",
        node=drop.node,
        netns=drop.netns,
    )
    cause = next((each for each in state if each.severity == "error" and each.slug.startswith("route-")), None)
    if cause is None:
        return found
    why = f"{why}; {cause.slug} of {cause.object} leads them there"
    return replace(found, evidence=why, fix=cause.fix, node=cause.node, netns=cause.netns)
