"""What an expression yields for one packet: a value, nothing (the rule does not match), or unknown.

Mirrors ``nft_payload_eval``, ``nft_meta_get_eval``, ``nft_ct_get_eval`` (net/netfilter) and the dependencies
that nft itself adds before a header field: ``tcp dport`` implies ``meta l4proto tcp``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from netfs.datapath.netfilter.answer import HookContext
from netfs.datapath.netfilter.datatypes import (
    PROTOCOLS,
    SYMBOLS,
    icmp_header,
    protocol_number,
    tcp_flag_bits,
)
from netfs.datapath.netfilter.elements import Unknown, find
from netfs.datapath.netfilter.records import (
    Binary,
    Concat,
    Constant,
    Ct,
    Expression,
    Fib,
    Generator,
    Lookup,
    Meta,
    Payload,
    Verdict,
)
from netfs.model import ip
from netfs.model.packet import Packet


@dataclass(frozen=True, slots=True)
class NoMatch:
    """The packet has no such field: the rule ends here (``NFT_BREAK``)."""


@dataclass(frozen=True, slots=True)
class Spread:
    """One of several values; which one is not the packet's doing. ``even``: equally likely."""

    values: tuple[Answer, ...]
    even: bool
    name: str


Answer: TypeAlias = "int | str | tuple[int | str | Unknown, ...] | Unknown | NoMatch | Spread"

NO_MATCH = NoMatch()

ARP = "arp"
"""``Packet.proto`` of what is no IP packet at all."""

MARK_BITS = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Sight:
    """All that a rule can look at."""

    hook: str
    packet: Packet
    context: HookContext
    tracked: bool
    """Connection tracking has seen the packet (its hook lies at priority -200)."""
    ct_state: str
    ct_mark: int | None
    ct_status: int
    original: Packet | None
    """The packet as the connection's first one was, before any translation."""
    touched: frozenset[str] = frozenset()
    """Sets that this very packet changed."""


def evaluate(expression: Expression, sight: Sight) -> Answer:
    """The value of an expression for the packet in sight."""
    match expression:
        case Payload():
            return _payload(expression, sight.packet)
        case Meta():
            return _meta(expression, sight)
        case Ct():
            return _ct(expression, sight)
        case Fib():
            return _fib(expression, sight)
        case Constant():
            return expression.value
        case Binary():
            return _binary(expression, sight)
        case Concat():
            return _concat(expression, sight)
        case Generator():
            values = tuple(range(expression.offset, expression.offset + min(expression.count, MAX_SPREAD)))
            if expression.count > MAX_SPREAD:
                return Unknown(f"{expression.name} has too many outcomes")
            return Spread(values, expression.even, expression.name)
        case Lookup():
            return _lookup(expression, sight)
    return Unknown(expression.reason)


MAX_SPREAD = 1024


def _or_unknown(value: int | None, what: str) -> int | Unknown:
    return Unknown(f"{what} of the packet is not known") if value is None else value


def _payload(payload: Payload, packet: Packet) -> Answer:
    name = f"{payload.protocol} {payload.field}"
    if packet.proto == ARP:
        return _arp(payload, packet, name)
    number = protocol_number(packet)
    match payload.protocol:
        case "ip" | "ip6":
            if (payload.protocol == "ip6") != (packet.family == 6):
                return NO_MATCH
            return _network(payload.field, packet, number, name)
        case "ether":
            return _ethernet(payload.field, packet, name)
        case "th":
            return _transport_port(payload.field, packet, number, name)
    if number is None:
        return Unknown(f"protocol {packet.proto} is not known")
    if number != PROTOCOLS.get(payload.protocol):
        return NO_MATCH
    if payload.protocol in ("icmp", "icmpv6"):
        if (payload.protocol == "icmpv6") != (packet.family == 6):
            return NO_MATCH
        return _icmp(payload.field, packet, name)
    if payload.field in ("sport", "dport"):
        return _transport_port(payload.field, packet, number, name)
    if payload.protocol == "tcp" and payload.field == "flags":
        return _or_unknown(tcp_flag_bits(packet), name)
    if payload.protocol == "udp" and payload.field == "length":
        return packet.size - (40 if packet.family == 6 else 20)
    return Unknown(f"{name} is not simulated")


def _arp(payload: Payload, packet: Packet, name: str) -> Answer:
    """A field of an ARP packet: it has no header above Ethernet's but its own."""
    if payload.protocol == "ether" and payload.field == "type":
        return SYMBOLS["ether_type"]["arp"]
    if payload.protocol in ("arp", "ether"):
        return Unknown(f"{name} of an ARP packet is not simulated")
    return NO_MATCH


def _network(field: str, packet: Packet, number: int | None, name: str) -> Answer:
    match field:
        case "saddr":
            return ip.to_int(packet.src)
        case "daddr":
            return ip.to_int(packet.dst)
        case "protocol" | "nexthdr":
            return _or_unknown(number, name)
        case "ttl" | "hoplimit":
            return packet.ttl
        case "length":
            return packet.size - (40 if packet.family == 6 else 0)
        case "dscp":
            return packet.tos >> 2
        case "ecn":
            return packet.tos & 3
        case "version":
            return packet.family
        case "hdrlength":
            return 5
        case "frag-off":
            return 0x4000 if packet.df else 0
    return Unknown(f"{name} is not simulated")


def _ethernet(field: str, packet: Packet, name: str) -> Answer:
    if field == "type":
        return SYMBOLS["ether_type"]["ip6" if packet.family == 6 else "ip"]
    mac = packet.src_mac if field == "saddr" else packet.dst_mac
    if mac is None:
        return Unknown(f"{name} of the packet is not known")
    try:
        return int(mac.replace(":", ""), 16)
    except ValueError:
        return Unknown(f"{name} of the packet is not an address")


def _transport_port(field: str, packet: Packet, number: int | None, name: str) -> Answer:
    if number in (1, 58):
        message, code = icmp_header(packet)
        if field == "sport" and message is not None and code is not None:
            return message << 8 | code
        return Unknown(f"{name} of an ICMP packet is part of its checksum")
    return _or_unknown(packet.sport if field == "sport" else packet.dport, name)


def _icmp(field: str, packet: Packet, name: str) -> Answer:
    message, code = icmp_header(packet)
    if field == "type":
        return _or_unknown(message, name)
    return _or_unknown(code, name) if field == "code" else Unknown(f"{name} is not simulated")


def _meta(meta: Meta, sight: Sight) -> Answer:
    packet, context = sight.packet, sight.context
    match meta.key:
        case "iif" | "iifname":
            return context.iif.name if context.iif is not None else ""
        case "oif" | "oifname":
            return context.oif.name if context.oif is not None else ""
        case "iiftype":
            return context.iif.arp_type if context.iif is not None else NO_MATCH
        case "oiftype":
            return context.oif.arp_type if context.oif is not None else NO_MATCH
        case "iifgroup":
            return context.iif.group if context.iif is not None else NO_MATCH
        case "oifgroup":
            return context.oif.group if context.oif is not None else NO_MATCH
        case "mark":
            return packet.mark
        case "l4proto" | "nfproto" | "protocol":
            return _protocol(meta.key, packet)
        case "length":
            return packet.size
        case "pkttype":
            return Unknown("the packet type of multicast") if ip.is_multicast(packet.dst) else 0
        case "skuid" | "skgid":
            forwarded = context.iif is not None and sight.hook != "input" and not context.bridged
            return NO_MATCH if forwarded else Unknown("the socket's owner is not known")
        case "ibrname" | "obrname":
            name = context.ibrname if meta.key == "ibrname" else context.obrname
            return NO_MATCH if name is None else name
    return Unknown(f"meta {meta.key} is not known to a simulation")


def _protocol(key: str, packet: Packet) -> Answer:
    """What a packet is, on the layer that the key names."""
    if packet.proto == ARP:
        if key == "protocol":
            return SYMBOLS["ether_type"]["arp"]
        return NO_MATCH if key == "l4proto" else Unknown(f"{key} of ARP")
    if key == "l4proto":
        return _or_unknown(protocol_number(packet), "protocol")
    if key == "nfproto":
        return 10 if packet.family == 6 else 2
    return SYMBOLS["ether_type"]["ip6" if packet.family == 6 else "ip"]


def _ct(ct: Ct, sight: Sight) -> Answer:
    states = SYMBOLS["ct_state"]
    if ct.key == "state" and ct.direction is None:
        if not sight.tracked and sight.ct_state != "untracked":
            return states["invalid"]
        return _or_unknown(states.get(sight.ct_state), f"ct state {sight.ct_state}")
    if not sight.tracked or sight.ct_state in ("untracked", "invalid"):
        return NO_MATCH
    match ct.key:
        case "direction":
            return SYMBOLS["ct_dir"]["reply" if sight.context.ct_direction == "reply" else "original"]
        case "mark":
            return _or_unknown(sight.ct_mark, "ct mark")
        case "status":
            return Unknown("ct status as a whole")
        case "l3proto":
            return 10 if sight.packet.family == 6 else 2
        case "protocol":
            return _or_unknown(protocol_number(sight.packet), "protocol")
    return _tuple_field(ct, sight)


def _tuple_field(ct: Ct, sight: Sight) -> Answer:
    if ct.direction == "original" and sight.original is not None:
        first = sight.original
        match ct.key:
            case "ip saddr" | "ip6 saddr" | "saddr":
                return ip.to_int(first.src)
            case "ip daddr" | "ip6 daddr" | "daddr":
                return ip.to_int(first.dst)
            case "proto-src":
                return _or_unknown(first.sport, "source port")
            case "proto-dst":
                return _or_unknown(first.dport, "destination port")
    words = " ".join(part for part in ("ct", ct.direction, ct.key) if part)
    return Unknown(f"{words} is not known to a simulation")


def _fib(fib: Fib, sight: Sight) -> Answer:
    found = sight.context.fib(fib.result, fib.flags, sight.packet) if sight.context.fib is not None else None
    if found is None:
        return Unknown(f"fib {fib.result}: the routing look-up has no answer")
    if fib.result != "type":
        return found
    return _or_unknown(SYMBOLS["fib_addrtype"].get(found), f"fib type {found}")


def _shifted_left(left: int, right: int) -> int:
    return left << right if 0 <= right < 128 else 0


def _shifted_right(left: int, right: int) -> int:
    return left >> right if 0 <= right < 128 else 0


_OPERATIONS: Mapping[str, Callable[[int, int], int]] = {
    "&": lambda left, right: left & right,
    "|": lambda left, right: left | right,
    "^": lambda left, right: left ^ right,
    "<<": _shifted_left,
    ">>": _shifted_right,
}


def _binary(binary: Binary, sight: Sight) -> Answer:
    left = evaluate(binary.left, sight)
    if isinstance(left, NoMatch | Unknown):
        return left
    right = evaluate(binary.right, sight)
    if isinstance(right, NoMatch | Unknown):
        return right
    if isinstance(left, int) and isinstance(right, int):
        value = _OPERATIONS[binary.op](left, right)
        return value & MARK_BITS if binary.kind == "mark" else value
    return Unknown(f"operator {binary.op} on values that are not single numbers")


def _concat(concat: Concat, sight: Sight) -> Answer:
    values: list[int | str | Unknown] = []
    for part in concat.parts:
        value = evaluate(part, sight)
        if isinstance(value, NoMatch):
            return value
        values.append(value if isinstance(value, int | str | Unknown) else Unknown("a concatenated choice"))
    return tuple(values)


def _lookup(lookup: Lookup, sight: Sight) -> Answer:
    key = evaluate(lookup.key, sight)
    if isinstance(key, NoMatch):
        return key
    if lookup.data.name in sight.touched:
        return Unknown(f"map {lookup.data.name} was changed by this packet")
    if isinstance(key, Spread):
        return Spread(tuple(_found(lookup, value) for value in key.values), key.even, key.name)
    return _found(lookup, key)


def _found(lookup: Lookup, key: Answer) -> Answer:
    if isinstance(key, NoMatch | Spread):
        return Unknown("a choice of choices")
    hit = find(lookup.data, key)
    if isinstance(hit, Unknown):
        return hit
    if not hit.found:
        return NO_MATCH
    value = hit.data
    return Unknown("a map without values") if value is None or isinstance(value, Verdict) else value
