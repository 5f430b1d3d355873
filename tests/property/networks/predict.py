"""What the simulator says of a network that stands in the kernel, as a neutral record."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from netfs import datapath
from netfs.cluster.endpoint import Endpoint
from netfs.cluster.topology import Topology
from netfs.collect import Target, collect
from netfs.datapath.stages import STAGES
from netfs.model.trace import Direction
from tests.property.networks.build import Network


@dataclass(frozen=True, slots=True)
class Step:
    """One hop of the simulator."""

    netns: str
    device: str
    stage: str
    action: str
    tap: str | None
    """``in`` or ``out`` where a tap must see it; None where it cannot."""
    why: str

    def __str__(self) -> str:
        arrow = {"in": "<", "out": ">", None: ""}[self.tap]
        return f"{self.netns}/{self.device}{arrow}({self.stage})"


@dataclass(frozen=True, slots=True)
class Way:
    """One way the packet may take."""

    verdict: str
    steps: tuple[Step, ...] = ()
    reason: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Predicted:
    """What the simulator says."""

    forward: tuple[Way, ...] = ()
    """Every way that an equal-cost choice leaves open."""
    reverse: tuple[Way, ...] = ()
    error: str | None = None
    """The traceback, where the simulator or the collector broke."""


def topology(network: Network) -> Topology:
    """The network as the collector reads it: every namespace a node."""
    return Topology(collect([Target(name, network.path(name)) for name in network.fds]))


def predict(network: Network) -> Predicted:
    """Reads the network and follows its probe."""
    probe = network.spec.probe
    try:
        read = topology(network)
        source = Endpoint(f"node/{probe.source}", read.nodes[probe.source])
        target = Endpoint(f"node/{probe.target}", read.nodes[probe.target], probe.address)
        request = datapath.request(proto=probe.proto, port=probe.port, size=probe.size, df=True, family=probe.family)
        trace = datapath.trace(read, source, target, request)
    except Exception:  # noqa: BLE001 - whatever breaks in the simulator is a disagreement to be told
        return Predicted(error=traceback.format_exc())
    return Predicted(_ways(trace.forward), _ways(trace.reverse))


def _ways(direction: Direction) -> tuple[Way, ...]:
    return tuple(_way(branch) for branch in (direction, *direction.branches))


def _way(direction: Direction) -> Way:
    steps = tuple(
        Step(hop.netns, hop.device, hop.stage, hop.action, STAGES[hop.stage].tap, hop.why) for hop in direction.hops
    )
    drop = direction.drop
    if drop is not None:
        return Way(direction.verdict, steps, drop.reason, drop.why)
    return Way(direction.verdict, steps, "", direction.unknown or "")
