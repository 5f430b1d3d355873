"""What ``decode`` answers: flows and their counters, taps, fragments, ICMP errors, whatever the size of chunks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

import netfs.capture.flows.decode as verb
from netfs.capture.file.chunk import Chunk
from netfs.capture.file.reader import Capture
from netfs.capture.file.window import CHUNK_BYTES
from netfs.capture.flows import groups
from netfs.capture.flows.decode import decode
from netfs.errors import CaptureError, UsageError
from netfs.model.flows import Decoded, Flow, Tunnel
from tests.captures import vxlan_capture, write_pcap, write_pcapng

NODE1, NODE2, POD_A, POD_B = "192.168.56.1", "192.168.56.2", "10.42.0.2", "10.42.1.2"


def ether(payload: Any, **fields: Any) -> Any:
    from scapy.layers.l2 import Ether

    return Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", **fields) / payload


def ip(src: str, dst: str, **fields: Any) -> Any:
    from scapy.layers.inet import IP

    return IP(src=src, dst=dst, **fields)


def tcp(sport: int = 40000, dport: int = 80, flags: str = "A", **fields: Any) -> Any:
    from scapy.layers.inet import TCP

    return TCP(sport=sport, dport=dport, flags=flags, **fields)


def udp(sport: int = 5000, dport: int = 53) -> Any:
    from scapy.layers.inet import UDP

    return UDP(sport=sport, dport=dport)


def vxlan(inner: Any, *, src: str = NODE1, dst: str = NODE2, sport: int = 41000, vni: int = 1, port: int = 8472) -> Any:
    from scapy.layers.vxlan import VXLAN

    return ip(src, dst) / udp(sport, port) / VXLAN(vni=vni, flags=8) / ether(inner)


def pieces_of(packet: Any) -> list[Any]:
    from scapy.layers import inet

    cut: Callable[[Any, int], list[Any]] = inet.fragment
    return cut(packet, 400)


class Cut(Capture):
    """A capture whose chunks have few packets, however it is read."""

    def __init__(self, path: str, count: int) -> None:
        super().__init__(path, CHUNK_BYTES)
        self.count = count

    def chunks(self) -> Iterator[Chunk]:
        for chunk in super().chunks():
            for at in range(0, len(chunk.start), self.count):
                part = slice(at, at + self.count)
                names = ("start", "captured", "length", "at_ns", "interface")
                yield replace(chunk, first=chunk.first + at, **{name: getattr(chunk, name)[part] for name in names})


def capture(tmp_path: Path, *packets: Any, taps: tuple[str, ...] = (), **options: Any) -> Decoded:
    """The answer for these packets; with taps each is (number of its tap, packet)."""
    path = tmp_path / "a.pcap"
    if taps:
        write_pcapng(path, [(n * 10**9, tap, bytes(p)) for n, (tap, p) in enumerate(packets)], interfaces=taps)
    else:
        write_pcap(path, [(n * 10**9, 0, bytes(p)) for n, p in enumerate(packets)])
    return decode(str(path), **options)


def flow(answer: Decoded, **wanted: Any) -> Flow:
    (found,) = [one for one in answer.flows if all(getattr(one, name) == value for name, value in wanted.items())]
    return found


def test_a_flow_in_a_tunnel_and_the_one_that_answers(tmp_path: Path) -> None:
    answer = capture(
        tmp_path,
        ether(vxlan(ip(POD_A, POD_B, ttl=63) / tcp(flags="S") / b"")),
        ether(vxlan(ip(POD_B, POD_A) / tcp(80, 40000, "SA"), src=NODE2, dst=NODE1, sport=50000)),
        ether(vxlan(ip(POD_A, POD_B, ttl=62) / tcp(flags="PA", seq=1) / bytes(100))),
    )
    there, back = answer.flows
    assert (there.src, there.dst, there.proto, there.sport, there.dport) == (POD_A, POD_B, "tcp", 40000, 80)
    assert there.tunnels == (Tunnel("vxlan", NODE1, NODE2, 1, 41000, 8472),)
    assert (there.packets, there.bytes, there.largest) == (2, 2 * 104 + 100, 190)
    assert (there.first_ns, there.last_ns) == (0, 2 * 10**9)
    assert (there.syns, there.syn_acks, back.syns, back.syn_acks) == (1, 0, 0, 1)
    assert (there.ttl_least, there.ttl_most) == (62, 63)
    assert (there.reverse, back.reverse) == (1, 0)
    assert back.tunnels[0].sport == 50000
    assert (answer.packets, answer.bytes, answer.truncated) == (3, there.bytes + back.bytes, 0)


@pytest.mark.parametrize("count", [1, 2])
def test_an_outer_source_port_that_changes_tears_no_flow_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(verb, "open_capture", partial(Cut, count=count))
    (one,) = capture(tmp_path, *(ether(vxlan(ip(POD_A, POD_B) / udp(), sport=port)) for port in (41000, 41001))).flows
    assert one.packets == 2
    assert one.tunnels[0].sport is None


def test_answers_by_another_network_identifier_answer_nothing(tmp_path: Path) -> None:
    answer = capture(
        tmp_path,
        ether(vxlan(ip(POD_A, POD_B) / udp(1, 2))),
        ether(vxlan(ip(POD_B, POD_A) / udp(2, 1), src=NODE2, dst=NODE1, vni=2)),
    )
    assert [one.reverse for one in answer.flows] == [None, None]


def test_other_ports_of_vxlan_are_told(tmp_path: Path) -> None:
    packet = ether(vxlan(ip(POD_A, POD_B) / udp(), port=4790))
    assert capture(tmp_path, packet).flows[0].tunnels == ()
    assert capture(tmp_path, packet, ports=(4790,)).flows[0].tunnels[0].dport == 4790


def test_arp_and_what_is_no_ip(tmp_path: Path) -> None:
    from scapy.layers.l2 import ARP

    asks = [ether(ARP(psrc="10.0.0.1", pdst="10.0.0.2", hwsrc=f"02:00:00:00:00:0{n % 6}")) for n in range(10)]
    answer = capture(tmp_path, *asks, ether(bytes(46), type=0x88CC))
    arp = flow(answer, proto="arp")
    assert (arp.src, arp.dst, arp.packets) == ("10.0.0.1", "10.0.0.2", 10)
    assert arp.macs == tuple(f"02:00:00:00:00:0{n}" for n in range(4))
    assert flow(answer, proto="0x88cc").src == "02:00:00:00:00:01"


def test_many_taps_are_no_retransmissions(tmp_path: Path) -> None:
    taps = tuple(f"node/{n}" for n in range(10))
    segments = [ether(ip(POD_A, POD_B) / tcp(seq=1 + 10 * n) / bytes(10)) for n in (0, 1, 2, 2, 5)]
    answer = capture(tmp_path, *((tap, segment) for segment in segments for tap in range(10)), taps=taps)
    (one,) = answer.flows
    assert one.taps == tuple((name, 5) for name in taps)
    assert (one.packets, one.retransmissions, one.gaps) == (50, 10, 10)


def test_fragments_are_of_the_flow_of_their_first_one(tmp_path: Path) -> None:
    outer = vxlan(ip(POD_A, POD_B, ttl=9) / udp() / bytes(900))
    outer.id = 77
    pieces = [ether(piece) for piece in pieces_of(outer)]
    inner = [ether(vxlan(piece)) for piece in pieces_of(ip(POD_B, POD_A, id=5) / udp(53, 5000) / bytes(900))]
    lonely = ether(ip(POD_A, POD_B, frag=9, id=3, proto=17) / bytes(30))
    answer = capture(tmp_path, *pieces[1:], pieces[0], *inner, lonely)
    one = flow(answer, sport=5000)
    assert (one.packets, one.fragments, one.outer_fragments) == (3, 3, 3)
    assert (one.ttl_least, one.ttl_most) == (9, 9)
    assert one.bytes == sum(len(bytes(piece)) for piece in pieces)
    two = flow(answer, sport=53)
    assert (two.packets, two.fragments, two.outer_fragments) == (3, 3, 0)
    three = flow(answer, proto="udp", sport=None)
    assert (three.packets, three.fragments, three.outer_fragments, three.tunnels) == (1, 1, 0, ())


def test_a_fragment_in_a_fragment_counts_once_and_outside(tmp_path: Path) -> None:
    inner, *_ = pieces_of(ip(POD_A, POD_B, id=5) / udp(1, 2) / bytes(900))
    outer = vxlan(inner)
    outer.flags, outer.id = "MF", 6
    rest = ip(NODE1, NODE2, id=6, frag=30, proto=17) / bytes(8)
    (one,) = capture(tmp_path, ether(outer), ether(rest)).flows
    assert (one.sport, one.packets, one.fragments, one.outer_fragments) == (1, 2, 2, 2)


def test_fragments_of_fragments_are_of_the_flow_of_the_innermost_first_one(tmp_path: Path) -> None:
    first, rest, _ = pieces_of(ip(POD_A, POD_B, id=5) / udp(1, 2) / bytes(900))
    outer = vxlan(rest)
    outer.flags, outer.id = "MF", 6
    beyond = ip(NODE1, NODE2, id=6, frag=30, proto=17) / bytes(8)
    (one,) = capture(tmp_path, ether(vxlan(first)), ether(outer), ether(beyond)).flows
    assert (one.sport, one.packets, one.fragments, one.outer_fragments) == (1, 3, 3, 2)


def test_what_begins_a_datagram_is_remembered_over_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verb, "open_capture", partial(Cut, count=20))
    outers = [vxlan(ip(POD_A, POD_B) / udp(n, 9) / bytes(1400), sport=n) for n in range(1, 60)]
    for n, outer in enumerate(outers):
        outer.id = n
    pieces = [pieces_of(outer) for outer in outers]
    order = [piece for number in range(4) for cut in pieces for piece in cut[number : number + 1]]
    answer = capture(tmp_path, *map(ether, order))
    assert sorted((one.sport, one.packets, one.tunnels[0].sport) for one in answer.flows) == [
        (n, 4, n) for n in range(1, 60)
    ]


def test_a_super_packet_tells_no_length(tmp_path: Path) -> None:
    """As a tap sees it before segmentation, with BIG TCP: the length in its header is 0."""
    segments = [ip(POD_A, POD_B, len=0) / tcp(seq=1 + 2000 * n) / bytes(2000) for n in range(3)]
    (one,) = capture(tmp_path, *map(ether, segments)).flows
    assert (one.largest, one.gaps, one.retransmissions) == (2040, 0, 0)


def test_a_length_that_cannot_be_is_not_told(tmp_path: Path) -> None:
    (one,) = capture(tmp_path, ether(ip(POD_A, POD_B, len=60000) / udp())).flows
    assert one.largest == 28


def test_syn_and_fin_take_numbers(tmp_path: Path) -> None:
    flags = (("S", 100, 0), ("A", 101, 10), ("FA", 111, 5), ("A", 117, 3))
    (one,) = capture(tmp_path, *(ether(ip(POD_A, POD_B) / tcp(flags=f, seq=n) / bytes(b)) for f, n, b in flags)).flows
    assert (one.gaps, one.retransmissions) == (0, 0)
    (one,) = capture(tmp_path, *(ether(ip(POD_A, POD_B) / tcp(flags="FA", seq=111)) for _ in range(3))).flows
    assert (one.gaps, one.retransmissions) == (0, 2)


def test_a_tcp_header_that_was_cut_tells_its_flow_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    frame = bytes(ether(ip(POD_A, POD_B) / tcp(flags="R") / bytes(10)))
    for snaplen, resets in ((37, None), (38, 0), (47, 0), (48, 1)):
        write_pcap(path, [(0, 0, frame)], snaplen=snaplen)
        answer = decode(str(path))
        assert [one.resets for one in answer.flows] == ([] if resets is None else [resets])


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_a_fragment_goes_to_the_newest_datagram_of_its_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(verb, "open_capture", partial(Cut, count=count))
    firsts = [ether(ip(POD_A, POD_B, flags="MF", id=1) / udp(port)) for port in (1, 2)]
    rest = ether(ip(POD_A, POD_B, frag=1, id=1, proto=17) / bytes(8))
    answer = capture(tmp_path, firsts[0], rest, rest, firsts[1], rest)
    assert [flow(answer, sport=port).packets for port in (1, 2)] == [3, 2]


def test_an_error_counts_where_its_quotation_says(tmp_path: Path) -> None:
    from scapy.layers.inet import ICMP

    sent = ip(POD_A, POD_B) / tcp() / bytes(600)
    error = ip("10.42.0.1", POD_A) / ICMP(type=3, code=4, nexthopmtu=1400, length=5) / bytes(sent)[:28]
    other = ip("10.42.0.1", POD_A) / ICMP(type=3, code=4, nexthopmtu=1300, length=5) / bytes(sent)[:60]
    answer = capture(tmp_path, ether(sent), ether(error), ether(error), ether(other))
    one = flow(answer, proto="tcp")
    assert (one.icmp_errors, one.too_big, one.too_big_mtu) == (3, 3, 1300)
    assert flow(answer, proto="icmp").icmp_errors == 0
    (told,) = answer.errors
    assert (told.sender, told.proto, told.type, told.code, told.packets) == ("10.42.0.1", "icmp", 3, 4, 3)
    assert (told.src, told.dst, told.about, told.sport, told.dport) == (POD_A, POD_B, "tcp", 40000, 80)
    assert (told.mtu, told.flow) == (1300, answer.flows.index(one))


def test_an_error_in_a_tunnel_is_about_the_flow_in_that_tunnel(tmp_path: Path) -> None:
    from scapy.layers.inet import ICMP

    sent = ip(POD_A, POD_B) / udp()
    error = ip(POD_B, POD_A) / ICMP(type=3, code=3) / bytes(sent)
    answer = capture(
        tmp_path, ether(sent / bytes(99)), ether(vxlan(sent)), ether(vxlan(error, src=NODE2, dst=NODE1, sport=1))
    )
    assert flow(answer, proto="udp", tunnels=()).icmp_errors == 0
    assert flow(answer, proto="udp", tunnels=(Tunnel("vxlan", NODE1, NODE2, 1, 41000, 8472),)).icmp_errors == 1
    # Where the error alone is in a tunnel, the innermost headers decide.
    answer = capture(tmp_path, ether(sent / bytes(99)), ether(vxlan(error, src=NODE2, dst=NODE1)))
    assert flow(answer, proto="udp", tunnels=()).icmp_errors == 1


@pytest.mark.parametrize("quoted", [28, 36, 576])
def test_an_error_about_the_outer_packet(tmp_path: Path, quoted: int) -> None:
    from scapy.layers.inet import ICMP

    outer = vxlan(ip(POD_A, POD_B) / tcp() / bytes(1300))
    beside = ether(vxlan(ip(POD_A, POD_B) / tcp(40001) / bytes(1300), sport=41001))
    error = ip("192.168.56.254", NODE1) / ICMP(type=3, code=4, nexthopmtu=1280) / bytes(outer)[:quoted]
    answer = capture(tmp_path, ether(outer), beside, ether(error))
    assert flow(answer, sport=40000).too_big_mtu == 1280
    assert flow(answer, sport=40001).icmp_errors == 0
    (told,) = answer.errors
    assert (told.src, told.dst, told.about, told.sport, told.dport) == (NODE1, NODE2, "udp", 41000, 8472)
    # Where two flows have the outer headers that were quoted, nobody knows which it is about.
    if quoted == 28:
        alike = ether(vxlan(ip(POD_A, POD_B) / tcp(40002) / bytes(1300)))
        answer = capture(tmp_path, ether(outer), alike, ether(error))
        assert [one.icmp_errors for one in answer.flows] == [0, 0, 0]
        assert answer.errors[0].flow is None


def test_errors_of_ipv6(tmp_path: Path) -> None:
    from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6

    sent = IPv6(src="fd00::1", dst="fd00::2") / tcp() / bytes(100)
    error = IPv6(src="fd00::9", dst="fd00::1") / ICMPv6PacketTooBig(mtu=1280) / bytes(sent)
    answer = capture(tmp_path, ether(sent), ether(error))
    assert (flow(answer, proto="tcp").too_big, flow(answer, proto="tcp").too_big_mtu) == (1, 1280)
    assert (answer.errors[0].proto, answer.errors[0].type, answer.errors[0].mtu) == ("icmpv6", 2, 1280)


def test_vlans_are_told_and_part_of_the_flow(tmp_path: Path) -> None:
    from scapy.layers.l2 import Dot1AD, Dot1Q

    packet = ip(POD_A, POD_B) / udp()
    answer = capture(
        tmp_path, ether(packet), ether(Dot1Q(vlan=0) / packet), ether(Dot1AD(vlan=7) / Dot1Q(vlan=8) / packet)
    )
    assert {one.vlans for one in answer.flows} == {(), (0,), (7, 8)}


@pytest.mark.parametrize("count", [1, 7, 400])
@pytest.mark.parametrize("interfaces", [("eth0",), ("a", "b", "c")])
def test_the_size_of_chunks_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, interfaces: tuple[str, ...]
) -> None:
    path = tmp_path / "a.pcapng"
    made = vxlan_capture(path, 1500, flows=40, format="pcapng", interfaces=interfaces, nodes=3)
    whole = decode(str(path))
    monkeypatch.setattr(verb, "open_capture", partial(Cut, count=count))
    assert decode(str(path)) == whole
    pairs = Counter[tuple[str, str, int]]()
    for one in made:
        pairs[one.src, one.dst, one.sport if one.proto != 1 else 0] += one.packets
    found = Counter[tuple[str, str, int]]()
    for two in whole.flows:
        found[two.src, two.dst, two.sport or 0] += two.packets
    assert found == pairs
    assert all(two.reverse is not None and not two.gaps and not two.retransmissions for two in whole.flows)


def test_flows_of_one_hash_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.pcap"
    vxlan_capture(path, 500, flows=30)
    expected = decode(str(path))
    monkeypatch.setattr(groups, "mix", lambda columns, count: np.zeros(count, np.uint64))
    assert decode(str(path)) == expected


def test_progress_ends_with_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    vxlan_capture(path, 500, flows=30)
    told: list[tuple[int, int | None]] = []
    decode(str(path), on_progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (path.stat().st_size, path.stat().st_size)


def test_a_capture_without_packets(tmp_path: Path) -> None:
    answer = capture(tmp_path)
    assert (answer.packets, answer.flows, answer.first_ns, answer.last_ns) == (0, (), None, None)


def test_what_is_no_capture(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(b"nothing of the kind, but long enough")
    with pytest.raises(CaptureError):
        decode(str(tmp_path / "a.pcap"))


@pytest.mark.parametrize("seed", range(40))
def test_mutated_files_end_in_an_answer_or_a_refusal(tmp_path: Path, seed: int) -> None:
    path, random = tmp_path / "a", Random(seed)
    vxlan_capture(path, 200, flows=10, format=random.choice(("pcap", "pcapng")), interfaces=("a", "b"))
    data = bytearray(path.read_bytes())
    for _ in range(random.choice((1, 20, 2000))):
        data[random.randrange(len(data))] = random.randrange(256)
    path.write_bytes(data[: random.randrange(len(data))] if random.random() < 0.3 else data)
    try:
        answer = decode(str(path))
    except CaptureError:
        return
    assert sum(one.packets for one in answer.flows) + answer.truncated == answer.packets
    assert sum(packets for one in answer.flows for _, packets in one.taps) in {0, answer.packets - answer.truncated}


def test_a_link_layer_that_is_not_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    write_pcap(path, [(0, 0, bytes(60))])
    data = bytearray(path.read_bytes())
    data[20] = 127
    path.write_bytes(data)
    answer = decode(str(path))
    assert [one.proto for one in answer.flows] == ["link127"]
    assert "link type 127" in answer.warnings[0].what


def test_a_port_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="70000 is no UDP port"):
        capture(tmp_path, ether(bytes(46)), ports=(70000,))


@pytest.mark.parametrize("linktype", [113, 276])
def test_a_tap_on_all_devices_sees_a_packet_more_than_once(tmp_path: Path, linktype: int) -> None:
    heads = {
        113: [bytes([0, way, 0, 1, 0, 6]) + bytes(8) + b"\x08\x00" for way in (0, 4)],
        276: [
            b"\x08\x00" + bytes(5) + bytes([device, 0, 1, way, 6]) + bytes(8)
            for device, way in ((2, 0), (3, 0), (3, 4))
        ],
    }[linktype]
    segments = [bytes(ip(POD_A, POD_B) / tcp(seq=1 + 10 * n) / bytes(10)) for n in (0, 1, 1)]
    path = tmp_path / "a.pcap"
    write_pcap(path, [(0, 0, head + segment) for segment in segments for head in heads])
    data = bytearray(path.read_bytes())
    data[20:24] = linktype.to_bytes(4, "little")
    path.write_bytes(data)
    (one,) = decode(str(path)).flows
    assert (one.packets, one.retransmissions, one.gaps, one.taps) == (3 * len(heads), 0, 0, ())


def cooked(path: Path, linktype: int, *packets: tuple[float, bytes]) -> Path:
    """Packets as a tap on all devices writes them; times are in seconds."""
    kind = b"\x86\xdd" if packets[0][1][0] >> 4 == 6 else b"\x08\x00"
    head = {113: bytes(6) + bytes(8) + kind, 276: kind + bytes(18)}[linktype]
    write_pcap(path, [(round(at * 1e9), 0, head + packet) for at, packet in packets])
    data = bytearray(path.read_bytes())
    data[20:24] = linktype.to_bytes(4, "little")
    path.write_bytes(data)
    return path


def at_another_device(packet: Any) -> bytes:
    """The same packet, forwarded, and with the checksum that the first device left to be made."""
    from scapy.layers.inet import TCP

    other = packet.copy()
    other["IP"].ttl -= 1
    other[TCP].chksum = 0x1234
    return bytes(other)


@pytest.mark.parametrize("linktype", [113, 276])
@pytest.mark.parametrize("cut", [1, 2, 1000])
def test_one_packet_at_two_devices_is_no_retransmission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linktype: int, cut: int
) -> None:
    segments = [ip(POD_A, POD_B, id=100 + n, ttl=64) / tcp(seq=seq) / bytes(10) for n, seq in enumerate((1, 11, 11))]
    seen = [(each, at) for n, one in enumerate(segments) for each, at in ((bytes(one), n), (at_another_device(one), n))]
    path = cooked(tmp_path / "a.pcap", linktype, *((at + n / 1e5, each) for n, (each, at) in enumerate(seen)))
    monkeypatch.setattr(verb, "open_capture", lambda path: Cut(path, cut))
    (one,) = decode(str(path)).flows
    assert (one.packets, one.retransmissions, one.gaps) == (6, 1, 0)


def test_what_is_sent_again_without_a_change_is_no_copy_where_time_lies_between(tmp_path: Path) -> None:
    """A SYN-ACK has no identification (ip_build_and_send_pkt); TCP's first timeout is a second (RFC 6298, 2.1)."""
    syn_ack = bytes(ip(POD_B, POD_A, id=0) / tcp(80, 40000, "SA", seq=1, ack=1))
    path = cooked(tmp_path / "a.pcap", 113, (0, syn_ack), (0.00002, syn_ack), (1, syn_ack), (1.00002, syn_ack))
    (one,) = decode(str(path)).flows
    assert (one.packets, one.syn_acks, one.retransmissions) == (4, 2, 1)


@pytest.mark.parametrize("linktype", [113, 276])
def test_questions_and_errors_at_several_devices_count_once(tmp_path: Path, linktype: int) -> None:
    from scapy.layers.inet import ICMP

    asked = ip(POD_A, POD_B, id=7) / ICMP(type=8, id=1, seq=1) / bytes(56)
    error = bytes(ip(NODE1, POD_A, id=8) / ICMP(type=3, code=1) / bytes(asked)[:28])
    twice = [(0.1 + n / 1e5, each) for n, each in enumerate((bytes(asked), bytes(asked), error, error))]
    answer = decode(str(cooked(tmp_path / "a.pcap", linktype, *twice)))
    assert [(one.packets, one.echo_requests, one.icmp_errors) for one in answer.flows] == [(2, 1, 1), (2, 0, 0)]
    assert [one.packets for one in answer.errors] == [1]


def test_ipv6_at_several_devices(tmp_path: Path) -> None:
    from scapy.layers.inet6 import IPv6

    segments = [bytes(IPv6(src="fd00::1", dst="fd00::2") / tcp(seq=seq) / bytes(99)) for seq in (1, 1, 100, 100, 100)]
    path = cooked(tmp_path / "a.pcap", 276, *((n / 5, each) for n, each in zip((0, 0, 1, 1, 3), segments, strict=True)))
    (one,) = decode(str(path)).flows
    assert (one.packets, one.retransmissions, one.gaps) == (5, 1, 0)


def test_an_error_that_quotes_nothing_is_told(tmp_path: Path) -> None:
    from scapy.layers.inet import ICMP

    for quoted in (b"", b"\x00" * 40, b"\x45" + bytes(10)):
        answer = capture(tmp_path, ether(ip(POD_A, POD_B) / ICMP(type=11) / quoted))
        (told,) = answer.errors
        assert (told.sender, told.type, told.src, told.about, told.sport, told.flow) == (POD_A, 11, "", "", None, None)


def test_an_error_in_a_tunnel_of_ipv6(tmp_path: Path) -> None:
    from scapy.layers.inet import ICMP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.vxlan import VXLAN

    def tunnel(src: str, dst: str, inner: Any) -> Any:
        return ether(IPv6(src=src, dst=dst) / udp(41000, 8472) / VXLAN(vni=1, flags=8) / ether(inner))

    sent = ip(POD_A, POD_B) / udp()
    error = ip(POD_B, POD_A) / ICMP(type=3, code=3) / bytes(sent)
    other = tunnel("fd00::1", "fd00:3::1", sent / bytes(99))
    answer = capture(tmp_path, other, tunnel("fd00::1", "fd00:1::2", sent), tunnel("fd00:1::2", "fd00::1", error))
    assert [one.icmp_errors for one in answer.flows if one.proto == "udp"] == [0, 1]
