"""What a trace answers: hops, drops, directions, findings. ``netfs.trace/v1`` is this file as JSON."""

from __future__ import annotations

from dataclasses import dataclass

from netfs.model.findings import Finding
from netfs.model.gaps import Gap
from netfs.model.live import Live, Observation
from netfs.model.packet import Packet

SCHEMA = "netfs.trace/v1"

DELIVERED = "delivered"
DROPPED = "dropped"
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RuleMet:
    """A rule whose matches the packet fulfilled."""

    chain: str
    """Where it stands: ``nat KUBE-SERVICES`` of iptables, ``inet filter forward`` of nftables."""
    rule: str
    """As the operator wrote it."""
    decided: bool = False
    """It decided over the packet, or changed it; other rules only led on."""
    packets: int | None = None
    """Its counter; None: it has none."""
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Hop:
    """One step of a packet at one device in one namespace."""

    index: int
    """Counts from 1 within its direction."""
    node: str
    netns: str
    """The pod's name or the node's."""
    device: str
    """The kernel's name of the device."""
    stage: str
    """Where in the kernel: one of ``netfs.datapath.stages.STAGES``."""
    action: str
    """What was done: ``forward``, ``deliver``, ``encapsulate``, ``decapsulate``, ``flood``, ``drop``, …"""
    why: str
    """The reason in words, with the entry that decided."""
    packet: Packet
    """The packet as it leaves this hop."""
    evidence: str | None = None
    """The deciding entry as iproute2 or nft would print it."""
    netns_id: int = 0
    """``NetNs.id``."""
    observed: Observation | None = None
    rules: tuple[RuleMet, ...] = ()
    """At stage ``netfilter``: the rules met, in order."""


@dataclass(frozen=True, slots=True)
class KernelDrop:
    """The kernel's own word on a drop (``skb:kfree_skb``)."""

    reason: str
    location: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Where and why a packet was lost."""

    index: int
    """Index of the hop."""
    node: str
    netns: str
    device: str
    reason: str
    """The kernel's SKB_DROP_REASON_* without its prefix, else an errno's or netfs's own name."""
    why: str
    """An explanation that a tired operator understands."""
    fix: str | None = None
    """A command that repairs it, to be run in namespace ``netns`` of ``node``."""
    slug: str | None = None
    """The fault of the catalogue this drop is evidence of, where the drop alone shows it."""
    kernel: KernelDrop | None = None


@dataclass(frozen=True, slots=True)
class Direction:
    """One way of a trace."""

    verdict: str
    """``delivered``, ``dropped`` or ``unknown``."""
    hops: tuple[Hop, ...] = ()
    drop: Drop | None = None
    unknown: str | None = None
    """What could not be known, where the verdict is ``unknown``."""
    branches: tuple[Direction, ...] = ()
    """The other ways that an equal-cost route or a rule's chance may send the flow; empty where there is one."""
    share: float | None = None
    """The part of new connections that go this way; None: not known, or there is no other way."""
    reached: EndpointRef | None = None
    """Who took the packet, where that is somebody else than was named: the backend of a Service."""

    @property
    def ways(self) -> tuple[Direction, ...]:
        """Every way it may go: this one, the worst, then its branches."""
        return (self, *self.branches)


@dataclass(frozen=True, slots=True)
class EndpointRef:
    """An endpoint as a trace resolved it."""

    name: str
    """``default/pod-a``, ``node/node1``, or the address where nobody known owns it."""
    node: str | None
    ip: str


@dataclass(frozen=True, slots=True)
class Trace:
    """The answer of ``netfs trace``."""

    verdict: str
    """The worse of the two directions: dropped, then unknown, then delivered."""
    source: EndpointRef
    destination: EndpointRef
    forward: Direction
    reverse: Direction
    findings: tuple[Finding, ...] = ()
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()
    """What to know about the question itself: a Service asked for a port it has not, by a protocol nobody proxies."""
    live: Live | None = None
    """What was seen of a real packet (``--live``)."""
    schema: str = SCHEMA

    @property
    def ways(self) -> tuple[Direction, ...]:
        """Every way there, then every way back."""
        return (*self.forward.ways, *self.reverse.ways)
