"""Group C: the connection table, by its figures and by entries that outlived their backend."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netfs.diagnose.dropped import of_rule
from netfs.diagnose.evidence import evidence
from netfs.model.findings import Finding
from netfs.model.kubernetes import ServicePort
from netfs.model.packet import Packet
from netfs.model.snapshot import Connection
from netfs.model.trace import DELIVERED, DROPPED, Direction, Drop, EndpointRef, Hop, Trace
from tests.unit.clusters import Edit, add, route, sysctl, two_nodes
from tests.unit.proxied_clusters import WEB_IP, clustered, rules, service

DNS = service("10.244.2.2:53", ports=(ServicePort(53, "udp"),))
STALE = Connection("udp", "10.244.1.2", WEB_IP, "10.244.2.77", "10.244.1.2", 40053, 53, 53, 40053)


def filled(count: int, limit: int) -> list[Edit]:
    return [sysctl("net.netfilter.nf_conntrack_count", count), sysctl("net.netfilter.nf_conntrack_max", limit)]


@pytest.mark.parametrize(
    ("count", "limit", "expected"),
    [
        (899, 1000, []),
        (900, 1000, [("conntrack-near-full", "warning", "node1")]),
        (1000, 1000, [("conntrack-full", "error", "node1")]),
        (5, 0, []),
    ],
)
def test_a_table_is_full_or_nearly_so(count: int, limit: int, expected: list[tuple[str, str, str]]) -> None:
    found = clustered(node1=filled(count, limit)).findings()
    assert [(each.slug, each.severity, each.object) for each in found] == expected
    assert all(each.fix == "sysctl -w net.netfilter.nf_conntrack_max=2000" for each in found)


def tracking(*connections: Connection) -> Edit:
    return lambda netns: replace(netns, connections=connections)


def test_a_flow_to_a_backend_that_is_gone() -> None:
    udp = replace(DNS.endpoint_slices[0], ports=(replace(DNS.endpoint_slices[0].ports[0], protocol="udp"),))
    objects = replace(DNS, endpoint_slices=(udp,))
    found = clustered(objects, {"pod-b": {"app": "web"}}, node1=tracking(STALE)).findings()
    told = [each for each in found if each.slug == "conntrack-stale-nat"]
    assert [(each.object, each.severity) for each in told] == [(f"node1/{WEB_IP}:53", "error")]
    assert told[0].fix == f"conntrack -D -p udp --orig-dst {WEB_IP} --orig-port-dst 53 --reply-src 10.244.2.77"
    living = replace(STALE, reply_src="10.244.2.2")
    found = clustered(objects, {"pod-b": {"app": "web"}}, node1=tracking(living)).findings()
    assert not [each for each in found if each.slug == "conntrack-stale-nat"]


def test_without_an_api_an_address_of_a_pod_network_that_no_pod_has_is_gone() -> None:
    found = clustered(node1=tracking(STALE)).findings()
    assert [(each.slug, each.object) for each in found] == [("conntrack-stale-nat", f"node1/{WEB_IP}:53")]
    assert "which no pod of node2 has" in found[0].evidence


@pytest.mark.parametrize(
    "entry",
    [
        replace(STALE, proto="tcp"),
        replace(STALE, reply_src="10.244.2.2"),
        replace(STALE, reply_src="203.0.113.9"),
        replace(STALE, reply_src=WEB_IP, reply_dst="192.168.52.11"),
    ],
)
def test_entries_that_may_be_right(entry: Connection) -> None:
    assert clustered(node1=tracking(entry)).findings() == ()


ROUTED = add(routes=[route("0.0.0.0/0", 2, "192.168.52.1")])
EARLY = replace(STALE, src="192.168.52.11", reply_src=WEB_IP, reply_dst="192.168.52.11")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (EARLY, True),
        (replace(EARLY, status=("seen-reply",)), False),
        (replace(EARLY, dst="192.168.52.9", reply_src="192.168.52.9"), False),
    ],
)
def test_a_flow_that_is_older_than_the_rules_of_its_service(entry: Connection, expected: bool) -> None:
    udp = replace(DNS.endpoint_slices[0], ports=(replace(DNS.endpoint_slices[0].ports[0], protocol="udp"),))
    objects = replace(DNS, endpoint_slices=(udp,))
    rule = f"-A PREROUTING -d {WEB_IP}/32 -p udp -m udp --dport 53 -j DNAT --to-destination 10.244.2.2:53"
    node1 = [rules(nat=[rule, rule.replace("PREROUTING", "OUTPUT")]), tracking(entry), ROUTED]
    cluster = clustered(objects, {"pod-b": {"app": "web"}}, node1=node1)
    told = [each for each in cluster.findings() if each.slug == "conntrack-stale-nat"]
    assert [each.object for each in told] == ([f"node1/{WEB_IP}:53"] if expected else [])
    if expected:
        assert "is not translated: it began before the rules of default/svc/web" in told[0].evidence
        assert told[0].fix == f"conntrack -D -p udp --orig-dst {WEB_IP} --orig-port-dst 53 --reply-src {WEB_IP}"
        early = cluster.trace("node1", WEB_IP, proto="udp", port=53, sport=40053)
        assert "conntrack-stale-nat" in {each.slug for each in early.findings}
        fresh = cluster.trace("node1", WEB_IP, proto="udp", port=53)
        assert [each.forward.hops[-1].packet.dst for each in (early, fresh)] == [WEB_IP, "10.244.2.2"]


@pytest.mark.parametrize(("sport", "expected"), [(40053, True), (40054, False)])
def test_a_trace_tells_the_entry_that_its_packet_meets(sport: int, expected: bool) -> None:
    cluster = clustered(node1=tracking(STALE))
    answer = cluster.trace("pod-a", WEB_IP, proto="udp", port=53, sport=sport)
    assert ("conntrack-stale-nat" in {each.slug for each in answer.findings}) is expected
    other = cluster.trace("pod-c", WEB_IP, proto="udp", port=53, sport=sport)
    assert "conntrack-stale-nat" not in {each.slug for each in other.findings}


PACKET = Packet("10.244.1.2", "10.244.2.2", "tcp", 40000, 80)
DROP = Drop(2, "node3", "node3", "eth0", "NETFILTER_DROP", "forward: dropped by inet t f: ct state invalid drop", "fix",
            "firewall-rule-drops")  # fmt: skip


def _trace(*forward: int) -> Trace:
    there = tuple(Hop(1, "n", "n", "eth0", "route", "forward", "", PACKET, netns_id=each) for each in forward)
    back = Hop(2, "node3", "node3", "eth0", "netfilter", "drop", DROP.why, PACKET, netns_id=3)
    a, b = EndpointRef("default/pod-a", "node1", "10.244.1.2"), EndpointRef("default/pod-b", "node2", "10.244.2.2")
    return Trace(DROPPED, a, b, Direction(DELIVERED, there), Direction(DROPPED, (back,), DROP))


def test_an_answer_that_is_invalid_where_its_packets_never_were() -> None:
    found = of_rule(evidence(two_nodes()), _trace(1, 2), DROP, [])
    assert found is not None
    assert not isinstance(found, str)
    assert (found.slug, found.object, found.fix) == ("conntrack-invalid-drop", "node3/eth0", "fix")
    astray = Finding("route-wrong-nexthop", "error", "node2/flannel.1", "astray", "mend it", "node2", "node2")
    found = of_rule(evidence(two_nodes()), _trace(1, 2), DROP, [astray])
    assert found is not None
    assert not isinstance(found, str)
    assert (found.fix, found.node) == ("mend it", "node2")
    assert found.evidence.endswith("route-wrong-nexthop of node2/flannel.1 leads them there")


def test_an_answer_dropped_where_its_packets_were_is_the_rules_doing() -> None:
    assert of_rule(evidence(two_nodes()), _trace(1, 3), DROP, []) is None
