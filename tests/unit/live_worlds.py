"""Live traces made by hand: a prediction from the clusters of ``clusters``, and what taps would have seen of it.

world = healthy()                                 # pod-a to pod-b over VXLAN, as predicted and nothing seen
world.compared(world.all_seen())                  # every tap saw the probe and its answer
world.compared(world.seen(world.there[:5]))       # the probe vanished behind the fifth tap
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from netfs.capture.compare.compare import compare
from netfs.capture.compare.ground import view_of
from netfs.capture.compare.points import Point, expected
from netfs.capture.seen import Seen, Sent
from netfs.cluster.endpoint import resolve
from netfs.cluster.topology import Topology
from netfs.datapath import request, trace
from netfs.model.live import KernelWord, Live, Sighting, TapRef
from netfs.model.packet import Encapsulation, Packet
from netfs.model.trace import Direction, Trace
from tests.unit import clusters
from tests.unit.proxied_clusters import clustered, proxied, rules, service

START_NS = 1_700_000_000_000_000_000


@dataclass(frozen=True)
class World:
    """A topology, and a trace through it."""

    topology: Topology
    trace: Trace

    @cached_property
    def there(self) -> tuple[Point, ...]:
        return expected(self.topology, self.trace.forward)

    @cached_property
    def back(self) -> tuple[Point, ...]:
        return expected(self.topology, self.trace.reverse)

    def seen(self, points: Iterable[Point], role: str = "probe", number: int = 0, at_us: float = 0.0) -> list[Sighting]:
        """A packet at these points, a microsecond apart."""
        return [
            Sighting(point.tap, point.way, START_NS + int(1000 * (at_us + step)), number, role, real(point.packet), 98)
            for step, point in enumerate(points)
        ]

    def all_seen(self, number: int = 0) -> list[Sighting]:
        """The probe and its answer at every tap."""
        at_us = 1000.0 * number
        return [
            *self.seen(self.there, "probe", number, at_us),
            *self.seen(self.back, "answer", number, at_us + 500),
        ]

    def compared(self, sightings: Sequence[Sighting], **more: Any) -> Trace:
        """The trace beside what was seen; every device of the topology is a tap."""
        known: dict[str, Any] = {"sent": (Sent(0, START_NS),), "taps": taps(self.topology)}
        return compare(self.topology, self.trace, Seen(sightings=tuple(sightings), **(known | more)))

    def live(self, sightings: Sequence[Sighting], **more: Any) -> Live:
        """``Trace.live`` of that."""
        found = self.compared(sightings, **more).live
        assert found is not None
        return found

    def tap(self, name: str) -> TapRef:
        """A tap by its name: ``node1/cni0``."""
        return next(tap for tap in taps(self.topology) if tap.name == name)

    def at(self, name: str, way: str, like: Sighting, at_us: float = 400.0, **packet: Any) -> Sighting:
        """Another sighting of a packet, elsewhere."""
        changed = replace(like.packet, **packet)
        return replace(like, tap=self.tap(name), way=way, packet=changed, at_ns=START_NS + int(1000 * at_us))


def real(packet: Packet) -> Packet:
    """A packet as a tap sees it: what the prediction leaves open has a value."""
    outer = packet.outer if packet.outer is None else _real_tunnel(packet.outer)
    sport = 40000 if packet.sport is None and packet.proto in ("tcp", "udp") else packet.sport
    return replace(packet, outer=outer, sport=sport, mark=0)


def _real_tunnel(outer: Encapsulation) -> Encapsulation:
    return replace(outer, sport=50000, outer=None if outer.outer is None else _real_tunnel(outer.outer))


def taps(topology: Topology) -> tuple[TapRef, ...]:
    """A tap at every device."""
    return tuple(
        TapRef(view.node.name, view.name, view.netns.id, link.name, link.index)
        for view in topology.views.values()
        for link in view.netns.links
    )


def world(topology: Topology, source: str = "pod-a", destination: str = "pod-b", **wish: Any) -> World:
    """A trace through a topology."""
    ends = resolve(topology, source), resolve(topology, destination)
    return World(topology, trace(topology, *ends, request(**wish)))


def healthy(source: str = "pod-a", destination: str = "pod-b", **wish: Any) -> World:
    """A trace through the lab of two nodes."""
    return world(clusters.two_nodes(), source, destination, **wish)


def broken(source: str = "pod-a", destination: str = "pod-b", **changes: Any) -> World:
    """A trace through the lab with edits by namespace."""
    return world(clusters.two_nodes(**changes), source, destination)


def web(*backends: str, source: str = "pod-a") -> World:
    """A trace to a Service with these backends."""
    cluster = clustered(service(*backends), node1=rules(nat=proxied(*backends)), node2=rules(nat=proxied(*backends)))
    return World(cluster.topology, cluster.trace(source, "svc/web"))


def machines(nodes: int = 3, source: str = "pod-a", destination: str = "pod-b") -> World:
    """A trace through machines, each with a kernel and a clock of its own."""
    return world(Topology(clusters.synthetic_snapshots(nodes, 2)), source, destination)


def dropped_at(
    tap: TapRef, reason: str, location: str, number: int | None = 0, role: str | None = "probe"
) -> KernelWord:
    """What a kernel says of a drop."""
    return KernelWord(tap, reason, location, START_NS + 99_000, number, role)


def ways(answer: Trace) -> Iterable[Direction]:
    """Every way of a trace, there and back."""
    for direction in (answer.forward, answer.reverse):
        yield direction
        yield from direction.branches


def links_of(topology: Topology, tap: TapRef) -> Any:
    """The device of a tap."""
    view = view_of(topology, tap.node, tap.netns_id)
    assert view is not None
    return view.links[tap.index]
