"""A trace to a Service: the packet that a client sends to it, and who may get it.

A Service with a cluster IP is an address like any other: the rules of the nodes decide on the packet. A headless
one is a name: DNS answers with the addresses of its ready backends, the client takes one, and nothing on the way
knows of the Service. Each address is then a way of its own, and all have the same share.
"""

from __future__ import annotations

from dataclasses import replace

from netfs.cluster.endpoint import Endpoint, ports_of, reference
from netfs.cluster.services import Backend, ServiceView
from netfs.cluster.topology import Topology
from netfs.datapath.request import Request
from netfs.datapath.trace import WORSE, trace
from netfs.errors import EndpointError, UsageError
from netfs.model.kubernetes import ServicePort
from netfs.model.text import printable
from netfs.model.trace import DELIVERED, Direction, EndpointRef, Trace


def aim(end: Endpoint, proto: str | None, port: int | None) -> tuple[str | None, int | None]:
    """Protocol and port of a packet to an endpoint, where the endpoint knows what was left unsaid.

    Raises UsageError: several ports and none named, two ports named; EndpointError: nothing of the cluster answers.
    """
    view = end.service
    if view is None or end.address is not None:
        return proto, port
    if view.service.type == "ExternalName":
        raise EndpointError(
            f"{view.name} is a name for {printable(view.service.external_name) or 'a host'} outside the cluster",
            hint="trace to one of its addresses",
        )
    if port is not None and end.port is not None:
        raise UsageError(f"{view.name} is asked for port {printable(str(end.port))} and for --port {port}")
    if proto == "icmp":
        return proto, port
    wanted = end.port if port is None else port
    if wanted is not None:
        served = view.port(wanted, proto)
        if served is None:
            if isinstance(wanted, str):
                raise UsageError(f"{view.name} has no port {printable(wanted)!r} of {proto}", hint=ports_of(view))
            return proto or "tcp", wanted
        return proto or _sendable(view, served), _sent(view, served) if isinstance(wanted, str) else wanted
    served = _only(view, proto)
    return proto or _sendable(view, served), _sent(view, served)


def _only(view: ServiceView, proto: str | None) -> ServicePort:
    """The port that is meant where none is named."""
    ports = [each for each in view.service.ports if proto in (None, each.protocol)]
    if len(ports) == 1:
        return ports[0]
    if not ports:
        kind = f" of {proto}" if proto else ""
        raise UsageError(f"{view.name} has no port{kind}", hint=f"it has {ports_of(view)}")
    raise UsageError(f"{view.name} has several ports: name one with --port", hint=ports_of(view))


def _sendable(view: ServiceView, port: ServicePort) -> str:
    if port.protocol not in ("tcp", "udp"):
        raise UsageError(f"port {port.port} of {view.name} is {port.protocol}: a trace sends icmp, tcp or udp")
    return port.protocol


def _sent(view: ServiceView, port: ServicePort) -> int:
    """The port a client sends to: nothing translates for a headless Service, so it must be the backends' own."""
    if not view.headless:
        return port.port
    behind = next((each.port for each in view.behind(port) if each.port is not None), None)
    return behind or (port.target_port if isinstance(port.target_port, int) else port.port)


def notes(end: Endpoint, request: Request) -> tuple[str, ...]:
    """What to know about a question to a Service: what kube-proxy does not do for such a packet."""
    view = end.service
    if view is None:
        return ()
    if request.proto == "icmp":
        if view.headless:
            return ()
        return (f"kube-proxy translates no ICMP: {view.name} answers no ping, whatever its backends do",)
    served = view.port(request.port, request.proto) if request.port is not None else None
    if view.headless:
        if served is not None and (own := _sent(view, served)) != request.port:
            return (f"{view.name} is headless: nothing translates port {request.port} to its backends' {own}",)
        return ()
    if served is None:
        return (f"{view.name} has no port {request.port}/{request.proto} (it has {ports_of(view)}): the rules decide",)
    return ()


def trace_headless(topology: Topology, source: Endpoint, end: Endpoint, request: Request) -> Trace:
    """Follow the packet to every address that DNS gives for a headless Service, each with the same share.

    Raises EndpointError where DNS has no answer, and what ``trace`` raises.
    """
    view = end.service
    assert view is not None
    family, addresses = _answer(view, source, request)
    share = 1 / len(addresses) if len(addresses) > 1 else None
    traces = [
        trace(topology, source, _backend(topology, view, address), replace(request, family=family))
        for address in addresses
    ]
    forward = _together([_shared(each.forward, share, each.destination) for each in traces])
    reverse = _together([_shared(each.reverse, share, None) for each in traces])
    worst = min(traces, key=lambda each: WORSE[each.forward.verdict])
    return Trace(
        verdict=min((each.verdict for each in traces), key=WORSE.__getitem__),
        source=traces[0].source,
        destination=EndpointRef(view.name, None, worst.destination.ip),
        forward=forward,
        reverse=reverse,
        gaps=tuple(dict.fromkeys(gap for each in traces for gap in each.gaps)),
    )


def _answer(view: ServiceView, source: Endpoint, request: Request) -> tuple[int, tuple[str, ...]]:
    """Family and addresses that a client takes from DNS: IPv4 first, where the client has an address of it."""
    families = (4, 6) if request.family is None else (request.family,)
    known = [(family, found) for family in families if (found := view.ready_addresses(family))]
    usable = [each for each in known if source.address_in(each[0])]
    if usable or known:
        return (usable or known)[0]
    ready, every = view.counts()
    kind = "" if request.family is None else f" IPv{request.family}"
    raise EndpointError(
        f"{view.name} is headless, and DNS has no{kind} answer: {ready} of its {every} endpoints are ready",
        hint="DNS gives the addresses of ready endpoints; a client has nobody to send to",
    )


def _backend(topology: Topology, view: ServiceView, address: str) -> Endpoint:
    """The pod behind an address; the address itself where no snapshot knows the pod."""
    backend: Backend = next(each for each in view.backends if each.address == address)
    pods = topology.pods.get((view.service.namespace, backend.pod or ""), ())
    held = [port.view for port in topology.owners.get(address, ())]
    holder = pods[0] if len(pods) == 1 else held[0] if len(held) == 1 else None
    name = f"{view.service.namespace}/{backend.pod}" if backend.pod else address
    return Endpoint(reference(holder, address).name if holder is not None else name, holder, address)


def _shared(way: Direction, share: float | None, reached: EndpointRef | None) -> Direction:
    """A way with its part of the clients; None: all of them. Its own branches are parts of that part."""

    def part(own: Direction) -> Direction:
        within = own.share if own.share is not None or share is None or way.branches else 1.0
        told = within if within is None or share is None else share * within
        return replace(own, share=told, reached=own.reached or (reached if own.verdict == DELIVERED else None))

    return replace(part(way), branches=tuple(part(each) for each in way.branches))


def _together(ways: list[Direction]) -> Direction:
    """Several ways as one: the worst stands first, the others are its branches."""
    flat = [each for way in ways for each in (replace(way, branches=()), *way.branches)]
    flat.sort(key=lambda way: WORSE[way.verdict])
    return replace(flat[0], branches=tuple(flat[1:]))
