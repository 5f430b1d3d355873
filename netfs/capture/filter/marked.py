"""The part of a program that knows a probe: what the marker leaves in headers and payloads.

ICMP errors lead to one more level, the packet that they quote; so a probe is found in a quotation as it is anywhere
else, in what an outer packet's quotation carries too. What ends a packet stands in the program once: X is where the
transport header begins.
"""

from __future__ import annotations

from netfs.capture.filter import assembler as bpf
from netfs.capture.filter.assembler import Assembler
from netfs.capture.filter.walk import Walk
from netfs.capture.marker import Marker

LEVELS = 4
"""Three as tunnels go, and a quotation."""
ERRORS, ERRORS6 = (3, 4, 5, 11, 12), (1, 2, 3, 4)
"""Types of ICMP and ICMPv6 that quote a packet (RFC 792, RFC 4443)."""
QUOTED = bpf.MEMORY - 3
"""A word of memory: 1 where what is looked at is a quotation."""
SYN, RST, ACK = 0x02, 0x04, 0x10


class Marked(Walk):
    """The walk of a probe's program, and its ends: it goes to ``accept`` or ``done``."""

    guarded = False

    def __init__(self, asm: Assembler, marker: Marker) -> None:
        super().__init__(asm, marker.tunnels, LEVELS)
        self._marker = marker
        self.accept = asm.fresh()
        self._echo, self._later, self._segment = asm.fresh(), asm.fresh(), asm.fresh()
        if marker.proto == "udp":
            self.datagram = asm.fresh()
        self._ports = sorted(marker.ports | {(there, here) for here, there in marker.ports})

    def emit(self) -> None:
        """The code: levels, then the ends."""
        self.asm.emit(bpf.LD_IMM, 0)
        self.asm.emit(bpf.ST, QUOTED)
        super().emit()
        if self._marker.proto == "tcp":
            self._emit_segment()
            return
        if self._marker.proto == "udp":
            self.asm.label(self.datagram)
            self._emit_ports(self._ports)
        self.asm.label(self._echo)
        self._emit_token(8, self.done)
        self.asm.label(self._later)
        self._emit_fragment()

    def at_transport(self, level: int) -> None:
        """Echoes, errors, segments; datagrams where no tunnel is looked for."""
        asm, proto = self.asm, self._marker.proto
        if proto == "tcp":
            asm.test(bpf.JEQ, 6, self._segment)
        last = level + 1 == LEVELS
        if proto == "udp" and (last or not self._tunnels):
            asm.test(bpf.JEQ, 17, self.datagram)
        if proto == "icmp" or not last:
            self._emit_icmp(level, 1, (0, 8), ERRORS)
            self._emit_icmp(level, 58, (128, 129), ERRORS6)

    def _emit_icmp(self, level: int, protocol: int, echoes: tuple[int, ...], errors: tuple[int, ...]) -> None:
        asm = self.asm
        beside = asm.fresh()
        asm.test(bpf.JEQ, protocol, None, beside)
        asm.emit(bpf.IND_BYTE, 0)
        for type in echoes if self._marker.proto == "icmp" else ():
            asm.test(bpf.JEQ, type, self._echo)
        if level + 1 < LEVELS:
            quoting = asm.fresh()
            for type in errors:
                asm.test(bpf.JEQ, type, quoting)
            asm.go(self.done)
            asm.label(quoting)
            asm.emit(bpf.LD_IMM, 1)
            asm.emit(bpf.ST, QUOTED)
            self.advance(8)
            asm.go(self._network[level + 1])
        else:
            asm.go(self.done)
        asm.label(beside)

    def at_fragment(self, level: int) -> None:  # noqa: ARG002  # the same at all of them
        """TCP's probe has no payload that could be fragmented."""
        if self._marker.proto != "tcp":
            self.asm.go(self._later)

    def at_datagram(self, level: int) -> None:  # noqa: ARG002  # the same at all of them
        """A probe may itself go to a tunnel's port; then its payload is no tunnel's."""
        if self._marker.proto == "udp":
            self._emit_ports([pair for pair in self._ports if pair[1] in self._tunnels])
            beside = self.asm.fresh()
            self._emit_token(8, beside)
            self.asm.label(beside)

    def _emit_ports(self, pairs: list[tuple[int, int]]) -> None:
        if pairs:
            self.asm.emit(bpf.IND_WORD, 0)
        for source, destination in pairs:
            self.asm.test(bpf.JEQ, source << 16 | destination, self.accept)

    def _emit_token(self, offset: int, otherwise: str) -> None:
        """The token stands at X + offset."""
        token = self._marker.token
        self.asm.emit(bpf.IND_WORD, offset)
        self.asm.test(bpf.JEQ, int.from_bytes(token[:4]), None, otherwise)
        self.asm.emit(bpf.IND_HALF, offset + 4)
        self.asm.test(bpf.JEQ, int.from_bytes(token[4:6]), self.accept, otherwise)

    def _emit_fragment(self) -> None:
        """A fragment of a tunnel's packet cuts the words as the inner headers' length has it, which is even."""
        for phase in (0, 2, 4, 6):
            beside = self.asm.fresh()
            self._emit_token(phase, beside)
            self.asm.label(beside)
        self.asm.go(self.done)

    def _emit_segment(self) -> None:
        """A SYN or a reset within the sequence numbers of the probe, or what acknowledges one; of a quotation 8 bytes
        may be all there is.
        """
        asm, first = self.asm, self._marker.sequence(0)
        answer = asm.fresh()
        asm.label(self._segment)
        asm.emit(bpf.IND_WORD, 4)
        asm.emit(bpf.AND, ~1023)
        asm.test(bpf.JEQ, first, None, answer)
        asm.emit(bpf.LD_MEM, QUOTED)
        asm.test(bpf.JEQ, 1, self.accept)
        asm.emit(bpf.IND_BYTE, 13)
        asm.test(bpf.JSET, SYN | RST, self.accept)
        asm.label(answer)
        asm.emit(bpf.IND_BYTE, 13)
        asm.test(bpf.JSET, ACK, None, self.done)
        asm.emit(bpf.IND_WORD, 8)
        asm.emit(bpf.AND, ~1023)
        asm.test(bpf.JEQ, first, self.accept, self.done)
