"""Look-ups in a namespace's routes, for expectations: which route an address takes, which one a prefix has.

The datapath's own look-up decides a packet's way; this one answers for a table as a whole and knows
nothing of marks or sources. Longest prefix first, then the lowest metric (``fib_table_lookup``).
"""

from __future__ import annotations

from collections.abc import Iterator

from netfs.model import ip
from netfs.model.route import RT_TABLE_LOCAL, RT_TABLE_MAIN, Route

UNUSABLE = 4294967295
"""Metric of the IPv6 default that old kernels put on lo: never chosen."""


class Fib:
    """The routes of one namespace by (table, family), prefix length and network."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self.tables: dict[tuple[int, int], dict[int, dict[int, Route]]] = {}
        for route in routes:
            if route.table == RT_TABLE_LOCAL or route.metric == UNUSABLE or route.type == "multicast":
                continue
            network, length = ip.prefix(route.dst)
            of_length = self.tables.setdefault((route.table, route.family), {}).setdefault(length, {})
            known = of_length.get(network)
            if known is None or route.metric < known.metric:
                of_length[network] = route

    def exact(self, dst: str, table: int = RT_TABLE_MAIN) -> Route | None:
        """The route to exactly that prefix."""
        network, length = ip.prefix(dst)
        return self.tables.get((table, ip.family_of(dst)), {}).get(length, {}).get(network)

    def best(self, address: str, table: int = RT_TABLE_MAIN) -> Route | None:
        """The route that an address takes in that table."""
        family = ip.family_of(address)
        lengths = self.tables.get((table, family))
        if not lengths:
            return None
        value, bits = ip.to_int(address), ip.BITS[family]
        for length in sorted(lengths, reverse=True):
            shift = bits - length
            route = lengths[length].get(value >> shift << shift)
            if route is not None:
                return route
        return None

    def hosts(self) -> Iterator[Route]:
        """The routes to single addresses."""
        for (_, family), lengths in self.tables.items():
            yield from lengths.get(ip.BITS[family], {}).values()

    def default(self, family: int) -> Route | None:
        """The default route of table main, else of any table."""
        for (table, of), lengths in sorted(self.tables.items(), key=lambda item: item[0][0] != RT_TABLE_MAIN):
            if of == family and table and (route := lengths.get(0, {}).get(0)) is not None:
                return route
        return None


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
