"""Sightings laid along the points of a way: which one is which point, and which are none.

Every point takes the sighting of its tap and way that fits its packet best, and of those the earliest. Times are only
compared at one tap: the taps of one packet may be a fraction of a microsecond apart, in either order, and the clocks
of different nodes have nothing in common.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from netfs.capture.compare.ground import Key, key_of
from netfs.capture.compare.points import Point
from netfs.model.live import Sighting
from netfs.model.packet import Encapsulation, Packet

Heard: TypeAlias = Mapping[tuple[Key, str], Sequence[Sighting]]
"""Sightings of one packet by tap and way, each oldest first."""

UNKNOWN_ADDRESSES = ("", "0.0.0.0", "::")
"""What a prediction says where it does not know the address."""


@dataclass(frozen=True, slots=True)
class Aligned:
    """One probe's packet along one way."""

    found: tuple[Sighting | None, ...]
    """Beside the points."""
    altered: tuple[int, ...] = ()
    """Which of them were seen there with other addresses, or in another tunnel, than predicted."""
    rest: tuple[Sighting, ...] = field(default=())
    """What is no point of the way, oldest first; fragments and copies that passed its taps again left out."""
    likeness: int = 0
    """How many of the details that are not decisive (TTL, ports, MACs) were as predicted."""

    @property
    def reach(self) -> int:
        """The last point that was seen; -1: none."""
        return max((index for index, one in enumerate(self.found) if one is not None), default=-1)


def heard(sightings: Iterable[Sighting]) -> Heard:
    """The sightings of one packet, by tap and way."""
    found: dict[tuple[Key, str], list[Sighting]] = {}
    for sighting in sightings:
        found.setdefault((key_of(sighting.tap), sighting.way), []).append(sighting)
    for ones in found.values():
        ones.sort(key=_order)
    return found


def align(points: Sequence[Point], sightings: Heard) -> Aligned:
    """Lay what was heard of one packet along the points of one way."""
    free = {place: [one for one in ones if not one.fragment] for place, ones in sightings.items()}
    found: list[Sighting | None] = []
    likeness = 0
    for point in points:
        fitting = [one for one in free.get((point.key, point.way), ()) if fits(point.packet, one.packet)]
        best = max(fitting, key=lambda one: like(point.packet, one.packet), default=None)
        if best is not None:
            free[point.key, point.way].remove(best)
            likeness += like(point.packet, best.packet)
        found.append(best)
    altered: list[int] = []
    for index, point in enumerate(points):
        left = free.get((point.key, point.way), []) if found[index] is None else []
        other = next((one for one in left if not _again(one, found)), None)
        if other is not None:
            left.remove(other)
            found[index] = other
            altered.append(index)
    passed = {(point.key, point.way) for point in points}
    rest = [
        one
        for place, ones in sightings.items()
        for one in (free[place] if place in passed else ones)
        if not (place in passed and _again(one, found))
    ]
    return Aligned(tuple(found), tuple(altered), tuple(sorted(rest, key=_order)), likeness)


def fits(predicted: Packet, seen: Packet) -> bool:
    """Whether a packet is the predicted one by what decides: its addresses, and the tunnel around it."""
    if not _address(predicted.src, seen.src) or not _address(predicted.dst, seen.dst):
        return False
    return _tunnel_fits(predicted.outer, seen.outer)


def _tunnel_fits(predicted: Encapsulation | None, seen: Encapsulation | None) -> bool:
    if predicted is None or seen is None:
        return predicted is seen
    return (
        (predicted.kind, predicted.vni) == (seen.kind, seen.vni)
        and _address(predicted.src, seen.src)
        and _address(predicted.dst, seen.dst)
        and _tunnel_fits(predicted.outer, seen.outer)
    )


def _address(predicted: str, seen: str) -> bool:
    return predicted in UNKNOWN_ADDRESSES or predicted == seen


def like(predicted: Packet, seen: Packet) -> int:
    """How many details that need not be known beforehand agree."""
    pairs = (
        (predicted.ttl, seen.ttl),
        (predicted.sport, seen.sport),
        (predicted.dport, seen.dport),
        (predicted.src_mac, seen.src_mac),
        (predicted.dst_mac, seen.dst_mac),
    )
    return sum(one is not None and one == other for one, other in pairs)


def same_frame(one: Packet, other: Packet) -> bool:
    """Whether two packets are one frame that was only copied: nothing routed or translated it in between."""
    mine = one.src, one.dst, one.ttl, one.sport, one.dport, one.src_mac, one.dst_mac
    return mine == (other.src, other.dst, other.ttl, other.sport, other.dport, other.src_mac, other.dst_mac)


def _again(one: Sighting, found: Sequence[Sighting | None]) -> bool:
    """Whether it is what was seen at the same tap already: the wire doubled it, or its sender sent it again."""
    return any(
        known is not None
        and (key_of(known.tap), known.way) == (key_of(one.tap), one.way)
        and same_frame(known.packet, one.packet)
        and known.packet.outer == one.packet.outer
        for known in found
    )


def _order(sighting: Sighting) -> tuple[int, str, int, int]:
    return sighting.at_ns, *key_of(sighting.tap)
