"""Programs answer as what they were made from does, for frames of every shape, whole and damaged."""

from __future__ import annotations

from random import Random

import pytest

from netfs.capture.filter import program
from netfs.capture.filter.level import matches
from netfs.capture.filter.machine import Frame, run
from netfs.capture.filter.parse import parse
from netfs.capture.marker import TUNNELS
from tests.unit.filter_frames import Made, Maker, damaged, nearly, shapes
from tests.unit.filter_questions import expression
from tests.unit.filter_reference import levels


def frames(rng: Random, count: int) -> list[Frame]:
    """Each one whole, with a tag beside it, and damaged twice."""
    made: list[Made] = [Maker(rng).frame(rng.randrange(5)) for _ in range(count)]
    tag = rng.choice((1, 0x2005))
    return [
        frame
        for one in made
        for frame in (
            Frame(one.data, one.hatype),
            Frame(one.data, one.hatype, vlan=tag),
            *(Frame(damaged(rng, one.data), one.hatype) for _ in range(2)),
        )
    ]


def compare(rng: Random, expressions: int, count: int) -> tuple[int, int]:
    """How often programs passed a frame, and how often not."""
    answers = {True: 0, False: 0}
    read = [(frame, levels(frame.data, frame.hatype or 0, TUNNELS, vlan=frame.vlan)) for frame in frames(rng, count)]
    for _ in range(expressions):
        text = expression(rng, rng.randrange(4))
        asked = parse(text)
        code = program.for_expression(asked)
        for frame, known in read:
            expected = matches(asked, known)
            assert (run(code, frame) != 0) is expected, (text, frame)
            answers[bool(expected)] += 1
    return answers[True], answers[False]


def test_programs_answer_as_expressions_do() -> None:
    passed, rejected = compare(Random(4), 60, 60)
    assert passed > 1000
    assert rejected > 1000


NEARLY = [
    "inner ( host 10.244.1.2 ) or arp host 10.244.2.2",
    "inner ( net fd00::/16 )",
    "tcp port 80 and not ip proto 17",
    "inner ( greater 0 )",
    "vni 1 and ip",
    "geneve and not vlan 5",
    "inner ( ether host 02:00:00:00:00:0a )",
    "inner ( inner ( host 10.244.1.2 and tcp ) )",
    "inner ( inner ( greater 0 ) )",
    "inner ( ip6 proto 6 )",
    "proto 47 or udp or ether proto 0x88cc",
    "vxlan and geneve",
    "inner ( inner ( vni 1 ) )",
]


def test_every_cut_and_every_bit_counts() -> None:
    """A header counts where it is whole; each bit that is looked at is looked at as it should. To save time, a
    changed bit is asked about three times only."""
    programs = [(asked, program.for_expression(asked)) for asked in map(parse, NEARLY)]
    rng, answers = Random(6), set()
    for shape in shapes():
        for data in nearly(shape.data):
            known = levels(data, shape.hatype, TUNNELS)
            cut = len(data) < len(shape.data)
            for number in rng.sample(range(len(programs)), len(programs) if cut else 3):
                asked, code = programs[number]
                expected = matches(asked, known)
                assert (run(code, Frame(data, shape.hatype)) != 0) is expected, (NEARLY[number], data.hex())
                answers.add((number, expected))
    assert len(answers) == 2 * len(NEARLY)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(20))
def test_programs_answer_as_expressions_do_for_long(seed: int) -> None:
    compare(Random(seed), 100, 150)
