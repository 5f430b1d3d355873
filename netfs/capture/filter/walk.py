"""The part of a program that finds headers: from a frame to what each tunnel in it carries.

One program serves a socket that hears every device (packet(7)): whether a frame begins with a MAC header is decided by
the device's type, ``SKF_AD_HATYPE``. Classic BPF cannot loop, so the code stands there once for each level. X is where
the header begins that is being looked at.
"""

from __future__ import annotations

from collections.abc import Sequence

from netfs.capture.filter import assembler as bpf
from netfs.capture.filter.assembler import Assembler

ETHERNET, LOOPBACK = 1, 772
"""ARPHRD_* (uapi/linux/if_arp.h) of devices whose frames begin with an Ethernet header."""
VLANS = (0x8100, 0x88A8)
"""``eth_type_vlan``: IEEE 802.1Q and 802.1ad."""
IPV4, IPV6, FRAMES = 0x0800, 0x86DD, 0x6558
"""Ethertypes; the last is a whole Ethernet frame (RFC 1701, RFC 8926)."""
EXTENSIONS = 3
"""IPv6 extension headers that are followed."""
GENEVE = 6081
"""Its port (RFC 8926); behind the others is VXLAN (RFC 7348)."""

SCRATCH, PROTO = bpf.MEMORY - 1, bpf.MEMORY - 2
"""Words of memory that the walk uses."""


class Walk:
    """Emits the levels. Subclasses say what is done with what is found, by ``at_…``.

    In these, X must stay as it is, and A where they say so.
    """

    guarded = True
    """Whether a header that is cut off ends the walk, at ``done``; else the load beyond the end rejects the frame."""

    def __init__(self, asm: Assembler, tunnels: Sequence[int], levels: int) -> None:
        self.asm = asm
        self._tunnels = tuple(dict.fromkeys(tunnels))
        self._levels = levels
        self.done = asm.fresh()
        """Where the walk goes when there is nothing more to find; the caller places it."""
        self.datagram = self.done
        """Where it goes instead with X at a UDP header that no tunnel is behind."""
        self._link = [asm.fresh() for _ in range(levels)]
        self._network = [asm.fresh() for _ in range(levels)]

    def at_link(self, level: int) -> None:
        """X: an Ethernet header. A is free."""

    def at_tag(self, level: int) -> None:
        """X + 14: the end of a VLAN tag. A is free."""

    def at_other(self, level: int) -> None:
        """A: an ethertype that is not IP; X + 14: what it carries. Falls through to ``done``; X is free."""

    def at_network(self, level: int, ethertype: int) -> None:
        """X: an IPv4 or IPv6 header, whole but for its options. A is free."""

    def at_transport(self, level: int) -> None:
        """A: the protocol; X: its header. A has to stay."""

    def at_fragment(self, level: int) -> None:
        """A: the protocol; X: what a fragment carries that is not the first. Falls through to ``done``; X is free."""

    def at_datagram(self, level: int) -> None:
        """X: a UDP header, to a tunnel's port. A is free."""

    def at_inner(self, level: int, kind: str) -> None:
        """A tunnel leads to the next level; for VXLAN and Geneve, A: the word whose upper 24 bits are the VNI."""

    def emit(self) -> None:
        """The code, up to and without ``done``."""
        asm = self.asm
        asm.emit(bpf.LDX_IMM, 0)
        asm.emit(bpf.LD_WORD, bpf.AD_HATYPE)
        asm.test(bpf.JEQ, ETHERNET, self._link[0])
        asm.test(bpf.JEQ, LOOPBACK, self._link[0], self._network[0])
        for level in range(self._levels):
            self._emit_link(level)
            self._emit_network(level)

    def guard(self, size: int) -> None:
        """Ends the walk where less than ``size`` bytes follow X. Uses A."""
        if not self.guarded:
            return
        asm = self.asm
        asm.emit(bpf.LD_LEN)
        asm.emit(bpf.SUB | bpf.BY_X)
        asm.test(bpf.JSET, 1 << 31, self.done)  # X itself lies beyond
        asm.test(bpf.JGE, size, None, self.done)

    def advance(self, size: int) -> None:
        """X = X + size. Uses A."""
        self.asm.emit(bpf.TXA)
        self.asm.emit(bpf.ADD, size)
        self.asm.emit(bpf.TAX)

    def _emit_link(self, level: int) -> None:
        asm = self.asm
        asm.label(self._link[level])
        self.guard(14)
        self.at_link(level)
        typed, inet = asm.fresh(), asm.fresh()
        asm.emit(bpf.IND_HALF, 12)
        for _ in range(2):
            tag, untagged = asm.fresh(), typed
            asm.test(bpf.JEQ, VLANS[0], tag)
            asm.test(bpf.JEQ, VLANS[1], tag, untagged)
            asm.label(tag)
            self.guard(18)
            self.advance(4)
            self.at_tag(level)
            asm.emit(bpf.IND_HALF, 12)
        asm.label(typed)
        asm.test(bpf.JEQ, IPV4, inet)
        asm.test(bpf.JEQ, IPV6, inet)
        self.at_other(level)
        asm.go(self.done)
        asm.label(inet)
        self.advance(14)

    def _emit_network(self, level: int) -> None:
        """The version nibble decides, whatever led here."""
        asm = self.asm
        asm.label(self._network[level])
        six, later, transport = asm.fresh(), asm.fresh(), asm.fresh()
        self.guard(20)
        asm.emit(bpf.IND_BYTE, 0)
        asm.emit(bpf.RSH, 4)
        asm.test(bpf.JEQ, 6, six)
        asm.test(bpf.JEQ, 4, None, self.done)
        self._emit_ipv4(level, transport, later)
        asm.label(six)
        self._emit_ipv6(level, transport)
        asm.label(later)
        asm.emit(bpf.LD_MEM, PROTO)
        self.at_fragment(level)
        asm.go(self.done)
        asm.label(transport)
        asm.emit(bpf.LD_MEM, PROTO)
        self.at_transport(level)
        if level + 1 < self._levels:
            self._emit_tunnels(level)
        else:
            asm.go(self.done)

    def _emit_ipv4(self, level: int, transport: str, later: str) -> None:
        """RFC 791: the header's length in words, the fragment's offset, the protocol."""
        asm = self.asm
        self.at_network(level, IPV4)
        asm.emit(bpf.IND_BYTE, 9)
        asm.emit(bpf.ST, PROTO)
        asm.emit(bpf.IND_HALF, 6)
        asm.emit(bpf.ST, SCRATCH)
        asm.emit(bpf.IND_BYTE, 0)
        asm.emit(bpf.AND, 15)
        asm.emit(bpf.LSH, 2)
        asm.emit(bpf.ADD | bpf.BY_X)
        asm.emit(bpf.TAX)
        asm.emit(bpf.LD_MEM, SCRATCH)
        asm.test(bpf.JSET, 0x1FFF, later, transport)

    def _emit_ipv6(self, level: int, transport: str) -> None:
        """RFC 8200: hop-by-hop options (0), routing (43) and destination options (60) tell their length in units of 8
        bytes without the first; a fragment header (44) has 8 bytes.
        """
        asm = self.asm
        fragment = asm.fresh()
        self.guard(40)
        self.at_network(level, IPV6)
        asm.emit(bpf.IND_BYTE, 6)
        asm.emit(bpf.ST, PROTO)
        self.advance(40)
        for _ in range(EXTENSIONS):
            extension, options, sized = asm.fresh(), asm.fresh(), asm.fresh()
            asm.emit(bpf.LD_MEM, PROTO)
            for number in (0, 43, 44):
                asm.test(bpf.JEQ, number, extension)
            asm.test(bpf.JEQ, 60, extension, transport)
            asm.label(extension)
            self.guard(8)
            asm.emit(bpf.LD_MEM, PROTO)
            asm.test(bpf.JEQ, 44, None, options)
            asm.emit(bpf.IND_HALF, 2)
            asm.test(bpf.JSET, 0xFFF8, fragment)
            asm.emit(bpf.LD_IMM, 0)
            asm.go(sized)
            asm.label(options)
            asm.emit(bpf.IND_BYTE, 1)
            asm.label(sized)
            asm.emit(bpf.ADD, 1)
            asm.emit(bpf.LSH, 3)
            asm.emit(bpf.ST, SCRATCH)
            asm.emit(bpf.IND_BYTE, 0)
            asm.emit(bpf.ST, PROTO)
            asm.emit(bpf.LD_MEM, SCRATCH)
            asm.emit(bpf.ADD | bpf.BY_X)
            asm.emit(bpf.TAX)
        asm.go(transport)
        asm.label(fragment)
        asm.emit(bpf.IND_BYTE, 0)
        asm.emit(bpf.ST, PROTO)
        self.advance(8)

    def _emit_tunnels(self, level: int) -> None:
        """A: the protocol; X: its header. IP in IP: RFC 2003, RFC 4213."""
        asm = self.asm
        encapsulated, routing, datagram = asm.fresh(), asm.fresh(), asm.fresh()
        if self._tunnels:
            asm.test(bpf.JEQ, 17, datagram)
        asm.test(bpf.JEQ, 47, routing)
        asm.test(bpf.JEQ, 4, encapsulated)
        asm.test(bpf.JEQ, 41, encapsulated, self.done)
        asm.label(encapsulated)
        self.at_inner(level + 1, "ipip")
        asm.go(self._network[level + 1])
        asm.label(routing)
        self._emit_gre(level)
        if self._tunnels:
            asm.label(datagram)
            self._emit_udp(level)

    def _emit_gre(self, level: int) -> None:
        """RFC 2784, RFC 2890: checksum, key and sequence number are there where their bits are set."""
        asm = self.asm
        self.guard(4)
        asm.emit(bpf.IND_HALF, 0)
        asm.test(bpf.JSET, 0x4007, self.done)  # source routes, or another version
        asm.emit(bpf.ST, SCRATCH)
        asm.emit(bpf.IND_HALF, 2)
        asm.emit(bpf.ST, PROTO)
        for bit in (15, 13, 12):
            asm.emit(bpf.LD_MEM, SCRATCH)
            asm.emit(bpf.RSH, bit - 2)
            asm.emit(bpf.AND, 4)
            asm.emit(bpf.ADD | bpf.BY_X)
            asm.emit(bpf.TAX)
        self.advance(4)
        self.at_inner(level + 1, "gre")
        self._emit_payload(level)

    def _emit_payload(self, level: int) -> None:
        """On to the next level by the ethertype that is kept in memory."""
        asm = self.asm
        asm.emit(bpf.LD_MEM, PROTO)
        asm.test(bpf.JEQ, FRAMES, self._link[level + 1])
        asm.test(bpf.JEQ, IPV4, self._network[level + 1])
        asm.test(bpf.JEQ, IPV6, self._network[level + 1], self.done)

    def _emit_udp(self, level: int) -> None:
        asm = self.asm
        vxlan, geneve = asm.fresh(), asm.fresh()
        self.guard(16)
        asm.emit(bpf.IND_HALF, 2)
        for port in self._tunnels:
            asm.test(bpf.JEQ, port, geneve if port == GENEVE else vxlan)
        asm.go(self.datagram)
        if any(port != GENEVE for port in self._tunnels):
            asm.label(vxlan)
            self._emit_vxlan(level)
        if GENEVE in self._tunnels:
            asm.label(geneve)
            self._emit_geneve(level)

    def _emit_vxlan(self, level: int) -> None:
        """RFC 7348: flag I says that the VNI is valid."""
        asm = self.asm
        self.at_datagram(level)
        asm.emit(bpf.IND_BYTE, 8)
        asm.test(bpf.JSET, 0x08, None, self.datagram)
        asm.emit(bpf.IND_WORD, 12)
        self.at_inner(level + 1, "vxlan")
        self.advance(16)
        asm.go(self._link[level + 1])

    def _emit_geneve(self, level: int) -> None:
        """RFC 8926: version 0, the options' length in words."""
        asm = self.asm
        self.at_datagram(level)
        asm.emit(bpf.IND_BYTE, 8)
        asm.test(bpf.JSET, 0xC0, self.datagram)
        asm.emit(bpf.IND_HALF, 10)
        asm.emit(bpf.ST, PROTO)
        asm.emit(bpf.IND_WORD, 12)
        self.at_inner(level + 1, "geneve")
        asm.emit(bpf.IND_BYTE, 8)
        asm.emit(bpf.LSH, 2)
        asm.emit(bpf.ADD | bpf.BY_X)
        asm.emit(bpf.TAX)
        self.advance(16)
        self._emit_payload(level)
