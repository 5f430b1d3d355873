"""The kernel takes every program, and answers as the machine that runs them here does."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from netfs.capture.filter import assembler as bpf
from netfs.capture.filter import program
from netfs.capture.filter.expression import of_addresses
from netfs.capture.filter.machine import Frame, run
from netfs.capture.filter.parse import parse
from netfs.capture.marker import Marker
from tests.unit.filter_frames import LOOPBACK, NO_LINK, PLAIN, Maker
from tests.unit.filter_questions import expression

pytestmark = pytest.mark.kernel

ROOT = Path(__file__).parents[2]
TOKEN = b"\x0bnetf\xe5"
OLD_OPTMEM = 20480
"""``net.core.optmem_max`` before Linux 6.8."""


def asked(*tasks: tuple[str, tuple[Any, ...]]) -> list[Any]:
    """What the kernel answers."""
    flags = "-n" if os.geteuid() == 0 else "-Urn"
    command = ["unshare", flags, sys.executable, "-m", "tests.kernel.capture_filter_run"]
    done = subprocess.run(command, input=pickle.dumps(tasks), capture_output=True, cwd=ROOT, timeout=250, check=False)
    assert done.returncode == 0, done.stderr.decode()
    answers: list[Any] = pickle.loads(done.stdout)
    return answers


LOADS = (bpf.LD_WORD, bpf.LD_HALF, bpf.LD_BYTE, bpf.LDX_MSH)
RELATIVE = (bpf.IND_WORD, bpf.IND_HALF, bpf.IND_BYTE)
ALU = (bpf.ADD, bpf.SUB, bpf.MUL, bpf.DIV, bpf.OR, bpf.AND, bpf.LSH, bpf.RSH, bpf.NEG, bpf.MOD, bpf.XOR)
TESTS = (bpf.JEQ, bpf.JGT, bpf.JGE, bpf.JSET)
NUMBERS = (0, 1, 2, 3, 31, 32, 33, 255, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
ANCILLARY = (bpf.AD_PROTOCOL, bpf.AD_PKTTYPE, bpf.AD_VLAN_TAG, bpf.AD_VLAN_TAG_PRESENT, bpf.AD_HATYPE, bpf.AD_IFINDEX)


def instruction(rng: Random, left: int) -> tuple[int, int, int, int]:
    """Any of classic BPF; ``left``: how many follow it."""
    kind = rng.randrange(12)
    number = rng.choice((*NUMBERS, rng.getrandbits(32)))
    if kind == 0:
        return rng.choice(LOADS), 0, 0, rng.randrange(70)
    if kind == 1:
        return rng.choice(RELATIVE), 0, 0, rng.choice((0, 1, 5, 30))
    if kind == 2:
        return rng.choice((bpf.LD_IMM, bpf.LDX_IMM)), 0, 0, number
    if kind == 3:
        return rng.choice((bpf.LD_LEN, bpf.LDX_LEN, bpf.TAX, bpf.TXA)), 0, 0, 0
    if kind == 4:
        return rng.choice((bpf.LD_MEM, bpf.LDX_MEM, bpf.ST, bpf.STX)), 0, 0, rng.randrange(bpf.MEMORY)
    if kind == 5 and rng.random() < 0.3:
        return bpf.LD_WORD, 0, 0, rng.choice(ANCILLARY)
    if kind == 6 and left > 1:
        if rng.random() < 0.1:
            return bpf.JA, 0, 0, rng.randrange(min(left, 4))
        code = rng.choice(TESTS) | rng.choice((0, bpf.BY_X))
        return code, rng.randrange(min(left, 6)), rng.randrange(min(left, 6)), number
    if kind == 7 and rng.random() < 0.1:
        return rng.choice((bpf.RET, bpf.RET_A)), 0, 0, rng.randrange(100)
    return rng.choice(ALU) | rng.choice((0, bpf.BY_X)), 0, 0, rng.randrange(32) if rng.random() < 0.7 else number


END = [
    (code, 0, 0, k)
    for code, k in (
        (bpf.TAX, 0),
        (bpf.RSH, 16),
        (bpf.XOR | bpf.BY_X, 0),
        (bpf.TAX, 0),
        (bpf.RSH, 7),
        (bpf.XOR | bpf.BY_X, 0),
        (bpf.AND, 127),
        (bpf.ADD, 1),
        (bpf.RET_A, 0),
    )
]
"""Every bit of A has a say in how many bytes are kept, 1 to 128."""


def any_program(rng: Random) -> bytes:
    """Memory is written first: a kernel refuses to read what was not (``check_load_and_stores``)."""
    size = rng.randrange(1, 30)
    begin = [(bpf.LD_IMM, 0, 0, rng.getrandbits(32)), *((bpf.ST, 0, 0, word) for word in range(bpf.MEMORY))]
    body = [instruction(rng, size - index - 1 + len(END)) for index in range(size)]
    return b"".join(bpf.INSTRUCTION.pack(*one) for one in (*begin, *body, *END))


def test_the_machine_runs_programs_as_the_kernel_does(require_program: Callable[[str], str]) -> None:
    require_program("unshare")
    rng = Random(3)
    cases = [(any_program(rng), [rng.randbytes(rng.choice((1, 20, 64, 200))) for _ in range(6)]) for _ in range(4000)]
    (answers,) = asked(("on_datagrams", (cases,)))
    compared = 0
    for (code, packets), kept in zip(cases, answers, strict=True):
        for packet, size in zip(packets, kept or (), strict=kept is not None):
            compared += 1
            told = run(code, Frame(packet, hatype=None))
            assert min(told, len(packet)) == size, (code.hex(), packet.hex())
    assert compared > 12000


def stripped(data: bytes) -> tuple[bytes, int | None]:
    """What taps of the receiving device get: ``skb_vlan_untag`` takes the outermost tag out of the frame."""
    if data[12:14] not in {b"\x81\0", b"\x88\xa8"}:
        return data, None
    return data[:12] + data[16:], int.from_bytes(data[14:16])


def marked(rng: Random, family: int) -> tuple[bytes, int, bool]:
    echo = bytes([8 if family == 4 else 128]) + rng.randbytes(7)
    return echo + Marker(TOKEN, "icmp", 4).payload(1, 40), 1 if family == 4 else 58, True


def test_taps_pass_what_the_machine_says(require_program: Callable[[str], str]) -> None:
    """On Ethernet, both ways; on loopback; on a device without link-layer header."""
    require_program("unshare")
    require_program("ip")
    rng = Random(5)
    frames: dict[int, list[bytes]] = {PLAIN: [], LOOPBACK: [], NO_LINK: []}
    while min(map(len, frames.values())) < 60:
        made = Maker(rng, marked).frame(rng.randrange(4))
        if 60 < len(made.data) < 1400:
            frames[made.hatype].append(made.data)
    programs = [program.for_expression(parse(expression(rng, rng.randrange(4)))) for _ in range(60)]
    programs += [program.for_marker(Marker(TOKEN, proto, 4)) for proto in ("icmp", "udp", "tcp")]
    places = (("v0", "v0", PLAIN), ("v0", "v1", PLAIN), ("lo", "lo", LOOPBACK), ("n0", "n0", NO_LINK))
    answers = asked(*(("on_device", (device, heard, programs, frames[kind])) for device, heard, kind in places))
    for (device, heard, kind), got in zip(places, answers, strict=True):
        sent = [(data, None) if device == heard else stripped(data) for data in frames[kind]]
        for code, passed in zip(programs, got, strict=True):
            assert passed == [data for data, tag in sent if run(code, Frame(data, kind, vlan=tag))], (device, heard)
        assert 0 < len(got[-3]) < len(sent)


def usual() -> list[bytes]:
    """What may be asked for at most, about: each probe, every pod of a node, an expression of all kinds."""
    ports = frozenset((40000 + number, 53) for number in range(12))
    markers = [program.for_marker(Marker(TOKEN, proto, 4, ports=ports)) for proto in ("icmp", "udp", "tcp")]
    pods = [[f"10.244.1.{pod}" for pod in range(110)], [f"fd00::{pod:x}" for pod in range(110)]]
    text = "vni 1 and vlan 5 and tcp port 80 and (host fd00::1 or 10.0.0.1) and not ether host 02:00:00:00:00:0a"
    return [
        *markers,
        *(program.for_expression(of_addresses(each)) for each in pods),
        program.for_expression(parse(text)),
    ]


def test_the_kernel_takes_every_program(require_program: Callable[[str], str]) -> None:
    """The longest that the assembler makes; the usual ones also where a socket has room for 20 KiB of options only."""
    require_program("unshare")
    asm = bpf.Assembler()
    for _ in range(bpf.MOST - 1):
        asm.emit(bpf.LD_LEN)
    asm.emit(bpf.RET)
    longest = asm.assemble()
    many = program.for_expression(of_addresses(f"10.244.{pod // 256}.{pod % 256}" for pod in range(500)))
    roomy, old = asked(
        ("taken", ([*usual(), many, longest, longest[:8] + longest], 1 << 20)), ("taken", (usual(), OLD_OPTMEM))
    )
    assert roomy == [True] * (len(usual()) + 2) + [False]
    assert old == [True] * len(usual())
