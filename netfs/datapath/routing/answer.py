"""The question a packet asks of the routing tables, and the answer."""

from __future__ import annotations

from dataclasses import dataclass

from netfs.model.route import NextHop, Route, Rule


@dataclass(frozen=True, slots=True)
class RouteQuery:
    """What a look-up depends on (``struct flowi4``, ``struct flowi6``)."""

    dst: str
    src: str | None = None
    """None: not chosen yet (a local packet whose socket is bound to no address)."""
    iif: str | None = None
    """The device the packet came in by; None: a local process sends it."""
    oif: str | None = None
    """The device a local packet must leave by (``SO_BINDTODEVICE``); not looked at with ``iif``."""
    mark: int = 0
    tos: int = 0
    """The whole octet; what of it counts depends on the family."""
    proto: int | None = None
    """IPPROTO_* number."""
    sport: int | None = None
    dport: int | None = None
    uid: int = 0
    """The sender's user. Received packets have that of the namespace's root, 0."""


@dataclass(frozen=True, slots=True)
class RouteAnswer:
    """What the tables say."""

    kind: str
    """``unicast``, ``local``, ``broadcast``, ``multicast``, ``anycast``, ``blackhole``, ``unreachable``, ``prohibit``,
    ``none`` (no route) or ``unknown``."""
    route: Route | None = None
    """None: no table decided (a rule did, or the destination is taken to be on the link of ``oif``)."""
    rule: Rule | None = None
    nexthops: tuple[NextHop, ...] = ()
    """The usable ones; more than one: the kernel picks one by a hash of the packet."""
    table: int | None = None
    considered: tuple[str, ...] = ()
    """What was looked at, in order, in words."""
    unknown: str | None = None
    """What could not be decided, where ``kind`` is ``unknown``."""
    error: str | None = None
    """The errno a local sender sees where nothing is sent: ``ENETUNREACH``, ``EHOSTUNREACH``, ``EINVAL``, …"""

    @property
    def usable(self) -> bool:
        """Whether the packet goes on: to a next hop or up the stack."""
        return self.kind in ("unicast", "local", "broadcast", "multicast", "anycast")


@dataclass(frozen=True, slots=True)
class Flow:
    """A query in numbers, as rules and tables compare it."""

    family: int
    dst: int
    src: int | None
    iif: int
    """1 (loopback's index) for packets sent here, as in the kernel."""
    oif: int
    mark: int
    tos: int
    proto: int
    sport: int
    dport: int
    uid: int


@dataclass(frozen=True, slots=True)
class Match:
    """A route found in one table, with the next hops that can be used."""

    route: Route
    nexthops: tuple[NextHop, ...]


ROUTE_ERRORS = {
    "blackhole": "EINVAL",
    "unreachable": "EHOSTUNREACH",
    "prohibit": "EACCES",
    "nat": "EINVAL",
}
"""What a route of this type answers (``fib_props`` in net/ipv4/fib_semantics.c, ``fib6_prop`` in net/ipv6/route.c)."""

RULE_ERRORS = {"blackhole": "EINVAL", "unreachable": "ENETUNREACH", "prohibit": "EACCES"}
"""What a rule of this action answers (``fib4_rule_action``, ``__fib6_rule_action``)."""
