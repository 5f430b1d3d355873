"""Bounds of a snapshot that its types do not say: addresses parse, prefixes fit, numbers are in range."""

from __future__ import annotations

import re
from collections.abc import Iterable

from netfs.model import ip
from netfs.model.link import Link
from netfs.model.route import Route, Rule
from netfs.model.snapshot import Connection, NetNs, NodeSnapshot, Snapshots
from netfs.sources import validate_objects

MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
ACTIONS = ("lookup", "goto", "nop", "blackhole", "unreachable", "prohibit")
ROUTE_TYPES = (
    *("unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit", "throw", "nat"),
    *("unspec", "xresolve"),
)
NUMBERED = re.compile(r"(?:action|type)-[0-9]{1,3}")
"""How a number of the kernel is kept that has no name."""
U16, U32, S32, U64 = 0xFFFF, 0xFFFFFFFF, 0x7FFFFFFF, 0xFFFFFFFFFFFFFFFF


class InvalidError(ValueError):
    """A value out of its bounds, and where it stands."""


def validate(snapshots: Snapshots) -> None:
    """Raise InvalidError for the first value that is out of bounds."""
    for node in snapshots.nodes:
        _node(node)
    if snapshots.kubernetes is not None:
        try:
            validate_objects.check(snapshots.kubernetes)
        except ValueError as wrong:
            raise InvalidError(f"kubernetes: {wrong}") from None


def _node(node: NodeSnapshot) -> None:
    if not node.name:
        raise InvalidError("a node without a name")
    if node.role not in ("node", "fabric"):
        raise InvalidError(f"{node.name}: role {node.role!r}")
    ids: set[int] = set()
    for netns in node.namespaces:
        where = f"{node.name}/{netns.name}"
        _within(f"{where}: id", (netns.id,), U64)
        if netns.id in ids:
            raise InvalidError(f"{where}: namespace {netns.id} is there twice")
        ids.add(netns.id)
        try:
            _netns(netns)
        except ValueError as wrong:
            raise InvalidError(f"{where}: {wrong}") from None
    if node.netns not in ids:
        raise InvalidError(f"{node.name}: its own namespace {node.netns} is not among its namespaces")


def _netns(netns: NetNs) -> None:
    for link in netns.links:
        _link(link)
    for address in netns.addresses:
        _within("address", (address.index, address.flags, address.scope, address.metric), U32)
        _family(address.family, address.local, address.peer, address.broadcast)
        _within("prefix length", (address.prefixlen,), ip.BITS[address.family])
    for neighbour in netns.neighbours:
        _within("neighbour", (neighbour.index, neighbour.state, neighbour.flags), U32)
        _family(neighbour.family, neighbour.address)
        _mac(neighbour.mac)
    for entry in netns.fdb:
        numbers = (entry.index, entry.state, entry.flags, entry.master, entry.vlan, entry.vni, entry.src_vni)
        _within("fdb entry", (*numbers, entry.via, entry.nh_id), U32)
        _within("fdb port", (entry.port,), U16)
        _mac(entry.mac)
        _addresses(entry.dst)
    for vlan in netns.bridge_vlans:
        _within("bridge VLAN", (vlan.index, vlan.vid), U32)
    for route in netns.routes:
        _route(route)
    for rule in netns.rules:
        _rule(rule)
    for listener in netns.listeners or ():
        _within("port", (listener.port,), U16)
        _within("listener", (listener.index, listener.inode), U64)
        _family(listener.family, listener.address)
    for connection in netns.connections:
        _connection(connection)
    _numbers(netns.sysctls.values())
    _numbers(netns.counters.values())


def _connection(entry: Connection) -> None:
    _family(ip.family_of(entry.src), entry.src, entry.dst, entry.reply_src, entry.reply_dst)
    _within("port of a connection", (entry.sport, entry.dport, entry.reply_sport, entry.reply_dport), U16)
    _within("connection", (entry.mark, entry.timeout), U32)
    _within("zone", (entry.zone,), U16)


def _link(link: Link) -> None:
    if not link.name:
        raise InvalidError(f"link {link.index} without a name")
    numbers = (link.index, link.flags, link.mtu, link.arp_type, link.master, link.link_index, link.group)
    _within(f"link {link.index}", (*numbers, link.txqlen, link.gso_max_size, link.carrier_changes), U32)
    _within(f"link {link.index}: namespace", (link.link_netns,), U64)
    _mac(link.mac)
    _numbers(link.ipv4.values())
    _numbers(link.ipv6.values())
    if link.vxlan is not None:
        _within("vni", (link.vxlan.vni,), U32)
        _within("vxlan port", (link.vxlan.port, link.vxlan.port_low, link.vxlan.port_high), U16)
        _within("vxlan", (link.vxlan.lower, link.vxlan.ttl, link.vxlan.tos, link.vxlan.df), U32)
        _addresses(link.vxlan.local, link.vxlan.group)
    if link.macvlan is not None:
        for mac in link.macvlan.macaddrs:
            _mac(mac)


def _route(route: Route) -> None:
    _prefix(route.dst, route.family)
    length = route.dst.partition("/")[2]
    if not (length.isascii() and length.isdigit()):
        raise InvalidError(f"{route.dst[:60]!r} is a destination without its length")
    if route.type not in ROUTE_TYPES and NUMBERED.fullmatch(route.type) is None:
        raise InvalidError(f"route type {route.type[:40]!r}")
    _prefix(route.src, route.family)
    _within("route", (route.table, route.scope, route.metric, route.tos, route.mtu, route.nh_id, route.pref), U32)
    _addresses(route.prefsrc)
    for hop in route.nexthops:
        _within("next hop", (hop.index, hop.flags, hop.weight), U32)
        _addresses(hop.gateway)


def _rule(rule: Rule) -> None:
    if rule.family not in ip.BITS:
        raise InvalidError(f"rule of family {rule.family}")
    if rule.action not in ACTIONS and NUMBERED.fullmatch(rule.action) is None:
        raise InvalidError(f"rule action {rule.action[:40]!r}")
    _prefix(rule.src, rule.family)
    _prefix(rule.dst, rule.family)
    numbers = (rule.priority, rule.table, rule.goto, rule.fwmark, rule.fwmask, rule.tos, rule.proto, rule.flags)
    _within("rule", (*numbers, rule.suppress_prefixlength, rule.suppress_ifgroup), U32)
    for pair in (rule.sport, rule.dport, rule.uid_range):
        _within("rule's range", pair or (), U32)


def _within(what: str, values: Iterable[int | None], most: int) -> None:
    for value in values:
        if value is not None and not 0 <= value <= most:
            raise InvalidError(f"{what}: {str(value)[:40]} is out of range")


def _numbers(values: Iterable[int]) -> None:
    for value in values:
        if not -U64 <= value <= U64:
            raise InvalidError("a number out of range")


def _family(family: int, *texts: str | None) -> None:
    if family not in ip.BITS:
        raise InvalidError(f"family {str(family)[:40]}")
    for text in texts:
        if text is not None and ip.family_of(text) != family:
            raise InvalidError(f"{text[:60]!r} is not of family {family}")
    _addresses(*texts)


def _addresses(*texts: str | None) -> None:
    for text in texts:
        if text is not None:
            ip.to_int(text)


def _prefix(text: str | None, family: int) -> None:
    if text is not None:
        ip.prefix(text)
        _family(family, text.partition("/")[0])


def _mac(text: str | None) -> None:
    if text is not None and MAC.fullmatch(text) is None:
        raise InvalidError(f"{text[:40]!r} is no MAC address")
