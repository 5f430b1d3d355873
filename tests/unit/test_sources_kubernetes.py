"""Objects of the Kubernetes API: the fields that decide on a packet, defaults, and errors that name the field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfs.errors import SourceError
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
from netfs.sources import kubernetes


def _object(kind: str, spec: object = None, **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": "web", "namespace": "shop"}, "spec": spec, **fields}


def _parse(*documents: object) -> Kubernetes:
    return kubernetes.parse(documents)


def test_a_service_keeps_what_decides_on_a_packet() -> None:
    spec = {
        "type": "LoadBalancer",
        "clusterIP": "10.96.0.7",
        "clusterIPs": ["10.96.0.7", "FD00:0:0::7"],
        "ports": [
            {"name": "http", "port": 80, "targetPort": "web", "nodePort": 30080, "protocol": "TCP"},
            {"name": "dns", "port": 53, "targetPort": 5353, "protocol": "UDP"},
        ],
        "selector": {"app": "web"},
        "externalIPs": ["203.0.113.5"],
        "loadBalancerSourceRanges": ["192.168.52.0/24 "],
        "sessionAffinity": "ClientIP",
        "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
        "internalTrafficPolicy": "Local",
        "externalTrafficPolicy": "Local",
        "publishNotReadyAddresses": True,
    }
    ingress = [{"ip": "203.0.113.80"}, {"hostname": "lb.example"}, {"ip": "203.0.113.81", "ipMode": "Proxy"}]
    (found,) = _parse(_object("Service", spec, status={"loadBalancer": {"ingress": ingress}})).services
    assert found == Service(
        name="web",
        namespace="shop",
        type="LoadBalancer",
        cluster_ips=("10.96.0.7", "fd00::7"),
        ports=(ServicePort(80, "tcp", "http", "web", 30080), ServicePort(53, "udp", "dns", 5353)),
        selector={"app": "web"},
        external_ips=("203.0.113.5",),
        load_balancer_ips=("203.0.113.80",),
        load_balancer_source_ranges=("192.168.52.0/24",),
        affinity_seconds=60,
        internal_traffic_policy="Local",
        external_traffic_policy="Local",
        publish_not_ready_addresses=True,
    )


def test_what_a_manifest_leaves_out_is_the_apis_default() -> None:
    (found,) = _parse({"kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}).services
    assert found == Service(name="web", ports=(ServicePort(80),))
    sticky = _parse(_object("Service", {"sessionAffinity": "ClientIP"})).services[0]
    assert sticky.affinity_seconds == 10800


@pytest.mark.parametrize("spec", [{"clusterIP": "None"}, {"clusterIPs": ["None"]}, {"clusterIP": ""}])
def test_a_headless_service_has_no_address(spec: dict[str, Any]) -> None:
    assert _parse(_object("Service", spec)).services[0].cluster_ips == ()


def test_a_slice_says_who_is_ready_where() -> None:
    part = {
        "kind": "EndpointSlice",
        "metadata": {"name": "web-x", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}, {"name": "all", "port": None}],
        "endpoints": [
            {"addresses": ["10.0.0.1", "10.0.0.2"], "nodeName": "n1", "targetRef": {"kind": "Pod", "name": "a"}},
            {"addresses": ["10.0.0.3"], "conditions": {"ready": False, "serving": True, "terminating": True}},
            {"addresses": ["10.0.0.4"], "conditions": {"ready": False}, "targetRef": {"kind": "Node", "name": "n2"}},
        ],
    }
    assert _parse(part).endpoint_slices == (
        EndpointSlice(
            "web",
            "shop",
            (EndpointPort(8080, "tcp", "http"),),
            (
                SliceEndpoint("10.0.0.1", node="n1", pod="a"),
                SliceEndpoint("10.0.0.3", ready=False, serving=True, terminating=True),
                SliceEndpoint("10.0.0.4", ready=False, serving=False),
            ),
        ),
    )


def test_slices_of_nobody_and_of_names_are_passed_over() -> None:
    nobody = {"kind": "EndpointSlice", "metadata": {"name": "x"}, "endpoints": []}
    label = {"kubernetes.io/service-name": "web"}
    names = {"kind": "EndpointSlice", "metadata": {"name": "x", "labels": label}, "addressType": "FQDN"}
    assert _parse(nobody, names) == Kubernetes()


def test_a_policy_keeps_its_selectors_blocks_and_ports() -> None:
    spec = {
        "podSelector": {"matchLabels": {"app": "db"}, "matchExpressions": [{"key": "tier", "operator": "Exists"}]},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {
                "from": [
                    {"podSelector": {}},
                    {
                        "namespaceSelector": {"matchLabels": {"team": "a"}},
                        "podSelector": {"matchLabels": {"app": "web"}},
                    },
                    {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}},
                ],
                "ports": [{"port": 5432}, {"protocol": "UDP", "port": 1000, "endPort": 2000}, {"port": "metrics"}, {}],
            },
            {},
        ],
    }
    (found,) = _parse(_object("NetworkPolicy", spec)).network_policies
    assert found == NetworkPolicy(
        "web",
        "shop",
        LabelSelector({"app": "db"}, (Requirement("tier", "Exists"),)),
        ("Ingress", "Egress"),
        (
            PolicyRule(
                (
                    PolicyPeer(pods=LabelSelector()),
                    PolicyPeer(LabelSelector({"app": "web"}), LabelSelector({"team": "a"})),
                    PolicyPeer(cidr="10.0.0.0/8", excluded=("10.1.0.0/16",)),
                ),
                (PolicyPort("tcp", 5432), PolicyPort("udp", 1000, 2000), PolicyPort("tcp", "metrics"), PolicyPort()),
            ),
            PolicyRule(),
        ),
    )


@pytest.mark.parametrize(
    ("spec", "types"),
    [({}, ("Ingress",)), ({"egress": [{}]}, ("Ingress", "Egress")), ({"policyTypes": ["Egress"]}, ("Egress",))],
)
def test_a_policys_types_follow_from_its_rules(spec: dict[str, Any], types: tuple[str, ...]) -> None:
    assert _parse(_object("NetworkPolicy", {"podSelector": {}, **spec})).network_policies[0].types == types


def test_lists_leave_the_kind_of_their_items_away() -> None:
    item = {"metadata": {"name": "shop", "labels": {"team": "a"}}}
    found = _parse({"kind": "NamespaceList", "items": [item]}, {"kind": "List", "items": []})
    assert found == Kubernetes(namespaces={"shop": {"team": "a"}})
    mixed = _parse({"kind": "List", "items": [{"kind": "Namespace", **item}, {"kind": "Deployment"}]})
    assert mixed == found


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "the object is no object"),
        ({}, "kind is missing"),
        ({"kind": "Service"}, "Service: metadata.name is missing"),
        ({"kind": "Service", "metadata": 3}, "Service: metadata is no object"),
        (_object("Service", {"ports": [{"port": 0}]}), "Service web: spec.ports[0].port is not 1 to 65535"),
        (_object("Service", {"ports": [{"port": True}]}), "Service web: spec.ports[0].port is not 1 to 65535"),
        (_object("Service", {"ports": [{}]}), "Service web: spec.ports[0].port is missing"),
        (_object("Service", {"ports": 80}), "Service web: spec.ports is no list"),
        (
            _object("Service", {"type": "Ingress"}),
            "Service web: spec.type is 'Ingress', not one of ClusterIP, NodePort",
        ),
        (_object("Service", {"clusterIP": "10.96"}), "Service web: spec.clusterIP is not an address: '10.96'"),
        (_object("Service", {"selector": {"app": 1}}), "Service web: spec.selector.app is no text"),
        (_object("Service", {"publishNotReadyAddresses": "yes"}), "is neither true nor false"),
        (_object("NetworkPolicy", {"ingress": [{"from": [{}]}]}), "spec.ingress[0].from[0] has neither podSelector"),
        (
            _object("NetworkPolicy", {"egress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/40"}}]}]}),
            "NetworkPolicy web: spec.egress[0].to[0].ipBlock.cidr is not a prefix: '10.0.0.0/40'",
        ),
        (
            _object("NetworkPolicy", {"ingress": [{"ports": [{"port": 80, "endPort": 70}]}]}),
            "spec.ingress[0].ports[0].endPort is not 80 to 65535",
        ),
        (
            _object("NetworkPolicy", {"podSelector": {"matchExpressions": [{"key": "a", "operator": "Gt"}]}}),
            "spec.podSelector.matchExpressions[0].operator is 'Gt', not one of In, NotIn, Exists, DoesNotExist",
        ),
    ],
)
def test_an_object_that_is_none_is_one_error_that_names_the_field(document: object, said: str) -> None:
    with pytest.raises(SourceError) as caught:
        _parse(document)
    assert said in caught.value.what


def test_a_file_may_hold_several_documents_and_other_kinds(tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(
        "---\nkind: Namespace\nmetadata: {name: shop}\n---\nkind: Deployment\n---\n---\n"
        "kind: NetworkPolicy\nmetadata: {name: deny}\nspec: {podSelector: {}}\n"
    )
    found = kubernetes.read(str(file))
    assert (list(found.namespaces), [one.name for one in found.network_policies]) == (["shop"], ["deny"])


@pytest.mark.parametrize("text", ["{", '{"kind": "Service"', "a: [", "kind: !!python/object:os.system {}", "\0", "- 1"])
def test_a_file_that_is_no_manifest_is_one_error_with_its_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "bad"
    file.write_text(text)
    with pytest.raises(SourceError) as caught:
        kubernetes.read(str(file))
    assert caught.value.where == str(file)


_KEYS = st.sampled_from(
    ["kind", "metadata", "name", "spec", "ports", "port", "items", "ingress", "from", "ipBlock", "cidr", "podSelector"]
)
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from(["Service", "EndpointSlice", "NetworkPolicy", "Namespace", "List"]), _ANYTHING, _ANYTHING)
def test_anything_is_objects_or_one_error(kind: str, metadata: object, spec: object) -> None:
    for document in (
        {"kind": kind, "metadata": metadata, "spec": spec, "items": spec, "endpoints": spec},
        {"kind": kind, "metadata": {"name": "x", "labels": {kubernetes.OF_SERVICE: "x"}}, "spec": spec, "ports": spec},
    ):
        try:
            found = _parse(document)
        except SourceError:
            continue
        assert isinstance(found, Kubernetes)
