"""Endpoints: what the user names, found in the topology.

Forms: ``POD``, ``NAMESPACE/POD``, ``svc/NAME``, ``NAMESPACE/svc/NAME`` (both with ``:PORT``, by number or name),
``node/NAME`` (and the fabric's name), a container's name or id prefix, an IP address.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from netfs.cluster import services
from netfs.cluster.netns import NetNsView
from netfs.cluster.services import ServiceView
from netfs.cluster.topology import Topology
from netfs.errors import EndpointError
from netfs.model import ip
from netfs.model.text import printable
from netfs.model.trace import EndpointRef

SERVICE_WORDS = ("svc", "service", "services")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of a trace."""

    name: str
    """``default/pod-a``, ``default/svc/web``, ``node/node1``, or the address."""
    view: NetNsView | None
    """Its namespace; None where no snapshot holds the address, and for a Service."""
    address: str | None = None
    """The address the user named; None where it is the endpoint's own to choose."""
    service: ServiceView | None = None
    """The Service that was named, or whose the address is."""
    port: int | str | None = None
    """What stood behind the colon of ``svc/NAME:PORT``."""

    def address_in(self, family: int) -> str | None:
        """The address to use in a family; None where it has none."""
        if self.address is not None:
            return self.address if ip.family_of(self.address) == family else None
        if self.service is not None:
            return self.service.cluster_ip(family)
        if self.view is None:
            return None
        held = self.view.address_of(family)
        if held is None and self.view.pod is not None:
            return next((given for given in self.view.pod.ips if ip.family_of(given) == family), None)
        return held


def resolve(topology: Topology, text: str, namespace: str = "default") -> Endpoint:
    """The endpoint that ``text`` names. Raises EndpointError: unknown (with near misses) or ambiguous."""
    address = _as_address(text)
    if address is not None:
        return _by_address(topology, address)
    kind, _, rest = text.partition("/")
    if kind == "node" and rest:
        return _by_node(topology, rest)
    found = [Endpoint(_pod_name(view), view) for view in _pods(topology, text, namespace)]
    service = _service(topology, text, namespace)
    if service is not None:
        found.append(service)
    found = found or [Endpoint(_pod_name(view), view) for view in _containers(topology, text)]
    if not found and (text in topology.nodes or text in _fabric(topology)):
        return _by_node(topology, text)
    if not found:
        raise _unknown(topology, text, namespace)
    if len(found) > 1:
        names = ", ".join(sorted(_placed(each) for each in found))
        raise EndpointError(f"{printable(text)!r} is ambiguous", hint=f"it may be {printable(names)}")
    return found[0]


def name_of(view: NetNsView) -> str:
    """The name of a namespace as an endpoint: ``default/pod-a``, ``node/node1``."""
    return _pod_name(view) if view.pod is not None else f"node/{view.name}"


def reference(view: NetNsView, address: str) -> EndpointRef:
    """Who takes the packets for an address: the namespace that holds it, as a trace names it."""
    return EndpointRef(name_of(view), view.node.name, address)


def _pod_name(view: NetNsView) -> str:
    assert view.pod is not None
    return f"{view.pod.namespace}/{view.pod.name}"


def _placed(end: Endpoint) -> str:
    return end.name if end.view is None else f"{end.name} on {end.view.node.name}"


def _as_address(text: str) -> str | None:
    try:
        return ip.to_text(ip.to_int(text), ip.family_of(text))
    except ValueError:
        return None


def _by_address(topology: Topology, address: str) -> Endpoint:
    """The holder of an address.

    A cluster IP is its Service's, though every node may hold it (IPVS mode); an address that nobody holds, and a
    Service answers at, is that Service's as well.
    """
    ports = topology.owners.get(address, ())
    views = {port.view.key: port.view for port in ports}
    of_cluster = services.of(topology).cluster_ip(address) if not views or _may_serve(topology) else None
    if of_cluster is not None:
        return Endpoint(of_cluster.name, None, address, of_cluster)
    if len(views) > 1:
        names = ", ".join(sorted(name_of(view) for view in views.values()))
        raise EndpointError(f"address {address} is held by several", hint=f"name one of them: {printable(names)}")
    if views:
        (view,) = views.values()
        return Endpoint(name_of(view), view, address)
    held = services.of(topology).holding(address)
    return Endpoint(held[0].name if len(held) == 1 else address, None, address, held[0] if len(held) == 1 else None)


def _may_serve(topology: Topology) -> bool:
    """Whether an address that a namespace holds may be a Service's: told by the API, or held for IPVS."""
    if topology.kubernetes is not None:
        return True
    return any(view.netns.firewall is not None and view.netns.firewall.ipvs for view in topology.nodes.values())


def _by_node(topology: Topology, name: str) -> Endpoint:
    view = topology.nodes.get(name) or _fabric(topology).get(name)
    if view is None:
        raise EndpointError(f"no node {printable(name)!r}", hint=_near(name, topology.nodes))
    return Endpoint(f"node/{name}", view)


def _fabric(topology: Topology) -> dict[str, NetNsView]:
    """What lies between the nodes, by name: a packet may start there, as from outside the cluster."""
    return {view.node.name: view for view in topology.views.values() if view.is_node and view.node.role == "fabric"}


def _pods(topology: Topology, text: str, namespace: str) -> list[NetNsView]:
    left, slash, right = text.partition("/")
    return topology.pods.get((left, right) if slash else (namespace, text), [])


def _service(topology: Topology, text: str, namespace: str) -> Endpoint | None:
    """``svc/NAME``, ``NAMESPACE/svc/NAME``, either with ``:PORT``; None: of another form, or there is none."""
    asked = _asked_service(text, namespace)
    if asked is None:
        return None
    space, name, port = asked
    view = services.of(topology).named(space, name)
    if view is None:
        return None
    wanted = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else port
    if isinstance(wanted, int) and not 0 < wanted < 65536:
        raise EndpointError(f"port {wanted} of {printable(view.name)} is out of range", hint="1 to 65535")
    if isinstance(wanted, str) and wanted and view.port(wanted) is None:
        raise EndpointError(
            f"{printable(view.name)} has no port {printable(wanted)!r}", hint=f"it has {ports_of(view)}"
        )
    return Endpoint(view.name, None, None, view, wanted or None)


def ports_of(view: ServiceView) -> str:
    """A Service's ports in words: ``80/tcp (http), 53/udp``."""
    ports = [
        f"{each.port}/{each.protocol}" + (f" ({printable(each.name)})" if each.name else "")
        for each in view.service.ports
    ]
    return ", ".join(ports) or "no port at all"


def _asked_service(text: str, namespace: str) -> tuple[str, str, str] | None:
    """(namespace, name, port) where the text has a Service's form."""
    parts = text.split("/")
    if len(parts) == 2:
        parts = [namespace, *parts]
    if len(parts) != 3 or parts[1] not in SERVICE_WORDS:
        return None
    name, _, port = parts[2].partition(":")
    return parts[0], name, port


def _containers(topology: Topology, text: str) -> list[NetNsView]:
    found: dict[int, NetNsView] = {}
    for views in topology.pods.values():
        for view in views:
            for container in view.pod.containers if view.pod is not None else ():
                if container.name == text or (len(text) >= 4 and container.id.startswith(text)):
                    found[id(view)] = view
    return list(found.values())


def _unknown(topology: Topology, text: str, namespace: str) -> EndpointError:
    """What to say of a name that fits nothing: what it may have been, among pods, Services and nodes."""
    known = services.of(topology).all
    asked = _asked_service(text, namespace)
    bare = asked[1] if asked is not None else text.rpartition("/")[2]
    if asked is not None and not known:
        hint = "the snapshots hold no Services: neither the API's objects nor rules of kube-proxy"
        return EndpointError(f"no Service {printable(text)!r}", hint=hint)
    same = [_short(view, namespace) for view in known if view.service.name == bare]
    if asked is not None and not same:
        near = get_close_matches(bare, {view.service.name: None for view in known}, n=3, cutoff=0.6)
        same = [_short(view, namespace) for name in near for view in known if view.service.name == name]
    if same:
        hint = "did you mean " + printable(" or ".join(same[:6])) + "?"
    elif asked is not None:
        hint = _near(text, [_short(view, namespace) for view in known])
    else:
        hint = _near(text, [*_names(topology, namespace), *(_short(view, namespace) for view in known)])
    if asked is not None and topology.kubernetes is None:
        hint += (
            " " if hint.endswith("?") else "; "
        ) + "a headless Service is named by no rule, only by the API's objects"
    kind = "Service" if asked is not None else "pod, Service, container, node or address"
    return EndpointError(f"no {kind} {printable(text)!r}", hint=hint + _unread(topology))


def _unread(topology: Topology) -> str:
    """Why a name may be missing that is there: of several reasons the first."""
    for gap in topology.gaps:
        if gap.what == "netns":
            return f"; {printable(gap.where)} could not be read: {printable(gap.reason)}"
        if gap.what.startswith("namespaces by "):
            return f"; not all could be found: {printable(gap.reason)}"
    return ""


def _short(view: ServiceView, namespace: str) -> str:
    """A Service as one would name it from a namespace."""
    return f"svc/{view.service.name}" if view.service.namespace == namespace else view.name


def _names(topology: Topology, namespace: str) -> list[str]:
    pods = [name if space == namespace else f"{space}/{name}" for space, name in topology.pods]
    return pods + [f"node/{name}" for name in topology.nodes]


def _near(text: str, names: Iterable[str]) -> str:
    known = list(names)
    near = get_close_matches(text, known, n=3, cutoff=0.6)
    if near:
        return "did you mean " + printable(" or ".join(near)) + "?"
    if not known:
        return "the source holds no pods and no nodes"
    shown = ", ".join(sorted(known)[:6])
    return (
        f"there are {len(known)}, among them {printable(shown)}" if len(known) > 6 else f"there is {printable(shown)}"
    )
