"""A packet as netfs reasons about it: the headers that decide where it goes.

Addresses are text in their canonical form (``10.244.1.2``, ``fd00::1``, ``02:42:…``), so a record
reads the same in Python, in JSON and on a terminal.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Encapsulation:
    """The outer headers that a tunnel put around a packet."""

    kind: str
    """Tunnel protocol: ``vxlan``."""
    src: str
    dst: str
    vni: int
    sport: int | None
    """UDP source port; None where the kernel derives it from a hash of the inner packet."""
    dport: int
    ttl: int = 64
    src_mac: str | None = None
    dst_mac: str | None = None
    outer: Encapsulation | None = None
    """The next tunnel outwards, where tunnels are nested."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One IP packet at one moment of its journey."""

    src: str
    dst: str
    proto: str = "icmp"
    """``icmp`` (ICMPv6 where the addresses are IPv6), ``tcp`` or ``udp``."""
    sport: int | None = None
    dport: int | None = None
    size: int = 84
    """Length of the IP packet in bytes, its IP header included."""
    ttl: int = 64
    df: bool = True
    """IPv4 Don't Fragment. IPv6 routers never fragment, whatever this says."""
    mark: int = 0
    tos: int = 0
    src_mac: str | None = None
    dst_mac: str | None = None
    icmp_type: str | None = None
    """``echo-request``, ``echo-reply``; None for TCP and UDP."""
    tcp_flags: str | None = None
    """``syn``, ``syn-ack``; None for ICMP and UDP."""
    outer: Encapsulation | None = None

    @property
    def family(self) -> int:
        """4 or 6; told by the destination where the source is not known yet."""
        return 6 if ":" in self.src or ":" in self.dst else 4
