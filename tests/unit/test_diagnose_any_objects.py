"""Whatever an API says: findings, or none, and never a crash."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

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
from tests.unit.proxied_clusters import clustered, proxied, rules

ADDRESSES = st.sampled_from(["10.96.0.10", "10.244.2.2", "10.244.2.99", "192.168.52.12", "fd00::1", "127.0.0.1"])
NAMES = st.sampled_from(["web", "pod-a", "pod-b", ""])
SPACES = st.sampled_from(["default", "other", ""])
PROTOCOLS = st.sampled_from(["tcp", "udp", "sctp", "icmp"])
PORTS = st.sampled_from([0, 53, 80, 30080, 65535])
LABELS = st.dictionaries(st.sampled_from(["app", "x"]), st.sampled_from(["web", "b", ""]), max_size=2)
SELECTORS = st.builds(
    LabelSelector,
    LABELS,
    st.lists(st.builds(Requirement, NAMES, st.sampled_from(["In", "NotIn", "Exists", "Odd"])), max_size=1).map(tuple),
)
SERVICES = st.builds(
    Service,
    NAMES,
    SPACES,
    st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]),
    st.lists(ADDRESSES, max_size=2).map(tuple),
    st.lists(
        st.builds(ServicePort, PORTS, PROTOCOLS, NAMES, st.none() | PORTS | NAMES, st.none() | PORTS), max_size=2
    ).map(tuple),
    LABELS,
    external_ips=st.lists(ADDRESSES, max_size=1).map(tuple),
    load_balancer_ips=st.lists(ADDRESSES, max_size=1).map(tuple),
    load_balancer_source_ranges=st.sampled_from([(), ("10.0.0.0/8",), ("odd",)]),
    internal_traffic_policy=st.sampled_from(["Cluster", "Local", ""]),
    external_traffic_policy=st.sampled_from(["Cluster", "Local"]),
    publish_not_ready_addresses=st.booleans(),
)
SLICES = st.builds(
    EndpointSlice,
    NAMES,
    SPACES,
    st.lists(st.builds(EndpointPort, PORTS, PROTOCOLS, NAMES), max_size=2).map(tuple),
    st.lists(
        st.builds(
            SliceEndpoint,
            ADDRESSES,
            st.booleans(),
            st.booleans(),
            st.booleans(),
            st.sampled_from([None, "node1", "node9"]),
            st.none() | NAMES,
        ),
        max_size=2,
    ).map(tuple),
)
PEERS = st.builds(
    PolicyPeer,
    st.none() | SELECTORS,
    st.none() | SELECTORS,
    st.sampled_from([None, "10.244.0.0/16", "fd00::/8", "odd", "10.0.0.0/99"]),
    st.sampled_from([(), ("10.244.2.0/24",), ("odd",)]),
)
RULES = st.builds(
    PolicyRule,
    st.lists(PEERS, max_size=2).map(tuple),
    st.lists(st.builds(PolicyPort, PROTOCOLS, st.none() | PORTS | NAMES, st.none() | PORTS), max_size=2).map(tuple),
)
POLICIES = st.builds(
    NetworkPolicy,
    NAMES,
    SPACES,
    SELECTORS,
    st.sampled_from([(), ("Ingress",), ("Egress",), ("Ingress", "Egress"), ("Odd",)]),
    st.lists(RULES, max_size=1).map(tuple),
    st.lists(RULES, max_size=1).map(tuple),
)
OBJECTS = st.builds(
    Kubernetes,
    st.lists(SERVICES, max_size=2, unique_by=lambda each: (each.namespace, each.name)).map(tuple),
    st.lists(SLICES, max_size=2).map(tuple),
    st.lists(POLICIES, max_size=2).map(tuple),
    st.sampled_from([{}, {"default": {"app": "web"}}]),
)


@settings(max_examples=150, deadline=None)
@given(OBJECTS, PROTOCOLS.filter(lambda each: each in ("tcp", "udp")), ADDRESSES, PORTS.filter(bool))
def test_any_objects_are_examined(objects: Kubernetes, proto: str, address: str, port: int) -> None:
    labels = {"pod-a": {"app": "web"}, "pod-b": {"app": "b"}}
    cluster = clustered(objects, labels, node1=rules(nat=proxied("10.244.2.2:80")), node2=rules(nat=[]))
    told = list(cluster.findings())
    if ":" not in address:
        told += cluster.trace("pod-a", address, proto=proto, port=port).findings
    assert all(each.slug and each.evidence and each.fix for each in told)
