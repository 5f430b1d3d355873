"""Captures for tests and measurements: what a tap beside two or more nodes of a VXLAN cluster would record.

Written with ``struct`` alone, so that neither the reader nor the writer of netfs takes part.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random

BEGIN_NS = 1_750_000_000_000_000_000
"""The first packet's time; all times are whole microseconds, so that every format holds them."""
LEAST = 116
MOST = 1514
"""Bytes of the shortest and the longest frame: a TCP acknowledgement, and an inner packet of MTU 1450."""

_ICMP, _TCP, _UDP = 1, 6, 17
_PAYLOAD = bytes(range(256)) * 6
_SYN, _ACK, _PSH = 2, 16, 8


def _prefix_sums() -> list[int]:
    """At n: the sum of the 16-bit words of the first n bytes of the payload (RFC 1071)."""
    sums = [0]
    for at, byte in enumerate(_PAYLOAD):
        sums.append(sums[-1] + (byte if at & 1 else byte << 8))
    return sums


_SUMS = _prefix_sums()


def words(data: bytes) -> int:
    """The sum of the 16-bit words of an even number of bytes."""
    return sum(struct.unpack(f">{len(data) // 2}H", data))


def folded(total: int) -> int:
    """A sum of 16-bit words as the Internet checksum (RFC 1071)."""
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


@dataclass(slots=True)
class Direction:
    """One direction of a conversation, and what has been sent in it."""

    src: str
    dst: str
    proto: int
    sport: int
    dport: int
    outer_src: str
    outer_dst: str
    outer_sport: int
    vni: int
    node: int
    """Number of the sender's node, from 0."""
    packets: int = 0
    octets: int = 0
    """On the wire, Ethernet header included."""
    sequence: int = 1
    _before: bytes = b""
    """Outer Ethernet; outer IP is made for each packet."""
    _between: bytes = b""
    """VXLAN and inner Ethernet."""
    _outer_sum: int = 0
    _inner_sum: int = 0
    _addresses: bytes = b""
    _outer_addresses: bytes = b""
    answer: Direction | None = field(default=None, repr=False)

    def build(self, port: int) -> Direction:
        """Everything that is the same in each packet."""
        here, there = self.outer_src.split(".")[-1], self.outer_dst.split(".")[-1]
        self._before = bytes([2, 0, 0, 0, 0, int(there), 2, 0, 0, 0, 0, int(here)]) + b"\x08\x00"
        self._between = (
            struct.pack(">II", 0x08000000, self.vni << 8)
            + bytes([2, 66, 0, 0, 0, int(there), 2, 66, 0, 0, 0, int(here)])
            + b"\x08\x00"
        )
        self._addresses = _address(self.src) + _address(self.dst)
        self._outer_addresses = _address(self.outer_src) + _address(self.outer_dst)
        self._outer_sum = words(self._outer_addresses) + 0x4500 + (64 << 8 | _UDP)
        self._inner_sum = words(self._addresses) + 0x4500 + 0x4000 + (63 << 8 | self.proto)
        self._port = port
        return self

    _port: int = 8472

    def frame(self, payload: int, flags: int = _ACK) -> bytes:
        """The next packet of this direction with so many bytes of payload."""
        upper = self._upper(payload, flags)
        inner = 20 + len(upper) + payload
        outer = inner + 50
        identity = self.packets & 0xFFFF
        self.packets += 1
        self.octets += outer + 14
        return b"".join(
            (
                self._before,
                _IP(0x4500, outer, identity, 0, 64, _UDP, folded(self._outer_sum + outer + identity)),
                self._outer_addresses,
                _UDP_HEADER(self.outer_sport, self._port, outer - 20, 0),
                self._between,
                _IP(0x4500, inner, identity, 0x4000, 63, self.proto, folded(self._inner_sum + inner + identity)),
                self._addresses,
                upper,
                _PAYLOAD[:payload],
            )
        )

    def _upper(self, payload: int, flags: int) -> bytes:
        if self.proto == _TCP:
            return self._tcp(payload, flags)
        if self.proto == _UDP:
            length = payload + 8
            total = words(self._addresses) + _UDP + 2 * length + self.sport + self.dport + _SUMS[payload]
            return _UDP_HEADER(self.sport, self.dport, length, folded(total) or 0xFFFF)
        kind = 0x0800 if self.answer is None or self.sport == 0 else 0
        count = self.packets & 0xFFFF
        return _ICMP_HEADER(kind, folded(kind + self.dport + count + _SUMS[payload]), self.dport, count)

    def _tcp(self, payload: int, flags: int) -> bytes:
        sequence = self.sequence
        assert self.answer is not None
        acknowledged = self.answer.sequence if flags & _ACK else 0
        if payload:
            flags |= _PSH
        self.sequence = (sequence + payload + (flags & _SYN) // _SYN) & 0xFFFFFFFF
        total = words(self._addresses) + _TCP + 32 + payload + self.sport + self.dport + (sequence >> 16)
        total += (sequence & 0xFFFF) + (acknowledged >> 16) + (acknowledged & 0xFFFF) + (0x8000 | flags) + 501
        total += 0x0101 + 0x080A + 1 + 2 + _SUMS[payload]
        return _TCP_HEADER(
            self.sport, self.dport, sequence, acknowledged, 0x8000 | flags, 501, folded(total), 0, 0x0101080A, 1, 2
        )


_IP = struct.Struct(">HHHHBBH").pack
_UDP_HEADER = struct.Struct(">HHHH").pack
_ICMP_HEADER = struct.Struct(">HHHH").pack
_TCP_HEADER = struct.Struct(">HHIIHHHHIII").pack


def _address(text: str) -> bytes:
    return bytes(map(int, text.split(".")))


def conversations(count: int, *, nodes: int = 2, port: int = 8472, vni: int = 1, seed: int = 1) -> list[Direction]:
    """So many conversations between pods 10.42.NODE.x of nodes 192.168.56.1…: one direction of each; the other is
    its ``answer``. Seven of ten are TCP, two UDP, one ICMP echo (``sport`` 0 asks, 1 answers; ``dport`` is the
    identifier)."""
    random = Random(seed)
    made = []
    for number in range(count):
        here, there = random.sample(range(nodes), 2)
        source = f"10.42.{here}.{2 + number % 50}"
        destination = f"10.42.{there}.{2 + number // 50 % 200}"
        proto = (_TCP, _TCP, _UDP, _TCP, _TCP, _ICMP, _TCP, _UDP, _TCP, _TCP)[number % 10]
        # Both ports follow from the number: no two conversations share a tuple.
        sport, dport = (0, number & 0xFFFF) if proto == _ICMP else (32768 + number % 28000, (80, 443, 9090)[number % 3])
        back = (1, dport) if proto == _ICMP else (dport, sport)
        outer = f"192.168.56.{here + 1}", f"192.168.56.{there + 1}"
        hashes = random.randrange(32768, 61000), random.randrange(32768, 61000)  # udp_flow_src_port()
        ask = Direction(source, destination, proto, sport, dport, *outer, hashes[0], vni, here).build(port)
        reply = Direction(destination, source, proto, *back, *outer[::-1], hashes[1], vni, there).build(port)
        ask.answer, reply.answer = reply, ask
        ask.sequence, reply.sequence = random.getrandbits(32), random.getrandbits(32)
        made.append(ask)
    return made


def frames(talks: list[Direction], *, size: int = 569, seed: int = 1) -> Iterator[tuple[int, int, bytes]]:
    """Without end: (time in nanoseconds, number of the sender's node, frame), in order of time.

    TCP begins with its handshake and then sends both ways, every byte once and acknowledged. ``size`` is the mean
    length of a frame: a tenth is of any length, the others are the shortest or the longest.
    """
    random = Random(seed).random
    whole = max(0.0, min(0.9, (size - LEAST - 0.1 * (MOST - LEAST) / 2) / (MOST - LEAST)))
    mixed = whole + 0.1 if size > LEAST else whole
    room = {_TCP: 1450 - 52, _UDP: 1450 - 28, _ICMP: 1450 - 28}
    least = {_TCP: 0, _UDP: 24, _ICMP: 24}
    at_ns = BEGIN_NS
    count = len(talks)
    while True:
        at_ns += 1000 * int(1 + random() * 20)
        talk = talks[int(random() * count)]
        answer = talk.answer
        assert answer is not None
        if talk.proto == _TCP and (talk.packets == 0 or answer.packets == 0 or talk.packets == 1):
            if talk.packets == 0:
                yield at_ns, talk.node, talk.frame(0, _SYN)
            elif answer.packets == 0:
                yield at_ns, answer.node, answer.frame(0, _SYN | _ACK)
            else:
                yield at_ns, talk.node, talk.frame(0)
            continue
        drawn = random()
        payload = least[talk.proto]
        if drawn < whole:
            payload = room[talk.proto]
        elif drawn < mixed:
            payload += int(random() * (room[talk.proto] - payload))
        sender = talk if random() < 0.5 else answer
        yield at_ns, sender.node, sender.frame(payload)


def write_pcap(path: Path, packets: Iterable[tuple[int, int, bytes]], *, snaplen: int = 262144) -> None:
    """Little-endian pcap of microseconds, link type Ethernet."""
    header = struct.Struct("<IIII").pack
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, snaplen, 1))
        for at_ns, _, frame in packets:
            seconds, rest = divmod(at_ns, 1_000_000_000)
            file.write(header(seconds, rest // 1000, min(len(frame), snaplen), len(frame)) + frame[:snaplen])


def write_pcapng(
    path: Path,
    packets: Iterable[tuple[int, int, bytes]],
    *,
    interfaces: tuple[str, ...] = ("eth0",),
    snaplen: int = 262144,
) -> None:
    """Little-endian pcapng of nanoseconds; a packet's interface is its sender's node, modulo their number."""
    header = struct.Struct("<IIIIIII").pack
    trailer = struct.Struct("<I").pack
    with path.open("wb") as file:
        file.write(struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28))
        for name in interfaces:
            option = struct.pack("<HH", 2, len(name)) + name.encode() + bytes(-len(name) % 4)
            body = struct.pack("<HHI", 1, 0, snaplen) + option + struct.pack("<HHB3xHH", 9, 1, 9, 0, 0)
            file.write(struct.pack("<II", 1, len(body) + 12) + body + struct.pack("<I", len(body) + 12))
        for at_ns, node, frame in packets:
            kept = frame[:snaplen]
            total = 32 + (len(kept) + 3) // 4 * 4
            file.write(
                header(6, total, node % len(interfaces), at_ns >> 32, at_ns & 0xFFFFFFFF, len(kept), len(frame))
                + kept
                + bytes(-len(kept) % 4)
                + trailer(total)
            )


def vxlan_capture(
    path: Path | str,
    packets: int = 200_000,
    flows: int = 200,
    size: int = 569,
    port: int = 8472,
    format: str = "pcap",
    seed: int = 1,
    *,
    nodes: int = 2,
    vni: int = 1,
    interfaces: tuple[str, ...] = ("eth0",),
    snaplen: int = 262144,
) -> list[Direction]:
    """Write a capture of VXLAN traffic; answer its flows, each with the packets and bytes that were written.

    ``flows`` counts directions, ``size`` is the mean frame (569, so that 200,000 packets are 117 MB of pcap; 0: all
    are as short as can be). The same arguments write the same bytes.
    """
    talks = conversations((flows + 1) // 2, nodes=nodes, port=port, vni=vni, seed=seed)
    chosen = islice(frames(talks, size=size, seed=seed), packets)
    if format == "pcap":
        write_pcap(Path(path), chosen, snaplen=snaplen)
    else:
        write_pcapng(Path(path), chosen, interfaces=interfaces, snaplen=snaplen)
    both = [direction for talk in talks for direction in (talk, talk.answer) if direction is not None]
    return [direction for direction in both if direction.packets]
