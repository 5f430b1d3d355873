"""Which source address a local packet gets.

IPv4: ``fib_result_prefsrc`` and ``inet_select_addr`` (net/ipv4/devinet.c).
IPv6: ``ip6_route_get_saddr`` and ``ipv6_dev_get_saddr`` (net/ipv6/addrconf.c), which is RFC 6724 with the
default table of labels (net/ipv6/addrlabel.c; ``ip addrlabel`` changes are not read).
"""

from __future__ import annotations

from collections.abc import Iterable

from netfs.cluster.netns import NetNsView
from netfs.datapath.routing.answer import RouteAnswer, RouteQuery
from netfs.model import ip
from netfs.model.address import IFA_F_DEPRECATED, IFA_F_SECONDARY, IFA_F_TENTATIVE, Address
from netfs.model.link import Link
from netfs.model.route import RT_SCOPE_HOST, RT_SCOPE_LINK, RT_SCOPE_UNIVERSE, NextHop

IFA_F_OPTIMISTIC = 0x04

LABELS = tuple(
    (ip.prefix(text), label)
    for text, label in (
        ("::1/128", 0),
        ("::/96", 3),
        ("::ffff:0:0/96", 4),
        ("2001::/32", 6),
        ("2001:10::/28", 7),
        ("3ffe::/16", 12),
        ("2002::/16", 2),
        ("fec0::/10", 11),
        ("fc00::/7", 5),
        ("::/0", 1),
    )
)
"""RFC 6724 2.1 as the kernel has it (``ip6addrlbl_init_table``), longest prefix first."""

LINK_LOCAL, GLOBAL = 2, 14


def select_source(
    view: NetNsView, answer: RouteAnswer, query: RouteQuery, nexthop: NextHop | None = None
) -> tuple[str | None, str]:
    """(address, why) for a packet that leaves by ``nexthop`` (the answer's first, if not given).

    None: the host has no address that fits; IPv4 then sends from 0.0.0.0, IPv6 fails with EADDRNOTAVAIL.
    """
    if query.src is not None and ip.to_int(query.src):
        return query.src, "the sender chose it"
    hop = nexthop if nexthop is not None else (answer.nexthops[0] if answer.nexthops else None)
    if ip.family_of(query.dst) == 6:
        return _select6(view, answer, query.dst, hop)
    return _select4(view, answer, query, hop)


def _select4(view: NetNsView, answer: RouteAnswer, query: RouteQuery, hop: NextHop | None) -> tuple[str | None, str]:
    route = answer.route
    dst = ip.to_int(query.dst)
    if dst == 0:
        return _of_nowhere(view, query.oif)
    asked = view.links_by_name.get(query.oif) if query.oif is not None else None
    if asked is not None and (dst >> 28 == 0xE or dst == 0xFFFFFFFF):
        local = dst >> 8 == 0xE00000 or dst == 0xFFFFFFFF
        chosen = inet_select_addr(view, asked, None, RT_SCOPE_LINK if local else RT_SCOPE_UNIVERSE)
        if chosen[0] is not None:
            return chosen
    if route is not None and route.prefsrc is not None:
        return route.prefsrc, "the route's src"
    if answer.kind == "local" or (route is not None and route.type == "local"):
        return query.dst, "a packet to this host comes from its destination"
    link = view.links.get(hop.index) if hop is not None and hop.index is not None else None
    if link is None or hop is None:
        return None, "no device to leave by"
    if route is None:
        return inet_select_addr(view, link, None, RT_SCOPE_LINK)
    gateway = hop.gateway
    if gateway is None and hop not in route.nexthops:
        gateway = next((h.gateway for h in route.nexthops if h.index == hop.index), None)
    if gateway is not None and ":" in gateway:
        gateway = None
    return inet_select_addr(view, link, gateway, route.scope)


def _of_nowhere(view: NetNsView, oif: str | None) -> tuple[str | None, str]:
    """The source of a packet to 0.0.0.0, which is this host: the device's address, or loopback's."""
    link = view.links_by_name.get(oif) if oif is not None else None
    if link is None:
        return "127.0.0.1", "no destination: loopback"
    found, why = inet_select_addr(view, link, None, RT_SCOPE_HOST)
    return (found, why) if found is not None else ("127.0.0.1", why)


def inet_select_addr(view: NetNsView, link: Link, dst: str | None, scope: int) -> tuple[str | None, str]:
    """The device's first primary address of fitting scope, one whose subnet holds ``dst`` preferred; else any
    other device's.
    """
    route_localnet = link.ipv4.get("route_localnet", 0) or view.sysctl("net.ipv4.conf.all.route_localnet", 0)
    localnet = RT_SCOPE_LINK if route_localnet else RT_SCOPE_HOST
    first: str | None = None
    for address in _primary(view, link):
        if min(address.scope, localnet) > scope:
            continue
        if dst is None:
            return address.local, f"the first address of {link.name}"
        if ip.contains(f"{address.peer or address.local}/{address.prefixlen}", dst):
            return address.local, f"the address of {link.name} whose subnet holds the next hop {dst}"
        first = first or address.local
    if first is not None:
        return first, f"the first address of {link.name}"
    for other in view.netns.links:
        for address in _primary(view, other):
            if address.scope != RT_SCOPE_LINK and address.scope <= scope:
                return address.local, f"{link.name} has no address that fits; the first of {other.name}"
    return None, f"neither {link.name} nor another device has an address that fits"


def _primary(view: NetNsView, link: Link) -> Iterable[Address]:
    return (
        address
        for address in view.addresses.get(link.index, ())
        if address.family == 4 and not address.flags & IFA_F_SECONDARY
    )


def _select6(view: NetNsView, answer: RouteAnswer, dst: str, hop: NextHop | None) -> tuple[str | None, str]:
    route = answer.route
    if route is not None and route.prefsrc is not None:
        return route.prefsrc, "the route's src"
    link = view.links.get(hop.index) if hop is not None and hop.index is not None else None
    best: Address | None = None
    high: tuple[int, ...] = ()
    for device, address in _candidates(view, link, dst):
        score = _score(device, address, link, dst)
        if score > high:
            best, high = address, score
    if best is None:
        return None, "no address that fits"
    return best.local, "the best address by RFC 6724"


def _candidates(view: NetNsView, link: Link | None, dst: str) -> Iterable[tuple[Link, Address]]:
    narrow = link is not None and (
        ip.is_multicast(dst)
        or scope6(dst) <= LINK_LOCAL
        or bool(link.ipv6.get("use_oif_addrs_only", 0) or view.sysctl("net.ipv6.conf.all.use_oif_addrs_only", 0))
    )
    for device in view.netns.links:
        if narrow and link is not None and device.index != link.index:
            continue
        for address in view.addresses.get(device.index, ()):
            tentative = address.flags & IFA_F_TENTATIVE and not address.flags & IFA_F_OPTIMISTIC
            if address.family == 6 and not tentative:
                yield device, address


def _score(device: Link, address: Address, link: Link | None, dst: str) -> tuple[int, ...]:
    """The rules of ``ipv6_get_saddr_eval``, first one first; larger is better."""
    scope = scope6(address.local)
    loopback_or_mapped = ip.to_int(address.local) >> 32 in (0, 0xFFFF)
    avoid = address.flags & (IFA_F_DEPRECATED | IFA_F_OPTIMISTIC)
    tempaddr = device.ipv6.get("use_tempaddr", 0)
    return (
        int(address.local == dst),
        -scope if scope >= scope6(dst) else scope - 128,
        int(loopback_or_mapped or not avoid),
        int(link is None or device.index == link.index),
        int(label(address.local) == label(dst)),
        int((not address.flags & IFA_F_SECONDARY) != (tempaddr >= 2)),
        int(_orchid(address.local) == _orchid(dst)),
        min(common_prefix(address.local, dst), address.prefixlen),
        int(not address.flags & IFA_F_OPTIMISTIC),
    )


def scope6(address: str) -> int:
    """``__ipv6_addr_src_scope``: the multicast nibble; 2 for link-local and loopback, 5 site-local, 14 global."""
    value = ip.to_int(address)
    if value >> 120 == 0xFF:
        return value >> 112 & 0xF
    if value >> 118 == 0x3FA or value == 1:
        return LINK_LOCAL
    return 5 if value >> 118 == 0x3FB else GLOBAL


def label(address: str) -> int:
    """The label of RFC 6724's policy table."""
    value = ip.to_int(address)
    return next(number for (network, length), number in LABELS if value >> (128 - length) == network >> (128 - length))


def common_prefix(one: str, other: str) -> int:
    """Bits that two IPv6 addresses have in common."""
    return 128 - (ip.to_int(one) ^ ip.to_int(other)).bit_length()


def _orchid(address: str) -> bool:
    return ip.to_int(address) >> 100 == 0x2001001
