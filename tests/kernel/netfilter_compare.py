"""Plays cases on a real router and in the evaluator, and tells where the two disagree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from netfs.cluster.netns import NetNsView
from netfs.datapath.netfilter import HookAnswer, HookContext, run_hook
from netfs.model.address import Address
from netfs.model.link import Link
from netfs.model.packet import Packet
from netfs.model.snapshot import Firewall, NetNs, NodeSnapshot

CLIENT = Link(2, "c0", kind="veth", flags=0x11043)
SERVER = Link(3, "s0", kind="veth", flags=0x11043)
LINKS = {"c0": CLIENT, "s0": SERVER}
ADDRESSES = (
    Address(2, 4, "10.1.0.1", 16),
    Address(3, 4, "10.2.0.1", 16),
    Address(2, 6, "fd01::1", 64),
    Address(3, 6, "fd02::1", 64),
)
OWN = {address.local: LINKS["c0" if address.index == 2 else "s0"] for address in ADDRESSES}
REJECTS = {
    "icmp net-unreachable": ["icmp", 0],
    "icmp host-unreachable": ["icmp", 1],
    "icmp port-unreachable": ["icmp", 3],
    "icmpx port-unreachable": ["icmp", 3],
    "icmp admin-prohibited": ["icmp", 13],
    "tcp reset": ["tcp", 0],
}


@dataclass(frozen=True)
class Sent:
    """A packet of a case, and how conntrack will see it."""

    place: str
    packet: Packet
    ct_state: str = "new"
    ct_direction: str = "original"
    ct_status: frozenset[str] = frozenset()

    def as_json(self) -> dict[str, Any]:
        names = ("src", "dst", "proto", "sport", "dport", "ttl", "tos", "icmp_type", "tcp_flags")
        return {"from": self.place} | {name: getattr(self.packet, name) for name in names}


@dataclass(frozen=True)
class Case:
    """Rules, and packets sent one after another."""

    rules: str
    sent: tuple[Sent, ...]


@dataclass(frozen=True)
class Fate:
    """What the evaluator says of a packet."""

    at: str | None
    packet: Packet
    answer: HookAnswer
    routed: bool = True


def view_of(nft: str) -> NetNsView:
    """The router as a snapshot, with the rules that nft printed."""
    links = (Link(1, "lo", flags=0x10049, arp_type=772), CLIENT, SERVER)
    netns = NetNs(1, "router", links=links, addresses=ADDRESSES, firewall=Firewall(nft=nft))
    return NetNsView(NodeSnapshot("router", "kernel", 1, (netns,)), netns, None)


def play(cases: Sequence[Case], unshare: str) -> list[dict[str, Any]]:
    """Play every case on one real router."""
    script = Path(__file__).with_name("netfilter_router.py")
    text = json.dumps([{"rules": [case.rules], "packets": [one.as_json() for one in case.sent]} for case in cases])
    flags = "-n" if os.geteuid() == 0 else "-Urn"
    done = subprocess.run(
        [unshare, flags, sys.executable, str(script)],
        input=text,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


def route(address: str) -> str | None:
    """Where the router sends an address: ``router`` for its own, a device, or None."""
    if address in OWN or address in ("127.0.0.1", "::1"):
        return "router"
    for start, name in (("10.1.", "c0"), ("10.2.", "s0"), ("10.96.", "s0"), ("fd01:", "c0"), ("fd02:", "s0")):
        if address.startswith(start):
            return name
    return None


def fib(result: str, flags: frozenset[str], packet: Packet) -> str | None:
    """The router's answer to ``fib daddr type`` and ``fib saddr oif``."""
    found = route(packet.src if "saddr" in flags else packet.dst)
    if result == "type":
        return "local" if found == "router" else "unicast" if found else "unreachable"
    return None


def simulate(nft: str, sent: Sent) -> Fate:
    """The packet's way through the router, by the evaluator alone."""
    view = view_of(nft)
    base = HookContext(
        ct_state=sent.ct_state, ct_direction=sent.ct_direction, ct_status=sent.ct_status, fib=fib, original=sent.packet
    )
    iif = None if sent.place == "router" else LINKS["c0" if sent.place == "client" else "s0"]
    first = "output" if iif is None else "prerouting"
    oif = LINKS.get(route(sent.packet.dst) or "") if iif is None else None
    steps: list[tuple[str, Link | None]] = [(first, oif)]
    packet, mark, answer = sent.packet, 0, HookAnswer("accept", sent.packet, "")
    untracked = False
    while steps:
        hook, out = steps.pop(0)
        device = None if hook == "output" or (hook == "postrouting" and iif is None) else iif
        source = next((a.local for a in ADDRESSES if out and a.index == out.index and a.family == packet.family), None)
        context = replace(base, iif=device, oif=out, ct_mark=mark, masquerade_source=source)
        if untracked:
            context = replace(context, ct_state="untracked")
        answer = run_hook(view, hook, packet, context)
        packet, mark, untracked = answer.packet, answer.ct_mark or 0, answer.untracked
        if answer.verdict != "accept":
            return Fate(None, packet, answer)
        if hook == first:
            target = route(packet.dst)
            if target is None:
                return Fate(None, packet, answer, routed=False)
            if target == "router":
                steps = [("input", None)]
            else:
                steps += [("forward", LINKS[target])] if iif is not None else []
                steps += [("postrouting", LINKS[target])]
                if iif is not None:
                    packet = replace(packet, ttl=packet.ttl - 1)
        if hook in ("input", "postrouting"):
            place = "router" if out is None else "client" if out is CLIENT else "server"
            return Fate(place, packet, answer)
    raise AssertionError("no way ends without an answer")


def disagreement(fate: Fate, sent: Sent, real: dict[str, Any]) -> str | None:
    """What the kernel did otherwise; None where both agree. ``unknown`` is no disagreement."""
    answer = fate.answer
    if answer.verdict == "unknown":
        return None
    if fate.at != real["at"]:
        return f"evaluator: {fate.at} ({answer.verdict}: {answer.why}); kernel: {real['at']}"
    if answer.verdict == "reject" and sent.place != "router":
        wanted = REJECTS.get(answer.reject_with or "")
        if wanted is not None and sent.packet.family == 4 and real["answer"] != wanted:
            return f"evaluator answers {answer.reject_with}; kernel: {real['answer']}"
    if fate.at is None:
        return None
    packet = fate.packet
    pairs = [("src", packet.src), ("dst", packet.dst), ("sport", packet.sport), ("dport", packet.dport)]
    pairs += [("tos", packet.tos), ("ttl", packet.ttl)]
    for name, wanted_value in pairs:
        if wanted_value is not None and real[name] is not None and real[name] != wanted_value:
            return f"{name}: evaluator {wanted_value}, kernel {real[name]}"
    return None


def check(cases: Sequence[Case], unshare: str, *, unknowns: int = 0) -> None:
    """Every packet of every case ends as the evaluator says; at most ``unknowns`` are not decided."""
    wrong: list[str] = []
    undecided: list[str] = []
    for case, real in zip(cases, play(cases, unshare), strict=True):
        for sent, seen in zip(case.sent, real["seen"], strict=True):
            fate = simulate(real["nft"], sent)
            if fate.answer.verdict == "unknown":
                undecided.append(f"{sent}: {fate.answer.why}")
            if (found := disagreement(fate, sent, seen)) is not None:
                wrong.append(f"{found}\n{sent}\n{real['text']}")
    assert not wrong, f"{len(wrong)} disagreements, the first:\n{wrong[0]}"
    assert len(undecided) <= unknowns, undecided
