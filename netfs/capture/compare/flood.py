"""Copies of a frame that bridges and tunnels must make, told from packets that went astray.

A bridge that does not know a MAC sends the frame out of every port (``br_flood``, net/bridge/br_forward.c), a tunnel to
every end of its entry; whoever is not meant ignores it (OTHERHOST). Such a copy is the very frame, in the same layer-2
segment, taken in by nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from netfs.capture.compare.align import Aligned, same_frame
from netfs.capture.compare.ground import Key, key_of, link_of, place_of, view_of
from netfs.capture.compare.points import IN, Point
from netfs.cluster.netns import NetNsView
from netfs.cluster.topology import Port, Topology
from netfs.model.link import Link
from netfs.model.live import Sighting, TapRef
from netfs.model.trace import Drop

OTHERHOST = "OTHERHOST"
"""The one drop at a bridge that copies do not contradict: nobody behind it takes them."""


@dataclass(frozen=True, slots=True)
class Parted:
    """What was seen off the way."""

    off: tuple[Sighting, ...] = ()
    """Where nothing should have been."""
    copies: tuple[Sighting, ...] = ()
    """Copies of a flooded frame."""


def part(topology: Topology, points: Sequence[Point], aligned: Aligned, drop: Drop | None, at: str | None) -> Parted:
    """Part what is off the way. ``at``: the stage at which the prediction drops the packet."""
    if not aligned.rest:
        return Parted()
    on_way = [one for one in aligned.found if one is not None]
    if not on_way or _turned_away(topology, points, aligned) or _refused(drop, at):
        return Parted(aligned.rest)
    keys, vnis = _segment(topology, (one.tap for one in on_way))
    off: list[Sighting] = []
    copies: list[Sighting] = []
    for one in aligned.rest:
        (copies if _is_copy(topology, one, on_way, keys, vnis) else off).append(one)
    return Parted(tuple(off), tuple(copies))


def _turned_away(topology: Topology, points: Sequence[Point], aligned: Aligned) -> bool:
    """Whether the frame did not leave a bridge by the port, or upwards, as it should have."""
    missing = next((index for index, one in enumerate(aligned.found) if one is None), None)
    if not missing:
        return False
    before, after = points[missing - 1], points[missing]
    here, there = link_of(topology, before.tap), link_of(topology, after.tap)
    if here is None or there is None or place_of(before.tap) != place_of(after.tap):
        return False
    bridge = there.index if there.kind == "bridge" else there.master
    return bridge is not None and bridge in (here.master, here.index)


def _refused(drop: Drop | None, at: str | None) -> bool:
    """Whether the prediction says that a bridge sends the frame nowhere."""
    return drop is not None and drop.reason != OTHERHOST and at in ("bridge", "bridge-output")


def _is_copy(topology: Topology, one: Sighting, on_way: Sequence[Sighting], keys: set[Key], vnis: set[int]) -> bool:
    frame, link = one.packet, link_of(topology, one.tap)
    same = [known.packet for known in on_way if same_frame(known.packet, frame)]
    if not same or frame.src_mac is None or link is None:
        return False
    if frame.outer is not None and all(packet.outer != frame.outer for packet in same):
        return frame.outer.vni in vnis or any(packet.outer is not None for packet in same)
    if link.mac == frame.dst_mac if one.way == IN else link.master is None and frame.outer is None:
        return False
    if one.way == IN and _from_host(topology, one.tap, link):
        return False
    return key_of(one.tap) in keys and any(packet.outer == frame.outer for packet in same)


def _from_host(topology: Topology, tap: TapRef, link: Link) -> bool:
    """Whether what comes in by a bridge's port was made by the host behind it: no bridge is there to copy anything."""
    view = view_of(topology, tap.node, tap.netns_id)
    peer = topology.peer(view, link) if view is not None and link.master is not None else None
    return peer is not None and peer.link.master is None and (peer.view.key, peer.link.index) not in topology.macvlans


def _segment(topology: Topology, taps: Iterable[TapRef]) -> tuple[set[Key], set[int]]:
    """The devices that a frame at these taps may be copied to below IP, and the VNIs of the tunnels among them that a
    bridge floods into.
    """
    keys: set[Key] = set()
    vnis: set[int] = set()
    ahead = [
        Port(view, link)
        for tap in taps
        if (view := view_of(topology, tap.node, tap.netns_id)) is not None
        and (link := view.links.get(tap.index)) is not None
    ]
    while ahead:
        view, link = ahead.pop()
        key = view.node.name, view.netns.id, link.index
        if key in keys or link.loopback:
            continue
        keys.add(key)
        if link.vxlan is not None and link.master is not None:
            vnis.add(link.vxlan.vni)
        ahead += _beside(topology, view, link)
    return keys, vnis


def _beside(topology: Topology, view: NetNsView, link: Link) -> Iterator[Port]:
    """The devices that a frame goes on to from this one without being routed."""
    for port in view.ports.get(link.index, ()) if link.kind == "bridge" else ():
        yield Port(view, port)
    if link.master is not None and (master := view.links.get(link.master)) is not None:
        yield Port(view, master)
    peer = topology.peer(view, link)
    if peer is not None:
        yield peer
    if link.macvlan is not None and (lower := topology.lower(view, link)) is not None:
        yield lower
    yield from topology.macvlans.get((view.key, link.index), ())
    if link.vxlan is not None:
        for tunnels in topology.tunnels.values():
            yield from (end for end in tunnels if end.link.vxlan is not None and end.link.vxlan.vni == link.vxlan.vni)
    if topology.is_wire(view, link):
        for node in topology.nodes.values():
            for other in node.netns.links:
                if topology.share_wire(view, link, Port(node, other)):
                    yield Port(node, other)
