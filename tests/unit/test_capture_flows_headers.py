"""Headers by columns say what a walk from byte to byte says: of packets that scapy builds, cut and mutated ones."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from netfs.capture.flows.decode import decode
from netfs.model.flows import Decoded, Flow
from tests.captures import write_pcap
from tests.flow_reference import Outer, Told, told


def decoded(path: Path, frames: list[bytes], snaplen: int = 262144, **options: Any) -> Decoded:
    write_pcap(path, [(number * 1_000_000, 0, frame) for number, frame in enumerate(frames)], snaplen=snaplen)
    return decode(str(path), **options)


def tuple_of(flow: Flow) -> tuple[object, ...]:
    tunnels = tuple(Outer(one.kind, one.src, one.dst, one.vni, one.dport) for one in flow.tunnels)
    return (flow.src, flow.dst, flow.proto, flow.sport, flow.dport, tunnels, flow.vlans)


def resolved(packets: list[Told | None]) -> list[tuple[object, ...] | None]:
    """The tuple of each packet; fragments have that of their first one: the last before, else the next behind."""
    answer = [packet.tuple if packet else None for packet in packets]
    levels = {piece.level for packet in packets if packet for piece in packet.pieces}
    for level in sorted(levels, reverse=True):
        pieces = [
            (number, piece)
            for number, packet in enumerate(packets)
            if packet
            for piece in packet.pieces
            if piece.level == level
        ]
        for number, piece in pieces:
            firsts = [other for other, one in pieces if one.first and one.datagram == piece.datagram]
            if not piece.first and firsts:
                before = [other for other in firsts if other < number]
                answer[number] = answer[before[-1] if before else firsts[0]]
    return answer


def check(path: Path, frames: list[bytes], snaplen: int = 262144) -> Decoded:
    """What decode says of these frames is what the reference says."""
    answer = decoded(path, frames, snaplen)
    packets = [told(frame[:snaplen], wire=len(frame)) for frame in frames]
    tuples = resolved(packets)
    expected = Counter(tuples)
    truncated = expected.pop(None, 0)
    assert {tuple_of(flow): flow.packets for flow in answer.flows} == expected
    assert answer.truncated == truncated
    assert sum(flow.packets for flow in answer.flows) + truncated == answer.packets == len(frames)
    octets: Counter[object] = Counter()
    for one, frame in zip(tuples, frames, strict=True):
        octets[one] += len(frame)
    assert all(flow.bytes == octets[tuple_of(flow)] for flow in answer.flows)
    known = [packet for packet in packets if packet]
    for name, bits, value in (("resets", 4, 4), ("syns", 0x12, 2), ("syn_acks", 0x12, 0x12)):
        assert sum(getattr(flow, name) for flow in answer.flows) == sum(p.flags & bits == value for p in known), name
    for name, word in (("echo_requests", "request"), ("echo_replies", "reply")):
        assert sum(getattr(flow, name) for flow in answer.flows) == sum(p.echo == word for p in known), name
    assert sum(flow.fragments for flow in answer.flows) == sum(bool(p.pieces) for p in known)
    assert sum(error.packets for error in answer.errors) == sum(p.error is not None for p in known)
    return answer


class Builder:
    """Random packets of nested headers."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def frame(self, depth: int = 0) -> Any:
        from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether

        random = self.random
        packet = Ether(src=f"02:00:00:00:00:{random.randrange(4):02x}", dst="02:00:00:00:01:01")
        for tag in random.choices(((), (Dot1Q,), (Dot1AD, Dot1Q)), (6, 2, 1))[0]:
            packet /= tag(vlan=random.choice((0, 7, 4095)))
        kind = random.random()
        if kind < 0.05:
            return packet / ARP(psrc="10.0.0.1", pdst="10.0.0.2", op=random.choice((1, 2)))
        if kind < 0.1:
            packet.lastlayer().type = random.choice((0x88CC, 0x0026, 0x8847))
            return packet / bytes(random.randrange(40))
        return packet / self.ip(depth)

    def ip(self, depth: int, version: int = 0) -> Any:
        from scapy.layers.inet import IP
        from scapy.layers.inet6 import IPv6

        random = self.random
        if (version or random.choice((4, 4, 6))) == 4:
            options = [] if random.random() < 0.8 else [b"\x01\x01\x01\x00"]
            source, target = (f"10.0.{depth}.{random.randrange(1, 4)}" for _ in range(2))
            piece = random.choices(((0, 0), (1, 0), (0, 5), (1, 4096)), (12, 1, 1, 1))[0]
            header = IP(src=source, dst=target, options=options, flags=piece[0], frag=piece[1], id=random.randrange(3))
            payload = self.payload(depth, 4)
            if isinstance(payload, bytes):
                header.proto = 51
            return header / payload
        source, target = (f"fd00::{depth}:{random.randrange(1, 4)}" for _ in range(2))
        packet, payload = self.extensions(IPv6(src=source, dst=target)), self.payload(depth, 6)
        if isinstance(payload, bytes):
            packet.lastlayer().nh = 51
        return packet / payload

    def extensions(self, packet: Any) -> Any:
        from scapy.layers import inet6

        random = self.random
        for _ in range(random.choice((0, 0, 0, 1, 2))):
            packet /= random.choice(
                (
                    inet6.IPv6ExtHdrHopByHop(),
                    inet6.IPv6ExtHdrDestOpt(options=[inet6.PadN(optdata=bytes(random.choice((0, 8))))]),
                    inet6.IPv6ExtHdrRouting(addresses=["fd00::9"]),
                    inet6.IPv6ExtHdrFragment(offset=random.choice((0, 0, 3)), m=random.choice((0, 1)), id=7),
                )
            )
        return packet

    def payload(self, depth: int, version: int) -> Any:
        from scapy.layers.inet import ICMP, TCP, UDP
        from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6EchoRequest
        from scapy.layers.sctp import SCTP

        random = self.random
        if random.random() < 0.05:
            # AH of 12 or 24 bytes (RFC 4302), which scapy would want keys for.
            words = random.choice((1, 4))
            return bytes([6, words]) + bytes(words * 4 + 6) + bytes(TCP(sport=1, dport=2, flags="S"))
        if depth < 6 and random.random() < 0.6:
            return self.tunnel(depth)
        ports: dict[str, Any] = {"sport": random.randrange(1, 5), "dport": random.choice((80, 443, 4789, 6081))}
        body = bytes(random.randrange(60))
        return random.choice(
            (
                lambda: TCP(**ports, flags=random.choice(("S", "SA", "A", "PA", "R", "F")), seq=5) / body,
                lambda: UDP(**ports) / body,
                lambda: SCTP(**ports) / body,
                lambda: ICMP(type=random.choice((8, 0))) / body if version == 4 else ICMPv6EchoRequest(data=body),
                lambda: ICMP(type=3, code=4) / self.ip(7, 4) if version == 4 else ICMPv6DestUnreach() / self.ip(7, 6),
            )
        )()

    def tunnel(self, depth: int) -> Any:
        from scapy.contrib.geneve import GENEVE
        from scapy.layers.inet import UDP
        from scapy.layers.l2 import GRE
        from scapy.layers.vxlan import VXLAN

        random = self.random
        sport = random.randrange(40000, 40003)
        vni = random.randrange(3)
        options = random.choice((b"", b"\x00\x00\x00\x00", b"\x01\x02\x00\x01abcd"))
        return random.choice(
            (
                lambda: UDP(sport=sport, dport=8472) / VXLAN(vni=vni, flags=8) / self.frame(depth + 1),
                lambda: UDP(sport=sport, dport=4789) / VXLAN(vni=vni, flags=8) / self.frame(depth + 1),
                lambda: UDP(sport=sport, dport=4789) / VXLAN(vni=vni, flags=0) / self.frame(depth + 1),
                lambda: UDP(sport=sport, dport=6081) / GENEVE(vni=vni, options=options) / self.frame(depth + 1),
                lambda: UDP(sport=sport, dport=6081) / GENEVE(vni=vni, proto=0x0800) / self.ip(depth + 1, 4),
                lambda: GRE(key_present=random.choice((0, 1)), key=vni) / self.ip(depth + 1),
                lambda: GRE(chksum_present=1, seqnum_present=1, proto=0x6558) / self.frame(depth + 1),
                lambda: self.ip(depth + 1),
            )
        )()


@pytest.mark.parametrize("seed", range(4))
def test_nested_packets_that_scapy_builds(seed: int, tmp_path: Path) -> None:
    builder = Builder(seed)
    frames = [bytes(builder.frame()) for _ in range(400)]
    answer = check(tmp_path / "a.pcap", frames)
    kinds = {tunnel.kind for flow in answer.flows for tunnel in flow.tunnels}
    assert kinds == {"vxlan", "geneve", "gre", "ipip"}
    assert max(len(flow.tunnels) for flow in answer.flows) == 4


@pytest.mark.parametrize("snaplen", [1, 14, 33, 34, 64, 80, 96, 128])
def test_packets_of_which_little_was_captured(snaplen: int, tmp_path: Path) -> None:
    builder = Builder(9)
    check(tmp_path / "a.pcap", [bytes(builder.frame()) for _ in range(300)], snaplen)


def mutated(seed: int) -> list[bytes]:
    builder, random = Builder(100 + seed), Random(seed)
    values = (0, 1, 4, 0x45, 0x60, 0xFF, 0x2F, 0x11, 0x08)
    frames = []
    for _ in range(400):
        frame = bytearray(bytes(builder.frame()))
        for _ in range(random.randrange(1, 4)):
            frame[random.randrange(min(len(frame), 120))] = random.choice((*values, random.randrange(256)))
        frames.append(bytes(frame[: random.randrange(1, len(frame) + 1)] if random.random() < 0.3 else frame))
    return frames


@pytest.mark.parametrize("seed", range(4))
def test_mutated_packets(seed: int, tmp_path: Path) -> None:
    check(tmp_path / "a.pcap", mutated(seed))


@pytest.mark.soak
def test_many_mutated_packets(tmp_path: Path) -> None:
    for seed in range(1000, 1150):
        check(tmp_path / "a.pcap", mutated(seed), Random(seed).choice((60, 90, 128, 262144)))


def test_a_fragment_header_is_one_of_ipv6_alone(tmp_path: Path) -> None:
    """Found by test_many_mutated_packets: IPv4 with AH in a packet, and protocol 44 in another."""
    from scapy.layers.inet import IP
    from scapy.layers.l2 import Ether

    body = bytes([6, 1]) + bytes([255] * 40)
    check(tmp_path / "a.pcap", [bytes(Ether() / IP(src="10.0.0.1", dst="10.0.0.2", proto=n) / body) for n in (51, 44)])


@pytest.mark.parametrize("linktype", [0, 1, 12, 101, 108, 113, 127, 228, 229, 276])
def test_random_bytes_of_any_link_layer(linktype: int, tmp_path: Path) -> None:
    random = Random(linktype)
    heads = (
        b"",
        b"\x45\x00",
        b"\x60\x00",
        bytes(12) + b"\x08\x00\x45",
        bytes(14) + b"\x08\x00\x45",
        b"\x08\x00" + bytes(18) + b"\x45",
    )
    frames = [random.choice(heads) + random.randbytes(random.randrange(90)) for _ in range(500)]
    frames = [frame for frame in frames if frame]
    path = tmp_path / "a.pcap"
    write_pcap(path, [(number * 1_000_000, 0, frame) for number, frame in enumerate(frames)])
    raw = bytearray(path.read_bytes())
    raw[20:24] = linktype.to_bytes(4, "little")
    path.write_bytes(raw)
    answer = decode(str(path))
    packets = resolved([told(frame, linktype={12: 101, 14: 101}.get(linktype, linktype)) for frame in frames])
    expected = Counter(packets)
    assert answer.truncated == expected.pop(None, 0)
    assert {tuple_of(flow): flow.packets for flow in answer.flows} == expected
