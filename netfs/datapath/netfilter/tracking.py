"""What ``ct`` yields: connection tracking's view of the packet (``nft_ct_get_eval``, net/netfilter/nft_ct.c)."""

from __future__ import annotations

from netfs.datapath.netfilter.datatypes import PROTOCOLS, SYMBOLS, protocol_number
from netfs.datapath.netfilter.elements import Unknown
from netfs.datapath.netfilter.records import Ct
from netfs.datapath.netfilter.values import NO_MATCH, NoMatch, Sight, or_unknown
from netfs.model import ip
from netfs.model.packet import Packet

ADDRESS_KEYS = {"saddr": 0, "daddr": 0, "ip saddr": 4, "ip daddr": 4, "ip6 saddr": 6, "ip6 daddr": 6}
"""Keys of a connection's addresses, and the family they are for; 0: whichever it has."""


def ct_field(ct: Ct, sight: Sight) -> int | Unknown | NoMatch:
    """``ct KEY``; nothing for a packet without a connection, but its state."""
    states = SYMBOLS["ct_state"]
    if ct.key == "state" and ct.direction is None:
        if not sight.tracked and sight.ct_state != "untracked":
            return states["invalid"]
        return or_unknown(states.get(sight.ct_state), f"ct state {sight.ct_state}")
    if not sight.tracked or sight.ct_state in ("untracked", "invalid"):
        return NO_MATCH
    packet = sight.packet
    match ct.key:
        case "direction":
            return SYMBOLS["ct_dir"]["reply" if sight.context.ct_direction == "reply" else "original"]
        case "mark":
            return or_unknown(sight.ct_mark, "ct mark")
        case "status":
            return Unknown("ct status as a whole")
        case "zone":
            # A rule that sets a zone ends in doubt, so none was set.
            return 0
        case "l3proto":
            return 10 if packet.family == 6 else 2
        case "protocol":
            return or_unknown(protocol_number(packet), "protocol")
    return _tuple_field(ct, sight)


def _tuple_field(ct: Ct, sight: Sight) -> int | Unknown | NoMatch:
    words = " ".join(part for part in ("ct", ct.direction, ct.key) if part)
    if ct.key in ADDRESS_KEYS and ADDRESS_KEYS[ct.key] not in (0, sight.packet.family):
        return NO_MATCH
    first = _first(ct, sight)
    if first is None or ct.key not in (*ADDRESS_KEYS, "proto-src", "proto-dst"):
        return Unknown(f"{words} is not known to a simulation")
    if ct.key in ADDRESS_KEYS:
        return ip.to_int(first.src if ct.key.endswith("saddr") else first.dst)
    if protocol_number(first) in (PROTOCOLS["icmp"], PROTOCOLS["icmpv6"]):
        return Unknown(f"{words} of ICMP is not known to a simulation")
    return or_unknown(first.sport if ct.key == "proto-src" else first.dport, words)


def _first(ct: Ct, sight: Sight) -> Packet | None:
    """A packet with the addresses and ports of the tuple that is asked for."""
    if ct.direction == "original":
        return sight.original
    if ct.direction == "reply" and sight.ct_state == "new" and sight.context.ct_direction == "original":
        now = sight.packet
        return Packet(now.dst, now.src, now.proto, now.dport, now.sport)
    return sight.context.reply if ct.direction == "reply" and sight.ct_state == "established" else None
