"""NetworkPolicies that a lab enforces, with real connections, and netfs's own judgement of them held against these."""

from __future__ import annotations

import os
import random
import select
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import pytest

import netfs.lab
from netfs.diagnose import network_policy
from netfs.lab import inside, plan, rules
from netfs.lab.state import LabState, Member
from netfs.model.kubernetes import (
    Kubernetes,
    LabelSelector,
    NetworkPolicy,
    PolicyPeer,
    PolicyPort,
    PolicyRule,
    Requirement,
)
from tests.kernel.sampled import sampled

pytestmark = pytest.mark.kernel

PORTS = (80, 8080)
PATIENCE = 0.25
"""Seconds in which an allowed connection must be there."""
WHOLE = plan.make(2, 2, ipv6=True)
LABELS = {"pod-a": {"team": "x"}, "pod-b": {"team": "y"}, "pod-c": {"team": "y", "tier": "front"}, "pod-d": {}}


@pytest.fixture(scope="module")
def lab(require_program: Callable[[str], str]) -> Iterator[LabState]:
    require_program("nft")
    name = f"policies-{os.getpid()}"
    made = netfs.lab.up(name, ipv6=True, enforce=True)
    pods = tuple(replace(pod, labels={**pod.labels, **LABELS[pod.name]}) for pod in made.pods)
    try:
        yield replace(made, pods=pods)
    finally:
        netfs.lab.down(name)


def enforce(lab: LabState, policies: tuple[NetworkPolicy, ...]) -> Kubernetes:
    """Program the policies on every node; the objects that they are part of."""
    objects = replace(lab.kubernetes, network_policies=policies)
    labels = {pod.name: pod.labels for pod in lab.pods}
    for node in WHOLE.nodes:
        _program(lab, node, objects, labels)
    return objects


def _program(lab: LabState, node: plan.NodePlan, objects: Kubernetes, labels: Mapping[str, Mapping[str, str]]) -> None:
    def work() -> str:
        rules.enforce(WHOLE, node, objects, labels)
        return ""

    inside.capture(lab, lab.member(node.name), work)


def connected(lab: LabState, src: str, wanted: list[tuple[str, int]]) -> list[bool]:
    """Which of some (address, port) a member can connect to, all asked at once."""

    def work() -> str:
        senders = []
        for address, _ in wanted:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            senders.append(socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
        for sender, target in zip(senders, wanted, strict=True):
            sender.connect_ex(target)
        there: set[int] = set()
        deadline = time.monotonic() + PATIENCE
        while len(there) < len(senders) and (left := deadline - time.monotonic()) > 0:
            waiting = [sender for sender in senders if sender.fileno() not in there]
            _, ready, _ = select.select([], waiting, [], left)
            there |= {one.fileno() for one in ready if not one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)}
        return " ".join(str(int(sender.fileno() in there)) for sender in senders)

    return [word == "1" for word in inside.capture(lab, lab.member(src), work).split()]


def party(pod: Member, family: int) -> network_policy.Party:
    address = (pod.ip6 or "") if family == 6 else pod.ip
    return network_policy.Party(address, pod.name, "default", pod.labels, pod.node)


def outcomes(lab: LabState, family: int) -> dict[tuple[str, str, int], bool]:
    """Which connections between pods come about."""
    found: dict[tuple[str, str, int], bool] = {}
    for src in lab.pods:
        asked = [(dst, port) for dst in lab.pods if dst is not src for port in PORTS]
        targets = [(party(dst, family).address, port) for dst, port in asked]
        for (dst, port), answer in zip(asked, connected(lab, src.name, targets), strict=True):
            found[src.name, dst.name, port] = answer
    return found


def judged(lab: LabState, objects: Kubernetes, family: int) -> dict[tuple[str, str, int], bool]:
    """The same, as netfs judges from the objects alone."""
    return {
        (src.name, dst.name, port): network_policy.judge(
            objects, party(src, family), party(dst, family), "tcp", port
        ).verdict
        == network_policy.ALLOWED
        for src in lab.pods
        for dst in lab.pods
        if dst is not src
        for port in PORTS
    }


def _app(name: str) -> LabelSelector:
    return LabelSelector({"app": name})


def test_who_is_isolated_takes_only_what_a_rule_allows(lab: LabState) -> None:
    allow = NetworkPolicy("allow", pods=_app("pod-b"), ingress=(PolicyRule((PolicyPeer(_app("pod-a")),), _port(80)),))
    enforce(lab, (allow,))
    found = outcomes(lab, 4)
    assert {key for key, answer in found.items() if key[1] == "pod-b" and answer} == {("pod-a", "pod-b", 80)}
    assert all(answer for key, answer in found.items() if key[1] != "pod-b")


def test_who_may_send_nothing_still_answers(lab: LabState) -> None:
    enforce(lab, (NetworkPolicy("mute", pods=_app("pod-a"), types=("Egress",)),))
    found = outcomes(lab, 6)
    assert not any(answer for key, answer in found.items() if key[0] == "pod-a")
    assert all(answer for key, answer in found.items() if key[0] != "pod-a")


def test_the_nodes_own_connections_are_let_in(lab: LabState) -> None:
    enforce(lab, (NetworkPolicy("deny"),))
    assert connected(lab, "node1", [(lab.member("pod-a").ip, 80)]) == [True]
    assert connected(lab, "node1", [(lab.member("pod-b").ip, 80)]) == [False]


def _port(number: int) -> tuple[PolicyPort, ...]:
    return (PolicyPort(port=number),)


def _random(dice: random.Random) -> tuple[NetworkPolicy, ...]:
    return tuple(_random_policy(dice, index) for index in range(dice.randint(1, 3)))


def _random_policy(dice: random.Random, index: int) -> NetworkPolicy:
    types = dice.choice((("Ingress",), ("Egress",), ("Ingress", "Egress")))
    return NetworkPolicy(
        f"policy-{index}",
        pods=_random_selector(dice),
        types=types,
        ingress=tuple(_random_rule(dice) for _ in range(dice.randint(0, 2))) if "Ingress" in types else (),
        egress=tuple(_random_rule(dice) for _ in range(dice.randint(0, 2))) if "Egress" in types else (),
    )


def _random_selector(dice: random.Random) -> LabelSelector:
    key, value = dice.choice((("app", "pod-a"), ("app", "pod-b"), ("team", "x"), ("team", "y"), ("tier", "front")))
    operator = dice.choice(("In", "NotIn", "Exists", "DoesNotExist"))
    values = (value, "other") if operator in ("In", "NotIn") else ()
    return dice.choice(
        (LabelSelector(), LabelSelector({key: value}), LabelSelector({}, (Requirement(key, operator, values),)))
    )


def _random_rule(dice: random.Random) -> PolicyRule:
    peers = tuple(_random_peer(dice) for _ in range(dice.randint(0, 2)))
    ports = tuple(
        dice.choice((PolicyPort(port=80), PolicyPort(port=79, end_port=81), PolicyPort("udp", 80), PolicyPort()))
        for _ in range(dice.randint(0, 2))
    )
    return PolicyRule(peers, ports)


def _random_peer(dice: random.Random) -> PolicyPeer:
    default = LabelSelector({"kubernetes.io/metadata.name": "default"})
    return dice.choice(
        (
            PolicyPeer(pods=_random_selector(dice)),
            PolicyPeer(_random_selector(dice), dice.choice((LabelSelector(), default, _app("elsewhere")))),
            PolicyPeer(namespaces=default),
            PolicyPeer(cidr="10.244.1.0/24", excluded=dice.choice(((), ("10.244.1.2/32",)))),
            PolicyPeer(cidr="fd00:10:244::/48", excluded=dice.choice(((), ("fd00:10:244:2::/64",)))),
        )
    )


@pytest.mark.parametrize("seed", sampled(range(12)))
def test_netfs_judges_policies_as_they_are_enforced(lab: LabState, seed: int) -> None:
    policies = _random(random.Random(seed))
    objects = enforce(lab, policies)
    for family in (4, 6):
        assert outcomes(lab, family) == judged(lab, objects, family), policies
