"""A packet's way through the router of ``iptables_router``, by the whole datapath, over a collected snapshot."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from netfs.cluster.topology import Topology
from netfs.datapath.frame import Frame
from netfs.datapath.netfilter import HookAnswer
from netfs.datapath.position import End, Position
from netfs.datapath.walk import Walk
from netfs.model.packet import Packet
from netfs.model.snapshot import Firewall
from netfs.model.trace import UNKNOWN
from netfs.sources.document import decode
from tests.kernel.iptables_case import STATIONS
from tests.kernel.iptables_known import DEVICES
from tests.kernel.iptables_simulation import Fate

TAKEN = ("NO_SOCKET", "ECHO_IGNORED")
"""What is said of a packet that reached the router's own sockets, of which there are none."""


class Walked:
    """Follows packets with ``netfs.datapath``."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.views = {view.name: view for view in topology.views.values()}

    @classmethod
    def of(cls, told: dict[str, Any], bridge: bool) -> Walked:
        """Over the snapshot of the router with the rules of one case."""
        nodes = list(decode(told["nodes"].encode()).nodes)
        (netns,) = nodes[0].namespaces
        nodes[0] = replace(nodes[0], namespaces=(replace(netns, firewall=Firewall(**told["firewall"])),))
        return cls(Topology(nodes))

    def first(self, place: str, packet: Packet) -> list[Fate] | None:
        """Sent into the wire's end, or made by the router. A trace begins with what opens a connection."""
        if packet.tcp_flags not in (None, "syn") or packet.icmp_type not in (None, "echo-request"):
            return None
        walk = Walk(self.topology)
        return self.fates(walk, walk.run(self.start(place, packet)))

    def answer(self, place: str, packet: Packet, original: Packet, fate: Fate) -> list[Fate]:
        """From where the packet came out, with what conntrack remembers; a port that nobody knows is not known here."""
        walk: Walk = fate.connection[0]
        walk.replying = True
        there = fate.packet
        packet = replace(packet, src=there.dst, dst=there.src, sport=there.dport, dport=there.sport)
        at = self.start(place, packet)
        at.branch = fate.connection[1]
        return self.fates(walk, walk.run(at))

    def second(self, place: str, packet: Packet, first: dict[str, Any], fate: Fate) -> list[Fate] | None:
        """A trace sends one packet and its answer."""
        return None

    def start(self, place: str, packet: Packet) -> Position:
        """Where the packet comes in."""
        router = self.views["router"]
        if place == "router":
            return Position(
                "output", router, min(router.links.values(), key=lambda link: link.index), Frame(packet, local=True)
            )
        link = next(link for link in router.links.values() if link.name == DEVICES[place])
        master = router.links.get(link.master or 0)
        to = packet.dst_mac or (master or link).mac
        bare = replace(packet, src_mac=None, dst_mac=None)
        return Position("receive", router, link, Frame(bare, packet.src_mac or STATIONS[place], to))

    def fates(self, walk: Walk, ends: list[End]) -> list[Fate]:
        return [self.fate(walk, end) for end in ends]

    def fate(self, walk: Walk, end: End) -> Fate:
        at, packet = end.at, end.at.frame.packet
        hops = at.trail.hops() if at.trail is not None else ()
        mark = next((hop.packet.mark for hop in reversed(hops) if hop.netns == "router"), 0)
        place = at.view.name
        if place == "router" and end.verdict != "delivered" and end.reason not in TAKEN:
            verdict = "unknown" if end.verdict == UNKNOWN else "reject" if "rejected by" in end.why else "drop"
            return Fate(None, packet, HookAnswer(verdict, packet, end.why), at.branch.share, (walk, at.branch))
        packet = replace(packet, mark=mark)
        return Fate(place, packet, HookAnswer("accept", packet, end.why), at.branch.share, (walk, at.branch))
