"""Plays cases on a real router and in the evaluator, and tells where the two disagree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from netfs.cluster.netns import NetNsView
from netfs.datapath.netfilter import HookAnswer, HookContext, run_bridge_hook, run_device_hook, run_hook
from netfs.datapath.netfilter.answer import SetChange
from netfs.model.address import Address
from netfs.model.link import Link
from netfs.model.packet import Packet
from netfs.model.snapshot import Firewall, NetNs, NodeSnapshot

CLIENT = Link(2, "c0", kind="veth", flags=0x11043)
SERVER = Link(3, "s0", kind="veth", flags=0x11043)
LOOPBACK = Link(1, "lo", flags=0x10049, arp_type=772)
LINKS = {"c0": CLIENT, "s0": SERVER}
MACS = {"c0": ("02:00:00:00:01:01", "02:00:00:00:01:02"), "s0": ("02:00:00:00:02:01", "02:00:00:00:02:02")}
"""The router's end and the far end of each wire."""

PLACES = {"c0": "client", "s0": "server"}
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
    times: int = 1
    """So many connections send it, each from a port of its own."""

    def variants(self) -> tuple[Sent, ...]:
        """The packet of each connection."""
        first = self.packet.sport
        if self.times == 1 or first is None:
            return (self,)
        packets = (replace(self.packet, sport=20000 + (first + 7 * at) % 40000) for at in range(self.times))
        return tuple(replace(self, packet=packet, times=1) for packet in packets)

    def as_json(self) -> dict[str, Any]:
        names = ("src", "dst", "proto", "sport", "dport", "ttl", "tos", "icmp_type", "tcp_flags")
        return {"from": self.place} | {name: getattr(self.packet, name) for name in names}


@dataclass(frozen=True)
class Case:
    """Rules, and packets sent one after another."""

    rules: str
    sent: tuple[Sent, ...]
    answers: bool = True
    """What the sender of a rejected packet hears is compared: no rule may stop it on its way."""
    bridged: bool = False
    """A bridge joins the wires, not a router."""


@dataclass(frozen=True)
class Fate:
    """What the evaluator says of a packet."""

    at: str | None
    packet: Packet
    answer: HookAnswer
    share: float = 1.0
    """The part of connections that fares so."""


DEVICE_HOOKS = {"ingress": "c0", "egress": "s0"}
"""The devices that the chains of these hooks are written for."""


@lru_cache(maxsize=4)
def view_of(nft: str) -> NetNsView:
    """The router as a snapshot, with the rules that nft printed; some versions keep a chain's device to themselves."""
    document = json.loads(nft)
    for chain in (item["chain"] for item in document["nftables"] if "chain" in item):
        if chain.get("hook") in DEVICE_HOOKS:
            chain.setdefault("dev", DEVICE_HOOKS[chain["hook"]])
    links = (LOOPBACK, CLIENT, SERVER)
    netns = NetNs(1, "router", links=links, addresses=ADDRESSES, firewall=Firewall(nft=json.dumps(document)))
    return NetNsView(NodeSnapshot("router", "kernel", 1, (netns,)), netns, None)


def play(cases: Sequence[Case], unshare: str) -> list[dict[str, Any]]:
    """Play every case on one real router."""
    script = Path(__file__).with_name("netfilter_router.py")
    text = json.dumps(
        [
            {
                "bridged": case.bridged,
                "rules": [case.rules],
                "packets": [[one.as_json() for one in sent.variants()] for sent in case.sent],
            }
            for case in cases
        ]
    )
    flags = "-n" if os.geteuid() == 0 else "-Urn"
    done = subprocess.run(
        [unshare, flags, sys.executable, str(script)],
        input=text,
        capture_output=True,
        text=True,
        timeout=3000,
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


def fib(iif: Link | None) -> Callable[[str, frozenset[str], Packet], str | None]:
    """The router's answers to ``fib`` (``nft_fib4_eval``, ``inet_dev_addr_type``)."""

    def answer(result: str, flags: frozenset[str], packet: Packet) -> str | None:
        address = packet.src if "saddr" in flags else packet.dst
        found = route(address)
        elsewhere = "iif" in flags and (OWN.get(address) if found == "router" else LINKS.get(found or "")) is not iif
        if result == "type":
            return "unreachable" if found is None else "local" if found == "router" and not elsewhere else "unicast"
        return "" if found is None or found == "router" or elsewhere else found

    return answer


@dataclass
class Stand:
    """Where a packet stands on its way through the router."""

    packet: Packet
    hook: str
    iif: Link | None
    oif: Link | None
    mark: int | None = 0
    status: frozenset[str] = frozenset()
    untracked: bool = False
    changed: tuple[SetChange, ...] = ()
    share: float = 1.0
    looped: bool = False
    """It came back by the loopback device, with the connection it has: no nat chain is asked again."""


STATUS = {"dnat": "dnat", "redirect": "dnat", "snat": "snat", "masquerade": "snat"}


def simulate(nft: str, sent: Sent) -> list[Fate]:
    """The packet's ways through the router, by the evaluator alone: several where chance decides."""
    view = view_of(nft)
    iif = None if sent.place == "router" else LINKS["c0" if sent.place == "client" else "s0"]
    target = LINKS.get(route(sent.packet.dst) or "")
    first = "ingress" if iif is not None else "output"
    packet = replace(sent.packet, src_mac=None, dst_mac=None) if iif is None else framed(sent.packet, iif, inward=True)
    waiting = [Stand(packet, first, iif, target if iif is None else None, status=sent.ct_status)]
    fates: list[Fate] = []
    while waiting:
        at = waiting.pop()
        answer = _ask(view, at, sent)
        if answer.verdict not in ("accept", "branches"):
            fates.append(Fate(None, answer.packet, answer, at.share))
            continue
        for branch in answer.branches if answer.verdict == "branches" else (answer,):
            share = at.share * (branch.share if answer.verdict == "branches" and branch.share is not None else 1.0)
            if branch.verdict != "accept":
                fates.append(Fate(None, branch.packet, branch, share))
                continue
            now = Stand(
                branch.packet,
                at.hook,
                at.iif,
                at.oif,
                branch.ct_mark,
                at.status | ({STATUS[branch.nat.kind]} if branch.nat is not None else frozenset()),
                branch.untracked,
                branch.changed,
                share,
                at.looped,
            )
            ended = _onward(now, branch)
            fates += [ended] if ended is not None else []
            waiting += [now] if ended is None else []
    return fates


def framed(packet: Packet, device: Link, *, inward: bool) -> Packet:
    """The packet with the Ethernet header it has on a wire."""
    near, far = MACS[device.name]
    return replace(packet, src_mac=far if inward else near, dst_mac=near if inward else far)


def simulate_bridged(nft: str, sent: Sent) -> list[Fate]:
    """The frame's way over the bridge, by the evaluator alone."""
    view = view_of(nft)
    near, far = (CLIENT, SERVER) if sent.place == "client" else (SERVER, CLIENT)
    packet = replace(sent.packet, src_mac=MACS[near.name][1], dst_mac=MACS[far.name][1])
    context = HookContext(ct_state="invalid", ibrname="br0", obrname="br0")
    for hook, iif, oif in (("prerouting", near, None), ("forward", near, far), ("postrouting", None, far)):
        answer = run_bridge_hook(view, hook, packet, replace(context, iif=iif, oif=oif))
        packet = answer.packet
        if answer.verdict != "accept":
            return [Fate(None, packet, answer)]
    return [Fate(PLACES[far.name], packet, answer)]


def _ask(view: NetNsView, at: Stand, sent: Sent) -> HookAnswer:
    source = next(
        (a.local for a in ADDRESSES if at.oif and a.index == at.oif.index and a.family == at.packet.family), None
    )
    context = HookContext(
        iif=at.iif,
        oif=at.oif,
        ct_state="untracked" if at.untracked else sent.ct_state,
        ct_status=at.status,
        ct_direction=sent.ct_direction,
        ct_mark=at.mark,
        nat_done=at.looped,
        original=sent.packet,
        masquerade_source=source if at.hook == "postrouting" else None,
        changed=at.changed,
        fib=fib(at.iif),
    )
    run = run_device_hook if at.hook in ("ingress", "egress") else run_hook
    return run(view, at.hook, at.packet, context)


def _onward(at: Stand, answer: HookAnswer) -> Fate | None:
    """The next hook; a fate where there is none."""
    place = route(at.packet.dst)
    match at.hook:
        case "ingress":
            at.hook = "prerouting"
        case "prerouting" | "output" if place is None:
            return Fate(None, at.packet, answer, at.share)
        case "prerouting" | "output" if place == "router":
            at.hook, at.oif, at.iif = ("input", None, at.iif) if at.iif is not None else ("postrouting", LOOPBACK, None)
        case "prerouting":
            # ip_forward and ip6_forward count down before they call the hook.
            at.hook, at.oif, at.packet = "forward", LINKS[str(place)], replace(at.packet, ttl=at.packet.ttl - 1)
        case "output":
            at.hook, at.oif = "postrouting", LINKS[str(place)]
        case "forward":
            at.hook = "postrouting"
        case "postrouting" if at.oif is LOOPBACK:
            at.hook, at.iif, at.oif, at.looped = "prerouting", LOOPBACK, None, True
        case "postrouting" if at.oif is not None:
            at.hook, at.iif, at.packet = "egress", None, framed(at.packet, at.oif, inward=False)
        case _:
            return Fate(
                "router" if at.hook == "input" else PLACES[at.oif.name if at.oif else ""], at.packet, answer, at.share
            )
    return None


def disagreement(fates: list[Fate], sent: Sent, real: dict[str, Any]) -> str | None:
    """What the kernel did otherwise; None where it did what was possible. ``unknown`` is no disagreement."""
    if any(fate.answer.verdict == "unknown" for fate in fates):
        return None
    found = [_difference(fate, sent, real) for fate in fates]
    return None if None in found else "; or ".join(str(one) for one in found[:4])


def _difference(fate: Fate, sent: Sent, real: dict[str, Any]) -> str | None:
    answer = fate.answer
    if fate.at != real["at"]:
        return f"evaluator: {fate.at} ({answer.verdict}: {answer.why}); kernel: {real['at']}"
    if answer.verdict == "reject" and sent.place != "router" and sent.times == 1:
        wanted = REJECTS.get(answer.reject_with or "")
        if wanted is not None and sent.packet.family == 4 and real["answer"] not in (wanted, "unseen"):
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


LIKELY = 0.2
"""A fate of more connections than this should be seen among sixty (one in a million is not)."""


@dataclass
class Report:
    """What a run found."""

    packets: int = 0
    delivered: int = 0
    translated: int = 0
    branched: int = 0
    undecided: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def take(self, case: Case, real: dict[str, Any]) -> None:
        """Compare one case."""
        for sent, seen in zip(case.sent, real["seen"], strict=True):
            unseen: dict[tuple[object, ...], str] = {}
            for one, fate in zip(sent.variants(), seen, strict=True):
                heard = fate if case.answers else fate | {"answer": "unseen"}
                self._packet(one, heard, real | {"bridged": case.bridged}, unseen if sent.times > 1 else None)
            self.wrong += [f"never seen: {text}\n{sent}\n{real['text']}" for text in unseen.values() if text]

    def _packet(
        self, sent: Sent, seen: dict[str, Any], real: dict[str, Any], unseen: dict[tuple[object, ...], str] | None
    ) -> None:
        fates = (simulate_bridged if real["bridged"] else simulate)(real["nft"], sent)
        self.packets += 1
        self.delivered += seen["at"] is not None
        self.translated += seen["at"] is not None and (seen["dst"] or sent.packet.dst) != sent.packet.dst
        self.branched += len(fates) > 1
        self.undecided += [
            f"{sent}: {fate.answer.why}\n{real['text']}" for fate in fates if fate.answer.verdict == "unknown"
        ]
        if (found := disagreement(fates, sent, seen)) is not None:
            self.wrong.append(f"{found}\n{sent}\n{seen}\n{real['text']}")
        if unseen is not None and len(fates) > 1:
            for fate in fates:
                key = fate.at, fate.packet.dst if fate.at else "", fate.packet.dport if fate.at else 0
                share = sum(other.share for other in fates if _alike(fate, other))
                unseen.setdefault(key, f"{key} of {share:.0%}" if share > LIKELY else "")
                if _difference(fate, sent, seen) is None:
                    unseen[key] = ""


def _alike(one: Fate, other: Fate) -> bool:
    return one.at == other.at and (
        one.at is None or (one.packet.dst, one.packet.dport) == (other.packet.dst, other.packet.dport)
    )


def compare(cases: Sequence[Case], unshare: str) -> Report:
    """Play every case and compare."""
    report = Report()
    for case, real in zip(cases, play(cases, unshare), strict=True):
        report.take(case, real)
    return report


def check(cases: Sequence[Case], unshare: str, *, unknowns: int = 0) -> Report:
    """Every packet of every case ends as the evaluator says; at most ``unknowns`` are not decided."""
    report = compare(cases, unshare)
    assert not report.wrong, f"{len(report.wrong)} disagreements, the first:\n{report.wrong[0]}"
    assert len(report.undecided) <= unknowns, report.undecided[:3]
    return report
