"""``RTM_NEWLINK`` to records (include/uapi/linux/if_link.h, net/core/rtnetlink.c)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from struct import Struct, error

from netfs.collect import kinds
from netfs.collect.addresses import mac_text
from netfs.collect.confs import devconf4, devconf6
from netfs.collect.netlink import MalformedError, attributes, listed, messages, nested, number, text
from netfs.model.link import Bridge, Ipvlan, Link, LinkStats, Macvlan, Tun, Vlan, Vxlan

RTM_NEWLINK = 16
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_QDISC, IFLA_MASTER = 1, 3, 4, 5, 6, 10
IFLA_TXQLEN, IFLA_OPERSTATE, IFLA_LINKINFO, IFLA_IFALIAS, IFLA_STATS64 = 13, 16, 18, 20, 23
IFLA_AF_SPEC, IFLA_GROUP, IFLA_PROMISCUITY, IFLA_CARRIER_CHANGES, IFLA_LINK_NETNSID = 26, 27, 30, 35, 37
IFLA_GSO_MAX_SIZE, IFLA_XDP, IFLA_PROP_LIST, IFLA_ALT_IFNAME = 41, 43, 52, 53
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
IFLA_XDP_ATTACHED = 2
AF_INET, AF_INET6 = 2, 10
IFLA_INET_CONF, IFLA_INET6_CONF = 1, 2

OPERSTATES = ("unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up")
IFINFOMSG = Struct("=BxHiII")
SIGNED = Struct("=i")
STATS_HEAD = Struct("=8Q")
"""rx/tx packets, bytes, errors, dropped: the first eight of ``struct rtnl_link_stats64``."""
U64 = Struct("=Q")
TX_CARRIER_AT, RX_NOHANDLER_AT = 17 * 8, 23 * 8


def decode_links(data: bytes, features: Mapping[int, Mapping[str, bool]]) -> tuple[Link, ...]:
    """The links of a dump, with their offload features by index. Raises MalformedError."""
    found: list[Link] = []
    for kind, start, end in messages(data):
        if kind == RTM_NEWLINK and end - start >= 16:
            try:
                found.append(_link(data, start, end, features))
            except error as short:
                raise MalformedError(str(short)) from None
    return tuple(found)


def _link(data: bytes, start: int, end: int, features: Mapping[int, Mapping[str, bool]]) -> Link:
    _, arp_type, index, flags, _ = IFINFOMSG.unpack_from(data, start)
    attrs = attributes(data, start + 16, end)
    get = attrs.get
    info = nested(attrs[IFLA_LINKINFO]) if IFLA_LINKINFO in attrs else {}
    kind = text(info[IFLA_INFO_KIND]) if IFLA_INFO_KIND in info else None
    own = kinds.describe(kind, info.get(IFLA_INFO_DATA, b""))
    port = info[IFLA_INFO_SLAVE_DATA] if info.get(IFLA_INFO_SLAVE_KIND) == b"bridge\0" else None
    ipv4, ipv6 = _confs(get(IFLA_AF_SPEC, b""))
    state = number(get(IFLA_OPERSTATE))
    stats = get(IFLA_STATS64)
    return Link(
        index=index,
        name=text(get(IFLA_IFNAME)),
        kind=kind,
        flags=flags,
        operstate=OPERSTATES[state] if state < len(OPERSTATES) else f"state-{state}",
        mtu=number(get(IFLA_MTU)),
        mac=mac_text(get(IFLA_ADDRESS)),
        arp_type=arp_type,
        master=number(attrs[IFLA_MASTER]) if IFLA_MASTER in attrs else None,
        link_index=(number(attrs[IFLA_LINK]) or None) if IFLA_LINK in attrs else None,
        link_netnsid=_netnsid(get(IFLA_LINK_NETNSID)),
        group=number(get(IFLA_GROUP)),
        txqlen=number(get(IFLA_TXQLEN)),
        gso_max_size=number(get(IFLA_GSO_MAX_SIZE), 65536),
        carrier_changes=number(get(IFLA_CARRIER_CHANGES)),
        promiscuity=number(get(IFLA_PROMISCUITY)),
        alias=text(get(IFLA_IFALIAS)) or None,
        altnames=_altnames(attrs[IFLA_PROP_LIST]) if IFLA_PROP_LIST in attrs else (),
        bridge=own if isinstance(own, Bridge) else None,
        port=None if port is None else kinds.bridge_port(port),
        vxlan=own if isinstance(own, Vxlan) else None,
        macvlan=own if isinstance(own, Macvlan) else None,
        ipvlan=own if isinstance(own, Ipvlan) else None,
        vlan=own if isinstance(own, Vlan) else None,
        tun=own if isinstance(own, Tun) else None,
        xdp=_xdp(get(IFLA_XDP, b"")),
        qdisc=text(get(IFLA_QDISC)) or None,
        ipv4=ipv4,
        ipv6=ipv6,
        features=features.get(index) or {},
        stats=None if stats is None else _stats(stats),
    )


def _netnsid(value: bytes | None) -> int | None:
    """The id as the kernel wrote it; -1 says "another namespace, and it has no number here"."""
    return None if value is None else int(SIGNED.unpack_from(value)[0])


@lru_cache(maxsize=1024)
def _xdp(value: bytes) -> bool:
    return bool(number(nested(value).get(IFLA_XDP_ATTACHED)))


def _altnames(value: bytes) -> tuple[str, ...]:
    return tuple(text(name) for kind, name in listed(value) if kind == IFLA_ALT_IFNAME)


def _confs(value: bytes) -> tuple[Mapping[str, int], Mapping[str, int]]:
    families = nested(value)
    four = families.get(AF_INET)
    six = families.get(AF_INET6)
    return (
        {} if four is None else devconf4(nested(four).get(IFLA_INET_CONF, b"")),
        {} if six is None else devconf6(nested(six).get(IFLA_INET6_CONF, b"")),
    )


def _stats(value: bytes) -> LinkStats:
    carrier = U64.unpack_from(value, TX_CARRIER_AT)[0]
    nohandler = U64.unpack_from(value, RX_NOHANDLER_AT)[0] if len(value) >= RX_NOHANDLER_AT + 8 else 0
    head: tuple[int, int, int, int, int, int, int, int] = STATS_HEAD.unpack_from(value)
    return LinkStats(*head, carrier, nohandler)
