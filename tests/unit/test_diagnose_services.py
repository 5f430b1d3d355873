"""Group P: a Service's objects held against its pods and against each node's rules."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netfs.api import Cluster
from netfs.diagnose.checks import proxies, serving, survey
from netfs.diagnose.evidence import SAMPLE
from netfs.model.findings import Finding
from netfs.model.kubernetes import EndpointPort, EndpointSlice, Kubernetes, ServicePort, SliceEndpoint
from netfs.model.snapshot import Firewall, Listener
from tests.unit.clusters import Edit, add, new_address, no_address, no_route, route
from tests.unit.proxied_clusters import WEB_IP, clustered, proxied, rules, service

B, D = "10.244.2.2:80", "10.244.2.3:80"
WEB = service(B)
LABELS = {"pod-b": {"app": "web"}, "pod-d": {"app": "other"}}


def everywhere(*backends: str, **changes: Edit | list[Edit]) -> dict[str, Edit | list[Edit]]:
    """Both nodes' rules lead to these backends."""
    both = rules(nat=proxied(*backends))
    return {"node1": both, "node2": both, **changes}


def told(cluster: Cluster) -> list[tuple[str, str, str]]:
    return [(each.slug, each.severity, each.object) for each in cluster.findings()]


def errors(cluster: Cluster, source: str = "pod-a", target: str = "svc/web") -> list[str]:
    answer = cluster.trace(source, target, proto="tcp", port=None if target.startswith("svc") else 30080)
    return [each.slug for each in answer.findings if each.severity == "error"]


def only(cluster: Cluster) -> Finding:
    found = cluster.findings()
    assert len(found) == 1, found
    return found[0]


def test_a_healthy_service_has_no_finding() -> None:
    cluster = clustered(service(B, D), LABELS, **everywhere(B, D))
    assert told(cluster) == []
    answer = cluster.trace("pod-a", "svc/web", proto="tcp")
    assert (answer.verdict, answer.findings) == ("delivered", ())


def test_no_ready_endpoint() -> None:
    reject = f'-A FORWARD -d {WEB_IP}/32 -m comment --comment "default/web has no endpoints" -j KUBE-REJECT'
    rejecting = rules(filter=[reject, "-A KUBE-REJECT -j REJECT --reject-with icmp-port-unreachable"])
    cluster = clustered(service(f"{B[:-3]}:80!"), LABELS, node1=rejecting, node2=rejecting)
    assert told(cluster) == [("service-no-endpoints", "error", "default/svc/web")]
    assert "none of its endpoints is ready: pod-b" in only(cluster).evidence
    assert errors(cluster) == ["service-no-endpoints"]
    drop = cluster.trace("pod-a", "svc/web", proto="tcp").forward.drop
    assert drop is not None
    assert (drop.slug, drop.fix) == ("service-no-endpoints", None), "what is run elsewhere stays with its finding"
    lost = cluster.trace("pod-a", "svc/web", proto="tcp").findings[0]
    assert lost.fix.startswith("# make a pod of default/svc/web ready: kubectl -n default describe")


def test_a_selector_that_selects_nobody() -> None:
    cluster = clustered(service(selector={"app": "wbe"}), LABELS)
    assert told(cluster) == [("service-selector-mismatch", "error", "default/svc/web")]
    assert "app=wbe" in only(cluster).evidence


def test_a_selector_is_not_blamed_where_no_labels_were_read_or_a_pod_has_them() -> None:
    for labels in ({}, {"pod-b": {"app": "web"}}):
        assert told(clustered(service(), labels)) == [("service-no-endpoints", "error", "default/svc/web")]


def test_external_names_and_unready_backends_that_are_published_are_no_fault() -> None:
    assert told(clustered(service(type="ExternalName", cluster_ips=()))) == []
    published = service(f"{B}!", publish_not_ready_addresses=True, cluster_ips=())
    assert told(clustered(published, LABELS)) == []


def test_one_node_without_the_rules_that_others_have() -> None:
    cluster = clustered(WEB, LABELS, node2=rules(nat=proxied(B)))
    assert told(cluster) == [("service-rules-missing", "error", "node1/default/svc/web")]
    assert "spec.nodeName=node1" in only(cluster).fix
    assert errors(cluster)[0] == "service-rules-missing"


def test_a_service_that_the_nodes_never_heard_of() -> None:
    other = service(B, name="new", cluster_ips=("10.96.0.11",))
    both = Kubernetes((*WEB.services, *other.services), (*WEB.endpoint_slices, *other.endpoint_slices))
    cluster = clustered(both, LABELS, **everywhere(B))
    assert [slug for slug, _, _ in told(cluster)] == ["service-rules-missing"] * 2


def test_where_nothing_is_served_by_rules_none_is_missing_until_a_packet_is_lost() -> None:
    cluster = clustered(WEB, LABELS)
    assert told(cluster) == []
    assert errors(cluster) == ["service-rules-missing"]


def test_rules_that_could_not_be_read_are_not_missing() -> None:
    broken = Firewall(nft="{")
    cluster = clustered(WEB, LABELS, node1=lambda n: replace(n, firewall=broken), node2=rules(nat=proxied(B)))
    assert told(cluster) == []


def test_a_drop_before_nat_is_no_word_on_the_rules_of_nat() -> None:
    drop = "-A PREROUTING -s 10.244.1.2/32 -p tcp -j DROP"
    cluster = clustered(WEB, LABELS, **everywhere(B, node1=rules(raw=[drop], nat=proxied(B))))
    assert told(cluster) == []
    assert errors(cluster) == ["firewall-rule-drops"]


def test_endpoints_are_counted_by_pods_of_the_family_asked_for() -> None:
    six = "fd00:10:96::10"
    both = service(B, D, cluster_ips=(WEB_IP, six))
    ends = ("fd00:10:244:2::2", "pod-b"), ("fd00:10:244:2::3", "pod-d")
    slices = tuple(
        EndpointSlice("web", ports=(EndpointPort(80),), endpoints=(SliceEndpoint(address, pod=pod),))
        for address, pod in ends
    )
    cluster = clustered(replace(both, endpoint_slices=(*both.endpoint_slices, *slices)), LABELS)
    (lost,) = cluster.trace("pod-a", "svc/web", proto="tcp").findings
    assert f"no rule of node1 translates {WEB_IP}:80 of default/svc/web, which has 2 ready endpoints:" in lost.evidence


@pytest.mark.parametrize("source", ["pod-a", "pod-c"])
@pytest.mark.parametrize(
    ("table", "target", "slug"),
    [
        ("nat", "-j DNAT --to-destination 10.244.2.77:80", "service-rules-stale"),
        ("nat", "-j REDIRECT --to-ports 99", "service-rules-stale"),
        ("nat", "-j ACCEPT", "service-rules-missing"),
        ("raw", "-j CT --notrack", "service-rules-missing"),
    ],
)
def test_a_rule_that_is_not_kube_proxys_is_what_is_to_go(source: str, table: str, target: str, slug: str) -> None:
    foreign = f"-A PREROUTING -s {'10.244.1.2' if source == 'pod-a' else '10.244.1.3'}/32 -p tcp {target}"
    nat = [foreign, *proxied(B)] if table == "nat" else proxied(B)
    raw = [foreign] if table == "raw" else []
    cluster = clustered(WEB, LABELS, **everywhere(B, node1=rules(raw=raw, nat=nat)))
    lost = next(each for each in cluster.trace(source, "svc/web", proto="tcp").findings if each.slug == slug)
    assert foreign in lost.evidence
    assert lost.fix == f"iptables-nft -t {table} -D {foreign.removeprefix('-A ')}"


def test_an_address_of_a_service_that_the_node_holds_itself_needs_no_rules() -> None:
    """As NodeLocal DNSCache does: the node answers, and its packets are not tracked."""
    here = rules(raw=[f"-A PREROUTING -d {WEB_IP}/32 -j CT --notrack"], nat=proxied(B))
    cluster = clustered(WEB, LABELS, **everywhere(B, node1=[here, new_address("lo", f"{WEB_IP}/32")]))
    assert told(cluster) == []


REFUSED = "-A FORWARD -d 10.96.0.10/32 -j KUBE-REFUSED"


@pytest.mark.parametrize("forward", [[], [REFUSED, "-A KUBE-REFUSED -j REJECT --reject-with icmp-port-unreachable"]])
def test_a_port_that_the_service_has_not(forward: list[str]) -> None:
    ruled = rules(nat=proxied(B), filter=forward)
    cluster = clustered(WEB, LABELS, node1=ruled, node2=ruled)
    for target in ("svc/web", WEB_IP):
        answer = cluster.trace("pod-a", target, proto="tcp", port=81)
        assert answer.verdict == "dropped"
        (lost,) = answer.findings
        assert (lost.slug, lost.severity, lost.object) == ("service-port-missing", "error", "default/svc/web")
        assert lost.evidence == f"{WEB_IP} is default/svc/web, which has no port 81/tcp: it has 80/tcp"
        assert lost.fix.startswith("# ask for a port that default/svc/web has, or add 81/tcp to it")
    assert [each.slug for each in cluster.trace("pod-a", WEB_IP, proto="udp", port=80).findings] == [
        "service-port-missing"
    ]
    assert cluster.trace("pod-a", WEB_IP).findings == (), "kube-proxy answers no ping: that is no fault"


def test_of_services_known_from_rules_a_port_is_missing_as_far_as_rules_tell() -> None:
    cluster = clustered(None, LABELS, node1=named(B), node2=named(B))
    (lost,) = cluster.trace("pod-a", WEB_IP, proto="tcp", port=81).findings
    assert lost.slug == "service-port-missing"
    assert "of which the nodes' rules name no port 81/tcp: they name 80/tcp" in lost.evidence


@pytest.mark.parametrize("backends", [(D,), (B, "10.244.2.99:80"), ("10.244.2.2:81",)])
def test_rules_that_lead_elsewhere(backends: tuple[str, ...]) -> None:
    cluster = clustered(WEB, LABELS, node1=rules(nat=proxied(*backends)), node2=rules(nat=proxied(B)))
    assert told(cluster) == [("service-rules-stale", "error", "node1/default/svc/web")]
    assert backends[-1] in only(cluster).evidence
    assert errors(cluster)[0] == "service-rules-stale"


def test_rules_that_lead_to_a_pod_that_is_gone_though_the_api_still_names_it() -> None:
    cluster = clustered(service(B, "10.244.2.99:80"), LABELS, **everywhere(B, "10.244.2.99:80"))
    assert told(cluster) == [
        ("service-rules-stale", "error", "node1/default/svc/web"),
        ("service-rules-stale", "error", "node2/default/svc/web"),
    ]
    assert "to 10.244.2.99:80, which no pod has" in cluster.findings()[0].evidence


def test_a_backend_without_its_address_is_the_cause_and_not_the_rules() -> None:
    bare = [no_address("10.244.2.2"), no_route("0.0.0.0/0")]
    cluster = clustered(WEB, LABELS, **everywhere(B, pod_b=bare))
    assert [slug for slug, _, _ in told(cluster)] == ["address-missing"]
    assert errors(cluster) == ["address-missing"]


def test_without_an_api_a_rule_for_an_address_that_no_pod_has_is_stale() -> None:
    cluster = clustered(None, LABELS, node1=rules(nat=proxied(B, "10.244.2.99:80", "203.0.113.9:80")))
    assert told(cluster) == [("service-rules-stale", "error", "node1/10.244.2.99")]
    assert errors(cluster, target="pod-b") == []
    lost = cluster.trace("pod-a", WEB_IP, proto="tcp", port=80)
    assert [each.object for each in lost.findings if each.slug == "service-rules-stale"] == ["node1/10.244.2.99"]


def listening(*listeners: Listener) -> Edit:
    return lambda netns: replace(netns, listeners=listeners)


LOCAL = Listener("tcp", 4, "127.0.0.1", 80)


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (listening(), "nothing in pod-b listens on tcp"),
        (listening(Listener("tcp", 4, "0.0.0.0", 8080)), "pod-b listens on tcp 8080"),
        (listening(LOCAL), "it listens on 127.0.0.1 only"),
        (listening(Listener("udp", 4, "0.0.0.0", 80)), "nothing in pod-b listens on tcp"),
        (listening(Listener("tcp", 6, "::", 80, v6only=True)), "it listens on :: only"),
        ([listening(), rules(filter=["-A INPUT -p icmp -j ACCEPT"])], "nothing in pod-b listens on tcp"),
    ],
)
def test_nobody_listens_on_the_target_port(own: Edit | list[Edit], words: str) -> None:
    cluster = clustered(WEB, LABELS, **everywhere(B, pod_b=own))
    assert told(cluster) == [("service-target-port-closed", "error", "default/svc/web")]
    assert only(cluster).evidence.endswith(words)
    assert errors(cluster) == ["service-target-port-closed"]


@pytest.mark.parametrize(
    "own",
    [
        listening(Listener("tcp", 6, "::", 80)),
        listening(Listener("tcp", 4, "10.244.2.2", 80)),
        lambda netns: replace(netns, listeners=None),
        [listening(), rules(nat=["-A PREROUTING -p tcp -j REDIRECT --to-ports 15006"])],
    ],
)
def test_somebody_listens_or_may(own: Edit | list[Edit]) -> None:
    assert told(clustered(WEB, LABELS, **everywhere(B, pod_b=own))) == []


def test_a_local_policy_without_an_endpoint_here() -> None:
    local = service(B, internal_traffic_policy="Local")
    dropping = rules(
        filter=[f"-A FORWARD -d {WEB_IP}/32 -p tcp -m tcp --dport 80 -j KUBE-DROP", "-A KUBE-DROP -j DROP"],
    )
    cluster = clustered(local, LABELS, node1=dropping, node2=rules(nat=proxied(B)))
    assert told(cluster) == [("service-local-policy-no-endpoint", "warning", "node1/default/svc/web")]
    assert errors(cluster) == ["service-local-policy-no-endpoint"]
    assert errors(cluster, "pod-d") == []


DOOR = service(B, type="NodePort", ports=(ServicePort(80, node_port=30080),))


def opened(address: str) -> Edit:
    """Rules for the Service and for its NodePort at one address."""
    return rules(nat=proxied(B, address=address, port=30080) + proxied(B)[2:3])


def test_a_node_port_on_an_address_that_is_not_served() -> None:
    second = new_address("eth0", "192.168.52.112/24")
    cluster = clustered(DOOR, LABELS, node1=opened("192.168.52.11"), node2=[opened("192.168.52.12"), second])
    assert told(cluster) == []
    assert errors(cluster, target="192.168.52.12") == []
    answer = cluster.trace("pod-a", "192.168.52.112", proto="tcp", port=30080)
    assert [each.slug for each in answer.findings] == ["nodeport-not-local-address"]
    assert "on 192.168.52.12, not on 192.168.52.112" in answer.findings[0].evidence


def test_a_node_port_that_a_node_serves_nowhere() -> None:
    cluster = clustered(DOOR, LABELS, **everywhere(B))
    assert told(cluster) == [
        ("service-rules-missing", "error", "node1/default/svc/web"),
        ("service-rules-missing", "error", "node2/default/svc/web"),
    ]
    assert "NodePort 30080" in cluster.findings()[0].evidence
    answer = cluster.trace("pod-a", "192.168.52.12", proto="tcp", port=30080)
    assert [each.slug for each in answer.findings] == ["service-rules-missing"]


def test_an_external_policy_of_local_is_told_only_of_a_packet_that_it_stops() -> None:
    local = service(B, type="NodePort", external_traffic_policy="Local", ports=(ServicePort(80, node_port=30080),))
    cluster = clustered(local, LABELS, node1=rules(nat=proxied(B)), node2=opened("192.168.52.12"))
    assert told(cluster) == []
    assert errors(cluster, "pod-b", "192.168.52.11") == ["service-local-policy-no-endpoint"]


NO_LOCAL = "-A INPUT -d 192.168.52.11/32 -p tcp -m tcp --dport 30080 -j KUBE-EXTERNAL-SERVICES"


@pytest.mark.parametrize(
    "served",
    [opened("192.168.52.11"), rules(nat=proxied(B), filter=[NO_LOCAL, "-A KUBE-EXTERNAL-SERVICES -j DROP"])],
)
def test_where_the_address_is_not_served_the_external_policy_is_not_what_refuses(served: Edit) -> None:
    local = service(B, type="NodePort", external_traffic_policy="Local", ports=(ServicePort(80, node_port=30080),))
    cluster = clustered(local, LABELS, node1=served, node2=opened("192.168.52.12"))
    assert errors(cluster, target="10.244.1.1") == ["nodeport-not-local-address"]


MARKED = [
    "-A PREROUTING -p tcp -m tcp --dport 30080 -j KUBE-MARK-MASQ",
    "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000",
]
MASQUERADED = [
    "-A POSTROUTING -j KUBE-POSTROUTING",
    "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
    "-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0",
    "-A KUBE-POSTROUTING -j MASQUERADE",
]


@pytest.mark.parametrize(("post", "slugs"), [(MASQUERADED, []), ([], ["masquerade-missing"])])
def test_a_packet_that_kube_proxy_marks_and_nobody_masquerades(post: list[str], slugs: list[str]) -> None:
    door = service(D, type="NodePort", ports=(ServicePort(80, node_port=30080),))
    nat = MARKED + proxied(D, address="192.168.52.11", port=30080) + proxied(D)[2:3] + post
    cluster = clustered(door, LABELS, node1=rules(nat=nat), node2=opened("192.168.52.12"))
    answer = cluster.trace("pod-b", "192.168.52.11", proto="tcp", port=30080)
    assert answer.verdict == ("dropped" if slugs else "delivered"), answer.reverse
    assert [each.slug for each in answer.findings] == slugs
    lost = clustered(door, LABELS, node1=rules(nat=nat, filter=["-A FORWARD -j DROP"]), node2=opened("192.168.52.12"))
    stopped = lost.trace("pod-b", "192.168.52.11", proto="tcp", port=30080)
    assert "masquerade-missing" not in [each.slug for each in stopped.findings], "it never came to postrouting"
    for each in answer.findings:
        assert "node1 leaves it the address 10.244.2.2" in each.evidence
        assert each.fix.startswith("# restart kube-proxy on node1")


def test_a_client_that_source_ranges_keep_out_is_told_by_whom() -> None:
    balanced = service(
        B,
        type="LoadBalancer",
        load_balancer_ips=("203.0.113.80",),
        load_balancer_source_ranges=("192.168.99.0/24", "10.99.0.0/16"),
    )
    keeping = rules(
        nat=proxied(B),
        filter=["-A FORWARD -j KUBE-PROXY-FIREWALL", "-A KUBE-PROXY-FIREWALL -d 203.0.113.80/32 -p tcp -j DROP"],
    )
    routed = add(routes=[route("203.0.113.80/32", 2, "192.168.52.12")])
    cluster = clustered(balanced, LABELS, node1=[keeping, routed], node2=rules(nat=proxied(B)))
    answer = cluster.trace("pod-a", "203.0.113.80", proto="tcp", port=80)
    told_of = [each for each in answer.findings if each.severity == "error"]
    assert [each.slug for each in told_of] == ["firewall-rule-drops"]
    assert told_of[0].evidence.startswith("loadBalancerSourceRanges of default/svc/web do not hold 10.244.1.2: ")
    assert told_of[0].fix == "# add 10.244.1.2 to loadBalancerSourceRanges of default/svc/web"


def many(count: int) -> Kubernetes:
    """Services with an address each, and one backend."""
    made = [service(B, name=f"s{number}", cluster_ips=(f"10.97.0.{number}",)) for number in range(1, count + 1)]
    return Kubernetes(
        tuple(each for one in made for each in one.services),
        tuple(each for one in made for each in one.endpoint_slices),
    )


def served(objects: Kubernetes, but: int, backend: str = B) -> Edit:
    """Rules for all of them, but for one, and another backend for the last."""
    lines: list[str] = ["-A PREROUTING -j KUBE-SERVICES"]
    for number, each in enumerate(objects.services, 1):
        if number != but:
            lines.append(f"-A KUBE-SERVICES -d {each.cluster_ips[0]}/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-{number}")
            target = backend if number == len(objects.services) else B
            lines.append(f"-A KUBE-SVC-{number} -p tcp -m tcp -j DNAT --to-destination {target}")
    return rules(nat=lines)


def test_of_many_services_the_doubtful_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "BUDGET", 10)
    objects = many(40)
    missing = clustered(objects, LABELS, node1=served(objects, 30), node2=served(objects, 0))
    assert told(missing) == [("service-rules-missing", "error", "node1/default/svc/s30")]
    stale = clustered(objects, LABELS, node1=served(objects, 0), node2=served(objects, 0, "10.244.2.99:80"))
    assert told(stale) == [("service-rules-stale", "error", "node2/default/svc/s40")]


def test_a_cluster_of_many_services_that_agree_is_asked_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "BUDGET", 10)
    objects, asked = many(40), []
    plain = serving.asked

    def counted(*arguments: object) -> object:
        asked.append(arguments)
        return plain(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(proxies, "asked", counted)
    assert told(clustered(objects, LABELS, node1=served(objects, 0), node2=served(objects, 0))) == []
    assert len(asked) == 2 * SAMPLE


def ipvs(*lines: str) -> Edit:
    """The table that ``ipvsadm -Sn`` prints."""
    return lambda netns: replace(netns, firewall=Firewall(ipvs="".join(f"{line}\n" for line in lines)))


VIRTUAL = f"-A -t {WEB_IP}:80 -s rr"
REAL = f"-a -t {WEB_IP}:80 -r {B} -m -w 1"


def test_a_table_of_ipvs_is_held_against_the_endpoints_too() -> None:
    right = ipvs(VIRTUAL, REAL)
    assert told(clustered(WEB, LABELS, node1=right, node2=right)) == []
    missing = clustered(WEB, LABELS, node1=ipvs("-A -t 10.96.0.1:443 -s rr"), node2=right)
    assert told(missing) == [("service-rules-missing", "error", "node1/default/svc/web")]
    wrong = ipvs(VIRTUAL, REAL.replace(B, "10.244.2.99:80"))
    stale = clustered(WEB, LABELS, node1=right, node2=wrong)
    assert told(stale) == [("service-rules-stale", "error", "node2/default/svc/web")]


def named(*backends: str) -> Edit:
    """kube-proxy's rules, with the comments that tell whose they are."""
    lines = [line.replace("-m tcp --dport", '-m comment --comment "default/web cluster IP" -m tcp --dport')
             for line in proxied(*backends)]  # fmt: skip
    return rules(
        nat=[line.replace("-p tcp -m tcp -j", '-p tcp -m comment --comment "default/web" -m tcp -j') for line in lines]
    )


def test_of_services_read_from_rules_only_a_node_that_lacks_them_is_told() -> None:
    assert told(clustered(None, LABELS, node1=named(D), node2=named(B))) == []
    cluster = clustered(None, LABELS, node2=named(B))
    assert told(cluster) == [("service-rules-missing", "error", "node1/default/svc/web")]
    assert errors(cluster)[0] == "service-rules-missing"


def refusing(what: str, target: str, protocol: str = "tcp") -> Edit:
    """What kube-proxy writes for a Service that nobody is behind, here or anywhere."""
    comment = f'--comment "default/web {what}"'
    return rules(
        nat=proxied(B, address="10.96.0.1", port=443),
        filter=[
            "-A FORWARD -m conntrack --ctstate NEW -j KUBE-SERVICES",
            f"-A KUBE-SERVICES -d {WEB_IP}/32 -p {protocol} -m comment {comment} -m {protocol} --dport 80 -j {target}",
        ],
    )


@pytest.mark.parametrize(
    ("what", "target", "slug", "in_state"),
    [
        ("has no endpoints", "REJECT --reject-with icmp-port-unreachable", "service-no-endpoints", True),
        ("has no local endpoints", "DROP", "service-local-policy-no-endpoint", False),
    ],
)
def test_where_nobody_asked_the_api_the_rules_themselves_say_that_nobody_is_there(
    what: str, target: str, slug: str, in_state: bool
) -> None:
    both = refusing(what, target)
    routed = add(routes=[route(f"{WEB_IP}/32", 2, "192.168.52.12")])
    cluster = clustered(None, LABELS, node1=[both, routed], node2=both)
    assert [each.slug for each in cluster.findings()] == ([slug] if in_state else [])
    answer = cluster.trace("pod-a", "svc/web", proto="tcp")
    (lost,) = answer.findings
    assert lost.slug == slug
    assert lost.fix.startswith("# ")
    assert answer.forward.drop is not None
    assert "-D" not in (answer.forward.drop.fix or "")


def test_a_rule_that_kubernetes_wrote_is_never_to_be_deleted() -> None:
    invalid = ["-A FORWARD -j KUBE-FORWARD", "-A KUBE-FORWARD -p tcp -j DROP"]
    (lost,) = clustered(None, LABELS, node1=rules(filter=invalid)).trace("pod-a", "pod-b", proto="tcp").findings
    assert lost.slug == "firewall-rule-drops"
    assert lost.fix == "# Kubernetes wrote this rule, and would write it again: correct what it was written for"


def test_a_name_with_a_line_in_it_does_not_leave_the_comment_that_a_fix_is() -> None:
    hostile = service(name="web\nreboot")
    fixes = [each.fix for each in clustered(hostile, LABELS).findings()]
    assert fixes
    assert all(fix.startswith("#") and "\n" not in fix for fix in fixes)
