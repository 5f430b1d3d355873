"""A packet's headers in one line, as tcpdump's readers expect them."""

from __future__ import annotations

from collections.abc import Iterator

from netfs.model.packet import Encapsulation, Packet
from netfs.model.text import printable
from netfs_cli.render.ink import Ink


def request(packet: Packet) -> str:
    """What was asked for: ``tcp to port 80, 60 bytes``."""
    port = f" to port {packet.dport}" if packet.dport is not None else ""
    return f"{printable(packet.proto)}{port}, {packet.size} bytes{', may be fragmented' if not packet.df else ''}"


def tunnel(outer: Encapsulation, ink: Ink) -> str:
    """``VXLAN vni 1: 192.168.52.11 → 192.168.52.12, UDP port 8472``."""
    ends = f"{printable(outer.src)} {ink.sign('→')} {printable(outer.dst)}"
    ports = f"UDP port {outer.dport}" if outer.sport is None else f"UDP port {outer.sport} to {outer.dport}"
    return f"{printable(outer.kind).upper()} vni {outer.vni}: {ends}, {ports}"


def layers(packet: Packet) -> list[Encapsulation]:
    """The tunnels that the packet is inside of, the outermost last."""
    found: list[Encapsulation] = []
    outer = packet.outer
    while outer is not None:
        found.append(outer)
        outer = outer.outer
    return found


def layer(outer: Encapsulation, ink: Ink) -> str:
    """A tunnel with its MAC addresses and its TTL."""
    return f"{_macs(outer.src_mac, outer.dst_mac, ink)}{tunnel(outer, ink)}, ttl {outer.ttl}"


def packet(shown: Packet, ink: Ink) -> Iterator[str]:
    """All headers, the outermost first."""
    for one in reversed(layers(shown)):
        yield layer(one, ink)
    yield f"{_macs(shown.src_mac, shown.dst_mac, ink)}{_inner(shown, ink)}"


def _inner(shown: Packet, ink: Ink) -> str:
    ends = f"{_end(shown.src, shown.sport)} {ink.sign('→')} {_end(shown.dst, shown.dport)}"
    what = " ".join(printable(word) for word in (shown.proto, shown.icmp_type or shown.tcp_flags) if word)
    marks = [f"ttl {shown.ttl}", f"{shown.size} bytes"]
    marks += ["DF"] if shown.df and shown.family == 4 else []
    marks += [f"mark {shown.mark:#x}"] if shown.mark else []
    marks += [f"tos {shown.tos:#x}"] if shown.tos else []
    return f"{ends} {what}, {', '.join(marks)}"


def _end(address: str, port: int | None) -> str:
    clean = printable(address)
    if port is None:
        return clean
    return f"[{clean}]:{port}" if ":" in clean else f"{clean}:{port}"


def _macs(src: str | None, dst: str | None, ink: Ink) -> str:
    if src is None and dst is None:
        return ""
    return f"{printable(src or '?')} {ink.sign('→')} {printable(dst or '?')}  "
