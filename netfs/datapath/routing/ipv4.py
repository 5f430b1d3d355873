"""IPv4 look-ups: ``fib_table_lookup`` (net/ipv4/fib_trie.c), ``fib_lookup`` (include/net/ip_fib.h) and what
``ip_route_output_key_hash_rcu`` and ``ip_route_input_slow`` (net/ipv4/route.c) put around them.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from netfs.datapath.routing.answer import ROUTE_ERRORS, Flow, Match, RouteAnswer, RouteQuery
from netfs.datapath.routing.compiled import Routing, Table
from netfs.datapath.routing.rules import answer_of, walk
from netfs.datapath.routing.source_address import inet_select_addr, select_source
from netfs.datapath.routing.text import describe
from netfs.model import ip
from netfs.model.address import NUD_INCOMPLETE, NUD_REACHABLE, NUD_VALID
from netfs.model.route import (
    RT_SCOPE_HOST,
    RT_SCOPE_UNIVERSE,
    RT_TABLE_DEFAULT,
    RT_TABLE_LOCAL,
    RT_TABLE_MAIN,
    NextHop,
    Route,
)

LIMITED_BROADCAST = 0xFFFFFFFF


def is_multicast(address: int) -> bool:
    """224.0.0.0/4."""
    return address >> 28 == 0xE


def lookup(routing: Routing, flow: Flow) -> RouteAnswer:
    """The route of an IPv4 packet that was received (``flow.iif`` is its device) or is sent here."""
    if flow.iif != routing.loopback:
        return _input(routing, flow)
    return _output(routing, flow)


def _input(routing: Routing, flow: Flow) -> RouteAnswer:
    if flow.dst == LIMITED_BROADCAST or (flow.dst == 0 and not flow.src):
        return RouteAnswer("broadcast", considered=("limited broadcast: received here",))
    if is_multicast(flow.dst):
        return RouteAnswer("multicast", considered=("multicast: received by members of the group",))
    return fib_lookup(routing, flow)


def _output(routing: Routing, flow: Flow) -> RouteAnswer:
    refused = _refused_source(routing, flow)
    if refused is not None:
        return refused
    oif = flow.oif
    device = routing.links.get(oif)
    if oif:
        if device is None:
            return RouteAnswer("none", considered=("the device to leave by is not there",), error="ENODEV")
        if not device.up:
            return RouteAnswer("none", considered=(f"device {device.name} is down",), error="ENETUNREACH")
    spread = flow.dst == LIMITED_BROADCAST or is_multicast(flow.dst)
    if spread and not oif and flow.src:
        oif = _device_of(routing, flow.src)
        return _on_link(routing, flow, oif, "the device that holds the source address")
    if oif and (flow.dst == LIMITED_BROADCAST or flow.dst >> 8 == 0xE00000 or flow.proto == 2):
        return _on_link(routing, flow, oif, "the device asked for")
    if flow.dst == 0:
        return RouteAnswer("local", considered=("no destination: this host",))
    if device is not None and is_multicast(flow.dst) and flow.src is None:
        chosen, _ = inet_select_addr(routing.view, device, None, RT_SCOPE_UNIVERSE)
        flow = replace(flow, src=ip.to_int(chosen) if chosen is not None else None)
    answer = fib_lookup(routing, flow)
    if oif and not answer.usable and answer.kind != "unknown":
        return _on_link(routing, flow, oif, "no route by the device asked for: taken to be on its link", answer)
    if answer.kind in ("blackhole", "unreachable", "prohibit", "none", "unknown"):
        return answer
    if not oif and answer.route is not None and answer.route.dst == "0.0.0.0/0":
        answer = _select_default(routing, answer, answer.route, flow.tos & 0x1C)
    return _checked_output(routing, flow, answer)


def _refused_source(routing: Routing, flow: Flow) -> RouteAnswer | None:
    """A local packet must have a source address of this host."""
    src = flow.src
    if not src:
        return None
    text = ip.to_text(src, 4)
    if src == LIMITED_BROADCAST or is_multicast(src):
        return RouteAnswer("none", considered=(f"{text} cannot be a source",), error="EINVAL")
    if not _device_of(routing, src):
        return RouteAnswer("none", considered=(f"source {text} is no address of this host",), error="ENETUNREACH")
    return None


def _device_of(routing: Routing, address: int) -> int:
    """Index of the device that holds an address, 0 for none (``__ip_dev_find``: addresses, then table ``local``).

    Where several devices hold it the kernel takes the one that got it last, which cannot be read.
    """
    owned = routing.view.owned.get(ip.to_text(address, 4))
    if owned is not None:
        return owned.index
    table = routing.table(4, RT_TABLE_LOCAL if routing.custom4 else RT_TABLE_MAIN)
    found = search(routing, table, Flow(4, address, None, routing.loopback, 0, 0, 0, 0, 0, 0, 0))
    if found is None or found.route.type != "local" or not found.nexthops:
        return 0
    return found.nexthops[0].index or 0


def _on_link(routing: Routing, flow: Flow, oif: int, why: str, answer: RouteAnswer | None = None) -> RouteAnswer:
    considered = (*(answer.considered if answer is not None else ()), why)
    hop = NextHop(oif)
    return _checked_output(routing, flow, RouteAnswer("unicast", nexthops=(hop,), considered=considered))


def _checked_output(routing: Routing, flow: Flow, answer: RouteAnswer) -> RouteAnswer:
    """``__mkroute_output``: the destination's own class overrides the route's type, and what is sent to many is
    not sent through a gateway, unless a multicast route says so; 127.0.0.0/8 stays inside.
    """
    src = _source(routing, flow, answer)
    if answer.kind != "local" and src >> 24 == 127:
        hops = tuple(hop for hop in answer.nexthops if _leaves_loopback(routing, hop))
        if not hops:
            return RouteAnswer(
                "none", considered=(*answer.considered, "a loopback source may not leave"), error="EINVAL"
            )
        answer = replace(answer, nexthops=hops)
    if flow.dst == LIMITED_BROADCAST:
        kind = "broadcast"
    elif is_multicast(flow.dst):
        kind = "multicast"
    else:
        return answer
    hops = answer.nexthops
    if answer.kind == "local":
        hops = (NextHop(routing.loopback),)
    elif kind == "broadcast" or answer.route is None or ip.prefix(answer.route.dst)[1] < 4:
        hops = tuple(NextHop(hop.index) for hop in hops)
    return RouteAnswer(kind, answer.route, answer.rule, hops, answer.table, answer.considered)


def _source(routing: Routing, flow: Flow, answer: RouteAnswer) -> int:
    """The source address, where it could be one of loopback's: chosen by the sender, or by a route of scope host."""
    if flow.src is not None:
        return flow.src
    if answer.route is None or answer.route.scope < RT_SCOPE_HOST:
        return 0
    query = RouteQuery(ip.to_text(flow.dst, 4))
    return ip.to_int(select_source(routing.view, answer, query)[0] or "0.0.0.0")


def _leaves_loopback(routing: Routing, hop: NextHop) -> bool:
    """Whether the device lets 127.0.0.0/8 out (``route_localnet``), or is loopback itself."""
    link = routing.links.get(hop.index or 0)
    everywhere = routing.view.sysctl("net.ipv4.conf.all.route_localnet", 0)
    return link is not None and bool(link.loopback or link.ipv4.get("route_localnet", 0) or everywhere)


def fib_lookup(routing: Routing, flow: Flow, *, ignore_linkstate: bool = False) -> RouteAnswer:
    """Rules and tables alone."""
    find = partial(search, routing, ignore_linkstate=ignore_linkstate)
    if routing.custom4:
        return walk(routing, flow, find)
    return _without_rules(routing, flow, ignore_linkstate)


def _without_rules(routing: Routing, flow: Flow, ignore_linkstate: bool) -> RouteAnswer:
    """``fib_lookup`` of a namespace without rules of its own: the merged table, then ``default``."""
    rules = {compiled.rule.table: compiled for compiled in routing.rules(4)}
    considered: list[str] = []
    for number in (RT_TABLE_MAIN, RT_TABLE_DEFAULT):
        found = search(routing, routing.table(4, number), flow, ignore_linkstate=ignore_linkstate)
        compiled = rules[number if found is None else found.route.table]
        considered.append(f"rule {compiled.text}")
        if found is not None and found.route.type != "throw":
            return answer_of(found, compiled, considered)
        if found is not None:
            considered.append(f"{describe(found.route, routing.view)}: on to the next rule")
    return RouteAnswer("none", considered=(*considered, "no route"), error="ENETUNREACH")


def search(routing: Routing, table: Table, flow: Flow, *, ignore_linkstate: bool = False) -> Match | None:
    """``fib_table_lookup``: the best route, and the next hops it may take (all of them: the kernel takes the first,
    then ``fib_select_path`` may take another).

    A quirk of the kernel: a route through a next hop object that cannot be used hides the shorter prefixes of the
    very same network address (``goto miss``: 10.0.0.0/24 hides 10.0.0.0/8, but not 0.0.0.0/0).
    """
    dst, tos = flow.dst, flow.tos & 0x1C
    missed = -1
    for network, leaf in table.leaves(dst):
        if network == missed:
            continue
        for route in leaf:
            if route.tos and route.tos != tos:
                continue
            if route.type in ROUTE_ERRORS or route.type == "throw":
                return Match(route, ())
            hops = _usable(routing, route, flow.oif, ignore_linkstate)
            if hops:
                return Match(route, hops)
            if route.nh_id is not None:
                if not route.nexthops:
                    return Match(route, ())
                missed = network
                break
    return None


def _usable(routing: Routing, route: Route, oif: int, ignore_linkstate: bool) -> tuple[NextHop, ...]:
    """The next hops that may be taken: alive, and on the device asked for, where there is one (then the first)."""
    hops = tuple(
        hop
        for hop in route.nexthops
        if not routing.dead(route, hop, ignore_linkstate=ignore_linkstate) and (not oif or hop.index == oif)
    )
    if oif:
        hops = hops[:1]
    if any(hop.gateway is not None and routing.own_gateway(hop) for hop in hops):
        return tuple(NextHop(hop.index) if routing.own_gateway(hop) else hop for hop in hops)
    return hops


def _select_default(routing: Routing, answer: RouteAnswer, first: Route, tos: int) -> RouteAnswer:
    """``fib_select_default``: of default routes of equal metric, those whose gateway may be taken to be alive.

    Only for packets sent here; a forwarded one takes the first. The kernel moves on from a gateway that is not
    confirmed (``fib_detect_death``) to the next; which one it used last cannot be read, so all that it may use now
    are next hops of the answer.
    """
    equal = _equal_defaults(routing, first, tos)
    if len(equal) < 2 or len(first.nexthops) > 1:
        return answer
    alive: list[NextHop] = []
    failed = [first.nexthops[0]]
    for hop in (route.nexthops[0] for route in equal):
        entry = routing.view.neighbour(hop.index or 0, hop.gateway or "")
        if entry is None or entry.state == NUD_REACHABLE:
            alive.append(hop)
            break
        if entry.state & NUD_VALID:
            alive.append(hop)
        elif entry.state != NUD_INCOMPLETE:
            failed.append(hop)
    hops = tuple(dict.fromkeys(alive or failed))
    chosen = next(route for route in equal if route.nexthops[0] == hops[0])
    return replace(answer, route=chosen, nexthops=hops)


def _equal_defaults(routing: Routing, first: Route, tos: int) -> list[Route]:
    """The default routes that the kernel weighs against each other; a carrierless one is among them."""
    number = RT_TABLE_MAIN if not routing.custom4 and first.table == RT_TABLE_LOCAL else first.table
    found: list[Route] = []
    last_metric, last_tos = first.metric, 0
    for route in routing.table(4, number).leaf(0, 0):
        if route.table != first.table or (route.tos and route.tos != tos):
            continue
        if route.metric > last_metric and route.tos == last_tos:
            if last_tos:
                continue
            break
        hop = route.nexthops[0] if route.nexthops else None
        if hop is not None and routing.dead(route, hop, ignore_linkstate=True):
            continue
        last_metric, last_tos = route.metric, route.tos
        if route.scope != first.scope or route.type != "unicast" or hop is None or hop.gateway is None:
            continue
        if not found and route is not first:
            break
        found.append(route)
    return found
