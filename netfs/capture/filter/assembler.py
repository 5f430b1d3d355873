"""Classic BPF from labels: what SO_ATTACH_FILTER takes.

The machine is that of Documentation/networking/filter.rst: an accumulator A, an index X, 16 words of memory M, and
jumps that only lead forward. A conditional jump reaches 255 instructions; where that is too near, it goes by way of an
unconditional one. Codes are those of ``include/uapi/linux/bpf_common.h``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from netfs.errors import FilterError

MOST = 4096
"""BPF_MAXINSNS."""
MEMORY = 16
"""BPF_MEMWORDS."""
INSTRUCTION = struct.Struct("=HBBI")
"""``struct sock_filter``: code, jt, jf, k, in the machine's own byte order."""
REACH = 255
_TRIED = 4 * MOST
"""More before jumps are laid out will hardly fit, and an expression must not become any amount of them."""

LD_WORD, LD_HALF, LD_BYTE = 0x20, 0x28, 0x30
"""A = packet[k:4], [k:2], [k:1]."""
IND_WORD, IND_HALF, IND_BYTE = 0x40, 0x48, 0x50
"""A = packet[X + k:…]."""
LD_IMM, LD_MEM, LD_LEN = 0x00, 0x60, 0x80
LDX_IMM, LDX_MEM, LDX_LEN = 0x01, 0x61, 0x81
LDX_MSH = 0xB1
"""X = 4 * (packet[k:1] & 15)."""
ST, STX = 0x02, 0x03
ADD, SUB, MUL, DIV, OR, AND, LSH, RSH, NEG, MOD, XOR = (0x04 | op << 4 for op in range(11))
"""A = A op k; with ``BY_X``, A op X."""
BY_X = 0x08
JA, JEQ, JGT, JGE, JSET = 0x05, 0x15, 0x25, 0x35, 0x45
"""The last four compare A with k; with ``BY_X``, with X."""
RET, RET_A = 0x06, 0x16
TAX, TXA = 0x07, 0x87

AD = 0xFFFFF000
"""SKF_AD_OFF: an absolute load from here on reads what the kernel knows about the packet (uapi/linux/filter.h)."""
AD_PROTOCOL, AD_PKTTYPE, AD_IFINDEX, AD_HATYPE, AD_VLAN_TAG, AD_VLAN_TAG_PRESENT = (
    AD + offset for offset in (0, 4, 8, 28, 44, 48)
)


@dataclass(frozen=True, slots=True)
class _Instruction:
    code: int
    k: int
    yes: str | None = None
    """Where a jump leads; None of a conditional one: to the next instruction."""
    no: str | None = None


class Assembler:
    """Collects instructions and labels, in order; ``assemble`` makes the program."""

    def __init__(self) -> None:
        self._instructions: list[_Instruction] = []
        self._labels: dict[str, int] = {}
        self._fresh = 0

    def fresh(self) -> str:
        """A label that nobody else uses; it still has to be placed."""
        self._fresh += 1
        return f"#{self._fresh}"

    def label(self, name: str) -> None:
        """Places a label before the next instruction. Raises ValueError where it has been placed before."""
        if name in self._labels:
            raise ValueError(f"label placed twice: {name}")
        self._labels[name] = len(self._instructions)

    def emit(self, code: int, k: int = 0) -> None:
        """An instruction that does not jump. ``k`` is taken modulo 2**32."""
        self._append(_Instruction(code, k & 0xFFFFFFFF))

    def test(self, code: int, k: int, yes: str | None = None, no: str | None = None) -> None:
        """A conditional jump: to ``yes`` or ``no``; None is the next instruction."""
        self._append(_Instruction(code, k & 0xFFFFFFFF, yes, no))

    def go(self, label: str) -> None:
        """A jump."""
        self._append(_Instruction(JA, 0, label))

    def _append(self, instruction: _Instruction) -> None:
        if len(self._instructions) >= _TRIED:
            raise _too_long()
        self._instructions.append(instruction)

    def assemble(self) -> bytes:
        """The program: ``struct sock_filter`` after ``struct sock_filter``.

        Raises FilterError where it has more instructions than the kernel takes; ValueError where a label is missing or
        a jump leads backwards.
        """
        at: dict[int, list[str]] = {}
        for label, index in self._labels.items():
            at.setdefault(index, []).append(label)
        layout = _Layout()
        for index in reversed(range(len(self._instructions))):
            layout.put(self._instructions[index], at.get(index, []))
        if len(layout.words) > MOST:
            raise _too_long()
        return b"".join(reversed(layout.words))


class _Layout:
    """A program from its end to its beginning. Jumps lead forward, so their targets have their places by then."""

    def __init__(self) -> None:
        self.words: list[bytes] = []
        """The last one first."""
        self._places: dict[str, int] = {}
        """Where labels are in ``words``."""
        self._islands: dict[str, int] = {}
        """The foremost unconditional jump to each label: as good as the label for a jump that does not reach it."""

    def put(self, instruction: _Instruction, labels: list[str]) -> None:
        """The instruction before those that are there, with the labels that are placed before it."""
        if instruction.code == JA:
            assert instruction.yes is not None
            if self._place(instruction.yes) != len(self.words) - 1:
                self._island(instruction.yes)
        elif instruction.yes is None and instruction.no is None:
            self.words.append(INSTRUCTION.pack(instruction.code, 0, 0, instruction.k))
        else:
            self._put_test(instruction)
        for label in labels:
            self._places[label] = len(self.words) - 1

    def _put_test(self, test: _Instruction) -> None:
        following = len(self.words) - 1
        while missing := [label for label in (test.yes, test.no) if label is not None and self._near(label) is None]:
            self._island(missing[0])
        yes, no = (following if label is None else self._near(label) for label in (test.yes, test.no))
        assert yes is not None
        assert no is not None
        self.words.append(INSTRUCTION.pack(test.code, self._distance(yes), self._distance(no), test.k))

    def _place(self, label: str) -> int:
        if label not in self._places:
            raise ValueError(f"no such label ahead: {label}")
        return self._places[label]

    def _distance(self, place: int) -> int:
        """From behind the next instruction to be put."""
        return len(self.words) - 1 - place

    def _near(self, label: str) -> int | None:
        """What a conditional jump can reach that leads to the label."""
        for place in (self._place(label), self._islands.get(label)):
            if place is not None and self._distance(place) <= REACH:
                return place
        return None

    def _island(self, label: str) -> None:
        self.words.append(INSTRUCTION.pack(JA, 0, 0, self._distance(self._place(label))))
        self._islands[label] = len(self.words) - 1


def _too_long() -> FilterError:
    return FilterError(f"the filter becomes more than {MOST} instructions", hint="name fewer addresses or ports")
