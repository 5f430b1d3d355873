"""What a hook answers, rule by rule: verdicts, doubts, choices, and the evidence for them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netfs.datapath.netfilter import HookContext, ruleset, run_hook
from netfs.model.gaps import Gap
from tests.unit.netfilter_views import (
    ACCEPT,
    CNI0,
    DROP,
    ETH0,
    PING,
    VXLAN,
    WEB,
    chain,
    field,
    forward,
    match,
    rule,
    table,
    view,
)

AHEAD = HookContext(iif=CNI0, oif=ETH0)
LIMIT = {"limit": {"rate": 5, "burst": 5, "per": "second"}}
XT_MATCH = {"xt": {"type": "match", "name": "addrtype"}}
XT_TARGET = {"xt": {"type": "target", "name": "MARK"}}


def test_no_rules_accept_and_leave_the_packet_alone() -> None:
    assert ruleset(view()) is None
    answer = run_hook(view(), "forward", PING, AHEAD)
    assert (answer.verdict, answer.packet, answer.matched) == ("accept", PING, ())


def test_a_drop_names_its_rule_as_nft_prints_it() -> None:
    dropping = rule("o", match(field("udp dport"), 8472), {"counter": {"packets": 1, "bytes": 2}}, DROP, comment="no")
    namespace = view([table(), chain("o", "output"), dropping])
    answer = run_hook(namespace, "output", VXLAN, HookContext(oif=ETH0))
    assert answer.verdict == "drop"
    assert str(answer.matched[0]) == 'ip t o: udp dport 8472 counter packets 1 bytes 2 drop comment "no"'
    assert answer.matched[0].handle == 9
    other = replace(VXLAN, dport=4789)
    assert run_hook(namespace, "output", other, HookContext(oif=ETH0)).verdict == "accept"
    assert run_hook(namespace, "input", VXLAN, HookContext(iif=ETH0)).verdict == "accept"


def test_a_policy_of_drop_is_the_evidence_where_no_rule_accepts() -> None:
    namespace = forward((match(field("ip saddr"), {"prefix": {"addr": "10.9.0.0", "len": 16}}), ACCEPT), policy="drop")
    answer = run_hook(namespace, "forward", PING, AHEAD)
    assert (answer.verdict, answer.matched[0].handle, answer.matched[0].text) == ("drop", None, "policy drop")


def test_a_dropped_icmp_error_is_matched_by_type_and_code() -> None:
    error = replace(PING, icmp_type="frag-needed")
    namespace = forward(
        (
            match(field("icmp type"), "destination-unreachable"),
            match(field("icmp code"), "frag-needed"),
            DROP,
        )
    )
    assert run_hook(namespace, "forward", error, AHEAD).verdict == "drop"
    assert run_hook(namespace, "forward", PING, AHEAD).verdict == "accept"


@pytest.mark.parametrize(
    "doubt", [LIMIT, XT_MATCH, match({"osf": {"key": "name"}}, "Linux"), match(field("meta cpu"), 1)]
)
def test_a_rule_in_doubt_makes_the_verdict_unknown_and_is_named(doubt: object) -> None:
    answer = run_hook(forward((doubt, DROP)), "forward", PING, AHEAD)
    assert answer.verdict == "unknown"
    assert answer.matched[0].handle == 1
    assert {branch.verdict for branch in answer.branches} == {"accept", "drop"}


@pytest.mark.parametrize("doubt", [LIMIT, XT_MATCH, XT_TARGET])
def test_a_doubt_does_not_matter_where_another_match_of_the_rule_fails(doubt: object) -> None:
    for statements in ((match(field("tcp dport"), 80), doubt, DROP), (LIMIT, match(field("tcp dport"), 80), DROP)):
        assert run_hook(forward(statements), "forward", PING, AHEAD).verdict == "accept"


def test_a_doubt_does_not_matter_where_both_outcomes_agree() -> None:
    assert run_hook(forward((LIMIT, ACCEPT)), "forward", PING, AHEAD).verdict == "accept"
    assert run_hook(forward((LIMIT, DROP), (DROP,)), "forward", PING, AHEAD).verdict == "drop"
    assert run_hook(forward((LIMIT, {"log": None})), "forward", PING, AHEAD).verdict == "accept"


def test_many_doubts_cost_nothing_where_the_rules_fail_otherwise() -> None:
    rules = [(XT_MATCH, match(field("tcp dport"), port), XT_TARGET) for port in range(2000)]
    assert run_hook(forward(*rules), "forward", PING, AHEAD).verdict == "accept"


@pytest.mark.parametrize(
    "opaque", [XT_TARGET, {"xt": None}, {"queue": {"num": 1}}, {"tproxy": {"port": 1}}, {"new": 1}, 7]
)
def test_a_statement_that_is_not_understood_is_never_a_silent_pass(opaque: object) -> None:
    answer = run_hook(forward((opaque,)), "forward", PING, AHEAD)
    assert answer.verdict == "unknown"
    assert answer.matched[0].handle == 1


def test_iptables_comments_and_logs_do_not_matter() -> None:
    comment, log = {"xt": {"type": "match", "name": "comment"}}, {"xt": {"type": "target", "name": "LOG"}}
    assert run_hook(forward((comment, log), (comment, DROP)), "forward", PING, AHEAD).verdict == "drop"


def test_numgen_gives_each_backend_its_share() -> None:
    numgen = {"numgen": {"mode": "random", "mod": 4, "offset": 0}}
    one, two = {"goto": {"target": "one"}}, {"goto": {"target": "two"}}
    namespace = view(
        [
            table(),
            chain("p", "prerouting", type="nat", prio=-100),
            chain("one"),
            chain("two"),
            rule("p", {"vmap": {"key": numgen, "data": {"set": [[0, one], [1, one], [2, one], [3, two]]}}}),
            rule("one", {"dnat": {"addr": "10.244.1.5", "port": 8080}}),
            rule("two", {"dnat": {"addr": "10.244.2.5", "port": 8080}}),
        ]
    )
    answer = run_hook(namespace, "prerouting", WEB, HookContext(iif=CNI0))
    assert answer.verdict == "branches"
    assert {(branch.packet.dst, branch.packet.dport): branch.share for branch in answer.branches} == {
        ("10.244.1.5", 8080): 0.75,
        ("10.244.2.5", 8080): 0.25,
    }
    done = run_hook(namespace, "prerouting", WEB, HookContext(iif=CNI0, nat_done=True))
    assert (done.verdict, done.packet) == ("accept", WEB)


def test_masquerade_takes_the_address_it_is_told_or_says_that_none_is_known() -> None:
    namespace = view([table(), chain("p", "postrouting", type="nat"), rule("p", {"masquerade": None})])
    context = HookContext(iif=CNI0, oif=ETH0, masquerade_source="192.168.52.11")
    answer = run_hook(namespace, "postrouting", WEB, context)
    assert (answer.packet.src, answer.packet.sport) == ("192.168.52.11", 40000)
    assert answer.nat is not None
    assert (answer.nat.kind, answer.nat.address_from) == ("masquerade", "10.244.1.2")
    assert run_hook(namespace, "postrouting", WEB, AHEAD).verdict == "unknown"


def test_sets_of_addresses_are_found_by_key_and_by_interval() -> None:
    elements = ["10.244.1.9", {"prefix": {"addr": "10.244.1.0", "len": 29}}, {"range": ["10.1.0.0", "10.1.0.9"]}]
    named = {"set": {"family": "ip", "table": "t", "name": "s", "type": "ipv4_addr", "elem": elements}}
    namespace = view([table(), chain("f", "forward"), rule("f", match(field("ip saddr"), "@s"), DROP), named])
    sources = ("10.244.1.9", "10.244.1.2", "10.1.0.9", "10.244.1.8", "10.1.0.10")
    verdicts = [run_hook(namespace, "forward", replace(PING, src=source), AHEAD).verdict for source in sources]
    assert verdicts == ["drop", "drop", "drop", "accept", "accept"]


def test_a_set_that_the_packet_itself_changed_holds_what_it_put_there() -> None:
    named = {"set": {"family": "ip", "table": "t", "name": "s", "type": "ipv4_addr", "flags": ["dynamic"]}}
    asks = match(field("ip saddr"), "@s"), DROP

    def update(op: str, element: object) -> dict[str, object]:
        return {"set": {"op": op, "elem": element, "set": "@s"}}

    for changes, verdict in (
        ((), "accept"),
        ((update("add", field("ip saddr")),), "drop"),
        ((update("add", field("ip daddr")),), "accept"),
        ((update("add", field("ip saddr")), update("delete", field("ip saddr"))), "accept"),
        ((update("update", field("tcp dport")), DROP), "accept"),
        (("update @s { ip saddr : 0x5 }",), "unknown"),
    ):
        namespace = view([table(), named, chain("f", "forward"), rule("f", *changes), rule("f", *asks)])
        answer = run_hook(namespace, "forward", PING, AHEAD)
        assert answer.verdict == verdict, changes
    adds = rule("p", update("add", field("ip saddr")))
    namespace = view([table(), named, chain("p", "prerouting"), chain("f", "forward"), rule("f", *asks), adds])
    before = run_hook(namespace, "prerouting", PING, HookContext(iif=CNI0))
    assert run_hook(namespace, "forward", PING, replace(AHEAD, changed=before.changed)).verdict == "drop"


def test_a_random_port_is_unknown_to_later_rules() -> None:
    namespace = view(
        [
            table(),
            chain("p", "postrouting", type="nat", prio=100),
            rule("p", {"masquerade": {"flags": "fully-random"}}),
            chain("q", "postrouting", prio=200),
            rule("q", match(field("tcp sport"), 40000), DROP),
        ]
    )
    context = HookContext(iif=CNI0, oif=ETH0, masquerade_source="192.168.52.11")
    assert run_hook(namespace, "postrouting", WEB, context).verdict == "unknown"


def test_ct_status_is_judged_bit_by_bit() -> None:
    status = forward((match(field("ct status"), ["dnat"], "in"), ACCEPT), policy="drop")
    translated = replace(AHEAD, ct_state="established", ct_status=frozenset(("dnat", "confirmed")))
    assert run_hook(status, "forward", WEB, translated).verdict == "accept"
    assert run_hook(status, "forward", WEB, AHEAD).verdict == "drop"
    assured = forward((match(field("ct status"), "assured", "in"), DROP))
    assert run_hook(assured, "forward", WEB, translated).verdict == "unknown"
    assert run_hook(assured, "forward", WEB, AHEAD).verdict == "accept"


def test_a_dormant_table_is_asleep_and_unreadable_flags_are_a_doubt() -> None:
    for flags, verdict in (("dormant", "accept"), (["dormant"], "accept"), ("owner", "drop"), ("t", "unknown")):
        namespace = view([table(flags=flags), chain("f", "forward"), rule("f", DROP)])
        assert run_hook(namespace, "forward", PING, AHEAD).verdict == verdict


def test_chains_in_a_circle_end_as_unknown() -> None:
    for step in ("jump", "goto"):
        circle = rule("c", {step: {"target": "c"}})
        namespace = view([table(), chain("f", "forward"), chain("c"), rule("f", {"jump": {"target": "c"}}), circle])
        assert run_hook(namespace, "forward", PING, AHEAD).verdict == "unknown"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"nftables": 5}', '{"nftables": [5]}', '{"nftables": [{"rule": {}}]}', "[" * 100000],
)
def test_text_that_nft_did_not_print_is_a_defect_not_an_exception(text: str) -> None:
    found = ruleset(view(text))
    assert found is None if not text else found is not None and found.defect
    verdict = run_hook(view(text), "forward", PING, AHEAD).verdict
    assert verdict == ("unknown" if text else "accept")


def test_rules_that_could_not_be_read_make_every_verdict_unknown() -> None:
    answer = run_hook(view(gaps=(Gap("node1", "nft", "not installed", 1),)), "forward", PING, AHEAD)
    assert answer.verdict == "unknown"
    assert "not installed" in answer.why


EMPTY = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\nCOMMIT\n"


def test_empty_legacy_tables_pass_and_their_policy_counts() -> None:
    assert run_hook(view(iptables_legacy=EMPTY), "forward", PING, AHEAD).verdict == "accept"
    dropping = view(iptables_legacy=EMPTY.replace("FORWARD ACCEPT", "FORWARD DROP"))
    assert run_hook(dropping, "forward", PING, AHEAD).verdict == "drop"
    assert run_hook(dropping, "input", PING, AHEAD).verdict == "accept"


def test_a_legacy_rule_decides_where_a_packet_reaches_it() -> None:
    text = EMPTY.replace("COMMIT", "[1:2] -A FORWARD -s 10.0.0.0/8 -j DROP\nCOMMIT")
    answer = run_hook(view([], iptables_legacy=text), "forward", PING, AHEAD)
    assert answer.verdict == "drop"
    rule = answer.matched[0]
    assert (rule.text, rule.program, rule.counters) == (
        "-A FORWARD -s 10.0.0.0/8 -j DROP",
        "iptables-legacy",
        (1, 2),
    )
    assert run_hook(view([], ip6tables_legacy=text), "forward", PING, AHEAD).verdict == "accept"
    before = forward((DROP,), prio=-10).netns.firewall
    assert before is not None
    first = run_hook(view(before.nft, iptables_legacy=text), "forward", PING, AHEAD)
    assert (first.verdict, first.matched[0].program) == ("drop", "nft")


@pytest.mark.parametrize("text", ["*filter\n", "COMMIT\n", "*filter\nx\nCOMMIT\n", "\0"])
def test_a_broken_save_is_a_defect(text: str) -> None:
    assert run_hook(view(iptables_legacy=text), "forward", PING, AHEAD).verdict == "unknown"


def test_hostile_names_cannot_reach_a_terminal() -> None:
    answer = run_hook(forward((match(field("meta iifname"), "\x1b[31m", "!="), DROP)), "forward", PING, AHEAD)
    assert answer.verdict == "drop"
    assert "\x1b" not in str(answer.matched[0])


def test_values_beyond_their_type_and_deep_nesting_are_harmless() -> None:
    for shift in (-1, 5, 2**70):
        namespace = forward((set_field("meta mark", {"<<": [field("meta mark"), shift]}),))
        assert run_hook(namespace, "forward", PING, AHEAD).packet.mark == 0
    for target in ("ip saddr", "ip ttl", "meta mark", "udp dport"):
        assert run_hook(forward((set_field(target, 2**200),)), "forward", PING, AHEAD).verdict == "accept"
    deep: object = 1
    for _ in range(900):
        deep = [deep]
    assert run_hook(forward((match(field("meta mark"), deep), DROP)), "forward", PING, AHEAD).verdict == "unknown"


def test_hundreds_of_doubts_are_answered_quickly() -> None:
    rules = [(LIMIT, set_field("meta mark", number)) for number in range(300)]
    assert run_hook(forward(*rules), "forward", PING, AHEAD).verdict == "unknown"


def set_field(target: str, value: object) -> dict[str, object]:
    return {"mangle": {"key": field(target), "value": value}}
