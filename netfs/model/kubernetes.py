"""What a cluster's API says of Services and policies: the objects that rules on the nodes are made from.

Names are those of the Kubernetes API (core/v1, discovery.k8s.io/v1, networking.k8s.io/v1); only what decides on a
packet is kept. Addresses are text in their canonical form, protocols are lower case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of a Service."""

    port: int
    protocol: str = "tcp"
    """``tcp``, ``udp`` or ``sctp``."""
    name: str = ""
    target_port: int | str | None = None
    """The backend's port, or its name in the pod; None: the same as ``port``."""
    node_port: int | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """A Service (core/v1)."""

    name: str
    namespace: str = "default"
    type: str = "ClusterIP"
    """``ClusterIP``, ``NodePort``, ``LoadBalancer`` or ``ExternalName``."""
    cluster_ips: tuple[str, ...] = ()
    """Empty: headless (``clusterIP: None``)."""
    ports: tuple[ServicePort, ...] = ()
    selector: Mapping[str, str] = field(default_factory=dict)
    external_ips: tuple[str, ...] = ()
    load_balancer_ips: tuple[str, ...] = ()
    load_balancer_source_ranges: tuple[str, ...] = ()
    affinity_seconds: int | None = None
    """How long a client stays with its backend (``sessionAffinity: ClientIP``); None: no affinity."""
    internal_traffic_policy: str = "Cluster"
    external_traffic_policy: str = "Cluster"
    publish_not_ready_addresses: bool = False
    external_name: str = ""
    """The name outside the cluster that an ``ExternalName`` stands for."""


@dataclass(frozen=True, slots=True)
class EndpointPort:
    """One port of an EndpointSlice; ``name`` is the Service port's."""

    port: int
    protocol: str = "tcp"
    name: str = ""


@dataclass(frozen=True, slots=True)
class SliceEndpoint:
    """One backend in an EndpointSlice."""

    address: str
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    node: str | None = None
    pod: str | None = None
    """Name of the pod in the Service's namespace; None: an address that somebody entered."""


@dataclass(frozen=True, slots=True)
class EndpointSlice:
    """A part of a Service's backends (discovery.k8s.io/v1)."""

    service: str
    namespace: str = "default"
    ports: tuple[EndpointPort, ...] = ()
    endpoints: tuple[SliceEndpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class Requirement:
    """One entry of ``matchExpressions``."""

    key: str
    operator: str
    """``In``, ``NotIn``, ``Exists`` or ``DoesNotExist``."""
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """A label selector (meta/v1); without terms it selects everything."""

    match_labels: Mapping[str, str] = field(default_factory=dict)
    match_expressions: tuple[Requirement, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyPeer:
    """Who a rule of a policy speaks of: pods by labels, or addresses."""

    pods: LabelSelector | None = None
    namespaces: LabelSelector | None = None
    """None: the policy's own namespace."""
    cidr: str | None = None
    excluded: tuple[str, ...] = ()
    """``ipBlock.except``."""


@dataclass(frozen=True, slots=True)
class PolicyPort:
    """A port, or a range of ports, that a rule of a policy speaks of."""

    protocol: str = "tcp"
    port: int | str | None = None
    """None: every port of the protocol; text: a port's name in the pod."""
    end_port: int | None = None


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """One ``ingress`` or ``egress`` rule: any of the peers on any of the ports; empty: everybody, every port."""

    peers: tuple[PolicyPeer, ...] = ()
    ports: tuple[PolicyPort, ...] = ()


@dataclass(frozen=True, slots=True)
class NetworkPolicy:
    """A NetworkPolicy (networking.k8s.io/v1)."""

    name: str
    namespace: str = "default"
    pods: LabelSelector = field(default_factory=LabelSelector)
    """The pods that it isolates."""
    types: tuple[str, ...] = ("Ingress",)
    ingress: tuple[PolicyRule, ...] = ()
    egress: tuple[PolicyRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Kubernetes:
    """The objects of one cluster's API."""

    services: tuple[Service, ...] = ()
    endpoint_slices: tuple[EndpointSlice, ...] = ()
    network_policies: tuple[NetworkPolicy, ...] = ()
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Labels of each namespace, by its name."""
