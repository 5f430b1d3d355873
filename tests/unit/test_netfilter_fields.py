"""What expressions yield: bits of headers, options that are not there, tuples of connections, devices."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netfs.datapath.netfilter import HookContext, run_device_hook, run_hook
from netfs.datapath.netfilter.jhash import chosen_address, jhash, registers
from netfs.model import ip
from netfs.model.link import Link
from netfs.model.packet import Packet
from tests.unit.netfilter_views import (
    CNI0,
    DROP,
    ETH0,
    PING,
    VXLAN,
    WEB,
    chain,
    field,
    forward,
    match,
    rule,
    table,
    view,
)

AHEAD = HookContext(iif=CNI0, oif=ETH0)
WEB6 = Packet("fd00::2", "fd00::3", "tcp", 40000, 80, tcp_flags="syn")


def verdict(left: object, right: object, packet: Packet, context: HookContext = AHEAD, op: str = "==") -> str:
    """What becomes of a packet that a rule with one match drops."""
    return run_hook(forward((match(left, right, op), DROP)), "forward", packet, context).verdict


def raw(base: str, offset: int, length: int) -> dict[str, object]:
    return {"payload": {"base": base, "offset": offset, "len": length}}


@pytest.mark.parametrize(
    ("bits", "value"),
    [
        (raw("nh", 96, 32), ip.to_int("10.244.1.2")),
        (raw("nh", 100, 12), 0xAF4),
        (raw("nh", 64, 16), 64 << 8 | 6),
        (raw("th", 0, 32), 40000 << 16 | 80),
        (raw("th", 106, 6), 2),
        (raw("ll", 96, 16), 0x0800),
    ],
)
def test_bits_of_a_header_are_cut_out_wherever_they_lie(bits: object, value: int) -> None:
    assert verdict(bits, value, WEB) == "drop"
    assert verdict(bits, value, WEB, op="!=") == "accept"


@pytest.mark.parametrize("bits", [raw("nh", 32, 16), raw("th", 32, 32), raw("ih", 0, 8), raw("nh", 150, 32)])
def test_bits_that_nobody_told_are_unknown(bits: object) -> None:
    assert verdict(bits, 1, WEB) == "unknown"


def test_extension_headers_and_options_of_ip_are_missing() -> None:
    assert verdict({"exthdr": {"name": "frag"}}, False, replace(WEB6)) == "accept"
    assert verdict({"ip option": {"name": "rr"}}, False, WEB) == "drop"
    assert verdict({"ip option": {"name": "rr"}}, True, WEB) == "accept"
    assert verdict({"exthdr": {"name": "frag", "field": "nexthdr"}}, "tcp", WEB) == "accept"
    assert verdict({"tcp option": {"name": "maxseg"}}, True, WEB) == "unknown"
    assert verdict({"tcp option": {"name": "maxseg"}}, True, PING) == "accept"


def test_a_constant_that_is_not_understood_matters_only_where_the_field_is() -> None:
    kind = {"payload": {"protocol": "igmp", "field": "type"}}
    assert verdict(kind, "membership-query", WEB) == "accept"
    assert verdict(field("icmp type"), "no-such-type", PING) == "unknown"
    assert verdict(field("icmp type"), "no-such-type", WEB) == "accept"


def test_the_reply_tuple_of_a_new_connection_is_the_packet_turned_round() -> None:
    first = replace(WEB, dst="10.96.0.9", dport=8080)
    context = replace(AHEAD, original=first)

    def reply(key: str, direction: str = "reply") -> dict[str, object]:
        return {"ct": {"key": key, "dir": direction}}

    assert verdict(reply("ip saddr"), WEB.dst, WEB, context) == "drop"
    assert verdict(reply("proto-src"), 80, WEB, context) == "drop"
    assert verdict(reply("ip daddr", "original"), "10.96.0.9", WEB, context) == "drop"
    assert verdict(reply("proto-dst", "original"), 8080, WEB, context) == "drop"
    assert verdict(reply("ip6 saddr"), "fd00::1", WEB, context) == "accept"
    later = replace(context, ct_state="established")
    assert verdict(reply("ip saddr"), WEB.dst, WEB, later) == "unknown"


def test_a_device_answers_for_itself() -> None:
    wired = replace(AHEAD, iif=replace(CNI0, group=7))
    assert verdict(field("meta iifkind"), "bridge", PING, wired) == "drop"
    assert verdict(field("meta oifkind"), "bridge", PING, wired, "!=") == "accept"
    assert verdict(field("meta iifgroup"), 7, PING, wired) == "drop"
    assert verdict(field("meta oifgroup"), "default", PING, wired) == "drop"
    assert verdict(field("meta sdifname"), "vrf0", PING, wired) == "accept"
    assert verdict(field("meta sdifname"), "vrf0", PING, replace(AHEAD, iif=replace(CNI0, master=9))) == "unknown"


@pytest.mark.parametrize(
    ("mac", "kind"),
    [("ff:ff:ff:ff:ff:ff", "broadcast"), ("01:00:5e:00:00:01", "multicast"), ("02:42:ac:11:00:02", "host")],
)
def test_the_type_of_a_packet_is_told_by_its_mac(mac: str, kind: str) -> None:
    assert verdict(field("meta pkttype"), kind, replace(PING, dst_mac=mac)) == "drop"


def test_an_egress_chain_counts_the_ethernet_header() -> None:
    chains = chain("e", "egress", "netdev", dev="eth0")
    counting = rule("e", match(field("meta length"), VXLAN.size + 14), DROP, family="netdev")
    namespace = view([table(family="netdev"), chains, counting])
    assert run_device_hook(namespace, "egress", VXLAN, HookContext(oif=ETH0)).verdict == "drop"
    assert (
        run_device_hook(namespace, "egress", VXLAN, HookContext(oif=Link(2, "eth0", arp_type=65534))).verdict
        == "accept"
    )


def test_a_statement_of_another_protocol_ends_its_rule() -> None:
    clamp = {"mangle": {"key": {"tcp option": {"name": "maxseg", "field": "size"}}, "value": 500}}
    counted = {"counter": {"map": {"key": field("tcp dport"), "data": {"set": [[80, "hits"]]}}}}
    ttl = {"mangle": {"key": field("ip6 hoplimit"), "value": 9}}
    hop = view([table(family="inet"), chain("f", "forward", "inet"), rule("f", ttl, DROP, family="inet")])
    for rules, met, missed in (
        (forward((clamp, DROP)), WEB, PING),
        (forward((counted, DROP)), WEB, replace(WEB, dport=81)),
        (hop, WEB6, WEB),
    ):
        assert run_hook(rules, "forward", met, AHEAD).verdict == "drop"
        assert run_hook(rules, "forward", missed, AHEAD).verdict == "accept"


def test_the_hash_is_bob_jenkins() -> None:
    assert jhash(b"", 0) == 0xDEADBEEF
    assert jhash(b"", 0xDEADBEEF) == 0xBD5B7DDE
    assert registers((80, "c0"), ("inet_service", "ifname")) == b"\0\x50\0\0c0" + b"\0" * 14
    assert registers((1,), ("unknown",)) is None


def test_an_address_of_a_range_lies_in_it() -> None:
    low, high = ip.to_int("10.2.3.250"), ip.to_int("10.2.5.5")
    found = {
        chosen_address(4, source, ip.to_int("10.9.9.9"), (low, high), of_source=False, persistent=False)
        for source in range(low, low + 500)
    }
    assert min(found) >= low
    assert max(found) <= high
    assert len(found) > 150
