"""Labels become distances; what lies beyond the reach of a conditional jump is reached all the same."""

from __future__ import annotations

from random import Random

import pytest

from netfs.capture.filter import assembler as bpf
from netfs.capture.filter.assembler import Assembler
from netfs.capture.filter.machine import Frame, run
from netfs.errors import FilterError


def listing(code: bytes) -> list[tuple[int, ...]]:
    return list(bpf.INSTRUCTION.iter_unpack(code))


def test_a_program_is_instructions_in_the_machine_s_byte_order() -> None:
    asm = Assembler()
    asm.emit(bpf.LD_HALF, 12)
    asm.test(bpf.JEQ, 0x0800, "yes", "no")
    asm.label("yes")
    asm.emit(bpf.RET, -1)
    asm.label("no")
    asm.emit(bpf.RET, 0)
    assert listing(asm.assemble()) == [(0x28, 0, 0, 12), (0x15, 0, 1, 0x800), (6, 0, 0, 0xFFFFFFFF), (6, 0, 0, 0)]


@pytest.mark.parametrize("between", [0, 254, 255, 256, 257, 1000])
@pytest.mark.parametrize("value", [5, 6, 7])
def test_jumps_reach_any_distance(between: int, value: int) -> None:
    """5 leads to one far place, 6 to another, 7 to the next instruction."""
    asm = Assembler()
    asm.emit(bpf.LD_IMM, value)
    asm.test(bpf.JEQ, 5, "five")
    asm.test(bpf.JEQ, 6, "six", "near")
    asm.label("near")
    asm.emit(bpf.RET, 7)
    for _ in range(between):
        asm.emit(bpf.LD_IMM, 0)
    asm.label("five")
    asm.emit(bpf.RET, 5)
    asm.label("six")
    asm.emit(bpf.RET, 6)
    assert run(asm.assemble(), Frame(b"")) == value


def test_far_jumps_to_one_place_share_their_way() -> None:
    asm = Assembler()
    for number in range(2000):
        asm.test(bpf.JEQ, number, "end")
    asm.label("end")
    asm.emit(bpf.RET, 1)
    assert len(listing(asm.assemble())) < 2020


def test_a_jump_to_what_follows_is_left_out() -> None:
    asm = Assembler()
    asm.test(bpf.JEQ, 1, "a")
    asm.label("a")
    asm.go("b")
    asm.label("b")
    asm.emit(bpf.RET, 1)
    assert listing(asm.assemble()) == [(bpf.JEQ, 0, 0, 1), (bpf.RET, 0, 0, 1)]


def test_random_jumps_lead_where_their_labels_are() -> None:
    """Each place returns its own number; the walk by labels is done here as well."""
    rng = Random(1)
    for _ in range(60):
        count = rng.randrange(1, 900)
        jumps = [(rng.randrange(place + 1, count + 2), rng.randrange(place + 1, count + 2)) for place in range(count)]
        value = rng.randrange(4)
        asm = Assembler()
        asm.emit(bpf.LD_IMM, value)
        for place, (yes, no) in enumerate(jumps):
            asm.label(str(place))
            asm.test(bpf.JSET, 1 + place % 2, str(yes), str(no))
        for place in (count, count + 1):
            asm.label(str(place))
            asm.emit(bpf.RET, place)
        place = 0
        while place < count:
            place = jumps[place][0 if value & (1 + place % 2) else 1]
        assert run(asm.assemble(), Frame(b"")) == place


def test_a_program_has_4096_instructions_at_most() -> None:
    asm = Assembler()
    for _ in range(bpf.MOST - 1):
        asm.emit(bpf.LD_LEN)
    asm.emit(bpf.RET)
    assert len(asm.assemble()) == 8 * bpf.MOST
    asm.emit(bpf.RET)
    with pytest.raises(FilterError, match="more than 4096 instructions"):
        asm.assemble()


def test_collecting_ends_before_memory_does() -> None:
    def collect() -> None:
        asm = Assembler()
        for _ in range(1_000_000):
            asm.emit(bpf.LD_LEN)

    with pytest.raises(FilterError, match="more than 4096 instructions"):
        collect()


@pytest.mark.parametrize("label", ["missing", "behind"])
def test_labels_that_are_not_ahead_are_refused(label: str) -> None:
    asm = Assembler()
    asm.label("behind")
    asm.test(bpf.JEQ, 1, label)
    asm.emit(bpf.RET)
    with pytest.raises(ValueError, match=label):
        asm.assemble()
    with pytest.raises(ValueError, match="twice"):
        asm.label("behind")
