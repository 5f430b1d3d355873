"""Bounds of the objects of a cluster's API, as a snapshot document carries them."""

from __future__ import annotations

from collections.abc import Iterable

from netfs.model import ip
from netfs.model.kubernetes import EndpointSlice, Kubernetes, LabelSelector, NetworkPolicy, PolicyRule, Service

PROTOCOLS = ("tcp", "udp", "sctp")
TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")
TRAFFIC_POLICIES = ("Cluster", "Local")
POLICY_TYPES = ("Ingress", "Egress")
OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")
LONGEST_AFFINITY = 86400
"""Seconds: the most that the API takes for ``timeoutSeconds``."""


def check(kubernetes: Kubernetes) -> None:
    """Raise ValueError for the first value that is out of bounds."""
    for service in kubernetes.services:
        _named("service", service.namespace, service.name)
        _service(service)
    for part in kubernetes.endpoint_slices:
        _named("endpoint slice of", part.namespace, part.service)
        _slice(part)
    for policy in kubernetes.network_policies:
        _named("network policy", policy.namespace, policy.name)
        _policy(policy)


def _service(service: Service) -> None:
    _known("service type", service.type, TYPES)
    _known("traffic policy", service.internal_traffic_policy, TRAFFIC_POLICIES)
    _known("traffic policy", service.external_traffic_policy, TRAFFIC_POLICIES)
    for address in (*service.cluster_ips, *service.external_ips, *service.load_balancer_ips):
        ip.to_int(address)
    for prefix in service.load_balancer_source_ranges:
        ip.prefix(prefix)
    if service.affinity_seconds is not None and not 0 < service.affinity_seconds <= LONGEST_AFFINITY:
        raise ValueError(f"affinity of {str(service.affinity_seconds)[:40]} seconds is out of range")
    for port in service.ports:
        _known("protocol", port.protocol, PROTOCOLS)
        _ports(port.port, port.target_port, port.node_port)


def _slice(part: EndpointSlice) -> None:
    for port in part.ports:
        _known("protocol", port.protocol, PROTOCOLS)
        _ports(port.port)
    for endpoint in part.endpoints:
        ip.to_int(endpoint.address)


def _policy(policy: NetworkPolicy) -> None:
    for kind in policy.types:
        _known("policy type", kind, POLICY_TYPES)
    _selectors(policy.pods)
    for rule in (*policy.ingress, *policy.egress):
        _rule(rule)


def _rule(rule: PolicyRule) -> None:
    for peer in rule.peers:
        _selectors(peer.pods, peer.namespaces)
        for prefix in (peer.cidr, *peer.excluded):
            if prefix is not None:
                ip.prefix(prefix)
    for port in rule.ports:
        _known("protocol", port.protocol, PROTOCOLS)
        _ports(port.port, port.end_port)


def _selectors(*selectors: LabelSelector | None) -> None:
    for selector in selectors:
        for requirement in selector.match_expressions if selector is not None else ():
            _known("operator", requirement.operator, OPERATORS)


def _named(kind: str, namespace: str, name: str) -> None:
    if not name or not namespace:
        raise ValueError(f"{kind} {f'{namespace}/{name}'[:80]!r}: a part of its name is missing")


def _known(what: str, value: str, values: Iterable[str]) -> None:
    if value not in values:
        raise ValueError(f"{what} {value[:40]!r}")


def _ports(*ports: int | str | None) -> None:
    for port in ports:
        if isinstance(port, int) and not 0 < port < 65536:
            raise ValueError(f"port {str(port)[:40]} is out of range")
