"""Look-ups in a namespace's routes, for expectations: which route an address takes, which one a prefix has.

The datapath's own look-up decides a packet's way; this one answers for a table as a whole and knows
nothing of marks or sources. Longest prefix first, then the lowest metric (``fib_table_lookup``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netfs.cluster.index import RouteIndex
from netfs.cluster.netns import NetNsView
from netfs.model import ip
from netfs.model.route import RT_TABLE_LOCAL, RT_TABLE_MAIN, Route

UNUSABLE = 4294967295
"""Metric of the IPv6 default that old kernels put on lo: never chosen."""


FEW = 16
"""Up to this many routes, as pods have, are looked through faster than indexed."""


class Fib:
    """The routes of one namespace, without those of this host's own addresses."""

    def __init__(self, view: NetNsView) -> None:
        self._view = view

    @property
    def _routes(self) -> RouteIndex:
        return self._view.routes

    def exact(self, dst: str, table: int = RT_TABLE_MAIN) -> Route | None:
        """The route to exactly that prefix."""
        network, length = ip.prefix(dst)
        return _chosen(self._routes.get(network, length), ip.family_of(dst), table)

    def best(self, address: str, table: int = RT_TABLE_MAIN) -> Route | None:
        """The route that an address takes in that table."""
        family = ip.family_of(address)
        value, bits = ip.to_int(address), ip.BITS[family]
        for length in self._routes.lengths[family]:
            shift = bits - length
            found = self._routes.get(value >> shift << shift, length)
            if found and (route := _chosen(found, family, table)) is not None:
                return route
        return None

    def hosts(self) -> Iterator[Route]:
        """The routes to single addresses, table by table."""
        found: dict[tuple[int, int], dict[str, Route]] = {}
        for route in self._routes.hosts():
            if _usable(route):
                of_table = found.setdefault((route.table, route.family), {})
                known = of_table.get(route.dst)
                if known is None or route.metric < known.metric:
                    of_table[route.dst] = route
        for of_table in found.values():
            yield from of_table.values()

    def default(self, family: int) -> Route | None:
        """The default route of table main, else of any table."""
        routes = self._view.netns.routes
        found = [route for route in routes if is_default(route)] if len(routes) <= FEW else self._routes.get(0, 0)
        tables = dict.fromkeys((RT_TABLE_MAIN, *(route.table for route in found)))
        return next((route for table in tables if table and (route := _chosen(found, family, table))), None)


def _usable(route: Route) -> bool:
    return route.table != RT_TABLE_LOCAL and route.metric != UNUSABLE and route.type != "multicast"


def _chosen(routes: Sequence[Route], family: int, table: int) -> Route | None:
    """Of the routes of one prefix, the one of a table with the lowest metric."""
    best: Route | None = None
    for route in routes:
        if route.table == table and route.family == family and _usable(route):
            if best is None or route.metric < best.metric:
                best = route
    return best


def is_default(route: Route) -> bool:
    """Whether a route matches every address of its family."""
    return route.dst.endswith("/0")


def shown(route: Route, names: dict[int, str]) -> str:
    """The route as ``ip route`` prints it."""
    words = [] if route.type == "unicast" else [route.type]
    words.append("default" if is_default(route) else route.dst)
    for hop in route.nexthops[:1]:
        words += ["via", hop.gateway] if hop.gateway else []
        words += ["dev", names.get(hop.index or 0, f"if{hop.index}")]
        words += ["onlink"] if hop.flags & 0x4 else []
    words += ["src", route.prefsrc] if route.prefsrc else []
    words += ["metric", str(route.metric)] if route.metric else []
    return " ".join(words)
