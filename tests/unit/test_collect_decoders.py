"""Decoders take whatever bytes come: records, or one typed error, and an end."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netfs.collect import counters, features, listeners, questions
from netfs.collect.addresses import decode_addresses
from netfs.collect.confs import decode_neighbour_tables, decode_netconf, devconf4, devconf6
from netfs.collect.conntrack import ALL, CHOSEN, FEW, MOST, decode_connections, read_connections
from netfs.collect.decode import decode
from netfs.collect.links import decode_links
from netfs.collect.neighbours import decode_bridge_vlans, decode_fdb, decode_neighbours
from netfs.collect.netlink import (
    HEADER,
    NETLINK_GENERIC,
    NETLINK_ROUTE,
    RECEIVE,
    InterruptedDumpError,
    LongDumpError,
    MalformedError,
    Netlink,
    NetlinkError,
    attribute,
    attributes,
    messages,
    refusal,
    said,
)
from netfs.collect.read import DUMPS, FDB, RTM_GETNEIGH, Raw
from netfs.collect.routes import decode_routes
from netfs.collect.rules import decode_rules
from netfs.model.route import Rule

DECODERS: dict[str, Callable[[bytes], object]] = {
    "links": lambda data: decode_links(data, {}),
    "addresses": decode_addresses,
    "routes": decode_routes,
    "rules": decode_rules,
    "neighbours": decode_neighbours,
    "proxies": decode_neighbours,
    "fdb": decode_fdb,
    "bridge_vlans": decode_bridge_vlans,
    "netconf": decode_netconf,
    "neighbour_tables": decode_neighbour_tables,
    "features": lambda data: features.decode_features(data, features.Names(20, ((3, "rx-gro"), (70, "rx-lro")))),
    "feature names": features.decode_names,
    "connections": decode_connections,
    "tcp6": lambda data: listeners.decode_sockets("tcp6", data),
}


def message(kind: int, body: bytes) -> bytes:
    return HEADER.pack(16 + len(body), kind, 2, 1, 0) + body


def tracked(status: int, port: int = 80, timeout: int = 30, proto: bytes = b"\6") -> bytes:
    """A connection of 10.1.0.2 to 10.1.0.1, which 10.2.0.2 answers."""

    def ends(src: bytes, dst: bytes, sport: int, dport: int) -> bytes:
        ip = attribute(1, src) + attribute(2, dst)
        ports = attribute(2, pack(">H", sport)) + attribute(3, pack(">H", dport))
        return attribute(0x8001, ip) + attribute(0x8002, attribute(1, proto) + ports)

    client, service, backend = bytes([10, 1, 0, 2]), bytes([10, 1, 0, 1]), bytes([10, 2, 0, 2])
    body = attribute(0x8001, ends(client, service, 4000, port)) + attribute(0x8002, ends(backend, client, 8080, 4000))
    body += attribute(3, pack(">I", status)) + attribute(7, pack(">I", timeout)) + attribute(8, pack(">I", 0x4000))
    return message(1 << 8, bytes([2, 0, 0, 0]) + body)


def real_dumps() -> dict[str, bytes]:
    """What the kernel says of the namespace the tests run in."""
    found: dict[str, bytes] = {}
    buffer = bytearray(RECEIVE)
    with Netlink(NETLINK_ROUTE, buffer) as route:
        for what, kind, body in (*DUMPS, ("fdb", RTM_GETNEIGH, FDB), ("neighbour_tables", 66, bytes(4))):
            found[what] = route.dump(kind, body)
    names = features.ask_names(buffer)
    assert names is not None
    with Netlink(NETLINK_GENERIC, buffer) as generic:
        found["features"] = generic.dump(names.family, features.request())
    with Netlink(4, buffer) as diag, socket.create_server(("127.0.0.1", 0)):
        found["tcp6"] = diag.dump(questions.SOCK_DIAG_BY_FAMILY, questions.QUESTIONS[0][1])
    return found


REAL = real_dumps() | {"connections": tracked(0x1AE) + tracked(0x188, 443)}


@pytest.mark.parametrize("what", REAL)
def test_the_kernels_own_answers_decode(what: str) -> None:
    DECODERS[what](REAL[what])
    assert decode_links(REAL["links"], {})[0].name == "lo"


@settings(max_examples=150, deadline=None)
@given(what=st.sampled_from(sorted(DECODERS)), data=st.binary(max_size=400))
def test_random_bytes_are_malformed_or_empty(what: str, data: bytes) -> None:
    with suppress(MalformedError):
        DECODERS[what](data)


@settings(max_examples=300, deadline=None)
@given(
    what=st.sampled_from(sorted(REAL)),
    cut=st.integers(0, 20000),
    edits=st.lists(st.tuples(st.integers(0, 20000), st.integers(0, 255)), max_size=12),
)
def test_truncated_and_mutated_answers_raise_the_typed_error_alone(
    what: str, cut: int, edits: list[tuple[int, int]]
) -> None:
    data = bytearray(REAL[what])
    for at, value in edits:
        if data:
            data[at % len(data)] = value
    if cut % 3 == 0 and data:
        del data[cut % len(data) :]
    with suppress(MalformedError):
        DECODERS[what](bytes(data))


@settings(max_examples=60, deadline=None)
@given(
    data=st.dictionaries(st.sampled_from(sorted({*DECODERS, "tcp4", "udp4"})), st.binary(max_size=200)),
    text=st.binary(max_size=300),
)
def test_a_namespace_of_garbage_becomes_gaps(data: dict[str, bytes], text: bytes) -> None:
    files = {"snmp": text, "netstat": text, "snmp6": text, "udp6": text}
    raw = Raw(id=7, dumps=data, files=files, sysctls={}, firewall={}, gaps=[])
    netns, _ = decode(raw, features.Names(20, ()))
    assert netns.id == 7


@pytest.mark.parametrize("attribute_bytes", [b"\x03\0\1\0", b"\x09\0\1\0abcd", b"\0\0\0\0"])
def test_attributes_that_lie_about_their_length_are_malformed(attribute_bytes: bytes) -> None:
    with pytest.raises(MalformedError):
        attributes(attribute_bytes, 0, len(attribute_bytes))


def test_a_message_longer_than_the_answer_is_malformed() -> None:
    with pytest.raises(MalformedError):
        list(messages(HEADER.pack(4096, 24, 2, 1, 0)))


def test_a_failure_is_said_without_its_number() -> None:
    assert said(PermissionError(1, "Operation not permitted")) == "Operation not permitted"
    assert said(MalformedError("a message of 3 bytes")) == "a message of 3 bytes"


def test_a_refusal_carries_the_kernels_words() -> None:
    body = pack("=i", -22) + HEADER.pack(16, 26, 1, 1, 0) + attribute(1, b"ipv4: not so\0")
    with pytest.raises(NetlinkError, match="not so") as refused:
        refusal(HEADER.pack(16 + len(body), 2, 0x200 | 0x100, 1, 0) + body, 2, 0x300)
    assert refused.value.errno == 22


class Answers:
    """A socket that has its answers ready."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.asked = 0

    def send(self, _: bytes) -> None:
        self.asked += 1

    def recv_into(self, buffer: bytearray, *_: int) -> int:
        answer = self.answers.pop(0)
        buffer[: len(answer)] = answer
        return len(answer)


def netlink_of(answers: Answers) -> Netlink:
    netlink = Netlink(NETLINK_ROUTE, bytearray(4096))
    netlink._socket.close()
    netlink._socket = answers  # type: ignore[assignment]
    return netlink


def dump(interrupted: bool) -> bytes:
    flags = 0x12 if interrupted else 0x2
    return HEADER.pack(20, 24, flags, 1, 0) + b"abcd" + HEADER.pack(20, 3, 2, 1, 0) + bytes(4)


def test_an_interrupted_dump_is_taken_again() -> None:
    answers = Answers(dump(True), dump(False))
    assert netlink_of(answers).dump(26, b"") == dump(False)
    assert answers.asked == 2


def test_a_dump_that_is_interrupted_every_time_says_so_and_hands_on_the_last() -> None:
    answers = Answers(*[dump(True)] * 5)
    with pytest.raises(InterruptedDumpError) as interrupted:
        netlink_of(answers).dump(26, b"")
    assert interrupted.value.data == dump(True)


def test_a_dump_in_several_parts_is_joined() -> None:
    part = HEADER.pack(20, 24, 2, 1, 0) + b"abcd"
    assert netlink_of(Answers(part, dump(False))).dump(26, b"") == part + dump(False)


def test_a_dump_longer_than_wanted_ends_with_what_was_wanted() -> None:
    part = HEADER.pack(20, 24, 2, 1, 0) + b"abcd"
    with pytest.raises(LongDumpError) as long:
        netlink_of(Answers(part + part, part, dump(False))).dump(26, b"", 2)
    assert long.value.data == part + part
    assert netlink_of(Answers(part, dump(False))).dump(26, b"", 2) == part + dump(False)


def test_connections_that_translate_are_kept_once() -> None:
    confirmed, snat, dnat = 0x8, 0x10, 0x20
    data = tracked(confirmed, 1) + tracked(confirmed | dnat, 2) + tracked(confirmed | snat, 3)
    found = decode_connections(data + tracked(confirmed | dnat, 2, timeout=29))
    assert [(each.dport, each.status, each.timeout) for each in found] == [
        (2, ("confirmed", "dnat"), 30),
        (3, ("confirmed", "snat"), 30),
    ]
    assert (found[0].reply_src, found[0].reply_sport, found[0].mark) == ("10.2.0.2", 8080, 0x4000)


def test_of_those_that_do_not_translate_udp_that_nobody_answered_is_kept() -> None:
    confirmed, answered, udp = 0x8, 0x2, b"\x11"
    found = decode_connections(
        tracked(confirmed, 1) + tracked(confirmed, 2, proto=udp) + tracked(confirmed | answered, 3, proto=udp)
    )
    assert [(each.proto, each.dport, each.status) for each in found] == [("udp", 2, ("confirmed",))]


def test_a_kernel_that_does_not_choose_is_asked_once() -> None:
    class Old:
        def dump(self, _: int, body: bytes, most: int) -> bytes:
            assert body == CHOSEN[0]
            return tracked(0x10) + tracked(0x8)

    assert read_connections(Old(), FEW + 1, []) == tracked(0x10) + tracked(0x8)  # type: ignore[arg-type]


class Table:
    """A kernel with so many connections that decide: each question's, as it answers them."""

    def __init__(self, *sizes: int) -> None:
        self.sizes = list(sizes)

    def dump(self, _: int, body: bytes, most: int) -> bytes:
        assert body in CHOSEN
        size = self.sizes.pop(0)
        if size > most:
            raise LongDumpError(tracked(0x10) * most)
        return tracked(0x10) * size


@pytest.mark.parametrize(
    ("sizes", "kept"),
    [((2, 3, 4), 9), ((MOST, 0, 0), MOST), ((MOST - 2, 2, 1), MOST), ((MOST - 2, 3), MOST), ((MOST + 1,), MOST)],
)
def test_no_more_connections_are_read_than_is_bearable(sizes: tuple[int, ...], kept: int) -> None:
    gaps: list[tuple[str, str]] = []
    data = read_connections(Table(*sizes), FEW + 1, gaps)  # type: ignore[arg-type]
    assert len(data) == kept * len(tracked(0x10))
    assert [what for what, _ in gaps] == (["connections"] if sum(sizes) > MOST else [])


@pytest.mark.parametrize(("count", "asked"), [(1, ALL), (FEW, ALL), (FEW + 1, CHOSEN)])
def test_few_connections_are_asked_for_at_once(count: int, asked: tuple[bytes, ...]) -> None:
    questions: list[bytes] = []

    class Listening:
        def dump(self, _: int, body: bytes, most: int) -> bytes:
            questions.append(body)
            return b""

    read_connections(Listening(), count, [])  # type: ignore[arg-type]
    assert tuple(questions) == asked


def test_a_refused_question_for_connections_is_a_gap() -> None:
    class Refusing:
        def dump(self, *_: object) -> bytes:
            raise PermissionError(1, "Operation not permitted")

    gaps: list[tuple[str, str]] = []
    assert read_connections(Refusing(), 1, gaps) == b""  # type: ignore[arg-type]
    assert gaps == [("connections", "Operation not permitted")]


def test_a_rule_with_a_match_netfs_does_not_know_says_which() -> None:
    body = pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, 254, 0, 0, 1, 0)
    body += attribute(6, pack("=I", 90)) + attribute(25, b"\x2e") + attribute(28, b"\xff\xff") + attribute(99, b"x")
    (rule,) = decode_rules(message(32, body))
    assert rule == Rule(4, 90, table=254, unknown=("dscp", "attribute-99"))


def test_a_next_hop_of_the_other_family_is_a_gateway() -> None:
    via = pack("=H", socket.AF_INET6) + socket.inet_pton(socket.AF_INET6, "fe80::1")
    body = pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, 254, 3, 0, 1, 4)
    body += attribute(4, pack("=I", 3)) + attribute(18, via)
    (route,) = decode_routes(message(24, body))
    assert (route.dst, route.nexthops[0].gateway, route.nexthops[0].flags) == ("0.0.0.0/0", "fe80::1", 4)


def test_vlan_ranges_are_unrolled() -> None:
    spec = (
        attribute(2, pack("=HH", 8 | 4, 10)) + attribute(2, pack("=HH", 16 | 4, 12)) + attribute(2, pack("=HH", 2, 1))
    )
    body = pack("=BxHiII", 7, 1, 5, 0, 0) + attribute(26, spec)
    vlans = decode_bridge_vlans(message(16, body))
    assert [(vlan.vid, vlan.untagged, vlan.pvid) for vlan in vlans] == [
        (10, True, False),
        (11, True, False),
        (12, True, False),
        (1, False, True),
    ]


def test_device_settings_of_an_older_kernel_are_shorter() -> None:
    assert devconf4(pack("=2i", 1, 0)) == {"forwarding": 1, "mc_forwarding": 0}
    assert devconf6(pack("=i", 1)) == {"forwarding": 1}


def test_listeners_are_read_from_the_text_tables_as_well() -> None:
    table = (
        b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        b"   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0\n"
        b"   1: 0100007F:1F90 0100007F:8000 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0\n"
    )
    (listener,) = listeners.decode_table("tcp4", table)
    assert (listener.proto, listener.address, listener.port, listener.inode) == ("tcp", "127.0.0.1", 8080, 4711)


def test_counters_that_stand_at_zero_are_left_out() -> None:
    assert counters.decode_pairs(b"Ip: InReceives InHdrErrors\nIp: 12 0\n") == {"Ip.InReceives": 12}
    assert counters.decode_snmp6(b"Ip6InReceives 5\nIcmp6InMsgs 0\nUdp6InErrors 2\n") == {
        "Ip6.InReceives": 5,
        "Udp6.InErrors": 2,
    }
    assert counters.decode_softnet(b"0000000a 00000001 00000002\n00000001 00000000 00000000\n") == {
        "softnet.processed": 11,
        "softnet.dropped": 1,
        "softnet.time_squeeze": 2,
    }


def test_names_that_are_not_utf8_stay_readable() -> None:
    body = pack("=BxHiII", 0, 1, 5, 0, 0) + attribute(3, b"eth\xff\x1b[2J\0")
    (link,) = decode_links(message(16, body), {})
    assert link.name == "eth\\xff\x1b[2J"
    os.fsencode(link.name)


@settings(max_examples=200, deadline=None)
@given(
    values=st.lists(st.tuples(st.integers(0, 60), st.binary(max_size=9)), max_size=8),
    others=st.lists(st.tuples(st.integers(0, 60), st.binary(max_size=9)), max_size=8),
)
def test_remembered_places_give_what_a_walk_gives(
    values: list[tuple[int, bytes]], others: list[tuple[int, bytes]]
) -> None:
    for each in (values, others, values):
        data = b"".join(attribute(kind, value) for kind, value in each)
        assert attributes(data, 0, len(data)) == dict(each)


def test_device_settings_that_choose_ipv6_source_addresses_are_kept() -> None:
    values = devconf6(pack("=40i", *range(40)))
    assert (values["use_tempaddr"], values["use_oif_addrs_only"]) == (10, 37)
