"""States that no kernel would show, or that are too large to tell: findings, or none, and never a crash."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from netfs import diagnose
from netfs.cluster.topology import Topology
from netfs.model.findings import Finding
from netfs.model.snapshot import Firewall
from tests.unit.clusters import change, cluster, link, mac, two_nodes

TABLE = {"table": {"family": "inet", "name": "t", "handle": 1}}
BASE = {"chain": {"family": "inet", "table": "t", "name": "c", "type": "filter", "hook": "input", "prio": 0}}
OUTER = {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": 8472}
DROP = [{"match": OUTER}, {"drop": None}]


def _rule(**more: Any) -> dict[str, Any]:
    return {"rule": {"family": "inet", "table": "t", "chain": "c", "handle": 7, "expr": DROP, **more}}


def _examined(firewall: Firewall) -> tuple[Finding, ...]:
    return diagnose.examine(two_nodes(node1=lambda netns: replace(netns, firewall=firewall)))


@pytest.mark.parametrize(
    "rule",
    [
        {"rule": 5},
        {"rule": ["rule"]},
        _rule(chain=["c"]),
        _rule(expr=5),
        _rule(expr=[{"match": {**OUTER, "right": [8472]}}, {"drop": None}]),
        _rule(expr=[{"match": {**OUTER, "left": {"payload": {"protocol": [], "field": {}}}}}, {"drop": None}]),
        {"chain": {**BASE["chain"], "name": ["c"]}},
    ],
)
def test_a_spoilt_rule_is_no_evidence(rule: dict[str, Any]) -> None:
    found = _examined(Firewall(nft=json.dumps({"nftables": [TABLE, BASE, rule, _rule()]})))
    assert {(f.slug, f.fix) for f in found} <= {("vxlan-outer-blocked", "nft delete rule inet t c handle 7")}


def test_a_rule_that_drops_the_tunnels_port_is_evidence() -> None:
    found = _examined(Firewall(nft=json.dumps({"nftables": [TABLE, BASE, _rule()]})))
    assert [(f.slug, f.fix) for f in found] == [("vxlan-outer-blocked", "nft delete rule inet t c handle 7")]


@pytest.mark.parametrize("handle", ["seven", None, [7], {}])
def test_a_rule_without_its_number_is_reported_with_the_command_that_tells_it(handle: object) -> None:
    found = _examined(Firewall(nft=json.dumps({"nftables": [TABLE, BASE, _rule(handle=handle)]})))
    assert [(f.slug, f.fix) for f in found] == [("vxlan-outer-blocked", "nft -a list chain inet t c")]


@pytest.mark.parametrize("text", ["[" * 100_000, '{"nftables":' + "[" * 100_000, '{"nftables": null}', "[5]", "\0"])
def test_a_ruleset_that_is_none_is_passed_over(text: str) -> None:
    assert _examined(Firewall(nft=text)) == ()


def test_a_port_of_a_thousand_digits_is_no_port() -> None:
    text = "*filter\n-A INPUT -p udp -m udp --dport " + "9" * 5000 + " -j DROP\n"
    assert _examined(Firewall(iptables=text)) == ()


def test_a_route_to_a_bare_address_counts_as_a_host_route() -> None:
    topology = two_nodes(
        node2=lambda netns: replace(
            netns, routes=tuple(replace(r, dst="10.244.1.0") if r.dst == "10.244.1.0/24" else r for r in netns.routes)
        )
    )
    assert "route-remote-subnet-missing" in [found.slug for found in diagnose.examine(topology)]


def test_of_many_holders_of_one_mac_the_first_few_are_told() -> None:
    snapshots = cluster(1, 9)
    for letter in "abcdefghi":
        snapshots = change(snapshots, f"pod-{letter}", link("eth0", mac=mac(7, 7)))
    found = [each for each in diagnose.examine(Topology(snapshots)) if each.slug == "mac-duplicate"]
    assert len(found) == 1
    assert "pod-e/eth0 and 4 more on node1/cni0" in found[0].evidence
    assert "pod-f" not in found[0].evidence
