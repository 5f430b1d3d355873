"""A frame on its way: an IP packet in an Ethernet header, perhaps with another frame inside."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from netfs.cluster.netns import NetNsKey
from netfs.datapath.connection import Tracked
from netfs.model.link import Link
from netfs.model.packet import Encapsulation, Packet

BROADCAST = "ff:ff:ff:ff:ff:ff"
ZERO_MAC = "00:00:00:00:00:00"


@dataclass(frozen=True, slots=True)
class Question:
    """An ARP request or neighbour solicitation, or its answer."""

    target: str
    """The address asked for."""
    source: str
    """The asker's address, as the question carries it."""
    mac: str
    """The asker's MAC; in an answer, the MAC found."""
    answer: bool = False


class Frame:
    """An Ethernet frame. Treated as a value: ``change`` makes a new one."""

    __slots__ = (
        "_report",
        "asks",
        "born",
        "claimed",
        "dports",
        "dst_mac",
        "inner",
        "local",
        "packet",
        "physin",
        "question",
        "sports",
        "src_mac",
        "tracked",
        "tunnel",
        "vni",
        "whole",
    )

    def __init__(
        self,
        packet: Packet,
        src_mac: str | None = None,
        dst_mac: str | None = None,
        inner: Frame | None = None,
        vni: int | None = None,
        question: Question | None = None,
        local: bool = False,
    ) -> None:
        self.packet = packet
        self.src_mac = src_mac
        self.dst_mac = dst_mac
        self.inner = inner
        self.vni = vni
        self.question = question
        self.asks: bool = question is not None or (inner is not None and inner.asks)
        """It is a question, or carries one through a tunnel."""
        self.tunnel: tuple[NetNsKey, int] | None = None
        """The tunnel device whose outer packet it is: (namespace, index)."""
        self.sports: tuple[int, int] | None = None
        """Between which a source port lies that is not known: a tunnel's hash of the inner packet, a masquerade's own
        choice."""
        self.dports: tuple[int, int] | None = None
        """The same of the destination port of an answer."""
        self.whole = False
        """It is a tunnel's outer packet, and is dropped rather than sent in fragments."""
        self.claimed = False
        """It is for the device that takes it in, whatever its MAC (PACKET_HOST)."""
        self.local = local
        """It was made in the namespace it is in, not forwarded."""
        self.born: Frame | None = None
        """The frame that it is still on the segment, though something about it changed; None: itself."""
        self.tracked: Tracked | None = None
        """The connection that this namespace's conntrack found for it (``skb->_nfct``); None: not asked yet."""
        self.physin: Link | None = None
        """The bridge's port by which it came and met PREROUTING (``nf_bridge_info``); None: it met none on a bridge."""
        self._report: Packet | None = None

    def visible(self) -> Packet:
        """The packet as rules see it: with the addresses of its Ethernet header."""
        if self.src_mac is None:
            return self.packet
        return replace(self.packet, src_mac=self.src_mac, dst_mac=self.dst_mac)

    def after(self, packet: Packet) -> Frame:
        """A copy after rules made ``packet`` of what was visible."""
        macs = packet.src_mac or self.src_mac, packet.dst_mac or self.dst_mac
        return self._copy(bare(packet), *macs)

    def change(self, **changes: Any) -> Frame:
        """A copy with some of the packet's fields changed."""
        return self._copy(replace(self.packet, **changes), self.src_mac, self.dst_mac)

    def with_packet(self, packet: Packet) -> Frame:
        """A copy around another packet."""
        return self._copy(packet, self.src_mac, self.dst_mac)

    def addressed(self, src_mac: str | None, dst_mac: str | None) -> Frame:
        """A copy with its Ethernet header set."""
        copy = self._copy(self.packet, src_mac, dst_mac)
        copy.claimed = False
        return copy

    def _copy(self, packet: Packet, src_mac: str | None, dst_mac: str | None) -> Frame:
        copy = Frame(packet, src_mac, dst_mac, self.inner, self.vni, self.question, self.local)
        copy.whole, copy.sports, copy.dports = self.whole, self.sports, self.dports
        copy.tunnel, copy.claimed = self.tunnel, self.claimed
        copy.tracked = self.tracked
        copy.physin = self.physin
        return copy

    def scrubbed(self, mark: int) -> Frame:
        """As another device receives it, which knows nothing of its connection (``skb_scrub_packet``)."""
        if self.tracked is None and self.physin is None and self.packet.mark == mark and not self.claimed:
            return self
        packet = self.packet if self.packet.mark == mark else replace(self.packet, mark=mark)
        copy = self._copy(packet, self.src_mac, self.dst_mac)
        copy.tracked = copy.physin = None
        copy.claimed = False
        copy.born = self.born or self
        return copy

    def handed(self, mark: int) -> Frame:
        """As a tunnel hands it to another one of the same namespace (``vxlan_encap_bypass``)."""
        copy = self.change(mark=mark)
        copy.tracked = copy.physin = None
        copy.claimed = True
        copy.born = self.born or self
        return copy

    def bridged(self, physin: Link) -> Frame:
        """As a bridge that calls the rules of IP goes on with it."""
        copy = self._copy(self.packet, self.src_mac, self.dst_mac)
        copy.physin = physin
        copy.born = self.born or self
        return copy

    def forwarded(self, **changes: Any) -> Frame:
        """A copy that another namespace than its maker's sends on."""
        changed = self.change(**changes)
        changed.local = False
        return changed

    @property
    def multicast(self) -> bool:
        """Whether it is sent to a group or to all (IEEE 802.3 group bit)."""
        return self.dst_mac is not None and bool(int(self.dst_mac[1], 16) & 1)

    @property
    def broadcast(self) -> bool:
        """Whether it is sent to all."""
        return self.dst_mac == BROADCAST

    def report(self) -> Packet:
        """The innermost packet, with what is around it as its encapsulation: what a hop shows."""
        if self._report is None:
            frame, outer = self, None
            while frame.inner is not None:
                outer = _encapsulation(frame, outer)
                frame = frame.inner
            packet = frame.packet
            # Spelled out: dataclasses.replace takes three times as long, and every hop makes one.
            self._report = Packet(
                packet.src,
                packet.dst,
                packet.proto,
                packet.sport,
                packet.dport,
                packet.size,
                packet.ttl,
                packet.df,
                packet.mark,
                packet.tos,
                frame.src_mac,
                frame.dst_mac,
                packet.icmp_type,
                packet.tcp_flags,
                outer,
            )
        return self._report


def bare(packet: Packet) -> Packet:
    """The packet without the addresses of an Ethernet header."""
    if packet.src_mac is None and packet.dst_mac is None:
        return packet
    return replace(packet, src_mac=None, dst_mac=None)


def _encapsulation(frame: Frame, outer: Encapsulation | None) -> Encapsulation:
    packet = frame.packet
    return Encapsulation(
        kind="vxlan",
        src=packet.src,
        dst=packet.dst,
        vni=frame.vni or 0,
        sport=packet.sport,
        dport=packet.dport or 0,
        ttl=packet.ttl,
        src_mac=frame.src_mac,
        dst_mac=frame.dst_mac,
        outer=outer,
    )
