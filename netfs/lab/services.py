"""The objects of a lab's API: Services as they are asked for (``wanted.py``), their endpoints, and how both change.

Every backend pod carries the label that its Service selects. A Service some of whose backends are no pods selects
nothing: its endpoints were entered by hand.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import replace

from netfs.lab.plan import FABRIC, GATEWAY, GATEWAY6, NodePlan, Plan, PodPlan
from netfs.lab.wanted import Wanted, parse
from netfs.model.kubernetes import (
    EndpointPort,
    EndpointSlice,
    Kubernetes,
    NetworkPolicy,
    Service,
    ServicePort,
    SliceEndpoint,
)

NAMESPACE = "default"
FIRST_NODE_PORT = 30080
_FIRST_HOST = 10
_TYPES = {one.lower(): one for one in ("ClusterIP", "NodePort", "LoadBalancer")}
_POLICIES = {"cluster": "Cluster", "local": "Local"}


def objects(whole: Plan, texts: Iterable[str], policies: Sequence[NetworkPolicy] = ()) -> Kubernetes:
    """The API objects of a lab. Raises UsageError for a Service that cannot be, naming it."""
    services: list[Service] = []
    slices: list[EndpointSlice] = []
    for wanted in map(parse, texts):
        if any(wanted.name == one.name for one in services):
            raise wanted.wrong("there are two of that name")
        service = _service(whole, wanted, services)
        services.append(service)
        slices += _slices(whole, wanted, service)
    namespaces = {NAMESPACE: {"kubernetes.io/metadata.name": NAMESPACE}}
    for policy in policies:
        namespaces.setdefault(policy.namespace, {"kubernetes.io/metadata.name": policy.namespace})
    return Kubernetes(tuple(services), tuple(slices), tuple(policies), namespaces)


def changed(found: Kubernetes, whole: Plan, text: str) -> Kubernetes:
    """The objects with one Service put in the place of that of its name, whose addresses and node ports it keeps.

    Raises UsageError as ``objects`` does.
    """
    wanted = parse(text)
    old = next((one for one in found.services if one.name == wanted.name), None)
    others = removed(found, wanted.name)
    if old is not None:
        if old.cluster_ips and not {"headless", "cluster-ip"} & wanted.options.keys():
            wanted.options["cluster-ip"] = "+".join(old.cluster_ips)
        numbers = [f"{port.node_port}" for port in old.ports if port.node_port]
        if numbers and wanted.options.get("type", old.type) != "ClusterIP":
            wanted.options.setdefault("node-port", "+".join(numbers))
    service = _service(whole, wanted, others.services)
    at = len(others.services) if old is None else found.services.index(old)
    return replace(
        others,
        services=(*others.services[:at], service, *others.services[at:]),
        endpoint_slices=(*others.endpoint_slices, *_slices(whole, wanted, service)),
    )


def removed(found: Kubernetes, name: str) -> Kubernetes:
    """The objects without the Service of a name."""
    return replace(
        found,
        services=tuple(one for one in found.services if one.name != name),
        endpoint_slices=tuple(one for one in found.endpoint_slices if one.service != name),
    )


def labels(found: Kubernetes, pod: str) -> dict[str, str]:
    """A pod's labels: its name as ``app``, and those that the Services it is a backend of select."""
    return {"app": pod} | {
        key: value
        for service in found.services
        if any(pod == one.pod for part in _of(found, service) for one in part.endpoints)
        for key, value in service.selector.items()
    }


def published(found: Kubernetes) -> dict[str, str]:
    """External and load-balancer addresses, each with the node that the outside world reaches it by.

    The node of the first backend where the traffic policy is Local; an empty text stands for the first node.
    """
    routes: dict[str, str] = {}
    for service in found.services:
        nodes = [one.node for part in _of(found, service) for one in part.endpoints if one.ready and one.node]
        via = nodes[0] if nodes and service.external_traffic_policy == "Local" else ""
        routes |= dict.fromkeys((*service.external_ips, *service.load_balancer_ips), via)
    return routes


def _of(found: Kubernetes, service: Service) -> list[EndpointSlice]:
    return [
        part for part in found.endpoint_slices if (part.service, part.namespace) == (service.name, service.namespace)
    ]


def _service(whole: Plan, wanted: Wanted, before: Sequence[Service]) -> Service:
    options = wanted.options
    seconds = wanted.number("affinity", options["affinity"], 86400) if "affinity" in options else None
    return Service(
        name=wanted.name,
        type=_type(wanted),
        cluster_ips=_cluster_ips(whole, wanted, before),
        ports=_ports(wanted, before),
        selector=_selector(whole, wanted),
        external_ips=wanted.addresses("external-ip"),
        load_balancer_ips=wanted.addresses("lb-ip"),
        load_balancer_source_ranges=wanted.addresses("lb-from", prefixes=True),
        affinity_seconds=seconds,
        internal_traffic_policy=wanted.one_of("internal", _POLICIES, "Cluster"),
        external_traffic_policy=wanted.one_of("external", _POLICIES, "Cluster"),
        publish_not_ready_addresses="publish-not-ready" in options,
        external_name=options.get("external-name", ""),
    )


def _selector(whole: Plan, wanted: Wanted) -> dict[str, str]:
    entered = any(not isinstance(whole.members.get(name), PodPlan) for name in wanted.backends)
    if entered or "external-name" in wanted.options:
        return {}
    terms = wanted.many("selector") or (f"netfs.lab/{wanted.name}:backend",)
    if not all(":" in term for term in terms):
        raise wanted.wrong("a selector is not of the form KEY:VALUE", "for example selector=app:pod-b")
    return dict(term.split(":", 1) for term in terms)


def _type(wanted: Wanted) -> str:
    if "external-name" in wanted.options:
        if wanted.backends or {"type", "lb-ip", "node-port", "cluster-ip", "external-ip"} & wanted.options.keys():
            raise wanted.wrong("an ExternalName has neither backends nor addresses")
        return "ExternalName"
    implied = "LoadBalancer" if "lb-ip" in wanted.options else "NodePort" if "node-port" in wanted.options else ""
    kind = wanted.one_of("type", _TYPES, implied or "ClusterIP")
    if implied and kind != implied and not (implied == "NodePort" and kind == "LoadBalancer"):
        raise wanted.wrong(f"type={kind} has no {'lb-ip' if implied == 'LoadBalancer' else 'node-port'}")
    return kind


def _cluster_ips(whole: Plan, wanted: Wanted, before: Sequence[Service]) -> tuple[str, ...]:
    if {"headless", "external-name"} & wanted.options.keys():
        return ()
    given = wanted.addresses("cluster-ip")
    if given:
        return given
    taken = {address for service in before for address in service.cluster_ips}
    host = _FIRST_HOST
    while f"10.96.0.{host}" in taken:
        host += 1
    if host > 254:
        raise wanted.wrong("too many Services", "245 find an address; cluster-ip= gives one")
    return (f"10.96.0.{host}", f"fd00:10:96::{host:x}") if whole.ipv6 else (f"10.96.0.{host}",)


def _ports(wanted: Wanted, before: Sequence[Service]) -> tuple[ServicePort, ...]:
    words = (wanted.ports or "80").split("+")
    kind = _type(wanted)
    given = [wanted.number("node-port", one, 65535) for one in wanted.many("node-port")]
    taken = {port.node_port for service in before for port in service.ports}
    found = []
    for index, word in enumerate(words):
        body, slash, protocol = word.partition("/")
        number, colon, target = body.partition(":")
        protocol = protocol if slash else "tcp"
        if protocol not in ("tcp", "udp"):
            raise wanted.wrong(f"no protocol {protocol!r}", "tcp or udp")
        port = wanted.number("port", number, 65535)
        node_port = None
        if kind in ("NodePort", "LoadBalancer"):
            node_port = given[index] if index < len(given) else _free(taken)
            taken.add(node_port)
        name = f"{protocol}-{port}" if len(words) > 1 else ""
        found.append(
            ServicePort(port, protocol, name, wanted.number("port", target, 65535) if colon else port, node_port)
        )
    return tuple(found)


def _free(taken: set[int | None]) -> int:
    port = FIRST_NODE_PORT
    while port in taken:
        port += 1
    return port


def _slices(whole: Plan, wanted: Wanted, service: Service) -> list[EndpointSlice]:
    """One EndpointSlice for each family of addresses, as the API has it."""
    if service.type == "ExternalName":
        return []
    for option in ("notready", "terminating"):
        for name in wanted.many(option):
            if name not in wanted.backends:
                raise wanted.wrong(f"{option}={name} is no backend of it")
    ports = tuple(
        EndpointPort(port.target_port if isinstance(port.target_port, int) else port.port, port.protocol, port.name)
        for port in service.ports
    )
    every = [_endpoint(whole, wanted, name, six) for six in (False, True)[: 1 + whole.ipv6] for name in wanted.backends]
    families = [[one for one in every if one is not None and (":" in one.address) is six] for six in (False, True)]
    return [EndpointSlice(service.name, service.namespace, ports, tuple(part)) for part in families if part] or [
        EndpointSlice(service.name, service.namespace, ports)
    ]


def _endpoint(whole: Plan, wanted: Wanted, name: str, six: bool) -> SliceEndpoint | None:
    member = whole.members.get(name)
    node = None
    if isinstance(member, PodPlan):
        address, node = (member.ip6 if six else member.ip), member.node
    elif isinstance(member, NodePlan):
        address, node = (member.ip6 if six else member.ip), member.name
    elif name == FABRIC:
        address = GATEWAY6 if six else GATEWAY
    elif six:
        return None
    else:
        try:
            address = str(ipaddress.IPv4Address(name))
        except ValueError:
            raise wanted.wrong(f"no pod {name!r}", f"there are {', '.join(list(whole.members)[:12])}") from None
    terminating = name in wanted.many("terminating")
    held_back = name in wanted.many("notready") and "publish-not-ready" not in wanted.options
    return SliceEndpoint(
        address,
        ready=not (terminating or held_back),
        serving=name not in wanted.many("notready"),
        terminating=terminating,
        node=node,
        pod=name if isinstance(member, PodPlan) else None,
    )
