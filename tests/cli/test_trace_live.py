"""``netfs trace --live``: what is asked for, the story told beside the prediction, the status it ends with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from netfs.capture.wish import Wish
from netfs.model.live import LiveWay
from netfs.model.trace import Trace
from netfs_cli.commands.trace import status
from netfs_cli.render.ink import Ink
from netfs_cli.render.trace import render
from tests.cli import answers, live_answers
from tests.cli.conftest import FakeCluster, Result

Run = Callable[..., Result]

TOLD = {
    "agrees": live_answers.AGREES,
    "lost": live_answers.LOST,
    "elsewhere": live_answers.ELSEWHERE,
    "dropped-as-said": live_answers.dropped_as_said(),
    "hostile": live_answers.HOSTILE,
}
CAME = LiveWay("further", "", sent=2, arrived=2)
PART = LiveWay("lost", "", sent=2, arrived=1)
UNHEARD = LiveWay("unheard", "no tap could be opened")


@pytest.mark.parametrize("name", TOLD)
def test_story_reads_as_agreed(name: str, snapshot: SnapshotAssertion) -> None:
    assert render(TOLD[name], Ink(), width=110, wide=False) == snapshot


@pytest.mark.parametrize("wide", [False, True])
def test_hostile_names_cannot_speak_to_the_terminal(wide: bool) -> None:
    text = render(TOLD["hostile"], Ink(), width=None, wide=wide)
    assert all(char.isprintable() for char in text.replace("\n", ""))
    assert not any(line.startswith("netfs: all is well") for line in text.splitlines())


def ended(base: Trace, forward: LiveWay, reverse: LiveWay) -> int:
    assert live_answers.AGREES.live is not None
    return status(replace(base, live=replace(live_answers.AGREES.live, forward=forward, reverse=reverse)))


def test_what_was_seen_decides_the_status_where_the_prediction_cannot() -> None:
    undecided = replace(answers.UNKNOWN, findings=())
    assert status(undecided) == 3
    assert ended(undecided, CAME, CAME) == 0
    assert ended(undecided, PART, CAME) == 1
    assert ended(undecided, UNHEARD, UNHEARD) == 3


def test_a_lost_packet_is_a_failure_whatever_was_predicted() -> None:
    assert ended(answers.DELIVERED, CAME, CAME) == 0
    assert ended(answers.DELIVERED, PART, CAME) == 1
    assert ended(answers.DELIVERED, CAME, PART) == 1
    assert ended(answers.DELIVERED, UNHEARD, CAME) == 3


def test_a_disproved_prediction_is_no_success() -> None:
    assert ended(replace(answers.DROPPED, findings=()), CAME, CAME) == 1


def test_the_wish_is_handed_on(run: Run, cluster: FakeCluster) -> None:
    run("trace", "pod-a", "pod-b", "--live", "--count", "5", "--interval", "20ms", "--wait", "2s", "-w", "x.pcapng")
    assert cluster.asked["live"] == Wish(count=5, interval_s=0.02, wait_s=2.0, write="x.pcapng")


def test_nothing_is_sent_unless_asked(run: Run, cluster: FakeCluster) -> None:
    run("trace", "pod-a", "pod-b", "--count", "5")
    assert cluster.asked["live"] is None


def test_packets_are_written_only_of_a_live_trace(run: Run, tmp_path: Path) -> None:
    result = run("trace", "pod-a", "pod-b", "-w", str(tmp_path / "x.pcapng"))
    assert result.status == 2
    assert "--live" in result.err
    assert not list(tmp_path.iterdir())
