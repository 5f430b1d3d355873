"""Routes and rules in the words of ip-route(8) and ip-rule(8)."""

from __future__ import annotations

from netfs.cluster.netns import NetNsView
from netfs.model.route import (
    FIB_RULE_INVERT,
    RT_TABLE_DEFAULT,
    RT_TABLE_LOCAL,
    RT_TABLE_MAIN,
    RTNH_F_DEAD,
    RTNH_F_LINKDOWN,
    RTNH_F_OFFLOAD,
    RTNH_F_ONLINK,
    RTNH_F_PERVASIVE,
    NextHop,
    Route,
    Rule,
)

FIB_RULE_UNRESOLVED = 0x4
TABLES = {RT_TABLE_DEFAULT: "default", RT_TABLE_MAIN: "main", RT_TABLE_LOCAL: "local"}
PROTOCOLS = {
    0: "unspec",
    1: "redirect",
    2: "kernel",
    4: "static",
    9: "ra",
    16: "dhcp",
    17: "mrouted",
    18: "keepalived",
} | {
    186: "bgp",
    187: "isis",
    188: "ospf",
    189: "rip",
    192: "eigrp",
    11: "zebra",
    12: "bird",
    13: "dnrouted",
    14: "xorp",
    15: "ntk",
    42: "babel",
    8: "gated",
}
SCOPES = {200: "site", 253: "link", 254: "host", 255: "nowhere"}
FLAGS = {
    RTNH_F_DEAD: "dead",
    RTNH_F_ONLINK: "onlink",
    RTNH_F_PERVASIVE: "pervasive",
    RTNH_F_OFFLOAD: "offload",
    RTNH_F_LINKDOWN: "linkdown",
}
PREFERENCES = {0: "medium", 1: "high", 3: "low"}
TRANSPORTS = {1: "icmp", 6: "tcp", 17: "udp", 58: "ipv6-icmp", 132: "sctp"}


def table_name(table: int) -> str:
    """``main``, ``local``, ``default``, or the number."""
    return TABLES.get(table, str(table))


SHOWN = 32
"""So many next hops of a route are told; of more the number."""


def describe(route: Route, view: NetNsView) -> str:
    """The route as ``ip route`` prints it, on one line."""
    words = [] if route.type == "unicast" else [route.type]
    words.append(_destination(route))
    if route.src is not None and not route.src.endswith("/0"):
        words += ["from", _host(route.src, route.family)]
    if route.nh_id is not None:
        words += ["nhid", str(route.nh_id)]
    if route.tos:
        words += ["tos", f"0x{route.tos:02x}"]
    single = len(route.nexthops) == 1
    if single:
        words += _hop(route.nexthops[0], view, route.family)
    if route.table != RT_TABLE_MAIN:
        words += ["table", table_name(route.table)]
    if route.protocol not in (0, 3):
        words += ["proto", PROTOCOLS.get(route.protocol, str(route.protocol))]
    if route.scope and route.family == 4:
        words += ["scope", SCOPES.get(route.scope, str(route.scope))]
    if route.prefsrc is not None:
        words += ["src", route.prefsrc]
    if route.metric or route.family == 6:
        words += ["metric", str(route.metric)]
    if single:
        words += _flags(route.nexthops[0])
    if route.mtu is not None:
        words += ["mtu", "lock", str(route.mtu)] if route.mtu_locked else ["mtu", str(route.mtu)]
    if not single:
        words += _branches(route, view)
    if route.family == 6 and route.pref:
        words += ["pref", PREFERENCES.get(route.pref, str(route.pref))]
    return " ".join(words)


def _branches(route: Route, view: NetNsView) -> list[str]:
    words: list[str] = []
    for hop in route.nexthops[:SHOWN]:
        words += ["nexthop", *_hop(hop, view, route.family), "weight", str(hop.weight), *_flags(hop)]
    if len(route.nexthops) > SHOWN:
        words.append(f"and {len(route.nexthops) - SHOWN:,} more")
    return words


def _destination(route: Route) -> str:
    address, _, length = route.dst.partition("/")
    if length == "0":
        return "default"
    return address if length in ("", "32" if route.family == 4 else "128") else route.dst


def _hop(hop: NextHop, view: NetNsView, family: int) -> list[str]:
    words = [] if hop.encap is None else ["encap", hop.encap]
    if hop.gateway is not None:
        foreign = family == 4 and ":" in hop.gateway
        words += ["via", "inet6", hop.gateway] if foreign else ["via", hop.gateway]
    if hop.index is not None:
        link = view.links.get(hop.index)
        words += ["dev", f"if{hop.index}" if link is None else link.name]
    return words


def _flags(hop: NextHop) -> list[str]:
    return [word for flag, word in FLAGS.items() if hop.flags & flag]


def describe_rule(rule: Rule) -> str:
    """The rule as ``ip rule`` prints it: ``32766: from all lookup main``."""
    words = [f"{rule.priority}:"]
    if rule.flags & FIB_RULE_INVERT:
        words.append("not")
    words += ["from", _host(rule.src, rule.family) if rule.src else "all"]
    if rule.dst:
        words += ["to", _host(rule.dst, rule.family)]
    if rule.tos:
        words += ["tos", f"0x{rule.tos:02x}"]
    if rule.fwmark is not None:
        words += [
            "fwmark",
            (hex(rule.fwmark) if rule.fwmark else "0") + ("" if rule.fwmask == 0xFFFFFFFF else f"/{hex(rule.fwmask)}"),
        ]
    for name, device, detached in (("iif", rule.iif, 0x8), ("oif", rule.oif, 0x10)):
        if device is not None:
            words += [name, device] + (["[detached]"] if rule.flags & detached else [])
    if rule.l3mdev:
        words.append("lookup [l3mdev-table]")
    if rule.uid_range is not None:
        words += ["uidrange", f"{rule.uid_range[0]}-{rule.uid_range[1]}"]
    if rule.proto is not None:
        words += ["ipproto", TRANSPORTS.get(rule.proto, str(rule.proto))]
    for name, ports in (("sport", rule.sport), ("dport", rule.dport)):
        if ports is not None:
            words += [name, str(ports[0]) if ports[0] == ports[1] else f"{ports[0]}-{ports[1]}"]
    if rule.tun_id is not None:
        words += ["tun_id", str(rule.tun_id)]
    return " ".join(words + _action(rule) + [f"[unknown: {', '.join(rule.unknown)}]" for _ in rule.unknown[:1]])


def _action(rule: Rule) -> list[str]:
    if rule.action == "goto":
        unresolved = ["[unresolved]"] if rule.flags & FIB_RULE_UNRESOLVED else []
        return ["goto", "none" if rule.goto is None else str(rule.goto), *unresolved]
    if rule.action != "lookup":
        return [rule.action]
    words = [] if rule.l3mdev else ["lookup", table_name(rule.table or 0)]
    if rule.suppress_prefixlength is not None:
        words += ["suppress_prefixlength", str(rule.suppress_prefixlength)]
    if rule.suppress_ifgroup is not None:
        words += ["suppress_ifgroup", str(rule.suppress_ifgroup)]
    return words


def _host(prefix: str, family: int) -> str:
    return prefix.removesuffix("/32" if family == 4 else "/128")
