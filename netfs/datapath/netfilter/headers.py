"""The header fields of a packet: by name (``ip saddr``, ``tcp dport``), and by place (``@nh,96,32``).

Mirrors ``nft_payload_eval`` and ``nft_exthdr_eval`` (net/netfilter), and the dependencies that nft itself adds before
a field: ``tcp dport`` implies ``meta l4proto tcp``. A packet here has no IP options and no extension headers.
"""

from __future__ import annotations

from typing import TypeAlias

from netfs.datapath.netfilter.datatypes import PROTOCOLS, SYMBOLS, icmp_header, protocol_number, tcp_flag_bits
from netfs.datapath.netfilter.elements import Unknown
from netfs.datapath.netfilter.records import Option, Payload, Raw
from netfs.datapath.netfilter.values import ARP, NO_MATCH, NoMatch, or_unknown
from netfs.model import ip
from netfs.model.packet import Packet

Field: TypeAlias = "int | Unknown | NoMatch"

Part: TypeAlias = "tuple[str, int, int | None]"
"""One field of a header: its name, its bits, its value (None: not known)."""

DONT_FRAGMENT = 0x4000


def payload_field(payload: Payload, packet: Packet) -> Field:
    """A header field by its name."""
    protocol, field = payload.protocol, payload.field
    if protocol == "ether":
        return _named(_ethernet(packet), field, "ether")
    if packet.proto == ARP:
        return _named(_arp(packet), field, "arp") if protocol == "arp" else NO_MATCH
    if protocol in ("arp", "vlan"):
        return NO_MATCH
    if protocol in ("ip", "ip6"):
        if (protocol == "ip6") != (packet.family == 6):
            return NO_MATCH
        if field in ("saddr", "daddr"):
            return ip.to_int(packet.src if field == "saddr" else packet.dst)
        return _named(_network(packet), field, protocol)
    number = protocol_number(packet)
    if protocol != "th":
        if number is None:
            return Unknown(f"protocol {packet.proto} is not known")
        if number != PROTOCOLS.get(protocol):
            return NO_MATCH
        if protocol in ("icmp", "icmpv6") and (protocol == "icmpv6") != (packet.family == 6):
            return NO_MATCH
    if number in (1, 58) and protocol == "th":
        return _slice(_transport(packet), 0 if field == "sport" else 16, 16, f"th {field}")
    if field in ("sport", "dport"):
        return or_unknown(packet.sport if field == "sport" else packet.dport, f"{protocol} {field}")
    return _named(_transport(packet), field, protocol)


def raw_field(raw: Raw, packet: Packet) -> Field:
    """Bits of a header, wherever they lie."""
    name = f"@{raw.base},{raw.offset},{raw.length}"
    match raw.base:
        case "ll":
            return _slice(_ethernet(packet), raw.offset, raw.length, name)
        case "nh":
            header = _arp(packet) if packet.proto == ARP else _network(packet)
            return _slice(header, raw.offset, raw.length, name)
        case "th" if packet.proto != ARP:
            return _slice(_transport(packet), raw.offset, raw.length, name)
    return Unknown(f"{name} of the packet is not known")


def option_field(option: Option, packet: Packet) -> Field:
    """An option or extension header: one that a packet here cannot have is missing."""
    number = None if packet.proto == ARP else protocol_number(packet)
    match option.protocol:
        case "ip" | "ip6":
            if packet.proto == ARP or (option.protocol == "ip6") != (packet.family == 6):
                return NO_MATCH
        case "tcp":
            if number is None:
                return Unknown(f"protocol {packet.proto} is not known")
            if number == PROTOCOLS["tcp"]:
                return Unknown(f"the tcp options of the packet are not known ({option.name})")
            return NO_MATCH
        case _:
            if number is None or number == PROTOCOLS.get(option.protocol):
                return Unknown(f"{option.protocol} {option.name} of the packet is not known")
            return NO_MATCH
    return 0 if option.field is None else NO_MATCH


def _named(header: tuple[Part, ...], field: str, protocol: str) -> Field:
    value = next((value for name, _, value in header if name == field), None)
    return or_unknown(value, f"{protocol} {field}")


def _slice(header: tuple[Part, ...], offset: int, length: int, name: str) -> Field:
    """Bits ``offset`` to ``offset + length``; unknown where one of them is."""
    found, at, end = 0, 0, offset + length
    for _, bits, value in header:
        first, last = max(at, offset), min(at + bits, end)
        if first < last:
            if value is None:
                return Unknown(f"{name} of the packet is not known")
            piece = value >> (at + bits - last) & ((1 << (last - first)) - 1)
            found = found << (last - first) | piece
        at += bits
    return found if at >= end else Unknown(f"{name} of the packet is not known")


def _ethernet(packet: Packet) -> tuple[Part, ...]:
    kind = SYMBOLS["ether_type"]["arp" if packet.proto == ARP else "ip6" if packet.family == 6 else "ip"]
    return ("daddr", 48, _mac(packet.dst_mac)), ("saddr", 48, _mac(packet.src_mac)), ("type", 16, kind)


def _mac(text: str | None) -> int | None:
    try:
        return None if text is None else int(text.replace(":", ""), 16)
    except ValueError:
        return None


def _arp(packet: Packet) -> tuple[Part, ...]:
    """RFC 826, over Ethernet for IPv4. Whether it asks or answers, a packet here does not tell."""
    return (
        ("htype", 16, 1),
        ("ptype", 16, SYMBOLS["ether_type"]["ip"]),
        ("hlen", 8, 6),
        ("plen", 8, 4),
        ("operation", 16, None),
        ("saddr ether", 48, _mac(packet.src_mac)),
        ("saddr ip", 32, ip.to_int(packet.src)),
        ("daddr ether", 48, None),
        ("daddr ip", 32, ip.to_int(packet.dst)),
    )


def _network(packet: Packet) -> tuple[Part, ...]:
    number = protocol_number(packet)
    dscp: tuple[Part, Part] = (("dscp", 6, packet.tos >> 2), ("ecn", 2, packet.tos & 3))
    source, target = ip.to_int(packet.src), ip.to_int(packet.dst)
    if packet.family == 6:
        return (
            ("version", 4, 6),
            *dscp,
            ("flowlabel", 20, None),
            ("length", 16, packet.size - 40),
            ("nexthdr", 8, number),
            ("hoplimit", 8, packet.ttl),
            ("saddr", 128, source),
            ("daddr", 128, target),
        )
    return (
        ("version", 4, 4),
        ("hdrlength", 4, 5),
        *dscp,
        ("length", 16, packet.size),
        ("id", 16, None),
        ("frag-off", 16, DONT_FRAGMENT if packet.df else 0),
        ("ttl", 8, packet.ttl),
        ("protocol", 8, number),
        ("checksum", 16, None),
        ("saddr", 32, source),
        ("daddr", 32, target),
    )


def _transport(packet: Packet) -> tuple[Part, ...]:
    number = protocol_number(packet)
    if number in (1, 58):
        message, code = icmp_header(packet)
        return ("type", 8, message), ("code", 8, code), ("checksum", 16, None)
    ports: tuple[Part, Part] = (("sport", 16, packet.sport), ("dport", 16, packet.dport))
    if number == PROTOCOLS["udp"]:
        return *ports, ("length", 16, packet.size - (40 if packet.family == 6 else 20)), ("checksum", 16, None)
    if number != PROTOCOLS["tcp"]:
        return ports
    return (
        *ports,
        ("sequence", 32, None),
        ("ackseq", 32, None),
        ("doff", 4, None),
        ("reserved", 4, 0),
        ("flags", 8, tcp_flag_bits(packet)),
        ("window", 16, None),
        ("checksum", 16, None),
        ("urgptr", 16, None),
    )
