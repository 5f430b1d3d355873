"""A probe is known at every tap: translated, tunnelled, in fragments, quoted by errors; and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from netfs.capture.marker import MOST, Marker
from netfs.capture.probe import craft, recognise
from netfs.capture.station.order import Datagram
from netfs.model.live import Sighting, TapRef
from netfs.model.packet import Encapsulation, Packet
from tests.unit.probe_frames import (
    MAC_A,
    MAC_B,
    NODE1,
    NODE2,
    POD_A,
    POD_B,
    TAP,
    Heard,
    ether,
    ip,
    kit,
    marker,
    outgoing,
    probe,
    transport,
    vxlan,
)

CASES = [(proto, family) for proto in ("icmp", "tcp", "udp") for family in (4, 6)]


def seen(mark: Marker, frame: Any, *, hatype: int = 1) -> Sighting | None:
    return recognise.sighting(mark, Heard(bytes(frame), hatype=hatype), TAP, "in")


def told(mark: Marker, frame: Any, *, hatype: int = 1) -> Sighting:
    found = seen(mark, frame, hatype=hatype)
    assert found is not None
    return found


@pytest.mark.parametrize(("proto", "family"), CASES)
@pytest.mark.parametrize("number", [0, 41])
def test_a_probe_is_told_with_its_headers(proto: str, family: int, number: int) -> None:
    mark = marker(proto, family)
    fields: dict[str, Any] = {"ttl": 62, "tos": 8, "flags": "DF"} if family == 4 else {"hlim": 62, "tc": 8}
    frame = ether(probe(mark, number, 100, **fields))
    sent = outgoing(mark, 100)
    expected = replace(sent, ttl=62, tos=8, src_mac=MAC_A, dst_mac=MAC_B)
    kinds: dict[str, dict[str, Any]] = {"icmp": {"icmp_type": "echo-request"}, "tcp": {"tcp_flags": "syn"}, "udp": {}}
    expected = replace(expected, **kinds[proto])
    assert told(mark, frame) == Sighting(TAP, "in", 1_000_000, number, "probe", expected, len(frame))


@pytest.mark.parametrize(("proto", "family"), CASES)
def test_another_markers_probe_is_none(proto: str, family: int) -> None:
    mine, other = marker(proto, family), marker(proto, family, token=b"\x09other")
    assert seen(mine, ether(probe(other, 3))) is None


@pytest.mark.parametrize(("proto", "family"), CASES)
def test_it_is_known_after_any_translation(proto: str, family: int) -> None:
    mark = marker(proto, family)
    ends = ("203.0.113.9", "198.51.100.7") if family == 4 else ("2001:db8::9", "2001:db8::7")
    body = transport(mark, 5)
    if proto == "icmp":
        body.id, body.chksum = 4711, None
    else:
        body.sport, body.dport, body.chksum = 61234, 8080, None
    found = told(mark, ether(ip(*ends) / body))
    assert (found.number, found.role, found.packet.src, found.packet.dst) == (5, "probe", *ends)
    assert (found.packet.sport, found.packet.dport) == ((None, None) if proto == "icmp" else (61234, 8080))


@pytest.mark.parametrize(("proto", "family"), CASES)
def test_inside_vxlan_the_outer_headers_are_told(proto: str, family: int) -> None:
    mark = marker(proto, family)
    found = told(mark, ether(vxlan(ether(probe(mark, 2)), vni=77)))
    assert (found.number, found.role) == (2, "probe")
    assert found.packet.outer == Encapsulation("vxlan", NODE1, NODE2, 77, 50123, 8472, 64, MAC_A, MAC_B)


def test_tunnels_within_tunnels_are_told_from_the_inside_out() -> None:
    mark = marker("icmp")
    inner = ether(vxlan(ether(probe(mark)), vni=1))
    found = told(mark, ether(vxlan(inner, vni=2, port=4789, src="10.9.0.1", dst="10.9.0.2")))
    assert found.packet.outer is not None
    assert (found.packet.outer.vni, found.packet.outer.dport) == (1, 8472)
    assert found.packet.outer.outer == Encapsulation("vxlan", "10.9.0.1", "10.9.0.2", 2, 50123, 4789, 64, MAC_A, MAC_B)


def test_a_port_is_a_tunnels_where_the_marker_says_so() -> None:
    frame = ether(vxlan(ether(probe(marker("icmp"))), port=8473))
    assert seen(marker("icmp"), frame) is None
    assert told(marker("icmp", tunnels=(8473,)), frame).packet.outer is not None


def test_a_probe_to_a_tunnels_port_is_a_probe() -> None:
    mark = marker("udp", dport=8472)
    assert told(mark, ether(probe(mark, 1))).packet.outer is None


def geneve(frame: Any) -> Any:
    head = bytes([1, 0, 0x65, 0x58]) + (9).to_bytes(3) + b"\0" + b"\x01\x02\x03\x00"
    return ip(NODE1, NODE2) / kit().UDP(sport=50123, dport=6081) / (head + bytes(frame))


def test_geneve_with_options_gre_and_ipip_are_looked_into() -> None:
    mark = marker("icmp")
    packet = probe(mark)
    gre = kit().GRE
    frames = {
        Encapsulation("geneve", NODE1, NODE2, 9, 50123, 6081): geneve(ether(packet)),
        Encapsulation("ipip", NODE1, NODE2, 0, None, 0): ip(NODE1, NODE2, proto=4) / bytes(packet),
        Encapsulation("gre", NODE1, NODE2, 0, None, 0): ip(NODE1, NODE2, proto=47) / gre(proto=0x800) / bytes(packet),
        Encapsulation("gre", NODE1, NODE2, 5, None, 0): ip(NODE1, NODE2, proto=47)
        / gre(key_present=1, seqnum_present=1, key=5, proto=0x6558)
        / bytes(ether(packet)),
    }
    for outer, frame in frames.items():
        assert told(mark, ether(frame)).packet.outer == replace(outer, src_mac=MAC_A, dst_mac=MAC_B)


def test_a_generic_vxlan_header_says_what_it_carries() -> None:
    mark = marker("icmp")
    udp = kit().UDP(sport=50123, dport=4789)
    for kind, inner in ((1, bytes(probe(mark))), (3, bytes(ether(probe(mark))))):
        head = bytes([0x0C, 0, 0, kind, 0, 0, 4, 0])
        assert told(mark, ether(ip(NODE1, NODE2) / udp / (head + inner))).packet.outer is not None
    unknown = bytes([0x0C, 0, 0, 9, 0, 0, 4, 0]) + bytes(probe(mark))
    assert seen(mark, ether(ip(NODE1, NODE2) / udp / unknown)) is None


@pytest.mark.parametrize("hatype", [65534, 768, 776, 778])
def test_a_device_without_mac_addresses_is_read_from_ip_on(hatype: int) -> None:
    mark = marker("icmp")
    found = told(mark, probe(mark), hatype=hatype)
    assert (found.packet.src_mac, found.packet.src) == (None, POD_A)


def test_loopback_is_read_as_ethernet_and_vlan_tags_are_passed() -> None:
    mark = marker("icmp")
    assert told(mark, ether(probe(mark)), hatype=772).role == "probe"
    plain = bytes(ether(probe(mark)))
    for tags in ("81000064", "88a8000a81000064"):
        assert told(mark, plain[:12] + bytes.fromhex(tags) + plain[12:]).packet.src_mac == MAC_A


def test_an_echo_reply_is_the_answer() -> None:
    for family in (4, 6):
        mark = marker("icmp", family)
        reply = transport(mark, 3)
        reply.type = {4: 0, 6: 129}[family]
        sent = outgoing(mark)
        found = told(mark, ether(ip(sent.dst, sent.src) / reply))
        assert (found.number, found.role, found.packet.icmp_type) == (3, "answer", "echo-reply")


@pytest.mark.parametrize(
    ("flags", "role", "named"),
    [
        ("SA", "answer", "syn-ack"),
        ("RA", "answer", "rst-ack"),
        ("R", "reset", "rst"),
        ("A", None, ""),
        ("FA", None, ""),
    ],
)
def test_what_ends_a_handshake_is_told(flags: str, role: str | None, named: str) -> None:
    mark = marker("tcp")
    after = mark.sequence(3) + 1
    numbers = {"seq": after} if flags == "R" else {"seq": 99, "ack": after}
    found = seen(mark, ether(ip(POD_B, POD_A) / kit().TCP(sport=80, dport=40000, flags=flags, **numbers)))
    assert (found and (found.number, found.role, found.packet.tcp_flags)) == (role and (3, role, named))


def test_the_largest_sequence_number_is_known() -> None:
    mark = marker("tcp", token=b"\xff" * 6)
    last = mark.sequence(MOST - 1)
    found = told(mark, ether(ip(POD_B, POD_A) / kit().TCP(sport=80, dport=40000, flags="SA", ack=last + 1)))
    assert found.number == MOST - 1
    beyond = kit().TCP(sport=40000, dport=80, flags="S", seq=last - (MOST - 1) + MOST)
    assert seen(mark, ether(ip(POD_A, POD_B) / beyond)) is None


def test_udp_is_an_answer_by_its_ports() -> None:
    mark = marker("udp", ports=frozenset({(40000, 80), (80, 40000), (8080, 40000)}))
    echoed = kit().UDP(sport=80, dport=40000) / mark.payload(4, 24)
    other = kit().UDP(sport=8080, dport=40000) / b"what else"
    stranger = kit().UDP(sport=53, dport=40000) / b"what else"
    unmarked = kit().UDP(sport=40000, dport=80) / b"what else"
    found = told(mark, ether(ip(POD_B, POD_A) / echoed))
    assert (found.number, found.role) == (4, "answer")
    assert told(mark, ether(ip(POD_B, POD_A) / other)).role == "answer"
    assert seen(mark, ether(ip(POD_B, POD_A) / stranger)) is None
    assert seen(mark, ether(ip(POD_A, POD_B) / unmarked)) is None
    alike = marker("udp", sport=53, dport=53)
    assert told(alike, ether(probe(alike))).role == "probe"


def test_an_answer_without_payload_is_that_of_the_last_probe_before() -> None:
    mark = marker("udp", ports=frozenset({(40000, 80), (80, 40000)}))
    answer = bytes(ether(ip(POD_B, POD_A) / kit().UDP(sport=80, dport=40000) / b"yes"))
    heard = [
        (Heard(bytes(ether(probe(mark, 0))), 100), TAP, "in"),
        (Heard(bytes(ether(probe(mark, 1))), 200), TAP, "in"),
        (Heard(answer, 250), TAP, "out"),
        (Heard(answer, 150), TAP, "out"),
        (Heard(answer, 50), TAP, "out"),
        (Heard(bytes(ether(probe(mark, 2))), 140), TapRef("node2", "node2", 9, "cni0", 3), "in"),
    ]
    assert [one.number for one in recognise.sightings(mark, heard)] == [0, 1, 1, 0, 0, 2]


def test_answers_without_payload_keep_their_order_where_probes_overtake_them() -> None:
    """Probes that leave at once are answered in turn: each answer another's, at every tap; a copy is the last one's."""
    mark = marker("udp", ports=frozenset({(40000, 80), (80, 40000)}))
    answer = bytes(ether(ip(POD_B, POD_A) / kit().UDP(sport=80, dport=40000) / b"yes"))
    near, far = TAP, TapRef("node2", "node2", 9, "cni0", 3)
    heard = [(Heard(bytes(ether(probe(mark, number))), 10 + number), near, "out") for number in range(3)]
    heard += [(Heard(bytes(ether(probe(mark, number))), 9_020 + number), far, "in") for number in range(3)]
    heard += [(Heard(answer, 9_030 + turn), far, "out") for turn in range(4)]
    heard += [(Heard(answer, 9_950 + turn), near, "in") for turn in range(2)]
    answers = [one.number for one in recognise.sightings(mark, heard) if one.role == "answer"]
    assert answers == [0, 1, 2, 2, 0, 1]


def test_an_answer_without_payload_is_of_no_probe_that_never_came_to_who_answers() -> None:
    mark = marker("udp", ports=frozenset({(40000, 80), (80, 40000)}))
    answer = bytes(ether(ip(POD_B, POD_A) / kit().UDP(sport=80, dport=40000) / b"yes"))
    near, far = TAP, TapRef("node2", "node2", 9, "cni0", 3)
    heard = [(Heard(bytes(ether(probe(mark, number))), 10 + number), near, "out") for number in range(2)]
    heard += [(Heard(bytes(ether(probe(mark, 1))), 20), far, "in"), (Heard(answer, 30), far, "out")]
    heard += [(Heard(answer, 40), near, "in")]
    answers = [one.number for one in recognise.sightings(mark, heard) if one.role == "answer"]
    assert answers == [1, 1]


def fragments(packet: Any, size: int) -> list[Any]:
    """As IP cuts it (RFC 791)."""
    data = bytes(packet.payload)
    return [
        ip(packet.src, packet.dst, id=packet.id, proto=packet.proto, frag=at // 8, flags="MF" * (at + size < len(data)))
        / data[at : at + size]
        for at in range(0, len(data), size)
    ]


def test_fragments_are_the_probes_or_the_answers_as_their_first_one_is() -> None:
    mark = marker("icmp")
    reply = transport(mark, 7, 1000)
    reply.type, reply.chksum = 0, None
    there = fragments(probe(mark, 7, 1000, id=11), 400)
    back = fragments(ip(POD_B, POD_A, id=12) / reply, 400)
    heard = [(Heard(bytes(ether(one))), TAP, "in") for one in (*there, *back)]
    found = recognise.sightings(mark, heard)
    assert [(one.number, one.role, one.fragment) for one in found] == [
        *((7, "probe", later) for later in (False, True, True)),
        *((7, "answer", later) for later in (False, True, True)),
    ]


def test_a_tunnels_fragments_are_known_though_the_word_is_turned() -> None:
    mark = marker("icmp")
    reply = transport(mark, 7, 1000)
    reply.type, reply.chksum = 0, None
    outer = vxlan(ether(ip(POD_B, POD_A) / reply))
    found = recognise.sightings(mark, [(Heard(bytes(ether(one))), TAP, "in") for one in fragments(outer, 400)])
    assert [(one.number, one.role, one.fragment, one.packet.src) for one in found] == [
        (7, "answer", False, POD_B),
        (7, "answer", True, NODE1),
        (7, "answer", True, NODE1),
    ]


def test_ipv6_fragments_are_told_from_their_extension_header() -> None:
    mark = marker("icmp", 6)
    data = bytes(transport(mark, 1, 1000))
    for at, more, later in ((0, 1, False), (504, 0, True)):
        head = bytes([58, 0]) + (at | more).to_bytes(2) + (77).to_bytes(4)
        found = told(mark, ether(ip(outgoing(mark).src, outgoing(mark).dst, nh=44) / (head + data[at : at + 504])))
        assert (found.number, found.fragment, found.packet.proto) == (1, later, "icmp")


def test_what_fills_a_short_frame_is_not_read() -> None:
    mark = marker("udp")
    frame = bytes(ether(ip(POD_A, POD_B) / kit().UDP(sport=1, dport=2)))
    assert seen(mark, frame + mark.payload(0, 18)) is None


@pytest.mark.parametrize("proto", ["icmp", "tcp", "udp"])
@pytest.mark.parametrize("kept", [8, 28, 500])
def test_an_error_is_known_by_what_it_quotes(proto: str, kept: int) -> None:
    mark = marker(proto)
    quoted = bytes(probe(mark, 5))[: 20 + kept]
    error = kit().ICMP(type=3, code=4, nexthopmtu=1450)
    found = told(mark, ether(ip("10.0.0.1", POD_A) / error / quoted))
    assert found.role == "error"
    assert found.error == "fragmentation needed, MTU 1450 (from 10.0.0.1)"
    assert found.packet.icmp_type == "destination-unreachable"
    assert found.number == (0 if proto == "udp" and kept == 8 else 5)


def test_an_error_about_a_tunnels_packet_is_known_by_what_lies_within() -> None:
    mark = marker("tcp")
    error = kit().ICMP(type=11, code=0)
    found = told(mark, ether(ip("10.0.0.1", NODE1) / error / bytes(vxlan(ether(probe(mark, 5))))[:200]))
    assert (found.role, found.number, found.error) == ("error", 5, "time to live exceeded (from 10.0.0.1)")


def test_icmpv6_says_packet_too_big() -> None:
    mark = marker("udp", 6)
    error = bytes([2, 0, 0, 0]) + (1280).to_bytes(4) + bytes(probe(mark, 1))
    found = told(mark, ether(ip("fd00::1", outgoing(mark).src, nh=58) / error))
    assert found.error == "packet too big, MTU 1280 (from fd00::1)"
    assert (found.packet.icmp_type, found.packet.proto) == ("packet-too-big", "icmp")


def test_an_error_about_something_else_is_none() -> None:
    mark = marker("icmp")
    other = replace(mark, token=b"\x09other")
    assert seen(mark, ether(ip("10.0.0.1", POD_A) / kit().ICMP(type=3, code=1) / bytes(probe(other)))) is None


def test_errors_within_errors_are_not_followed() -> None:
    mark = marker("icmp")
    packet = bytes(probe(mark))
    for _ in range(2000):
        if len(packet) > 60000:
            break
        packet = bytes(ip("10.0.0.1", POD_A)) + bytes([3, 1, 0, 0, 0, 0, 0, 0]) + packet
    assert seen(mark, ether(packet)) is None


def test_crafted_bytes_are_recognised_at_every_size() -> None:
    for proto, family in CASES:
        mark = marker(proto, family)
        for size in range(60, 200):
            sent: Datagram = craft.datagrams(mark, packet=outgoing(mark, size), count=1)[0]
            packet: Packet = told(mark, ether(probe(mark, 0, size))).packet
            assert (packet.size, len(sent.data)) == (size, size - (20 if family == 4 else 40))
