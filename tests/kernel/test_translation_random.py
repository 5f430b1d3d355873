"""Random translations around a small lab: whether a connection is answered is what the trace says.

Every case chooses who asks, where the destination is translated and to whom, how the source is, which packets go
untracked or are dropped by what conntrack says of them, and how the bridge is set.
"""

from __future__ import annotations

import os
import random
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

import netfs
import netfs.lab
from netfs.lab import probe
from netfs.lab.state import LabState
from tests.kernel.sampled import sampled

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(
        shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin") is None, reason="nft is not installed: rules go in by it"
    ),
]

SERVICE = "10.96.7.3"
PODS = ("10.244.1.2", "10.244.1.3", "10.244.2.2", "10.244.2.3")
NODES = ("192.168.52.11", "192.168.52.12")
BACKENDS = (*PODS, *PODS, "10.244.1.1", *NODES, "10.244.1.200")
CASES, CHUNK = 100, 25
STATES = ("new", "established", "invalid", "untracked")


@dataclass(frozen=True, slots=True)
class Case:
    """One arrangement, and one question to it."""

    source: str
    target: str
    proto: str
    rules: tuple[tuple[str, str], ...]
    """(member, body of its table)."""
    settings: tuple[tuple[str, str], ...]
    """(path below /proc/sys/net, value), on node1."""
    hairpin: bool
    family: str = "ip"

    def commands(self) -> list[tuple[str, str]]:
        """What is run where before the question."""
        made = [(member, f"nft 'table {self.family} drawn {{\n{body}\n}}'") for member, body in self.rules]
        made += [("node1", f"echo {value} > /proc/sys/net/{path}") for path, value in self.settings]
        flag = "on" if self.hairpin else "off"
        every = "for port in /sys/class/net/cni0/brif/*; do bridge link set dev ${port##*/} hairpin"
        return [*made, ("node1", f"{every} {flag}; done")]


def in_six(case: Case) -> Case:
    """The same case over IPv6: every address has its counterpart in the lab."""

    def told(text: str) -> str:
        text = re.sub(r"10\.244\.0\.0/16", "fd00:10:244::/48", text)
        text = re.sub(r"10\.244\.1\.0/24", "fd00:10:244:1::/64", text)
        text = re.sub(r"10\.(244\.\d|96\.7)\.(\d+)", lambda m: f"fd00:10:{m[1].replace('.', ':')}::{m[2]}", text)
        text = re.sub(r"192\.168\.52\.(\d+)", r"fd00:192:168:52::\1", text)
        return re.sub(r"\bip (saddr|daddr)", r"ip6 \1", text)

    return replace(
        case,
        target=told(case.target),
        rules=tuple((member, told(body)) for member, body in case.rules),
        settings=tuple((path.replace("iptables", "ip6tables"), value) for path, value in case.settings),
        family="ip6",
    )


def chain(name: str, kind: str, hook: str, priority: int, *rules: str) -> str:
    lines = "\n".join(rules)
    return f"chain {name} {{\ntype {kind} hook {hook} priority {priority};\n{lines}\n}}"


def random_case(seed: int) -> Case:
    """The case of a seed."""
    chance = random.Random(seed)
    source = chance.choice(("pod-a", "pod-a", "pod-c", "node1"))
    proto = chance.choice(("tcp", "udp"))
    target = chance.choice((*[SERVICE] * 4, *NODES, *NODES, *PODS))
    backend = chance.choice(BACKENDS)
    where = source if chance.random() < 0.2 and source != "node1" else "node2" if target == NODES[1] else "node1"
    # A server of UDP that answers from another address than it was asked at would be the program's own doing.
    fate = "redirect" if proto == "tcp" and chance.random() < 0.1 else f"dnat to {backend}"
    translate = f"ip daddr {target if target in NODES else SERVICE} {proto} dport 80 {fate}"
    hooks = ("output",) if where == source and where != "node1" else ("prerouting", "output")
    bodies = {"node1": "", "node2": "", source: ""}
    bodies[where] += "\n".join(chain(f"d{hook}", "nat", hook, -100, translate) for hook in hooks)
    masquerade = chance.choice(
        (
            None,
            "masquerade",
            "ip saddr 10.244.1.0/24 ip daddr 10.244.1.0/24 masquerade",
            f"ip daddr {backend} masquerade",
            "ip daddr != 10.244.0.0/16 masquerade",
            "ip daddr 10.244.0.0/16 snat to 10.244.1.1",
            "oifname cni0 masquerade",
        )
    )
    if masquerade is not None:
        bodies[where if where == "node2" else "node1"] += "\n" + chain("s", "nat", "postrouting", 100, masquerade)
    if chance.random() < 0.1:
        bodies["node1"] += "\n" + chain("i", "nat", "input", 100, f"{proto} dport 80 snat to 10.244.1.1")
    bodies[chance.choice(("node1", "node1", "node2"))] += "\n" + _filter(chance, proto)
    settings = [("bridge/bridge-nf-call-iptables", chance.choice("001111"))]
    settings.append(("ipv4/conf/cni0/rp_filter", chance.choice("0012")))
    rules = tuple((member, body) for member, body in bodies.items() if body.strip())
    case = Case(source, target, proto, rules, tuple(settings), chance.random() < 0.5)
    return in_six(case) if chance.random() < 0.3 else case


def _filter(chance: random.Random, proto: str) -> str:
    """One chain that drops, marks or untracks some of the packets.

    What a client sends when it was answered is none of the trace's business: a drop by a state that only later packets
    of a connection have asks for answers.
    """
    side = chance.choice(("sport", "dport"))
    port = f"{proto} {side} 80"
    hook = chance.choice(("prerouting", "input", "forward", "forward", "output", "postrouting"))
    match chance.randrange(6):
        case 0:
            return chain("r", "filter", chance.choice(("prerouting", "output")), -300, f"{port} notrack")
        case 1:
            state = chance.choice(STATES if side == "sport" else ("new", "invalid", "untracked"))
            return chain("f", "filter", hook, chance.choice((-150, 0, 150)), f"{port} ct state {state} drop")
        case 2:
            bit = chance.choice(("dnat", "snat", "seen-reply", "confirmed") if side == "sport" else ("dnat",))
            return chain("f", "filter", hook, 0, f"{port} ct status {bit} drop")
        case 3:
            address = chance.choice((SERVICE, *PODS, "10.244.1.1"))
            match = f"ip {chance.choice(('saddr', 'daddr'))} {address}"
            return chain("f", "filter", hook, chance.choice((-250, -150, -50, 0, 50, 150)), f"{port} {match} drop")
        case 4:
            first = chain("m", "filter", "prerouting", -150, f"{proto} dport 80 ct mark set 7")
            verdict = chance.choice(("drop", "accept"))
            return first + "\n" + chain("f", "filter", hook, 0, f"{port} ct mark 7 {verdict}")
        case _:
            return chain("f", "filter", hook, 0, f"{port} accept")


@pytest.fixture(scope="module")
def lab() -> Iterator[LabState]:
    name = f"translations-{os.getpid()}"
    try:
        yield netfs.lab.up(name, nodes=2, ipv6=True)
    finally:
        netfs.lab.down(name)


def run(lab: LabState, member: str, command: str) -> None:
    assert netfs.lab.execute(lab.name, member, ["sh", "-c", command]) == 0, command


def disagreement(lab: LabState, case: Case) -> str | None:
    """What the kernel and the trace differ in."""
    for member, command in case.commands():
        run(lab, member, command)
    try:
        kernel = probe.answered(lab, case.source, case.target, proto=case.proto, port=80, timeout=0.4)
        trace = netfs.load(f"lab:{lab.name}").trace(case.source, case.target, proto=case.proto, port=80)
    finally:
        for member, _ in case.rules:
            run(lab, member, f"nft delete table {case.family} drawn")
    if trace.verdict == ("delivered" if kernel else "dropped"):
        return None
    drop = trace.forward.drop or trace.reverse.drop
    told = f"{drop.netns} {drop.device}: {drop.why}" if drop is not None else trace.forward.unknown
    return f"the kernel {'answers' if kernel else 'does not answer'}, the trace says {trace.verdict} ({told})"


@pytest.mark.parametrize("first", sampled(range(0, CASES, CHUNK)))
def test_a_random_translation_is_told_rightly(lab: LabState, first: int) -> None:
    wrong = []
    for seed in range(first, first + CHUNK):
        case = random_case(seed)
        found = disagreement(lab, case)
        if found is not None:
            lines = [f"{member}: {command}" for member, command in case.commands()]
            wrong.append("\n".join([f"seed {seed}: {case.source} to {case.target} {case.proto}: {found}", *lines]))
    assert not wrong, "\n\n".join(wrong)
