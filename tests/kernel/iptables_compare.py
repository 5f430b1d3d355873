"""Plays iptables cases on a real router and in the evaluator, and tells where the two disagree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from netfs.model.packet import Packet
from tests.kernel.iptables_case import STATIONS, IptablesCase
from tests.kernel.iptables_simulation import Fate, Follower, Simulation
from tests.kernel.netfilter_compare import Sent

ROOT = Path(__file__).parents[2]
SIZES = {"udp": 18, "tcp": 30, "icmp": 18}
"""Of a packet of ``netfilter_router``, without its IP header."""

REJECTS = {
    4: {
        "net-unreachable": 0,
        "host-unreachable": 1,
        "prot-unreachable": 2,
        "port-unreachable": 3,
        "net-prohibited": 9,
        "host-prohibited": 10,
        "admin-prohibited": 13,
    },
    6: {
        "no-route": 0,
        "admin-prohibited": 1,
        "addr-unreachable": 3,
        "port-unreachable": 4,
        "policy-fail": 5,
        "reject-route": 6,
    },
}
"""Codes of destination unreachable (RFC 792, RFC 4443), by nftables' names."""


@dataclass
class Report:
    """What a run found."""

    cases: int = 0
    packets: int = 0
    delivered: int = 0
    translated: int = 0
    marked: int = 0
    rejects: int = 0
    """Told to the sender as the evaluator says."""
    branched: int = 0
    """Packets with more than one possible fate."""
    counted: int = 0
    """Packets of which the rules they met were compared."""
    undecided: list[str] = field(default_factory=list)
    """Fates that the evaluator leaves open without saying what is possible."""
    wrong: list[str] = field(default_factory=list)


def play(cases: Sequence[IptablesCase], unshare: str) -> list[dict[str, Any]]:
    """Play every case on a real router; those of a bridge on one of its own."""
    answers: dict[int, dict[str, Any]] = {}
    for bridge in (False, True):
        chosen = [index for index, case in enumerate(cases) if case.bridge == bridge]
        if chosen:
            job = {"bridge": bridge, "cases": [as_json(cases[index]) for index in chosen]}
            answers |= dict(zip(chosen, started(job, unshare), strict=True))
    return [answers[index] for index in range(len(cases))]


def started(job: dict[str, Any], unshare: str) -> list[dict[str, Any]]:
    flags = "-n" if os.geteuid() == 0 else "-Urn"
    done = subprocess.run(
        [unshare, flags, sys.executable, "-m", "tests.kernel.iptables_router"],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    return [case | {"nodes": answer["nodes"]} for case in answer["cases"]]


def as_json(case: IptablesCase) -> dict[str, Any]:
    packets = [one.as_json() | {"bridged": one.packet.dst_mac in STATIONS.values()} for one in case.sent]
    return {
        "restores": case.restores,
        "ipset": case.ipset,
        "nft": case.nft,
        "answers": case.answers,
        "counted": case.counted,
        "packets": packets,
    }


Follow = Callable[[dict[str, Any], bool], Follower]
"""Makes a follower from what the router told, and whether its wires are ports of a bridge."""


def compare(cases: Sequence[IptablesCase], answers: Sequence[dict[str, Any]], follow: Follow = Simulation.of) -> Report:
    """What the evaluator and the kernel made of the same packets."""
    report = Report(len(cases))
    for number, (case, answer) in enumerate(zip(cases, answers, strict=True)):
        follower = follow(answer, case.bridge)
        for at, sent in enumerate(case.sent):
            rounds = [each[at] for each in answer["rounds"]]
            for text in differences(follower, sent, rounds, report):
                report.wrong.append(f"case {number}: {text}\n{sent}\n{rounds}\n{listing(answer['firewall'])}{case.nft}")
    return report


def listing(firewall: dict[str, str]) -> str:
    """The rules, for a person; only the beginning of very long ones."""
    return "\n".join(f"--- {name}\n{text[:20_000]}" for name, text in firewall.items() if name != "nft")


def differences(
    follower: Follower, sent: Sent, rounds: Sequence[dict[str, Any] | None], report: Report
) -> Iterator[str]:
    """A packet, its answer and the next one."""
    first = rounds[0]
    assert first is not None
    ways = follower.first(sent.place, sent.packet)
    if ways is None:
        return
    fates = matching(ways, sent, first, report)
    if isinstance(fates, str):
        yield fates
        return
    fates = [fate for fate in fates if fate.last.verdict != "unknown"]
    if fates and len(rounds) > 1 and (real := rounds[1]) is not None:
        packet, place = packet_of(real["sent"]), real["sent"]["from"]
        ways = [found for fate in fates for found in follower.answer(place, packet, sent.packet, fate)]
        back = matching(ways, Sent(place, packet), real, report)
        if isinstance(back, str):
            yield f"answer: {back}"
        elif (last := rounds[2]) is not None:
            packet = replace(sent.packet, tcp_flags="ack" if sent.packet.proto == "tcp" else None)
            followed = [follower.second(sent.place, packet, first, fate) for fate in back]
            if all(each is not None for each in followed):
                ways = [found for each in followed for found in each or ()]
                found = matching(ways, Sent(sent.place, packet), last, report)
                if isinstance(found, str):
                    yield f"second packet: {found}"


def packet_of(sent: dict[str, Any]) -> Packet:
    size = SIZES[sent["proto"]] + (40 if ":" in sent["src"] else 20)
    other = STATIONS["server" if sent["from"] == "client" else "client"]
    return Packet(
        sent["src"],
        sent["dst"],
        sent["proto"],
        sent["sport"],
        sent["dport"],
        size=size,
        src_mac=STATIONS[sent["from"]],
        dst_mac=other if sent.get("bridged") else None,
        icmp_type=sent.get("icmp_type"),
        tcp_flags=sent.get("tcp_flags"),
    )


def matching(fates: list[Fate], sent: Sent, real: dict[str, Any], report: Report) -> list[Fate] | str:
    """The fates that are what the kernel did; where none is, how the likeliest differs."""
    report.packets += 1
    report.branched += len(fates) > 1
    open_ = [fate for fate in fates if fate.last.verdict == "unknown"]
    if open_:
        report.undecided.append(f"{sent}: {open_[0].last.why}")
    told = [(fate, difference(fate, sent, real)) for fate in fates]
    found = [fate for fate, text in told if text is None]
    if not found:
        return "; or ".join(dict.fromkeys(text for _, text in told if text)) or "no fate at all"
    fate = found[0]
    packet = sent.packet
    if (miscounted := counters_differ(fates, sent, real, report)) is not None:
        return miscounted
    report.delivered += real["at"] is not None
    report.translated += real["at"] is not None and (fate.packet.src, fate.packet.dst) != (packet.src, packet.dst)
    report.marked += real["at"] is not None and bool(real["mark"])
    report.rejects += fate.last.verdict == "reject" and real["answer"] is not None
    return found


def difference(fate: Fate, sent: Sent, real: dict[str, Any]) -> str | None:
    """What the kernel did otherwise; None where it did the same."""
    answer = fate.last
    if answer.verdict == "unknown":
        return None
    if fate.at != real["at"]:
        return f"evaluator: {fate.at} ({answer.verdict}: {answer.why}); kernel: {real['at']}"
    if fate.at is None:
        return refusal(fate, sent, real)
    packet = fate.packet
    pairs = [("src", packet.src), ("dst", packet.dst), ("sport", packet.sport), ("dport", packet.dport)]
    pairs += [("tos", packet.tos), ("ttl", packet.ttl), ("mark", packet.mark)]
    for name, wanted in pairs:
        if wanted is not None and real[name] is not None and real[name] != wanted:
            return f"{name}: evaluator {wanted} ({answer.why}), kernel {real[name]}"
    return None


def counters_differ(fates: list[Fate], sent: Sent, real: dict[str, Any], report: Report) -> str | None:
    """Where counters were read: the rules met are those that counted."""
    if "met" not in real or len(fates) != 1 or sent.place == "router":
        return None
    report.counted += 1
    rules = [met.rule for met in fates[0].met if not met.rule.policy and met.rule.program != "nft"]
    said = Counter((rule.program.replace("-", "_"), rule.table, rule.text) for rule in rules)
    counted = Counter(tuple(key) for key in real["met"])
    if said == counted:
        return None
    return f"met but not counted: {dict(said - counted)}; counted but not met: {dict(counted - said)}"


def refusal(fate: Fate, sent: Sent, real: dict[str, Any]) -> str | None:
    """A rejected packet's sender is told so, unless the answer itself is lost; of a dropped one nobody is told."""
    if sent.place == "router" or real["answer"] is None:
        return None
    if fate.last.verdict != "reject":
        return f"evaluator drops ({fate.last.why}); kernel answers {real['answer']}"
    if fate.last.reject_with is None:
        return None
    wanted = refusal_code(fate.last.reject_with, sent.packet.family)
    return None if real["answer"] == wanted else f"evaluator answers {fate.last.reject_with}; kernel: {real['answer']}"


def refusal_code(text: str, family: int) -> list[object]:
    if text == "tcp reset":
        return ["tcp", 0]
    return ["icmp", REJECTS[family][text.partition(" ")[2]]]
