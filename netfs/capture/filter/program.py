"""Programs for a tap's socket: classic BPF that SO_ATTACH_FILTER takes, and that ``machine.run`` runs."""

from __future__ import annotations

from collections.abc import Sequence

from netfs.capture.filter import assembler as bpf
from netfs.capture.filter.assembler import Assembler
from netfs.capture.filter.expression import Expression
from netfs.capture.filter.facts import Facts
from netfs.capture.filter.marked import Marked
from netfs.capture.filter.questions import Questions
from netfs.capture.marker import TUNNELS, Marker

KEEP = 262144
"""Bytes of a packet that passes: all, as tcpdump does."""


def for_marker(marker: Marker) -> bytes:
    """The program that passes a marker's probes, their answers, and ICMP errors about either.

    They are found in IPv4 and IPv6, behind VLAN tags, inside tunnels, as fragments and as quotations. Others pass by
    chance only: one of 2**22 TCP segments, of 2**48 other packets; and UDP between ``marker.ports``.
    """
    asm = Assembler()
    marked = Marked(asm, marker)
    marked.emit()
    _end(asm, marked.accept, marked.done)
    return asm.assemble()


def for_expression(expression: Expression, tunnels: Sequence[int] = TUNNELS) -> bytes:
    """The program that passes the packets for which an expression holds.

    ``tunnels``: UDP ports behind which VXLAN, or Geneve at 6081, is looked for. IPIP and GRE are looked into always.
    Raises FilterError where the program would have more instructions than the kernel takes.
    """
    asm = Assembler()
    facts = Facts(asm, tunnels, expression)
    facts.emit()
    asm.label(facts.done)
    yes, no = asm.fresh(), asm.fresh()
    Questions(asm, facts).somewhere(expression, facts.levels, yes, no)
    _end(asm, yes, no)
    return asm.assemble()


def _end(asm: Assembler, yes: str, no: str) -> None:
    asm.label(yes)
    asm.emit(bpf.RET, KEEP)
    asm.label(no)
    asm.emit(bpf.RET, 0)
