"""A recording under way: from frames as they come to packets in the order of their time, and what they amount to."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from netfs.capture.file import linktype
from netfs.capture.seen import Sent
from netfs.capture.stations import Frame, Lost
from netfs.cluster.netns import NetNsView
from netfs.model.gaps import Gap
from netfs.model.live import TapRef
from netfs.model.recorded import Missed, Recorded, TapCount

ROUND_S = 0.2
"""How long packets are held back so that those of other taps come before them."""
OUTGOING = 4
"""PACKET_OUTGOING (include/uapi/linux/if_packet.h)."""
ARPHRD_LOOPBACK = 772
"""Those of other devices begin with IP."""

Place: TypeAlias = tuple[str, int]
"""A namespace: its node's name, and ``NetNs.id``."""


class Writer(Protocol):
    """What takes the packets: a capture file, lines of text."""

    def add_interface(self, name: str, linktype: int, snaplen: int, description: str) -> int:
        """A device that packets will come from; its number."""

    def write(self, interface: int, at_ns: int, data: bytes, length: int, *, way: str) -> None:
        """A packet. Raises OSError."""

    def statistics(self, interface: int, received: int, dropped: int) -> None:
        """A device's packets, and how many more there was no room for. Raises OSError."""

    def flush(self) -> None:
        """Hand on what was written. Raises OSError."""


@dataclass(frozen=True, slots=True)
class RecordWish:
    """What to record."""

    nodes: tuple[str, ...] = ()
    """Where is listened; none: at all of them, and in what lies between."""
    pods: tuple[str, ...] = ()
    """Whose packets, wherever they pass; none: everybody's."""
    namespace: str = "default"
    """Of pods that are named without one."""
    expression: str = ""
    """In the words of pcap-filter(7), see ``netfs.capture.filter``."""
    ports: tuple[int, ...] = ()
    """Of tunnels, beside the usual ones and those of the devices that were found."""
    count: int | None = None
    """Packets after which it ends."""
    duration_s: float | None = None
    snaplen: int = 262144
    """Bytes kept of a packet."""


@dataclass(slots=True)
class Heard:
    """A device, and what it heard so far."""

    tap: TapRef
    interface: int
    packets: int = 0
    bytes: int = 0


@dataclass(slots=True)
class Progress:
    """How a recording stands."""

    packets: int = 0
    bytes: int = 0
    seconds: float = 0.0
    first_ns: int | None = None
    last_ns: int | None = None
    devices: dict[tuple[str, int, int], Heard] = field(default_factory=dict)
    """By node, ``NetNs.id`` and index."""


class Recording:
    """Packets on their way to a writer."""

    def __init__(self, views: Sequence[NetNsView], wish: RecordWish, writer: Writer) -> None:
        self.progress = Progress()
        self._names = {(view.node.name, view.key.id): view.name for view in views}
        self._wish = wish
        self._writer = writer
        self._held: list[Frame] = []
        self._settled_ns = 0
        self._begun = self._round = time.monotonic()
        for (node, netns), view in zip(self._names, views, strict=True):
            for link in view.netns.links:
                self._add(node, netns, link.index, link.name, link.arp_type)
        writer.flush()

    @property
    def due(self) -> bool:
        """Whether a round is over."""
        return time.monotonic() - self._round >= ROUND_S

    @property
    def full(self) -> bool:
        """Whether the wish has its fill."""
        wish, progress = self._wish, self.progress
        return (wish.count is not None and progress.packets >= wish.count) or (
            wish.duration_s is not None and progress.seconds >= wish.duration_s
        )

    def take(self, batch: Iterable[Frame | Sent | Lost], gaps: list[Gap]) -> set[str]:
        """Hold frames until they are written; the nodes that were lost."""
        lost: set[str] = set()
        for one in batch:
            if isinstance(one, Frame):
                self._held.append(one)
            elif isinstance(one, Lost):
                gaps.append(Gap(one.node, "packets", one.why))
                lost.add(one.node)
        return lost

    def write_settled(self) -> None:
        """Write what is older than the newest packet of the round before: what was older still has come by now."""
        self._held.sort(key=_time)
        until = next((at for at, frame in enumerate(self._held) if frame.at_ns > self._settled_ns), len(self._held))
        self._settled_ns = max(self._settled_ns, self._held[-1].at_ns if self._held else 0)
        self._write(self._held[:until])
        del self._held[:until]

    def write_rest(self) -> None:
        """Write everything that is held."""
        self._held.sort(key=_time)
        self._write(self._held)
        self._held = []

    def write_statistics(self, dropped: Mapping[Place, int]) -> None:
        """Tell the writer what each device heard. What a namespace had no room for is told once: of its busiest one."""
        left = dict(dropped)
        for one in sorted(self.progress.devices.values(), key=lambda one: -one.packets):
            self._writer.statistics(one.interface, one.packets, left.pop((one.tap.node, one.tap.netns_id), 0))
        self._writer.flush()

    def recorded(self, dropped: Mapping[Place, int], gaps: Iterable[Gap]) -> Recorded:
        """The summary. ``dropped``: packets by node and ``NetNs.id``."""
        missed = (Missed(node, self._names[node, netns], many) for (node, netns), many in dropped.items() if many)
        heard = [TapCount(one.tap, one.packets, one.bytes) for one in self.progress.devices.values() if one.packets]
        return Recorded(
            packets=self.progress.packets,
            bytes=self.progress.bytes,
            seconds=round(self.progress.seconds, 3),
            first_ns=self.progress.first_ns,
            last_ns=self.progress.last_ns,
            taps=tuple(sorted(heard, key=lambda one: (-one.packets, one.tap.name))),
            silent=len(self.progress.devices) - len(heard),
            missed=tuple(missed),
            gaps=tuple(gaps),
        )

    def _write(self, frames: Iterable[Frame]) -> None:
        progress = self.progress
        for frame in frames:
            if self._wish.count is not None and progress.packets >= self._wish.count:
                break
            out = frame.pkttype == OUTGOING
            if out and frame.hatype == ARPHRD_LOOPBACK:
                continue  # it comes in at once, and would be there twice (libpcap's pcap-linux.c leaves it out as well)
            key = (frame.node, frame.netns, frame.ifindex)
            device = progress.devices.get(key) or self._add(*key, f"if{frame.ifindex}", frame.hatype)
            self._writer.write(device.interface, frame.at_ns, frame.data, frame.length, way="out" if out else "in")
            device.packets += 1
            device.bytes += frame.length
            progress.packets += 1
            progress.bytes += frame.length
            progress.first_ns = frame.at_ns if progress.first_ns is None else progress.first_ns
            progress.last_ns = frame.at_ns
        self._writer.flush()
        self._round = time.monotonic()
        progress.seconds = self._round - self._begun

    def _add(self, node: str, netns: int, index: int, name: str, arp_type: int) -> Heard:
        """A device; one that came later has no name that we know."""
        tap = TapRef(node, self._names[node, netns], netns, name, index)
        interface = self._writer.add_interface(
            tap.name,
            linktype.of_device(arp_type),
            self._wish.snaplen,
            description=f"device {index} of network namespace {tap.netns} (net:[{netns}]) on {node}",
        )
        return self.progress.devices.setdefault((node, netns, index), Heard(tap, interface))


def _time(frame: Frame) -> int:
    return frame.at_ns
