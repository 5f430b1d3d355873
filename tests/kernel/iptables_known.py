"""What the evaluator needs to know of the router of ``iptables_router`` beside its rules: a few devices and routes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from netfs.cluster.netns import NetNsView
from netfs.model import ip
from netfs.model.address import Address
from netfs.model.link import Link
from netfs.model.packet import Packet
from netfs.model.snapshot import Firewall, NetNs, NodeSnapshot

LOOP = Link(1, "lo", flags=0x10049, arp_type=772)
CLIENT = Link(2, "c0", kind="veth", flags=0x11043)
SERVER = Link(3, "s0", kind="veth", flags=0x11043)
THIRD = Link(4, "m0", kind="veth", flags=0x11043)
BRIDGE = Link(5, "br0", kind="bridge", flags=0x11043)
DEVICES = {"client": "c0", "server": "s0", "third": "m0"}
PLACES = {name: place for place, name in DEVICES.items()}
MARK_ROUTED = 0x100


def addresses(bridge: bool) -> tuple[Address, ...]:
    """Of the router, in its order."""
    pairs = [(5 if bridge else 2, "10.1.0.1", "fd01::1")]
    pairs += [] if bridge else [(3, "10.2.0.1", "fd02::1")]
    pairs += [(4, "10.3.0.1", "fd03::1")]
    four = [Address(index, 4, text, 16) for index, text, _ in pairs]
    six = [Address(index, 6, text, 64) for index, _, text in pairs]
    return (Address(1, 4, "127.0.0.1", 8), *four, Address(1, 6, "::1", 128), *six)


@dataclass(frozen=True)
class Known:
    """The router as the evaluator knows it."""

    bridge: bool
    view: NetNsView
    links: dict[str, Link]
    own: dict[str, str]
    """The device of each of its addresses."""

    @classmethod
    def of(cls, bridge: bool, firewall: Mapping[str, str]) -> Known:
        ports = [replace(CLIENT, master=5), replace(SERVER, master=5)] if bridge else [CLIENT, SERVER]
        links = {link.name: link for link in (LOOP, *ports, THIRD, *((BRIDGE,) if bridge else ()))}
        held = addresses(bridge)
        netns = NetNs(1, "router", links=tuple(links.values()), addresses=held, firewall=Firewall(**firewall))
        names = {link.index: link.name for link in links.values()}
        own = {address.local: names[address.index] for address in held}
        return cls(bridge, NetNsView(NodeSnapshot("router", "kernel", 1, (netns,)), netns, None), links, own)

    def route(self, dst: str, mark: int = 0) -> str | None:
        """``lo`` for the router's own addresses, else a device; None: no route."""
        if dst in self.own or dst.startswith("127."):
            return "lo"
        if mark & MARK_ROUTED:
            return "m0"
        if dst.startswith("10.96."):
            return "s0"
        for wire, name in (("1", "c0"), ("2", "s0"), ("3", "m0")):
            if dst.startswith((f"10.{wire}.", f"fd0{wire}:")):
                return "br0" if self.bridge and name != "m0" else name
        return None

    def place(self, device: str, dst: str) -> str:
        """What is at the far end of a device; behind the bridge that depends on the neighbour."""
        if device == "br0":
            return "client" if dst.startswith(("10.1.", "fd01:")) else "server"
        return PLACES[device]

    def fib(self, result: str, flags: frozenset[str], packet: Packet, devices: Mapping[str, str | None]) -> str | None:
        """What a routing look-up says of an address: its type (``inet_dev_addr_type``), or the device towards it."""
        address = packet.src if "saddr" in flags else packet.dst
        found = self.route(address, packet.mark if "mark" in flags else 0)
        if result != "type":
            return found or ""
        if ip.is_multicast(address):
            return "multicast"
        device = next((devices[flag] for flag in ("iif", "oif") if flag in flags), None)
        if found == "lo" and device in (None, self.own.get(address, "lo")):
            return "local"
        return "unicast" if found or packet.family == 4 else "unreachable"

    def masquerade(self, device: str, packet: Packet) -> str | None:
        """The address a masquerade uses (``inet_select_addr``, ``ipv6_dev_get_saddr``: first its destination's own)."""
        six = packet.family == 6
        if device == "lo":
            return packet.dst if six else "10.1.0.1"
        return next((text for text, name in self.own.items() if name == device and (":" in text) == six), None)
