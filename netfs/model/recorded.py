"""What ``netfs capture`` answers: what was recorded, and what was not. ``netfs.capture/v1`` is this file as JSON."""

from __future__ import annotations

from dataclasses import dataclass

from netfs.model.gaps import Gap
from netfs.model.live import TapRef

SCHEMA = "netfs.capture/v1"


@dataclass(frozen=True, slots=True)
class TapCount:
    """What one device heard."""

    tap: TapRef
    packets: int
    bytes: int
    """On the wire, link-layer header included."""


@dataclass(frozen=True, slots=True)
class Missed:
    """Packets that matched, and for which the kernel had no room any more (packet(7), PACKET_STATISTICS)."""

    node: str
    netns: str
    """The pod's name or the node's."""
    packets: int


@dataclass(frozen=True, slots=True)
class Recorded:
    """The summary of a capture."""

    packets: int
    bytes: int
    seconds: float
    """From the moment everything listened until the end."""
    first_ns: int | None
    """Nanoseconds since the epoch, of the first and the last packet; None: there was none."""
    last_ns: int | None
    taps: tuple[TapCount, ...]
    """Devices that heard something, most packets first."""
    silent: int
    """Devices that were listened at, and heard nothing."""
    missed: tuple[Missed, ...] = ()
    gaps: tuple[Gap, ...] = ()
    """Namespaces that could not be listened in, nodes whose listener was lost."""
    file: str | None = None
    schema: str = SCHEMA
