"""A frame, level by level: a level is one IP packet and the link-layer header before it, a tunnel leads to the next.

scapy decodes each header; which header is next is decided here, not by scapy's tables: a port is a tunnel's because a
device says so, a fragment has no transport header, and a frame may be cut or hostile anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from netfs.capture.probe.layers import layers
from netfs.model.packet import Encapsulation

ETHERNET_LIKE = frozenset({1, 772})
"""ARPHRD_ETHER, ARPHRD_LOOPBACK: frames begin with MAC addresses. Those of other devices begin with IP."""
VLAN_TAGS = frozenset({0x8100, 0x88A8, 0x9100})
IPV4, IPV6, TRANSPARENT_ETHERNET = 0x0800, 0x86DD, 0x6558
ICMP, IPIP, TCP, UDP, IPV6_IN_IP, GRE, ICMPV6 = 1, 4, 6, 17, 41, 47, 58
FRAGMENT_HEADER = 44
EXTENSION_HEADERS = frozenset({0, 43, 60, 135})
"""Hop-by-hop, routing, destination options, mobility: a next header and a length in units of 8 bytes (RFC 8200)."""
GENEVE_PORT = 6081
GPE_CARRIES = {1: IPV4, 2: IPV6, 3: TRANSPARENT_ETHERNET}
DEPTH = 4
"""Tunnels within tunnels that are looked into."""


class UndecodableError(ValueError):
    """Bytes that scapy makes nothing of."""


@dataclass(frozen=True, slots=True)
class Level:
    """One IP packet within a frame."""

    version: int
    """4 or 6."""
    src: str
    dst: str
    ttl: int
    """Time to live, IPv6's hop limit."""
    tos: int
    """Type of service, IPv6's traffic class."""
    protocol: int
    """Of what the packet carries, behind extension headers."""
    payload: bytes
    """Behind the IP header: as much of it as was captured, link-layer padding cut off."""
    size: int
    """Bytes of the whole packet, as its header says."""
    offset: int = 0
    """Bytes of payload that earlier fragments hold."""
    df: bool = True
    identification: int = 0
    """What the fragments of one packet share; 0: IPv6 that is not fragmented."""
    src_mac: str | None = None
    """None: no MAC addresses stand before it."""
    dst_mac: str | None = None

    @property
    def icmp(self) -> int:
        """The number of its version's ICMP."""
        return ICMP if self.version == 4 else ICMPV6


@dataclass(frozen=True, slots=True)
class Tunnelled:
    """What a tunnel's packet carries."""

    kind: str
    """``vxlan``, ``geneve``, ``ipip``, ``gre``."""
    vni: int
    """VXLAN's and Geneve's network identifier, GRE's key; 0: none."""
    sport: int | None
    dport: int
    ethertype: int
    """TRANSPARENT_ETHERNET: an Ethernet frame."""
    data: bytes


def levels(
    data: bytes, ethertype: int | None, tunnels: tuple[int, ...]
) -> Iterator[tuple[Level, Encapsulation | None]]:
    """The packets of a frame from the outermost on, each with the tunnels it lies in.

    ``ethertype`` as in ``level``; ``tunnels`` are the ports behind which VXLAN or Geneve is looked for. Raises
    UndecodableError.
    """
    outer: Encapsulation | None = None
    for _ in range(DEPTH + 1):
        current = level(data, ethertype)
        if current is None:
            return
        yield current, outer
        inside = unwrapped(current, tunnels)
        if inside is None:
            return
        outer = _encapsulation(current, inside, outer)
        data, ethertype = inside.data, inside.ethertype


def _encapsulation(level: Level, inside: Tunnelled, outer: Encapsulation | None) -> Encapsulation:
    return Encapsulation(
        kind=inside.kind,
        src=level.src,
        dst=level.dst,
        vni=inside.vni,
        sport=inside.sport,
        dport=inside.dport,
        ttl=level.ttl,
        src_mac=level.src_mac,
        dst_mac=level.dst_mac,
        outer=outer,
    )


def level(data: bytes, ethertype: int | None) -> Level | None:
    """The packet that ``data`` begins with; None where it is no IP, or its header was cut off.

    ``ethertype`` TRANSPARENT_ETHERNET: a MAC header comes first; None: IP, by its version.
    """
    macs: tuple[str | None, str | None] = None, None
    if ethertype == TRANSPARENT_ETHERNET:
        if len(data) < 14:
            return None
        header = decoded(layers().Ether, data[:14])
        macs, ethertype, data = (header.src, header.dst), header.type, data[14:]
        while ethertype in VLAN_TAGS and len(data) >= 4:
            ethertype, data = int.from_bytes(data[2:4]), data[4:]
    version = data[0] >> 4 if data else 0
    if version == 4 and ethertype in (IPV4, None):
        return _ipv4(data, *macs)
    if version == 6 and ethertype in (IPV6, None):
        return _ipv6(data, *macs)
    return None


def _ipv4(data: bytes, src_mac: str | None, dst_mac: str | None) -> Level | None:
    begins = (data[0] & 15) * 4
    if begins < 20 or len(data) < begins:
        return None
    ip = decoded(layers().IP, data[:20])
    length = ip.len
    size = max(length, begins) if length else len(data)
    return Level(
        version=4,
        src=ip.src,
        dst=ip.dst,
        ttl=ip.ttl,
        tos=ip.tos,
        protocol=ip.proto,
        payload=data[begins:size],
        size=size,
        offset=ip.frag * 8,
        df=bool(data[6] & 0x40),
        identification=ip.id,
        src_mac=src_mac,
        dst_mac=dst_mac,
    )


def _ipv6(data: bytes, src_mac: str | None, dst_mac: str | None) -> Level | None:
    if len(data) < 40:
        return None
    ip = decoded(layers().IPv6, data[:40])
    size = 40 + ip.plen
    protocol, offset, identification, payload = ip.nh, 0, 0, data[40:size]
    while protocol in EXTENSION_HEADERS or protocol == FRAGMENT_HEADER:
        if len(payload) < 8:
            return None
        length = 8
        if protocol == FRAGMENT_HEADER:
            offset, identification = int.from_bytes(payload[2:4]) & 0xFFF8, int.from_bytes(payload[4:8])
        else:
            length += payload[1] * 8
        protocol, payload = payload[0], payload[length:]
        if offset:
            break
    return Level(
        version=6,
        src=ip.src,
        dst=ip.dst,
        ttl=ip.hlim,
        tos=ip.tc,
        protocol=protocol,
        payload=payload,
        size=size,
        offset=offset,
        identification=identification,
        src_mac=src_mac,
        dst_mac=dst_mac,
    )


def unwrapped(outer: Level, ports: tuple[int, ...]) -> Tunnelled | None:
    """What a packet carries where it is a tunnel's: VXLAN and Geneve behind one of ``ports``, IPIP, GRE."""
    if outer.offset:
        return None
    payload = outer.payload
    if outer.protocol == IPIP:
        return Tunnelled("ipip", 0, None, 0, IPV4, payload)
    if outer.protocol == IPV6_IN_IP:
        return Tunnelled("ipip", 0, None, 0, IPV6, payload)
    if outer.protocol == GRE:
        return _gre(payload)
    if outer.protocol != UDP or len(payload) < 16:
        return None
    sport, dport = int.from_bytes(payload[:2]), int.from_bytes(payload[2:4])
    if dport not in ports:
        return None
    return (_geneve if dport == GENEVE_PORT else _vxlan)(sport, dport, payload[8:])


def _vxlan(sport: int, dport: int, data: bytes) -> Tunnelled | None:
    """RFC 7348: its flag I says that a VNI is there. Where the flag P of its generic protocol extension is set, a
    field says what is carried (draft-ietf-nvo3-vxlan-gpe).
    """
    if not data[0] & 0x08 or (data[0] & 0x84) == 0x84:
        return None
    header = decoded(layers().VXLAN, data[:8])
    carried = GPE_CARRIES.get(header.NextProtocol) if data[0] & 0x04 else TRANSPARENT_ETHERNET
    if carried is None:
        return None
    return Tunnelled("vxlan", header.vni, sport, dport, carried, data[8:])


def _geneve(sport: int, dport: int, data: bytes) -> Tunnelled | None:
    """RFC 8926: options of 4 bytes each stand behind the header."""
    if data[0] >> 6:
        return None
    options = (data[0] & 0x3F) * 4
    header = decoded(layers().GENEVE, bytes([0]) + data[1:8])
    return Tunnelled("geneve", header.vni, sport, dport, header.proto, data[8 + options :])


def _gre(data: bytes) -> Tunnelled | None:
    """RFC 2784 and 2890: checksum, key and sequence number are there where their bits say so."""
    if len(data) < 4 or data[1] & 7 or data[0] & 0x40:
        return None
    length = 4 + 4 * sum(bool(data[0] & bit) for bit in (0x80, 0x20, 0x10))
    if len(data) < length:
        return None
    header = decoded(layers().GRE, data[:length])
    key = header.key if header.key_present else 0
    return Tunnelled("gre", key, None, 0, header.proto, data[length:])


def decoded(kind: Any, data: bytes) -> Any:
    """One header of scapy's, without what scapy would guess to be behind it. Raises UndecodableError."""
    header = kind()
    try:
        header.do_dissect(data)
    except Exception as error:  # scapy raises what it likes; the bytes are anybody's
        raise UndecodableError from error
    return header
