"""Records by a key, in one pass that costs little: a node of a large cluster holds thousands of them.

The pass is a ``dict`` of a ``zip``; keys that repeat are the rare case, and kept apart. Routes are found by
their prefix, over all tables of a namespace at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Generic, TypeVar

from netfs.model import ip
from netfs.model.route import Route

K = TypeVar("K")
T = TypeVar("T")

_WIDTHS = frozenset(ip.BITS.values())


class Index(Generic[K, T]):
    """Records by a key that may repeat."""

    __slots__ = ("_last", "_several")

    def __init__(self, keys: Sequence[K], records: Sequence[T]) -> None:
        """``keys`` and ``records`` go together, one by one."""
        last = self._last = dict(zip(keys, records, strict=False))
        self._several: dict[K, tuple[T, ...]] = {}
        if len(last) < len(records):
            earlier: dict[K, list[T]] = {}
            for key, record in zip(keys, records, strict=False):
                if last[key] is not record:
                    earlier.setdefault(key, []).append(record)
            self._several = {key: (*found, last[key]) for key, found in earlier.items()}

    def get(self, key: K) -> tuple[T, ...]:
        """The records of a key, in the order given."""
        if key in self._several:
            return self._several[key]
        found = self._last.get(key)
        return () if found is None else (found,)

    def __iter__(self) -> Iterator[K]:
        """Every key once, in the order of first appearance."""
        return iter(self._last)


class _Parsed(dict[str, tuple[int, int]]):
    """Prefixes by their text. Nodes of a cluster have most of theirs in common; a plain ``dict`` finds a known one
    several times faster than ``lru_cache``, which keeps them in order as well.
    """

    LIMIT = 1 << 16

    def __missing__(self, text: str) -> tuple[int, int]:
        if len(self) >= self.LIMIT:
            self.clear()
        found = self[text] = ip.prefix(text)
        return found


_PARSED = _Parsed()


class RouteIndex:
    """The routes of every table of one namespace, by prefix."""

    __slots__ = ("_routes", "lengths")

    def __init__(self, routes: Sequence[Route]) -> None:
        """Raises ValueError where a destination is no prefix."""
        prefixes = [_PARSED[route.dst] for route in routes]
        self._routes = Index(prefixes, routes)
        self.lengths = _by_family(frozenset([length for _, length in prefixes]))
        """Prefix lengths that may occur in a family, longest first."""

    def get(self, network: int, length: int) -> tuple[Route, ...]:
        """The routes to exactly that prefix: of any table, and of either family."""
        return self._routes.get((network, length))

    def hosts(self) -> list[Route]:
        """The routes to single addresses."""
        return [
            route
            for network, length in self._routes
            if length in _WIDTHS
            for route in self._routes.get((network, length))
            if length == ip.BITS[route.family]
        ]


@lru_cache(maxsize=1024)
def _by_family(lengths: frozenset[int]) -> Mapping[int, tuple[int, ...]]:
    ordered = sorted(lengths, reverse=True)
    return {family: tuple(length for length in ordered if length <= width) for family, width in ip.BITS.items()}


def grouped(key: Callable[[T], K], records: Sequence[T]) -> dict[K, list[T]]:
    """Records by a key that most of them share with their neighbour in the list."""
    found: dict[K, list[T]] = {}
    for value, run in groupby(records, key):
        found.setdefault(value, []).extend(run)
    return found
