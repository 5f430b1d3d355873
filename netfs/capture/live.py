"""One live trace: taps opened along a predicted way, a marked probe sent, what was seen laid beside the prediction.

trace ─► places ─► marker, filter, orders ─► stations ─► frames ─► sightings ─► compare ─► trace
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from netfs.capture.compare.compare import compare
from netfs.capture.compare.kernel import tie
from netfs.capture.filter import program
from netfs.capture.marker import Marker
from netfs.capture.orders import listened, marker_of, orders_of, placed, reachable, sender_of, source_of
from netfs.capture.probe import recognise
from netfs.capture.seen import Seen, Sent
from netfs.capture.stations import Ended, Frame, Lost, Opened, Stations
from netfs.capture.wish import Wish
from netfs.cluster.netns import NetNsView
from netfs.cluster.topology import Topology
from netfs.errors import SourceError
from netfs.model.live import KernelWord, Sighting, TapRef
from netfs.model.packet import Packet
from netfs.model.trace import Trace
from netfs.sources.reach import Reach

GRACE_S = 0.03
"""How long is still listened once every answer is home: copies and strays come at the same time."""
OPENING_S = 10.0
"""How long stations may take to open their taps."""
ASKING_S = 3.8
"""A neighbour is asked three times, a second apart, before a packet is dropped for want of him (``neigh_timer_handler``
in net/core/neighbour.c, ``mcast_solicit``, ``retrans_time``)."""
ASKED_FOR = frozenset({"NEIGH_FAILED", "NEIGH_QUEUEFULL"})
_IN_USE = os.strerror(errno.EADDRINUSE)
OUTGOING = 4
"""PACKET_OUTGOING of ``sll_pkttype`` (packet(7))."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One frame of the probe, and what it is."""

    frame: Frame
    sighting: Sighting


@dataclass(frozen=True, slots=True)
class Watched:
    """A live trace, and every frame it was told from."""

    trace: Trace
    heard: tuple[Heard, ...]


def run(
    topology: Topology,
    reaches: Mapping[str, Reach],
    trace: Trace,
    asked: Packet,
    wish: Wish,
    *,
    bound: str = "",
    df: bool | None = None,
) -> Watched:
    """Send the packet of a trace, and say what was seen of it.

    ``asked`` is the packet as it sets out, ``bound`` the source address where the kernel is not to choose it, ``df`` as
    in ``netfs.datapath.request``. Sends ``wish.count`` probes from the source's namespace, and nothing else. Raises
    SourceError where that namespace cannot be entered, or is one of a saved snapshot; UsageError where the probe cannot
    hold its mark.
    """
    source = source_of(topology, trace)
    reaches[source.node.name].path(source.netns.id)
    marker = marker_of(topology, trace, asked)
    views, deaf = reachable(listened(topology, trace, source), reaches)
    sender = sender_of(marker, asked, wish, bound, df)
    orders = orders_of(views, reaches, source, sender, program.for_marker(marker), asked)
    listening = _Listening(marker, views, source, wish)
    with Stations(orders) as stations:
        opened = stations.open(OPENING_S)
        _must_send(opened, source)
        stations.go()
        listening.listen(stations, _patience(trace, wish, told=_unheard(opened) is None))
        ended = stations.stop()
        listening.take(stations.frames(0))
    return listening.answer(topology, trace, deaf, opened, ended)


def _must_send(opened: Sequence[Opened], source: NetNsView) -> None:
    """Raise SourceError where the probe cannot set out."""
    for one in opened:
        if one.node == source.node.name and (one.lost or one.sender):
            why = one.lost or one.sender or ""
            taken = "that source port is somebody's there: choose another --sport, or none" if _IN_USE in why else ""
            raise SourceError(f"no probe can be sent: {why}", where=placed(source), hint=taken)


def _patience(trace: Trace, wish: Wish, *, told: bool) -> float:
    """Seconds to wait for answers: where the kernel tells of its drops, and one for want of a neighbour is predicted,
    long enough for the kernel to give him up.
    """
    drops = [way.drop.reason for way in trace.ways if way.drop is not None]
    return max(wish.wait_s, ASKING_S) if told and ASKED_FOR.intersection(drops) else wish.wait_s


class _Listening:
    """What is heard while the probe is under way."""

    def __init__(self, marker: Marker, views: Sequence[NetNsView], source: NetNsView, wish: Wish) -> None:
        self.marker = marker
        self.views = {(view.node.name, view.netns.id): view for view in views}
        self.source = (source.node.name, source.netns.id)
        self.wish = wish
        self.frames: list[Frame] = []
        self.sent: list[Sent] = []
        self.lost: list[str] = []
        self.home: set[int] = set()
        """Probes that were answered, by whatever."""
        self.waited_s = 0.0

    def listen(self, stations: Stations, patience_s: float) -> None:
        """Until every probe is sent and answered, or ``patience_s`` after the last one."""
        sending = self.wish.interval_s * (self.wish.count - 1)
        self.take(stations.frames(sending + OPENING_S, until=self._all_sent))
        begun = time.monotonic()
        self.take(stations.frames(patience_s, until=self._complete))
        self.take(stations.frames(GRACE_S))
        self.waited_s = time.monotonic() - begun

    def _all_sent(self) -> bool:
        return len(self.sent) >= self.wish.count or bool(self.lost)

    def _complete(self) -> bool:
        refused = {one.number for one in self.sent if one.error is not None}
        return len(self.home | refused) >= self.wish.count

    def take(self, records: Iterable[Frame | Sent | Lost]) -> None:
        """Keep what comes."""
        for record in records:
            if isinstance(record, Frame):
                self.frames.append(record)
                if (record.node, record.netns) == self.source and record.pkttype != OUTGOING:
                    self._came_home(record)
            elif isinstance(record, Sent):
                self.sent.append(record)
            else:
                self.lost.append(f"{record.node}: its listener ended: {record.why}")

    def _came_home(self, frame: Frame) -> None:
        seen = recognise.sighting(self.marker, frame, self._tap(frame), "in")
        if seen is not None and seen.role in ("answer", "error"):
            self.home.add(seen.number)

    def _tap(self, frame: Frame) -> TapRef:
        view = self.views[frame.node, frame.netns]
        link = view.links.get(frame.ifindex)
        device = link.name if link is not None else f"device {frame.ifindex}"
        return TapRef(view.node.name, view.name, view.netns.id, device, frame.ifindex)

    def answer(
        self,
        topology: Topology,
        trace: Trace,
        deaf: tuple[str, ...],
        opened: Sequence[Opened],
        ended: Sequence[Ended],
    ) -> Watched:
        """The trace with what was seen."""
        triples = [(one, self._tap(one), "out" if one.pkttype == OUTGOING else "in") for one in self.frames]
        pairs = recognise.paired(self.marker, triples)
        sightings = tuple(sighting for _, sighting in pairs)
        shut = [
            f"{placed(self.views[one.node, netns])}: not listened to: {why}"
            for one in opened
            for netns, why in one.deaf.items()
        ]
        taps = _taps(self.views, opened)
        seen = Seen(
            sent=tuple(self.sent),
            sightings=sightings,
            taps=taps,
            deaf=(*deaf, *shut, *self.lost),
            drops=_drops(self.views, ended, sightings, taps, self.marker.family),
            unheard=_unheard(opened),
            waited_s=self.waited_s,
            lost=sum(tally.dropped for one in ended for tally in one.posts.values()),
        )
        return Watched(
            compare(topology, trace, seen, self.marker.token.hex()),
            tuple(Heard(frame, sighting) for frame, sighting in pairs),
        )


def _taps(views: Mapping[tuple[str, int], NetNsView], opened: Sequence[Opened]) -> tuple[TapRef, ...]:
    """Every device of every namespace that was listened in."""
    lost = {one.node for one in opened if one.lost}
    shut = {(one.node, netns) for one in opened for netns in one.deaf}
    return tuple(
        TapRef(view.node.name, view.name, view.netns.id, link.name, link.index)
        for place, view in views.items()
        if place not in shut and place[0] not in lost
        for link in view.netns.links
    )


def _drops(
    views: Mapping[tuple[str, int], NetNsView],
    ended: Sequence[Ended],
    sightings: Sequence[Sighting],
    taps: Sequence[TapRef],
    family: int,
) -> tuple[KernelWord, ...]:
    """What each kernel told of the probe's packets, tied to what was seen on its own nodes."""
    kernels = {node: view.node.kernel for (node, _), view in views.items()}
    words: list[KernelWord] = []
    for one in ended:
        if one.events:
            here = {node for node, kernel in kernels.items() if kernel == kernels[one.node]}
            seen = [sighting for sighting in sightings if sighting.tap.node in here]
            words += tie(one.events, seen, [tap for tap in taps if tap.node in here], family)
    return tuple(words)


def _unheard(opened: Sequence[Opened]) -> str | None:
    """Why a kernel did not tell of its drops; None where every one does."""
    reasons = [f"{one.node}: {one.tracing}" for one in opened if one.tracing]
    return "; ".join(reasons) or None
