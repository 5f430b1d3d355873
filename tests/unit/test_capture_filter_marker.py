"""A marker's program finds the probe wherever it is, and lets nothing else by."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from netfs.capture.filter import program
from netfs.capture.filter.machine import Frame, run
from netfs.capture.marker import Marker
from tests.unit.filter_frames import NO_LINK, PLAIN, Made, Maker, any_leaf, damaged, kit, nearly, shapes
from tests.unit.filter_reference import is_marked

TOKEN = b"\x0bnetf\xe5"
PORTS = frozenset({(40000, 80), (12345, 80), (40000, 8472)})
SYN, SYN_ACK, RST, RST_ACK, ACK = 0x02, 0x12, 0x04, 0x14, 0x10


def marker(proto: str) -> Marker:
    return Marker(TOKEN, proto, 4, sport=40000, dport=80, ports=PORTS if proto == "udp" else frozenset())


def probe(mark: Marker, rng: Random, family: int) -> tuple[bytes, int, bool]:
    """What the probe, its answer or its reset has behind its IP header."""
    k, number = kit(), rng.randrange(1000)
    payload = mark.payload(number, rng.choice((8, 32, 100)))
    if mark.proto == "icmp":
        kind = rng.choice((0, 8) if family == 4 else (128, 129))
        return bytes([kind, 0]) + rng.randbytes(6) + payload, 1 if family == 4 else 58, True
    if mark.proto == "udp":
        sport, dport = rng.choice(((40000, 80), (80, 40000), (1, 2), (7, 8472), (8472, 40000), (5, 6081)))
        answer = (sport, dport) in {(40000, 80), (80, 40000)} and rng.random() < 0.5
        return bytes(k.inet.UDP(sport=sport, dport=dport) / k.Raw(rng.randbytes(5) if answer else payload)), 17, True
    sequence, other = mark.sequence(number), rng.getrandbits(32)
    fields = rng.choice(
        (
            {"seq": sequence, "flags": SYN},
            {"seq": other, "ack": sequence + 1, "flags": SYN_ACK},
            {"seq": sequence + 1, "flags": RST},
            {"seq": 0, "ack": sequence + 1, "flags": RST_ACK},
            {"seq": other, "ack": sequence + 1, "flags": ACK},
        )
    )
    return bytes(k.inet.TCP(sport=40000, dport=80, **fields)), 6, True


def frames(mark: Marker, rng: Random, count: int) -> list[Made]:
    def leaf(rng: Random, family: int) -> tuple[bytes, int, bool]:
        return any_leaf(rng, family) if rng.random() < 0.2 else probe(mark, rng, family)

    made = []
    for _ in range(count):
        depth = rng.randrange(6)
        one = Maker(rng, leaf).frame(depth)
        made.append(replace(one, marked=one.marked and depth < 4))
    return made + [Made(damaged(rng, one.data), one.hatype, marked=False) for one in made for _ in range(3)]


@pytest.mark.parametrize("proto", ["icmp", "udp", "tcp"])
def test_a_program_finds_what_the_reference_finds(proto: str) -> None:
    mark, rng = marker(proto), Random(7)
    code = program.for_marker(mark)
    found = {True: 0, False: 0}
    for made in frames(mark, rng, 500):
        passed = run(code, Frame(made.data, made.hatype)) != 0
        assert passed is is_marked(mark, made.data, made.hatype), made
        assert passed or not made.marked, made
        found[passed] += 1
    assert min(found.values()) > 100


@pytest.mark.parametrize("proto", ["icmp", "udp", "tcp"])
def test_other_packets_do_not_pass(proto: str) -> None:
    mark, rng = marker(proto), Random(8)
    code = program.for_marker(mark)
    for _ in range(500):
        made = Maker(rng).frame(rng.randrange(5))
        if mark.proto != "udp":
            assert not run(code, Frame(made.data, made.hatype)), made
        for size in (20, 60, 200):
            assert not run(code, Frame(rng.randbytes(size), made.hatype))


def with_probe(data: bytes, mark: Marker, rng: Random) -> bytes:
    """A frame whose TCP segment is replaced, and the protocol's number in the header around it."""
    payload, number, _ = probe(mark, rng, 4)
    replaced = data[: -len(kit().inet.TCP())] + payload
    for place in range(len(data) - len(kit().inet.TCP())):
        if data[place] == 6:
            whole = replaced[:place] + bytes([number]) + replaced[place + 1 :]
            if is_marked(mark, whole, PLAIN):
                return whole
    return replaced


@pytest.mark.parametrize("proto", ["icmp", "udp", "tcp"])
def test_every_cut_and_every_bit_counts(proto: str) -> None:
    """In every shape of frame, with the probe where those have another segment."""
    mark, rng = marker(proto), Random(9)
    code = program.for_marker(mark)
    answers = set()
    for shape in shapes():
        data = with_probe(shape.data, mark, rng)
        for each in nearly(data[:160]):
            expected = is_marked(mark, each, shape.hatype)
            assert (run(code, Frame(each, shape.hatype)) != 0) is expected, each.hex()
            answers.add(expected)
    assert answers == {True, False}


@pytest.mark.soak
@pytest.mark.parametrize("proto", ["icmp", "udp", "tcp"])
@pytest.mark.parametrize("seed", range(10))
def test_a_program_finds_what_the_reference_finds_for_long(proto: str, seed: int) -> None:
    mark, rng = marker(proto), Random(seed)
    code = program.for_marker(mark)
    for made in frames(mark, rng, 1500):
        passed = run(code, Frame(made.data, made.hatype)) != 0
        assert passed is is_marked(mark, made.data, made.hatype), made
        assert passed or not made.marked, made


def passes(mark: Marker, packet: bytes, hatype: int = NO_LINK) -> bool:
    return run(program.for_marker(mark), Frame(packet, hatype)) != 0


def ipv4(proto: int, payload: bytes, *, offset: int = 0, more: bool = False) -> bytes:
    k = kit()
    header = k.inet.IP(src="10.0.0.1", dst="10.0.0.2", proto=proto, frag=offset, flags="MF" if more else "")
    return bytes(header / k.Raw(payload))


def fragments(packet: bytes, size: int) -> list[bytes]:
    k = kit()
    return [bytes(part) for part in k.inet.fragment(k.inet.IP(packet), size)]


def in_vxlan(packet: bytes) -> bytes:
    k = kit()
    frame = bytes(k.l2.Ether(src="02:00:00:00:00:0a", dst="02:00:00:00:00:0b", type=0x0800) / k.Raw(packet))
    return ipv4(17, bytes(k.inet.UDP(sport=50000, dport=8472, chksum=0) / k.VXLAN(flags=8, vni=1) / k.Raw(frame)))


@pytest.mark.parametrize("proto", ["icmp", "udp"])
def test_every_fragment_passes(proto: str) -> None:
    mark = marker(proto)
    header = b"\x08\0\0\0\0\1\0\1" if proto == "icmp" else bytes(kit().inet.UDP(sport=1, dport=2, len=3008, chksum=0))
    packet = ipv4(1 if proto == "icmp" else 17, header + mark.payload(3, 3000))
    assert [passes(mark, part) for part in fragments(packet, 600)] == [True] * 6
    assert [passes(mark, in_vxlan(part)) for part in fragments(packet, 600)] == [True] * 6


@pytest.mark.parametrize("proto", ["icmp", "udp"])
def test_every_fragment_of_a_tunnel_s_packet_passes(proto: str) -> None:
    """The outer packet is cut where the words of the inner one do not begin."""
    mark = marker(proto)
    header = b"\x08\0\0\0\0\1\0\1" if proto == "icmp" else bytes(kit().inet.UDP(sport=1, dport=2, len=1408, chksum=0))
    outer = in_vxlan(ipv4(1 if proto == "icmp" else 17, header + mark.payload(3, 1400)))
    parts = fragments(outer, 600)
    assert len(parts) == 3
    assert [passes(mark, part) for part in parts] == [True] * 3


@pytest.mark.parametrize(
    ("sequence", "ack", "flags", "expected"),
    [
        (0, None, SYN, True),
        (999, None, SYN, True),
        (1024, None, SYN, False),
        (-1, None, SYN, False),
        (5, None, ACK, False),
        (6, None, RST, True),
        (-1, 1000, SYN_ACK, True),
        (-1, 1, RST_ACK, True),
        (-1, 1, RST, False),
        (-1, 1024, ACK, False),
    ],
)
def test_segments_are_told_by_number_and_flags(sequence: int, ack: int | None, flags: int, expected: bool) -> None:
    """``sequence`` and ``ack`` count from the marker's first number."""
    mark = marker("tcp")
    first = mark.sequence(0)
    fields = {"seq": first + sequence, "ack": 0 if ack is None else first + ack, "flags": flags}
    assert passes(mark, ipv4(6, bytes(kit().inet.TCP(sport=1, dport=2, **fields)))) is expected


def test_eight_quoted_bytes_are_enough_for_a_syn() -> None:
    mark = marker("tcp")
    syn = ipv4(6, bytes(kit().inet.TCP(sport=40000, dport=80, seq=mark.sequence(9), flags="S")))
    error = ipv4(1, b"\x03\x03" + bytes(6) + syn[:28])
    assert passes(mark, error)
    assert not passes(mark, error[:-1])


def test_a_probe_to_a_tunnel_s_port_is_no_tunnel() -> None:
    """Even where its payload looks like a VXLAN header."""
    mark = Marker(b"\x08\0\0\0\0\1", "udp", 4)
    for port in mark.tunnels:
        datagram = bytes(kit().inet.UDP(sport=40000, dport=port) / kit().Raw(mark.payload(0, 64)))
        assert passes(mark, ipv4(17, datagram))


def test_an_answer_need_not_repeat_the_payload() -> None:
    mark = marker("udp")
    for sport, dport, expected in ((40000, 80, True), (80, 40000, True), (80, 40001, False), (40000, 8472, True)):
        datagram = bytes(kit().inet.UDP(sport=sport, dport=dport) / kit().Raw(b"what?" * 9))
        assert passes(mark, ipv4(17, datagram)) is expected


def test_the_device_decides_where_headers_begin() -> None:
    mark = marker("icmp")
    echo = ipv4(1, b"\x08\0\0\0\0\1\0\1" + mark.payload(0, 56))
    frame = bytes(12) + b"\x08\0" + echo
    assert [passes(mark, echo, kind) for kind in (PLAIN, 772, NO_LINK, 768, 778)] == [False, False, True, True, True]
    assert [passes(mark, frame, kind) for kind in (PLAIN, 772, NO_LINK, 768, 778)] == [True, True, False, False, False]


def test_programs_have_the_size_that_is_told() -> None:
    """Kernels before 6.8 allow a socket 20480 bytes of options; tests/kernel holds them to that."""
    assert all(len(program.for_marker(marker(proto))) // 8 < 800 for proto in ("icmp", "udp", "tcp"))
