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
    src_node: str | None = None
    """The node that owns ``src``, where a source says so."""
    dst_node: str | None = None


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
    """Times that TCP's sequence jumped ahead: segments that were lost before they came here, or not captured."""
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
    syns: int = 0
    """TCP segments with SYN and without ACK."""
    syn_acks: int = 0
    echo_requests: int = 0
    """ICMP type 8, ICMPv6 type 128."""
    echo_replies: int = 0
    """ICMP type 0, ICMPv6 type 129."""
    outer_fragments: int = 0
    """Those of ``fragments`` in which the outer packet of a tunnel is what was fragmented."""
    ttl_least: int | None = None
    """Of the innermost IP header: TTL, hop limit."""
    ttl_most: int | None = None
    macs: tuple[str, ...] = ()
    """Of ARP: the hardware addresses that were told for ``src``; four at most."""
    late: int = 0
    """TCP segments that fill a gap: lost before they came here and sent again, or overtaken."""


@dataclass(frozen=True, slots=True)
class IcmpError:
    """ICMP errors of one kind, from one sender, about packets of one flow (RFC 792, RFC 4443)."""

    sender: str
    proto: str
    """``icmp`` or ``icmpv6``, which says how ``type`` is to be read."""
    type: int
    code: int
    src: str
    """Of the packet that is quoted, its outermost header; so ``dst`` and the ports."""
    dst: str
    about: str
    """The quoted packet's protocol, as ``Flow.proto``."""
    sport: int | None = None
    dport: int | None = None
    mtu: int | None = None
    """Of "fragmentation needed" and "packet too big": the smallest that was told."""
    packets: int = 1
    flow: int | None = None
    """Index of the flow that the quoted packet belongs to, by its innermost headers; None: not in this capture, or too
    little was quoted."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Something in a capture that should not be so."""

    slug: str
    severity: str
    """``error``, ``warning`` or ``info``."""
    why: str
    flows: tuple[int, ...] = ()
    """Indexes of the flows it is about."""
    look: str | None = None
    """The command that looks further; None: nobody knows the ends by name."""


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
    errors: tuple[IcmpError, ...] = ()
    """ICMP errors, most packets first."""
    dropped: int | None = None
    """Packets that the recording itself lost, as the file says (pcapng: isb_ifdrop, isb_osdrop); None: it does not."""
    schema: str = SCHEMA
