"""Every form of nft 1.0.6 that a kernel took: printed as nft prints it, and understood or named.

``netfilter_forms.tsv`` has a line for each: the family of the table, nft's text, nft's JSON.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from netfs.datapath.netfilter import HookContext, ruleset, run_hook
from netfs.datapath.netfilter.records import Chance, Elements, Match, Opaque, Rule
from netfs.datapath.netfilter.scope import Quota, Scope
from netfs.datapath.netfilter.statements import statements
from netfs.datapath.netfilter.text import rule_text
from tests.unit.netfilter_views import CNI0, DROP, ETH0, PING, chain, field, forward, match, rule, table, view

LINES = [line.split("\t") for line in (Path(__file__).parent / "netfilter_forms.tsv").read_text().splitlines()]
FORMS = [(family, text, json.loads(raw)) for family, text, raw in LINES]

NAMED = (
    "meta time",
    "meta day",
    "meta hour",
    "limit",
    "ct count",
    "meter",
    "tproxy",
    "socket",
    "osf",
    "synproxy",
    "dccp type",
    "igmp type",
    "rt ",
    "ipsec",
    "fwd",
    "srh sid",
    "hbh nexthdr",
    "mh type",
    "quota name tcp",
    'iifname { ""-"" }',
    "update @dyn { ip saddr limit",
)
"""Beginnings of forms that depend on more than a packet and a snapshot hold."""

AHEAD = HookContext(iif=CNI0, oif=ETH0)


@pytest.mark.parametrize(("family", "text", "raw"), FORMS, ids=[f"{family} {text}" for family, text, _ in FORMS])
def test_a_rule_is_printed_as_nft_prints_it(family: str, text: str, raw: object) -> None:
    assert rule_text(Rule(1, (), raw)) == text


def test_a_form_is_understood_or_named() -> None:
    sets = {name: Elements(name) for name in ("dyn", "dyn2", "dynm", "natm", "ts", "us", "iv", "ivc", "vm", "vm2")}
    doubted: set[str] = set()
    for family, text, raw in FORMS:
        scope = Scope(sets, {}, family, {"quo": Quota(10, 0, over=False)})
        found = [record for part in raw for record in statements(part, scope)]
        for record in found:
            defect = isinstance(record, Match) and isinstance(record.right, Elements) and record.right.defect
            if isinstance(record, Chance | Opaque) or defect:
                doubted.add(text)
    named = {text for _, text, _ in FORMS if any(word in text for word in NAMED)}
    assert doubted <= named
    assert not any("is not understood" in text for text in doubted)


def test_forms_of_newer_versions_mean_the_same() -> None:
    """nft 1.1 prints flags as ``{"|": […]}``, names the types of maps by expressions, and knows ``fib check``."""
    flags = {"&": [field("tcp flags"), {"|": [{"|": ["fin", "syn"]}, {"|": ["rst", "ack"]}]}]}
    typed: dict[str, Any] = {"map": {"family": "ip", "table": "t", "name": "m", "type": {"typeof": field("ip saddr")}}}
    typed["map"] |= {"map": {"typeof": field("meta mark")}, "elem": [["10.244.1.2", 7]]}
    namespace = view(
        [
            table(),
            typed,
            chain("f", "forward"),
            rule(
                "f", {"mangle": {"key": field("meta mark"), "value": {"map": {"key": field("ip saddr"), "data": "@m"}}}}
            ),
            rule("f", match(flags, "syn"), DROP),
            rule("f", match({"fib": {"result": "check", "flags": ["saddr", "iif"]}}, False), DROP),
        ]
    )
    rules = ruleset(namespace)
    assert rules is not None
    assert rules.defect is None
    there = HookContext(iif=CNI0, oif=ETH0, fib=lambda result, flags, packet: "cni0")
    answer = run_hook(namespace, "forward", PING, there)
    assert (answer.verdict, answer.packet.mark) == ("accept", 7)
    nowhere = HookContext(iif=CNI0, oif=ETH0, fib=lambda result, flags, packet: "")
    assert run_hook(namespace, "forward", PING, nowhere).verdict == "drop"


def test_the_inner_header_of_a_tunnel_is_not_taken_for_the_outer_one() -> None:
    inner = {"payload": {"tunnel": "vxlan", "protocol": "ip", "field": "saddr"}}
    assert run_hook(forward((match(inner, "10.244.1.2"), DROP)), "forward", PING, AHEAD).verdict == "unknown"


def test_a_condition_on_the_elements_of_a_set_is_a_doubt_where_it_is_asked() -> None:
    limited: dict[str, Any] = {
        "set": {"family": "ip", "table": "t", "name": "s", "type": "ipv4_addr", "elem": ["10.244.1.2"]}
    }
    limited["set"] |= {"stmt": [{"limit": {"rate": 1, "per": "second", "burst": 5}}]}
    namespace = view([table(), limited, chain("f", "forward"), rule("f", match(field("ip saddr"), "@s"), DROP)])
    assert run_hook(namespace, "forward", PING, AHEAD).verdict == "unknown"


def test_affinity_is_decided_by_the_elements_listed() -> None:
    """kube-proxy's session affinity: a client that is known goes where it went before."""
    known: dict[str, Any] = {
        "set": {"family": "ip", "table": "t", "name": "affinity-1", "type": "ipv4_addr", "timeout": 10800}
    }
    known["set"] |= {"elem": [{"elem": {"val": "10.244.1.2", "timeout": 10800, "expires": 9}}], "flags": ["timeout"]}
    update = {"set": {"op": "update", "elem": field("ip saddr"), "set": "@affinity-1"}}
    chance = {"numgen": {"mode": "random", "mod": 2, "offset": 0}}
    goto = [{"goto": {"target": f"endpoint-{number}"}} for number in (1, 2)]
    namespace = view(
        [
            table(),
            known,
            {"set": known["set"] | {"name": "affinity-2", "elem": []}},
            chain("p", "prerouting", type="nat", prio=-100),
            *(chain(f"endpoint-{number}") for number in (1, 2)),
            rule("p", match(field("ip saddr"), "@affinity-1"), goto[0]),
            rule("p", match(field("ip saddr"), "@affinity-2"), goto[1]),
            rule("p", {"vmap": {"key": chance, "data": {"set": [[0, goto[0]], [1, goto[1]]]}}}),
            rule("endpoint-1", update, {"dnat": {"addr": "10.244.1.9"}}),
            rule("endpoint-2", {"dnat": {"addr": "10.244.2.9"}}),
        ]
    )
    answer = run_hook(namespace, "prerouting", PING, HookContext(iif=CNI0))
    assert (answer.verdict, answer.packet.dst) == ("accept", "10.244.1.9")
    assert [(change.name, change.present) for change in answer.changed] == [("affinity-1", True)]


def test_a_quota_is_judged_by_what_it_has_counted() -> None:
    for quota, verdict in (
        ({"val": 1, "val_unit": "kbytes", "inv": True}, "accept"),
        ({"val": 1, "val_unit": "kbytes", "used": 1000, "used_unit": "bytes", "inv": True}, "drop"),
        ({"val": 1, "val_unit": "kbytes", "used": 1000, "used_unit": "bytes"}, "accept"),
        ({"val": 1, "val_unit": "mbytes"}, "drop"),
    ):
        assert run_hook(forward(({"quota": quota}, DROP)), "forward", PING, AHEAD).verdict == verdict
    named = {"quota": {"family": "ip", "table": "t", "name": "q", "bytes": 100, "used": 50, "inv": True}}
    namespace = view([table(), named, chain("f", "forward"), rule("f", {"quota": "q"}, DROP)])
    assert run_hook(namespace, "forward", PING, AHEAD).verdict == "drop"


@pytest.mark.parametrize(
    ("text", "place"), [('{"nftables": [}', "line 1, column 15"), ('{\n "nftables":\n  x}', "line 3, column 3")]
)
def test_text_that_is_no_json_is_told_with_its_place(text: str, place: str) -> None:
    rules = ruleset(view(text))
    assert rules is not None
    assert place in str(rules.defect)
