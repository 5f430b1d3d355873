"""``RTM_NEWROUTE`` to records (include/uapi/linux/rtnetlink.h; net/ipv4/fib_semantics.c, net/ipv6/route.c)."""

from __future__ import annotations

from functools import lru_cache
from socket import AF_INET, AF_INET6
from struct import Struct

from netfs.collect.addresses import address_text
from netfs.collect.netlink import ERRNO, MalformedError, attributes, messages, nested, number
from netfs.model.route import NextHop, Route

RTM_NEWROUTE = 24
RTA_DST, RTA_SRC, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC = 1, 2, 4, 5, 6, 7
RTA_METRICS, RTA_MULTIPATH, RTA_CACHEINFO, RTA_TABLE, RTA_VIA, RTA_PREF = 8, 9, 12, 15, 18, 20
RTA_ENCAP_TYPE, RTA_EXPIRES, RTA_NH_ID = 21, 23, 30
RTAX_LOCK, RTAX_MTU = 1, 2
RTM_F_CLONED = 0x200

RTMSG = Struct("=BBBBBBBBI")
RTNEXTHOP = Struct("=HBBi")
TYPES = (
    "unspec",
    "unicast",
    "local",
    "broadcast",
    "anycast",
    "multicast",
    "blackhole",
    "unreachable",
    "prohibit",
    "throw",
    "nat",
    "xresolve",
)
ENCAPS = {1: "mpls", 2: "ip", 3: "ila", 4: "ip6", 5: "seg6", 6: "bpf", 7: "seg6local", 8: "rpl", 9: "ioam6", 10: "xfrm"}
"""LWTUNNEL_ENCAP_* (include/uapi/linux/lwtunnel.h)."""


@lru_cache(maxsize=4096)
def decode_routes(data: bytes) -> tuple[Route, ...]:
    """The routes of every table of a dump of every family. Raises MalformedError."""
    found: list[Route] = []
    for kind, start, end in messages(data):
        if kind == RTM_NEWROUTE and end - start >= 12:
            route = _route(data[start:end])
            if route is not None:
                found.append(route)
    return tuple(found)


@lru_cache(maxsize=65536)
def _route(body: bytes) -> Route | None:
    family, dst_len, src_len, tos, table, protocol, scope, kind, flags = RTMSG.unpack_from(body)
    if family not in (AF_INET, AF_INET6) or flags & RTM_F_CLONED:
        return None
    attrs = attributes(body, 12, len(body))
    empty = b"\0" * (4 if family == AF_INET else 16)
    metrics = nested(attrs[RTA_METRICS]) if RTA_METRICS in attrs else {}
    cache = attrs.get(RTA_CACHEINFO, b"")
    prefsrc = attrs.get(RTA_PREFSRC)
    return Route(
        family=4 if family == AF_INET else 6,
        dst=f"{address_text(attrs.get(RTA_DST, empty))}/{dst_len}",
        table=number(attrs.get(RTA_TABLE), table),
        type=TYPES[kind] if kind < len(TYPES) else f"type-{kind}",
        nexthops=_nexthops(attrs, flags & 0xFF),
        scope=scope,
        protocol=protocol,
        metric=number(attrs.get(RTA_PRIORITY)),
        tos=tos,
        prefsrc=None if prefsrc is None else address_text(prefsrc),
        src=f"{address_text(attrs.get(RTA_SRC, empty))}/{src_len}" if src_len else None,
        mtu=number(metrics[RTAX_MTU]) if RTAX_MTU in metrics else None,
        mtu_locked=bool(number(metrics.get(RTAX_LOCK)) & 1 << RTAX_MTU),
        nh_id=number(attrs[RTA_NH_ID]) if RTA_NH_ID in attrs else None,
        expires=RTA_EXPIRES in attrs or (len(cache) >= 12 and ERRNO.unpack_from(cache, 8)[0] != 0),
        pref=number(attrs.get(RTA_PREF)),
    )


def _nexthops(attrs: dict[int, bytes], flags: int) -> tuple[NextHop, ...]:
    if RTA_MULTIPATH in attrs:
        return _multipath(attrs[RTA_MULTIPATH])
    if RTA_OIF in attrs or RTA_GATEWAY in attrs or RTA_VIA in attrs:
        return (_nexthop(attrs, number(attrs[RTA_OIF]) if RTA_OIF in attrs else None, 1, flags),)
    return ()


def _multipath(data: bytes) -> tuple[NextHop, ...]:
    found: list[NextHop] = []
    start = 0
    while start + 8 <= len(data):
        length, flags, hops, index = RTNEXTHOP.unpack_from(data, start)
        if length < 8 or start + length > len(data):
            raise MalformedError(f"a next hop of {length} bytes")
        found.append(_nexthop(attributes(data, start + 8, start + length), index or None, hops + 1, flags))
        start += (length + 3) & ~3
    return tuple(found)


def _nexthop(attrs: dict[int, bytes], index: int | None, weight: int, flags: int) -> NextHop:
    gateway = attrs.get(RTA_GATEWAY)
    if gateway is None and RTA_VIA in attrs:
        gateway = attrs[RTA_VIA][2:]
    encap = number(attrs.get(RTA_ENCAP_TYPE))
    return NextHop(
        index=index,
        gateway=None if gateway is None else address_text(gateway),
        weight=weight,
        flags=flags,
        encap=ENCAPS.get(encap, f"encap-{encap}") if encap else None,
    )
