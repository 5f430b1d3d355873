"""Source addresses, input checks, and how routes and rules are written."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netfs.datapath.routing import (
    RouteQuery,
    describe,
    describe_rule,
    lookup,
    martian_check,
    reverse_check,
    select_source,
)
from netfs.model.address import IFA_F_DEPRECATED, IFA_F_SECONDARY, IFA_F_TENTATIVE, Address
from netfs.model.route import FIB_RULE_INVERT, NextHop, Route, Rule
from tests.unit.routing_fixture import ADDRESSES, ETH0, ETH1, LO, RULES4, namespace, via


def source(view, dst: str, **more: object) -> str | None:  # type: ignore[no-untyped-def]
    query = RouteQuery(dst, **more)  # type: ignore[arg-type]
    return select_source(view, lookup(view, query), query)[0]


def test_the_routes_src_comes_first() -> None:
    assert source(namespace(via("10.9.0.0/16", "10.0.0.1", prefsrc="10.1.0.2")), "10.9.0.1") == "10.1.0.2"


def test_ipv4_prefers_the_next_hops_subnet_and_leaves_secondary_addresses() -> None:
    more = (Address(2, 4, "10.7.0.2", 24), Address(2, 4, "10.8.0.2", 24), Address(2, 4, "10.8.0.3", 24, flags=1))
    view = namespace(via("10.9.0.0/16", "10.8.0.1"), via("10.6.0.0/16", None), addresses=ADDRESSES + more)
    assert source(view, "10.9.0.1") == "10.8.0.2"
    assert source(view, "10.6.0.1") == "10.0.0.2"
    assert IFA_F_SECONDARY == 1


def test_ipv4_borrows_from_another_device() -> None:
    assert source(namespace(via("10.9.0.0/16", None), addresses=ADDRESSES[1:]), "10.9.0.1") == "10.1.0.2"


def test_a_packet_to_ourselves_comes_from_its_destination() -> None:
    assert source(namespace(), "10.1.0.2") == "10.1.0.2"


@pytest.mark.parametrize(
    ("flags", "chosen"), [(0, "fd09::2"), (IFA_F_DEPRECATED, "fd00::2"), (IFA_F_TENTATIVE, "fd00::2")]
)
def test_ipv6_takes_the_longest_common_prefix_of_what_is_usable(flags: int, chosen: str) -> None:
    addresses = (Address(2, 6, "fd09::2", 64, flags=flags), *ADDRESSES)
    assert source(namespace(via("fd09::/32", "fd00::1"), addresses=addresses), "fd09::9") == chosen


def test_ipv6_link_local_destinations_get_link_local_sources_of_the_device() -> None:
    view = namespace(via("fe80::/64", None, 3))
    assert source(view, "fe80::9") == "fe80::3"
    assert source(namespace(via("fe80::/64", None, 2)), "fe80::9") == "fd00::2"


@pytest.mark.parametrize(
    ("src", "dst", "reason"),
    [
        ("224.0.0.1", "10.0.0.2", "IP_INVALID_SOURCE"),
        ("255.255.255.255", "10.0.0.2", "IP_INVALID_SOURCE"),
        ("0.0.0.0", "10.0.0.2", "IP_INVALID_SOURCE"),
        ("10.0.0.9", "0.0.0.0", "IP_INVALID_DEST"),
        ("127.0.0.1", "10.0.0.2", "IP_LOCALNET"),
        ("10.0.0.9", "127.0.0.1", "IP_LOCALNET"),
        ("0.0.0.0", "255.255.255.255", None),
        ("10.0.0.9", "10.0.0.2", None),
        ("::1", "fd00::2", "IP_INHDR"),
        ("fd00::9", "fd00::2", None),
    ],
)
def test_martians(src: str, dst: str, reason: str | None) -> None:
    found = martian_check(namespace(), ETH0, src, dst)
    assert (found.reason if found is not None else None) == reason


def test_route_localnet_lets_loopback_addresses_in() -> None:
    assert (
        martian_check(namespace(sysctls={"net.ipv4.conf.all.route_localnet": 1}), ETH0, "127.0.0.1", "10.0.0.2") is None
    )


@pytest.mark.parametrize(
    ("everywhere", "own", "ok"), [(0, 0, True), (1, 0, False), (0, 1, False), (2, 1, True), (1, 2, True), (2, 0, True)]
)
def test_rp_filter_is_the_larger_of_all_and_the_device(everywhere: int, own: int, ok: bool) -> None:
    link = replace(ETH0, ipv4={"rp_filter": own})
    view = namespace(links=(LO, link, ETH1), sysctls={"net.ipv4.conf.all.rp_filter": everywhere})
    found = reverse_check(view, link, "10.1.0.9", "10.0.0.2")
    assert (found.ok, found.reason) == (ok, None if ok else "IP_RPFILTER")
    assert "10.1.0.0/24 dev eth1" in (found.evidence or "") or not (everywhere or own)


def test_any_filter_refuses_a_source_without_a_route() -> None:
    link = replace(ETH0, ipv4={"rp_filter": 2})
    assert reverse_check(namespace(links=(LO, link, ETH1)), link, "8.8.8.8", "10.0.0.2").reason == "IP_RPFILTER"


def test_a_local_source_is_refused_unless_accept_local() -> None:
    assert reverse_check(namespace(), ETH0, "10.1.0.2", "10.0.0.2").reason == "IP_LOCAL_SOURCE"
    link = replace(ETH0, ipv4={"accept_local": 1})
    assert reverse_check(namespace(links=(LO, link, ETH1)), link, "10.1.0.2", "10.0.0.2").ok


def test_the_mark_counts_for_the_way_back_with_src_valid_mark_alone() -> None:
    rules = (*RULES4, Rule(4, 100, fwmark=7, table=100))
    back = via("10.1.0.0/24", None, 2, table=100)
    for valid, ok in ((0, False), (1, True)):
        link = replace(ETH0, ipv4={"rp_filter": 1, "src_valid_mark": valid})
        view = namespace(back, rules=rules, links=(LO, link, ETH1))
        assert reverse_check(view, link, "10.1.0.9", "10.0.0.2", mark=7).ok is ok


def test_an_undecided_rule_leaves_the_reverse_check_undecided() -> None:
    link = replace(ETH0, ipv4={"rp_filter": 1})
    view = namespace(rules=(*RULES4, Rule(4, 100, table=254, unknown=("dscp",))), links=(LO, link, ETH1))
    assert reverse_check(view, link, "10.1.0.9", "10.0.0.2").ok is None


@pytest.mark.parametrize(
    ("route", "text"),
    [
        (via("10.244.2.0/24", "10.244.2.0"), "10.244.2.0/24 via 10.244.2.0 dev eth0"),
        (
            Route(4, "10.2.0.0/24", nexthops=(NextHop(2, "10.2.0.0", flags=4),)),
            "10.2.0.0/24 via 10.2.0.0 dev eth0 onlink",
        ),
        (via("0.0.0.0/0", "fd00::1", metric=100), "default via inet6 fd00::1 dev eth0 metric 100"),
        (Route(4, "10.1.0.0/16", type="blackhole"), "blackhole 10.1.0.0/16"),
        (
            Route(4, "10.0.0.2/32", 255, "local", (NextHop(2),), scope=254, protocol=2, prefsrc="10.0.0.2"),
            "local 10.0.0.2 dev eth0 table local proto kernel scope host src 10.0.0.2",
        ),
        (
            Route(4, "10.3.0.0/16", nexthops=(NextHop(2, "10.0.0.1", 2), NextHop(3, None, 1)), mtu=1400),
            "10.3.0.0/16 mtu 1400 nexthop via 10.0.0.1 dev eth0 weight 2 nexthop dev eth1 weight 1",
        ),
    ],
)
def test_routes_read_as_ip_route_prints_them(route: Route, text: str) -> None:
    assert describe(route, namespace()) == text


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (Rule(4, 32766, table=254), "32766: from all lookup main"),
        (Rule(4, 10, src="10.0.0.0/8", fwmark=1, fwmask=0xF, table=7), "10: from 10.0.0.0/8 fwmark 0x1/0xf lookup 7"),
        (Rule(4, 10, action="goto", goto=20, flags=FIB_RULE_INVERT, iif="lo"), "10: not from all iif lo goto 20"),
        (
            Rule(4, 10, table=254, suppress_prefixlength=0, dport=(80, 90), proto=6),
            "10: from all ipproto tcp dport 80-90 lookup main suppress_prefixlength 0",
        ),
        (Rule(4, 10, table=9, unknown=("dscp",)), "10: from all lookup 9 [unknown: dscp]"),
    ],
)
def test_rules_read_as_ip_rule_prints_them(rule: Rule, text: str) -> None:
    assert describe_rule(rule) == text
