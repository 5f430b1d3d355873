"""Objects of the Kubernetes API, as ``kubectl get -o json`` or a manifest has them, to the model's records.

Read are Service (v1), EndpointSlice (discovery.k8s.io/v1), NetworkPolicy (networking.k8s.io/v1) and Namespace (v1), by
themselves or in a List; objects of other kinds are passed over. Defaults are the API server's, for manifests that
never met one. An object that is not as the API has it is a SourceError that names the object and the field.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

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

OF_SERVICE = "kubernetes.io/service-name"
"""The label that says whose an EndpointSlice is."""
_AFFINITY = 10800
_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")
_PROTOCOLS = ("tcp", "udp", "sctp")
_POLICIES = ("Cluster", "Local")
_PORTS = (1, 65535)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Field:
    """A value of an object, and where it stands in it."""

    value: object
    path: str = ""

    def __getitem__(self, key: str) -> _Field:
        """A field of an object; one that is not there has the value None."""
        if self.value is None:
            return _Field(None, self._below(key))
        if not isinstance(self.value, dict):
            raise self.wrong("is no object")
        return _Field(self.value.get(key), self._below(key))

    def _below(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def wrong(self, what: str) -> SourceError:
        """The error that names this field."""
        return SourceError(f"{self.path or 'the object'} {what}")

    def each(self) -> Iterator[_Field]:
        """The elements of a list; none where it is not there."""
        if self.value is not None and not isinstance(self.value, list):
            raise self.wrong("is no list")
        for index, value in enumerate(self.value or ()):
            yield _Field(value, f"{self.path}[{index}]")

    def text(self, default: str | None = None) -> str:
        """A string. Without ``default`` it must be there, and not empty."""
        if self.value is None and default is not None:
            return default
        if not isinstance(self.value, str) or (default is None and not self.value):
            raise self.wrong("is missing" if self.value is None else "is no text")
        return self.value

    def one_of(self, known: Iterable[str], default: str) -> str:
        """A string that is one of those known, as they are written."""
        text = self.text(default)
        for one in known:
            if one.lower() == text.lower():
                return one
        raise self.wrong(f"is {text!r}, not one of {', '.join(known)}")

    def number(self, least: int, most: int) -> int:
        """An integer within bounds."""
        if not isinstance(self.value, int) or isinstance(self.value, bool) or not least <= self.value <= most:
            raise self.wrong("is missing" if self.value is None else f"is not {least} to {most}")
        return self.value

    def flag(self, default: bool) -> bool:
        """A boolean."""
        if self.value is None:
            return default
        if not isinstance(self.value, bool):
            raise self.wrong("is neither true nor false")
        return self.value

    def texts(self) -> dict[str, str]:
        """An object whose values are strings."""
        if self.value is None:
            return {}
        if not isinstance(self.value, dict):
            raise self.wrong("is no object")
        return {key: self[key].text("") for key in self.value if isinstance(key, str)}

    def address(self) -> str:
        """An IP address, in its canonical form."""
        return self._parsed(lambda text: str(ipaddress.ip_address(text)), "an address")

    def prefix(self) -> str:
        """A prefix, in its canonical form."""
        return self._parsed(lambda text: str(ipaddress.ip_network(text.strip(), strict=False)), "a prefix")

    def port(self) -> int | str | None:
        """A port's number or name."""
        if self.value is None or isinstance(self.value, str):
            return self.value or None
        return self.number(*_PORTS)

    def _parsed(self, read: Callable[[str], T], what: str) -> T:
        try:
            return read(self.text())
        except ValueError:
            raise self.wrong(f"is not {what}: {self.value!r}") from None


def parse(documents: Iterable[object], *, where: str = "") -> Kubernetes:
    """The records of API objects, in their order. Raises SourceError, naming object and field."""
    services: list[Service] = []
    slices: list[EndpointSlice] = []
    policies: list[NetworkPolicy] = []
    namespaces: dict[str, dict[str, str]] = {}
    for one in (_Field(document) for document in documents):
        for each in _flat(one, where):
            kind, name = each["kind"].text(), ""
            try:
                if kind not in ("Service", "EndpointSlice", "NetworkPolicy", "Namespace"):
                    continue
                name = each["metadata"]["name"].text()
                if kind == "Service":
                    services.append(_service(each))
                elif kind == "EndpointSlice":
                    slices += _slice(each)
                elif kind == "NetworkPolicy":
                    policies.append(_policy(each))
                else:
                    namespaces[name] = each["metadata"]["labels"].texts()
            except SourceError as error:
                raise SourceError(f"{' '.join(filter(None, (kind, name)))}: {error.what}", where=where) from None
    return Kubernetes(tuple(services), tuple(slices), tuple(policies), namespaces)


def read(path: str) -> Kubernetes:
    """The records of a file of manifests, YAML or JSON. Raises SourceError."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as failure:
        raise SourceError(f"cannot be read: {failure.strerror}", where=path) from None
    except UnicodeDecodeError:
        raise SourceError("is not UTF-8", where=path) from None
    return parse(_documents(text, path), where=path)


def _documents(text: str, path: str) -> list[object]:
    if text.lstrip().startswith("{"):
        try:
            return [json.loads(text)]
        except (ValueError, RecursionError) as error:
            raise SourceError(f"is not JSON: {error}", where=path) from None
    import yaml

    try:
        return [document for document in yaml.safe_load_all(text) if document is not None]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        words = " ".join(str(error).replace(' in "<unicode string>",', " at").split())
        raise SourceError(f"is not YAML: {words}", where=path) from None


def _flat(one: _Field, where: str) -> Iterator[_Field]:
    """An object, or those of a list of objects (``List``, ``ServiceList``, …), which leave their kind away."""
    try:
        kind = one["kind"].text()
        if not kind.endswith("List"):
            yield one
            return
        for each in one["items"].each():
            if not isinstance(each.value, dict):
                raise each.wrong("is no object")
            yield _Field({"kind": kind.removesuffix("List"), **each.value})
    except SourceError as error:
        raise SourceError(error.what, where=where, hint="an object of the Kubernetes API is wanted") from None


def _named(each: _Field) -> tuple[str, str]:
    return each["metadata"]["name"].text(), each["metadata"]["namespace"].text("default")


def _service(each: _Field) -> Service:
    name, namespace = _named(each)
    spec = each["spec"]
    kind = spec["type"].one_of(("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"), "ClusterIP")
    single = spec["clusterIP"]
    given = list(spec["clusterIPs"].each()) or ([single] if single.value else [])
    sticky = spec["sessionAffinity"].one_of(("None", "ClientIP"), "None") == "ClientIP"
    seconds = spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"]
    return Service(
        name=name,
        namespace=namespace,
        type=kind,
        cluster_ips=tuple(one.address() for one in given if one.value not in ("None", "")),
        ports=tuple(_service_port(port) for port in spec["ports"].each()),
        selector=spec["selector"].texts(),
        external_ips=tuple(one.address() for one in spec["externalIPs"].each()),
        load_balancer_ips=tuple(
            one["ip"].address()
            for one in each["status"]["loadBalancer"]["ingress"].each()
            if one["ip"].value and one["ipMode"].text("VIP") != "Proxy"
        ),
        load_balancer_source_ranges=tuple(one.prefix() for one in spec["loadBalancerSourceRanges"].each()),
        affinity_seconds=(_AFFINITY if seconds.value is None else seconds.number(1, 86400)) if sticky else None,
        internal_traffic_policy=spec["internalTrafficPolicy"].one_of(_POLICIES, "Cluster"),
        external_traffic_policy=spec["externalTrafficPolicy"].one_of(_POLICIES, "Cluster"),
        publish_not_ready_addresses=spec["publishNotReadyAddresses"].flag(default=False),
    )


def _service_port(port: _Field) -> ServicePort:
    node_port = port["nodePort"]
    return ServicePort(
        port=port["port"].number(*_PORTS),
        protocol=port["protocol"].one_of(_PROTOCOLS, "tcp"),
        name=port["name"].text(""),
        target_port=port["targetPort"].port(),
        node_port=node_port.number(*_PORTS) if node_port.value else None,
    )


def _slice(each: _Field) -> Iterator[EndpointSlice]:
    """None for a slice of no Service, or of names in place of addresses."""
    _, namespace = _named(each)
    service = each["metadata"]["labels"].texts().get(OF_SERVICE)
    if not service or each["addressType"].text("IPv4") == "FQDN":
        return
    ports = tuple(
        EndpointPort(port["port"].number(*_PORTS), port["protocol"].one_of(_PROTOCOLS, "tcp"), port["name"].text(""))
        for port in each["ports"].each()
        if port["port"].value is not None
    )
    yield EndpointSlice(service, namespace, ports, tuple(_endpoint(one) for one in each["endpoints"].each()))


def _endpoint(one: _Field) -> SliceEndpoint:
    """Its addresses stand for one another: the first is the one that kube-proxy uses."""
    first = next(one["addresses"].each(), _Field(None, f"{one.path}.addresses[0]"))
    conditions, target = one["conditions"], one["targetRef"]
    ready = conditions["ready"].flag(default=True)
    return SliceEndpoint(
        address=first.address(),
        ready=ready,
        serving=conditions["serving"].flag(default=ready),
        terminating=conditions["terminating"].flag(default=False),
        node=one["nodeName"].text("") or None,
        pod=target["name"].text() if target["kind"].text("") == "Pod" else None,
    )


def _policy(each: _Field) -> NetworkPolicy:
    name, namespace = _named(each)
    spec = each["spec"]
    types = tuple(one.one_of(("Ingress", "Egress"), "Ingress") for one in spec["policyTypes"].each())
    egress = tuple(_rule(one, "to") for one in spec["egress"].each())
    return NetworkPolicy(
        name=name,
        namespace=namespace,
        pods=_selector(spec["podSelector"]) or LabelSelector(),
        types=types or (("Ingress", "Egress") if egress else ("Ingress",)),
        ingress=tuple(_rule(one, "from") for one in spec["ingress"].each()),
        egress=egress,
    )


def _rule(one: _Field, peers: str) -> PolicyRule:
    return PolicyRule(
        peers=tuple(_peer(peer) for peer in one[peers].each()),
        ports=tuple(_policy_port(port) for port in one["ports"].each()),
    )


def _peer(peer: _Field) -> PolicyPeer:
    block, pods, namespaces = peer["ipBlock"], peer["podSelector"], peer["namespaceSelector"]
    if block.value is None:
        if pods.value is None and namespaces.value is None:
            raise peer.wrong("has neither podSelector, namespaceSelector nor ipBlock")
        return PolicyPeer(_selector(pods), _selector(namespaces))
    if pods.value is not None or namespaces.value is not None:
        raise block.wrong("stands beside a selector")
    return PolicyPeer(cidr=block["cidr"].prefix(), excluded=tuple(one.prefix() for one in block["except"].each()))


def _policy_port(port: _Field) -> PolicyPort:
    first, last = port["port"], port["endPort"]
    if last.value is not None and not isinstance(first.value, int):
        raise last.wrong("needs a port that is a number")
    least = first.value if isinstance(first.value, int) else 1
    return PolicyPort(
        protocol=port["protocol"].one_of(_PROTOCOLS, "tcp"),
        port=first.port(),
        end_port=None if last.value is None else last.number(least, 65535),
    )


def _selector(selector: _Field) -> LabelSelector | None:
    if selector.value is None:
        return None
    return LabelSelector(
        match_labels=selector["matchLabels"].texts(),
        match_expressions=tuple(
            Requirement(
                key=one["key"].text(),
                operator=one["operator"].one_of(_OPERATORS, ""),
                values=tuple(value.text("") for value in one["values"].each()),
            )
            for one in selector["matchExpressions"].each()
        ),
    )
