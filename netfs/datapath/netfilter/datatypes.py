"""The types of nftables' values, and the names their constants are printed by.

Sources: nftables ``src/datatype.c``, ``src/proto.c``, ``src/ct.c``, ``src/fib.c``; IANA for ICMP.
"""

from __future__ import annotations

from typing import Any

from netfs.model import ip
from netfs.model.packet import Packet

PROTOCOLS = {
    "ip": 0,
    "hopopt": 0,
    "icmp": 1,
    "igmp": 2,
    "ipencap": 4,
    "tcp": 6,
    "udp": 17,
    "dccp": 33,
    "ipv6": 41,
    "ipv6-frag": 44,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "icmpv6": 58,
    "ipv6-icmp": 58,
    "ipv6-nonxt": 59,
    "ospf": 89,
    "comp": 108,
    "vrrp": 112,
    "sctp": 132,
    "udplite": 136,
}

ICMP_TYPES = {
    "echo-reply": 0,
    "destination-unreachable": 3,
    "source-quench": 4,
    "redirect": 5,
    "echo-request": 8,
    "router-advertisement": 9,
    "router-solicitation": 10,
    "time-exceeded": 11,
    "parameter-problem": 12,
    "timestamp-request": 13,
    "timestamp-reply": 14,
    "info-request": 15,
    "info-reply": 16,
    "address-mask-request": 17,
    "address-mask-reply": 18,
}

ICMPV6_TYPES = {
    "destination-unreachable": 1,
    "packet-too-big": 2,
    "time-exceeded": 3,
    "parameter-problem": 4,
    "echo-request": 128,
    "echo-reply": 129,
    "mld-listener-query": 130,
    "mld-listener-report": 131,
    "mld-listener-done": 132,
    "mld-listener-reduction": 132,
    "nd-router-solicit": 133,
    "nd-router-advert": 134,
    "nd-neighbor-solicit": 135,
    "nd-neighbor-advert": 136,
    "nd-redirect": 137,
    "router-renumbering": 138,
    "ind-neighbor-solicit": 141,
    "ind-neighbor-advert": 142,
    "mld2-listener-report": 143,
}

SYMBOLS: dict[str, dict[str, int]] = {
    "inet_proto": PROTOCOLS,
    "icmp_type": ICMP_TYPES,
    "icmpv6_type": ICMPV6_TYPES,
    "icmp_code": {
        "net-unreachable": 0,
        "host-unreachable": 1,
        "prot-unreachable": 2,
        "port-unreachable": 3,
        "frag-needed": 4,
        "net-prohibited": 9,
        "host-prohibited": 10,
        "admin-prohibited": 13,
    },
    "icmpv6_code": {"no-route": 0, "admin-prohibited": 1, "addr-unreachable": 3, "port-unreachable": 4}
    | {"policy-fail": 5, "reject-route": 6},
    "ct_state": {"invalid": 1, "established": 2, "related": 4, "new": 8, "untracked": 64},
    "ct_dir": {"original": 0, "reply": 1},
    "ct_status": {"expected": 1, "seen-reply": 2, "assured": 4, "confirmed": 8, "snat": 16, "dnat": 32, "dying": 512},
    "fib_addrtype": {
        "unspec": 0,
        "unicast": 1,
        "local": 2,
        "broadcast": 3,
        "anycast": 4,
        "multicast": 5,
        "blackhole": 6,
        "unreachable": 7,
        "prohibit": 8,
    },
    "pkt_type": {"host": 0, "unicast": 0, "broadcast": 1, "multicast": 2, "other": 3},
    "nf_proto": {"ipv4": 2, "ipv6": 10},
    "ether_type": {"ip": 0x0800, "arp": 0x0806, "8021q": 0x8100, "vlan": 0x8100, "ip6": 0x86DD, "8021ad": 0x88A8},
    "tcp_flag": {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32, "ecn": 64, "cwr": 128},
    "dscp": {f"cs{n}": n * 8 for n in range(8)}
    | {f"af{c}{d}": c * 8 + d * 2 for c in range(1, 5) for d in range(1, 4)}
    | {"be": 0, "va": 44, "ef": 46},
    "ecn": {"not-ect": 0, "ect1": 1, "ect0": 2, "ce": 3},
    "devgroup": {"default": 0},
    "arp_op": {"request": 1, "reply": 2, "rrequest": 3, "rreply": 4, "inrequest": 8, "inreply": 9, "nak": 10},
    "iface_type": {"ether": 1, "ppp": 512, "ipip": 768, "ipip6": 769, "loopback": 772, "sit": 776, "ipgre": 778},
}

ICMP_MESSAGES = {
    4: {
        "frag-needed": (3, 4),
        "net-unreachable": (3, 0),
        "host-unreachable": (3, 1),
        "protocol-unreachable": (3, 2),
        "port-unreachable": (3, 3),
        "admin-prohibited": (3, 13),
    },
    6: {
        "no-route": (1, 0),
        "admin-prohibited": (1, 1),
        "addr-unreachable": (1, 3),
        "port-unreachable": (1, 4),
        "packet-too-big": (2, 0),
    },
}
"""(type, code) of messages by the name ``Packet.icmp_type`` gives them, beside the names of the types themselves."""


MAX_NESTING = 8
"""Of ``{"|": …}`` within each other."""


class NotUnderstoodError(ValueError):
    """A constant or expression in a form that is not known here; of a text, with the place in it."""

    def __init__(self, what: str, *, line: int | None = None, column: int | None = None) -> None:
        super().__init__(what)
        self.line = line
        self.column = column


def constant(kind: str, raw: Any, depth: int = 0) -> int | str:
    """A constant of one type as evaluation compares it. Raises NotUnderstoodError."""
    if isinstance(raw, bool):
        return int(raw)
    if isinstance(raw, int):
        return str(raw) if kind in ("ifname", "ifindex") else raw
    if isinstance(raw, dict) and len(raw) == 1 and "|" in raw:
        raw = raw["|"]
    if isinstance(raw, list) and depth < MAX_NESTING:
        value = 0
        for part in raw:
            bit = constant(kind, part, depth + 1)
            if isinstance(bit, str):
                raise NotUnderstoodError(f"bits of type {kind}")
            value |= bit
        return value
    if not isinstance(raw, str):
        raise NotUnderstoodError(f"constant {str(raw)[:60]!r} of type {kind}")
    return _symbol(kind, raw)


def _symbol(kind: str, text: str) -> int | str:
    if kind in ("ifname", "ifindex", "string"):
        return text
    try:
        if kind in ("ipv4_addr", "ipv6_addr"):
            value = ip.to_int(text)
            if (":" in text) == (kind == "ipv6_addr"):
                return value
        elif kind == "ether_addr":
            octets = bytes(int(part, 16) for part in text.split(":"))
            if len(octets) == 6:
                return int.from_bytes(octets, "big")
        elif (known := SYMBOLS.get(kind, {}).get(text)) is not None:
            return known
        elif text.isascii() and text[:1].isdigit():
            return int(text, 0)
    except ValueError:
        pass
    raise NotUnderstoodError(f"constant {text[:60]!r} of type {kind}")


def protocol_number(packet: Packet) -> int | None:
    """The IP protocol number of a packet; None where its name is not known."""
    if packet.proto == "icmp":
        return 58 if packet.family == 6 else 1
    return PROTOCOLS.get(packet.proto)


def icmp_header(packet: Packet) -> tuple[int | None, int | None]:
    """(type, code) of an ICMP packet; None where its name does not tell."""
    name = packet.icmp_type
    if name is None:
        return None, None
    message = ICMP_MESSAGES[packet.family].get(name)
    if message is not None:
        return message
    number = (ICMPV6_TYPES if packet.family == 6 else ICMP_TYPES).get(name)
    return number, 0 if number is not None and name.startswith("echo-") else None


def tcp_flag_bits(packet: Packet) -> int | None:
    """The flags of a TCP packet as bits; None where they are not told."""
    if packet.tcp_flags is None:
        return None
    known = SYMBOLS["tcp_flag"]
    names = packet.tcp_flags.replace(",", "-").split("-")
    return sum(known[name] for name in set(names)) if all(name in known for name in names) else None
