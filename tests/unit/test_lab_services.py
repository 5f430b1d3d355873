"""The language of ``--service``, and the API objects that come of it."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfs.errors import UsageError
from netfs.lab import plan, services
from netfs.model.kubernetes import Kubernetes, Service, ServicePort

WHOLE = plan.make(2, 2, ipv6=False)


def _one(text: str) -> Service:
    return services.objects(WHOLE, [text]).services[0]


def test_the_shortest_form_is_a_backend() -> None:
    found = services.objects(WHOLE, ["web=pod-b"])
    assert found.services == (
        Service("web", cluster_ips=("10.96.0.10",), ports=(ServicePort(80, target_port=80),), selector=_selects("web")),
    )
    (part,) = found.endpoint_slices
    assert [(one.address, one.node, one.pod, one.ready) for one in part.endpoints] == [
        ("10.244.2.2", "node2", "pod-b", True)
    ]


def _selects(name: str) -> dict[str, str]:
    return {f"netfs.lab/{name}": "backend"}


def test_cluster_ips_and_node_ports_count_up_and_pass_over_those_taken() -> None:
    found = services.objects(
        WHOLE, ["a=pod-a,node-port=30080", "b=pod-a,cluster-ip=10.96.0.11", "c=pod-a,headless", "d=pod-b,type=NodePort"]
    )
    assert [one.cluster_ips for one in found.services] == [("10.96.0.10",), ("10.96.0.11",), (), ("10.96.0.12",)]
    assert [one.ports[0].node_port for one in found.services] == [30080, None, None, 30081]


def test_options_imply_the_type() -> None:
    assert _one("web=pod-b").type == "ClusterIP"
    assert _one("web=pod-b,node-port=30000").type == "NodePort"
    assert _one("web=pod-b,lb-ip=203.0.113.1").type == "LoadBalancer"
    assert _one("web=pod-b,type=loadbalancer,node-port=30000").type == "LoadBalancer"


def test_several_ports_have_names() -> None:
    ports = _one("dns=pod-b:53:8080/udp+53:8080").ports
    assert [(one.name, one.protocol, one.port, one.target_port) for one in ports] == [
        ("udp-53", "udp", 53, 8080),
        ("tcp-53", "tcp", 53, 8080),
    ]


def test_every_option_reaches_the_service() -> None:
    found = _one(
        "web=pod-b:80,external-ip=203.0.113.5+203.0.113.6,lb-ip=203.0.113.80,lb-from=192.168.52.0/24,affinity=60,"
        "internal=Local,external=local,selector=app:pod-b+tier:front"
    )
    assert found.external_ips == ("203.0.113.5", "203.0.113.6")
    assert (found.load_balancer_ips, found.load_balancer_source_ranges) == (("203.0.113.80",), ("192.168.52.0/24",))
    assert found.affinity_seconds == 60
    assert (found.internal_traffic_policy, found.external_traffic_policy) == ("Local", "Local")
    assert found.selector == {"app": "pod-b", "tier": "front"}


def test_backends_may_be_not_ready_or_on_their_way_out() -> None:
    found = services.objects(WHOLE, ["web=pod-a,pod-b,pod-c:80,notready=pod-a,terminating=pod-b"])
    states = [(one.ready, one.serving, one.terminating) for one in found.endpoint_slices[0].endpoints]
    assert states == [(False, False, False), (False, True, True), (True, True, False)]
    published = services.objects(WHOLE, ["web=pod-a:80,notready=pod-a,publish-not-ready"])
    assert published.endpoint_slices[0].endpoints[0].ready


def test_addresses_that_are_no_pods_are_entered_by_hand() -> None:
    found = services.objects(WHOLE, ["db=192.0.2.7,node2,underlay:5432"])
    assert found.services[0].selector == {}
    assert [(one.address, one.pod) for one in found.endpoint_slices[0].endpoints] == [
        ("192.0.2.7", None),
        ("192.168.52.12", None),
        ("192.168.52.1", None),
    ]


def test_an_external_name_has_neither_address_nor_backends() -> None:
    found = services.objects(WHOLE, ["db=:5432,external-name=db.example.org"])
    (service,) = found.services
    assert (service.type, service.external_name, service.cluster_ips) == ("ExternalName", "db.example.org", ())
    assert (service.selector, found.endpoint_slices) == ({}, ())


def test_two_families_have_two_addresses_and_two_slices() -> None:
    found = services.objects(plan.make(2, 2, ipv6=True), ["web=pod-b:80"])
    assert found.services[0].cluster_ips == ("10.96.0.10", "fd00:10:96::a")
    assert [[one.address for one in part.endpoints] for part in found.endpoint_slices] == [
        ["10.244.2.2"],
        ["fd00:10:244:2::2"],
    ]


def test_backends_carry_the_labels_that_services_select() -> None:
    found = services.objects(WHOLE, ["web=pod-a,pod-b:80", "db=pod-b:5432"])
    assert services.labels(found, "pod-a") == {"app": "pod-a", **_selects("web")}
    assert services.labels(found, "pod-b") == {"app": "pod-b", **_selects("web"), **_selects("db")}
    assert services.labels(found, "pod-c") == {"app": "pod-c"}


def test_outside_addresses_lead_to_a_node_with_a_backend_where_the_policy_is_local() -> None:
    found = services.objects(
        WHOLE, ["a=pod-b:80,external-ip=203.0.113.1", "b=pod-b:80,lb-ip=203.0.113.2,external=Local"]
    )
    assert services.published(found) == {"203.0.113.1": "", "203.0.113.2": "node2"}


def test_a_changed_service_keeps_its_place_addresses_and_node_ports() -> None:
    before = services.objects(WHOLE, ["a=pod-a,type=NodePort", "b=pod-b"])
    after = services.changed(before, WHOLE, "a=pod-a:80,type=NodePort,notready=pod-a")
    assert after.services == before.services
    assert [part.endpoints[0].ready for part in after.endpoint_slices if part.service == "a"] == [False]
    added = services.changed(before, WHOLE, "c=pod-c")
    assert [(one.name, one.cluster_ips) for one in added.services][2] == ("c", ("10.96.0.12",))
    assert services.removed(before, "a") == services.removed(after, "a")
    assert [one.name for one in services.removed(before, "a").services] == ["b"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("web", "not of the form"),
        ("=pod-b", "not of the form"),
        ("Web=pod-b", "not of the form"),
        ("web=pod-x:80", "no pod 'pod-x'"),
        ("web=pod-b:0", "port '0' is not 1 to 65535"),
        ("web=pod-b:http", "port 'http'"),
        ("web=pod-b:80:", "port ''"),
        ("web=pod-b:80/sctp", "no protocol 'sctp'"),
        ("web=pod-b:80,colour=red", "no option 'colour'"),
        ("web=pod-b:80,pod-d", "no option 'pod-d'"),
        ("web=pod-b,type=Ingress", "type=Ingress cannot be"),
        ("web=pod-b,type=ClusterIP,node-port=30000", "type=ClusterIP has no node-port"),
        ("web=pod-b,external-ip=here", "external-ip: 'here' does not appear to be"),
        ("web=pod-b,lb-from=192.168.52.1/24", "lb-from: 192.168.52.1/24 has host bits set"),
        ("web=pod-b,affinity=0", "affinity '0' is not 1 to 86400"),
        ("web=pod-b,notready=pod-d", "notready=pod-d is no backend of it"),
        ("web=pod-b,external-name=db.example.org", "an ExternalName has neither"),
        ("web=pod-b,selector=app", "not of the form KEY:VALUE"),
    ],
)
def test_a_service_that_cannot_be_is_named_with_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=r"service '.*': ") as caught:
        services.objects(WHOLE, [text])
    assert said in str(caught.value)


def test_two_services_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="two of that name"):
        services.objects(WHOLE, ["web=pod-a", "web=pod-b"])


@given(st.text(max_size=40) | st.from_regex(r"web=[a-z0-9:,=+/.-]{0,40}", fullmatch=True))
def test_any_text_is_a_service_or_one_error(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert isinstance(services.objects(WHOLE, [text]), Kubernetes)
