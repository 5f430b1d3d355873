"""Frames around a probe, as taps hear them: made by scapy, with every address given, so that nothing is looked up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netfs.capture.marker import Marker
from netfs.capture.probe import craft
from netfs.capture.probe.layers import Layers, layers
from netfs.model.live import TapRef
from netfs.model.packet import Packet

TAP = TapRef("node1", "node1", 4026531840, "cni0", 3)
POD_A, POD_B = "10.244.1.2", "10.244.2.2"
POD_A6, POD_B6 = "fd00:244:1::2", "fd00:244:2::2"
NODE1, NODE2 = "192.168.52.11", "192.168.52.12"
MAC_A, MAC_B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
TOKEN = b"\x01netfs"


@dataclass(frozen=True)
class Heard:
    """A frame of a tap."""

    data: bytes
    at_ns: int = 1_000_000
    hatype: int = 1

    @property
    def length(self) -> int:
        return len(self.data)


def marker(proto: str, family: int = 4, **fields: Any) -> Marker:
    ports = {} if proto == "icmp" else {"sport": 40000, "dport": 80}
    given: dict[str, Any] = {"token": TOKEN, "proto": proto, "family": family} | ports | fields
    return Marker(**given)


def outgoing(mark: Marker, size: int = 100) -> Packet:
    src, dst = (POD_A, POD_B) if mark.family == 4 else (POD_A6, POD_B6)
    return Packet(src, dst, mark.proto, mark.sport, mark.dport, size)


def transport(mark: Marker, number: int = 0, size: int = 100) -> Any:
    """The probe's own header and payload, as scapy's layers."""
    data = craft.datagrams(mark, packet=outgoing(mark, size), count=number + 1)[number].data
    kinds = {"tcp": kit().TCP, "udp": kit().UDP, "icmp": kit().ICMP if mark.family == 4 else kit().ICMPv6EchoRequest}
    return kinds[mark.proto](data)


def kit() -> Layers:
    return layers()


def ip(src: str, dst: str, **fields: Any) -> Any:
    return (kit().IPv6 if ":" in src else kit().IP)(src=src, dst=dst, **fields)


def probe(mark: Marker, number: int = 0, size: int = 100, **fields: Any) -> Any:
    """The probe's IP packet."""
    sent = outgoing(mark, size)
    return ip(sent.src, sent.dst, **fields) / transport(mark, number, size)


def ether(packet: Any) -> Any:
    return kit().Ether(src=MAC_A, dst=MAC_B) / packet


def vxlan(frame: Any, vni: int = 1, port: int = 8472, src: str = NODE1, dst: str = NODE2) -> Any:
    """An Ethernet frame within VXLAN within UDP within IP, as Linux sends it: flags 0x08."""
    header = kit().VXLAN(bytes([8, 0, 0, 0]) + vni.to_bytes(3) + b"\0")
    fields = {} if ":" in src else {"ttl": 64, "id": 7}
    return ip(src, dst, **fields) / kit().UDP(sport=50123, dport=port, chksum=0) / header / frame
