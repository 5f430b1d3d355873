"""The oracle can fail: a simulator that says something else is caught, and the network made small."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.property.networks.compare import disagreement
from tests.property.networks.predict import Predicted, Step, Way
from tests.property.networks.probe import Observed, Sighting
from tests.property.networks.shrink import shrink
from tests.property.networks.spec import Fault, Namespace, Probe, Spec

PROBE = Probe("h1", "h2", "10.0.0.2")
THERE = (Sighting("h1", "eth0", "out", True), Sighting("h2", "eth0", "in", True))
BACK = (Sighting("h2", "eth0", "out", True), Sighting("h1", "eth0", "in", True))
ANSWERED = Observed(("h2",), ("h1",), THERE, BACK)
LOST = Observed((), (), THERE)


def _steps(*places: str) -> tuple[Step, ...]:
    steps = []
    for place in places:
        netns, device = place[:-1].split("/")
        steps.append(Step(netns, device, "transmit", "forward", {"<": "in", ">": "out"}[place[-1]], ""))
    return tuple(steps)


FORTH = Way("delivered", _steps("h1/eth0>", "h2/eth0<"))
RETURN = Way("delivered", _steps("h2/eth0>", "h1/eth0<"))


def test_the_same_path_agrees() -> None:
    assert disagreement(PROBE, ANSWERED, Predicted((FORTH,), (RETURN,))) is None


@pytest.mark.parametrize(
    ("observed", "predicted"),
    [
        (LOST, Predicted((FORTH,), (RETURN,))),
        (ANSWERED, Predicted((Way("dropped", FORTH.steps),))),
        (ANSWERED, Predicted((Way("unknown", FORTH.steps),))),
        (ANSWERED, Predicted((FORTH,), (Way("dropped", RETURN.steps),))),
        (ANSWERED, Predicted((replace(FORTH, steps=_steps("h1/eth0>", "h2/eth1<")),), (RETURN,))),
        (LOST, Predicted((Way("dropped", _steps("h1/eth0>")),))),
        (LOST, Predicted((Way("dropped"),))),
        (ANSWERED, Predicted(error="Traceback")),
    ],
    ids=["delivered", "dropped", "unknown", "answer", "elsewhere", "went-further", "left", "broke"],
)
def test_what_the_kernel_did_not_do_is_a_disagreement(observed: Observed, predicted: Predicted) -> None:
    assert disagreement(PROBE, observed, predicted) is not None


def test_one_of_two_equal_ways_is_enough() -> None:
    other = Way("dropped", _steps("h1/eth1>"))
    assert disagreement(PROBE, ANSWERED, Predicted((other, FORTH), (RETURN,))) is None


def test_a_flooded_copy_for_somebody_else_is_no_stranger() -> None:
    copy = Sighting("h3", "eth0", "in", False)
    assert disagreement(PROBE, replace(ANSWERED, request=(*THERE, copy)), Predicted((FORTH,), (RETURN,))) is None


def test_shrinking_leaves_the_part_that_matters() -> None:
    lines = tuple(f"ip addr add 10.0.0.{n}/24 dev eth0" for n in range(1, 9))
    namespaces = (Namespace("h1", "host", lines), Namespace("h2", "host"), Namespace("h3", "host", lines))
    faults = (Fault("a", "h1", "ip link set eth0 down"), Fault("b", "h3", "ip link set eth0 down"))
    spec = Spec("lan", namespaces, (), PROBE, faults)
    small = shrink(spec, lambda s: lines[4] in s.lines("h1"))
    assert small.faults == ()
    assert [(ns.name, ns.lines) for ns in small.namespaces] == [("h1", (lines[4],)), ("h2", ())]
