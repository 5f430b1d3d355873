"""The semantics of networking.k8s.io/v1 NetworkPolicy, as its documentation gives them, one case a line."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfs.diagnose.network_policy import ALLOWED, DENIED, UNKNOWN, Party, judge, named_ports
from netfs.model.kubernetes import (
    EndpointPort,
    EndpointSlice,
    Kubernetes,
    LabelSelector,
    NetworkPolicy,
    PolicyPeer,
    PolicyPort,
    PolicyRule,
    Requirement,
    Service,
    ServicePort,
    SliceEndpoint,
)

NAMESPACES = {"shop": {"team": "a"}, "lab": {"team": "b"}}
DB = Party("10.244.2.2", "db", "shop", {"app": "db"}, node="node2")
WEB = Party("10.244.1.2", "web", "shop", {"app": "web", "tier": "front"}, node="node1")
TESTER = Party("10.244.1.3", "tester", "lab", {"app": "web"}, node="node1")
OUTSIDE = Party("203.0.113.7")
NODE1, NODE2 = Party("192.168.52.11", node="node1"), Party("192.168.52.12", node="node2")

OF_DB = LabelSelector({"app": "db"})
OF_WEB = LabelSelector({"app": "web"})
EVERYTHING = LabelSelector()
BLOCK = PolicyPeer(cidr="203.0.113.0/24", excluded=("203.0.113.64/26",))
DENY = NetworkPolicy("deny", "shop")
DENY_EGRESS = NetworkPolicy("silent", "shop", types=("Egress",))


def ingress(*rules: PolicyRule, pods: LabelSelector = OF_DB) -> NetworkPolicy:
    return NetworkPolicy("in", "shop", pods, ("Ingress",), ingress=rules)


def egress(*rules: PolicyRule, pods: LabelSelector = OF_WEB) -> NetworkPolicy:
    return NetworkPolicy("out", "shop", pods, ("Egress",), egress=rules)


def peers(*allowed: PolicyPeer) -> PolicyRule:
    return PolicyRule(peers=allowed)


def ports(*allowed: PolicyPort) -> PolicyRule:
    return PolicyRule(ports=allowed)


def verdict(
    *policies: NetworkPolicy, source: Party = WEB, destination: Party = DB, proto: str = "tcp", port: int | None = 5432
) -> str:
    objects = Kubernetes(network_policies=policies, namespaces=NAMESPACES)
    return judge(objects, source, destination, proto, port).verdict


def term(key: str, operator: str, *values: str) -> LabelSelector:
    return LabelSelector(match_expressions=(Requirement(key, operator, values),))


def test_without_a_policy_everything_is_allowed() -> None:
    assert verdict() == ALLOWED
    assert verdict(proto="icmp", port=None) == ALLOWED


def test_a_selected_pod_is_isolated_only_in_the_directions_of_the_policys_types() -> None:
    assert verdict(DENY) == DENIED
    assert verdict(DENY_EGRESS) == DENIED
    assert verdict(ingress(pods=OF_WEB)) == ALLOWED
    assert verdict(egress(pods=OF_DB)) == ALLOWED


def test_types_are_ingress_by_default_and_egress_where_there_are_egress_rules() -> None:
    silent = replace(DENY, pods=OF_WEB, types=())
    assert verdict(silent) == ALLOWED
    assert verdict(replace(silent, pods=OF_DB)) == DENIED
    assert verdict(replace(silent, egress=(ports(PolicyPort(port=53)),))) == DENIED


def test_a_policy_selects_in_its_own_namespace_alone() -> None:
    assert verdict(replace(DENY, namespace="lab")) == ALLOWED
    assert verdict(replace(DENY_EGRESS, namespace="lab"), source=TESTER) == DENIED


def test_rules_of_several_policies_add_up() -> None:
    tcp, web = ports(PolicyPort(port=80)), peers(PolicyPeer(pods=OF_WEB))
    assert verdict(ingress(tcp)) == DENIED
    assert verdict(ingress(tcp), ingress(web)) == ALLOWED
    assert verdict(DENY, ingress(web)) == ALLOWED


def test_both_sides_must_allow() -> None:
    assert verdict(ingress(peers(PolicyPeer(pods=OF_WEB))), DENY_EGRESS) == DENIED
    assert verdict(egress(peers(PolicyPeer(pods=OF_DB))), ingress()) == DENIED
    assert verdict(egress(peers(PolicyPeer(pods=OF_DB))), ingress(peers(PolicyPeer(pods=OF_WEB)))) == ALLOWED


@pytest.mark.parametrize(
    ("peer", "from_web", "from_tester"),
    [
        pytest.param(PolicyPeer(pods=OF_WEB), ALLOWED, DENIED, id="pods alone: of the policy's namespace"),
        pytest.param(PolicyPeer(pods=EVERYTHING), ALLOWED, DENIED, id="every pod of the namespace"),
        pytest.param(PolicyPeer(namespaces=EVERYTHING), ALLOWED, ALLOWED, id="every pod of every namespace"),
        pytest.param(PolicyPeer(namespaces=LabelSelector({"team": "b"})), DENIED, ALLOWED, id="a namespace by label"),
        pytest.param(
            PolicyPeer(pods=OF_DB, namespaces=LabelSelector({"team": "b"})), DENIED, DENIED, id="both in one peer: and"
        ),
        pytest.param(PolicyPeer(pods=OF_WEB, namespaces=LabelSelector({"team": "b"})), DENIED, ALLOWED, id="both hold"),
        pytest.param(
            PolicyPeer(namespaces=LabelSelector({"kubernetes.io/metadata.name": "lab"})),
            DENIED,
            ALLOWED,
            id="a namespace by its name",
        ),
        pytest.param(PolicyPeer(pods=term("tier", "Exists")), ALLOWED, DENIED, id="a label that is there"),
        pytest.param(PolicyPeer(pods=term("tier", "DoesNotExist")), DENIED, DENIED, id="a label that is not"),
        pytest.param(PolicyPeer(pods=term("app", "In", "db", "web")), ALLOWED, DENIED, id="one of several values"),
        pytest.param(PolicyPeer(pods=term("zone", "NotIn", "x")), ALLOWED, DENIED, id="no label is not that value"),
        pytest.param(PolicyPeer(cidr="10.244.1.0/24"), ALLOWED, ALLOWED, id="pods by address"),
        pytest.param(PolicyPeer(cidr="10.244.1.0/24", excluded=("10.244.1.3/32",)), ALLOWED, DENIED, id="but one"),
    ],
)
def test_a_peer_is_who_its_selectors_say(peer: PolicyPeer, from_web: str, from_tester: str) -> None:
    assert verdict(ingress(peers(peer))) == from_web
    assert verdict(ingress(peers(peer)), source=TESTER) == from_tester


def test_two_peers_are_alternatives() -> None:
    either = peers(PolicyPeer(pods=OF_DB), PolicyPeer(namespaces=LabelSelector({"team": "a"})))
    assert verdict(ingress(either)) == ALLOWED


@pytest.mark.parametrize(
    ("address", "expected"), [("203.0.113.7", ALLOWED), ("203.0.113.70", DENIED), ("2001:db8::7", DENIED)]
)
def test_an_address_block_has_exceptions_and_a_family(address: str, expected: str) -> None:
    assert verdict(ingress(peers(BLOCK)), source=Party(address)) == expected
    assert verdict(egress(peers(BLOCK)), destination=Party(address)) == expected


def test_no_selector_selects_the_world_outside() -> None:
    everybody = peers(PolicyPeer(pods=EVERYTHING, namespaces=EVERYTHING))
    assert verdict(ingress(everybody), source=OUTSIDE) == DENIED
    assert verdict(ingress(PolicyRule()), source=OUTSIDE) == ALLOWED


@pytest.mark.parametrize(
    ("wanted", "proto", "port", "expected"),
    [
        (PolicyPort(port=5432), "tcp", 5432, ALLOWED),
        (PolicyPort(port=5432), "udp", 5432, DENIED),
        (PolicyPort(port=5433), "tcp", 5432, DENIED),
        (PolicyPort("udp"), "udp", 5432, ALLOWED),
        (PolicyPort("udp"), "tcp", 5432, DENIED),
        (PolicyPort(port=5000, end_port=6000), "tcp", 5432, ALLOWED),
        (PolicyPort(port=5000, end_port=6000), "tcp", 6001, DENIED),
        (PolicyPort("sctp", 5432), "sctp", 5432, ALLOWED),
    ],
)
def test_a_port_is_of_a_protocol_and_may_be_a_range(wanted: PolicyPort, proto: str, port: int, expected: str) -> None:
    assert verdict(ingress(ports(wanted)), proto=proto, port=port) == expected


def test_peers_and_ports_of_one_rule_must_both_hold() -> None:
    rule = PolicyRule((PolicyPeer(pods=OF_DB),), (PolicyPort(port=5432),))
    assert verdict(ingress(rule)) == DENIED
    assert verdict(ingress(rule, peers(PolicyPeer(pods=OF_WEB)))) == ALLOWED


def test_a_named_port_is_the_listening_pods() -> None:
    named = ports(PolicyPort(port="sql"))
    told = replace(DB, ports={("sql", "tcp"): 5432})
    assert verdict(ingress(named)) == UNKNOWN
    assert verdict(ingress(named), destination=told) == ALLOWED
    assert verdict(egress(named), destination=told) == ALLOWED
    assert verdict(ingress(named), destination=told, port=80) == DENIED
    assert verdict(egress(named), destination=OUTSIDE) == DENIED
    assert verdict(ingress(named, peers(PolicyPeer(pods=OF_WEB)))) == ALLOWED


def test_a_services_named_target_port_tells_the_pods() -> None:
    service = Service("db", "shop", ports=(ServicePort(80, target_port="sql"),))
    slices = EndpointSlice("db", "shop", (EndpointPort(5432),), (SliceEndpoint(DB.address, pod="db"),))
    objects = Kubernetes(services=(service,), endpoint_slices=(slices,))
    assert named_ports(objects) == {("shop", "db"): {("sql", "tcp"): 5432}}


def test_the_node_a_pod_runs_on_is_always_allowed_and_no_other() -> None:
    assert verdict(DENY, source=NODE2) == ALLOWED
    assert verdict(DENY, source=NODE1) == DENIED
    assert verdict(DENY_EGRESS, destination=NODE1) == ALLOWED
    assert verdict(DENY_EGRESS, destination=NODE2) == DENIED


def test_a_pod_in_its_nodes_network_is_not_selected() -> None:
    assert verdict(DENY, DENY_EGRESS, source=NODE1, destination=NODE2) == ALLOWED


def test_a_pod_always_reaches_itself() -> None:
    assert verdict(DENY, DENY_EGRESS, source=DB, destination=DB) == ALLOWED


def test_other_protocols_are_not_promised() -> None:
    assert verdict(DENY, proto="icmp", port=None) == UNKNOWN
    assert verdict(ingress(PolicyRule()), proto="icmp", port=None) == UNKNOWN


def test_what_was_not_read_is_unknown_unless_something_else_decides() -> None:
    elsewhere = replace(TESTER, namespace="unread")
    rule = peers(PolicyPeer(namespaces=LabelSelector({"team": "b"})))
    assert verdict(ingress(rule), source=elsewhere) == UNKNOWN
    assert verdict(ingress(rule), source=replace(OUTSIDE, known=False)) == UNKNOWN
    assert verdict(ingress(rule, PolicyRule()), source=elsewhere) == ALLOWED
    assert verdict(ingress(rule), DENY_EGRESS, source=WEB) == DENIED


def test_labels_that_were_not_read_leave_open_whether_a_policy_selects() -> None:
    bare, web = replace(DB, labels=None), peers(PolicyPeer(pods=OF_WEB))
    assert verdict(ingress(), destination=bare) == UNKNOWN
    assert verdict(DENY, destination=bare) == DENIED
    assert verdict(ingress(web), destination=bare) == ALLOWED
    assert verdict(DENY, ingress(web), destination=bare) == UNKNOWN
    assert verdict(DENY, ingress(ports(PolicyPort(port=1))), destination=bare) == DENIED
    assert verdict(ingress(web), source=replace(WEB, labels=None)) == UNKNOWN


def test_a_source_that_was_translated_on_the_way_is_known_only_where_both_addresses_agree() -> None:
    def judged(rule: PolicyRule, seen: Party) -> str:
        return judge(Kubernetes(network_policies=(ingress(rule),)), WEB, DB, "tcp", 5432, seen).verdict

    from_web = peers(PolicyPeer(pods=OF_WEB))
    assert judged(from_web, NODE1) == UNKNOWN
    assert judged(PolicyRule(), NODE1) == ALLOWED
    assert judged(peers(PolicyPeer(pods=OF_DB)), NODE1) == DENIED


def test_the_answer_names_the_policies_and_the_side() -> None:
    objects = Kubernetes(network_policies=(DENY_EGRESS, ingress()), namespaces=NAMESPACES)
    found = judge(objects, WEB, DB, "tcp", 5432)
    assert (found.direction, found.policies) == ("Egress", ("shop/silent",))
    assert found.why == ("egress of shop/web is limited by shop/silent, which allows no tcp port 5432 to shop/db")


KEYS = st.sampled_from(["app", "tier"])
VALUES = st.sampled_from(["a", "b"])
LABELS = st.dictionaries(KEYS, VALUES)
SELECTORS = st.builds(
    LabelSelector,
    LABELS,
    st.lists(
        st.builds(Requirement, KEYS, st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"]), st.tuples(VALUES)),
        max_size=1,
    ).map(tuple),
)
PEERS = st.one_of(
    st.builds(PolicyPeer, pods=SELECTORS, namespaces=st.none() | SELECTORS),
    st.builds(PolicyPeer, namespaces=SELECTORS),
    st.builds(PolicyPeer, cidr=st.sampled_from(["10.0.0.0/30", "10.0.0.4/30", "0.0.0.0/0", "::/0"])),
)
PORTS = st.builds(
    PolicyPort, st.sampled_from(["tcp", "udp"]), st.none() | st.integers(1, 4) | st.just("web"), st.none()
)
RULES = st.builds(PolicyRule, st.lists(PEERS, max_size=2).map(tuple), st.lists(PORTS, max_size=2).map(tuple))
SPACES = st.sampled_from(["shop", "lab", "unread"])
POLICIES = st.builds(
    NetworkPolicy,
    st.sampled_from(["p", "q"]),
    SPACES,
    SELECTORS,
    st.sampled_from([(), ("Ingress",), ("Egress",), ("Ingress", "Egress")]),
    st.lists(RULES, max_size=2).map(tuple),
    st.lists(RULES, max_size=2).map(tuple),
)


def _parties(labels: st.SearchStrategy[dict[str, str] | None]) -> st.SearchStrategy[Party]:
    addresses = st.sampled_from([f"10.0.0.{number}" for number in range(1, 7)])
    nodes = st.sampled_from(["n1", "n2"])
    return st.builds(Party, addresses, st.none() | st.sampled_from(["x", "y"]), SPACES, labels, node=nodes)


PARTIES = _parties(st.none() | LABELS)
LABELLED = _parties(LABELS)
"""Where labels were not read each policy is a doubt of its own, and grouping matters."""
LENIENT = {DENIED: 0, UNKNOWN: 1, ALLOWED: 2}


def _judged(policies: tuple[NetworkPolicy, ...], source: Party, destination: Party, port: int) -> str:
    objects = Kubernetes(network_policies=policies, namespaces=NAMESPACES)
    return judge(objects, source, destination, "tcp", port).verdict


@given(st.lists(POLICIES, min_size=1, max_size=3), RULES, PARTIES, PARTIES, st.integers(1, 4))
def test_one_more_rule_never_takes_anything_away(
    policies: list[NetworkPolicy], rule: PolicyRule, source: Party, destination: Party, port: int
) -> None:
    first, *others = policies
    types = first.types or (("Ingress", "Egress") if first.egress else ("Ingress",))
    wider = replace(first, types=types, ingress=(*first.ingress, rule), egress=(*first.egress, rule))
    before = _judged((replace(first, types=types), *others), source, destination, port)
    assert LENIENT[_judged((wider, *others), source, destination, port)] >= LENIENT[before]


@given(st.lists(POLICIES, max_size=3), LABELLED, LABELLED, st.integers(1, 4))
def test_order_and_grouping_of_rules_do_not_matter(
    policies: list[NetworkPolicy], source: Party, destination: Party, port: int
) -> None:
    whole = _judged(tuple(policies), source, destination, port)
    single: list[NetworkPolicy] = []
    for each in reversed(policies):
        types = each.types or (("Ingress", "Egress") if each.egress else ("Ingress",))
        single.append(replace(each, types=types, ingress=(), egress=()))
        single += [replace(each, types=types, ingress=(rule,), egress=()) for rule in each.ingress]
        single += [replace(each, types=types, ingress=(), egress=(rule,)) for rule in each.egress]
    assert _judged(tuple(single), source, destination, port) == whole


@given(st.lists(POLICIES, max_size=3), PARTIES, PARTIES, st.integers(1, 4))
def test_a_connection_is_allowed_only_where_both_sides_allow_it(
    policies: list[NetworkPolicy], source: Party, destination: Party, port: int
) -> None:
    split = {policy_type: tuple(_only(each, policy_type) for each in policies) for policy_type in ("Ingress", "Egress")}
    sides = [_judged(split[policy_type], source, destination, port) for policy_type in split]
    assert _judged(tuple(policies), source, destination, port) == min(sides, key=LENIENT.__getitem__)


def _only(policy: NetworkPolicy, direction: str) -> NetworkPolicy:
    types = policy.types or (("Ingress", "Egress") if policy.egress else ("Ingress",))
    kept = tuple(each for each in types if each == direction)
    return replace(policy, types=kept) if kept else replace(policy, namespace="nowhere")
