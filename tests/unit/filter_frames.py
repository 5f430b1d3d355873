"""Random frames of every shape that a filter looks into, made by scapy: tunnels in tunnels, tags, options, fragments,
quotations; and what a kernel cannot know from a reference: the same frames cut off and damaged."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from random import Random
from types import SimpleNamespace
from typing import Any

MACS = ("02:00:00:00:00:0a", "02:00:00:00:00:0b", "02:42:0a:f4:01:02")
HOSTS = {
    4: ("10.244.1.2", "10.244.2.2", "10.245.0.9", "192.168.52.11"),
    6: ("fd00:244:1::2", "fd00:244:2::2", "fd01::1"),
}
PORTS = (53, 80, 443, 8080, 40000, 4789, 6081, 8472)
VNIS = (1, 2, 0xFFFFFF)
TAGS = (1, 5, 4095)
PLAIN, NO_LINK, LOOPBACK = 1, 65534, 772
PORT_OF = {"vxlan": (4789, 8472), "geneve": (6081,)}


@dataclass(frozen=True, slots=True)
class Made:
    data: bytes
    hatype: int
    marked: bool
    """A probe lies in it, whole, where a program for its marker has to find it."""


@cache
def kit() -> SimpleNamespace:
    """scapy's layers, without what it says when it is imported."""
    logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
    from scapy.contrib.geneve import GENEVE
    from scapy.layers import inet, inet6, l2, sctp, vxlan
    from scapy.packet import Raw

    return SimpleNamespace(inet=inet, inet6=inet6, l2=l2, sctp=sctp, VXLAN=vxlan.VXLAN, GENEVE=GENEVE, Raw=Raw)


Leaf = Callable[[Random, int], tuple[bytes, int, bool]]
"""Makes a transport header and payload for a family: bytes, the protocol's number, whether it is a probe."""


def any_leaf(rng: Random, family: int) -> tuple[bytes, int, bool]:
    """Traffic of the kind a node is full of."""
    k = kit()
    payload = k.Raw(rng.randbytes(rng.choice((0, 1, 20, 64))))
    sport, dport = rng.choice(PORTS), rng.choice(PORTS)
    kind = rng.choice(("tcp", "udp", "icmp", "sctp", "other"))
    if kind == "tcp":
        fields = {
            "seq": rng.getrandbits(32),
            "ack": rng.getrandbits(32),
            "flags": rng.choice(("S", "SA", "A", "RA", "R")),
        }
        return bytes(k.inet.TCP(sport=sport, dport=dport, **fields) / payload), 6, False
    if kind == "udp":
        return bytes(k.inet.UDP(sport=sport, dport=dport) / payload), 17, False
    if kind == "sctp":
        return bytes(k.sctp.SCTP(sport=sport, dport=dport)), 132, False
    if kind == "icmp":
        echo = k.inet.ICMP(type=rng.choice((0, 8, 9))) if family == 4 else k.inet6.ICMPv6EchoRequest()
        return bytes(echo / payload), 1 if family == 4 else 58, False
    return rng.randbytes(24), rng.choice((0, 2, 50, 60, 89, 200) if family == 4 else (2, 50, 59, 89, 200)), False


class Maker:
    """Makes frames with a leaf inside, by chance."""

    def __init__(self, rng: Random, leaf: Leaf = any_leaf, *, vlans: bool = True, extensions: bool = True) -> None:
        self._rng = rng
        self._leaf = leaf
        self._vlans = vlans
        self._extensions = extensions

    def frame(self, depth: int) -> Made:
        """A frame with ``depth`` tunnels and quotations in each other at most."""
        hatype = self._rng.choice((PLAIN, PLAIN, LOOPBACK, NO_LINK))
        data, marked = self._network(depth)[:2] if hatype == NO_LINK else self._link(depth)
        return Made(data, hatype, marked)

    def _link(self, depth: int) -> tuple[bytes, bool]:
        k, rng = kit(), self._rng
        header = k.l2.Ether(src=rng.choice(MACS), dst=rng.choice(MACS))
        for _ in range(rng.choice((0, 0, 0, 1, 2)) if self._vlans else 0):
            header = header / rng.choice((k.l2.Dot1Q, k.l2.Dot1AD))(vlan=rng.choice(TAGS), prio=rng.randrange(8))
        if rng.random() < 0.1:
            arp = k.l2.ARP(hwsrc=MACS[0], hwdst=MACS[1], psrc=rng.choice(HOSTS[4]), pdst=rng.choice(HOSTS[4]))
            return bytes(header / arp), False
        if rng.random() < 0.05:
            header.lastlayer().type = 0x88CC
            return bytes(header / k.Raw(rng.randbytes(30))), False
        data, marked, family = self._network(depth)
        header.lastlayer().type = 0x0800 if family == 4 else 0x86DD
        return bytes(header / k.Raw(data)), marked

    def _network(self, depth: int) -> tuple[bytes, bool, int]:
        rng = self._rng
        family = rng.choice((4, 4, 6))
        payload, proto, marked = self._transport(depth, family)
        offset = rng.choice((0,) * 8 + (1, 2, 4))
        if 8 * offset >= len(payload):
            offset = 0
        more = rng.random() < 0.1
        make = self._ipv4 if family == 4 else self._ipv6
        data, followed = make(payload[8 * offset :], proto, offset, more)
        return data, marked and not offset and followed, family

    def _ipv4(self, payload: bytes, proto: int, offset: int, more: bool) -> tuple[bytes, bool]:
        k, rng = kit(), self._rng
        options = [k.inet.IPOption(b"\x01" * (4 * rng.randrange(1, 11)))] if rng.random() < 0.2 else []
        header = k.inet.IP(
            src=rng.choice(HOSTS[4]),
            dst=rng.choice(HOSTS[4]),
            proto=proto,
            frag=offset,
            flags="MF" if more else rng.choice(("", "DF")),
            options=options,
        )
        return bytes(header / k.Raw(payload)), True

    def _ipv6(self, payload: bytes, proto: int, offset: int, more: bool) -> tuple[bytes, bool]:
        """With more than three extension headers, nobody follows them."""
        k, rng = kit(), self._rng
        packet = k.Raw(payload)
        following, headers = proto, 0
        if self._extensions:
            if offset or more or rng.random() < 0.1:
                packet = k.inet6.IPv6ExtHdrFragment(nh=following, offset=offset, m=int(more), id=7) / packet
                following, headers = 44, 1
            if rng.random() < 0.15:
                size = rng.choice((6, 14))
                options = [k.inet6.PadN(optdata=bytes(size - 2))]
                packet = k.inet6.IPv6ExtHdrDestOpt(nh=following, options=options, autopad=0) / packet
                following, headers = 60, headers + 1
            for number, header in (
                (60, k.inet6.IPv6ExtHdrDestOpt),
                (43, k.inet6.IPv6ExtHdrRouting),
                (0, k.inet6.IPv6ExtHdrHopByHop),
            ):
                if rng.random() < 0.15:
                    packet = header(nh=following) / packet
                    following, headers = number, headers + 1
        header = k.inet6.IPv6(src=rng.choice(HOSTS[6]), dst=rng.choice(HOSTS[6]), nh=following)
        return bytes(header / packet), headers <= 3

    def _transport(self, depth: int, family: int) -> tuple[bytes, int, bool]:
        if depth == 0 or self._rng.random() < 0.2:
            return self._leaf(self._rng, family)
        kind = self._rng.choice(("vxlan", "vxlan", "geneve", "ipip", "gre", "quotation"))
        made: tuple[bytes, int, bool] = getattr(self, f"_{kind}")(depth - 1, family)
        return made

    def _udp(self, kind: str, payload: Any) -> bytes:
        header = kit().inet.UDP(sport=self._rng.choice(PORTS), dport=self._rng.choice(PORT_OF[kind]), chksum=0)
        return bytes(header / payload)

    def _vxlan(self, depth: int, _family: int) -> tuple[bytes, int, bool]:
        k, rng = kit(), self._rng
        data, marked = self._link(depth)
        valid = rng.random() < 0.95
        header = k.VXLAN(flags=0x08 if valid else 0, vni=rng.choice(VNIS))
        return self._udp("vxlan", header / k.Raw(data)), 17, marked and valid

    def _geneve(self, depth: int, _family: int) -> tuple[bytes, int, bool]:
        k, rng = kit(), self._rng
        data, marked, proto = self._carried(depth)
        size = rng.choice((0, 0, 1, 5, 63))
        header = bytes([size, 0]) + proto.to_bytes(2) + rng.choice(VNIS).to_bytes(3) + bytes(1 + 4 * size)
        return self._udp("geneve", k.Raw(header + data)), 17, marked

    def _carried(self, depth: int) -> tuple[bytes, bool, int]:
        """A frame or a packet, and its ethertype."""
        if self._rng.random() < 0.5:
            return (*self._link(depth), 0x6558)
        data, marked, family = self._network(depth)
        return data, marked, 0x0800 if family == 4 else 0x86DD

    def _ipip(self, depth: int, _family: int) -> tuple[bytes, int, bool]:
        data, marked, family = self._network(depth)
        return data, 4 if family == 4 else 41, marked

    def _gre(self, depth: int, _family: int) -> tuple[bytes, int, bool]:
        k, rng = kit(), self._rng
        data, marked, proto = self._carried(depth)
        bits = {"chksum_present": rng.randrange(2), "key_present": rng.randrange(2), "seqnum_present": rng.randrange(2)}
        header = k.l2.GRE(proto=proto, key=7 if bits["key_present"] else None, **bits)
        return bytes(header / k.Raw(data)), 47, marked

    def _quotation(self, depth: int, family: int) -> tuple[bytes, int, bool]:
        """An ICMP error about a packet (RFC 792, RFC 4443)."""
        rng = self._rng
        data, marked, _ = self._network(depth)
        quoted = data[: rng.choice((28, 548, 548, 548))]
        kind = rng.choice((3, 4, 5, 11, 12) if family == 4 else (1, 2, 3, 4))
        header = bytes([kind, 0]) + rng.randbytes(2) + bytes(4)
        return header + quoted, 1 if family == 4 else 58, marked and len(quoted) == len(data)


def damaged(rng: Random, data: bytes) -> bytes:
    """Cut off, or with bytes changed."""
    if rng.random() < 0.6:
        return data[: rng.randrange(len(data) + 1)]
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        if changed:
            changed[rng.randrange(min(len(changed), 80))] = rng.choice(
                (0, 4, 6, 17, 0x45, 0x60, 0xFF, rng.randrange(256))
            )
    return bytes(changed)


def shapes() -> list[Made]:
    """One small frame for each way that a header can lead to the next, a TCP segment to port 80 innermost."""
    k = kit()
    segment = k.inet.TCP(sport=40000, dport=80, seq=5, flags="S")
    ether = k.l2.Ether(src=MACS[0], dst=MACS[1])
    four = k.inet.IP(src=HOSTS[4][0], dst=HOSTS[4][1])
    six = k.inet6.IPv6(src=HOSTS[6][0], dst=HOSTS[6][1])
    outer = k.inet.IP(src="192.168.52.11", dst="192.168.52.12", options=[k.inet.IPOption(b"\x01" * 4)])
    extended = six / k.inet6.IPv6ExtHdrHopByHop() / k.inet6.IPv6ExtHdrDestOpt() / k.inet6.IPv6ExtHdrFragment()
    tagged = ether / k.l2.Dot1AD(vlan=7) / k.l2.Dot1Q(vlan=5)
    geneve = bytes([1, 0, 0x65, 0x58, 0, 0, 1, 0, 1, 2, 3, 0])
    in_vxlan = ether / outer / k.inet.UDP(sport=5, dport=4789) / k.VXLAN(flags=8, vni=1) / ether
    made = [
        k.l2.Ether(src=MACS[0], dst=MACS[1], type=0x88CC) / k.Raw(bytes(10)),
        in_vxlan / outer / four / segment,
        in_vxlan
        / outer
        / k.inet.UDP(sport=5, dport=6081)
        / k.Raw(geneve[:6] + b"\2" + geneve[7:] + bytes(ether / four / segment)),
        in_vxlan / outer / k.inet.UDP(sport=5, dport=8472) / k.VXLAN(flags=8, vni=2) / ether / six / segment,
        ether / outer / outer / outer / four / segment,
        ether / outer / outer / outer / outer / four / segment,
        ether / k.l2.ARP(hwsrc=MACS[0], psrc=HOSTS[4][0], pdst=HOSTS[4][1]),
        ether / outer / k.inet.UDP(sport=5, dport=8472) / k.VXLAN(flags=8, vni=1) / tagged / four / segment,
        ether / six / k.inet.UDP(sport=5, dport=6081) / k.Raw(geneve + bytes(ether / extended / segment)),
        ether
        / outer
        / k.inet.UDP(sport=5, dport=6081)
        / k.Raw(geneve[:2] + b"\x08\0" + geneve[4:] + bytes(four / segment)),
        ether / outer / k.l2.GRE(key_present=1, key=7, seqnum_present=1, chksum_present=1) / ether / four / segment,
        ether / outer / k.l2.GRE(proto=0x86DD) / six / segment,
        ether / outer / four / segment,
        ether / outer / six / segment,
        ether / outer / k.inet.ICMP(type=11) / k.Raw(bytes(outer / segment)),
        ether / six / k.inet6.ICMPv6PacketTooBig() / k.Raw(bytes(extended / segment)),
    ]
    return [Made(bytes(each), PLAIN, marked=False) for each in made]


def nearly(data: bytes) -> list[bytes]:
    """The frame cut at every length, and with every one of its bits turned over."""
    cuts = [data[:size] for size in range(len(data) + 1)]
    turned = [data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :] for at in range(len(data)) for bit in range(8)]
    return cuts + turned
