"""Routing tables and rules of one namespace, compiled for look-ups.

A table holds one dict per prefix length that occurs, longest first: a look-up costs as many dict
probes as the table has different prefix lengths. The kernel's tries (net/ipv4/fib_trie.c,
net/ipv6/ip6_fib.c) give the same order of candidates.

While a namespace has no rules of its own, the kernel keeps its IPv4 tables ``local`` and ``main`` in
one trie and skips the rules (``fib_lookup`` in include/net/ip_fib.h): then a longer prefix of ``main``
wins over a shorter one of ``local``. So it is compiled here too. A namespace that once had rules and
lost them keeps its tables apart; that cannot be read, and is taken for the common case.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from netfs.cluster.netns import NetNsView
from netfs.datapath.routing.text import describe_rule
from netfs.model import ip
from netfs.model.route import (
    FIB_RULE_INVERT,
    RT_SCOPE_HOST,
    RT_TABLE_DEFAULT,
    RT_TABLE_LOCAL,
    RT_TABLE_MAIN,
    RTNH_F_DEAD,
    RTNH_F_LINKDOWN,
    RTNH_F_ONLINK,
    NextHop,
    Route,
    Rule,
)

IIF_DETACHED = 0x8
OIF_DETACHED = 0x10
FIND_SADDR = 0x10000
NO_DEVICE = -1

DEFAULT_RULES = {
    4: (
        Rule(4, 0, table=RT_TABLE_LOCAL),
        Rule(4, 32766, table=RT_TABLE_MAIN),
        Rule(4, 32767, table=RT_TABLE_DEFAULT),
    ),
    6: (Rule(6, 0, table=RT_TABLE_LOCAL), Rule(6, 32766, table=RT_TABLE_MAIN)),
}
"""``fib_default_rules_init``, ``fib6_rules_net_init``."""


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule with its selectors as numbers."""

    rule: Rule
    text: str
    src: tuple[int, int] | None
    """(shift, value): matches where ``address >> shift == value``."""
    dst: tuple[int, int] | None
    iif: int
    """0: any; -1: a device that is not there."""
    oif: int
    mask: int
    mark: int
    tos: int
    invert: bool
    plain: bool
    """No selector at all: every packet matches."""
    goto: int | None
    """Position of the rule to go on with; None: no such rule, or no goto."""


class Table:
    """One table of one family (or two merged ones)."""

    __slots__ = ("by_length", "family")

    def __init__(self, family: int, routes: Iterable[Route]) -> None:
        self.family = family
        bits = ip.BITS[family]
        found: dict[int, dict[int, list[Route]]] = {}
        for route in routes:
            network, length = ip.prefix(route.dst)
            found.setdefault(length, {}).setdefault(network >> (bits - length), []).append(route)
        key = _order4 if family == 4 else _order6
        self.by_length: tuple[tuple[int, dict[int, tuple[Route, ...]]], ...] = tuple(
            (bits - length, {network: _sorted(leaf, key) for network, leaf in found[length].items()})
            for length in sorted(found, reverse=True)
        )
        """(shift, routes by network), longest prefix first; routes of one prefix in the kernel's order."""

    def leaves(self, address: int) -> Iterator[tuple[Route, ...]]:
        """The routes of every prefix that holds the address, longest prefix first."""
        for shift, networks in self.by_length:
            leaf = networks.get(address >> shift)
            if leaf is not None:
                yield leaf


def _sorted(leaf: list[Route], key: object) -> tuple[Route, ...]:
    return tuple(leaf) if len(leaf) == 1 else tuple(sorted(leaf, key=key))  # type: ignore[call-overload]


def _order4(route: Route) -> tuple[int, int, int]:
    """``fib_find_alias``: table (of a merged trie), TOS, metric; then the order of insertion."""
    return -route.table, -route.tos, route.metric


def _order6(route: Route) -> int:
    """``fib6_add_rt2node``: metric; then the order of insertion."""
    return route.metric


class Routing:
    """What look-ups of one namespace need."""

    def __init__(self, view: NetNsView) -> None:
        self.view = view
        self.links = view.links
        self.loopback = next((link.index for link in view.netns.links if link.loopback), 1)
        self.vrf = any(link.kind == "vrf" for link in view.netns.links)
        self.metadata = any(link.vxlan is not None and link.vxlan.collect_metadata for link in view.netns.links)
        self.rules = {family: _compile_rules(view, family) for family in (4, 6)}
        self.custom4 = tuple(c.rule for c in self.rules[4]) != DEFAULT_RULES[4]
        """IPv4 has rules of its own: tables are looked up one by one, as the rules say."""
        self.tables = {(family, table): t for (family, table), t in self._compile_tables()}
        self.custom_local = any(r.family == 4 and r.type == "local" and r.protocol != 2 for r in view.netns.routes)
        """``fib_has_custom_local_routes``: somebody but the kernel added a route of type local."""
        self.own_gateways = self._own_gateways()
        """(device, gateway) of IPv4 next hops whose gateway is this host on that very device."""

    def _own_gateways(self) -> frozenset[tuple[int, str]]:
        """Such a gateway is no next hop: the packet goes to its destination on the link.

        ``fib_check_nh_v4_gw`` gave it scope host when the route was added, and ``rt_set_nexthop`` uses gateways of
        scope link alone. ``onlink`` skips the check. The scope cannot be read; it is judged by today's addresses.
        """
        held = {(address.index, address.local) for address in self.view.netns.addresses}
        asked = {
            (hop.index or 0, hop.gateway or "")
            for route in self.view.netns.routes
            for hop in route.nexthops
            if hop.gateway is not None and not hop.flags & RTNH_F_ONLINK
        }
        return frozenset(held & asked)

    def _compile_tables(self) -> Iterator[tuple[tuple[int, int], Table]]:
        grouped: dict[tuple[int, int], list[Route]] = {}
        for route in self.view.netns.routes:
            grouped.setdefault((route.family, route.table), []).append(route)
        if not self.custom4:
            both = grouped.pop((4, RT_TABLE_LOCAL), []) + grouped.pop((4, RT_TABLE_MAIN), [])
            yield (4, RT_TABLE_MAIN), Table(4, both)
        for key, routes in grouped.items():
            yield key, Table(key[0], routes)

    def index(self, name: str | None) -> int:
        """Index of a device; 0 for None, -1 where there is none of that name."""
        if name is None:
            return 0
        link = self.view.links_by_name.get(name)
        return NO_DEVICE if link is None else link.index

    def dead(self, route: Route, hop: NextHop, *, ignore_linkstate: bool = False) -> bool:
        """Whether a next hop is skipped (``fib_lookup_good_nhc``, ``find_match``): gone, down, or without carrier
        where ``ignore_routes_with_linkdown`` says so.

        The kernel itself reports a carrierless next hop that it skips as dead and linkdown at once
        (``fib_nexthop_info``, ``rt6_nexthop_info``), and drops the routes of a device that goes down, but for
        those of this host's addresses (``fib_sync_down_dev``): they stay local.
        """
        link = self.links.get(hop.index) if hop.index is not None else None
        if link is None or (not link.up and route.type != "local" and route.scope != RT_SCOPE_HOST):
            return True
        if hop.flags & RTNH_F_DEAD:
            return not (ignore_linkstate and hop.flags & RTNH_F_LINKDOWN)
        return False


def routing(view: NetNsView) -> Routing:
    """The compiled tables of a namespace, made on first use."""
    found = view.compiled.get("routing")
    if found is None:
        found = view.compiled["routing"] = Routing(view)
    assert isinstance(found, Routing)
    return found


def _compile_rules(view: NetNsView, family: int) -> tuple[CompiledRule, ...]:
    given = [rule for rule in view.netns.rules if rule.family == family]
    rules = sorted(given, key=lambda rule: rule.priority) if given else list(DEFAULT_RULES[family])
    first: dict[int, int] = {}
    for position, rule in enumerate(rules):
        first.setdefault(rule.priority, position)
    return tuple(_compile_rule(view, rule, first) for rule in rules)


def _compile_rule(view: NetNsView, rule: Rule, first: dict[int, int]) -> CompiledRule:
    mask = 0 if rule.fwmark is None else rule.fwmask
    selectors = (rule.src, rule.dst, rule.iif, rule.oif, rule.proto, rule.sport, rule.dport, rule.uid_range)
    plain = not (any(s is not None for s in selectors) or mask or rule.tos or rule.l3mdev or rule.tun_id)
    return CompiledRule(
        rule=rule,
        text=describe_rule(rule),
        src=_prefix(rule.src),
        dst=_prefix(rule.dst),
        iif=_device(view, rule.iif, rule.flags & IIF_DETACHED),
        oif=_device(view, rule.oif, rule.flags & OIF_DETACHED),
        mask=mask,
        mark=(rule.fwmark or 0) & mask,
        tos=rule.tos,
        invert=bool(rule.flags & FIB_RULE_INVERT),
        plain=plain and not rule.flags & FIB_RULE_INVERT and not rule.unknown,
        goto=first.get(rule.goto) if rule.action == "goto" and rule.goto is not None else None,
    )


def _prefix(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    network, length = ip.prefix(text)
    shift = ip.BITS[ip.family_of(text)] - length
    return (shift, network >> shift) if length else None


def _device(view: NetNsView, name: str | None, detached: int) -> int:
    if name is None:
        return 0
    link = None if detached else view.links_by_name.get(name)
    return NO_DEVICE if link is None else link.index
