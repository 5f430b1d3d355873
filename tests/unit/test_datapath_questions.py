"""ARP and neighbour discovery meet the firewall too: a rule that drops them stops every packet behind them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from netfs.cluster.endpoint import resolve
from netfs.cluster.topology import Topology
from netfs.datapath import request, trace
from netfs.model.snapshot import Firewall, NetNs
from netfs.model.trace import Trace
from tests.unit import clusters


def chain(family: str, hook: str, *rules: list[dict[str, Any]], policy: str = "accept") -> Callable[[NetNs], NetNs]:
    """An edit: one base chain of one table, with rules as ``nft -j`` lists them."""
    place = {"family": family, "table": "t"}
    items: list[dict[str, Any]] = [{"table": {"family": family, "name": "t"}}]
    base = {**place, "name": "c", "type": "filter", "hook": hook, "prio": 0, "policy": policy}
    if family == "netdev":
        base["dev"] = "eth0"
    items.append({"chain": base})
    items += [{"rule": {**place, "chain": "c", "handle": 9 + n, "expr": rule}} for n, rule in enumerate(rules)]
    return lambda netns: replace(netns, firewall=Firewall(nft=json.dumps({"nftables": items})))


def match(left: dict[str, Any], right: object, verdict: str) -> list[dict[str, Any]]:
    """A rule of one match."""
    return [{"match": {"op": "==", "left": left, "right": right}}, {verdict: None}]


ETHER_TYPE = {"payload": {"protocol": "ether", "field": "type"}}
IP_SOURCE = {"payload": {"protocol": "ip", "field": "saddr"}}
ARP_TARGET = {"payload": {"protocol": "arp", "field": "daddr ip"}}
ICMPV6_TYPE = {"payload": {"protocol": "icmpv6", "field": "type"}}


def asked(where: str, edit: Callable[[NetNs], NetNs], family: int = 4) -> Trace:
    """A trace from pod-a to pod-c on the same node, with a firewall in one namespace."""
    topology = Topology(clusters.change(clusters.cluster(2, 2), where, edit))
    return trace(topology, resolve(topology, "pod-a"), resolve(topology, "pod-c"), request(family=family))


@pytest.mark.parametrize(
    ("where", "family", "hook"),
    [("pod-c", "arp", "input"), ("pod-c", "arp", "output"), ("pod-a", "arp", "output"), ("pod-a", "netdev", "ingress")],
)
def test_a_chain_that_drops_arp_loses_the_packet(where: str, family: str, hook: str) -> None:
    """Nothing but the policy decides, wherever the question or its answer passes."""
    answer = asked(where, chain(family, hook, policy="drop"))
    assert answer.verdict == "dropped"
    assert answer.forward.drop is not None
    assert answer.forward.drop.reason == "NEIGH_FAILED"
    assert "policy drop" in answer.forward.drop.why


def test_a_bridge_that_lets_ip_alone_pass_lets_no_arp_pass() -> None:
    """The usual mistake: ``ether type ip accept`` before a policy of drop."""
    only_ip = chain("bridge", "forward", match(ETHER_TYPE, "ip", "accept"), policy="drop")
    assert asked("node1", only_ip).verdict == "dropped"
    both = chain(
        "bridge", "forward", match(ETHER_TYPE, "ip", "accept"), match(ETHER_TYPE, "arp", "accept"), policy="drop"
    )
    assert asked("node1", both).verdict == "delivered"


def test_a_rule_on_ip_headers_does_not_meet_arp() -> None:
    """An ARP packet has no IP header: the rule leaves no doubt."""
    assert asked("node1", chain("bridge", "forward", match(IP_SOURCE, "192.0.2.9", "drop"))).verdict == "delivered"


@pytest.mark.parametrize(("target", "verdict"), [("192.0.2.9", "delivered"), ("10.244.1.3", "dropped")])
def test_a_rule_on_arp_headers_meets_the_question_it_names(target: str, verdict: str) -> None:
    assert asked("pod-c", chain("arp", "input", match(ARP_TARGET, target, "drop"))).verdict == verdict
