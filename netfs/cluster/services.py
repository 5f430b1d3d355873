"""Services, joined: each with its ports, its backends and the pods behind them, found by name and by address.

They come from the API's objects where a snapshot document carries them. Where nobody asked the API they are read
from what kube-proxy wrote into the nodes' rules (``proxy_rules``): a Service then has the ports, the addresses and
the backends that the rules name, and nothing else is known of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from netfs.cluster.proxy_rules import Discovered, can_select, discover, has_node_port, of_proxy
from netfs.cluster.topology import Topology
from netfs.model import ip
from netfs.model.kubernetes import EndpointSlice, Service, ServicePort
from netfs.model.snapshot import Firewall

API, RULES = "api", "rules"
"""Where a Service is known from."""
_KEPT = "services"


@dataclass(frozen=True, slots=True)
class Backend:
    """One address and port that a Service may send to."""

    address: str
    port: int | None
    """None: the slice names no port."""
    protocol: str = "tcp"
    port_name: str = ""
    """The name of the Service's port that it stands behind."""
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    node: str | None = None
    pod: str | None = None
    """Name of the pod in the Service's namespace; None: not told."""


@dataclass(frozen=True, slots=True)
class ServiceView:
    """A Service with its backends."""

    service: Service
    backends: tuple[Backend, ...] = ()
    source: str = API
    """``api`` or ``rules``."""

    @property
    def key(self) -> tuple[str, str]:
        """(namespace, name)."""
        return self.service.namespace, self.service.name

    @property
    def name(self) -> str:
        """As an endpoint: ``default/svc/web``. Rules of IPVS have no names: then its address."""
        service = self.service
        return f"{service.namespace}/svc/{service.name}" if service.namespace else service.name

    @property
    def headless(self) -> bool:
        """Whether it has no address of its own: DNS answers with the backends'."""
        return self.service.type != "ExternalName" and not self.service.cluster_ips

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every address that is the Service's: of the cluster, external, of load balancers."""
        service = self.service
        return tuple(dict.fromkeys((*service.cluster_ips, *service.external_ips, *service.load_balancer_ips)))

    def cluster_ip(self, family: int) -> str | None:
        """Its cluster IP in a family."""
        return next((each for each in self.service.cluster_ips if ip.family_of(each) == family), None)

    def port(self, wanted: int | str, protocol: str | None = None) -> ServicePort | None:
        """Its port of that number or name; of several protocols the given one, else tcp's, else the first."""
        found = [each for each in self.service.ports if wanted == (each.port if isinstance(wanted, int) else each.name)]
        if protocol is not None:
            return next((each for each in found if each.protocol == protocol), None)
        return next((each for each in found if each.protocol == "tcp"), found[0] if found else None)

    def behind(self, port: ServicePort) -> tuple[Backend, ...]:
        """The backends of one of its ports."""
        return tuple(each for each in self.backends if (each.port_name, each.protocol) == (port.name, port.protocol))

    def ready_addresses(self, family: int) -> tuple[str, ...]:
        """The addresses of a family that the cluster's DNS gives for a headless Service, in order."""
        every = self.service.publish_not_ready_addresses
        found = (each.address for each in self.backends if each.ready or every)
        return tuple(dict.fromkeys(address for address in found if ip.family_of(address) == family))

    def counts(self) -> tuple[int, int]:
        """How many backends are ready, and how many there are; a pod with several addresses or ports is one."""
        ready: dict[str, bool] = {}
        for each in self.backends:
            key = each.pod or each.address
            ready[key] = ready.get(key, False) or each.ready
        return sum(ready.values()), len(ready)


@dataclass(frozen=True, slots=True)
class Match:
    """The Service's port that a packet is for."""

    view: ServiceView
    port: ServicePort
    by: str
    """``cluster-ip``, ``external-ip``, ``load-balancer-ip`` or ``node-port``."""


class Services:
    """Every Service of a topology; each is joined with its backends when it is first asked for."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._kubernetes = topology.kubernetes
        self._joined: dict[tuple[str, str], ServiceView] = {}
        self._at: dict[str, list[tuple[str, str]]] = {}
        """Names by address, of rules of which not all were read."""

    @cached_property
    def _rules(self) -> list[Firewall]:
        """What may name Services, where nobody asked the API."""
        views = self._topology.nodes.values() if self._kubernetes is None else ()
        return [of_proxy(view.netns.firewall) for view in views if view.netns.firewall is not None]

    @cached_property
    def all(self) -> tuple[ServiceView, ...]:
        """Every Service, by namespace and name."""
        found = (self.named(*key) for key in sorted(self._records))
        return tuple(view for view in found if view is not None)

    def named(self, namespace: str, name: str) -> ServiceView | None:
        """The Service of that name; of large rules only the lines that name it are read."""
        key = (namespace, name)
        if self._kubernetes is None:
            if self._unread and key not in self._joined:
                self._joined |= {view.key: view for view in self._read(f'"{namespace}/{name}') if view.key == key}
            return self._joined.get(key) if self._unread else self._ruled.get(key)
        view = self._joined.get(key)
        if view is None and (service := self._records.get(key)) is not None:
            backends = dict.fromkeys(backend for part in self._slices.get(key, ()) for backend in _backends(part))
            view = self._joined[key] = ServiceView(service, tuple(backends))
        return view

    def holding(self, address: str) -> tuple[ServiceView, ...]:
        """The Services an address belongs to. A cluster IP has one; an external one may serve several."""
        keys = self._by_address.get(address, []) if not self._unread else self._at.get(address)
        if keys is None:
            found = self._read(f" -d {address}/{ip.BITS[ip.family_of(address)]} ")
            keys = self._at[address] = [view.key for view in found]
        return tuple(view for key in dict.fromkeys(keys) if (view := self.named(*key)) is not None)

    def cluster_ip(self, address: str) -> ServiceView | None:
        """The Service whose cluster IP an address is."""
        return next((view for view in self.holding(address) if address in view.service.cluster_ips), None)

    def match(self, address: str, protocol: str, port: int | None) -> Match | None:
        """The Service's port that a packet to this address, protocol and port is for; None: no Service's."""
        if port is None:
            return None
        for view in self.holding(address):
            found = view.port(port, protocol)
            if found is not None:
                return Match(view, found, _what(view.service, address))
        node = self._topology.node_of(address)
        if node is None or node.node.role != "node" or (self._unread and not has_node_port(self._rules, port)):
            return None
        key, wanted = self._by_node_port.get((protocol, port), (None, None))
        by_node = self.named(*key) if key is not None else None
        return Match(by_node, wanted, "node-port") if by_node is not None and wanted is not None else None

    @property
    def _unread(self) -> bool:
        """Whether there are rules of which nobody has asked for all, and some lines can be read alone."""
        return self._kubernetes is None and "_ruled" not in vars(self) and can_select(self._rules)

    def _read(self, only: str = "") -> Iterable[ServiceView]:
        for found in discover(self._rules, only):
            yield ServiceView(found.service, tuple(_named(self._topology, found)), RULES)

    @cached_property
    def _ruled(self) -> Mapping[tuple[str, str], ServiceView]:
        return {view.key: view for view in self._read()}

    @cached_property
    def _records(self) -> Mapping[tuple[str, str], Service]:
        """Of two Services of one name, which no API holds, the first."""
        if self._kubernetes is None:
            return {key: view.service for key, view in self._ruled.items()}
        return {(each.namespace, each.name): each for each in reversed(self._kubernetes.services)}

    @cached_property
    def _slices(self) -> Mapping[tuple[str, str], list[EndpointSlice]]:
        found: dict[tuple[str, str], list[EndpointSlice]] = {}
        for each in self._kubernetes.endpoint_slices if self._kubernetes is not None else ():
            found.setdefault((each.namespace, each.service), []).append(each)
        return found

    @cached_property
    def _by_address(self) -> Mapping[str, list[tuple[str, str]]]:
        found: dict[str, list[tuple[str, str]]] = {}
        for key, service in self._records.items():
            for address in (*service.cluster_ips, *service.external_ips, *service.load_balancer_ips):
                found.setdefault(address, []).append(key)
        return found

    @cached_property
    def _by_node_port(self) -> Mapping[tuple[str, int], tuple[tuple[str, str], ServicePort]]:
        return {
            (port.protocol, port.node_port): (key, port)
            for key, service in self._records.items()
            for port in service.ports
            if port.node_port is not None
        }


def _what(service: Service, address: str) -> str:
    """What an address is to its Service."""
    if address in service.cluster_ips:
        return "cluster-ip"
    return "external-ip" if address in service.external_ips else "load-balancer-ip"


def of(topology: Topology) -> Services:
    """The Services of a topology, joined at the first question and kept. Raises nothing."""
    found = topology.compiled.get(_KEPT)
    if not isinstance(found, Services):
        found = topology.compiled[_KEPT] = Services(topology)
    return found


def _backends(part: EndpointSlice) -> Iterable[Backend]:
    ports: list[tuple[int | None, str, str]] = [(each.port, each.protocol, each.name) for each in part.ports]
    for port, protocol, name in ports or [(None, "tcp", "")]:
        for each in part.endpoints:
            yield Backend(
                each.address, port, protocol, name, each.ready, each.serving, each.terminating, each.node, each.pod
            )


def _named(topology: Topology, found: Discovered) -> Iterable[Backend]:
    """The backends that rules name, with the pods that hold their addresses."""
    for address, port, protocol, port_name in found.backends:
        owners = topology.owners.get(address, ())
        holder = owners[0].view if len(owners) == 1 else None
        own = holder is not None and holder.pod is not None and holder.pod.namespace == found.service.namespace
        yield Backend(
            address,
            port,
            protocol,
            port_name,
            node=holder.node.name if holder is not None else None,
            pod=holder.pod.name if own and holder is not None and holder.pod is not None else None,
        )
