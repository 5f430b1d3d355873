"""Filter rules that stop what carries the overlay: its UDP port, and ICMP's word on sizes.

Only a rule whose whole match is understood counts; everything else is the datapath's to evaluate.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from shlex import quote
from typing import Any

from netfs.cluster.netns import NetNsView
from netfs.diagnose.commands import finding
from netfs.diagnose.evidence import Evidence
from netfs.diagnose.site import site
from netfs.model.trace import Finding

TOO_BIG = {("icmp", "frag-needed"), ("icmp", 4), ("icmpv6", "packet-too-big"), ("icmpv6", 2)}
_DROPS = re.compile(
    r"^(?:\[\d+:\d+\] )?-A (?P<rule>(?P<chain>\S+)(?: -[io] \S+)? -p (?P<proto>udp|icmp|ipv6-icmp|icmpv6)(?: -m \S+)?"
    r"(?: --dport (?P<port>\d{1,5})| --icmp(?:v6)?-type (?P<type>\S+))(?: -m comment --comment (?:\S+|\"[^\"]*\"))?"
    r" -j (?P<target>DROP|REJECT)(?: --reject-with \S+)?)$",
    re.MULTILINE,
)
_ICMP_TYPES = {"3/4", "fragmentation-needed", "packet-too-big", "2", "2/0"}


def blocked(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`vxlan-outer-blocked` and `pmtu-icmp-blocked`."""
    firewall = view.netns.firewall
    if firewall is None or not site(view).tunnels:
        return
    ports = {t.link.vxlan.port for t in site(view).tunnels if t.link.vxlan and evidence.some_peers(t)}
    if firewall.nft:
        yield from _nft(view, firewall.nft, ports)
    for program, text in (
        ("iptables", firewall.iptables),
        ("iptables-legacy", firewall.iptables_legacy),
        ("ip6tables", firewall.ip6tables),
        ("ip6tables-legacy", firewall.ip6tables_legacy),
    ):
        yield from _iptables(view, program, text or "", ports)


def between_nodes(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`underlay-drops-vxlan`: the network between the nodes was seen, and drops their tunnels' port."""
    firewall = view.netns.firewall
    if firewall is None or not firewall.nft:
        return
    tunnels = [tunnel for node in evidence.topology.nodes.values() for tunnel in site(node).tunnels]
    ports = {tunnel.link.vxlan.port for tunnel in tunnels if tunnel.link.vxlan}
    for each in _nft(view, firewall.nft, ports):
        yield replace(each, slug="underlay-drops-vxlan") if each.slug == "vxlan-outer-blocked" else each


def _nft(view: NetNsView, text: str, ports: set[int]) -> Iterator[Finding]:
    try:
        listed = json.loads(text).get("nftables", [])
        hooks = {_chain(c["chain"]) for item in listed if (c := item) and "chain" in item and "hook" in c["chain"]}
        rules = [item["rule"] for item in listed if "rule" in item]
    except (ValueError, AttributeError, TypeError, KeyError, RecursionError):
        return
    for rule in rules:
        if not isinstance(rule, dict):
            continue
        where = tuple(str(rule.get(name)) for name in ("family", "table", "chain"))
        if where in hooks and (match := _understood(rule.get("expr"))):
            words = " ".join(map(quote, where))
            handle = rule.get("handle")
            known = isinstance(handle, int)
            fix = f"nft delete rule {words} handle {handle}" if known else f"nft -a list chain {words}"
            yield from _reported(view, match, f"nft: {words}: {_shown(match)} drop", fix, ports)


def _chain(chain: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(chain.get(name)) for name in ("family", "table", "name"))


def _understood(expressions: object) -> dict[tuple[str, str], str | int] | None:
    """(protocol, field) to value of a rule that only matches headers by equality, then drops; else None."""
    match: dict[tuple[str, str], str | int] = {}
    for expression in expressions if isinstance(expressions, list) else ():
        if not isinstance(expression, dict):
            return None
        if "drop" in expression or "reject" in expression:
            return match
        if "counter" in expression:
            continue
        rule: Any = expression.get("match")
        if not isinstance(rule, dict) or rule.get("op") != "==":
            return None
        left = rule.get("left")
        payload = left.get("payload") if isinstance(left, dict) else None
        if not isinstance(payload, dict):
            return None
        value = rule.get("right")
        if not isinstance(value, str | int):
            return None
        match[str(payload.get("protocol")), str(payload.get("field"))] = value
    return None


def _shown(match: dict[tuple[str, str], str | int]) -> str:
    return " ".join(f"{protocol} {field} {value}" for (protocol, field), value in match.items())


def _reported(
    view: NetNsView, match: dict[tuple[str, str], str | int], text: str, fix: str, ports: set[int]
) -> Iterator[Finding]:
    port = match.get(("udp", "dport"))
    if port in ports and len(match) == 1:
        yield finding("vxlan-outer-blocked", view, None, f"{text}: the outer packets of VXLAN end here", fix)
    if any((protocol, value) in TOO_BIG for (protocol, _), value in match.items()):
        if all(protocol in ("icmp", "icmpv6") for protocol, _ in match):
            yield finding(
                "pmtu-icmp-blocked", view, None, f"{text}: senders never learn that a packet was too big", fix
            )


def _iptables(view: NetNsView, program: str, text: str, ports: set[int]) -> Iterator[Finding]:
    for found in _DROPS.finditer(text):
        rule = found["rule"]
        fix = f"{program} -D {rule}"
        if found["proto"] == "udp" and found["port"] and int(found["port"]) in ports:
            yield finding(
                "vxlan-outer-blocked", view, None, f"{program}: {rule}: the outer packets of VXLAN end here", fix
            )
        elif found["type"] in _ICMP_TYPES:
            yield finding(
                "pmtu-icmp-blocked",
                view,
                None,
                f"{program}: {rule}: senders never learn that a packet was too big",
                fix,
            )
