"""IPv6 look-ups: ``fib6_table_lookup``, ``find_rr_leaf``, ``rt6_score_route`` and ``fib6_select_path`` in
net/ipv6/route.c, with the kernel's usual ``CONFIG_IPV6_ROUTER_PREF`` and ``CONFIG_IPV6_SUBTREES``.

Where IPv4 demands that a route leaves by the device asked for, IPv6 only prefers it among routes of one
prefix, unless the look-up is strict: an unset source, or a destination that is link-local, multicast or
loopback. For a received packet the device it came in by is preferred in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from netfs.datapath.routing.answer import ROUTE_ERRORS, Flow, Match, RouteAnswer
from netfs.datapath.routing.compiled import Routing, Table
from netfs.datapath.routing.rules import walk
from netfs.model import ip
from netfs.model.address import NUD_FAILED
from netfs.model.route import NextHop, Route

PREFERENCE_SCORE = {3: 1 << 2, 0: 2 << 2, 1: 3 << 2}
"""Router preference (RFC 4191) to score (``IPV6_DECODE_PREF``)."""


class _Path(NamedTuple):
    route: Route
    hop: NextHop | None


class _Wish(NamedTuple):
    """What the look-up prefers or demands."""

    device: int
    strict: bool
    reachable: bool


def lookup(routing: Routing, flow: Flow) -> RouteAnswer:
    """The route of an IPv6 packet that was received (``flow.iif`` is its device) or is sent here."""
    received = flow.iif != routing.loopback
    narrow = _needs_strict(flow.dst)
    wish = _Wish(
        device=flow.iif if received else flow.oif,
        strict=narrow or (not received and bool(flow.oif) and flow.src is None),
        reachable=not routing.view.sysctl("net.ipv6.conf.all.forwarding", 0),
    )
    return walk(routing, flow, partial(_search, routing, wish))


def _needs_strict(address: int) -> bool:
    """``rt6_need_strict``: multicast, link-local or loopback."""
    return address >> 120 == 0xFF or address >> 118 == 0x3FA or address == 1


def _search(routing: Routing, wish: _Wish, table: Table, flow: Flow) -> Match | None:
    found = _pass(routing, wish, table, flow)
    if found is None and wish.reachable:
        found = _pass(routing, wish._replace(reachable=False), table, flow)
    return found


def _pass(routing: Routing, wish: _Wish, table: Table, flow: Flow) -> Match | None:
    """``fib6_node_lookup``, then ``fib6_backtrack`` from prefix to shorter prefix until a route can be used."""
    backtracking = False
    for _, leaf in table.leaves(flow.dst):
        for group in _subtrees(leaf, flow.src or 0, backtracking):
            found = _leaf(routing, wish, group)
            if found is not None:
                return found
            backtracking = True
    return None


def _subtrees(leaf: tuple[Route, ...], src: int, backtracking: bool) -> Iterator[tuple[Route, ...]]:
    """The routes of one destination by their source prefix, longest first; those for every source last.

    A quirk of the kernel: where a destination has routes for some sources and none fits, its routes for every
    source are not found either, unless the look-up comes back from a longer prefix. Default routes are exempt.
    """
    lengths: dict[int, list[Route]] = {}
    for route in leaf:
        network, length = ip.prefix(route.src) if route.src is not None else (0, 0)
        if src >> (128 - length) == network >> (128 - length):
            lengths.setdefault(length, []).append(route)
    hidden = not backtracking and not leaf[0].dst.endswith("/0")
    if hidden and list(lengths) == [0] and len(lengths[0]) < len(leaf):
        return
    for length in sorted(lengths, reverse=True):
        yield tuple(lengths[length])


def _leaf(routing: Routing, wish: _Wish, leaf: tuple[Route, ...]) -> Match | None:
    """``find_rr_leaf``: the best of the lowest metric, else the best of all others, whatever their metric."""
    first = leaf[0].metric
    found = _best(routing, wish, (route for route in leaf if route.metric == first))
    if found is None:
        found = _best(routing, wish, (route for route in leaf if route.metric != first))
    return found


def _best(routing: Routing, wish: _Wish, routes: Iterator[Route]) -> Match | None:
    """``__find_rr_leaf``. Of a next hop object the first hop that improves counts; a black hole ends the search."""
    best: _Path | None = None
    high = -1
    for route in routes:
        if route.nh_id is not None and route.type == "blackhole":
            return Match(route, ())
        for hop in route.nexthops or (None,):
            score = _score(routing, wish, route, hop)
            if score > high:
                best, high = _Path(route, hop), score
                if route.nh_id is not None:
                    break
    if best is None:
        return None
    return Match(best.route, _branches(routing, wish, best))


def _branches(routing: Routing, wish: _Wish, best: _Path) -> tuple[NextHop, ...]:
    """``fib6_select_path``: any sibling that is not dead may be taken, in the device's favour or not; of a next hop
    object any member at all.
    """
    if best.route.type in ROUTE_ERRORS or best.route.type == "throw" or best.hop is None:
        return ()
    if len(best.route.nexthops) == 1 or best.route.nh_id is not None:
        return best.route.nexthops
    return tuple(hop for hop in best.route.nexthops if _score(routing, wish, best.route, hop) >= 0)


def _score(routing: Routing, wish: _Wish, route: Route, hop: NextHop | None) -> int:
    """``find_match`` and ``rt6_score_route``; negative: not usable."""
    index = hop.index if hop is not None and hop.index is not None else routing.loopback
    forwards = route.type not in ROUTE_ERRORS and route.type != "throw"
    if forwards and (route.nh_id is None if hop is None else routing.dead(route, hop)):
        return -1
    score = 2 if not wish.device or index == wish.device else 0
    if not score and wish.strict:
        return -1
    score |= PREFERENCE_SCORE.get(route.pref, 2 << 2)
    if wish.reachable and hop is not None and hop.gateway is not None:
        entry = routing.view.neighbour(index, hop.gateway)
        if entry is not None and entry.state & NUD_FAILED:
            return -1
    return score
