"""A trace to a Service: which packet is sent, to whom, and what is said where there is nobody to send to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from netfs.api import Cluster
from netfs.errors import EndpointError, UsageError
from netfs.model.kubernetes import EndpointPort, Kubernetes, Service, ServicePort
from netfs.model.snapshot import Snapshots
from netfs.model.trace import Trace
from tests.unit import clusters
from tests.unit.services import OBJECTS, PODS, endpoints, snapshots


def cluster(mode: str | None = None, objects: Kubernetes | None = OBJECTS, **changes: clusters.Edit) -> Cluster:
    return Cluster(Snapshots(tuple(snapshots(mode, **changes)), objects))


def trace(destination: str, source: str = "pod-a", **request: Any) -> Trace:
    return cluster().trace(source, destination, **request)


def sent(answer: Trace) -> tuple[str, str, int | None]:
    packet = answer.forward.hops[0].packet
    return packet.dst, packet.proto, packet.dport


def with_services(*more: Service) -> Cluster:
    return cluster(objects=replace(OBJECTS, services=(*OBJECTS.services, *more)))


@pytest.mark.parametrize(
    ("destination", "request_", "packet"),
    [
        ("svc/web", {}, ("10.96.0.10", "tcp", 80)),
        ("svc/web:http", {}, ("10.96.0.10", "tcp", 80)),
        ("svc/web:81", {}, ("10.96.0.10", "tcp", 81)),
        ("svc/web", {"port": 81}, ("10.96.0.10", "tcp", 81)),
        ("svc/web", {"proto": "udp", "port": 80}, ("10.96.0.10", "udp", 80)),
        ("svc/web", {"proto": "icmp"}, ("10.96.0.10", "icmp", None)),
        ("svc/dns:dns", {}, ("10.96.0.11", "udp", 53)),
        ("svc/dns:53", {}, ("10.96.0.11", "tcp", 53)),
        ("svc/dns:53", {"proto": "udp"}, ("10.96.0.11", "udp", 53)),
        ("svc/dns", {"proto": "udp"}, ("10.96.0.11", "udp", 53)),
        ("10.96.0.10", {}, ("10.96.0.10", "icmp", None)),
        ("10.96.0.10", {"port": 80}, ("10.96.0.10", "tcp", 80)),
        ("192.0.2.10", {"port": 80}, ("192.0.2.10", "tcp", 80)),
    ],
)
def test_what_the_service_knows_need_not_be_said(
    destination: str, request_: dict[str, Any], packet: tuple[str, str, int | None]
) -> None:
    """Address, protocol and port are the Service's; what is asked for all the same is sent as asked."""
    answer = trace(destination, **request_)
    assert sent(answer) == packet
    assert (answer.destination.ip, answer.destination.node) == (packet[0], None)
    assert answer.destination.name == ("default/svc/dns" if "dns" in destination else "default/svc/web")


def test_to_a_pod_a_port_means_tcp_and_none_means_ping() -> None:
    """Where no Service says otherwise."""
    requests: tuple[dict[str, Any], ...] = ({}, {"port": 80}, {"sport": 4000})
    assert [sent(trace("pod-b", **request))[1] for request in requests] == ["icmp", "tcp", "tcp"]


def test_without_the_api_rules_tell_the_same() -> None:
    assert sent(cluster("iptables", None).trace("pod-a", "svc/dns:dns")) == ("10.96.0.11", "udp", 53)


@pytest.mark.parametrize(
    ("destination", "request_", "error", "says"),
    [
        (
            "svc/dns",
            {},
            UsageError,
            r"default/svc/dns has several ports: name one with --port \(53/udp \(dns\), 53/tcp",
        ),
        ("svc/web:http", {"port": 80}, UsageError, "is asked for port http and for --port 80"),
        ("svc/web:http", {"proto": "udp"}, UsageError, r"has no port 'http' of udp \(80/tcp"),
        ("svc/web", {"proto": "udp"}, UsageError, r"has no port of udp \(it has 80/tcp"),
        ("svc/web", {"proto": "icmp", "port": 80}, UsageError, "ICMP has no ports"),
        ("svc/outside", {}, EndpointError, "default/svc/outside is a name for db.example.com outside the cluster"),
        ("svc/web", {"family": 6}, UsageError, "default/svc/web has no IPv6 address"),
    ],
)
def test_a_question_that_contradicts_the_service_is_refused(
    destination: str, request_: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        trace(destination, **request_)


def test_a_protocol_that_no_trace_sends_is_named() -> None:
    sctp = Service("sig", cluster_ips=("10.96.0.50",), ports=(ServicePort(2905, "sctp"),))
    with pytest.raises(UsageError, match="port 2905 of default/svc/sig is sctp: a trace sends icmp, tcp or udp"):
        with_services(sctp).trace("pod-a", "svc/sig")


def test_a_service_without_ports_says_so() -> None:
    with pytest.raises(UsageError, match="default/svc/bare has no port"):
        with_services(Service("bare", cluster_ips=("10.96.0.51",))).trace("pod-a", "svc/bare")


@pytest.mark.parametrize("source", ["svc/web", "10.96.0.10"])
def test_a_service_sends_nothing(source: str) -> None:
    with pytest.raises(EndpointError, match=r"default/svc/web sends nothing: it is a Service"):
        trace("pod-b", source)


@pytest.mark.parametrize(
    ("destination", "request_", "notes"),
    [
        ("svc/web", {}, 0),
        ("svc/web", {"proto": "icmp"}, 1),
        ("10.96.0.10", {"proto": "icmp"}, 1),
        ("svc/web:81", {}, 1),
        ("svc/web", {"proto": "udp", "port": 80}, 1),
        ("pod-b", {}, 0),
        ("svc/heads", {}, 0),
        ("svc/heads", {"proto": "icmp"}, 0),
    ],
)
def test_what_kube_proxy_does_not_do_is_noted(destination: str, request_: dict[str, Any], notes: int) -> None:
    """It translates no ICMP, and no port that the Service has not; of headless Services it knows nothing."""
    assert len(trace(destination, **request_).notes) == notes


def test_a_headless_service_is_each_of_its_ready_pods_with_an_equal_share() -> None:
    """DNS answers with their addresses; a client takes one."""
    answer = trace("svc/heads")
    ways = (answer.forward, *answer.forward.branches)
    assert answer.verdict == "delivered"
    assert [way.share for way in ways] == [0.5, 0.5]
    assert {way.reached.name for way in ways if way.reached is not None} == {"default/pod-b", "default/pod-c"}
    assert {way.hops[0].packet.dst for way in ways} == {PODS["pod-b"], PODS["pod-c"]}
    assert answer.destination.name == "default/svc/heads"
    assert [way.share for way in (answer.reverse, *answer.reverse.branches)] == [0.5, 0.5]


def test_of_a_headless_services_pods_the_lost_one_is_told_first() -> None:
    answer = cluster(pod_c=clusters.down("eth0")).trace("pod-a", "svc/heads")
    assert (answer.verdict, answer.forward.verdict) == ("dropped", "dropped")
    assert [way.verdict for way in answer.forward.branches] == ["delivered"]
    assert answer.destination.ip == PODS["pod-c"]
    assert answer.forward.reached is None


def headless(*pods: str, port: ServicePort, target: int, **fields: Any) -> Cluster:
    service = Service("db", ports=(port,), **fields)
    part = endpoints("db", *pods, ports=(EndpointPort(target, port.protocol, port.name),))
    return cluster(objects=Kubernetes((service,), (part,)))


def test_a_client_of_a_headless_service_sends_to_the_backends_own_port() -> None:
    """Nothing on the way translates; a number is sent as asked, and that is noted."""
    db = headless("pod-b", port=ServicePort(5432, name="sql", target_port=80), target=80)
    assert sent(db.trace("pod-a", "svc/db")) == sent(db.trace("pod-a", "svc/db:sql")) == (PODS["pod-b"], "tcp", 80)
    asked = db.trace("pod-a", "svc/db", port=5432)
    assert (sent(asked)[2], asked.verdict) == (5432, "dropped")
    assert asked.notes == ("default/svc/db is headless: nothing translates port 5432 to its backends' 80",)


def test_a_headless_service_of_one_pod_has_no_branches() -> None:
    answer = headless("pod-b", port=ServicePort(80), target=80).trace("pod-a", "svc/db")
    assert (answer.forward.branches, answer.forward.share) == ((), None)


def test_without_a_ready_pod_dns_has_no_answer() -> None:
    db = headless("-pod-b", "-pod-d", port=ServicePort(80), target=80)
    with pytest.raises(EndpointError, match=r"DNS has no answer: 0 of its 2 endpoints are ready"):
        db.trace("pod-a", "svc/db")
    every = headless("-pod-b", port=ServicePort(80), target=80, publish_not_ready_addresses=True)
    assert every.trace("pod-a", "svc/db").verdict == "delivered"
    with pytest.raises(EndpointError, match="DNS has no IPv6 answer"):
        every.trace("pod-a", "svc/db", family=6)


MODES = ("iptables", "nftables")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("source", "destination", "request_", "backends"),
    [
        ("pod-a", "svc/web", {}, {"pod-b": 0.5, "pod-d": 0.5}),
        ("pod-c", "svc/web:http", {}, {"pod-b": 0.5, "pod-d": 0.5}),
        ("node1", "svc/web", {}, {"pod-b": 0.5, "pod-d": 0.5}),
        ("pod-a", "svc/dns:dns", {}, {"pod-c": None}),
        ("pod-a", "svc/half", {}, {"pod-b": None}),
        ("pod-a", "192.0.2.10", {"port": 80}, {"pod-b": 0.5, "pod-d": 0.5}),
        ("pod-a", "node/node2", {"port": 30080}, {"pod-b": 0.5, "pod-d": 0.5}),
        ("fabric", "node/node1", {"port": 30080}, {"pod-b": 0.5, "pod-d": 0.5}),
    ],
)
def test_a_trace_tells_each_backend_with_its_share(
    mode: str, source: str, destination: str, request_: dict[str, Any], backends: dict[str, float | None]
) -> None:
    """By cluster IP, external address and node port, from pods, from a node, and from outside."""
    answer = cluster(mode).trace(source, destination, **request_)
    ways = (answer.forward, *answer.forward.branches)
    assert answer.verdict == "delivered"
    assert {way.reached.name: way.share for way in ways if way.reached is not None} == {
        f"default/{pod}": share if share is None else pytest.approx(share) for pod, share in backends.items()
    }
    sent_to = answer.forward.hops[0].packet.dst
    assert {way.hops[-1].packet.src for way in (answer.reverse, *answer.reverse.branches)} == {sent_to}


@pytest.mark.parametrize("mode", MODES)
def test_a_service_without_endpoints_refuses(mode: str) -> None:
    answer = cluster(mode).trace("pod-a", "svc/empty")
    assert answer.forward.drop is not None
    assert (answer.verdict, answer.forward.drop.reason) == ("dropped", "NETFILTER_DROP")


@pytest.mark.parametrize("mode", MODES)
def test_rules_that_send_to_somebody_who_is_no_endpoint_are_stale(mode: str) -> None:
    """The API says pod-c alone serves; the rules know pod-b and pod-d."""
    others = tuple(part for part in OBJECTS.endpoint_slices if part.service != "web")
    objects = replace(OBJECTS, endpoint_slices=(*others, endpoints("web", "pod-c")))
    answer = cluster(mode, objects).trace("pod-a", "svc/web")
    for way in (answer.forward, *answer.forward.branches):
        assert way.drop is not None
        assert (way.verdict, way.drop.slug) == ("dropped", "service-rules-stale")
        assert "which is none of its 1 endpoints" in way.drop.why


@pytest.mark.parametrize("mode", MODES)
def test_without_the_api_the_rules_are_followed_and_not_judged(mode: str) -> None:
    answer = cluster(mode, None).trace("pod-a", "svc/web")
    assert (answer.verdict, answer.destination.name) == ("delivered", "default/svc/web")
