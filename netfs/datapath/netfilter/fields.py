"""What an expression yields for one packet: a value, nothing (the rule does not match), or unknown.

Headers are read in ``headers.py``, connection tracking in ``tracking.py``; here are the rest of the packet
(``nft_meta_get_eval``), look-ups, arithmetic and chance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import floor

from netfs.datapath.netfilter.datatypes import SYMBOLS, protocol_number
from netfs.datapath.netfilter.elements import Unknown, altered, find
from netfs.datapath.netfilter.headers import option_field, payload_field, raw_field
from netfs.datapath.netfilter.jhash import jhash, registers, scaled
from netfs.datapath.netfilter.records import (
    Asked,
    Between,
    Binary,
    Concat,
    Constant,
    Ct,
    Expression,
    Fib,
    Generator,
    Hash,
    Lookup,
    Meta,
    Option,
    Payload,
    Raw,
    Verdict,
)
from netfs.datapath.netfilter.tracking import ct_field
from netfs.datapath.netfilter.values import (
    ARP,
    NO_MATCH,
    Answer,
    NoMatch,
    Sight,
    Spread,
    UndrawnError,
    or_unknown,
)
from netfs.model import ip
from netfs.model.link import Link
from netfs.model.packet import Packet

ARPHRD_ETHER = 1
ETHERNET = 14
"""Bytes of the Ethernet header, which ``egress`` counts (``skb->len`` in front of the device)."""

MARK_BITS = 0xFFFFFFFF


def evaluate(expression: Expression, sight: Sight) -> Answer:
    """The value of an expression for the packet in sight."""
    match expression:
        case Payload():
            found = payload_field(expression, sight.packet)
            if isinstance(found, Unknown) and expression.field in ("sport", "dport"):
                context = sight.context
                return Unknown(found.reason, context.sports if expression.field == "sport" else context.dports)
            return NO_MATCH if expression.protocol == "ether" and _no_frame(sight) else found
        case Meta():
            return _meta(expression, sight)
        case Ct():
            return ct_field(expression, sight)
        case Fib():
            return _fib(expression, sight)
        case Constant():
            return expression.value
        case Binary():
            return _binary(expression, sight)
        case Concat():
            return _concat(expression, sight)
        case Generator():
            return _drawn(expression, sight) if expression.steady else _generated(expression)
        case Lookup():
            return _lookup(expression, sight)
        case Asked():
            return expression.answer(sight)
        case Raw():
            return NO_MATCH if expression.base == "ll" and _no_frame(sight) else raw_field(expression, sight.packet)
        case Option():
            return option_field(expression, sight.packet)
        case Hash():
            return _hashed(expression, sight)
    return Unknown(expression.reason)


MAX_SPREAD = 1000
"""Values of a generator that are told apart."""


def _drawn(generator: Generator, sight: Sight) -> Answer:
    """``symhash``: the same hash in every rule, scaled. Raises UndrawnError where that is not settled yet."""
    if generator.count > MAX_SPREAD:
        return Unknown(f"{generator.name} has too many outcomes")
    low, high = (edge * generator.count for edge in sight.hashed)
    if high > floor(low) + 1:
        raise UndrawnError(generator.count)
    return generator.offset + floor(low)


def _generated(generator: Generator) -> Answer:
    if generator.count > MAX_SPREAD:
        return Unknown(f"{generator.name} has too many outcomes")
    first, share = generator.offset, 1.0 / generator.count
    return Spread(tuple((value, share) for value in range(first, first + generator.count)), generator.name)


def _no_frame(sight: Sight) -> bool:
    """A packet made here has no Ethernet header before it goes to a device (``skb_mac_header_was_set``)."""
    return sight.hook in ("output", "postrouting") and sight.context.iif is None and sight.packet.src_mac is None


def _hashed(hashed: Hash, sight: Sight) -> Answer:
    """``nft_jhash_eval`` with a seed that is known: one value for one packet."""
    value = evaluate(hashed.key, sight)
    if isinstance(value, NoMatch | Unknown):
        return value
    parts = value if isinstance(value, tuple) else (value,)
    known = tuple(part for part in parts if isinstance(part, int | str))
    data = registers(known, hashed.kinds) if len(known) == len(parts) == len(hashed.kinds) else None
    if data is None:
        return Unknown("the bytes that jhash reads are not known")
    return hashed.offset + scaled(jhash(data, hashed.seed), hashed.count)


def _meta(meta: Meta, sight: Sight) -> Answer:
    packet, context, key = sight.packet, sight.context, meta.key
    if key in _DEVICE_KEYS:
        # An egress chain knows no device of entry, but the type of its own (nft asks for it before ether fields).
        outward = key.startswith("o") or (key == "iiftype" and sight.hook == "egress")
        device = context.oif if outward else context.iif
        return _DEVICE_KEYS[key](device)
    match key:
        case "mark":
            return packet.mark
        case "l4proto" | "nfproto" | "protocol":
            return _protocol(key, packet)
        case "length":
            ethernet = sight.hook == "egress" and context.oif is not None and context.oif.arp_type == ARPHRD_ETHER
            return packet.size + (ETHERNET if ethernet else 0)
        case "pkttype":
            return _packet_type(sight)
        case "skuid" | "skgid":
            forwarded = context.iif is not None and sight.hook != "input" and not context.bridged
            return NO_MATCH if forwarded or context.socketless else Unknown("the socket's owner is not known")
        case "ibrname" | "obrname":
            name = context.ibrname if key == "ibrname" else context.obrname
            return NO_MATCH if name is None else name
        case "sdif" | "sdifname":
            if context.iif is None or context.iif.master is None:
                return ""
    return Unknown(f"meta {key} is not known to a simulation")


def _kind(device: Link | None) -> Answer:
    return NO_MATCH if device is None or device.kind is None else device.kind


def _name(device: Link | None) -> Answer:
    return "" if device is None else device.name


def _type(device: Link | None) -> Answer:
    return NO_MATCH if device is None else device.arp_type


def _group(device: Link | None) -> Answer:
    return NO_MATCH if device is None else device.group


_DEVICE_KEYS: Mapping[str, Callable[[Link | None], Answer]] = {
    **dict.fromkeys(("iif", "oif", "iifname", "oifname"), _name),
    **dict.fromkeys(("iiftype", "oiftype"), _type),
    **dict.fromkeys(("iifgroup", "oifgroup"), _group),
    **dict.fromkeys(("iifkind", "oifkind"), _kind),
}


def _packet_type(sight: Sight) -> Answer:
    """``skb->pkt_type``: told by the destination MAC of a received frame; what is sent here counts as its own."""
    packet, types = sight.packet, SYMBOLS["pkt_type"]
    if sight.context.ibrname is not None:
        return Unknown("the packet type of a bridged frame")
    if sight.context.iif is None:
        return types["host"]
    if packet.dst_mac is not None:
        if packet.dst_mac == "ff:ff:ff:ff:ff:ff":
            return types["broadcast"]
        return types["multicast"] if packet.dst_mac[1:2] in "13579bdf" else types["host"]
    return Unknown("the packet type of multicast") if ip.is_multicast(packet.dst) else types["host"]


def _protocol(key: str, packet: Packet) -> Answer:
    """What a packet is, on the layer that the key names."""
    if packet.proto == ARP:
        if key == "protocol":
            return SYMBOLS["ether_type"]["arp"]
        return NO_MATCH if key == "l4proto" else Unknown(f"{key} of ARP")
    if key == "l4proto":
        return or_unknown(protocol_number(packet), "protocol")
    if key == "nfproto":
        return 10 if packet.family == 6 else 2
    return SYMBOLS["ether_type"]["ip6" if packet.family == 6 else "ip"]


def _fib(fib: Fib, sight: Sight) -> Answer:
    result = "oif" if fib.result == "check" else fib.result
    found = sight.context.fib(result, fib.flags, sight.packet) if sight.context.fib is not None else None
    if found is None:
        return Unknown(f"fib {fib.result}: the routing look-up has no answer")
    if fib.result != "type":
        return found
    return or_unknown(SYMBOLS["fib_addrtype"].get(found), f"fib type {found}")


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
    if isinstance(left, Spread):
        return left.mapped(lambda value: _operated(binary, value, right))
    return _operated(binary, left, right)


def _operated(binary: Binary, left: Answer, right: Answer) -> Answer:
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
    if isinstance(key, Spread):
        return key.mapped(lambda value: _found(lookup, value, sight))
    return _found(lookup, key, sight)


def _found(lookup: Lookup, key: Answer, sight: Sight) -> Answer:
    if isinstance(key, NoMatch | Spread | Between):
        return Unknown("a choice of choices")
    changed = altered(sight.changed, lookup.data, key)
    if changed is not None:
        return NO_MATCH if changed is False else Unknown(f"map {lookup.data.name} was changed by this packet")
    hit = find(lookup.data, key)
    if isinstance(hit, Unknown):
        return hit
    if not hit.found:
        return NO_MATCH
    value = hit.data
    return Unknown("a map without values") if value is None or isinstance(value, Verdict) else value
