"""Frames of taps to sightings: which probe it is, or what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple, Protocol, TypeAlias, TypeVar

from netfs.capture.marker import Marker
from netfs.capture.probe import dissect, identify, turns
from netfs.capture.probe.dissect import Level
from netfs.capture.probe.icmp import ECHO, ERRORS
from netfs.capture.probe.identify import ACK, ANSWER, ERROR, PROBE, RST, SYN
from netfs.model.live import Sighting, TapRef
from netfs.model.packet import Encapsulation, Packet

FLAGS = ((SYN, "syn"), (0x01, "fin"), (RST, "rst"), (0x08, "psh"), (ACK, "ack"))
"""TCP's that decide anything."""
_PROTOCOLS = {1: "icmp", 58: "icmp", 6: "tcp", 17: "udp"}


class Frame(Protocol):
    """What a tap heard."""

    @property
    def data(self) -> bytes:
        """From the first byte of the link-layer header; of devices without one, from IP's."""

    @property
    def length(self) -> int:
        """Bytes on the wire."""

    @property
    def at_ns(self) -> int:
        """Nanoseconds since the epoch, by the node's clock."""

    @property
    def hatype(self) -> int:
        """ARPHRD_* of the device."""


F = TypeVar("F", bound=Frame)


class Recognised(NamedTuple):
    """A sighting, and what others need to be told from it."""

    sighting: Sighting
    numbered: bool
    whole: tuple[tuple[str, str, int], ...]
    """(source, destination, identification) of every packet of the frame up to the probe's: of which later
    fragments are fragments."""


Known: TypeAlias = dict[tuple[bytes, bool], Recognised | None]
"""What bytes are, with a MAC header before them or without."""


def sightings(marker: Marker, heard: Iterable[tuple[Frame, TapRef, str]]) -> tuple[Sighting, ...]:
    """What frames are of the marker's probes, each with its tap and its way, in the order in which they were heard.

    A later fragment is the probe's or the answer's as its first fragment is. Which probe an answer of UDP is of that
    does not repeat its payload, ``turns`` says.
    """
    return tuple(seen for _, seen in paired(marker, heard))


def paired(marker: Marker, heard: Iterable[tuple[F, TapRef, str]]) -> tuple[tuple[F, Sighting], ...]:
    """As ``sightings``, each with the frame it was told from."""
    known: Known = {}
    found = [
        (frame, one) for frame, tap, way in heard if (one := recognised(marker, frame, tap, way, known)) is not None
    ]
    roles = {key: one.sighting.role for _, one in found if not one.sighting.fragment for key in one.whole}
    probes = [one.sighting for _, one in found if one.sighting.role == PROBE]
    completed = [_completed(one, roles) for _, one in found]
    for role in (ANSWER, ERROR):
        nameless = [
            index
            for index, (_, one) in enumerate(found)
            if not one.numbered and not one.sighting.fragment and one.sighting.role == role
        ]
        for index, number in zip(
            nameless, turns.numbers([completed[index] for index in nameless], probes), strict=True
        ):
            completed[index] = replace(completed[index], number=number)
    return tuple((frame, seen) for (frame, _), seen in zip(found, completed, strict=True))


def _completed(one: Recognised, roles: Mapping[tuple[str, str, int], str]) -> Sighting:
    seen = one.sighting
    return replace(seen, role=roles.get(one.whole[-1], seen.role)) if seen.fragment else seen


def sighting(marker: Marker, frame: Frame, tap: TapRef, way: str) -> Sighting | None:
    """What one frame is; None: nothing of the marker's, or not to be told from its bytes.

    Alone, a later fragment is taken for the probe's, and an answer without a number for the first one's.
    """
    one = recognised(marker, frame, tap, way)
    return None if one is None else one.sighting


def recognised(marker: Marker, frame: Frame, tap: TapRef, way: str, known: Known | None = None) -> Recognised | None:
    """As ``sighting``, with what others are told from.

    ``known`` keeps what was found: both ends of a cable hear the same bytes, and decoding them takes the longest.
    """
    ethernet = frame.hatype in dissect.ETHERNET_LIKE
    key = frame.data, ethernet
    if known is None:
        known = {}
    if key not in known:
        try:
            known[key] = _recognised(marker, frame.data, ethernet, tap)
        except dissect.UndecodableError:
            known[key] = None
    one = known[key]
    if one is None:
        return None
    return one._replace(sighting=replace(one.sighting, tap=tap, way=way, at_ns=frame.at_ns, length=frame.length))


def _recognised(marker: Marker, data: bytes, ethernet: bool, tap: TapRef) -> Recognised | None:
    """What bytes are, wherever and whenever they were heard."""
    ethertype = dissect.TRANSPARENT_ETHERNET if ethernet else None
    whole: list[tuple[str, str, int]] = []
    for level, outer in dissect.levels(data, ethertype, marker.tunnels):
        whole.append((level.src, level.dst, level.identification))
        met = identify.met(marker, level)
        if met is not None:
            seen = Sighting(
                tap=tap,
                way="",
                at_ns=0,
                number=met.number or 0,
                role=met.role,
                packet=packet(level, outer),
                length=0,
                fragment=level.offset > 0,
                error=met.error,
            )
            return Recognised(seen, met.number is not None, tuple(whole))
    return None


def packet(level: Level, outer: Encapsulation | None) -> Packet:
    """The headers of one level, and of the tunnels it lies in."""
    ports = level.protocol in (dissect.TCP, dissect.UDP) and not level.offset and len(level.payload) >= 4
    return Packet(
        src=level.src,
        dst=level.dst,
        proto=_PROTOCOLS.get(level.protocol, str(level.protocol)),
        sport=int.from_bytes(level.payload[:2]) if ports else None,
        dport=int.from_bytes(level.payload[2:4]) if ports else None,
        size=level.size,
        ttl=level.ttl,
        df=level.df,
        tos=level.tos,
        src_mac=level.src_mac,
        dst_mac=level.dst_mac,
        icmp_type=_icmp_type(level),
        tcp_flags=_tcp_flags(level),
        outer=outer,
    )


def _icmp_type(level: Level) -> str | None:
    if level.protocol not in (dissect.ICMP, dissect.ICMPV6) or level.offset or not level.payload:
        return None
    version, kind = level.version, level.payload[0]
    return ECHO[version].get(kind) or ERRORS[version].get(kind)


def _tcp_flags(level: Level) -> str | None:
    """As ``syn``, ``syn-ack``, ``fin-ack``, ``rst``, ``psh-ack``."""
    if level.protocol != dissect.TCP or level.offset or len(level.payload) < 14:
        return None
    flags = level.payload[13]
    return "-".join(name for bit, name in FLAGS if flags & bit)
