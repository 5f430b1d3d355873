"""What a frame carries: the innermost IP packet, VXLAN unwrapped, and whether it is the probe or its answer."""

from __future__ import annotations

import socket
from dataclasses import dataclass, replace

from tests.property.networks.spec import Probe

VXLAN_PORTS = frozenset({4789, 4790, 8472})
ICMP, TCP, UDP, ICMP6, FRAGMENT = 1, 6, 17, 58, 44
SYN_ALONE = b"\x02"
"""TCP flags of the probe; a reset that somebody sends to the answer is none."""


@dataclass(frozen=True, slots=True)
class Inner:
    """An IP packet without its tunnels."""

    src: bytes
    dst: bytes
    proto: int
    payload: bytes
    first: bool
    """Whether it is whole or the first fragment."""
    tunnelled: bool = False
    """Whether it came out of a tunnel."""


def innermost(frame: bytes) -> Inner | None:
    """The innermost IP packet of an Ethernet frame; None where it carries no IP."""
    kind, data = frame[12:14], frame[14:]
    if kind == b"\x08\x00":
        packet = _ipv4(data)
    elif kind == b"\x86\xdd":
        packet = _ipv6(data)
    else:
        return None
    if packet is not None and packet.proto == UDP and packet.first and len(packet.payload) > 30:
        if int.from_bytes(packet.payload[2:4], "big") in VXLAN_PORTS and packet.payload[8] & 0x08:
            inner = innermost(packet.payload[16:])
            return None if inner is None else replace(inner, tunnelled=True)
    return packet


def _ipv4(data: bytes) -> Inner | None:
    if len(data) < 20:
        return None
    header = (data[0] & 15) * 4
    offset = int.from_bytes(data[6:8], "big") & 0x1FFF
    return Inner(data[12:16], data[16:20], data[9], data[header:], offset == 0)


def _ipv6(data: bytes) -> Inner | None:
    if len(data) < 40:
        return None
    proto, payload, first = data[6], data[40:], True
    if proto == FRAGMENT:
        proto, first, payload = payload[0], int.from_bytes(payload[2:4], "big") >> 3 == 0, payload[8:]
    return Inner(data[8:24], data[24:40], proto, payload, first)


@dataclass(frozen=True, slots=True)
class Pattern:
    """What tells the probe and its answer from all else."""

    address: bytes
    proto: int
    port: int
    """The listener's port, or the ICMP identifier."""

    @classmethod
    def of(cls, probe: Probe, ident: int) -> Pattern:
        """The pattern of a probe; ``ident`` is its ICMP identifier."""
        family = socket.AF_INET6 if probe.family == 6 else socket.AF_INET
        icmp = ICMP6 if probe.family == 6 else ICMP
        proto = {"icmp": icmp, "tcp": TCP, "udp": UDP}[probe.proto]
        return cls(socket.inet_pton(family, probe.address), proto, probe.port or ident)

    def match(self, packet: Inner | None) -> str | None:
        """``request``, ``reply`` or None."""
        if packet is None or packet.proto != self.proto or self.address not in (packet.src, packet.dst):
            return None
        if not packet.first:
            return "request" if packet.dst == self.address else "reply"
        data = packet.payload
        if self.proto in (ICMP, ICMP6):
            if int.from_bytes(data[4:6], "big") != self.port:
                return None
            return {8: "request", 128: "request", 0: "reply", 129: "reply"}.get(data[0])
        if packet.dst == self.address and int.from_bytes(data[2:4], "big") == self.port:
            return "request" if self.proto != TCP or data[13:14] == SYN_ALONE else None
        return "reply" if packet.src == self.address and int.from_bytes(data[0:2], "big") == self.port else None
