"""Group F: what forwards nothing, and rules kept in two places."""

from __future__ import annotations

import re
from collections.abc import Iterator

from netfs.cluster.netns import NetNsView
from netfs.datapath.netfilter import HookAnswer
from netfs.datapath.netfilter.remedy import PROGRAMS
from netfs.diagnose.checks.masquerade import sample
from netfs.diagnose.commands import finding
from netfs.diagnose.evidence import Evidence
from netfs.diagnose.rules import LOST, has_rules, met, remove
from netfs.diagnose.site import site
from netfs.model.findings import Finding
from netfs.model.packet import Packet

_RULE = re.compile(r"^(?:\[\d+:\d+\] )?-A ", re.MULTILINE)
_TABLE = re.compile(r"^\*(\w+)$", re.MULTILINE)
_POLICY = re.compile(r"^:(\w+) DROP ", re.MULTILINE)


def forward_policy(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`firewall-forward-drop`: a chain's policy drops what a pod here and a pod elsewhere send one another."""
    if not has_rules(view) or not evidence.clustered(view):
        return
    for other in evidence.sample(view)[:1]:
        for family in (4, 6):
            here, there = sample(evidence, view, family), sample(evidence, other, family)
            route = site(view).fib.best(there.address) if there is not None else None
            out = view.links.get(route.nexthops[0].index or 0) if route is not None and route.nexthops else None
            if here is None or there is None or out is None:
                continue
            going = Packet(here.address, there.address, size=84, icmp_type="echo-request")
            coming = Packet(there.address, here.address, size=84, icmp_type="echo-request")
            bridge = here.bridge.link
            for answer in (
                met(view, "forward", going, iif=bridge, oif=out),
                met(view, "forward", coming, iif=out, oif=bridge),
            ):
                if answer is not None and _by_policy(answer):
                    yield finding(
                        "firewall-forward-drop",
                        view,
                        None,
                        f"{answer.matched[-1]}: no rule accepts packets between {here.subnet} and {there.subnet}",
                        remove(answer.matched[-1:]),
                    )


def _by_policy(answer: HookAnswer) -> bool:
    return answer.verdict in LOST and bool(answer.matched) and answer.matched[-1].policy


def two_backends(_: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`firewall-two-backends`: iptables-legacy and iptables-nft both hold rules."""
    firewall = view.netns.firewall
    if firewall is None:
        return
    for name, legacy, modern in (
        ("iptables", firewall.iptables_legacy, firewall.iptables),
        ("ip6tables", firewall.ip6tables_legacy, firewall.ip6tables),
    ):
        if not legacy or not modern:
            continue
        old, new = _rules(legacy), _rules(modern)
        if old and new:
            less, text = (f"{name}-legacy", legacy) if old <= new else (PROGRAMS[name], modern)
            yield finding(
                "firewall-two-backends",
                view,
                None,
                f"{name}-legacy holds {old:,} rules and {name}-nft {new:,}: both are asked, each tool shows its own",
                _emptied(less, text),
                "warning",
            )


def _rules(text: str) -> int:
    return len(_RULE.findall(text)) + len(_POLICY.findall(text))


def _emptied(program: str, text: str) -> str:
    """The commands that take every rule, chain and policy of a half away."""
    commands: list[str] = []
    for block in re.split(r"^(?=\*)", text, flags=re.MULTILINE):
        if table := _TABLE.match(block):
            commands += [f"{program} -t {table[1]} -P {chain} ACCEPT" for chain in _POLICY.findall(block)]
            commands += [f"{program} -t {table[1]} -F", f"{program} -t {table[1]} -X"]
    return " && ".join(commands)
