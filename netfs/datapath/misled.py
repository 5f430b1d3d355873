"""Whether who took a packet is a backend of the Service that the packet was for."""

from __future__ import annotations

from dataclasses import dataclass

from netfs.cluster import services
from netfs.cluster.netns import NetNsView
from netfs.cluster.services import Backend, ServiceView
from netfs.cluster.topology import Topology


@dataclass(frozen=True, slots=True)
class Misled:
    """A packet for a Service reached what is no backend of it."""

    why: str
    slug: str
    """The fault of the catalogue that this is evidence of."""


def misled(
    topology: Topology, asked: tuple[str, str, int | None], got: tuple[str, int | None], holder: NetNsView
) -> Misled | None:
    """Why a packet that was delivered did not reach a backend of the Service it was for; None: it did, or no
    Service known to the API is at the address.

    ``asked`` is (address, protocol, port) as the packet was sent, ``got`` (address, port) as ``holder`` took it.
    Services read from the rules are not judged by them: they say what the rules say.
    """
    if topology.kubernetes is None:
        return None
    match = services.of(topology).match(*asked)
    if match is None:
        return None
    view, backends = match.view, match.view.behind(match.port)
    behind = [each for each in backends if each.address == got[0] and each.port in (got[1], None)]
    if behind:
        return None if any(_holds(topology, view, each, holder) for each in behind) else _another_pod(view, got, holder)
    who = holder.pod.name if holder.pod is not None else holder.name
    if got == (asked[0], asked[2]):
        why = f"no rule translates {asked[0]}:{asked[2]} of {view.name}: {who} holds the address and takes the packet"
        return Misled(why, "service-rules-missing")
    return Misled(
        f"rules send {view.name} to {got[0]}:{got[1]} ({who}), which is none of its {len(backends)} endpoints",
        "service-rules-stale",
    )


def _another_pod(view: ServiceView, got: tuple[str, int | None], holder: NetNsView) -> Misled:
    who = holder.pod.name if holder.pod is not None else holder.name
    why = f"{who} holds {got[0]} too, which is a backend of {view.name}, but another pod's"
    return Misled(why, "address-duplicate")


def _holds(topology: Topology, view: ServiceView, backend: Backend, holder: NetNsView) -> bool:
    """Whether a namespace is the one that a backend's slice speaks of; where no snapshot knows the pod, any is."""
    pods = topology.pods.get((view.service.namespace, backend.pod or ""), ())
    return not pods or holder.is_node or any(pod is holder for pod in pods)
