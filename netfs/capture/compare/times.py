"""When a packet was where, by the clock of its source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from netfs.capture.compare.align import Aligned
from netfs.capture.compare.clocks import Clocks, Tick, estimate
from netfs.capture.compare.ground import Key, key_of, link_of
from netfs.cluster.topology import Topology
from netfs.model.live import Clock, Sighting


@dataclass(frozen=True, slots=True)
class Times:
    """The clocks of one live trace."""

    topology: Topology
    kernels: Mapping[str, str]
    """The kernel of each node."""
    known: Clocks

    def between(self, first: Sighting, last: Sighting) -> float | None:
        """Microseconds from one sighting to another; None: the clocks do not tell. Never negative."""
        return self.known.since_us(self._tick(first), self._tick(last))

    def order(self, sightings: Iterable[Sighting]) -> list[Sighting]:
        """Oldest first. What a bridge or a tunnel passes up keeps the time at which its port took it in."""
        return sorted(sightings, key=self._moment)

    def clocks(self, nodes: Iterable[str]) -> tuple[Clock, ...]:
        """The clocks of those nodes that run by another one than the source."""
        kernels = ((node, self._kernel(node)) for node in sorted(set(nodes)))
        return tuple(self.known.of(node, kernel) for node, kernel in kernels if kernel != self.known.reference)

    def _moment(self, one: Sighting) -> tuple[float, bool, Key, str]:
        link = link_of(self.topology, one.tap)
        above = link is not None and link.kind in ("bridge", "vxlan", "macvlan")
        ahead = self.known.offset_ns(self._kernel(one.tap.node)) or 0.0
        return one.at_ns - ahead, above, key_of(one.tap), one.way

    def _tick(self, one: Sighting) -> Tick:
        return Tick(self._kernel(one.tap.node), one.at_ns)

    def _kernel(self, node: str) -> str:
        """A node that no snapshot holds has a clock of its own."""
        return self.kernels.get(node, node)


def times(topology: Topology, source: str, runs: Iterable[Aligned]) -> Times:
    """The clocks, from packets along their ways. ``source``: the node whose clock is the reference."""
    kernels = {snapshot.name: snapshot.kernel for snapshot in topology.snapshots}
    journeys: list[Sequence[Tick]] = [
        [Tick(kernels.get(one.tap.node, one.tap.node), one.at_ns) for one in run.found if one is not None]
        for run in runs
    ]
    return Times(topology, kernels, estimate(kernels.get(source, source), journeys))
