"""Whatever stands where the text of iptables-save or ipset should be, the answer is a typed one, and soon."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netfs.datapath.netfilter import HookContext, ruleset, run_hook
from netfs.datapath.netfilter.iptables import IpSets, defects
from netfs.datapath.netfilter.records import Chance, Opaque
from netfs.datapath.netfilter.text import rule_text
from tests.unit.iptables_views import PING, TCP, UDP
from tests.unit.netfilter_views import CNI0, ETH0, view

DUMPS = Path(__file__).parent / "iptables_dumps"
TEXTS = [path.read_text() for path in sorted(DUMPS.glob("*.save"))]
SETS = (DUMPS / "calico.ipset").read_text()
EVERYTHING = [
    *(f"-m hashlimit --hashlimit-upto 5/sec --hashlimit-burst {n}" for n in (1, 5)),
    "-m connlimit --connlimit-above 20 --connlimit-mask 32 --connlimit-saddr",
    "-m iprange --src-range 10.0.0.1-10.0.0.9 ! --dst-range 10.1.0.1-10.1.0.2",
    "-m policy --dir in --pol ipsec --mode tunnel --tunnel-src 10.0.0.1/32",
    "-m owner ! --uid-owner 1-9 --socket-exists",
    "-m physdev ! --physdev-in veth+ --physdev-is-bridged",
    "-m devgroup --src-group 0x1/0xff",
    "-m tos --tos 0x10/0x3f -m dscp ! --dscp 0x0a -m ttl --ttl-gt 5 -m length --length 10:99",
    "-m mac --mac-source 02:00:00:00:00:01",
    "-m set --match-set cali40np:ports dst,dst ! --update-counters",
    "-m statistic --mode nth --every 3 --packet 0",
    "-p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1400",
    "-p icmp -m icmp --icmp-type 3/4 -j REJECT --reject-with icmp-host-prohibited",
    "-j CONNMARK --save-mark --nfmask 0xf --ctmask 0xff",
    "-j CT --zone 5",
    "-j TTL --ttl-dec 1",
    "-j TOS --set-tos 0x10/0x3f",
    "-j SET --add-set cali40s:abc_web src --exist",
    "-j NETMAP --to 10.9.0.0/16",
    "-p tcp -j DNAT --to-destination 10.0.0.1-10.0.0.3:70-90/80 --random --persistent",
    "-p tcp -j SNAT --to-source 10.0.0.1:1024-2048 --random-fully",
    "-p tcp -j REDIRECT --to-ports 80-90",
]
TEXTS.append("*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING " + "\n-A PREROUTING ".join(EVERYTHING) + "\nCOMMIT\n")
WORDS = [
    *["!", "-j", "-m", "-g", "-A", "-d", "--dport", "-p", "[", "]", ":", "/", "-", "COMMIT", "*nat", "ACCEPT"],
    '"',
    "",
    "\0",
    "\x1b[31m",
    "é",
    "\\",
]
WORDS += ["9" * 20, "-1", "0x", "10.0.0.1/33", "::1", "10.0.0.1-", "80:"]
HOOKS = ("prerouting", "input", "forward", "output", "postrouting")
SOON = 2.0
"""Seconds."""


def ask_everything(text: str, ipset: str = SETS) -> None:
    """Read a text, send packets through every hook, read every rule."""
    start = time.monotonic()
    for family in (4, 6):
        for defect in defects(text, family, "iptables", IpSets(ipset)):
            assert defect.line >= 1
            assert defect.column >= 1
    made = view(iptables=text, ipset=ipset)
    rules = ruleset(made)
    if rules is not None and rules.defect is not None:
        assert "line " in rules.defect
        assert "column " in rules.defect
    for hook in HOOKS:
        for packet in (TCP, UDP, PING):
            answer = run_hook(made, hook, packet, HookContext(iif=CNI0, oif=ETH0, masquerade_source="10.0.0.9"))
            assert answer.verdict in ("accept", "drop", "reject", "branches", "unknown")
    for table in rules.tables.values() if rules is not None else ():
        for chain in table.chains.values():
            for rule in chain.rules:
                assert rule_text(rule).isprintable()
                for statement in rule.statements:
                    if isinstance(statement, Chance | Opaque):
                        assert "line " in statement.reason
    assert time.monotonic() - start < SOON


def words_changed(random: Random, line: str) -> str:
    words = line.split(" ")
    at = random.randrange(len(words))
    change = random.randrange(5)
    if change == 0:
        words[at] = random.choice(WORDS)
    elif change == 1:
        del words[at]
    elif change == 2:
        words.insert(at, random.choice(WORDS))
    elif change == 3:
        words.insert(at, words[random.randrange(len(words))])
    else:
        letter = random.randrange(len(words[at]) + 1)
        words[at] = words[at][:letter] + random.choice(WORDS)[:2] + words[at][letter + 1 :]
    return " ".join(words)


def mutated(random: Random, text: str, *, frame: bool) -> str:
    """The text with a few words replaced, removed, doubled or garbled; ``frame``: not only in rules."""
    lines = text.split("\n")
    candidates = [at for at, line in enumerate(lines) if frame or "-A " in line or line.startswith("add ")]
    for _ in range(random.randint(1, 8)):
        at = random.choice(candidates)
        head = 2 if "-A " in lines[at] and not frame else 0
        start, rest = lines[at].split(" ")[:head], " ".join(lines[at].split(" ")[head:])
        lines[at] = " ".join((*start, words_changed(random, rest)))
    return "\n".join(lines)


@pytest.mark.parametrize("block", range(6))
@pytest.mark.parametrize("frame", [False, True], ids=["rules", "frame"])
def test_mutated_dumps_give_a_typed_answer(block: int, frame: bool) -> None:
    random = Random(block)
    for _ in range(25):
        ask_everything(mutated(random, random.choice(TEXTS), frame=frame), mutated(random, SETS, frame=frame))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(TEXTS), st.integers(min_value=0, max_value=7000), st.text(max_size=4))
def test_truncated_and_garbled_texts_give_a_typed_answer(text: str, cut: int, garbage: str) -> None:
    ask_everything(text[:cut] + garbage)
    ask_everything(text[:cut] + garbage + text[cut + len(garbage) :])


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_any_rule_gives_a_typed_answer(words: str) -> None:
    ask_everything(f"*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD {words}\nCOMMIT\n")


@pytest.mark.parametrize(
    "line",
    [
        "-A FORWARD " + '"' * 100_000,
        "-A FORWARD " + "\\" * 100_000,
        "-A FORWARD " + '"a" ' * 50_000,
        '-A FORWARD -m comment --comment "' + '\\"' * 50_000,
        "-A FORWARD -p tcp -m multiport --dports " + "1," * 50_000,
        "-A FORWARD -m mark --mark " + "9" * 100_000,
        "-A FORWARD " + "! " * 50_000,
        "-A FORWARD " + "-m state " * 30_000,
        "[" * 100_000,
        "-A FORWARD -d " + "1." * 50_000,
    ],
    ids=range(10),
)
def test_long_lines_are_read_soon(line: str) -> None:
    ask_everything(f"*filter\n:FORWARD ACCEPT [0:0]\n{line}\nCOMMIT\n")


def test_chains_that_call_one_another_for_ever_end() -> None:
    rules = "".join(f"-A C{n} -j C{(n + 1) % 5}\n-A C{n} -j C{(n + 2) % 5}\n" for n in range(5))
    frame = "".join(f":C{n} - [0:0]\n" for n in range(5))
    ask_everything(f"*filter\n:FORWARD ACCEPT [0:0]\n{frame}-A FORWARD -j C0\n{rules}COMMIT\n")


def mutated_sets(change: Callable[[Random], str]) -> None:
    random = Random(7)
    for _ in range(100):
        ask_everything(TEXTS[0], change(random))


def test_garbled_sets_give_a_typed_answer() -> None:
    mutated_sets(lambda random: mutated(random, SETS, frame=True))
    mutated_sets(lambda random: SETS[: random.randrange(len(SETS))])
    ask_everything(TEXTS[0], "create x hash:ip family inet\nadd x 0.0.0.0/0\nadd x 0.0.0.0-255.255.255.255\n")
    ask_everything(TEXTS[0], "create l list:set size 8\nadd l l\n")
