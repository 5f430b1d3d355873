"""The tap points of a predicted way: where a tap sees the packet, which way, and with which headers.

A hop is a step of the kernel, a point is a moment at which a device hands the packet to the taps: leaving, in
``dev_queue_xmit_nit`` (net/core/dev.c); arriving, in ``__netif_receive_skb_core``, before tc, rx_handlers and
netfilter. So several hops may be one sighting (the rules of PREROUTING, then the route), and the packet of an arrival
is as the hop before left it, not as the rules behind the tap changed it. A hop that drops the packet before a device
takes it has no point at all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from netfs.capture.compare.ground import Key, device_of, key_of, tap_of, view_of
from netfs.cluster.topology import Port, Topology
from netfs.datapath.stages import STAGES
from netfs.model.link import Link
from netfs.model.live import TapRef
from netfs.model.packet import Packet
from netfs.model.trace import Direction, Hop

IN, OUT = "in", "out"

ARRIVED = frozenset({"receive", "bridge", "macvlan", "route", "deliver", "ipvs"})
"""Stages of a packet that a device has just taken in. So is ``netfilter``, at the hooks of ``INWARD``."""
INWARD = ("prerouting", "input", "ingress")
"""Hooks that a packet meets after the taps of the device it came by (``NF_HOOK`` in ``ip_rcv``)."""
SENT = frozenset({"transmit", "bridge-output", "encapsulate"})
"""Stages at which a device is handed the packet to send."""


@dataclass(frozen=True, slots=True)
class Point:
    """A tap that should see the packet."""

    tap: TapRef
    way: str
    """``in`` or ``out``."""
    packet: Packet
    """As the tap sees it."""
    hops: tuple[int, ...]
    """Indexes of the hops that this one sighting is; of a point between two hops, the index of the one before."""
    shown: tuple[int, ...] = ()
    """Those of them that show it: where ``STAGES`` has a tap, else the first; none for a point between hops."""
    sure: bool = True
    """False: a tap may well not see it though all is as predicted (XDP runs before taps)."""

    @property
    def key(self) -> Key:
        """The tap's identity."""
        return key_of(self.tap)


def expected(topology: Topology, way: Direction) -> tuple[Point, ...]:
    """The points of a way, in the order in which the packet passes them; what is not known is left out."""
    reader = _Reader(topology)
    for hop in way.hops:
        reader.read(hop)
    reader.end()
    return tuple(replace(point, shown=_shown(way, point)) for point in reader.points)


def _shown(way: Direction, point: Point) -> tuple[int, ...]:
    if not point.shown:
        return ()
    stages = {hop.index: STAGES.get(hop.stage) for hop in way.hops}
    tapped = tuple(index for index in point.hops if (stage := stages.get(index)) is not None and stage.tap == point.way)
    return tapped or point.hops[:1]


class _Reader:
    """Walks the hops: ``leaving`` a namespace, ``arriving`` at a device, or ``here``, taken in by it."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.points: list[Point] = []
        self.state = "leaving"
        self.before: Hop | None = None

    def read(self, hop: Hop) -> None:
        if self.state == "here" and not self._goes_on(hop):
            self.state = "leaving"
        if self.state == "arriving":
            self._arrive(hop)
        elif self.state == "here":
            self._add(hop)
        elif self._turns(hop):
            self._turn(hop)
        elif hop.stage in SENT:
            self._send(hop)
        elif hop.stage == "neighbour":
            self._ask(hop)
        self.state = self._state_after(hop)
        self.before = hop

    def end(self) -> None:
        """A way may end between two devices: the frame circles, or nobody there is told of."""
        if self.state == "arriving" and self.before is not None and self.before.stage == "transmit":
            peer = self._peer(self.before)
            if peer is not None:
                self._between(peer, self.before, sure=False)

    def _state_after(self, hop: Hop) -> str:
        if hop.stage in ("transmit", "macvlan", "decapsulate"):
            return "arriving"
        if hop.stage == "bridge" and hop.action == "local":
            return "arriving"
        if hop.stage in ("bridge", "route", "output", "neighbour", "size", "queue", *SENT):
            return "leaving"
        return self.state if self.state != "arriving" else "here"

    def _arrive(self, hop: Hop) -> None:
        before = self.before
        if before is not None and before.stage == "transmit":
            link = device_of(self.topology, before)
            if link is not None and link.macvlan is not None:
                lower = self._lower(before, link)
                if hop.stage in SENT or (lower is not None and _is_at(hop, lower)):
                    self.state = "leaving"
                    self.read(hop)
                    return
                if lower is not None:
                    self._between(lower, before, sure=False)
            else:
                peer = self._peer(before) or self._over_wire(before, hop)
                if peer is not None and not _is_at(hop, peer):
                    self._between(peer, before)
        if hop.stage not in ("queue", "decapsulate", *SENT):
            self._take_in(hop)
        elif hop.stage in SENT:
            self._send(hop)

    def _goes_on(self, hop: Hop) -> bool:
        """Whether a hop is of the packet that the device has just taken in."""
        known = self.before
        return known is not None and _same_place(known, hop) and (hop.stage in ARRIVED or hop.stage == "netfilter")

    def _turns(self, hop: Hop) -> bool:
        """Whether a packet that was leaving is taken in without a step between: by loopback (``loopback_xmit``), by
        the bridge itself as one of the ports a frame is flooded to (``br_pass_frame_up``), by a tunnel of the same
        namespace (``encap_bypass_if_local``).
        """
        before = self.before
        inward = hop.stage in ARRIVED or (hop.stage == "netfilter" and hop.why.startswith(INWARD))
        if self.state != "leaving" or not inward:
            return False
        link = device_of(self.topology, hop)
        if before is None or (link is not None and link.loopback):
            return link is not None and link.loopback
        if before.stage == "bridge" and link is not None and link.kind == "bridge":
            return before.netns_id == hop.netns_id
        return before.stage == "encapsulate"

    def _turn(self, hop: Hop) -> None:
        link = device_of(self.topology, hop)
        if link is not None and link.loopback:
            last = self.before or hop
            self.points.append(Point(tap_of(hop, link), OUT, last.packet, (last.index,)))
        self._take_in(hop)

    def _ask(self, hop: Hop) -> None:
        """A translated frame is bridged on with its new neighbour's MAC. Unless that is known for certain, it is handed
        to the bridge device for it (``br_nf_pre_routing_finish_bridge``).
        """
        link = device_of(self.topology, hop)
        if self.before is not None and self.before.stage == "bridge" and link is not None and link.kind == "bridge":
            self.points.append(Point(tap_of(hop, link), OUT, hop.packet, (hop.index,), (hop.index,), sure=False))

    def _take_in(self, hop: Hop) -> None:
        link = device_of(self.topology, hop)
        packet = hop.packet if self.before is None else self.before.packet
        sure = link is None or not link.xdp
        self.points.append(Point(tap_of(hop, link), IN, packet, (hop.index,), (hop.index,), sure))
        self.state = "here"

    def _send(self, hop: Hop) -> None:
        before = self.before
        if before is not None and before.stage == hop.stage and _same_place(before, hop) and self.points:
            self._add(hop)
            return
        link = device_of(self.topology, hop)
        self.points.append(Point(tap_of(hop, link), OUT, hop.packet, (hop.index,), (hop.index,)))

    def _between(self, port: Port, before: Hop, *, sure: bool = True) -> None:
        view, link = port
        tap = TapRef(view.node.name, view.name, view.netns.id, link.name, link.index)
        self.points.append(Point(tap, IN, before.packet, (before.index,), (), sure and not link.xdp))

    def _add(self, hop: Hop) -> None:
        self.points[-1] = replace(self.points[-1], hops=(*self.points[-1].hops, hop.index))

    def _peer(self, hop: Hop) -> Port | None:
        view, link = view_of(self.topology, hop.node, hop.netns_id), device_of(self.topology, hop)
        return None if view is None or link is None else self.topology.peer(view, link)

    def _over_wire(self, before: Hop, hop: Hop) -> Port | None:
        """The port that a frame over a wire of machines came in by, where no hop tells of it."""
        view, link = view_of(self.topology, before.node, before.netns_id), device_of(self.topology, before)
        if view is None or link is None or hop.stage != "decapsulate" or not self.topology.is_wire(view, link):
            return None
        outer = before.packet.outer
        mac = (outer.dst_mac if outer is not None else before.packet.dst_mac) or ""
        ports = [port for port in self.topology.on_wire(view, link, mac) if port.view.netns.id == hop.netns_id]
        return ports[0] if len(ports) == 1 else None

    def _lower(self, hop: Hop, link: Link) -> Port | None:
        view = view_of(self.topology, hop.node, hop.netns_id)
        return None if view is None else self.topology.lower(view, link)


def _same_place(one: Hop, other: Hop) -> bool:
    return (one.node, one.netns_id, one.device) == (other.node, other.netns_id, other.device)


def _is_at(hop: Hop, port: Port) -> bool:
    here = port.view.node.name, port.view.netns.id, port.link.name
    return (hop.node, hop.netns_id, hop.device) == here
