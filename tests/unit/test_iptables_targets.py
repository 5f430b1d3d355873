"""What the targets of iptables do to a packet, one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from netfs.datapath.netfilter import HookAnswer, HookContext, run_hook
from netfs.model.packet import Packet
from tests.unit.iptables_views import AHEAD, PING, TCP, TCP6, UDP, namespace, passed, table
from tests.unit.netfilter_views import CNI0, ETH0


def changed(rule: str, packet: Packet, hook: str = "prerouting", of: str = "mangle", **context: Any) -> HookAnswer:
    answer = passed((rule,), packet, hook, of, **context)
    assert answer.verdict == "accept", answer.why
    return answer


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (("-j ACCEPT", "-j DROP"), "accept"),
        (("-j RETURN", "-j DROP"), "accept"),
        (("-j DROP",), "drop"),
        (('-j LOG --log-prefix "a b: " --log-level 4', "-j DROP"), "drop"),
        (("-p tcp", "-j DROP"), "drop"),
        (("-j NFQUEUE --queue-num 1 --queue-bypass",), "unknown"),
        (("-j TPROXY --on-port 15001 --on-ip 127.0.0.1 --tproxy-mark 0x1/0x1",), "unknown"),
        (("-j CT --zone 5",), "unknown"),
        (("-j UNHEARDOF --option 1",), "unknown"),
        (("-j MARK --unheardof 1",), "unknown"),
        (("-j MARK --set-xmark many",), "unknown"),
        (("-j REJECT --reject-with icmp-please",), "unknown"),
        (("-g NOWHERE",), "unknown"),
        (("-j ACCEPT -j DROP",), "unknown"),
        (("-j",), "unknown"),
        (("-p tcp garbage -j ACCEPT",), "unknown"),
        (("[unsupported revision] -j ACCEPT",), "unknown"),
        (('-m comment --comment "never ends -j ACCEPT',), "unknown"),
        (("-d 10.9.9.9/32 -j UNHEARDOF",), "accept"),
    ],
)
def test_verdicts(rules: tuple[str, ...], expected: str) -> None:
    assert passed(rules, TCP).verdict == expected


@pytest.mark.parametrize(
    ("rule", "packet", "told"),
    [
        ("-j REJECT", TCP, "icmp port-unreachable"),
        ("-j REJECT --reject-with icmp-port-unreachable", TCP, "icmp port-unreachable"),
        ("-j REJECT --reject-with icmp-host-prohibited", TCP, "icmp host-prohibited"),
        ("-j REJECT --reject-with icmp-admin-prohibited", TCP, "icmp admin-prohibited"),
        ("-p tcp -j REJECT --reject-with tcp-reset", TCP, "tcp reset"),
        ("-j REJECT", TCP6, "icmpv6 port-unreachable"),
        ("-j REJECT --reject-with icmp6-adm-prohibited", TCP6, "icmpv6 admin-prohibited"),
    ],
)
def test_reject_tells_the_sender(rule: str, packet: Packet, told: str) -> None:
    answer = passed((rule,), packet)
    assert (answer.verdict, answer.reject_with) == ("reject", told)


@pytest.mark.parametrize(
    ("rule", "before", "after"),
    [
        ("--set-xmark 0x4000/0x4000", 0x8001, 0xC001),
        ("--set-xmark 0x4000/0x0", 0x4000, 0x0),
        ("--set-xmark 0x4000/0x0", 0x1, 0x4001),
        ("--set-xmark 0x1", 0xFFFF, 0x1),
        ("--set-mark 7", 0xFFFF, 0x7),
        ("--set-mark 0x1/0xff", 0xFFFF, 0xFF01),
        ("--and-mark 0xff", 0xABCD, 0xCD),
        ("--or-mark 0x10", 0x1, 0x11),
        ("--xor-mark 0x11", 0x1, 0x10),
    ],
)
def test_mark(rule: str, before: int, after: int) -> None:
    assert changed(f"-j MARK {rule}", replace(TCP, mark=before)).packet.mark == after


@pytest.mark.parametrize(
    ("rule", "mark", "ct_mark", "expected"),
    [
        ("--set-xmark 0x1/0x1", 0, 0x10, (0, 0x11)),
        ("--set-mark 0x5", 0, 0x10, (0, 0x5)),
        ("--save-mark --nfmask 0xffffffff --ctmask 0xffffffff", 0x7, 0x10, (0x7, 0x7)),
        ("--save-mark --nfmask 0xf --ctmask 0xff", 0x77, 0x1FF, (0x77, 0x107)),
        ("--restore-mark --nfmask 0xffffffff --ctmask 0xffffffff", 0x7, 0x10, (0x10, 0x10)),
        ("--restore-mark --mask 0xf0", 0x7, 0x1F, (0x17, 0x1F)),
        ("--restore-mark --nfmask 0xf --ctmask 0xff", 0x37, 0x1C0, (0xF0, 0x1C0)),
    ],
)
def test_connmark(rule: str, mark: int, ct_mark: int, expected: tuple[int, int]) -> None:
    answer = changed(f"-j CONNMARK {rule}", replace(TCP, mark=mark), ct_mark=ct_mark)
    assert (answer.packet.mark, answer.ct_mark) == expected


def test_connmark_of_an_untracked_packet_changes_nothing() -> None:
    answer = changed("-j CONNMARK --restore-mark", replace(TCP, mark=7), ct_state="untracked", ct_mark=9)
    assert (answer.packet.mark, answer.ct_mark) == (7, 9)


@pytest.mark.parametrize(
    ("rule", "packet", "field", "value"),
    [
        ("-j TTL --ttl-set 9", TCP, "ttl", 9),
        ("-j TTL --ttl-dec 1", TCP, "ttl", 63),
        ("-j TTL --ttl-dec 100", TCP, "ttl", 0),
        ("-j TTL --ttl-inc 250", TCP, "ttl", 255),
        ("-j HL --hl-set 1", TCP6, "ttl", 1),
        ("-j HL --hl-inc 1", TCP6, "ttl", 65),
        ("-j TOS --set-tos 0x10/0x3f", replace(TCP, tos=0xC1), "tos", 0xD0),
        ("-j TOS --set-tos 0x10/0xff", replace(TCP, tos=0xC1), "tos", 0x10),
        ("-j TOS --and-tos 0x0f", replace(TCP, tos=0xC1), "tos", 0x1),
        ("-j TOS --or-tos 0x10", replace(TCP, tos=0xC1), "tos", 0xD1),
        ("-j TOS --xor-tos 0xff", replace(TCP, tos=0xC1), "tos", 0x3E),
        ("-j DSCP --set-dscp 0x2e", replace(TCP, tos=1), "tos", 0xB9),
        ("-j DSCP --set-dscp-class EF", TCP6, "tos", 0xB8),
    ],
)
def test_header_fields(rule: str, packet: Packet, field: str, value: int) -> None:
    assert getattr(changed(rule, packet).packet, field) == value


@pytest.mark.parametrize(
    ("rule", "packet", "hook", "expected"),
    [
        ("-p tcp -j DNAT --to-destination 10.244.2.2:8080", TCP, "prerouting", ("10.244.2.2", 8080)),
        ("-j DNAT --to-destination 10.244.2.2", TCP, "prerouting", ("10.244.2.2", 80)),
        ("-p tcp -j DNAT --to-destination :8080", TCP, "output", ("10.96.0.1", 8080)),
        ("-p tcp -j DNAT --to-destination 10.244.2.2:70-90", TCP, "prerouting", ("10.244.2.2", 80)),
        ("-p tcp -j DNAT --to-destination 10.244.2.2:1070-1090/70", TCP, "prerouting", ("10.244.2.2", 1080)),
        ("-p tcp -j DNAT --to-destination [fd00:1::2]:8080", TCP6, "prerouting", ("fd00:1::2", 8080)),
        ("-j DNAT --to-destination fd00:1::2", TCP6, "prerouting", ("fd00:1::2", 80)),
        ("-p tcp -j REDIRECT --to-ports 8080", TCP, "prerouting", ("10.244.1.1", 8080)),
        ("-j REDIRECT", TCP, "output", ("127.0.0.1", 80)),
        ("-d 10.96.0.0/16 -j NETMAP --to 10.97.0.0/16", TCP, "prerouting", ("10.97.0.1", 80)),
    ],
)
def test_destinations(rule: str, packet: Packet, hook: str, expected: tuple[str, int]) -> None:
    answer = changed(rule, packet, hook, "nat", iif=None if hook == "output" else CNI0)
    assert (answer.packet.dst, answer.packet.dport) == expected
    assert answer.packet.src == packet.src


@pytest.mark.parametrize(
    ("rule", "packet", "hook", "expected"),
    [
        ("-j MASQUERADE", TCP, "postrouting", ("192.168.52.11", 40000)),
        ("-j MASQUERADE --random-fully", TCP, "postrouting", ("192.168.52.11", None)),
        ("-p tcp -j MASQUERADE --to-ports 1024-2048", TCP, "postrouting", ("192.168.52.11", None)),
        ("-p tcp -j MASQUERADE --to-ports 39000-41000", TCP, "postrouting", ("192.168.52.11", 40000)),
        ("-j MASQUERADE", PING, "postrouting", ("192.168.52.11", None)),
        ("-j SNAT --to-source 10.0.0.9", TCP, "postrouting", ("10.0.0.9", 40000)),
        ("-j SNAT --to-source 10.0.0.9 --random", UDP, "postrouting", ("10.0.0.9", None)),
        ("-p tcp -j SNAT --to-source 10.0.0.9:5000", TCP, "input", ("10.0.0.9", 5000)),
        ("-s 10.244.0.0/16 -j NETMAP --to 10.99.0.0/16", TCP, "postrouting", ("10.99.1.2", 40000)),
    ],
)
def test_sources(rule: str, packet: Packet, hook: str, expected: tuple[str, int | None]) -> None:
    answer = changed(rule, packet, hook, "nat", masquerade_source="192.168.52.11")
    assert (answer.packet.src, answer.packet.sport) == expected
    assert answer.packet.dst == packet.dst


def test_of_a_range_of_destinations_each_connection_gets_one() -> None:
    """By a hash of its addresses without a secret: the oracle holds that it is the kernel's."""
    answer = passed(("-j DNAT --to-destination 10.0.0.1-10.0.0.4",), TCP, "prerouting", "nat")
    assert answer.verdict == "accept"
    assert answer.packet.dst in {f"10.0.0.{host}" for host in range(1, 5)}


@pytest.mark.parametrize("rule", ["-j NOTRACK", "-j CT --notrack"])
def test_notrack(rule: str) -> None:
    assert changed(rule, TCP, "prerouting", "raw").untracked


@pytest.mark.parametrize(
    "rule",
    [
        '-j LOG --log-prefix "[UFW BLOCK] "',
        "-j NFLOG --nflog-group 5 --nflog-prefix x",
        "-j TRACE",
        "-j AUDIT --type accept",
        "-p udp -j CHECKSUM --checksum-fill",
        "-p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu",
        "-j CLASSIFY --set-class 0001:0002",
        "-j CT --helper ftp",
        "-j TEE --gateway 10.0.0.1",
    ],
)
def test_inert_targets_change_nothing(rule: str) -> None:
    assert changed(rule, TCP).packet == TCP


def test_a_set_that_the_packet_is_added_to_is_no_longer_known() -> None:
    sets = "create seen hash:ip family inet\n"
    rules = ("-A FORWARD -j SET --add-set seen src --exist", "-A FORWARD -m set --match-set seen src -j DROP")
    made = namespace(table("filter", *rules), ipset=sets)
    assert run_hook(made, "forward", TCP, AHEAD).verdict == "unknown"
    made = namespace(table("filter", *reversed(rules)), ipset=sets)
    assert run_hook(made, "forward", TCP, AHEAD).verdict == "accept"


def test_jump_comes_back_and_goto_does_not() -> None:
    rules = ("-A FORWARD -j A", "-A FORWARD -j DROP", "-A A -p udp -j ACCEPT")
    assert run_hook(namespace(table("filter", *rules, chains=("A",))), "forward", TCP, AHEAD).verdict == "drop"
    rules = ("-A FORWARD -g A", "-A FORWARD -j DROP", "-A A -p udp -j ACCEPT")
    assert run_hook(namespace(table("filter", *rules, chains=("A",))), "forward", TCP, AHEAD).verdict == "accept"
    made = namespace(table("filter", *rules, chains=("A",), FORWARD="DROP"))
    answer = run_hook(made, "forward", TCP, AHEAD)
    assert (answer.verdict, answer.matched[0].text) == ("drop", "-P FORWARD DROP")


def test_goto_returns_to_where_the_last_jump_came_from() -> None:
    rules = ("-A FORWARD -j A", "-A FORWARD -j ACCEPT", "-A A -g B", "-A A -j DROP", "-A B -j RETURN")
    assert run_hook(namespace(table("filter", *rules, chains=("A", "B"))), "forward", TCP, AHEAD).verdict == "accept"


def test_return_in_a_built_in_chain_is_its_policy() -> None:
    made = namespace(table("filter", "-A FORWARD -j RETURN", "-A FORWARD -j ACCEPT", FORWARD="DROP"))
    assert run_hook(made, "forward", TCP, AHEAD).verdict == "drop"


def test_nat_is_asked_by_new_connections_alone() -> None:
    rule = ("-j DNAT --to-destination 10.0.0.1",)
    assert passed(rule, TCP, "prerouting", "nat", ct_state="established").packet == TCP
    assert passed(rule, TCP, "prerouting", "nat", ct_state="invalid").packet == TCP
    assert passed(rule, TCP, "prerouting", "nat", nat_done=True).packet == TCP


def test_tables_stand_in_the_kernels_order() -> None:
    def marked(name: str, bit: int) -> str:
        return table(name, f"-A OUTPUT -m mark --mark {bit >> 1} -j MARK --set-xmark {bit}")

    texts = [marked("security", 16), marked("filter", 8), marked("mangle", 2), marked("raw", 1)]
    texts += [table("nat", "-A OUTPUT -m mark --mark 2 -j MARK --set-xmark 4")]
    answer = run_hook(namespace(*texts), "output", TCP, HookContext(oif=ETH0))
    assert answer.packet.mark == 16
    assert [ref.table for ref in answer.matched] == ["raw", "mangle", "nat", "filter", "security"]
