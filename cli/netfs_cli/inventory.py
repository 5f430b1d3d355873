"""The answers of ``netfs get``: what a topology holds, one record per row. Their fields are the JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from netfs.cluster.netns import NetNsView
from netfs.cluster.services import RULES, Backend, ServiceView
from netfs.cluster.topology import Topology
from netfs.model.kubernetes import ServicePort
from netfs.model.link import Link


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One node."""

    name: str
    ip: str | None
    pods: int
    kernel: str
    """Kernel release."""
    source: str
    gaps: int
    """How many things could not be read."""
    hostname: str
    netns: int
    ips: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PodRow:
    """One pod."""

    namespace: str
    name: str
    node: str
    ip: str | None
    netns: int
    ips: tuple[str, ...]
    containers: tuple[str, ...]
    pid: int | None


@dataclass(frozen=True, slots=True)
class LinkRow:
    """One network device."""

    node: str
    netns: str
    name: str
    kind: str | None
    state: str
    mtu: int
    mac: str | None
    master: str | None
    peer: str | None
    """The other end of a veth pair, or the device that a VLAN, macvlan or ipvlan stands on."""
    index: int
    addresses: tuple[str, ...]
    detail: str
    """What is particular to its kind: ``vni 1 port 8472 local 192.168.52.11``."""


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """One Service."""

    namespace: str
    name: str
    type: str
    cluster_ips: tuple[str, ...]
    """Empty: headless, or a name alone."""
    external_ips: tuple[str, ...]
    """Those of load balancers among them."""
    external_name: str | None
    ports: tuple[ServicePort, ...]
    ready: int
    """Backends that are ready; a pod counts once."""
    endpoints: int
    backends: tuple[Backend, ...]
    selector: Mapping[str, str] | None
    """None, here and below: rules do not tell."""
    internal_traffic_policy: str | None
    external_traffic_policy: str | None
    affinity_seconds: int | None
    source: str
    """``api``, or ``rules``: kube-proxy's on the nodes."""


@dataclass(frozen=True, slots=True)
class Nodes:
    """``netfs get nodes``."""

    items: tuple[NodeRow, ...]
    schema: str = "netfs.nodes/v1"


@dataclass(frozen=True, slots=True)
class Pods:
    """``netfs get pods``."""

    items: tuple[PodRow, ...]
    schema: str = "netfs.pods/v1"


@dataclass(frozen=True, slots=True)
class Links:
    """``netfs get links``."""

    items: tuple[LinkRow, ...]
    schema: str = "netfs.links/v1"


@dataclass(frozen=True, slots=True)
class Services:
    """``netfs get services``."""

    items: tuple[ServiceRow, ...]
    schema: str = "netfs.services/v1"


def nodes(topology: Topology) -> Nodes:
    """Every node, by name; namespaces that only carry packets between nodes are left out."""
    return Nodes(tuple(_node(view) for _, view in sorted(topology.nodes.items())))


def pods(topology: Topology, namespace: str | None) -> Pods:
    """The pods of a namespace, or of all with None, by namespace and name."""
    found = (
        _pod(space, name, view)
        for (space, name), views in sorted(topology.pods.items())
        if namespace in (None, space)
        for view in sorted(views, key=lambda view: view.node.name)
    )
    return Pods(tuple(found))


def links(topology: Topology) -> Links:
    """Every device of every namespace: by node, the node's own namespace first; what lies between nodes last."""
    views = sorted(
        topology.views.values(),
        key=lambda view: (view.node.role != "node", view.node.name, not view.is_node, view.name),
    )
    return Links(tuple(_link(topology, view, link) for view in views for link in view.netns.links))


def services(views: tuple[ServiceView, ...], namespace: str | None) -> Services:
    """The Services of a namespace, or of all with None; those without a name (rules of IPVS) are in every one."""
    return Services(tuple(_service(view) for view in views if namespace is None or view.key[0] in ("", namespace)))


def _node(view: NetNsView) -> NodeRow:
    node = view.node
    ips = _ips(view)
    return NodeRow(
        name=node.name,
        ip=ips[0] if ips else None,
        pods=len(node.pods),
        kernel=node.release,
        source=node.source,
        gaps=len(node.gaps),
        hostname=node.hostname,
        netns=node.netns,
        ips=ips,
    )


def _pod(namespace: str, name: str, view: NetNsView) -> PodRow:
    ips = _ips(view)
    containers = view.pod.containers if view.pod is not None else ()
    return PodRow(
        namespace=namespace,
        name=name,
        node=view.node.name,
        ip=ips[0] if ips else None,
        netns=view.netns.id,
        ips=ips,
        containers=tuple(container.name for container in containers),
        pid=view.netns.pids[0] if view.netns.pids else None,
    )


def _service(view: ServiceView) -> ServiceRow:
    service, told = view.service, view.source != RULES
    ready, every = view.counts()
    return ServiceRow(
        namespace=service.namespace,
        name=service.name,
        type=service.type,
        cluster_ips=service.cluster_ips,
        external_ips=tuple(dict.fromkeys((*service.external_ips, *service.load_balancer_ips))),
        external_name=service.external_name or None,
        ports=service.ports,
        ready=ready,
        endpoints=every,
        backends=view.backends,
        selector=service.selector if told else None,
        internal_traffic_policy=service.internal_traffic_policy if told else None,
        external_traffic_policy=service.external_traffic_policy if told else None,
        affinity_seconds=service.affinity_seconds,
        source=view.source,
    )


def _link(topology: Topology, view: NetNsView, link: Link) -> LinkRow:
    master = view.links.get(link.master) if link.master is not None else None
    return LinkRow(
        node=view.node.name,
        netns=view.name,
        name=link.name,
        kind=link.kind,
        state=_state(link),
        mtu=link.mtu,
        mac=link.mac,
        master=master.name if master is not None else None,
        peer=_peer(topology, view, link),
        index=link.index,
        addresses=tuple(f"{address.local}/{address.prefixlen}" for address in view.addresses.get(link.index, ())),
        detail=_detail(view, link),
    )


def _peer(topology: Topology, view: NetNsView, link: Link) -> str | None:
    if link.link_index is None or link.vxlan is not None:
        return None
    other = topology.lower(view, link)
    if other is None:
        return f"unseen/if{link.link_index}"
    return other.link.name if other.view is view else f"{other.view.name}/{other.link.name}"


def _state(link: Link) -> str:
    """``up``; ``down`` as set by somebody; else why an up device does not run (``no-carrier``)."""
    if not link.up:
        return "down"
    return "up" if link.carrier else "no-carrier"


def _detail(view: NetNsView, link: Link) -> str:
    if link.vxlan is not None:
        lower = view.links.get(link.vxlan.lower) if link.vxlan.lower is not None else None
        parts = [f"vni {link.vxlan.vni} port {link.vxlan.port}"]
        parts += [f"local {link.vxlan.local}"] if link.vxlan.local else []
        parts += [f"remote {link.vxlan.group}"] if link.vxlan.group else []
        parts += [f"dev {lower.name}"] if lower is not None else []
        return " ".join(parts + ([] if link.vxlan.learning else ["nolearning"]))
    if link.vlan is not None:
        return f"vlan {link.vlan.id}"
    if link.macvlan is not None:
        return link.macvlan.mode
    if link.port is not None:
        state = {0: "disabled", 1: "listening", 2: "learning", 4: "blocking"}.get(link.port.state)
        marks = [name for name in ("hairpin", "isolated") if getattr(link.port, name)]
        return " ".join(([state] if state else []) + marks)
    return ""


def _ips(view: NetNsView) -> tuple[str, ...]:
    """IPv4 and IPv6 address that the namespace is known by."""
    return tuple(address for family in (4, 6) if (address := view.address_of(family)) is not None)
