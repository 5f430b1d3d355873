"""Whether a match of iptables holds for a packet, one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from netfs.model.link import Link
from netfs.model.packet import Packet
from tests.unit.iptables_views import PING, PING6, TCP, TCP6, UDP, holds, passed

SYN_ACK = replace(TCP, tcp_flags="syn-ack")
GRE = Packet("10.244.1.2", "10.96.0.1", "gre")


@pytest.mark.parametrize(
    ("match", "packet", "expected"),
    [
        ("-p tcp", TCP, True),
        ("-p tcp", UDP, False),
        ("! -p tcp", UDP, True),
        ("-p 17", UDP, True),
        ("-p all", PING, True),
        ("-p gre", GRE, True),
        ("-p icmp", PING, True),
        ("-p ipv6-icmp", PING6, True),
        ("-s 10.244.1.2/32", TCP, True),
        ("-s 10.244.1.3/32", TCP, False),
        ("-s 10.244.0.0/16", TCP, True),
        ("! -s 10.244.0.0/16", TCP, False),
        ("-s ! 10.244.0.0/16", TCP, False),
        ("-s 0.0.0.0/0", TCP, True),
        ("! -s 0.0.0.0/0", TCP, False),
        ("-d 10.0.0.1/255.0.0.255", TCP, True),
        ("-d 10.0.0.2/255.0.0.255", TCP, False),
        ("! -d 10.0.0.2/255.0.0.255", TCP, True),
        ("-d 10.96.0.0/255.255.0.0", TCP, True),
        ("-s fd00::/64", TCP6, True),
        ("! -d fd00:96::1/128", TCP6, False),
        ("-i cni0", TCP, True),
        ("-i eth0", TCP, False),
        ("! -i cni0", TCP, False),
        ("-i cni+", TCP, True),
        ("-i +", TCP, True),
        ("-o eth+", TCP, True),
        ("! -o eth0", TCP, False),
        ("-f", TCP, False),
        ("! -f", TCP, True),
        ("-p tcp -m tcp --dport 80", TCP, True),
        ("-p tcp --dport 80", TCP, True),
        ("-p tcp -m tcp ! --dport 80", TCP, False),
        ("-p tcp -m tcp --dport ! 80", TCP, False),
        ("-p tcp -m tcp --dport 79:81", TCP, True),
        ("-p tcp -m tcp --dport :79", TCP, False),
        ("-p tcp -m tcp --sport 1024:", TCP, True),
        ("-p udp -m udp --dport 53", UDP, True),
        ("-p udp -m udp --dport 53", TCP, False),
        ("-p tcp -m tcp --syn", TCP, True),
        ("-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN", TCP, True),
        ("-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN", SYN_ACK, False),
        ("-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN", SYN_ACK, True),
        ("-p tcp -m tcp --tcp-flags ALL NONE", TCP, False),
        ("-p tcp -m tcp --tcp-flags SYN,ACK SYN,ACK", SYN_ACK, True),
        ("-p tcp -m tcp --tcp-option 4", TCP, None),
        ("-p tcp -m multiport --dports 22,80,443", TCP, True),
        ("-p tcp -m multiport --dports 22,81:90", TCP, False),
        ("-p tcp -m multiport ! --dports 22,81:90", TCP, True),
        ("-p tcp -m multiport --sports 40000:50000", TCP, True),
        ("-p tcp -m multiport --ports 80", TCP, True),
        ("-p tcp -m multiport --ports 40000", TCP, True),
        ("-p tcp -m multiport ! --ports 40000", TCP, False),
        ("-p tcp -m multiport --ports 1,2:9", TCP, False),
        ("-p icmp -m icmp --icmp-type 8", PING, True),
        ("-p icmp -m icmp --icmp-type echo-request", PING, True),
        ("-p icmp -m icmp --icmp-type 8/0", PING, True),
        ("-p icmp -m icmp --icmp-type 8/1", PING, False),
        ("-p icmp -m icmp ! --icmp-type 8", PING, False),
        ("-p icmp -m icmp --icmp-type any", PING, True),
        ("-p icmp -m icmp --icmp-type 3/4", replace(PING, icmp_type="frag-needed"), True),
        ("-p ipv6-icmp -m icmp6 --icmpv6-type 128", PING6, True),
        ("-p ipv6-icmp -m icmp6 --icmpv6-type 135", PING6, False),
        ("-m length --length 60", TCP, True),
        ("-m length --length 0:59", TCP, False),
        ("-m length ! --length 100:200", TCP, True),
        ("-m ttl --ttl-eq 64", TCP, True),
        ("-m ttl ! --ttl-eq 64", TCP, False),
        ("-m ttl --ttl-lt 64", TCP, False),
        ("-m ttl --ttl-gt 63", TCP, True),
        ("-m hl --hl-eq 64", TCP6, True),
        ("-m tos --tos 0x10/0x3f", replace(TCP, tos=0xD0), True),
        ("-m tos --tos 0x10", replace(TCP, tos=0xD0), False),
        ("-m dscp --dscp 0x2e", replace(TCP, tos=0xB8), True),
        ("-m dscp --dscp-class EF", replace(TCP, tos=0xB8), True),
        ("-m dscp ! --dscp 0x2e", TCP, True),
        ("-m ecn --ecn-ip-ect 1", replace(TCP, tos=1), True),
        ("-m mac --mac-source 02:00:00:00:00:01", TCP, True),
        ("-m mac ! --mac-source 02:00:00:00:00:01", TCP, False),
        ("-m mac --mac-source 02:00:00:00:00:01", UDP, None),
        ("-m iprange --src-range 10.244.1.1-10.244.1.9", TCP, True),
        ("-m iprange ! --dst-range 10.96.0.1-10.96.0.1", TCP, False),
        ("-m pkttype --pkt-type unicast", TCP, True),
        ("-m pkttype ! --pkt-type broadcast", TCP, True),
        ("-m mark --mark 0x4000/0x4000", replace(TCP, mark=0xC000), True),
        ("-m mark --mark 0x4000", replace(TCP, mark=0xC000), False),
        ("-m mark ! --mark 0x4000/0x4000", replace(TCP, mark=0xC000), False),
        ('-m comment --comment "a \\"quoted\\" -j ACCEPT"', TCP, True),
        ("-m comment --comment -j", TCP, True),
    ],
)
def test_matches_on_the_packet_alone(match: str, packet: Packet, expected: bool | None) -> None:
    assert holds(match, packet) is expected


@pytest.mark.parametrize(
    ("match", "context", "expected"),
    [
        ("-m conntrack --ctstate NEW", {}, True),
        ("-m conntrack --ctstate RELATED,ESTABLISHED", {}, False),
        ("-m conntrack ! --ctstate NEW", {}, False),
        ("-m conntrack --ctstate RELATED,ESTABLISHED", {"ct_state": "established"}, True),
        ("-m state --state ESTABLISHED", {"ct_state": "established"}, True),
        ("-m state --state INVALID", {"ct_state": "invalid"}, True),
        ("-m conntrack --ctstate INVALID", {"ct_state": "untracked"}, False),
        ("-m conntrack --ctstate UNTRACKED", {"ct_state": "untracked"}, True),
        ("-m conntrack --ctstate INVALID,DNAT", {"ct_state": "untracked"}, False),
        ("-m conntrack --ctstate DNAT", {"ct_status": frozenset(("dnat",))}, True),
        ("-m conntrack --ctstate DNAT", {}, False),
        ("-m conntrack ! --ctstate DNAT", {"ct_state": "established"}, True),
        ("-m conntrack --ctstate SNAT,ESTABLISHED", {"ct_state": "established"}, True),
        ("-m conntrack --ctstate DNAT", {"ct_state": "invalid", "ct_status": frozenset(("dnat",))}, False),
        ("-m conntrack --ctstatus NONE", {}, False),
        ("-m conntrack --ctstatus SEEN_REPLY", {"ct_status": frozenset(("seen-reply",))}, True),
        ("-m conntrack ! --ctstatus CONFIRMED", {}, True),
        ("-m conntrack --ctstatus ASSURED", {"ct_state": "established"}, None),
        ("-m conntrack --ctdir ORIGINAL", {}, True),
        ("-m conntrack --ctdir REPLY", {"ct_state": "established", "ct_direction": "reply"}, True),
        ("-m conntrack --ctdir ORIGINAL", {"ct_state": "invalid"}, False),
        ("-m conntrack ! --ctdir ORIGINAL", {"ct_state": "invalid"}, False),
        ("-m conntrack --ctstate INVALID --ctdir REPLY", {"ct_state": "invalid"}, True),
        ("-m conntrack --ctproto 6", {}, True),
        ("-m conntrack --ctorigsrc 10.244.1.2/32", {}, True),
        ("-m conntrack --ctorigdst 10.244.0.0/16", {}, False),
        ("-m conntrack ! --ctorigdst 10.244.0.0/16", {}, True),
        ("-m conntrack --ctorigdstport 80", {}, True),
        ("-m conntrack --ctorigdstport 81:90", {}, False),
        ("-m conntrack --ctexpire 1:9", {}, None),
        ("-m connmark --mark 0x1/0x1", {"ct_mark": 3}, True),
        ("-m connmark ! --mark 0x1/0x1", {"ct_mark": 3}, False),
        ("-m connmark ! --mark 0x1", {"ct_state": "untracked"}, False),
        ("-m physdev --physdev-in veth1", {}, False),
        ("-m physdev ! --physdev-in veth1", {}, True),
        ("-m physdev --physdev-in veth1", {"bridged": True, "physin": "veth1"}, True),
        ("-m physdev --physdev-in veth+", {"bridged": True, "physin": "veth1"}, True),
        ("-m physdev --physdev-in veth2", {"bridged": True, "physin": "veth1"}, False),
        ("-m physdev ! --physdev-in veth1", {"bridged": True, "physin": "veth1"}, False),
        ("-m physdev --physdev-in veth2", {"bridged": True, "physout": "veth2"}, True),
        ("-m physdev --physdev-out veth2", {"bridged": True, "physin": "veth1"}, False),
        ("-m physdev ! --physdev-out veth2", {"bridged": True, "physin": "veth1"}, False),
        ("-m physdev --physdev-out veth2", {"bridged": True, "physout": "veth2"}, True),
        ("-m physdev --physdev-is-bridged", {"bridged": True, "physin": "veth1", "physout": "veth2"}, True),
        ("-m physdev --physdev-is-bridged", {}, False),
        ("-m physdev ! --physdev-is-bridged", {}, True),
        ("-m physdev --physdev-is-in", {"bridged": True, "physin": "veth1"}, True),
        ("-m physdev --physdev-is-out", {"bridged": True, "physin": "veth1"}, False),
        ("-m policy --dir in --pol none", {}, True),
        ("-m policy --dir in --pol ipsec", {}, False),
        ("-m devgroup --src-group 0x2", {"iif": Link(3, "cni0", group=2)}, True),
        ("-m devgroup ! --src-group 0x2/0x2", {"iif": Link(3, "cni0", group=2)}, False),
        ("-m addrtype --dst-type LOCAL", {"fib": lambda *_: "local"}, True),
        ("-m addrtype --dst-type LOCAL", {"fib": lambda *_: "unicast"}, False),
        ("-m addrtype ! --dst-type LOCAL", {"fib": lambda *_: "unicast"}, True),
        ("-m addrtype --dst-type UNICAST,LOCAL", {"fib": lambda *_: "local"}, True),
        ("-m addrtype ! --dst-type UNICAST,LOCAL", {"fib": lambda *_: "broadcast"}, True),
        ("-m addrtype --dst-type LOCAL", {"fib": None}, None),
    ],
)
def test_matches_on_the_surroundings(match: str, context: dict[str, Any], expected: bool | None) -> None:
    assert holds(match, TCP, **context) is expected


def test_addrtype_asks_of_the_right_address_and_device() -> None:
    asked: list[tuple[str, frozenset[str]]] = []

    def fib(result: str, flags: frozenset[str], _packet: Packet) -> str:
        asked.append((result, flags))
        return "local"

    assert holds("-m addrtype --src-type LOCAL --limit-iface-in", TCP, fib=fib) is True
    assert asked == [("type", frozenset(("saddr", "iif")))]


def test_rpfilter_asks_for_the_route_back() -> None:
    def fib(result: str, flags: frozenset[str], packet: Packet) -> str:
        if result == "type":
            return "local" if packet.src == "10.244.1.1" else "unicast"
        return "cni0" if packet.src.startswith("10.244.") or "iif" not in flags else ""

    away = replace(TCP, src="192.0.2.1")
    assert holds("-m rpfilter", TCP, "prerouting", "raw", fib=fib) is True
    assert holds("-m rpfilter --invert", TCP, "prerouting", "raw", fib=fib) is False
    assert holds("-m rpfilter --invert", away, "prerouting", "raw", fib=fib) is True
    assert holds("-m rpfilter --loose", away, "prerouting", "raw", fib=fib) is True
    assert (
        holds("-m rpfilter --loose --validmark", replace(TCP, src="10.244.1.1"), "prerouting", "raw", fib=fib) is False
    )
    assert holds("-m rpfilter", TCP6, "prerouting", "raw", fib=fib) is None


def test_before_conntrack_every_packet_is_invalid() -> None:
    assert holds("-m conntrack --ctstate INVALID", TCP, "prerouting", "raw") is True
    assert holds("-m conntrack --ctstate INVALID", TCP, "prerouting", "mangle") is False


def test_the_owner_is_not_known_of_local_packets_and_nobody_of_forwarded_ones() -> None:
    assert holds("-m owner --uid-owner 1337", TCP, "output", iif=None) is None
    assert holds("-m owner --uid-owner 0-9", TCP, "postrouting", "mangle") is False
    assert holds("-m owner ! --uid-owner 1337", TCP, "postrouting", "mangle") is True
    assert holds("-m owner ! --uid-owner 1337 --gid-owner 5", TCP, "postrouting", "mangle") is False
    assert holds("-m owner --uid-owner 1337", TCP, "output", iif=None, socketless=True) is False
    assert holds("-m owner ! --uid-owner 1337", TCP, "output", iif=None, socketless=True) is True


@pytest.mark.parametrize(
    "match",
    [
        "-m limit --limit 5/min --limit-burst 3",
        "-m hashlimit --hashlimit-above 5/sec --hashlimit-name x",
        "-m recent --update --seconds 60 --hitcount 4 --name SSH --mask 255.255.255.255 --rsource",
        "-m connlimit --connlimit-above 2 --connlimit-mask 32 --connlimit-saddr",
        "-m quota --quota 100",
        '-m string --string "-j" --algo bm --to 65535',
        "-m time --timestart 08:00:00",
        "-m socket --transparent",
        "-m rpfilter --invert",
        "-m rpfilter --accept-local",
        '-m u32 --u32 "0x0&0xff=0x1"',
        "-m bpf --bytecode 4,48",
        "-m cpu --cpu 0",
        "-m realm --realm 0x1",
        "-m unheardof --option 1 2 3 --flag",
        "-p tcp -m tcp --dport https",
        "-p tcp -m tcp --unheardof 5",
        "-s example.org",
        "-m set --match-set absent src",
        "-m conntrack --ctstate BORED",
        "-m statistic --mode magic",
    ],
)
def test_what_is_not_known_is_in_doubt_and_names_the_rule(match: str) -> None:
    answer = passed((f"{match} -j DROP",), TCP)
    assert answer.verdict == "unknown"
    assert answer.matched[0].text == f"-A FORWARD {match} -j DROP"
    assert passed((f"{match} -d 10.9.9.9/32 -j DROP",), TCP).verdict == "accept"


def test_a_doubt_names_option_line_and_column() -> None:
    answer = passed(("-p tcp -m tcp --dport https -j DROP",), TCP)
    assert "--dport 'https' is not understood (line 5, column 26 of iptables-legacy-save)" in answer.why


def test_statistic_splits_by_its_probability() -> None:
    answer = passed(("-m statistic --mode random --probability 0.25000000000 -j DROP",), TCP)
    assert answer.verdict == "branches"
    assert [(branch.verdict, branch.share) for branch in answer.branches] == [("drop", 0.25), ("accept", 0.75)]
    answer = passed(("-m statistic --mode nth --every 4 --packet 0 -j DROP",), TCP)
    assert {branch.verdict: branch.share for branch in answer.branches} == {"drop": 0.25, "accept": 0.75}
