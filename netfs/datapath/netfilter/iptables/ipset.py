"""An ipset, and whether a packet is in it (net/netfilter/ipset/ip_set_*.c).

Networks are looked up as the kernel does (``mtype_test_cidrs``): once for every prefix length that occurs, the longest
first, so an element with ``nomatch`` shields the shorter ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from netfs.datapath.netfilter.datatypes import PROTOCOLS, icmp_header, protocol_number
from netfs.datapath.netfilter.elements import Unknown
from netfs.datapath.netfilter.values import Sight
from netfs.model import ip

Part: TypeAlias = "int | str | tuple[int, int] | Unknown"
"""An address, a mark, a device, or (protocol, port)."""

Key: TypeAlias = "tuple[Part, ...]"

TYPES: Mapping[str, tuple[str, ...]] = {
    "hash:ip": ("ip",),
    "hash:net": ("net",),
    "hash:ip,port": ("ip", "port"),
    "hash:net,port": ("net", "port"),
    "hash:ip,port,ip": ("ip", "port", "ip"),
    "hash:ip,port,net": ("ip", "port", "net"),
    "hash:net,net": ("net", "net"),
    "hash:net,port,net": ("net", "port", "net"),
    "hash:net,iface": ("net", "iface"),
    "hash:ip,mark": ("ip", "mark"),
    "bitmap:ip": ("ip",),
    "bitmap:port": ("bare port",),
    "list:set": ("set",),
}
"""The dimensions of each type."""

ON_DEVICE = ("net", "iface")
"""The dimensions of hash:net,iface."""

WITH_PORTS = frozenset(PROTOCOLS[name] for name in ("tcp", "udp", "sctp", "udplite"))


class Named(NamedTuple):
    """A device in an element of a set."""

    text: str
    begins: bool
    """Every device whose name begins so."""
    nomatch: bool

    def is_of(self, device: str) -> bool:
        """Whether it names the device."""
        return device == self.text or (self.begins and device.startswith(self.text))


@dataclass(frozen=True, slots=True)
class IpSet:
    """One set."""

    name: str
    dimensions: tuple[str, ...] = ()
    family: int | None = None
    """4 or 6; None: both."""
    masks: tuple[int, ...] = ()
    """What is looked at of each dimension (netmask, markmask)."""
    tables: Mapping[tuple[int, ...], Mapping[Key, bool]] = field(default_factory=dict)
    """By prefix lengths, the longest first: the elements, and whether each says ``nomatch``."""
    devices: Mapping[int, Mapping[int, tuple[Named, ...]]] = field(default_factory=dict)
    """Networks with devices: by prefix length, the longest first, and address."""
    members: tuple[str, ...] = ()
    """The sets in a list."""
    defect: str | None = None

    def test(self, directions: tuple[str, ...], sight: Sight) -> int | Unknown:
        """Whether the packet is in the set, by ``src`` and ``dst`` for each dimension (``ip_set_test``)."""
        if len(directions) < len(self.dimensions) or self.family not in (None, sight.packet.family):
            return 0
        values: list[Part] = []
        for kind, direction, mask in zip(self.dimensions, directions, self.masks, strict=False):
            value = _value(kind, direction, sight)
            if value is None:
                return 0
            values.append(value & mask if isinstance(value, int) else value)
        doubt = next((value for value in values if isinstance(value, Unknown)), None)
        if doubt is not None:
            return doubt if any(self._possible(values)) else 0
        return self._found(tuple(values))

    def _found(self, values: Key) -> int:
        bits = ip.BITS[self.family or 4]
        for lengths, table in self.tables.items():
            nomatch = table.get(tuple(_cut(value, length, bits) for value, length in zip(values, lengths, strict=True)))
            if nomatch is not None:
                return int(not nomatch)
        return self._on_device(values[0], str(values[1]), bits) if self.devices else 0

    def _on_device(self, address: Part, device: str, bits: int) -> int:
        """The longest network that has the address decides, whatever its devices (``IP_SET_HASH_WITH_MULTI``)."""
        for length, networks in self.devices.items():
            cut = _cut(address, length, bits)
            named = networks.get(cut) if isinstance(cut, int) else None
            if named is not None:
                first = next((each for each in named if each.is_of(device)), None)
                return int(first is not None and not first.nomatch)
        return 0

    def _possible(self, values: list[Part]) -> Iterator[bool]:
        """Elements that fit as far as the packet is known."""
        bits = ip.BITS[self.family or 4]
        for lengths, table in self.tables.items():
            cut = [_cut(value, length, bits) for value, length in zip(values, lengths, strict=True)]
            for key in table:
                yield all(isinstance(value, Unknown) or value == part for value, part in zip(cut, key, strict=True))


def _cut(value: Part, length: int, bits: int) -> Part:
    return value >> (bits - length) << (bits - length) if length >= 0 and isinstance(value, int) else value


def _value(kind: str, direction: str, sight: Sight) -> Part | None:
    """What a packet has in one dimension; None: nothing, so it is in no such set."""
    packet, source = sight.packet, direction == "src"
    match kind:
        case "ip" | "net":
            return ip.to_int(packet.src if source else packet.dst)
        case "mark":
            return packet.mark
        case "iface":
            link = sight.context.iif if source else sight.context.oif
            return link.name if link is not None else None
    protocol = protocol_number(packet)
    if protocol is None:
        return Unknown(f"protocol {packet.proto} is not known")
    port = packet.sport if source else packet.dport
    if kind == "bare port":
        if protocol not in (PROTOCOLS["tcp"], PROTOCOLS["udp"]):
            return None
        return Unknown("the packet's port is not known") if port is None else port
    if protocol in (1, 58):
        message, code = icmp_header(packet)
        if message is None or code is None:
            return Unknown("the packet's ICMP type is not known")
        return protocol, message << 8 | code
    if protocol not in WITH_PORTS:
        return protocol, 0
    return Unknown("the packet's port is not known") if port is None else (protocol, port)
