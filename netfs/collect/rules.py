"""``RTM_NEWRULE`` to records (include/uapi/linux/fib_rules.h, net/core/fib_rules.c)."""

from __future__ import annotations

from functools import lru_cache
from socket import AF_INET, AF_INET6
from struct import Struct, error

from netfs.collect.addresses import address_text
from netfs.collect.netlink import MalformedError, attributes, messages, number, text
from netfs.model.route import Rule

RTM_NEWRULE = 32
FRA_DST, FRA_SRC, FRA_IIFNAME, FRA_GOTO, FRA_PRIORITY = 1, 2, 3, 4, 6
FRA_FWMARK, FRA_FLOW, FRA_TUN_ID, FRA_SUPPRESS_IFGROUP, FRA_SUPPRESS_PREFIXLEN = 10, 11, 12, 13, 14
FRA_TABLE, FRA_FWMASK, FRA_OIFNAME, FRA_PAD, FRA_L3MDEV, FRA_UID_RANGE = 15, 16, 17, 18, 19, 20
FRA_PROTOCOL, FRA_IP_PROTO, FRA_SPORT_RANGE, FRA_DPORT_RANGE = 21, 22, 23, 24
KNOWN = frozenset(range(1, 7)) | frozenset(range(10, 25))
MATCHES = {25: "dscp", 26: "flowlabel", 27: "flowlabel-mask", 28: "sport-mask", 29: "dport-mask", 30: "dscp-mask"}
"""Attributes that are matches, but not ones netfs decides."""
PORT_MASKS = (28, 29)
NONE = 0xFFFFFFFF
"""How the kernel writes "no suppression"."""
ACTIONS = {1: "lookup", 2: "goto", 3: "nop", 6: "blackhole", 7: "unreachable", 8: "prohibit"}

FIB_RULE_HDR = Struct("=BBBBBBBBI")
PORTS = Struct("=HH")
UIDS = Struct("=II")


@lru_cache(maxsize=1024)
def decode_rules(data: bytes) -> tuple[Rule, ...]:
    """The rules of a dump of every family, in the kernel's order. Raises MalformedError."""
    found: list[Rule] = []
    for kind, start, end in messages(data):
        if kind == RTM_NEWRULE and end - start >= 12 and data[start] in (AF_INET, AF_INET6):
            found.append(_rule(data, start, end))
    return tuple(found)


def _rule(data: bytes, start: int, end: int) -> Rule:
    family, dst_len, src_len, tos, table, _, _, action, flags = FIB_RULE_HDR.unpack_from(data, start)
    attrs = attributes(data, start + 12, end)
    action_name = ACTIONS.get(action, f"action-{action}")
    marked = FRA_FWMARK in attrs or FRA_FWMASK in attrs
    ifgroup = number(attrs.get(FRA_SUPPRESS_IFGROUP), NONE)
    length = number(attrs.get(FRA_SUPPRESS_PREFIXLEN), NONE)
    return Rule(
        family=4 if family == AF_INET else 6,
        priority=number(attrs.get(FRA_PRIORITY)),
        action=action_name,
        table=number(attrs.get(FRA_TABLE), table) if action == 1 else None,
        goto=number(attrs[FRA_GOTO]) if FRA_GOTO in attrs else None,
        src=_prefix(attrs.get(FRA_SRC), src_len, family),
        dst=_prefix(attrs.get(FRA_DST), dst_len, family),
        iif=text(attrs[FRA_IIFNAME]) if FRA_IIFNAME in attrs else None,
        oif=text(attrs[FRA_OIFNAME]) if FRA_OIFNAME in attrs else None,
        fwmark=number(attrs.get(FRA_FWMARK)) if marked else None,
        fwmask=number(attrs.get(FRA_FWMASK), NONE),
        tos=tos,
        proto=number(attrs[FRA_IP_PROTO]) if FRA_IP_PROTO in attrs else None,
        sport=_pair(PORTS, attrs.get(FRA_SPORT_RANGE)),
        dport=_pair(PORTS, attrs.get(FRA_DPORT_RANGE)),
        uid_range=_pair(UIDS, attrs.get(FRA_UID_RANGE)),
        suppress_prefixlength=None if length == NONE else length,
        suppress_ifgroup=None if ifgroup == NONE else ifgroup,
        l3mdev=bool(number(attrs.get(FRA_L3MDEV))),
        tun_id=int.from_bytes(attrs[FRA_TUN_ID], "big") if FRA_TUN_ID in attrs else None,
        flags=flags,
        unknown=_unknown(attrs),
    )


def _prefix(value: bytes | None, length: int, family: int) -> str | None:
    if not length:
        return None
    return f"{address_text(value or bytes(4 if family == AF_INET else 16))}/{length}"


def _pair(layout: Struct, value: bytes | None) -> tuple[int, int] | None:
    if value is None:
        return None
    try:
        low, high = layout.unpack_from(value)
    except error:
        raise MalformedError(f"a range of {len(value)} bytes") from None
    return low, high


def _unknown(attrs: dict[int, bytes]) -> tuple[str, ...]:
    """Matches that netfs cannot decide. A mask of all ones on a port is no match of its own."""
    return tuple(
        MATCHES.get(kind, f"attribute-{kind}")
        for kind, value in attrs.items()
        if kind not in KNOWN and not (kind in PORT_MASKS and value == b"\xff\xff")
    )
