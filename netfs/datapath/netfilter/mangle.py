"""Setting a field of a packet: ``meta mark set``, ``ip ttl set``, ``tcp dport set``."""

from __future__ import annotations

from dataclasses import replace

from netfs.datapath.netfilter.datatypes import PROTOCOLS, protocol_number
from netfs.model import ip
from netfs.model.packet import Packet


class NotSimulatedError(ValueError):
    """A field that a rule sets and a packet here does not have."""


def mangled(packet: Packet, target: str, value: int) -> Packet | None:
    """The packet with a field set; None where the field is not of its protocol. Raises NotSimulatedError."""
    protocol, _, field = target.partition(" ")
    if target == "meta mark":
        return replace(packet, mark=value & 0xFFFFFFFF)
    if protocol in ("ip", "ip6"):
        return None if (protocol == "ip6") != (packet.family == 6) else _network(packet, target, field, value)
    if protocol in ("tcp", "udp", "th") and field in ("sport", "dport"):
        if protocol != "th" and protocol_number(packet) != PROTOCOLS[protocol]:
            return None
        return replace(packet, sport=value) if field == "sport" else replace(packet, dport=value)
    if protocol == "ether" and field in ("saddr", "daddr"):
        mac = value.to_bytes(8, "big")[2:].hex(":") if 0 <= value < 1 << 48 else None
        return replace(packet, src_mac=mac) if field == "saddr" else replace(packet, dst_mac=mac)
    raise NotSimulatedError(f"setting {target} is not simulated")


def _network(packet: Packet, target: str, field: str, value: int) -> Packet:
    match field:
        case "saddr":
            return replace(packet, src=_address(value, packet))
        case "daddr":
            return replace(packet, dst=_address(value, packet))
        case "ttl" | "hoplimit":
            return replace(packet, ttl=value)
        case "dscp":
            return replace(packet, tos=value << 2 & 0xFC | packet.tos & 3)
        case "ecn":
            return replace(packet, tos=packet.tos & 0xFC | value & 3)
        case "tos":
            return replace(packet, tos=value & 0xFF)
    raise NotSimulatedError(f"setting {target} is not simulated")


def _address(value: int, packet: Packet) -> str:
    return ip.to_text(value & ((1 << ip.BITS[packet.family]) - 1), packet.family)
