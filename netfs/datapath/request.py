"""What a trace is asked to send."""

from __future__ import annotations

from dataclasses import dataclass

from netfs.errors import UsageError
from netfs.model.packet import Packet

PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17}
"""IANA protocol numbers; ICMPv6 is 58 (``number``)."""

DEFAULT_SIZE = {"icmp": 84, "tcp": 60, "udp": 60}
"""Bytes of IP packet: what ping, a SYN and a small datagram make."""

DEFAULT_PORT = 80


def number(proto: str, family: int) -> int:
    """The IP protocol number of ``icmp``, ``tcp`` or ``udp`` in a family."""
    return 58 if proto == "icmp" and family == 6 else PROTOCOLS[proto]


@dataclass(frozen=True, slots=True)
class Request:
    """The packet asked for, but for its addresses."""

    proto: str = "icmp"
    port: int | None = None
    sport: int | None = None
    size: int = 84
    df: bool | None = None
    """True: never fragmented, not even by the sender. False: Don't Fragment is not set. None: as TCP, UDP and ping
    do by default: set, unless the packet does not fit the sender's own device (IP_PMTUDISC_WANT)."""
    family: int | None = None

    def packet(self, src: str, dst: str) -> Packet:
        """The packet as it is sent; ``src`` may be empty, to be chosen by the kernel's rules."""
        return Packet(
            src=src,
            dst=dst,
            proto=self.proto,
            sport=self.sport,
            dport=self.port,
            size=self.size,
            df=self.df is not False,
            icmp_type="echo-request" if self.proto == "icmp" else None,
            tcp_flags="syn" if self.proto == "tcp" else None,
        )


def request(
    *,
    proto: str = "icmp",
    port: int | None = None,
    sport: int | None = None,
    size: int | None = None,
    df: bool | None = None,
    family: int | None = None,
) -> Request:
    """A request checked and completed. Raises UsageError where its parts contradict each other."""
    if proto not in PROTOCOLS:
        raise UsageError(f"no protocol {proto!r}", hint="icmp, tcp or udp")
    if proto == "icmp" and (port is not None or sport is not None):
        raise UsageError("ICMP has no ports", hint="add --proto tcp or --proto udp")
    for value in (port, sport):
        if value is not None and not 0 < value < 65536:
            raise UsageError(f"port {value} is out of range", hint="1 to 65535")
    if family not in (None, 4, 6):
        raise UsageError(f"no address family {family}", hint="4 or 6")
    length = DEFAULT_SIZE[proto] if size is None else size
    if not 28 <= length <= 65535:
        raise UsageError(f"size {length} is out of range", hint="28 to 65535 bytes of IP packet")
    if proto != "icmp":
        port = DEFAULT_PORT if port is None else port
        sport = 40000 if sport is None else sport
    return Request(proto, port, sport, length, df, family)
