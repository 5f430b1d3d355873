"""Some of a capture's flows: by who takes part, by an expression, by tunnel; in an order; the first of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from netfs.errors import UsageError
from netfs.model import ip
from netfs.model.flows import Decoded, Flow, Suspicion

if TYPE_CHECKING:
    from netfs.cluster.netns import NetNsView
    from netfs.cluster.topology import Topology

ORDERS: dict[str, Callable[[Flow], int]] = {
    "bytes": lambda flow: -flow.bytes,
    "packets": lambda flow: -flow.packets,
    "time": lambda flow: flow.first_ns,
}
"""What flows can be sorted by; equal ones stay as they are."""


def addresses_of_pod(topology: Topology | None, text: str, namespace: str) -> frozenset[str]:
    """The addresses of a pod, a Service or another end of a trace. Without a topology ``text`` is an address itself.

    Raises EndpointError where the name fits nothing, or several.
    """
    if topology is None:
        return frozenset({address_in(text) or text})
    from netfs.cluster.endpoint import resolve

    found = resolve(topology, text, namespace)
    if found.address is not None:
        return frozenset({found.address})
    if found.service is not None:
        return frozenset(found.service.addresses)
    return _held([found.view] if found.view is not None else [])


def addresses_of_node(topology: Topology | None, text: str) -> frozenset[str]:
    """The addresses of a node and of its pods. Without a topology ``text`` is an address itself.

    Raises EndpointError where no node, or more than one, is meant.
    """
    if topology is None:
        return frozenset({address_in(text) or text})
    from netfs.cluster.endpoint import resolve

    view = resolve(topology, text if address_in(text) or text.startswith("node/") else f"node/{text}").view
    if view is None:
        raise UsageError(f"{text} is no node's address", hint="netfs get nodes")
    return _held(each for each in topology.views.values() if each.node.name == view.node.name)


def _held(views: Iterable[NetNsView]) -> frozenset[str]:
    """The addresses of namespaces that mean the same everywhere."""
    from netfs.model.route import RT_SCOPE_LINK

    found: set[str] = set()
    for view in views:
        found |= {address.local for address in view.netns.addresses if address.scope < RT_SCOPE_LINK}
        found |= set(view.pod.ips) if view.pod is not None else set()
    return frozenset(found)


def address_in(text: str) -> str | None:
    """An IP address in the form that flows have it in; None where it is none."""
    try:
        return ip.to_text(ip.to_int(text), ip.family_of(text))
    except ValueError:
        return None


def select(
    decoded: Decoded,
    *,
    ends: frozenset[str] | None = None,
    anywhere: frozenset[str] | None = None,
    question: Callable[[Flow], bool] | None = None,
    vni: int | None = None,
    proto: str | None = None,
) -> Decoded:
    """The capture with those flows alone that fit all that is asked, and what is suspicious about them.

    ``ends``: addresses of which one sends or receives, inside all tunnels. ``anywhere``: addresses of which one is met
    at any level. ``question``: as ``question.of`` makes it of an expression. ``vni``: of any tunnel. Suspicions about
    the recording stay, and so do the counts of the file.
    """

    def fits(flow: Flow) -> bool:
        return (
            (ends is None or flow.src in ends or flow.dst in ends)
            and (anywhere is None or not anywhere.isdisjoint(_addresses(flow)))
            and (vni is None or any(each.vni == vni for each in flow.tunnels))
            and (proto is None or flow.proto == proto.lower())
            and (question is None or question(flow))
        )

    if all(each is None for each in (ends, anywhere, question, vni, proto)):
        return decoded
    return arranged(decoded, [index for index, flow in enumerate(decoded.flows) if fits(flow)])


def ordered(decoded: Decoded, by: str, limit: int | None = None) -> Decoded:
    """The capture with its flows sorted by ``bytes``, ``packets`` or ``time``; of them the first ``limit`` alone."""
    order = ORDERS[by]
    indexes = sorted(range(len(decoded.flows)), key=lambda index: order(decoded.flows[index]))
    return arranged(decoded, indexes[:limit])


def arranged(decoded: Decoded, indexes: Sequence[int]) -> Decoded:
    """The capture with these flows in this order; what points to flows is turned to their new places."""
    if list(indexes) == list(range(len(decoded.flows))):
        return decoded
    place = {old: new for new, old in enumerate(indexes)}

    def moved(flow: Flow) -> Flow:
        return flow if flow.reverse is None else replace(flow, reverse=place.get(flow.reverse))

    def told(each: Suspicion) -> Suspicion:
        return replace(each, flows=tuple(sorted(place[index] for index in each.flows if index in place)))

    return replace(
        decoded,
        flows=tuple(moved(decoded.flows[index]) for index in indexes),
        suspicions=tuple(
            told(each) for each in decoded.suspicions if not each.flows or any(index in place for index in each.flows)
        ),
        errors=tuple(
            replace(each, flow=place.get(each.flow)) if each.flow is not None else each for each in decoded.errors
        ),
    )


def _addresses(flow: Flow) -> tuple[str, ...]:
    return (flow.src, flow.dst, *(address for each in flow.tunnels for address in (each.src, each.dst)))
