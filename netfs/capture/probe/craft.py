"""What a probe is made of: transport header and marked payload. Made by scapy; IP is the kernel's own work."""

from __future__ import annotations

from typing import Any

from netfs.capture.marker import MOST, WORD, Marker
from netfs.capture.probe.layers import layers
from netfs.capture.station.order import Datagram
from netfs.errors import UsageError
from netfs.model.packet import Packet

IP_HEADER = {4: 20, 6: 40}
"""Bytes without options (RFC 791) and extension headers (RFC 8200)."""
TCP_HEADER = 20
SYN_OPTIONS = 20
"""What Linux puts into a SYN (net/ipv4/tcp_output.c:tcp_syn_options): MSS, SACK permitted, timestamps, window scale."""
MSS_OPTION = 4
WINDOW = 64240
"""A Linux SYN's (net/ipv4/tcp_output.c:tcp_select_initial_window), as a device of MTU 1500 gives it."""


def datagrams(marker: Marker, *, packet: Packet, count: int) -> tuple[Datagram, ...]:
    """The probes as a raw socket without IP_HDRINCL takes them, numbered from 0.

    ``packet`` is the packet as it sets out: its addresses enter the checksum, its ``size`` is the length of the whole
    IP packet in bytes. Raises UsageError where the size has no room for the mark, or ``count`` is out of range.
    """
    if not 1 <= count <= MOST:
        raise UsageError(f"{count} probes are out of range", hint=f"1 to {MOST}")
    header = IP_HEADER[marker.family]
    least = header + (TCP_HEADER if marker.proto == "tcp" else 8 + WORD)
    if packet.size < least:
        raise UsageError(
            f"size {packet.size} has no room for the probe's mark",
            hint=f"at least {least} bytes of IPv{marker.family} packet",
        )
    room = packet.size - header
    make = {"icmp": _echo, "udp": _udp, "tcp": _syn}[marker.proto]
    return tuple(Datagram(number, _finished(make(marker, number, room), packet, header)) for number in range(count))


def _echo(marker: Marker, number: int, room: int) -> Any:
    """ICMP echo request (RFC 792, RFC 4443)."""
    kind = layers().ICMP if marker.family == 4 else layers().ICMPv6EchoRequest
    return kind(id=marker.identifier, seq=number + 1) / marker.payload(number, room - 8)


def _udp(marker: Marker, number: int, room: int) -> Any:
    return layers().UDP(sport=marker.sport, dport=marker.dport) / marker.payload(number, room - 8)


def _syn(marker: Marker, number: int, room: int) -> Any:
    """A SYN as Linux makes it; where there is less room, with fewer options. More room is filled behind its header."""
    options: list[tuple[str, Any]] = []
    taken = TCP_HEADER
    mss = ("MSS", 1500 - IP_HEADER[marker.family] - TCP_HEADER)
    if room >= TCP_HEADER + SYN_OPTIONS:
        stamp = int.from_bytes(marker.token[2:])
        options = [mss, ("SAckOK", b""), ("Timestamp", (stamp, 0)), ("NOP", None), ("WScale", 7)]
        taken += SYN_OPTIONS
    elif room >= TCP_HEADER + MSS_OPTION:
        options = [mss]
        taken += MSS_OPTION
    header = layers().TCP(
        sport=marker.sport,
        dport=marker.dport,
        seq=marker.sequence(number),
        flags="S",
        window=WINDOW,
        options=options,
    )
    return header / marker.payload(number, room - taken)


def _finished(transport: Any, packet: Packet, header: int) -> bytes:
    """Bytes with lengths and checksum filled in; for the checksum scapy wants to see the addresses (RFC 768, 8200)."""
    kind = layers().IP if header == IP_HEADER[4] else layers().IPv6
    whole: bytes = bytes(kind(src=source(packet), dst=_bare(packet.dst)) / transport)
    return whole[header:]


def source(packet: Packet) -> str:
    """The source address that a packet's checksum is for: its own; where it is not known, the unspecified one."""
    return _bare(packet.src) or ("0.0.0.0" if packet.family == 4 else "::")


def _bare(address: str) -> str:
    """An address without its zone (``fe80::1%eth0``)."""
    return address.partition("%")[0]
