"""The slow and obvious way to tell a packet's flow: one packet, one byte after the other, without numpy.

What ``netfs.capture.flows`` does by columns is held against it. It follows the RFCs by itself and shares no code.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

LEVELS = 5
NAMES = {1: "icmp", 2: "igmp", 4: "ipip", 6: "tcp", 17: "udp", 33: "dccp", 41: "ipv6", 47: "gre", 50: "esp", 51: "ah"}
NAMES |= {58: "icmpv6", 89: "ospf", 103: "pim", 112: "vrrp", 132: "sctp", 136: "udplite"}
PORTED = {6, 17, 33, 132, 136}


class ShortError(Exception):
    """The packet was cut before its flow could be told."""


@dataclass(frozen=True)
class Outer:
    kind: str
    src: str
    dst: str
    vni: int | None
    dport: int | None


@dataclass(frozen=True)
class Segment:
    sequence: int
    length: int
    syn: bool


@dataclass(frozen=True)
class Piece:
    """A fragment: the level at which it is one, what its datagram is known by, whether it is the first."""

    level: int
    datagram: tuple[object, ...]
    first: bool


@dataclass
class Told:
    """What one packet tells."""

    src: str = ""
    dst: str = ""
    proto: str = ""
    sport: int | None = None
    dport: int | None = None
    tunnels: list[Outer] = field(default_factory=list)
    vlans: list[int] = field(default_factory=list)
    ttl: int | None = None
    pieces: list[Piece] = field(default_factory=list)
    flags: int = 0
    segment: Segment | None = None
    echo: str = ""
    error: tuple[int, int] | None = None

    @property
    def tuple(self) -> tuple[object, ...]:
        return (self.src, self.dst, self.proto, self.sport, self.dport, tuple(self.tunnels), tuple(self.vlans))


def told(packet: bytes, *, wire: int | None = None, linktype: int = 1, ports: Collection[int] = ()) -> Told | None:
    """What a packet tells; None: too little of it was captured."""
    walk = _Walk(packet, len(packet) if wire is None else wire, {4789, 8472, *ports})
    try:
        walk.link(linktype)
    except ShortError:
        return None
    return walk.told


class _Walk:
    def __init__(self, packet: bytes, wire: int, ports: Collection[int]) -> None:
        self.packet = packet
        self.wire = wire
        self.ports = ports
        self.told = Told()

    def bytes(self, at: int, size: int) -> bytes:
        if at + size > len(self.packet):
            raise ShortError
        return self.packet[at : at + size]

    def number(self, at: int, size: int) -> int:
        return int.from_bytes(self.bytes(at, size), "big")

    def link(self, linktype: int) -> None:
        if linktype == 1:
            self.ethernet(0)
        elif linktype == 113:
            self.bytes(0, 16)
            self.typed(16, self.number(14, 2), self.cooked_mac(4, 2, 6), "")
        elif linktype == 276:
            self.bytes(0, 20)
            self.typed(20, self.number(0, 2), self.cooked_mac(11, 1, 12), "")
        elif linktype in {101, 12, 14, 228, 229, 0, 108}:
            at = 4 if linktype in {0, 108} else 0
            self.bytes(0, at)
            if not self.ip(at, {4, 6}):
                self.told.proto = f"link{linktype}"
        else:
            self.told.proto = f"link{linktype}"

    def cooked_mac(self, length_at: int, length_size: int, at: int) -> str:
        if self.number(length_at, length_size) != 6 or not any(self.packet[at : at + 6]):
            return ""
        return self.packet[at : at + 6].hex(":")

    def ethernet(self, at: int) -> None:
        head = self.bytes(at, 14)
        kind = self.number(at + 12, 2)
        target, source = ((mac.hex(":") if any(mac) else "") for mac in (head[:6], head[6:12]))
        self.typed(at + 14, kind if kind >= 0x600 else 4, source, target)

    def typed(self, at: int, kind: int, source: str, target: str) -> None:
        tags = 0
        while kind in {0x8100, 0x88A8, 0x9100} and tags < 4:
            self.told.vlans.append(self.number(at, 2) & 0xFFF)
            kind = self.number(at + 2, 2)
            at += 4
            tags += 1
        if kind == 0x0806:
            body = self.bytes(at, 28)
            if body[:6] == b"\x00\x01\x08\x00\x06\x04":
                self.told.src = str(ipaddress.IPv4Address(body[14:18]))
                self.told.dst = str(ipaddress.IPv4Address(body[24:28]))
                self.told.proto = "arp"
                return
        if kind in {0x0800, 0x86DD} and self.ip(at, {4 if kind == 0x0800 else 6}):
            return
        self.told.src, self.told.dst, self.told.proto = source, target, f"0x{kind:04x}"

    def ip(self, at: int, allowed: set[int]) -> bool:
        """False: it is none."""
        first = self.number(at, 1)
        version = first >> 4
        if version not in allowed or (version == 4 and first & 15 < 5):
            return False
        if version == 4:
            self.ipv4(at)
        else:
            self.ipv6(at)
        return True

    def ipv4(self, at: int) -> None:
        head = self.bytes(at, 20)
        self.told.src, self.told.dst = (str(ipaddress.IPv4Address(head[n : n + 4])) for n in (12, 16))
        self.told.ttl = head[8]
        stated = int.from_bytes(head[2:4], "big")
        stop = at + stated if stated else self.wire
        where = int.from_bytes(head[6:8], "big")
        proto = head[9]
        if where & 0x3FFF and self.piece(where & 0x1FFF, bool(where & 0x2000), (head[4:6], proto)):
            self.told.proto = NAMES.get(proto, str(proto))
            return
        self.extended(at + (head[0] & 15) * 4, proto, stop, {51}, 4)

    def ipv6(self, at: int) -> None:
        head = self.bytes(at, 40)
        self.told.src, self.told.dst = (_ipv6_text(head[n : n + 16]) for n in (8, 24))
        self.told.ttl = head[7]
        stated = int.from_bytes(head[4:6], "big")
        stop = at + 40 + stated if stated else self.wire
        self.extended(at + 40, head[6], stop, {0, 43, 44, 51, 60}, 6)

    def extended(self, at: int, proto: int, stop: int, known: set[int], version: int) -> None:
        for _ in range(8):
            if proto not in known:
                break
            head = self.bytes(at, 8)
            before, proto = proto, head[0]
            at += 8 if before == 44 else (head[1] + 2) * 4 if before == 51 else (head[1] + 1) * 8
            if before == 44:
                where = int.from_bytes(head[2:4], "big")
                if (where & ~6) and self.piece(where >> 3, bool(where & 1), (head[4:8], proto)):
                    self.told.proto = NAMES.get(proto, str(proto))
                    return
        self.transport(at, proto, stop, version)

    def piece(self, offset: int, more: bool, identity: tuple[object, ...]) -> bool:
        """Whether it is a fragment without a transport header."""
        about = (tuple(self.told.tunnels), tuple(self.told.vlans), self.told.src, self.told.dst, *identity)
        if offset or more:
            self.told.pieces.append(Piece(len(self.told.tunnels), about, first=not offset))
        return bool(offset)

    def transport(self, at: int, proto: int, stop: int, version: int) -> None:
        deeper = len(self.told.tunnels) < LEVELS - 1
        if proto in PORTED:
            sport, dport = self.number(at, 2), self.number(at + 2, 2)
            if proto == 17 and deeper and (dport in self.ports or dport == 6081) and self.udp_tunnel(at, dport):
                return
            self.told.sport, self.told.dport = sport, dport
            if proto == 6:
                self.tcp(at, stop)
        elif proto in {4, 41} and deeper:
            if self.enter("ipip", None, None, at, 0x0800 if proto == 4 else 0x86DD):
                return
        elif proto == 47 and deeper:
            if self.gre(at):
                return
        elif proto == (1 if version == 4 else 58) and at + 8 <= len(self.packet):
            self.icmp(at, version)
        self.told.proto = NAMES.get(proto, str(proto))

    def tcp(self, at: int, stop: int) -> None:
        if at + 14 > len(self.packet):
            return
        self.told.flags = flags = self.packet[at + 13]
        length = max(stop - at - (self.packet[at + 12] >> 4) * 4, 0) + (flags >> 1 & 1) + (flags & 1)
        if length:
            self.told.segment = Segment(self.number(at + 4, 4), length, bool(flags & 2))

    def icmp(self, at: int, version: int) -> None:
        kind = self.packet[at]
        names = {8: "request", 0: "reply"} if version == 4 else {128: "request", 129: "reply"}
        self.told.echo = names.get(kind, "")
        if kind in {3, 4, 5, 11, 12} if version == 4 else 0 < kind < 128:
            self.told.error = kind, self.packet[at + 1]

    def udp_tunnel(self, at: int, dport: int) -> bool:
        stated = int.from_bytes(self.bytes(at, 8)[4:6], "big")
        if 0 < stated < 36:
            return False
        head = self.bytes(at + 8, 8)
        vni = int.from_bytes(head[4:7], "big")
        if dport != 6081:
            return bool(head[0] & 8) and self.enter("vxlan", vni, dport, at + 16, 0x6558)
        kind = int.from_bytes(head[2:4], "big") if head[0] >> 6 == 0 else 0
        return self.enter("geneve", vni, dport, at + 16 + (head[0] & 63) * 4, kind)

    def gre(self, at: int) -> bool:
        flags, kind = self.number(at, 2), self.number(at + 2, 2)
        if flags & 0x4007 or kind not in {0x6558, 0x0800, 0x86DD}:
            return False
        at += 4 + 4 * bool(flags & 0x8000)
        key = None
        if flags & 0x2000:
            key = self.number(at, 4)
            at += 4
        return self.enter("gre", key, None, at + 4 * bool(flags & 0x1000), kind)

    def enter(self, kind: str, vni: int | None, dport: int | None, at: int, carried: int) -> bool:
        if carried not in {0x6558, 0x0800, 0x86DD}:
            return False
        if carried != 0x6558:
            first = self.number(at, 1)
            if first >> 4 != (4 if carried == 0x0800 else 6) or (first >> 4 == 4 and first & 15 < 5):
                return False
        self.told.tunnels.append(Outer(kind, self.told.src, self.told.dst, vni, dport))
        self.told.ttl = self.told.ttl if carried == 0x6558 else None
        if carried == 0x6558:
            self.ethernet(at)
        else:
            self.ip(at, {4, 6})
        return True


def _ipv6_text(address: bytes) -> str:
    value = ipaddress.IPv6Address(address)
    # glibc writes these two forms with dots (RFC 5952 section 5), Python 3.11 does not.
    if address[:10] == bytes(10) and address[10:12] == b"\xff\xff":
        return f"::ffff:{ipaddress.IPv4Address(address[12:])}"
    if address[:12] == bytes(12) and int.from_bytes(address[12:], "big") > 0xFFFF:
        return f"::{ipaddress.IPv4Address(address[12:])}"
    return str(value)


def sequence(segments: Iterable[Segment]) -> tuple[int, int]:
    """(retransmissions, gaps) of one direction at one tap, byte by byte; without wrap-around."""
    seen: set[int] = set()
    highest: int | None = None
    last_syn: int | None = None
    again = gaps = 0
    for segment in segments:
        if segment.syn and segment.sequence != last_syn:
            seen, highest, last_syn = set(), None, segment.sequence
        numbers = range(segment.sequence, segment.sequence + segment.length)
        if highest is None:
            # What was before the first segment cannot be known to be new.
            seen = set()
            base = segment.sequence
        elif segment.sequence > highest:
            gaps += 1
        if highest is not None and all(number in seen or number < base for number in numbers):
            again += 1
        seen |= set(numbers)
        highest = max(highest or 0, segment.sequence + segment.length)
    return again, gaps
