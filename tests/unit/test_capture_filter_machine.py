"""The machine's corners; tests/kernel compares it with the kernel on random programs."""

from __future__ import annotations

import pytest

from netfs.capture.filter import assembler as bpf
from netfs.capture.filter.machine import Frame, run

PACKET = Frame(bytes(range(0x40, 0x60)))


def result(*instructions: tuple[int, int], frame: Frame = PACKET) -> int:
    """A at the end."""
    words = [bpf.INSTRUCTION.pack(code, 0, 0, k) for code, k in (*instructions, (bpf.RET_A, 0))]
    return run(b"".join(words), frame)


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [
        ([(bpf.LD_WORD, 28)], 0x5C5D5E5F),
        ([(bpf.LD_WORD, 29)], 0),
        ([(bpf.LD_HALF, 30)], 0x5E5F),
        ([(bpf.LD_BYTE, 31)], 0x5F),
        ([(bpf.LD_BYTE, 32)], 0),
        ([(bpf.LDX_IMM, 3), (bpf.IND_BYTE, 1)], 0x44),
        ([(bpf.LDX_IMM, 0xFFFFFFFF), (bpf.IND_BYTE, 1)], 0x40),
        ([(bpf.LDX_IMM, 0xFFFFFFFF), (bpf.IND_BYTE, 0)], 0),
        ([(bpf.LDX_MSH, 5), (bpf.TXA, 0)], 20),
        ([(bpf.LD_LEN, 0)], 32),
        ([(bpf.LDX_LEN, 0), (bpf.TXA, 0)], 32),
        ([(bpf.LD_IMM, 7), (bpf.ST, 15), (bpf.LDX_MEM, 15), (bpf.STX, 3), (bpf.LD_MEM, 3)], 7),
        ([(bpf.LD_IMM, 1), (bpf.SUB, 2)], 0xFFFFFFFF),
        ([(bpf.LD_IMM, 5), (bpf.NEG, 0)], 0xFFFFFFFB),
        ([(bpf.LD_IMM, 0x80000000), (bpf.ADD, 0x80000001)], 1),
        ([(bpf.LD_IMM, 0xFFFFFFFF), (bpf.MUL, 0xFFFFFFFF)], 1),
        ([(bpf.LD_IMM, 1), (bpf.LDX_IMM, 33), (bpf.LSH | bpf.BY_X, 0)], 2),
        ([(bpf.LD_IMM, 7), (bpf.LDX_IMM, 0), (bpf.DIV | bpf.BY_X, 0)], 0),
        ([(bpf.LD_IMM, 7), (bpf.LDX_IMM, 0), (bpf.MOD | bpf.BY_X, 0)], 0),
        ([(bpf.LD_IMM, 0xFFFFFFFE), (bpf.DIV, 2)], 0x7FFFFFFF),
        ([(bpf.LD_IMM, 7), (bpf.MOD, 4)], 3),
        ([(bpf.LD_IMM, 6), (bpf.TAX, 0), (bpf.XOR | bpf.BY_X, 0), (bpf.OR, 9)], 9),
    ],
)
def test_an_instruction_does_what_the_kernel_s_does(instructions: list[tuple[int, int]], expected: int) -> None:
    assert result(*instructions) == expected


def test_a_load_beyond_the_packet_ends_the_program() -> None:
    words = (bpf.LD_BYTE, 32), (bpf.RET, 1)
    assert run(b"".join(bpf.INSTRUCTION.pack(code, 0, 0, k) for code, k in words), PACKET) == 0


def test_what_the_kernel_knows_beside_the_bytes() -> None:
    frame = Frame(b"", hatype=772, protocol=0x86DD, pkttype=4, ifindex=9, vlan=0x2005)
    asked = (bpf.AD_HATYPE, bpf.AD_PROTOCOL, bpf.AD_PKTTYPE, bpf.AD_IFINDEX, bpf.AD_VLAN_TAG, bpf.AD_VLAN_TAG_PRESENT)
    assert [result((bpf.LD_WORD, what), frame=frame) for what in asked] == [772, 0x86DD, 4, 9, 0x2005, 1]
    assert result((bpf.LD_IMM, 5), (bpf.LD_WORD, bpf.AD_VLAN_TAG_PRESENT)) == 0


def test_without_a_device_a_program_ends_with_what_it_has() -> None:
    assert result((bpf.LD_IMM, 5), (bpf.LD_WORD, bpf.AD_HATYPE), (bpf.LD_IMM, 6), frame=Frame(b"", hatype=None)) == 5


def test_a_length_on_the_wire_brings_no_bytes() -> None:
    frame = Frame(b"\1", length=1500)
    assert result((bpf.LD_LEN, 0), frame=frame) == 1500
    assert result((bpf.LD_BYTE, 1), frame=frame) == 0


@pytest.mark.parametrize("code", [0xFF, 0xE4, 0x65, 0xA0, 0x67])
def test_what_is_no_instruction_is_refused(code: int) -> None:
    with pytest.raises(ValueError, match="classic BPF"):
        result((code, 0))
