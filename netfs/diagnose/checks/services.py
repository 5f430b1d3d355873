"""Group P: what a Service's objects say by themselves: nobody behind it, nobody who listens, no such port."""

from __future__ import annotations

import re
from collections.abc import Iterator

from netfs.cluster import services
from netfs.cluster.endpoint import ports_of
from netfs.cluster.netns import NetNsView
from netfs.cluster.services import Backend, ServiceView
from netfs.diagnose.commands import advised, some
from netfs.diagnose.evidence import Evidence
from netfs.diagnose.rules import text_of
from netfs.diagnose.selectors import Labels
from netfs.model.findings import Finding
from netfs.model.kubernetes import LabelSelector
from netfs.model.packet import Packet
from netfs.model.snapshot import Listener

WILDCARDS = frozenset({"0.0.0.0", "::"})
_TRANSLATES = re.compile(r"DNAT|REDIRECT|TPROXY|dnat|redirect|tproxy")
"""Words of rules that lead a packet to another port than it asks for."""


def usable(view: ServiceView) -> tuple[Backend, ...]:
    """The backends that kube-proxy sends to: those that are ready, else those that serve while they end."""
    ready = tuple(each for each in view.backends if each.ready or view.service.publish_not_ready_addresses)
    return ready or tuple(each for each in view.backends if each.serving and each.terminating)


def of_service(evidence: Evidence, view: ServiceView) -> tuple[Finding, ...]:
    """The findings of one Service of the API; found once."""
    known: dict[tuple[str, str], tuple[Finding, ...]] = evidence.topology.compiled.setdefault("diagnose.services", {})
    if view.key not in known:
        known[view.key] = tuple(_of_service(evidence, view)) if view.source == services.API else ()
    return known[view.key]


def _of_service(evidence: Evidence, view: ServiceView) -> Iterator[Finding]:
    if view.service.type == "ExternalName":
        return
    if not usable(view):
        yield _nobody(evidence, view)
    for backend in usable(view):
        yield from _closed(evidence, view, backend)


def _told(slug: str, view: ServiceView, evidence: str, fix: str, severity: str = "error") -> Finding:
    return Finding(slug, severity, view.name, evidence, advised(fix))


def _nobody(evidence: Evidence, view: ServiceView) -> Finding:
    service = view.service
    wanted = ", ".join(f"{key}={value}" for key, value in sorted(service.selector.items()))
    if wanted and not view.backends and _selects_nobody(evidence, view):
        return _told(
            "service-selector-mismatch",
            view,
            f"the selector of {view.name} ({wanted}) selects none of the pods of namespace {service.namespace}",
            f"# correct the selector of {view.name}, or the labels of its pods",
        )
    if view.backends:
        names = [each.pod or each.address for each in view.backends]
        why = f"none of its endpoints is ready: {some(list(dict.fromkeys(names)))}"
    elif wanted:
        why = f"no endpoint has its selector ({wanted})"
    else:
        why = "it has no selector, and nobody wrote an EndpointSlice for it"
    return _told(
        "service-no-endpoints",
        view,
        f"{view.name} has nobody to send to: {why}",
        f"# make a pod of {view.name} ready: kubectl -n {service.namespace} describe endpointslices,pods",
    )


def port_missing(evidence: Evidence, sent: Packet) -> Iterator[Finding]:
    """`service-port-missing`: a packet for a Service's address, at a port that no Service has there.

    Of an address that somebody holds as well, cluster IPs apart, other ports are the holder's.
    """
    if sent.dport is None or sent.proto == "icmp":
        return
    holders = services.of(evidence.topology).holding(sent.dst)
    held = bool(evidence.topology.owners.get(sent.dst))
    views = [each for each in holders if not held or sent.dst in each.service.cluster_ips]
    asked = f"{sent.dport}/{sent.proto}"
    for view in views[:1]:
        ports = some([ports_of(each) for each in views])
        if view.source == services.API:
            why = f"which has no port {asked}: it has {ports}"
        else:
            why = f"of which the nodes' rules name no port {asked}: they name {ports}"
        yield _told(
            "service-port-missing",
            view,
            f"{sent.dst} is {view.name}, {why}",
            f"# ask for a port that {view.name} has, or add {asked} to it: "
            f"kubectl -n {view.service.namespace} edit service {view.service.name}",
        )


def refused(view: ServiceView) -> Finding:
    """`service-no-endpoints` of a Service for which kube-proxy wrote no more than a refusal."""
    namespace = view.service.namespace or "default"
    return _told(
        "service-no-endpoints",
        view,
        f"{view.name} has nobody to send to: kube-proxy's rules reject what is sent to it",
        f"# make a pod of {view.name} ready: kubectl -n {namespace} describe endpointslices,pods",
    )


def _selects_nobody(evidence: Evidence, view: ServiceView) -> bool:
    """Whether labels were read, and no pod of the namespace has those that the selector asks for."""
    if not evidence.labelled:
        return False
    pods = [pod.pod for views in evidence.topology.pods.values() for pod in views if pod.pod is not None]
    selector = LabelSelector(view.service.selector)
    own = [pod for pod in pods if pod.namespace == view.service.namespace]
    return all(Labels(pod.labels).fulfil(selector) is False for pod in own)


def _closed(evidence: Evidence, view: ServiceView, backend: Backend) -> Iterator[Finding]:
    """`service-target-port-closed`: the backend was read, and nobody listens there."""
    owners = evidence.topology.owners.get(backend.address, ())
    if len(owners) != 1 or backend.port is None or backend.protocol not in ("tcp", "udp"):
        return
    holder = owners[0].view
    listeners = holder.netns.listeners
    if listeners is None or any(gap.what == "listeners" for gap in holder.gaps) or _TRANSLATES.search(text_of(holder)):
        return
    if any(_hears(each, backend) for each in listeners):
        return
    near = [each for each in listeners if each.proto == backend.protocol]
    who = f"{backend.protocol} port {backend.port} of {holder.name} ({backend.address})"
    yield _told(
        "service-target-port-closed",
        view,
        f"{view.name} sends to {who}, where nobody listens; {_instead(holder, near, backend)}",
        f"# correct targetPort of {view.name}, or let the program in {holder.name} listen on all addresses",
    )


def _hears(listener: Listener, backend: Backend) -> bool:
    """Whether a socket gets what is sent to the backend."""
    if (listener.proto, listener.port) != (backend.protocol, backend.port):
        return False
    if listener.address == backend.address:
        return True
    six = ":" in backend.address
    if listener.address not in WILDCARDS:
        return False
    return listener.family == (6 if six else 4) or (not six and not listener.v6only)


def _instead(holder: NetNsView, near: list[Listener], backend: Backend) -> str:
    same = [each for each in near if each.port == backend.port]
    if same:
        return f"it listens on {some([each.address for each in same])} only"
    ports = sorted({each.port for each in near})
    if not ports:
        return f"nothing in {holder.name} listens on {backend.protocol}"
    return f"{holder.name} listens on {backend.protocol} {some([str(port) for port in ports])}"
