"""Policy rules: which table answers (``fib_rules_lookup`` and ``fib_rule_match`` in net/core/fib_rules.c).

A rule that cannot be decided (a selector netfs does not know, a VRF, tunnel metadata) makes the answer
unknown only where it could matter: where every selector that is known fits, and its table has something
to say.
"""

from __future__ import annotations

from collections.abc import Callable

from netfs.datapath.routing.answer import ROUTE_ERRORS, RULE_ERRORS, Flow, Match, RouteAnswer
from netfs.datapath.routing.compiled import FIND_SADDR, CompiledRule, Routing, Table
from netfs.datapath.routing.text import describe
from netfs.model import ip
from netfs.model.route import RT_TABLE_MAIN

Search = Callable[[Table, Flow], Match | None]

MATCHES, DIFFERS, UNDECIDED = True, False, None


def walk(routing: Routing, flow: Flow, search: Search) -> RouteAnswer:
    """The answer of the first rule that has one; ``none`` where no rule has."""
    rules = routing.rules(flow.family)
    considered: list[str] = []
    position = 0
    while position < len(rules):
        compiled = rules[position]
        position += 1
        matched = matches(routing, compiled, flow)
        if matched is DIFFERS:
            continue
        action = compiled.rule.action
        if action == "nop":
            continue
        if action == "goto":
            if matched is UNDECIDED and compiled.goto is not None:
                return _undecided(compiled, considered)
            if compiled.goto is not None:
                considered.append(f"rule {compiled.text}")
                if compiled.goto < position:
                    return _backwards(compiled, considered)
                position = compiled.goto
            continue
        answer = _act(routing, compiled, flow, search, considered)
        if answer is not None:
            return _undecided(compiled, considered) if matched is UNDECIDED else answer
    return RouteAnswer("none", considered=(*considered, "no rule found a route"), error="ENETUNREACH")


def _undecided(compiled: CompiledRule, considered: list[str]) -> RouteAnswer:
    rule = compiled.rule
    names = list(rule.unknown) + ["l3mdev"] * rule.l3mdev + ["tun_id"] * (rule.tun_id is not None)
    names += ["find_saddr"] if rule.flags & FIND_SADDR else []
    why = f"rule {compiled.text}: whether {', '.join(names)} fits the packet is not known"
    return RouteAnswer("unknown", rule=rule, considered=(*considered, why), unknown=why)


def _backwards(compiled: CompiledRule, considered: list[str]) -> RouteAnswer:
    """``fib_nl2rule`` refuses a target that is not behind its rule: no kernel holds what this snapshot says."""
    why = f"rule {compiled.text} leads back to itself or to an earlier rule, which no kernel allows"
    return RouteAnswer("unknown", rule=compiled.rule, considered=tuple(considered), unknown=why)


def _act(
    routing: Routing, compiled: CompiledRule, flow: Flow, search: Search, considered: list[str]
) -> RouteAnswer | None:
    """What a rule that fits answers; None: go on with the next one."""
    rule = compiled.rule
    considered.append(f"rule {compiled.text}")
    if rule.action != "lookup":
        kind = rule.action if rule.action in RULE_ERRORS else "blackhole"
        return RouteAnswer(kind, rule=rule, considered=tuple(considered), error=RULE_ERRORS[kind])
    if rule.l3mdev:
        return RouteAnswer("unknown")
    found = search(routing.table(flow.family, rule.table or RT_TABLE_MAIN), flow)
    if found is None:
        return None
    if found.route.type == "throw":
        considered.append(f"{describe(found.route, routing.view)}: on to the next rule")
        return None
    if suppressed(routing, compiled, found):
        considered.append(f"{describe(found.route, routing.view)}: suppressed by the rule")
        return None
    return answer_of(found, compiled, considered)


def answer_of(found: Match, compiled: CompiledRule, considered: list[str]) -> RouteAnswer:
    """A match as an answer."""
    route = found.route
    kind = "blackhole" if route.type == "nat" else route.type
    if route.type == "unicast" and not found.nexthops:
        why = f"next hop object {route.nh_id} of the route was not read"
        return RouteAnswer("unknown", route, compiled.rule, (), route.table, (*considered, why), unknown=why)
    return RouteAnswer(
        kind, route, compiled.rule, found.nexthops, route.table, tuple(considered), error=ROUTE_ERRORS.get(route.type)
    )


def suppressed(routing: Routing, compiled: CompiledRule, found: Match) -> bool:
    """``fib4_rule_suppress``, ``fib6_rule_suppress``. A route that answers with an error is never suppressed.

    The group is that of the route's first next hop in IPv4, usable or not, and of the chosen one in IPv6.
    """
    rule = compiled.rule
    if found.route.type in ROUTE_ERRORS:
        return False
    if rule.suppress_prefixlength is not None and ip.prefix(found.route.dst)[1] <= rule.suppress_prefixlength:
        return True
    hops = found.route.nexthops if found.route.family == 4 else found.nexthops
    if rule.suppress_ifgroup is None or not hops:
        return False
    index = hops[0].index
    link = routing.links.get(index) if index is not None else None
    return link is not None and link.group == rule.suppress_ifgroup


def matches(routing: Routing, compiled: CompiledRule, flow: Flow) -> bool | None:
    """Whether the rule fits; None where that cannot be decided."""
    if compiled.plain:
        return MATCHES
    if not _known_selectors(compiled, flow):
        return compiled.invert
    undecided = _undecided_selectors(routing, compiled, flow)
    if undecided is UNDECIDED:
        return UNDECIDED
    return undecided != compiled.invert


def _known_selectors(compiled: CompiledRule, flow: Flow) -> bool:
    rule = compiled.rule
    if compiled.iif and compiled.iif != flow.iif:
        return False
    if compiled.oif and compiled.oif != flow.oif:
        return False
    if (flow.mark & compiled.mask) != compiled.mark:
        return False
    if rule.uid_range is not None and not rule.uid_range[0] <= flow.uid <= rule.uid_range[1]:
        return False
    return _addresses(compiled, flow) and _transport(compiled, flow)


def _addresses(compiled: CompiledRule, flow: Flow) -> bool:
    """``fib4_rule_match``, ``fib6_rule_match``: an unset source is 0.0.0.0 in IPv4, and fits no prefix in IPv6."""
    if compiled.dst is not None and flow.dst >> compiled.dst[0] != compiled.dst[1]:
        return False
    if compiled.src is None:
        return True
    if flow.src is None and flow.family == 6:
        return bool(compiled.rule.flags & FIND_SADDR)
    return (flow.src or 0) >> compiled.src[0] == compiled.src[1]


def _transport(compiled: CompiledRule, flow: Flow) -> bool:
    rule = compiled.rule
    if compiled.tos and compiled.tos != flow.tos & (0x1C if flow.family == 4 else 0xFC):
        return False
    if rule.proto is not None and rule.proto != flow.proto:
        return False
    if rule.sport is not None and not rule.sport[0] <= flow.sport <= rule.sport[1]:
        return False
    return rule.dport is None or rule.dport[0] <= flow.dport <= rule.dport[1]


def _undecided_selectors(routing: Routing, compiled: CompiledRule, flow: Flow) -> bool | None:
    """True: they fit; False: they do not; None: not known."""
    rule = compiled.rule
    if rule.l3mdev and not _in_vrf(routing, flow):
        return DIFFERS
    if rule.tun_id and not routing.metadata:
        return DIFFERS
    if rule.unknown or rule.l3mdev or rule.tun_id:
        return UNDECIDED
    return UNDECIDED if rule.flags & FIND_SADDR and flow.src is None and compiled.src is not None else MATCHES


def _in_vrf(routing: Routing, flow: Flow) -> bool:
    """Whether the packet's device is, or belongs to, a VRF (``l3mdev_fib_rule_match``)."""
    if not routing.vrf:
        return False
    for index in (flow.iif, flow.oif):
        link = routing.links.get(index)
        master = routing.links.get(link.master) if link is not None and link.master is not None else None
        if any(device is not None and device.kind == "vrf" for device in (link, master)):
            return True
    return False
