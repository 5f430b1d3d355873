"""NetworkPolicies against the datapath: enforced, not enforced, and drops that none asks for."""

from __future__ import annotations

from dataclasses import replace

from netfs.api import Cluster
from netfs.model.kubernetes import Kubernetes, LabelSelector, NetworkPolicy, PolicyPeer, PolicyRule
from netfs.model.trace import Trace
from tests.unit.clusters import Edit, link
from tests.unit.proxied_clusters import clustered, proxied, rules, service

LABELS = {"pod-a": {"app": "a"}, "pod-b": {"app": "b"}, "pod-c": {"app": "c"}, "pod-d": {"app": "d"}}
FROM_A = PolicyRule((PolicyPeer(LabelSelector({"app": "a"})),))
GUARD_B = NetworkPolicy("guard-b", pods=LabelSelector({"app": "b"}), ingress=(FROM_A,))
SILENT_C = NetworkPolicy("silent-c", pods=LabelSelector({"app": "c"}), types=("Egress",))
ENFORCED = rules(
    filter=[
        "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "-A FORWARD -d 10.244.2.2/32 ! -s 10.244.1.2/32 -p tcp -j DROP",
    ]
)


def governed(*policies: NetworkPolicy, **changes: Edit) -> Cluster:
    return clustered(Kubernetes(network_policies=policies, namespaces={"default": {}}), LABELS, **changes)


def told(cluster: Cluster) -> list[tuple[str, str, str]]:
    return [(each.slug, each.severity, each.object) for each in cluster.findings()]


def tcp(cluster: Cluster, source: str, destination: str) -> Trace:
    return cluster.trace(source, destination, proto="tcp", port=80)


UNENFORCED = [("networkpolicy-unenforced", "warning", "default/networkpolicy/guard-b")]


def test_a_policy_that_nothing_enforces() -> None:
    cluster = governed(GUARD_B)
    assert told(cluster) == UNENFORCED
    answer = tcp(cluster, "pod-c", "pod-b")
    assert (answer.verdict, [each.slug for each in answer.findings]) == ("delivered", ["networkpolicy-unenforced"])
    assert "ingress of default/pod-b is limited by default/guard-b" in answer.findings[0].evidence
    assert tcp(cluster, "pod-a", "pod-b").findings == ()
    assert cluster.trace("pod-c", "pod-b").findings == ()


def test_a_policy_that_rules_enforce() -> None:
    cluster = governed(GUARD_B, node2=ENFORCED)
    assert told(cluster) == []
    denied = tcp(cluster, "pod-c", "pod-b")
    assert [each.slug for each in denied.findings] == ["networkpolicy-drops"]
    assert denied.findings[0].object == "default/networkpolicy/guard-b"
    assert denied.forward.drop is not None
    assert (denied.forward.drop.slug, denied.forward.drop.fix) == ("networkpolicy-drops", denied.findings[0].fix)
    assert "-A FORWARD -d 10.244.2.2/32" in denied.findings[0].evidence
    assert tcp(cluster, "pod-a", "pod-b").findings == ()


def test_a_rule_that_may_enforce_a_policy_is_never_to_be_deleted() -> None:
    """Policies promise nothing of ICMP; whoever enforces one mostly drops it too."""
    answers = "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
    agent = rules(filter=[answers, "-A FORWARD -d 10.244.2.2/32 -j DROP"])
    answer = governed(GUARD_B, node2=agent).trace("pod-c", "pod-b")
    (lost,) = [each for each in answer.findings if each.severity == "error"]
    assert lost.slug == "firewall-rule-drops"
    assert "the rule may enforce NetworkPolicy default/guard-b" in lost.evidence
    assert lost.fix.startswith("# if the rule enforces default/guard-b, change that: kubectl -n default edit")
    assert answer.forward.drop is not None
    assert answer.forward.drop.fix == lost.fix


def test_egress_is_held_against_the_senders_side() -> None:
    cluster = governed(SILENT_C)
    assert told(cluster) == [("networkpolicy-unenforced", "warning", "default/networkpolicy/silent-c")]
    enforced = governed(SILENT_C, node1=rules(filter=["-A FORWARD -s 10.244.1.3/32 -j DROP"]))
    assert told(enforced) == []
    assert [each.slug for each in tcp(enforced, "pod-c", "pod-b").findings] == ["networkpolicy-drops"]


def test_a_drop_that_no_policy_asks_for_says_so() -> None:
    stray = rules(filter=["-A FORWARD -d 10.244.2.2/32 -p tcp -j DROP"])
    answer = tcp(governed(GUARD_B, node2=stray), "pod-a", "pod-b")
    assert [each.slug for each in answer.findings] == ["firewall-rule-drops"]
    assert "no NetworkPolicy asks for this: ingress of default/pod-b is allowed by default/guard-b" in (
        answer.findings[0].evidence
    )
    silent = tcp(clustered(node2=stray), "pod-a", "pod-b")
    assert "NetworkPolicy" not in silent.findings[0].evidence


def test_each_backend_of_a_service_is_judged_behind_the_service() -> None:
    guard_d = NetworkPolicy("guard-d", pods=LabelSelector({"app": "d"}), ingress=(FROM_A,))
    web = replace(service("10.244.2.2:80", "10.244.2.3:80"), network_policies=(guard_d,), namespaces={"default": {}})
    both = rules(nat=proxied("10.244.2.2:80", "10.244.2.3:80"))
    cluster = clustered(web, LABELS, node1=both, node2=both)
    answer = cluster.trace("pod-c", "svc/web", proto="tcp")
    assert answer.verdict == "delivered"
    assert [(each.slug, each.object) for each in answer.findings] == [
        ("networkpolicy-unenforced", "default/networkpolicy/guard-d")
    ]
    assert cluster.trace("pod-a", "svc/web", proto="tcp").findings == ()


def test_what_enforces_out_of_sight_is_not_denied() -> None:
    assert told(governed(GUARD_B, node2=link("flannel.1", xdp=True))) == []
    assert told(governed(GUARD_B, node2=link("cni0", altnames=(), name="cilium_net"))) == []


def test_a_policy_that_parts_nobody_is_not_told() -> None:
    everybody = NetworkPolicy("open", ingress=(PolicyRule(),))
    assert told(governed(everybody)) == []
    assert told(governed(NetworkPolicy("elsewhere", namespace="other"))) == []


def test_where_no_labels_were_read_only_a_policy_for_every_pod_is_held_against_anything() -> None:
    def bare(policy: NetworkPolicy) -> Cluster:
        return clustered(Kubernetes(network_policies=(policy,), namespaces={"default": {}}))

    assert tcp(bare(GUARD_B), "pod-c", "pod-b").findings == ()
    everybody = tcp(bare(NetworkPolicy("deny")), "pod-c", "pod-b")
    assert [each.slug for each in everybody.findings] == ["networkpolicy-unenforced"]


def test_the_node_of_a_pod_may_always_reach_it() -> None:
    cluster = governed(GUARD_B)
    assert tcp(cluster, "node/node2", "pod-b").findings == ()
    assert [each.slug for each in tcp(cluster, "node/node1", "pod-b").findings] == ["networkpolicy-unenforced"]
