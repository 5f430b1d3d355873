"""Packets as people are shown them, by scapy's reading of their headers: one line for each."""

from __future__ import annotations

from netfs.capture.marker import TUNNELS
from netfs.capture.probe import dissect
from netfs.capture.probe.dissect import Level
from netfs.capture.probe.recognise import packet
from netfs.model.packet import Packet
from netfs.model.text import printable

ARP = 0x0806
ARP_IPV4 = bytes.fromhex("000108000604")
"""ARP's first bytes: hardware is Ethernet, protocol IPv4, and how long their addresses are."""


def line(data: bytes, length: int, *, ethernet: bool = True, tunnels: tuple[int, ...] = TUNNELS) -> str:
    """``10.244.1.2:40000 > 10.244.2.2:80 tcp syn, 60 bytes, in vxlan vni 1 192.168.52.11 > 192.168.52.12``: what the
    innermost packet of a frame is, its length as IP says it, and the tunnels it lies in, innermost first.

    ``length`` is that of the frame on the wire.
    """
    ethertype = dissect.TRANSPARENT_ETHERNET if ethernet else None
    level, outer = None, None
    try:
        for level, outer in dissect.levels(data, ethertype, tunnels):  # noqa: B007  # the last one is wanted
            pass
    except dissect.UndecodableError:
        pass
    return printable(_foreign(data, length, ethernet) if level is None else _packet(packet(level, outer), level))


def _packet(seen: Packet, level: Level) -> str:
    src, dst = seen.src, seen.dst
    if seen.sport is not None and seen.dport is not None:
        src, dst = _with_port(src, seen.sport), _with_port(dst, seen.dport)
    proto = seen.proto if seen.icmp_type is None else f"{seen.proto} {seen.icmp_type}"
    words = f"{src} > {dst} {proto}{f' {seen.tcp_flags}' if seen.tcp_flags else ''}, {seen.size} bytes"
    if level.offset:
        words += f", fragment at {level.offset}"
    tunnel = seen.outer
    while tunnel is not None:
        named = f"{tunnel.kind} vni {tunnel.vni}" if tunnel.vni else tunnel.kind
        words += f", in {named} {tunnel.src} > {tunnel.dst}"
        tunnel = tunnel.outer
    return words


def _foreign(data: bytes, length: int, ethernet: bool) -> str:
    """What is no IP: ARP (RFC 826) in words, of the rest its ethertype (IEEE 802 numbers)."""
    if not ethernet or len(data) < 14:
        return f"no IP, {length} bytes"
    ethertype = int.from_bytes(data[12:14])
    if ethertype == ARP and len(data) >= 42 and data[14:20] == ARP_IPV4:
        sender, target = (".".join(map(str, data[at : at + 4])) for at in (28, 38))
        if data[21] == 1:
            return f"arp who-has {target} tell {sender}"
        return f"arp {sender} is-at {data[22:28].hex(':')}"
    return f"{data[6:12].hex(':')} > {data[:6].hex(':')} ethertype 0x{ethertype:04x}, {length} bytes"


def _with_port(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
