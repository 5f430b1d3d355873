"""A Service's port as one node's kube-proxy sees it, in one family of addresses.

kubernetes/kubernetes ``pkg/proxy/topology.go`` (``CategorizeEndpoints``; no topology hints), ``serviceport.go``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from netfs.lab.proxy import naming
from netfs.model.kubernetes import Kubernetes, Service, ServicePort, SliceEndpoint


@dataclass(frozen=True, slots=True)
class Site:
    """Where a kube-proxy runs."""

    node: str
    ip: str
    """The node's address of this family."""
    cluster_cidr: str
    service_cidr: str
    family: int = 4


@dataclass(frozen=True, slots=True)
class Backend:
    """An endpoint that may be sent to."""

    address: str
    port: int

    def __str__(self) -> str:
        """``address:port``, IPv6 in brackets."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class Frontend:
    """One port of one Service, and whom it leads to from this node."""

    service: Service
    port: ServicePort
    cluster_ip: str
    external_ips: tuple[str, ...]
    load_balancer_ips: tuple[str, ...]
    source_ranges: tuple[str, ...]
    cluster: tuple[Backend, ...]
    """Backends under the traffic policy Cluster."""
    local: tuple[Backend, ...]
    """Backends under the traffic policy Local."""
    any_endpoint: bool
    """Whether some node has a usable backend."""

    @property
    def name(self) -> str:
        """``default/web``, ``default/web:http``."""
        return naming.port_name(self.service.namespace, self.service.name, self.port.name)

    @property
    def reachable(self) -> tuple[Backend, ...]:
        """Every backend that a rule of this node may send to."""
        return tuple(dict.fromkeys((*self.cluster, *self.local)))

    @property
    def external(self) -> bool:
        """Whether it is reached by more than its cluster IP."""
        return bool(self.port.node_port or self.external_ips or self.load_balancer_ips)

    @property
    def internal_local(self) -> bool:
        """Whether the cluster IP leads to this node's backends only."""
        return self.service.internal_traffic_policy == "Local"

    @property
    def external_local(self) -> bool:
        """Whether its other addresses lead to this node's backends only."""
        return self.service.external_traffic_policy == "Local" and _external_type(self.service)

    @property
    def has_internal(self) -> bool:
        """Whether the cluster IP leads to somebody."""
        return self.any_endpoint and not (self.internal_local and not self.local)

    @property
    def has_external(self) -> bool:
        """Whether outside traffic leads to somebody."""
        return self.any_endpoint and not (self.external_local and not self.local)


def frontends(objects: Kubernetes, site: Site) -> Iterator[Frontend]:
    """Every port of every Service that kube-proxy serves; headless ones and ExternalNames it leaves alone."""
    for service in objects.services:
        cluster_ips = _family(service.cluster_ips, site)
        if not cluster_ips or service.type == "ExternalName":
            continue
        for port in service.ports:
            yield _frontend(objects, service, port, cluster_ips[0], site)


def _frontend(objects: Kubernetes, service: Service, port: ServicePort, cluster_ip: str, site: Site) -> Frontend:
    external_ips = _family(service.external_ips, site)
    balancers = _family(service.load_balancer_ips, site) if service.type == "LoadBalancer" else ()
    external = bool(port.node_port or external_ips or balancers)
    internal_local = service.internal_traffic_policy == "Local"
    external_local = service.external_traffic_policy == "Local" and _external_type(service)
    found = tuple(_endpoints(objects, service, port, site))
    uses_cluster = not internal_local or external
    uses_local = internal_local or (external_local and external)
    return Frontend(
        service,
        port,
        cluster_ip,
        external_ips,
        balancers,
        _family(service.load_balancer_source_ranges, site),
        cluster=_usable(found) if uses_cluster else (),
        local=_usable((one, backend) for one, backend in found if one.node == site.node) if uses_local else (),
        any_endpoint=bool(_usable(found)),
    )


def _external_type(service: Service) -> bool:
    return service.type in ("NodePort", "LoadBalancer") or bool(service.external_ips)


def _endpoints(
    objects: Kubernetes, service: Service, port: ServicePort, site: Site
) -> list[tuple[SliceEndpoint, Backend]]:
    found: dict[str, tuple[SliceEndpoint, Backend]] = {}
    for part in objects.endpoint_slices:
        if (part.service, part.namespace) != (service.name, service.namespace):
            continue
        for target in part.ports:
            if (target.name, target.protocol) == (port.name, port.protocol):
                for one in part.endpoints:
                    if _family((one.address,), site):
                        backend = Backend(one.address, target.port)
                        found[str(backend)] = (one, backend)
    return [found[key] for key in sorted(found)]


def _usable(found: Iterable[tuple[SliceEndpoint, Backend]]) -> tuple[Backend, ...]:
    """Those that are ready; where none is, those that still serve while they terminate."""
    every = tuple(found)
    ready = tuple(backend for one, backend in every if one.ready)
    return ready or tuple(backend for one, backend in every if one.serving and one.terminating)


def _family(addresses: Iterable[str], site: Site) -> tuple[str, ...]:
    """The addresses or prefixes of the site's family."""
    return tuple(one for one in addresses if (6 if ":" in one else 4) == site.family)


def covers(cidr: str, address: str) -> bool:
    """Whether a prefix holds an address of the same family."""
    return ipaddress.ip_address(address) in ipaddress.ip_network(cidr, strict=False)
