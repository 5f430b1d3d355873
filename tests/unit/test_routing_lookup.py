"""Tables and rules: which route a packet gets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netfs.datapath.routing import RouteQuery, lookup
from netfs.datapath.routing.compiled import Routing, routing
from netfs.model.address import NUD_FAILED, NUD_STALE, Neighbour
from netfs.model.link import Link
from netfs.model.route import FIB_RULE_INVERT, RTNH_F_DEAD, RTNH_F_LINKDOWN, NextHop, Route, Rule
from tests.unit.routing_fixture import ETH0, ETH1, LO, RULES4, namespace, via


def test_longest_prefix_wins() -> None:
    view = namespace(via("0.0.0.0/0", "10.0.0.1"), via("10.9.0.0/16", "10.0.0.9"), via("10.9.1.0/24", "10.1.0.9", 3))
    assert [lookup(view, RouteQuery(dst)).nexthops[0].gateway for dst in ("10.9.1.1", "10.9.2.1", "8.8.8.8")] == [
        "10.1.0.9",
        "10.0.0.9",
        "10.0.0.1",
    ]


def test_lowest_metric_wins_and_dead_next_hops_are_skipped() -> None:
    dead = Route(4, "10.9.0.0/16", nexthops=(NextHop(3, "10.1.0.9", flags=RTNH_F_DEAD | RTNH_F_LINKDOWN),), metric=1)
    view = namespace(via("10.9.0.0/16", "10.0.0.8", metric=20), via("10.9.0.0/16", "10.0.0.7", metric=10), dead)
    assert lookup(view, RouteQuery("10.9.0.1")).nexthops == (NextHop(2, "10.0.0.7"),)


def test_a_route_without_carrier_is_used_unless_the_kernel_calls_it_dead() -> None:
    hop = NextHop(3, "10.1.0.9", flags=RTNH_F_LINKDOWN)
    assert lookup(namespace(Route(4, "10.9.0.0/16", nexthops=(hop,))), RouteQuery("10.9.0.1")).nexthops == (hop,)


def test_tos_must_fit_and_goes_before_metric() -> None:
    view = namespace(via("10.9.0.0/16", "10.0.0.8", tos=0x10, metric=50), via("10.9.0.0/16", "10.0.0.7"))
    assert lookup(view, RouteQuery("10.9.0.1", tos=0x10)).nexthops[0].gateway == "10.0.0.8"
    assert lookup(view, RouteQuery("10.9.0.1", tos=0x08)).nexthops[0].gateway == "10.0.0.7"


def test_every_branch_of_a_multipath_route_is_named() -> None:
    hops = (NextHop(2, "10.0.0.8"), NextHop(3, "10.1.0.8"), NextHop(3, "10.1.0.9", flags=RTNH_F_DEAD))
    view = namespace(Route(4, "10.9.0.0/16", nexthops=hops))
    assert lookup(view, RouteQuery("10.9.0.1")).nexthops == hops[:2]
    assert lookup(view, RouteQuery("10.9.0.1", oif="eth1")).nexthops == hops[1:2]


@pytest.mark.parametrize(
    ("kind", "error"), [("blackhole", "EINVAL"), ("unreachable", "EHOSTUNREACH"), ("prohibit", "EACCES")]
)
@pytest.mark.parametrize("dst", ["10.9.0.0/16", "fd09::/16"])
def test_routes_that_refuse_answer_with_their_error(dst: str, kind: str, error: str) -> None:
    family = 6 if ":" in dst else 4
    hops = (NextHop(1),) if family == 6 else ()
    view = namespace(Route(family, dst, type=kind, nexthops=hops), via("::/0", "fd00::1"), via("0.0.0.0/0", "10.0.0.1"))
    answer = lookup(view, RouteQuery(dst.replace("/16", "").replace("0.0", "0.1")))
    assert (answer.kind, answer.error, answer.usable) == (kind, error, False)


def test_no_route_is_network_unreachable() -> None:
    answer = lookup(namespace(), RouteQuery("10.9.0.1"))
    assert (answer.kind, answer.error, answer.route) == ("none", "ENETUNREACH", None)


def test_throw_goes_on_to_the_next_rule() -> None:
    rules = (*RULES4, Rule(4, 100, table=100))
    view = namespace(Route(4, "10.9.0.0/16", table=100, type="throw"), via("10.9.0.0/16", "10.0.0.8"), rules=rules)
    answer = lookup(view, RouteQuery("10.9.0.1"))
    assert (answer.table, answer.rule) == (254, RULES4[1])
    assert "throw 10.9.0.0/16 table 100: on to the next rule" in answer.considered


def test_without_rules_of_its_own_main_can_shadow_local() -> None:
    inside = via("127.5.0.0/16", None)
    assert lookup(namespace(inside), RouteQuery("127.5.0.1")).route == inside
    assert lookup(namespace(inside, rules=(*RULES4, Rule(4, 9, table=99))), RouteQuery("127.5.0.1")).kind == "local"


def test_a_device_asked_for_makes_any_destination_on_link() -> None:
    answer = lookup(namespace(), RouteQuery("8.8.8.8", oif="eth1"))
    assert (answer.kind, answer.nexthops, answer.route) == ("unicast", (NextHop(3),), None)


def test_a_source_that_is_not_local_is_refused_on_output_only() -> None:
    view = namespace(via("0.0.0.0/0", "10.0.0.1"))
    assert lookup(view, RouteQuery("8.8.8.8", src="192.0.2.1")).kind == "none"
    assert lookup(view, RouteQuery("8.8.8.8", src="192.0.2.1", iif="eth1")).kind == "unicast"


def test_a_loopback_source_may_not_leave() -> None:
    assert lookup(namespace(), RouteQuery("10.0.0.9", src="127.0.0.1")).error == "EINVAL"
    links = (LO, replace(ETH0, ipv4={"route_localnet": 1}), ETH1)
    assert lookup(namespace(links=links), RouteQuery("10.0.0.9", src="127.0.0.1")).kind == "unicast"


def test_an_address_stays_local_while_its_device_is_down() -> None:
    view = namespace(links=(LO, replace(ETH0, flags=0), ETH1))
    assert lookup(view, RouteQuery("10.0.0.2")).kind == "local"
    assert lookup(view, RouteQuery("10.0.0.9")).kind == "none"


def test_a_gateway_that_is_our_own_address_is_no_next_hop() -> None:
    assert lookup(namespace(via("10.9.0.0/16", "10.0.0.2")), RouteQuery("10.9.0.1")).nexthops == (NextHop(2),)


def test_equal_default_routes_pass_over_a_dead_gateway_on_output() -> None:
    routes = (via("0.0.0.0/0", "10.0.0.1"), via("0.0.0.0/0", "10.1.0.1", 3))
    view = namespace(*routes, neighbours=(Neighbour(2, 4, "10.0.0.1", state=NUD_FAILED),))
    assert lookup(view, RouteQuery("8.8.8.8")).nexthops == (NextHop(3, "10.1.0.1"),)
    assert lookup(view, RouteQuery("8.8.8.8", src="10.1.0.7", iif="eth1")).nexthops == (NextHop(2, "10.0.0.1"),)
    doubtful = namespace(*routes, neighbours=(Neighbour(2, 4, "10.0.0.1", state=NUD_STALE),))
    assert len(lookup(doubtful, RouteQuery("8.8.8.8")).nexthops) == 2


SELECTORS = [
    (Rule(4, 100, src="10.5.0.0/16", table=100), RouteQuery("10.9.0.1", src="10.5.0.1", iif="eth0")),
    (Rule(4, 100, dst="10.9.0.0/24", table=100), RouteQuery("10.9.0.1")),
    (Rule(4, 100, iif="eth0", table=100), RouteQuery("10.9.0.1", iif="eth0")),
    (Rule(4, 100, iif="lo", table=100), RouteQuery("10.9.0.1")),
    (Rule(4, 100, oif="eth1", table=100), RouteQuery("10.9.0.1", oif="eth1")),
    (Rule(4, 100, fwmark=0x10, fwmask=0xF0, table=100), RouteQuery("10.9.0.1", mark=0x1F)),
    (Rule(4, 100, tos=0x10, table=100), RouteQuery("10.9.0.1", tos=0x10)),
    (Rule(4, 100, proto=6, dport=(80, 90), table=100), RouteQuery("10.9.0.1", proto=6, dport=85)),
    (Rule(4, 100, sport=(1000, 1000), table=100), RouteQuery("10.9.0.1", proto=17, sport=1000)),
    (Rule(4, 100, uid_range=(1000, 1100), table=100), RouteQuery("10.9.0.1", uid=1050)),
]
DIFFERENT = RouteQuery("10.9.7.1", src="10.6.0.1", iif="eth1", mark=0x2F, tos=8, proto=1, uid=5)


@pytest.mark.parametrize(("rule", "query"), SELECTORS)
def test_a_rule_fits_by_its_selectors_and_not_otherwise(rule: Rule, query: RouteQuery) -> None:
    special = via("10.9.0.0/16", "10.1.0.77", 3, table=100)
    routes = (special, via("10.9.0.0/16", "10.1.0.1", 3))

    def found(rule: Rule, query: RouteQuery) -> bool:
        return lookup(namespace(*routes, rules=(*RULES4, rule)), query).route == special

    inverted = replace(rule, flags=FIB_RULE_INVERT)
    assert [found(rule, query), found(rule, DIFFERENT)] == [True, False]
    assert [found(inverted, query), found(inverted, DIFFERENT)] == [False, True]


def test_goto_skips_rules_and_nop_does_nothing() -> None:
    rules = (
        Rule(4, 0, table=255),
        Rule(4, 5, action="nop"),
        Rule(4, 10, action="goto", goto=30),
        Rule(4, 20, action="blackhole"),
        Rule(4, 30, table=254),
        Rule(4, 40, action="prohibit"),
    )
    view = namespace(rules=rules)
    assert lookup(view, RouteQuery("10.0.0.9")).kind == "unicast"
    assert lookup(view, RouteQuery("10.9.0.1")).kind == "prohibit"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("target", [0, 10])
def test_a_goto_that_leads_back_leaves_the_answer_open(target: int) -> None:
    """No kernel takes such a rule; a file may hold it, and must not hold up the walk."""
    rules = (Rule(4, 0, action="nop"), Rule(4, 10, action="goto", goto=target), *RULES4[1:])
    answer = lookup(namespace(rules=rules), RouteQuery("10.0.0.9"))
    assert answer.kind == "unknown"
    assert "leads back" in (answer.unknown or "")


def test_suppression_rejects_short_prefixes_and_device_groups() -> None:
    rules = (*RULES4, Rule(4, 100, table=254, suppress_prefixlength=0), Rule(4, 200, table=100))
    view = namespace(via("0.0.0.0/0", "10.0.0.1"), via("0.0.0.0/0", "10.1.0.1", 3, table=100), rules=rules)
    assert lookup(view, RouteQuery("8.8.8.8")).table == 100
    assert lookup(view, RouteQuery("10.0.0.9")).table == 254
    group = namespace(rules=(*RULES4[:1], Rule(4, 100, table=254, suppress_ifgroup=5)))
    assert [lookup(group, RouteQuery(dst)).kind for dst in ("10.0.0.9", "10.1.0.9")] == ["unicast", "none"]


def test_a_rule_that_is_not_understood_makes_the_answer_unknown_only_where_it_matters() -> None:
    odd = Rule(4, 100, table=100, dst="10.9.0.0/16", unknown=("dscp",))
    rules = (*RULES4, odd)
    special = via("10.9.0.0/16", "10.1.0.77", 3, table=100)
    assert lookup(namespace(special, rules=rules), RouteQuery("10.9.0.1")).kind == "unknown"
    assert "dscp" in (lookup(namespace(special, rules=rules), RouteQuery("10.9.0.1")).unknown or "")
    assert lookup(namespace(special, rules=rules), RouteQuery("10.0.0.9")).kind == "unicast"
    assert lookup(namespace(via("10.9.0.0/16", "10.0.0.1"), rules=rules), RouteQuery("10.9.0.1")).kind == "unicast"


def test_the_rule_of_vrfs_matters_to_devices_of_a_vrf_alone() -> None:
    rules = (*RULES4, Rule(4, 1000, l3mdev=True, table=0))
    vrf = Link(9, "red", kind="vrf", flags=0x11043)
    view = namespace(rules=rules, links=(LO, ETH0, replace(ETH1, master=9), vrf))
    assert lookup(view, RouteQuery("10.0.0.9", iif="eth1")).kind == "unknown"
    assert lookup(view, RouteQuery("10.0.0.9", iif="eth0")).kind == "unicast"


def test_a_next_hop_object_that_was_not_read_is_unknown() -> None:
    assert lookup(namespace(Route(4, "10.9.0.0/16", nh_id=7)), RouteQuery("10.9.0.1")).kind == "unknown"


def test_ipv6_prefers_the_device_and_the_router_preference_within_one_metric() -> None:
    view = namespace(via("fd09::/64", "fd00::8"), via("fd09::/64", "fd01::8", 3), via("fd09::/64", "fd00::9", pref=1))
    assert lookup(view, RouteQuery("fd09::1")).nexthops[0].gateway == "fd00::9"
    plain = namespace(via("fd09::/64", "fd00::8"), via("fd09::/64", "fd01::8", 3))
    assert lookup(plain, RouteQuery("fd09::1", src="fd05::1", iif="eth1")).nexthops == (NextHop(3, "fd01::8"),)
    assert lookup(plain, RouteQuery("fd09::1", oif="eth1")).nexthops == (NextHop(3, "fd01::8"),)


def test_ipv6_source_routes_hide_the_plain_ones_of_the_same_prefix() -> None:
    view = namespace(
        via("fd09::/64", "fd00::8", src="fd05::/64"), via("fd09::/64", "fd00::9"), via("fd09::/32", "fd00::1")
    )
    assert lookup(view, RouteQuery("fd09::1", src="fd05::1")).nexthops[0].gateway == "fd00::8"
    assert lookup(view, RouteQuery("fd09::1", src="fd06::1")).nexthops[0].gateway == "fd00::1"


def test_tables_are_compiled_once() -> None:
    view = namespace()
    first = routing(view)
    assert isinstance(first, Routing)
    assert routing(view) is first
