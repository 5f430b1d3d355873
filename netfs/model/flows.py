"""What ``netfs decode`` answers: the flows of a capture. ``netfs.decode/v1`` is this file as JSON."""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA = "netfs.decode/v1"


@dataclass(frozen=True, slots=True)
class Tunnel:
    """One encapsulation around a flow."""

    kind: str
    """``vxlan``, ``geneve``, ``ipip``, ``gre``."""
    src: str
    dst: str
    vni: int | None = None
    """VXLAN's and Geneve's network identifier; GRE's key."""
    sport: int | None = None
    dport: int | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """Packets of one direction: innermost addresses and ports, and the tunnels they came in."""

    src: str
    dst: str
    proto: str
    """``tcp``, ``udp``, ``icmp``, ``icmpv6``, ``sctp``, … else the number; ``arp``; for no IP its ethertype as 0x…"""
    sport: int | None
    """None: no ports, or a fragment without them."""
    dport: int | None
    tunnels: tuple[Tunnel, ...] = ()
    """Outermost first."""
    vlans: tuple[int, ...] = ()
    packets: int = 0
    bytes: int = 0
    """On the wire, link-layer header of the outermost frame included."""
    first_ns: int = 0
    last_ns: int = 0
    taps: tuple[tuple[str, int], ...] = ()
    """(interface, packets) where the file has several interfaces."""
    retransmissions: int = 0
    """TCP segments whose bytes had all been seen before, on the same interface."""
    gaps: int = 0
    """Times that TCP's sequence jumped ahead: segments that were lost, or not captured."""
    resets: int = 0
    icmp_errors: int = 0
    """ICMP errors about packets of this flow."""
    too_big: int = 0
    """Those of them that say a packet was too big."""
    fragments: int = 0
    """Packets that are fragments, at any level."""
    too_big_mtu: int | None = None
    """The smallest MTU that such an error told."""
    reverse: int | None = None
    """Index of the flow that answers this one; None: nobody does."""
    src_name: str | None = None
    """The pod or node that owns the address, where a source says so."""
    dst_name: str | None = None
    src_node: str | None = None
    dst_node: str | None = None
    largest: int = 0
    """Bytes of its largest outermost IP packet."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Something in a capture that should not be so."""

    slug: str
    severity: str
    """``error``, ``warning`` or ``info``."""
    why: str
    flows: tuple[int, ...] = ()
    """Indexes of the flows it is about."""


@dataclass(frozen=True, slots=True)
class Warned:
    """A part of the file that could not be read."""

    offset: int
    what: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """The answer of ``netfs decode``."""

    file: str
    format: str
    """``pcap`` or ``pcapng``, behind it ``+gzip`` or ``+zstd``."""
    packets: int
    bytes: int
    first_ns: int | None
    last_ns: int | None
    interfaces: tuple[str, ...]
    flows: tuple[Flow, ...]
    """Most bytes first."""
    suspicions: tuple[Suspicion, ...] = ()
    warnings: tuple[Warned, ...] = ()
    truncated: int = 0
    """Packets of which too little was captured to tell their flow."""
    schema: str = SCHEMA
