"""The kernel's events tied to a probe: pages to events, events to sightings, drops to words."""

from __future__ import annotations

import json
import random
import struct
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfs.capture.compare import heard as hearing
from netfs.capture.compare.kernel import lost, tie
from netfs.capture.station import events as station
from netfs.capture.station import ring
from netfs.capture.station.symbols import Symbols
from netfs.model.live import KernelWord, Sighting, TapRef
from netfs.model.packet import Packet

US = 1_000
"""Nanoseconds."""
PID = 77
THERE = Packet("10.0.0.1", "10.0.0.2", "udp", 5353, 53)
BACK = Packet("10.0.0.2", "10.0.0.1", "udp", 53, 5353)


def tap(name: str) -> TapRef:
    netns, device = name.split("/")
    return TapRef("node1", netns, sum(netns.encode()), device, 2)


def sight(at: int, name: str, way: str, role: str = "probe", number: int = 0, length: int = 98) -> Sighting:
    packet = BACK if role in ("answer", "error") else THERE
    return Sighting(tap(name), way, at * US, number, role, packet, length)


Row = tuple[int, str, int, int, bool, str, int, str]


def passes(at: float, packet: int, way: str, device: str, length: int = 98) -> Row:
    """``length`` is a tap's."""
    return int(at * US), way, packet, 1, False, device, length - 14 if way == "in" else length, ""


def drops(at: float, packet: int, reason: str, function: str, *, pid: int = 1, called: bool = False) -> Row:
    return int(at * US), "free", packet, pid, called, function, 0x800, reason


def told(
    rows: list[Row], sightings: list[Sighting], marks: tuple[tuple[int, int, int], ...] = (), whole: bool = True
) -> list[tuple[str | None, str, str, int | None, str | None]]:
    """What ``tie`` says: device, reason, function, number, role."""
    ranges = [(0, 1 << 62)] if whole else []
    data = json.dumps({"lost": 0, "marks": [(at * US, *rest) for at, *rest in marks], "whole": ranges, "events": rows})
    words = tie(data.encode(), sightings, [one.tap for one in sightings], 4)
    return [(word.tap.name if word.tap else None, word.reason, word.location, word.number, word.role) for word in words]


WAY = [sight(10, "a/eth0", "out"), sight(11, "r/va", "in"), sight(20, "r/vb", "out"), sight(21, "b/eth0", "in")]
PASSED = [
    passes(10.5, 1, "out", "eth0"),
    passes(12, 1, "in", "va"),
    passes(20.5, 1, "out", "vb"),
    passes(22, 1, "in", "eth0"),
]


def test_a_drop_is_told_at_the_device_where_the_packet_was_last() -> None:
    assert told([*PASSED, drops(25, 1, "NO_SOCKET", "__udp4_lib_rcv")], WAY) == [
        ("node1/b/eth0", "NO_SOCKET", "__udp4_lib_rcv", 0, "probe")
    ]
    assert told([*PASSED[:2], drops(15, 1, "NETFILTER_DROP", "nft_do_chain")], WAY[:2]) == [
        ("node1/r/va", "NETFILTER_DROP", "nft_do_chain", 0, "probe")
    ]


def test_others_that_are_dropped_at_the_same_device_are_not_told() -> None:
    others = [passes(8, 2, "in", "va"), drops(9, 2, "X", "f"), passes(13, 3, "in", "va"), drops(14, 3, "Y", "g")]
    assert told([*PASSED, *others], WAY) == []


def test_of_packets_alike_it_is_the_one_that_is_known_already() -> None:
    """Another packet is in the backlog before it: the first event after the sighting is that one's."""
    before = [passes(11.5, 2, "in", "va"), drops(11.7, 2, "OTHERS", "f")]
    assert told([*before, *PASSED[:2], drops(15, 1, "OURS", "g")], WAY[:2]) == [("node1/r/va", "OURS", "g", 0, "probe")]


def test_what_the_sender_itself_hands_to_a_device_is_the_probe() -> None:
    """The taps copy it first, and meanwhile another processor sends a packet alike."""
    other = [passes(10.5, 2, "out", "eth0"), passes(11.5, 2, "in", "va"), drops(11.8, 2, "OTHERS", "f")]
    sent = (14 * US, "out", 1, PID, True, "eth0", 98, "")
    rows = [*other, sent, passes(15, 1, "in", "va"), drops(16, 1, "OURS", "g")]
    assert told(rows, WAY[:2], ((9, PID, 0),)) == [("node1/r/va", "OURS", "g", 0, "probe")]


def test_an_address_that_is_used_again_is_another_packet() -> None:
    again = [passes(400, 1, "out", "vb"), drops(401, 1, "X", "f")]
    assert told([*PASSED, *again], WAY) == []


@pytest.mark.parametrize(
    ("at", "reason", "function", "expected"),
    [
        (30_000, "NETFILTER_DROP", "nf_hook_slow", 0),
        (3_000_000, "NEIGH_FAILED", "neigh_invalidate", 1),
        (3_000_000, "NOT_SPECIFIED", "arp_error_report", 1),
        (30_000_000, "FRAG_REASM_TIMEOUT", "ip_expire", 1),
    ],
)
def test_long_after_only_what_waits_is_the_same_packet(at: int, reason: str, function: str, expected: int) -> None:
    assert len(told([*PASSED, drops(at, 1, reason, function)], WAY)) == expected


def test_a_drop_of_another_protocol_is_of_an_address_used_again() -> None:
    row = (25 * US, "free", 1, 1, False, "ip6_mc_input", 0x86DD, "NOT_SPECIFIED")
    assert told([*PASSED, row], WAY) == []


def test_where_events_were_left_out_a_first_one_that_fits_proves_nothing() -> None:
    assert told([*PASSED, drops(25, 1, "NO_SOCKET", "udp_rcv")], WAY, whole=False) == []


def test_a_packet_that_went_on_as_a_copy_was_not_dropped() -> None:
    """Its address is another's within microseconds."""
    rows = [*PASSED[:2], passes(20.5, 2, "out", "vb"), drops(24, 1, "OTHERHOST", "ip6_rcv_core")]
    assert told(rows, WAY[:3]) == []


def test_a_timestamp_may_be_made_right_behind_the_event() -> None:
    rows = [passes(9.9, 1, "out", "eth0"), passes(10.2, 1, "in", "va"), drops(15, 1, "X", "f")]
    assert told(rows, WAY[:2]) == [("node1/r/va", "X", "f", 0, "probe")]


def test_a_device_without_events_of_its_own_is_where_a_tap_saw_it_last() -> None:
    seen = [*WAY[:2], sight(11, "r/va.5", "in")]
    assert told([*PASSED[:2], drops(14, 1, "OTHERHOST", "ip_rcv_core")], seen) == [
        ("node1/r/va.5", "OTHERHOST", "ip_rcv_core", 0, "probe")
    ]


def test_a_device_that_nobody_listens_at_is_no_place() -> None:
    rows = [*PASSED[:2], passes(13, 1, "in", "wg0"), drops(14, 1, "X", "f")]
    assert told(rows, WAY[:2]) == [(None, "X", "f", 0, "probe")]


FLOOD = [sight(30, "r/vb", "out"), sight(31, "b/eth0", "in"), sight(32, "r/vc", "out"), sight(33, "c/eth0", "in")]
COPIES = [
    passes(30.5, 2, "out", "vb"),
    passes(32.5, 3, "out", "vc"),
    passes(40, 2, "in", "eth0"),
    passes(41, 3, "in", "eth0"),
]


def test_a_copy_for_somebody_else_is_no_loss_where_one_took_it() -> None:
    rows = [*PASSED[:2], *COPIES, drops(42, 3, "OTHERHOST", "ip_rcv_core")]
    assert told(rows, [*WAY[:2], *FLOOD]) == []


def test_copies_that_nobody_takes_are_told_each_at_its_place() -> None:
    rows = [*PASSED[:2], *COPIES, drops(40.5, 2, "OTHERHOST", "ip_rcv_core"), drops(42, 3, "OTHERHOST", "ip_rcv_core")]
    assert [word[0] for word in told(rows, [*WAY[:2], *FLOOD])] == ["node1/b/eth0", "node1/c/eth0"]


def test_what_was_answered_was_not_lost() -> None:
    home = [sight(50, "a/eth0", "in", "answer")]
    rows = [*PASSED, drops(25, 1, "X", "f"), passes(51, 4, "in", "eth0"), drops(52, 4, "NO_SOCKET", "tcp_v4_rcv")]
    assert told(rows, [*WAY, *home]) == []


def test_an_answer_from_an_address_that_was_not_asked_is_refused() -> None:
    stranger = Sighting(tap("a/eth0"), "in", 50 * US, 0, "answer", Packet("10.9.9.9", "10.0.0.1", "tcp", 53, 5353), 98)
    rows = [*PASSED, passes(51, 4, "in", "eth0"), drops(52, 4, "NO_SOCKET", "tcp_v4_rcv")]
    assert told(rows, [*WAY, stranger]) == [("node1/a/eth0", "NO_SOCKET", "tcp_v4_rcv", 0, "answer")]


def test_a_reset_ends_the_handshake() -> None:
    rows = [passes(51, 4, "in", "eth0"), drops(52, 4, "TCP_RESET", "tcp_v4_rcv")]
    assert told(rows, [sight(50, "b/eth0", "in", "reset")]) == []


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (drops(12, 9, "NETFILTER_DROP", "nft_do_chain", pid=PID, called=True), 1),
        (drops(12, 9, "NETFILTER_DROP", "nft_do_chain", pid=PID, called=False), 0),
        (drops(12, 9, "NETFILTER_DROP", "nft_do_chain", pid=PID + 1, called=True), 0),
        (drops(12, 9, "NEIGH_QUEUEFULL", "__neigh_event_send", pid=PID, called=True), 0),
        (drops(9_000, 9, "NETFILTER_DROP", "nft_do_chain", pid=PID, called=True), 0),
    ],
)
def test_what_no_tap_saw_is_known_by_who_dropped_it(row: Row, expected: int) -> None:
    words = told([row], [], ((10, PID, 0),))
    assert words == [(None, row[7], row[5], 0, "probe")] * expected


def test_what_waited_for_a_neighbour_is_told_while_nobody_else_can_be_meant() -> None:
    mine, other = drops(3_000_000, 9, "NEIGH_FAILED", "neigh_invalidate"), drops(3_000_001, 8, "NEIGH_FAILED", "n")
    assert told([mine], [], ((10, PID, 0),)) == [(None, "NEIGH_FAILED", "neigh_invalidate", None, None)]
    assert told([mine, other], [], ((10, PID, 0),)) == []
    report = sight(2_999_990, "a/lo", "out", "error")
    assert told([mine, other], [report], ((10, PID, 0),)) == [(None, "NEIGH_FAILED", "neigh_invalidate", 0, "probe")]


def test_a_probe_that_was_seen_was_not_dropped_before() -> None:
    row = drops(12, 9, "NETFILTER_DROP", "nft_do_chain", pid=PID, called=True)
    assert told([*PASSED, row], WAY, ((9, PID, 0),)) == []


ROWS = json.dumps({"lost": 3, "marks": [(9, PID, 0)], "whole": [(0, 1 << 62)], "events": [*PASSED]}).encode()


@given(st.binary(max_size=200))
def test_any_bytes_are_read(data: bytes) -> None:
    assert hearing.read(data) == hearing.Heard()
    assert tie(data, WAY, []) == ()
    assert lost(data) == 0


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists))
def test_any_document_is_read(value: object) -> None:
    for name in ("lost", "marks", "whole", "events"):
        hearing.read(json.dumps({name: value}).encode())


def test_damaged_documents_are_read() -> None:
    chance = random.Random(4)
    for _ in range(3000):
        data = bytearray(ROWS)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(data))
            data[at : at + chance.randint(0, 3)] = bytes(
                chance.choices(b'0123456789[]{}",-truefals', k=chance.randint(0, 3))
            )
        tie(bytes(data), WAY, [one.tap for one in WAY], 4)


def test_a_machine_full_of_drops_is_read_in_time() -> None:
    """All of one address: every look into its life must stay short."""
    rows = [drops(number, 1, "OTHERHOST", "ip_rcv_core") for number in range(50_000)]
    assert told(rows, [], tuple((10 * number, PID, number) for number in range(100))) == []


def test_a_flood_of_answers_is_tied_in_time() -> None:
    """All are of one probe: what was seen of it before must not be gone through for each."""
    rows: list[Row] = []
    seen = [sight(0, "a/eth0", "out")]
    for number in range(12_000):
        at = 100 + 10 * number
        rows += [passes(at + 0.5, number, "out", "vb"), passes(at + 1.5, number, "in", "eth0")]
        rows.append(drops(at + 3, number, "X", "f"))
        seen += [sight(at, "r/vb", "out", "answer"), sight(at + 1, "b/eth0", "in", "answer")]
    assert told(rows, seen) == [("node1/b/eth0", "X", "f", 0, "answer")] * 12_000


# ------------------------------------------------------------------------------- pages of the kernel's buffer

HEADER = """\
	field: u64 timestamp;	offset:0;	size:8;	signed:0;
	field: local_t commit;	offset:8;	size:8;	signed:1;
	field: int overwrite;	offset:8;	size:1;	signed:1;
	field: char data;	offset:16;	size:4080;	signed:0;
"""
COMMON = """\
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;
"""
FREED = f"""\
name: kfree_skb
ID: 11
format:
{COMMON}
	field:void * skbaddr;	offset:8;	size:8;	signed:0;
	field:void * location;	offset:16;	size:8;	signed:0;
	field:unsigned short protocol;	offset:24;	size:2;	signed:0;
	field:enum skb_drop_reason reason;	offset:28;	size:4;	signed:0;

print fmt: "…", __print_symbolic(REC->reason, {{ 2, "NOT_SPECIFIED" }}, {{ 0x3, "NO_SOCKET" }})
"""
RECEIVED = f"""\
name: netif_receive_skb
ID: 12
format:
{COMMON}
	field:void * skbaddr;	offset:8;	size:8;	signed:0;
	field:unsigned int len;	offset:16;	size:4;	signed:0;
	field:__data_loc char[] name;	offset:20;	size:4;	signed:0;
"""
STARTED = f"""\
name: net_dev_start_xmit
ID: 13
format:
{COMMON}
	field:__data_loc char[] name;	offset:8;	size:4;	signed:0;
	field:const void * skbaddr;	offset:16;	size:8;	signed:0;
	field:unsigned int len;	offset:36;	size:4;	signed:0;
"""
PRINTED = f"""\
name: print
ID: 5
format:
{COMMON}
	field:unsigned long ip;	offset:8;	size:8;	signed:0;
	field:char buf[];	offset:16;	size:0;	signed:0;
"""
LAYOUT = ring.read_layout(HEADER)
FORMATS = {
    station.FREE: ring.read_format(FREED),
    station.IN: ring.read_format(RECEIVED),
    station.OUT: ring.read_format(STARTED),
    station.PRINT: ring.read_format(PRINTED),
}


def head(kind: int, delta: int) -> bytes:
    little = struct.pack("=H", 1)[0]
    return struct.pack("=I", kind | delta << 5 if little else kind << 27 | delta)


def record(delta: int, payload: bytes) -> bytes:
    padded = payload + bytes(-len(payload) % 4)
    if len(padded) <= 112:
        return head(len(padded) // 4, delta) + padded
    return head(0, delta) + struct.pack("=I", len(padded) + 4) + padded


def page(begin: int, *parts: bytes, missed: int = 0) -> bytes:
    data = b"".join(parts)
    return struct.pack("=QQ", begin, len(data) | missed) + data


def received(packet: int, length: int, name: bytes) -> bytes:
    return struct.pack("=HBBiQII", 12, 0x10, 0, 5, packet, length, len(name) + 1 << 16 | 24) + name + b"\0"


def test_a_page_is_walked_over_times_gaps_and_long_records() -> None:
    long = bytes(200)
    data = page(
        1000,
        record(1, b"abcd"),
        head(30, 5) + struct.pack("=I", 2),
        record(1, b"efgh"),
        head(29, 1) + struct.pack("=I", 8) + bytes(4),
        record(1, long),
        head(31, 7) + struct.pack("=I", 3),
        record(0, b"ijkl"),
        head(29, 0),
        b"rest",
        missed=1 << 31,
    )
    found = [(at, data[offset : offset + length]) for at, offset, length in ring.records(data, LAYOUT)]
    later = 1001 + (2 << 27) + 5 + 1
    assert found == [(1001, b"abcd"), (later, b"efgh"), (later + 1, long), ((3 << 27) + 7, b"ijkl")]


def test_events_are_read_by_the_formats_of_the_kernel_that_made_them() -> None:
    sent = struct.pack("=HBBiII", 13, 0, 0, 5, 5 << 16 | 40, 0) + struct.pack("=Q12xI", 0xAA, 98) + b"eth0\0"
    freed = struct.pack("=HBBiQQHHI", 11, 0x10, 0, 5, 0xAA, 0xFF01, 0x800, 0, 3)
    mark = struct.pack("=HBBiQ", 5, 0, 0, 9, 0) + b"12\n\0"
    data = page(0, record(1, mark), record(1, sent), record(1, received(0xAA, 84, b"c\xffni0")), record(1, freed))
    marks, events = station.decoded([data], LAYOUT, FORMATS)
    assert marks == [station.Mark(1, 9, 12)]
    assert events == [
        station.Event(2, "out", 0xAA, 5, True, "eth0", 98),
        station.Event(3, "in", 0xAA, 5, False, "c\\xffni0", 84),
        station.Event(4, "free", 0xAA, 5, False, "", 0x800, "NO_SOCKET", 0xFF01),
    ]


def test_before_linux_5_17_there_is_no_reason() -> None:
    older = FREED[: FREED.index("\tfield:enum")] + '\nprint fmt: "…"\n'
    freed = struct.pack("=HBBiQQHH4x", 11, 0, 0, 5, 0xAA, 0xFF01, 0x800, 0)
    _, events = station.decoded([page(0, record(1, freed))], LAYOUT, {**FORMATS, station.FREE: ring.read_format(older)})
    assert [event.reason for event in events] == ["NOT_SPECIFIED"]


def test_a_reason_without_a_name_is_its_number() -> None:
    freed = struct.pack("=HBBiQQHHI", 11, 0, 0, 5, 0xAA, 0xFF01, 0x800, 0, 0x20003)
    _, events = station.decoded([page(0, record(1, freed))], LAYOUT, FORMATS)
    assert [event.reason for event in events] == ["131075"]


@pytest.mark.parametrize("text", ["", "ID: 7\n", RECEIVED.replace("len;", "size;")])
def test_a_form_that_is_not_known_is_said(text: str) -> None:
    with pytest.raises(ValueError, match=r"no (ID|field)"):
        station.decoded([], LAYOUT, {**FORMATS, station.IN: ring.read_format(text)})


@given(st.binary(max_size=300))
def test_any_page_is_walked(data: bytes) -> None:
    for _, offset, length in ring.records(data, LAYOUT):
        assert LAYOUT.data <= offset <= offset + length <= len(data)
    station.decoded([data], LAYOUT, FORMATS)


def test_damaged_pages_are_read() -> None:
    chance = random.Random(4)
    whole = page(7, *(record(3, received(number, 84, b"eth%d" % number)) for number in range(40)))
    for _ in range(2000):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        station.decoded([bytes(data[: chance.randint(0, len(data))])], LAYOUT, FORMATS)


def test_what_is_carried_is_what_a_drop_can_be_tied_by() -> None:
    noise = [station.Event(at, "free", 5, 1, False, "", 0x800, "OTHERHOST", 1) for at in range(9)]
    seen = [station.Event(20, "in", 7, 1, False, "eth0", 84), station.Event(21, "free", 7, 1, False, "", 0x800, "X", 2)]
    kept = station.worth([station.Mark(0, PID, 0)], [*noise, *seen])
    assert kept == seen
    many = [station.Event(at, "in", 9, 1, False, "eth0", 84) for at in range(100, 100_000)]
    again = [station.Event(10**6 + at, "free", 7, 1, False, "", 0x800, "X", 2) for at in range(1000)]
    carried, whole = station.told([], [*seen, *many, *again])
    assert len(carried) < 10_000
    assert carried[-1].at == 10**6 + 63
    assert whole == [(0, carried[-65].at + 1)]


def functions(addresses: list[int], file: Path) -> dict[int, str]:
    found = Symbols(str(file))
    found.begin()
    return found.functions(addresses)


def test_an_address_lies_in_the_function_before_it(tmp_path: Path) -> None:
    file = tmp_path / "kallsyms"
    file.write_text(
        "0000000000000000 A fixed_percpu_data\n"
        "ffffffff81000000 T first\nffffffff81000000 T alias\nffffffff81000100 t ip_rcv_core.isra.0\n"
        "ffffffffc0000000 t vxlan_rcv\t[vxlan]\nffffffff81000200 D data\n"
    )
    asked = [0xFFFFFFFF81000010, 0xFFFFFFFF81000123, 0xFFFFFFFFC0000042, 0x10]
    assert functions(asked, file) == dict(zip(asked, ["first", "ip_rcv_core", "vxlan_rcv"], strict=False))


@pytest.mark.parametrize(
    "text", ["", "\n", "0000000000000000 T hidden\n0000000000000000 T too\n", "x\n", "\0\xff\n \n"]
)
def test_where_addresses_are_hidden_no_function_is_known(text: str, tmp_path: Path) -> None:
    file = tmp_path / "kallsyms"
    file.write_text(text)
    assert functions([0xFFFFFFFF81000010], file) == {}
    assert functions([1], tmp_path / "none") == {}


@given(st.binary(max_size=200), st.integers(0, 1 << 64))
def test_any_symbols_are_read(text: bytes, address: int) -> None:
    found = Symbols()
    found._text = text
    found._reader = threading.Thread()
    found._reader.start()
    found.functions([address, 0])


def test_a_word_is_a_record_of_the_model() -> None:
    data = json.dumps({"lost": 0, "marks": [], "whole": [(0, 1 << 62)], "events": [*PASSED, drops(25, 1, "X", "f")]})
    assert tie(data.encode(), WAY, [], 4) == (KernelWord(tap("b/eth0"), "X", "f", 25 * US, 0, "probe"),)


def test_of_a_probe_that_waits_for_its_neighbour_the_question_that_is_lost_is_not_its_drop() -> None:
    """``neigh_resolve_output`` asks at once, in the sender's own call; the device has no carrier, and a solicitation
    is IPv6 as well.
    """
    asked = (10 * US, "free", 5, PID, True, "__dev_queue_xmit", 0x800, "QDISC_DROP")
    given_up = drops(3_000_030, 1, "NOT_SPECIFIED", "neigh_invalidate")
    error = sight(3_000_010, "a/lo", "out", "error", length=126)
    marks = ((9, PID, 0),)
    assert told([asked, given_up], [error], marks) == [(None, "NOT_SPECIFIED", "neigh_invalidate", 0, "probe")]
    assert told([asked], [], marks) == [(None, "QDISC_DROP", "__dev_queue_xmit", 0, "probe")]


def test_a_packet_that_was_copied_for_room_is_known_by_the_error_about_it() -> None:
    """``skb_expand_head`` copies what a tunnel needs more room for; ``neigh_invalidate`` reports, then drops."""
    errors = [sight(45_000 + 10 * n, "r/va", "out", "error", n, 126) for n in range(2)]
    ways = [
        sight(one.at_ns // US + 1000 * n, f"{one.tap.netns}/{one.tap.device}", one.way, number=n)
        for n in range(2)
        for one in WAY[:2]
    ]
    rows = [
        *PASSED[:2],
        *(passes(at + 1000, 2, way, name) for at, way, name in ((10.5, "out", "eth0"), (12, "in", "va"))),
        drops(45_004, 8, "NOT_SPECIFIED", "neigh_invalidate"),
        drops(45_014, 9, "NOT_SPECIFIED", "neigh_invalidate"),
        drops(45_016, 7, "NOT_SPECIFIED", "neigh_invalidate"),
    ]
    word = "node1/r/va", "NOT_SPECIFIED", "neigh_invalidate"
    assert told(rows, [*ways, *errors]) == [(*word, 0, "probe"), (*word, 1, "probe")]
    assert told(rows, ways) == []
    elsewhere = sight(45_000, "b/eth0", "out", "error", length=126)
    assert told(rows, [*ways, elsewhere]) == []


def test_an_address_that_an_error_by_loopback_had_before_is_free_for_the_next_probe() -> None:
    errors = [sight(100, "a/lo", "out", "error", 0, 126), sight(101, "a/lo", "in", "error", 0, 126)]
    errors.append(sight(50_000, "a/lo", "out", "error", 1, 126))
    rows = [
        drops(105, 1, "NOT_SPECIFIED", "neigh_invalidate"),
        passes(100.5, 3, "out", "lo", 126),
        passes(106, 3, "in", "lo", 126),
        drops(50_020, 3, "NOT_SPECIFIED", "neigh_invalidate"),
    ]
    words = told(sorted(rows), errors, ((9, PID, 0), (20_000, PID, 1)))
    assert words == [(None, "NOT_SPECIFIED", "neigh_invalidate", number, "probe") for number in (0, 1)]


def test_a_macvlan_in_another_namespace_makes_no_event_and_is_told_by_its_timestamp() -> None:
    """``macvlan_handle_frame`` gives the packet another device, and ``__netif_receive_skb_core`` goes round again."""
    below, above = sight(11, "node/eth0", "in"), sight(11, "h2/mv2", "in")
    rows = [passes(12, 1, "in", "eth0"), drops(14, 1, "NO_SOCKET", "__udp4_lib_rcv")]
    assert told(rows, [below, above]) == [("node1/h2/mv2", "NO_SOCKET", "__udp4_lib_rcv", 0, "probe")]
    copied = sight(12, "h2/mv2", "in")
    assert told(rows, [below, copied]) == [("node1/node/eth0", "NO_SOCKET", "__udp4_lib_rcv", 0, "probe")]


def test_an_address_used_again_at_a_device_of_the_same_name_is_of_the_sighting_next_to_it() -> None:
    """The probe was copied before its tunnel, and its answer got its old address, in front of the other tunnel."""
    seen = [
        sight(2, "n1/cni0", "in"),
        sight(13, "n1/flannel.1", "out"),
        sight(141, "n2/cni0", "in", "answer"),
        sight(147, "n2/flannel.1", "out", "answer"),
    ]
    rows = [
        passes(3, 1, "in", "cni0"),
        passes(14, 2, "out", "flannel.1"),
        passes(142, 5, "in", "cni0"),
        passes(148, 1, "out", "flannel.1"),
        drops(149, 1, "NO_TX_TARGET", "vxlan_xmit"),
    ]
    assert told(rows, seen) == [("node1/n2/flannel.1", "NO_TX_TARGET", "vxlan_xmit", 0, "answer")]


def test_an_error_about_another_packet_of_the_probe_is_not_about_what_was_seen() -> None:
    """The answer was lost before any tap, and the error about it goes to who sent it: the host itself."""
    about_answer = replace(sight(45_000, "b/lo", "out", "error", length=126), packet=Packet("10.0.0.2", "10.0.0.2"))
    rows = [*PASSED, drops(45_010, 9, "NEIGH_FAILED", "neigh_invalidate")]
    assert told(rows, [*WAY, about_answer]) == []
