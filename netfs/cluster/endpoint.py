"""Endpoints: what the user names, found in the topology.

Forms: ``POD``, ``NAMESPACE/POD``, ``node/NAME``, a container's name or id prefix, an IP address.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from netfs.cluster.netns import NetNsView
from netfs.cluster.topology import Topology
from netfs.errors import EndpointError
from netfs.model import ip
from netfs.model.text import printable


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of a trace."""

    name: str
    """``default/pod-a``, ``node/node1``, or the address."""
    view: NetNsView | None
    """Its namespace; None where no snapshot holds the address."""
    address: str | None = None
    """The address the user named; None where it is the endpoint's own to choose."""

    def address_in(self, family: int) -> str | None:
        """The address to use in a family; None where it has none."""
        if self.address is not None:
            return self.address if ip.family_of(self.address) == family else None
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
    found = _pods(topology, text, namespace) or _containers(topology, text)
    if not found and text in topology.nodes:
        return _by_node(topology, text)
    if not found:
        raise EndpointError(
            f"no pod, container, node or address {printable(text)!r}", hint=_near(text, _names(topology, namespace))
        )
    if len(found) > 1:
        names = ", ".join(sorted(f"{_pod_name(view)} on {view.node.name}" for view in found))
        raise EndpointError(f"{printable(text)!r} is ambiguous", hint=f"it may be {printable(names)}")
    return Endpoint(_pod_name(found[0]), found[0])


def name_of(view: NetNsView) -> str:
    """The name of a namespace as an endpoint: ``default/pod-a``, ``node/node1``."""
    return _pod_name(view) if view.pod is not None else f"node/{view.name}"


def _pod_name(view: NetNsView) -> str:
    assert view.pod is not None
    return f"{view.pod.namespace}/{view.pod.name}"


def _as_address(text: str) -> str | None:
    try:
        return ip.to_text(ip.to_int(text), ip.family_of(text))
    except ValueError:
        return None


def _by_address(topology: Topology, address: str) -> Endpoint:
    ports = topology.owners.get(address, ())
    views = {port.view.key: port.view for port in ports}
    if len(views) > 1:
        names = ", ".join(sorted(name_of(view) for view in views.values()))
        raise EndpointError(f"address {address} is held by several", hint=f"name one of them: {printable(names)}")
    view = next(iter(views.values())) if views else None
    return Endpoint(address if view is None else name_of(view), view, address)


def _by_node(topology: Topology, name: str) -> Endpoint:
    view = topology.nodes.get(name)
    if view is None:
        raise EndpointError(f"no node {printable(name)!r}", hint=_near(name, topology.nodes))
    return Endpoint(f"node/{name}", view)


def _pods(topology: Topology, text: str, namespace: str) -> list[NetNsView]:
    left, slash, right = text.partition("/")
    return topology.pods.get((left, right) if slash else (namespace, text), [])


def _containers(topology: Topology, text: str) -> list[NetNsView]:
    found: dict[int, NetNsView] = {}
    for views in topology.pods.values():
        for view in views:
            for container in view.pod.containers if view.pod is not None else ():
                if container.name == text or (len(text) >= 4 and container.id.startswith(text)):
                    found[id(view)] = view
    return list(found.values())


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
