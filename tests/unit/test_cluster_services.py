"""Services: joined with their backends, found by name and by address, and read from rules where no API was asked."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netfs.cluster import proxy_rules, services
from netfs.cluster.endpoint import resolve
from netfs.cluster.topology import Topology
from netfs.datapath.misled import misled
from netfs.errors import EndpointError
from netfs.model import ip
from netfs.model.kubernetes import Kubernetes, Service, ServicePort
from netfs.model.snapshot import Firewall
from tests.unit import clusters
from tests.unit.services import OBJECTS, PODS, WEB, endpoints, firewall, snapshots, topology

MODES = ("iptables", "nftables")


def view(name: str, found: Topology | None = None) -> services.ServiceView:
    known = services.of(found or topology()).named("default", name)
    assert known is not None
    return known


@pytest.mark.parametrize(("name", "counts"), [("web", (2, 2)), ("half", (1, 2)), ("empty", (0, 0)), ("dns", (1, 1))])
def test_backends_are_counted_ready_and_all(name: str, counts: tuple[int, int]) -> None:
    """A pod behind two ports is one."""
    assert view(name).counts() == counts


def test_a_port_leads_to_its_own_backends() -> None:
    dns = view("dns")
    assert [each.protocol for each in dns.backends] == ["udp", "tcp"]
    assert [each.protocol for each in dns.behind(dns.service.ports[0])] == ["udp"]


def test_one_number_of_two_protocols_is_tcp_unless_one_is_asked_for() -> None:
    dns = view("dns")
    assert (dns.port(53), dns.port(53, "udp")) == (dns.service.ports[1], dns.service.ports[0])
    assert (dns.port("dns"), dns.port(54), dns.port("http")) == (dns.service.ports[0], None, None)


@pytest.mark.parametrize(
    ("address", "protocol", "port", "by"),
    [
        ("10.96.0.10", "tcp", 80, "cluster-ip"),
        ("192.0.2.10", "tcp", 80, "external-ip"),
        ("192.168.52.12", "tcp", 30080, "node-port"),
        ("10.96.0.10", "udp", 80, None),
        ("10.96.0.10", "tcp", 81, None),
        ("10.244.1.2", "tcp", 30080, None),
        ("192.168.52.1", "tcp", 30080, None),
        ("10.96.0.10", "icmp", None, None),
    ],
)
@pytest.mark.parametrize("cluster", [topology(), *(topology(mode, None) for mode in MODES)], ids=["api", *MODES])
def test_a_packet_is_for_a_service_by_address_protocol_and_port(
    cluster: Topology, address: str, protocol: str, port: int | None, by: str | None
) -> None:
    """A node port is one at a node's address only."""
    match = services.of(cluster).match(address, protocol, port)
    assert (match.by if match is not None else None) == by
    assert match is None or match.view.name == "default/svc/web"


WEB_ASKED = ("10.96.0.10", "tcp", 80)


@pytest.mark.parametrize(
    ("holder", "got", "slug"),
    [
        ("pod-b", (PODS["pod-b"], 80), None),
        ("pod-d", (PODS["pod-d"], 80), None),
        ("pod-c", (PODS["pod-c"], 80), "service-rules-stale"),
        ("pod-b", (PODS["pod-b"], 8080), "service-rules-stale"),
        ("pod-c", (PODS["pod-b"], 80), "address-duplicate"),
        ("node1", ("10.96.0.10", 80), "service-rules-missing"),
    ],
)
def test_who_took_a_packet_is_held_against_the_services_backends(
    holder: str, got: tuple[str, int], slug: str | None
) -> None:
    """A pod that is none of them, another port, another holder of the address, a node that translated nothing."""
    cluster = topology()
    found = misled(cluster, WEB_ASKED, got, resolve(cluster, holder).view)  # type: ignore[arg-type]
    assert (found.slug if found is not None else None) == slug
    assert found is None or "default/svc/web" in found.why


def test_services_that_only_rules_name_are_not_judged() -> None:
    """Nobody told what their backends ought to be."""
    cluster = topology("iptables", objects=None)
    holder = resolve(cluster, "pod-c").view
    assert holder is not None
    assert misled(cluster, WEB_ASKED, (PODS["pod-c"], 80), holder) is None


@pytest.mark.parametrize("mode", MODES)
def test_rules_name_services_their_ports_addresses_and_backends(mode: str) -> None:
    """What kube-proxy wrote, as the kernel's tools print it."""
    found = {each.service.name: each for each in services.of(topology(mode, objects=None)).all}
    assert sorted(found) == ["dns", "empty", "half", "web"]
    assert {each.source for each in found.values()} == {"rules"}
    web = found["web"].service
    assert (web.namespace, web.type, web.cluster_ips, web.external_ips) == (
        "default",
        "NodePort",
        ("10.96.0.10",),
        ("192.0.2.10",),
    )
    assert web.ports == (ServicePort(80, "tcp", "http", node_port=30080),)
    assert {(each.address, each.port, each.pod, each.node) for each in found["web"].backends} == {
        ("10.244.2.2", 80, "pod-b", "node2"),
        ("10.244.2.3", 80, "pod-d", "node2"),
    }
    assert {(port.port, port.protocol, port.name) for port in found["dns"].service.ports} == {
        (53, "udp", "dns"),
        (53, "tcp", "dns-tcp"),
    }
    assert (found["empty"].service.cluster_ips, found["empty"].backends) == (("10.96.0.12",), ())
    assert found["half"].counts() == (1, 1)


@pytest.mark.parametrize("mode", MODES)
def test_one_service_is_read_alone_as_among_all(mode: str) -> None:
    """Of large rules only the lines that name it are looked at; the answer is the same."""
    for each in services.of(topology(mode, objects=None)).all:
        alone = services.of(topology(mode, objects=None))
        assert alone.named(*each.key) == each
        assert alone.holding(each.service.cluster_ips[0]) == (each,)
        assert alone.cluster_ip("192.0.2.10") is None


def test_where_the_api_was_asked_rules_name_no_service() -> None:
    """Rules for a Service that is no more do not bring it back."""
    assert services.of(topology("iptables", objects=Kubernetes())).all == ()


IPVS = """-A -t 10.96.0.10:80 -s rr
-a -t 10.96.0.10:80 -r 10.244.2.2:80 -m -w 1
-a -t 10.96.0.10:80 -r 10.244.2.3:80 -m -w 1
-A -u 10.96.0.11:53 -s rr
-a -u 10.96.0.11:53 -r 10.244.1.3:80 -m -w 1
-A -t [fd00:96::a]:80 -s rr
-A -t nonsense -s rr
"""


def test_ipvs_tells_addresses_and_no_names() -> None:
    found = {each.service.name: each for each in proxy_rules.discover([Firewall(ipvs=IPVS)])}
    assert list(found) == ["10.96.0.10", "10.96.0.11", "fd00:96::a"]
    assert {back[:2] for back in found["10.96.0.10"].backends} == {("10.244.2.2", 80), ("10.244.2.3", 80)}
    assert found["10.96.0.11"].service.ports == (ServicePort(53, "udp", "udp-53"),)
    assert {each.service.namespace for each in found.values()} == {""}


def iptables(before: str, comment: str, after: str) -> Firewall:
    return Firewall(iptables=f'{before} -m comment --comment "{comment}" {after}\n')


def nftables(record: dict[str, dict[str, Any]]) -> Firewall:
    """A listing of one object of table kube-proxy."""
    made = {kind: {"table": "kube-proxy", **fields} for kind, fields in record.items()}
    return Firewall(nft=json.dumps({"nftables": [made]}))


def test_the_same_rule_of_kube_proxy_names_one() -> None:
    """What is refused below is refused for what is wrong with it."""
    sound = iptables("-A KUBE-SERVICES -d 10.96.0.10/32 -p tcp", "a/b cluster IP", "--dport 80 -j X")
    assert [each.service.name for each in proxy_rules.discover([sound])] == ["b"]


@pytest.mark.parametrize(
    "rules",
    [
        iptables("-A KUBE-SERVICES -d 10.96.0.10/99 -p tcp", "a/b cluster IP", "--dport 80 -j X"),
        iptables("-A KUBE-SERVICES -d 10.96.0.999 -p tcp", "a/b cluster IP", "--dport 80 -j X"),
        iptables("-A KUBE-SERVICES -d 10.96.0.10/32 -p esp", "a/b cluster IP", "--dport 80 -j X"),
        iptables("-A KUBE-NODEPORTS -p tcp", "a/b health check node port", "--dport 3 -j ACCEPT"),
        iptables("-A KUBE-SEP-ABC -p tcp", "a/b", "-j DNAT --to-destination nowhere:http"),
        iptables("-A DOCKER -d 10.96.0.10/32 -p tcp", "a/b cluster IP", "--dport 80 -j X"),
        Firewall(iptables="KUBE-" * 1000),
        Firewall(nft='{"nftables": "kube-proxy"}'),
        Firewall(nft="kube-proxy, but no JSON"),
        Firewall(nft='["kube-proxy"]'),
        nftables({"map": {"name": "service-ips", "elem": [[{"concat": [1]}, 2]]}}),
        nftables({"map": {"name": "service-ips", "elem": 7}}),
        nftables({"rule": {"chain": "endpoint-AB-a/b/tcp/", "expr": [{"dnat": 3}]}}),
        Firewall(ipvs="-A\n-a -t x\n-A -t 10.0.0.1:99999 -s rr"),
    ],
)
def test_text_that_is_not_kube_proxys_names_no_service(rules: Firewall) -> None:
    assert proxy_rules.discover([rules]) == ()


@settings(max_examples=300, deadline=None)
@given(
    mode=st.sampled_from(MODES),
    edits=st.lists(st.tuples(st.integers(0, 20_000), st.text(max_size=4)), min_size=1, max_size=5),
    cut=st.integers(0, 20_000),
)
def test_mutated_rules_name_services_that_are_sound_or_none(mode: str, edits: list[tuple[int, str]], cut: int) -> None:
    """Whatever the text says, what is read has addresses and ports, and nothing is raised."""
    rules = firewall(mode, "node1")
    text = rules.iptables or rules.nft or ""
    for at, put in edits:
        where = at % len(text)
        text = text[:where] + put + text[where + len(put) :]
    text = text[: len(text) - cut % 200]
    spoilt = Firewall(iptables=text, ipvs=text) if mode == "iptables" else Firewall(nft=text)
    for each in proxy_rules.discover([spoilt]):
        assert all(0 < port.port < 65536 for port in each.service.ports)
        assert all(ip.to_int(address) for address in each.service.cluster_ips)
        assert all(ip.to_int(back[0]) and 0 < back[1] < 65536 for back in each.backends)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("svc/web", "default/svc/web"),
        ("service/web", "default/svc/web"),
        ("default/svc/web", "default/svc/web"),
        ("svc/web:80", "default/svc/web"),
        ("svc/web:http", "default/svc/web"),
        ("10.96.0.10", "default/svc/web"),
        ("192.0.2.10", "default/svc/web"),
        ("10.96.0.99", "10.96.0.99"),
        ("10.244.2.2", "default/pod-b"),
    ],
)
@pytest.mark.parametrize("objects", [OBJECTS, None], ids=["api", "rules"])
def test_every_form_of_a_services_name_is_understood(text: str, name: str, objects: Kubernetes | None) -> None:
    assert resolve(topology("iptables", objects), text).name == name


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("svc/wep", r"no Service 'svc/wep' \(did you mean svc/web\?\)"),
        ("team/svc/web", r"did you mean svc/web\?"),
        ("web", r"no pod, Service.*'web' \(did you mean svc/web\?\)"),
        ("svc/web:https", r"default/svc/web has no port 'https' \(it has 80/tcp \(http\)\)"),
        ("svc/web:99999", r"port 99999 of default/svc/web is out of range"),
        ("svc/web:\x1b[2J", r"has no port '\\\\x1b\[2J'"),
    ],
)
def test_a_name_that_fits_no_service_is_answered_with_what_was_meant(text: str, says: str) -> None:
    with pytest.raises(EndpointError, match=says):
        resolve(topology(), text)


def test_a_service_of_another_namespace_is_told_with_its_namespace() -> None:
    objects = replace(OBJECTS, services=(*OBJECTS.services, Service("shop", "team", cluster_ips=("10.96.0.40",))))
    with pytest.raises(EndpointError, match=r"did you mean team/svc/shop\?"):
        resolve(topology(objects=objects), "svc/shop")
    assert resolve(topology(objects=objects), "svc/shop", "team").name == "team/svc/shop"


def test_without_the_api_a_headless_service_cannot_be_known() -> None:
    with pytest.raises(EndpointError, match=r"svc/half\? a headless Service is named by no rule"):
        resolve(topology("iptables", None), "svc/hl")
    with pytest.raises(EndpointError) as known:
        resolve(topology(), "svc/hl")
    assert "headless" not in str(known.value)


def test_where_nothing_tells_of_services_the_error_says_so() -> None:
    with pytest.raises(EndpointError, match="the snapshots hold no Services"):
        resolve(clusters.two_nodes(), "svc/web")


def test_a_pod_in_a_namespace_called_svc_and_a_service_of_its_name_are_told_apart() -> None:
    made = snapshots()
    pods = tuple(replace(pod, namespace="svc", name="web") if pod.name == "pod-c" else pod for pod in made[0].pods)
    cluster = Topology([replace(made[0], pods=pods), *made[1:]], OBJECTS)
    with pytest.raises(EndpointError, match=r"'svc/web' is ambiguous \(it may be default/svc/web, svc/web on node1\)"):
        resolve(cluster, "svc/web")
    assert resolve(Topology(cluster.snapshots), "svc/web").name == "svc/web"


def test_a_cluster_ip_that_every_node_holds_is_its_services() -> None:
    """IPVS mode: kube-ipvs0 has the addresses of all Services, on all nodes."""
    holds = clusters.new_address("cni0", "10.96.0.10/32")
    assert resolve(topology(node1=holds, node2=holds), "10.96.0.10").name == "default/svc/web"


def test_what_lies_between_the_nodes_is_an_endpoint_by_its_name() -> None:
    """A packet may start there as from outside the cluster."""
    for text in ("fabric", "node/fabric"):
        end = resolve(clusters.two_nodes(), text)
        assert end.view is not None
        assert end.view.node.role == "fabric"


def test_addresses_that_dns_gives_are_those_of_ready_backends() -> None:
    assert view("half").ready_addresses(4) == (PODS["pod-b"],)
    assert view("half").ready_addresses(6) == ()
    every = replace(WEB, name="half", publish_not_ready_addresses=True)
    objects = Kubernetes((every,), (endpoints("half", "pod-b", "-pod-d"),))
    assert view("half", topology(objects=objects)).ready_addresses(4) == (PODS["pod-b"], PODS["pod-d"])
