"""Routing tables and rules of one namespace, compiled for look-ups.

A look-up probes the namespace's index of prefixes (``NetNsView.routes``) once per prefix length that
occurs, longest first. The kernel's tries (net/ipv4/fib_trie.c,
net/ipv6/ip6_fib.c) give the same order of candidates.

While a namespace has no rules of its own, the kernel keeps its IPv4 tables ``local`` and ``main`` in
one trie and skips the rules (``fib_lookup`` in include/net/ip_fib.h): then a longer prefix of ``main``
wins over a shorter one of ``local``. So it is compiled here too. A namespace that once had rules and
lost them keeps its tables apart; that cannot be read, and is taken for the common case.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from operator import attrgetter

from netfs.cluster.index import RouteIndex
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
    """One table of one family (or two merged ones); leaves are put in order when a look-up comes by."""

    __slots__ = ("_known", "_routes", "family", "lengths", "numbers")

    def __init__(self, routes: RouteIndex, family: int, numbers: tuple[int, ...]) -> None:
        self.family = family
        self.numbers = numbers
        """The tables it is made of."""
        self.lengths = tuple((ip.BITS[family] - length, length) for length in routes.lengths[family])
        """(shift, length) of every prefix length that may occur, longest first."""
        self._routes = routes
        self._known: dict[tuple[int, int], tuple[Route, ...]] = {}

    def leaf(self, network: int, length: int) -> tuple[Route, ...]:
        """The routes of one prefix, in the kernel's order."""
        found = self._routes.get(network, length)
        if not found:
            return ()
        known = self._known.get((network, length))
        if known is None:
            mine = [route for route in found if route.family == self.family and route.table in self.numbers]
            if len(mine) > 1:
                mine.sort(key=_order4 if self.family == 4 else _order6)
            known = self._known[network, length] = tuple(mine)
        return known

    def leaves(self, address: int) -> Iterator[tuple[int, tuple[Route, ...]]]:
        """(network, routes) of every prefix that holds the address, longest prefix first."""
        for shift, length in self.lengths:
            network = address >> shift << shift
            leaf = self.leaf(network, length)
            if leaf:
                yield network, leaf


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
        self._rules: dict[int, tuple[CompiledRule, ...]] = {}
        self.custom4 = self.rules(4) is not _default_rules(4)
        """IPv4 has rules of its own: tables are looked up one by one, as the rules say."""
        self._tables: dict[tuple[int, int], Table] = {}

    def rules(self, family: int) -> tuple[CompiledRule, ...]:
        """The rules of a family, by priority."""
        known = self._rules.get(family)
        if known is None:
            known = self._rules[family] = _compile_rules(self.view, family)
        return known

    @cached_property
    def custom_local(self) -> bool:
        """``fib_has_custom_local_routes``: somebody but the kernel added a route of type local."""
        return any(r.type == "local" and r.protocol != 2 and r.family == 4 for r in self.view.special_routes)

    def table(self, family: int, number: int) -> Table:
        """A table by its number; without rules of its own, IPv4's ``main`` holds ``local`` too."""
        known = self._tables.get((family, number))
        if known is None:
            merged = family == 4 and not self.custom4 and number == RT_TABLE_MAIN
            numbers = (RT_TABLE_LOCAL, RT_TABLE_MAIN) if merged else (number,)
            known = self._tables[family, number] = Table(self.view.routes, family, numbers)
        return known

    def own_gateway(self, hop: NextHop) -> bool:
        """Whether the gateway of an IPv4 next hop is this host on that very device: such a gateway is no next hop, the
        packet goes to its destination on the link.

        ``fib_check_nh_v4_gw`` gave it scope host when the route was added, and ``rt_set_nexthop`` uses gateways of
        scope link alone. ``onlink`` skips the check. The scope cannot be read; it is judged by today's addresses.
        """
        if hop.gateway not in self.view.owned or hop.flags & RTNH_F_ONLINK:
            return False
        return any(own.local == hop.gateway for own in self.view.addresses.get(hop.index or 0, ()))

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
    rules = tuple(sorted(given, key=attrgetter("priority")))
    if not rules or rules == DEFAULT_RULES[family]:
        return _default_rules(family)
    first: dict[int, int] = {}
    for position, rule in enumerate(rules):
        first.setdefault(rule.priority, position)
    return tuple(_compile_rule(view, rule, first) for rule in rules)


@cache
def _default_rules(family: int) -> tuple[CompiledRule, ...]:
    return tuple(_compile_rule(None, rule, {}) for rule in DEFAULT_RULES[family])


def _compile_rule(view: NetNsView | None, rule: Rule, first: dict[int, int]) -> CompiledRule:
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


def _device(view: NetNsView | None, name: str | None, detached: int) -> int:
    if name is None:
        return 0
    link = None if detached or view is None else view.links_by_name.get(name)
    return NO_DEVICE if link is None else link.index
