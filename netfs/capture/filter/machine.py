"""Classic BPF, run here: for what files hold, and to try programs without a kernel.

It answers as ``bpf_convert_filter`` (net/core/filter.c) makes the kernel answer: a load beyond the packet and a
division by zero end the program with 0; a shift counts modulo 32; arithmetic is on 32 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from netfs.capture.filter import assembler as bpf

_WORD = 0xFFFFFFFF
_SIZE = {bpf.LD_WORD: 4, bpf.LD_HALF: 2, bpf.LD_BYTE: 1, bpf.IND_WORD: 4, bpf.IND_HALF: 2, bpf.IND_BYTE: 1}
_ALU: dict[int, Callable[[int, int], int]] = {
    bpf.ADD: lambda a, b: a + b,
    bpf.SUB: lambda a, b: a - b,
    bpf.MUL: lambda a, b: a * b,
    bpf.DIV: lambda a, b: a // b,
    bpf.MOD: lambda a, b: a % b,
    bpf.OR: lambda a, b: a | b,
    bpf.AND: lambda a, b: a & b,
    bpf.XOR: lambda a, b: a ^ b,
    bpf.LSH: lambda a, b: a << (b & 31),
    bpf.RSH: lambda a, b: a >> (b & 31),
    bpf.NEG: lambda a, _: -a,
}
_TEST: dict[int, Callable[[int, int], bool]] = {
    bpf.JEQ: lambda a, b: a == b,
    bpf.JGT: lambda a, b: a > b,
    bpf.JGE: lambda a, b: a >= b,
    bpf.JSET: lambda a, b: a & b != 0,
}


@dataclass(frozen=True, slots=True)
class Frame:
    """A packet, and what the kernel knows beside its bytes."""

    data: bytes
    hatype: int | None = 1
    """ARPHRD_* of the device (uapi/linux/if_arp.h): 1 Ethernet, 772 loopback, 65534 none. None: no device; a program
    that asks for the device ends with what A is by then."""
    length: int | None = None
    """On the wire, where ``data`` holds less."""
    protocol: int = 0
    """``skb->protocol``: an ethertype."""
    pkttype: int = 0
    """PACKET_* of uapi/linux/if_packet.h; 4: outgoing."""
    ifindex: int = 0
    vlan: int | None = None
    """The tag control information of a tag that the kernel took out of the frame; None: it took none."""


def run(program: bytes, frame: Frame) -> int:
    """What the program returns: how many bytes of the packet to keep; 0: it does not pass.

    The program is taken to be one that ``check`` of the kernel (``bpf_check_classic``) accepts. Raises ValueError
    for an instruction that classic BPF does not have.
    """
    return _Machine(program, frame).run()


class _Ended(Exception):  # noqa: N818  # not an error: the program is over
    def __init__(self, answer: int = 0) -> None:
        super().__init__()
        self.answer = answer


class _Machine:
    def __init__(self, program: bytes, frame: Frame) -> None:
        self._program = list(bpf.INSTRUCTION.iter_unpack(program))
        self._frame = frame
        self._length = len(frame.data) if frame.length is None else frame.length
        self._memory = [0] * bpf.MEMORY
        self._a = 0
        self._x = 0

    def run(self) -> int:
        at = 0
        while True:
            code, jt, jf, k = self._program[at]
            at += 1
            if code == bpf.RET:
                return int(k)
            if code == bpf.RET_A:
                return self._a
            if code == bpf.JA:
                at += k
            elif code & 7 == 5:
                at += jt if _test(code)(self._a, self._x if code & bpf.BY_X else k) else jf
            else:
                try:
                    self._step(code, k)
                except _Ended as ended:
                    return ended.answer

    def _step(self, code: int, k: int) -> None:
        kind = code & 7
        if kind == 0:
            self._a = self._load(code, k)
        elif kind == 1:
            self._x = 4 * (self._packet(k, 1) & 15) if code == bpf.LDX_MSH else self._load(code & ~1, k)
        elif code == bpf.ST:
            self._memory[k] = self._a
        elif code == bpf.STX:
            self._memory[k] = self._x
        elif kind == 4:
            self._a = self._compute(code, self._x if code & bpf.BY_X else k)
        elif code == bpf.TAX:
            self._x = self._a
        elif code == bpf.TXA:
            self._a = self._x
        else:
            raise ValueError(f"no instruction of classic BPF: {code:#x}")

    def _load(self, code: int, k: int) -> int:
        if code == bpf.LD_IMM:
            return k
        if code == bpf.LD_MEM:
            return self._memory[k]
        if code == bpf.LD_LEN:
            return self._length
        if code not in _SIZE:
            raise ValueError(f"no load of classic BPF: {code:#x}")
        if code & 0x40:
            return self._packet(self._x + k & _WORD, _SIZE[code])
        return self._ancillary(k) if k >= bpf.AD else self._packet(k, _SIZE[code])

    def _packet(self, at: int, size: int) -> int:
        """Offsets from 2**31 on are negative to the kernel; only ``_ancillary`` knows any of them."""
        if at + size > len(self._frame.data):
            raise _Ended
        return int.from_bytes(self._frame.data[at : at + size])

    def _ancillary(self, k: int) -> int:
        """``convert_bpf_extensions``, which leaves without a device before it has set A."""
        frame = self._frame
        if k in {bpf.AD_HATYPE, bpf.AD_IFINDEX} and frame.hatype is None:
            raise _Ended(self._a)
        values = {
            bpf.AD_PROTOCOL: frame.protocol,
            bpf.AD_PKTTYPE: frame.pkttype,
            bpf.AD_IFINDEX: frame.ifindex,
            bpf.AD_HATYPE: frame.hatype or 0,
            bpf.AD_VLAN_TAG: frame.vlan or 0,
            bpf.AD_VLAN_TAG_PRESENT: int(frame.vlan is not None),
        }
        if k not in values:
            raise ValueError(f"no ancillary load known: {k:#x}")
        return values[k]

    def _compute(self, code: int, value: int) -> int:
        operation = code & ~bpf.BY_X
        if operation not in _ALU:
            raise ValueError(f"no arithmetic of classic BPF: {code:#x}")
        if operation in {bpf.DIV, bpf.MOD} and value == 0:
            raise _Ended
        return _ALU[operation](self._a, value) & _WORD


def _test(code: int) -> Callable[[int, int], bool]:
    if code & ~bpf.BY_X not in _TEST:
        raise ValueError(f"no jump of classic BPF: {code:#x}")
    return _TEST[code & ~bpf.BY_X]
