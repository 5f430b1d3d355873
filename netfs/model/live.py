"""What a live trace saw: taps, sightings, the kernel's own words, and what they say beside the prediction."""

from __future__ import annotations

from dataclasses import dataclass

from netfs.model.packet import Encapsulation, Packet

AGREES = "agrees"
LOST = "lost"
OTHER_PATH = "other-path"
STRAY = "stray"
FURTHER = "further"
UNHEARD = "unheard"

ONWARD = ("NEIGH_", "QDISC_", "TC_EGRESS")
"""How the reasons of drops begin that meet a packet before the next device hands it to its taps."""


@dataclass(frozen=True, slots=True)
class TapRef:
    """A point where capture listens: a device of a namespace."""

    node: str
    netns: str
    """The pod's name or the node's."""
    netns_id: int
    """``NetNs.id``."""
    device: str
    index: int
    """Interface index within the namespace."""

    @property
    def name(self) -> str:
        """``node1/cni0``; ``node1/pod-a/eth0`` where the namespace is not the node's own."""
        return f"{self.node}/{self.device}" if self.netns == self.node else f"{self.node}/{self.netns}/{self.device}"


@dataclass(frozen=True, slots=True)
class Sighting:
    """One packet of a probe at one tap."""

    tap: TapRef
    way: str
    """``in`` or ``out``, as the device sees it."""
    at_ns: int
    """The kernel's timestamp: nanoseconds since the epoch, by the clock of the tap's node."""
    number: int
    """Which probe, from 0."""
    role: str
    """``probe``, ``answer``, ``error`` (an ICMP error about either) or ``reset`` (what ends the handshake)."""
    packet: Packet
    """Its headers, outer ones included."""
    length: int
    """Bytes on the wire, link-layer header included."""
    fragment: bool = False
    """A fragment that is not the first."""
    error: str = ""
    """What an ICMP error says: ``fragmentation needed, MTU 1450 (from 10.0.0.1)``."""


@dataclass(frozen=True, slots=True)
class KernelWord:
    """A drop of a probe's packet, as the kernel told it (``skb:kfree_skb``)."""

    tap: TapRef | None
    """The device where the packet was last; None: which of several is not known."""
    reason: str
    """SKB_DROP_REASON_* without its prefix."""
    location: str
    """The function that freed it."""
    at_ns: int
    number: int | None = None
    """Which probe; None: not known."""
    role: str | None = None

    @property
    def place(self) -> str:
        """``at node1/eth0``; ``behind node1/cni0`` where the packet was on its way to the next device already, which
        is not known: it waited for a neighbour, or in that device's queue (``__dev_queue_xmit``). "": not known.
        """
        if self.tap is None:
            return ""
        return f"{'behind' if self.reason.startswith(ONWARD) else 'at'} {self.tap.name}"


@dataclass(frozen=True, slots=True)
class Clock:
    """How far a node's clock is ahead of the source's, as told by packets both ways (RFC 5905 section 8)."""

    node: str
    offset_us: float | None
    """None: no packet came both ways."""
    uncertainty_us: float
    """The offset lies within plus or minus this; 0 where both run by one clock."""


@dataclass(frozen=True, slots=True)
class LiveWay:
    """What was seen of one direction, beside what was predicted."""

    verdict: str
    """``agrees``: as predicted. ``lost``: it vanished where it should have gone on. ``other-path``: it went on, but
    elsewhere. ``stray``: it came as predicted, and was seen where it should not be. ``further``: beyond what could
    be predicted. ``unheard``: the taps do not tell."""
    why: str
    sent: int = 0
    """Packets that set out."""
    arrived: int = 0
    """Packets that were seen where they were to be delivered."""
    last: TapRef | None = None
    """Where a lost packet, also one that was predicted to be, was seen last."""
    next: TapRef | None = None
    """Where it should have been seen next."""
    hops: tuple[int, ...] = ()
    """Indexes of the hops among which it was lost: from the last one seen, whose tap comes before what the hop does, up
    to the first one not seen."""
    elsewhere: tuple[Sighting, ...] = ()
    """Sightings off the predicted way, one for each tap, oldest first."""
    branch: int = 0
    """Which of the direction's ways it took: 0 is the direction itself, 1 the first of its branches."""
    latency_us: tuple[float, float, float] | None = None
    """From the first tap to the last: least, median, most; None where it did not arrive, or by no one clock."""


@dataclass(frozen=True, slots=True)
class Live:
    """What ``--live`` adds to a trace."""

    forward: LiveWay
    reverse: LiveWay
    count: int
    """Probes sent."""
    marker: str
    """What they are recognised by, in hex."""
    taps: tuple[TapRef, ...] = ()
    """Where was listened."""
    drops: tuple[KernelWord, ...] = ()
    unheard: str | None = None
    """Why the kernel did not tell of drops; None: it was asked."""
    clocks: tuple[Clock, ...] = ()
    """Of every node by another clock than the source's."""
    notes: tuple[str, ...] = ()
    """Taps that could not be opened, ICMP errors that came back, …"""


@dataclass(frozen=True, slots=True)
class Observation:
    """What a tap saw of the probe at a hop; the first of several where times differ."""

    seen: bool
    at_us: float | None = None
    """Since the first tap; None: not seen, or no common clock."""
    outer: Encapsulation | None = None
    count: int = 0
    """How many of the probes."""
