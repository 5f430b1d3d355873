"""The part of a program that remembers, level by level, what an expression asks about."""

from __future__ import annotations

from collections.abc import Sequence

from netfs.capture.filter import assembler as bpf
from netfs.capture.filter import expression as ask
from netfs.capture.filter.assembler import Assembler
from netfs.capture.filter.expression import Expression
from netfs.capture.filter.walk import SCRATCH, Walk

LEVELS = 3
"""The frame, and tunnels in tunnels."""

LINK = "link"
"""Where the Ethernet header begins, plus one; from bit 16, the number of VLAN tags."""
NETWORK = "network"
"""Where the header of IP or ARP begins, or anything else's; from bit 16, its ethertype."""
TRANSPORT = "transport"
"""Where the transport header begins; from bit 16, the protocol; ``PORTS``, ``PARSED``."""
TUNNEL = "tunnel"
"""The VNI; ``HAS_VNI``; what tunnels are around, by ``KINDS``."""

PORTS, PARSED = 1 << 24, 1 << 25
HAS_VNI = 1 << 24
KINDS = {"vxlan": 1 << 25, "geneve": 1 << 26}
DEEPEST = bpf.MEMORY - 3
"""The word of memory that holds the number of the innermost level there is."""

_NEEDS: dict[type[Expression], tuple[str, ...]] = {
    ask.Net: (NETWORK,),
    ask.Ports: (TRANSPORT,),
    ask.Protocol: (NETWORK, TRANSPORT),
    ask.EtherType: (NETWORK,),
    ask.Mac: (LINK,),
    ask.Vlan: (LINK,),
    ask.Vni: (TUNNEL,),
    ask.Within: (TUNNEL,),
    ask.Length: (),
}


class Facts(Walk):
    """The walk of an expression's program. It ends at ``done`` with every fact in memory: a word for each fact of each
    level, 0 where there is none.
    """

    def __init__(self, asm: Assembler, tunnels: Sequence[int], expression: Expression) -> None:
        super().__init__(asm, tunnels, 1 if isinstance(expression, ask.Outer) else LEVELS)
        needed = {fact for primitive in ask.primitives(expression) for fact in _NEEDS[type(primitive)]}
        self._needed = sorted(needed)

    @property
    def levels(self) -> tuple[int, ...]:
        """Those that the walk looks at."""
        return tuple(range(self._levels))

    def word(self, level: int, fact: str) -> int:
        """Where in memory a fact is."""
        return level * len(self._needed) + self._needed.index(fact)

    def emit(self) -> None:
        """The code: nothing is known, then the levels."""
        self.asm.emit(bpf.LD_IMM, 0)
        self.asm.emit(bpf.ST, DEEPEST)
        for word in range(self._levels * len(self._needed)):
            self.asm.emit(bpf.ST, word)
        super().emit()

    def _store(self, level: int, fact: str) -> None:
        self.asm.emit(bpf.ST, self.word(level, fact))

    def at_link(self, level: int) -> None:
        """Remembers where it is."""
        if LINK in self._needed:
            self.asm.emit(bpf.TXA)
            self.asm.emit(bpf.ADD, 1)
            self._store(level, LINK)

    def at_tag(self, level: int) -> None:
        """Counts it."""
        if LINK in self._needed:
            self.asm.emit(bpf.LD_MEM, self.word(level, LINK))
            self.asm.emit(bpf.ADD, 1 << 16)
            self._store(level, LINK)

    def at_other(self, level: int) -> None:
        """Remembers the ethertype; ARP's where it is whole (RFC 826: 28 bytes for IPv4 over Ethernet)."""
        if NETWORK not in self._needed:
            return
        asm, whole = self.asm, self.asm.fresh()
        asm.emit(bpf.ST, SCRATCH)
        asm.test(bpf.JEQ, ask.ARP, None, whole)
        self.guard(14 + 28)
        asm.label(whole)
        asm.emit(bpf.LD_MEM, SCRATCH)
        self._remember_network(level, 14)

    def _remember_network(self, level: int, offset: int) -> None:
        """A: the ethertype."""
        asm = self.asm
        asm.emit(bpf.LSH, 16)
        asm.emit(bpf.ADD | bpf.BY_X)
        asm.emit(bpf.ADD, offset)
        self._store(level, NETWORK)

    def at_network(self, level: int, ethertype: int) -> None:
        """Remembers where it is, and which it is."""
        if NETWORK in self._needed:
            self.asm.emit(bpf.LD_IMM, ethertype)
            self._remember_network(level, 0)

    def at_transport(self, level: int) -> None:
        """Remembers the protocol, and whether two ports are there."""
        if TRANSPORT not in self._needed:
            return
        asm = self.asm
        stored, ported = asm.fresh(), asm.fresh()
        asm.emit(bpf.ST, SCRATCH)
        self._remember_protocol(level)
        asm.emit(bpf.LD_MEM, SCRATCH)
        for number in ask.WITH_PORTS:
            asm.test(bpf.JEQ, number, ported)
        asm.go(stored)
        asm.label(ported)
        self.guard(4)
        asm.emit(bpf.LD_MEM, self.word(level, TRANSPORT))
        asm.emit(bpf.OR, PORTS)
        self._store(level, TRANSPORT)
        asm.label(stored)
        asm.emit(bpf.LD_MEM, SCRATCH)

    def at_fragment(self, level: int) -> None:
        """Remembers the protocol; there are no ports."""
        if TRANSPORT in self._needed:
            self._remember_protocol(level)

    def _remember_protocol(self, level: int) -> None:
        """A: the protocol."""
        asm = self.asm
        asm.emit(bpf.LSH, 16)
        asm.emit(bpf.ADD | bpf.BY_X)
        asm.emit(bpf.OR, PARSED)
        self._store(level, TRANSPORT)

    def at_inner(self, level: int, kind: str) -> None:
        """Remembers that the level is there; its VNI, else that of the tunnel around; its kind, and those around."""
        asm = self.asm
        if TUNNEL in self._needed:
            if kind in KINDS:
                asm.emit(bpf.RSH, 8)
                asm.emit(bpf.OR, HAS_VNI | KINDS[kind])
                self._store(level, TUNNEL)
            if level > 1:
                self._inherit(level, 0xFFFFFFFF if kind not in KINDS else sum(KINDS.values()))
        asm.emit(bpf.LD_IMM, level)
        asm.emit(bpf.ST, DEEPEST)

    def _inherit(self, level: int, mask: int) -> None:
        asm = self.asm
        asm.emit(bpf.STX, SCRATCH)
        asm.emit(bpf.LD_MEM, self.word(level - 1, TUNNEL))
        asm.emit(bpf.AND, mask)
        asm.emit(bpf.LDX_MEM, self.word(level, TUNNEL))
        asm.emit(bpf.OR | bpf.BY_X)
        self._store(level, TUNNEL)
        asm.emit(bpf.LDX_MEM, SCRATCH)
