"""Chance with known odds makes branches; the rules that a packet met are told, with those that decided."""

from __future__ import annotations

import pytest

from netfs.datapath.netfilter import HookAnswer, HookContext, ruleset, run_hook
from netfs.datapath.netfilter.answer import RuleRef
from netfs.datapath.netfilter.hook import _joined
from netfs.datapath.netfilter.records import Chain, Constant, Random, Rule, Ruleset, Table, Translate
from netfs.datapath.netfilter.translate import Translation
from netfs.datapath.netfilter.walk import Walker
from netfs.model import ip
from tests.unit.netfilter_views import (
    ACCEPT,
    CNI0,
    DROP,
    ETH0,
    PING,
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


def numgen(count: int, mode: str = "random") -> dict[str, object]:
    return {"numgen": {"mode": mode, "mod": count, "offset": 0}}


def shares(answer: HookAnswer) -> dict[str, float | None]:
    return {branch.verdict: branch.share for branch in answer.branches}


def backends(*probabilities: float | None) -> HookAnswer:
    """kube-proxy's chain of a Service: one rule for each backend, in iptables' words."""
    rules = []
    for number, probability in enumerate(probabilities):
        to = Translate("dnat", Constant(ip.to_int("10.0.0.0") + number))
        chances = () if probability is None else (Random(probability, "statistic"),)
        rules.append(Rule(None, (*chances, to), f"-A KUBE-SVC -j KUBE-SEP-{number}"))
    base = Chain("ip", "nat", "PREROUTING", tuple(rules), "prerouting", "nat", -100, program="iptables")
    whole = Ruleset({("ip", "nat"): Table("ip", "nat", {"PREROUTING": base})})
    context = HookContext(iif=CNI0)
    walker = Walker(whole, (base,), "prerouting", context, Translation(view(), "prerouting", context))
    return _joined(walker.outcomes(WEB), WEB)


def test_a_third_a_half_and_the_rest_are_thirds() -> None:
    answer = backends(1 / 3, 1 / 2, None)
    assert answer.verdict == "branches"
    assert [branch.packet.dst for branch in answer.branches] == ["10.0.0.0", "10.0.0.1", "10.0.0.2"]
    assert [branch.share for branch in answer.branches] == pytest.approx([1 / 3] * 3)
    assert answer.packet == WEB
    assert answer.nat is None


def test_a_probability_of_nothing_or_of_all_is_no_chance() -> None:
    assert backends(0.0, 1.0, None).packet.dst == "10.0.0.1"
    assert backends(1.0).verdict == "accept"


def test_a_thousand_backends_have_a_share_each() -> None:
    answer = backends(*(1 / left for left in range(1000, 1, -1)), None)
    assert len(answer.branches) == 1000
    assert sum(branch.share or 0 for branch in answer.branches) == pytest.approx(1)
    assert {round(branch.share or 0, 9) for branch in answer.branches} == {0.001}


def test_equal_effects_are_one_branch_with_their_sum() -> None:
    data = {"set": [[0, DROP], [{"range": [1, 2]}, ACCEPT], [3, DROP]]}
    answer = run_hook(forward(({"vmap": {"key": numgen(5), "data": data}},)), "forward", PING, AHEAD)
    assert answer.verdict == "branches"
    assert shares(answer) == pytest.approx({"drop": 0.4, "accept": 0.6})


def test_chance_as_a_match_multiplies() -> None:
    rules = forward((match(numgen(2), 0), DROP), (match(numgen(4, "inc"), {"range": [0, 2]}), DROP))
    assert shares(run_hook(rules, "forward", PING, AHEAD)) == pytest.approx({"drop": 0.875, "accept": 0.125})


@pytest.mark.parametrize("hashed", [{"symhash": {"mod": 4}}, {"jhash": {"mod": 4, "expr": field("ip saddr")}}])
def test_a_hash_with_a_secret_spreads_evenly(hashed: object) -> None:
    answer = run_hook(forward((match(hashed, 1), DROP)), "forward", PING, AHEAD)
    assert shares(answer) == pytest.approx({"drop": 0.25, "accept": 0.75})


def test_every_rule_sees_the_same_hash_of_a_connection() -> None:
    def hashed(count: int) -> dict[str, object]:
        return {"symhash": {"mod": count}}

    one_of_two = forward((match(hashed(2), 0), DROP), (match(hashed(2), 1), {"reject": None}))
    assert shares(run_hook(one_of_two, "forward", PING, AHEAD)) == pytest.approx({"drop": 0.5, "reject": 0.5})
    nested = forward((match(hashed(2), 1), {"reject": None}), (match(hashed(4), 0), DROP))
    found = shares(run_hook(nested, "forward", PING, AHEAD))
    assert found == pytest.approx({"reject": 0.5, "drop": 0.25, "accept": 0.25})
    limited = forward((LIMIT, match(hashed(2), 0), {"log": None}), (match(hashed(3), {"range": [1, 2]}), DROP))
    assert shares(run_hook(limited, "forward", PING, AHEAD)) == pytest.approx({"drop": 2 / 3, "accept": 1 / 3})


def test_a_hash_with_a_known_seed_is_computed() -> None:
    """The value is the kernel's, asked for once (the oracle asks for many)."""
    hashed = {"jhash": {"mod": 1000, "seed": 0xDEADBEEF, "expr": field("ip saddr")}}
    answer = run_hook(forward(({"mangle": {"key": field("meta mark"), "value": hashed}},)), "forward", PING, AHEAD)
    assert (answer.verdict, answer.packet.mark) == ("accept", 551)


def test_chance_that_does_not_matter_is_no_branch() -> None:
    both = {"vmap": {"key": numgen(2), "data": {"set": [[0, DROP], [1, DROP]]}}}
    assert run_hook(forward((both,)), "forward", PING, AHEAD).verdict == "drop"


def test_a_doubt_that_changes_nothing_leaves_the_shares_alone() -> None:
    chance = {"vmap": {"key": numgen(4), "data": {"set": [[0, DROP]]}}}
    empty = {"mangle": {"key": field("meta mark"), "value": 0}}
    answer = run_hook(forward((LIMIT, empty), (chance,)), "forward", PING, AHEAD)
    assert answer.verdict == "branches"
    assert shares(answer) == pytest.approx({"drop": 0.25, "accept": 0.75})


def test_a_rule_that_only_may_match_is_not_told_as_the_one_that_decided() -> None:
    """Where it makes no difference, the rule decides that does so in any case."""
    for verdict in (ACCEPT, DROP):
        answer = run_hook(forward((LIMIT, verdict), (verdict,)), "forward", PING, AHEAD)
        assert answer.verdict == next(iter(verdict))
        assert [ref.handle for ref in answer.matched] == [2]


def test_a_doubt_among_the_ways_of_chance_is_unknown() -> None:
    chance = {"vmap": {"key": numgen(4), "data": {"set": [[0, DROP]]}}}
    for rules in (((LIMIT, DROP), (chance,)), ((chance,), (LIMIT, DROP)), ((LIMIT, match(numgen(2), 0), DROP),)):
        answer = run_hook(forward(*rules), "forward", PING, AHEAD)
        assert answer.verdict == "unknown"
        assert "limit" in answer.why
        assert all(branch.share is None for branch in answer.branches)


def test_every_rule_met_is_told_with_those_that_decided() -> None:
    namespace = view(
        [
            table(),
            {"counter": {"family": "ip", "table": "t", "name": "hits", "packets": 7, "bytes": 70}},
            chain("f", "forward", policy="drop"),
            chain("c"),
            rule("f", match(field("tcp dport"), 443), {"jump": {"target": "c"}}, handle=1),
            rule("f", match(field("tcp dport"), 80), {"jump": {"target": "c"}}, handle=2),
            rule("c", {"counter": {"packets": 3, "bytes": 180}}, handle=3),
            rule("c", match(field("ip saddr"), "10.9.9.9"), DROP, handle=4),
            rule("c", {"mangle": {"key": field("meta mark"), "value": 5}}, match(field("tcp dport"), 1), handle=5),
            rule("c", {"counter": "hits"}, {"return": None}, handle=6),
        ]
    )
    answer = run_hook(namespace, "forward", WEB, AHEAD)
    assert answer.verdict == "drop"
    found = [(met.rule.handle, met.decided, met.rule.counters) for met in answer.met]
    assert found == [(2, False, None), (3, False, (3, 180)), (5, True, None), (6, False, (7, 70)), (None, True, None)]
    assert answer.matched == tuple(met.rule for met in answer.met if met.decided)
    assert answer.met[-1].rule.policy
    assert str(answer.met[0].rule) == "ip t f: tcp dport 80 jump c"


def test_a_rule_met_by_chance_is_in_its_branch_alone() -> None:
    answer = run_hook(forward((match(numgen(2), 0), DROP)), "forward", PING, AHEAD)
    assert {branch.verdict: len(branch.met) for branch in answer.branches} == {"drop": 1, "accept": 0}
    assert answer.matched[0].handle == 1


def test_references_compare_by_what_they_refer_to() -> None:
    one, other = (ruleset(forward((DROP,), (DROP,))) for _ in range(2))
    assert one is not None
    assert other is not None
    chains = [rules.tables["ip", "t"].chains["f"] for rules in (one, other)]
    same = [RuleRef(chain, chain.rules[0]) for chain in chains]
    assert same[0] == same[1]
    assert len({*same}) == 1
    assert same[0] != RuleRef(chains[0], chains[0].rules[1])
    assert same[0] != RuleRef(chains[0])
    accepting = Chain("ip", "filter", "FORWARD", (), "forward", policy="drop", program="iptables-legacy")
    assert (RuleRef(accepting).place, RuleRef(accepting).text) == ("filter FORWARD", "-P FORWARD DROP")


def test_a_verdict_of_a_map_that_is_missing_is_no_rule_met() -> None:
    vmap = {"vmap": {"key": field("ip saddr"), "data": {"set": [["10.1.1.1", DROP]]}}}
    assert run_hook(forward((vmap,)), "forward", PING, AHEAD).met == ()
