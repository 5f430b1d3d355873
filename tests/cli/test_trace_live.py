"""``netfs trace --live``: what is asked for, the story told beside the prediction, the status it ends with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from netfs.capture.wish import Wish
from netfs.model.live import KernelWord, LiveWay
from netfs.model.trace import Trace
from netfs_cli.commands.trace import status
from netfs_cli.render.ink import Ink
from netfs_cli.render.live import heard, verdicts
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


def test_what_was_lost_on_its_way_there_was_lost_though_nobody_heard_an_answer() -> None:
    assert ended(answers.DELIVERED, PART, UNHEARD) == 1
    assert ended(answers.DELIVERED, replace(PART, verdict="other-path"), UNHEARD) == 1
    assert ended(answers.DELIVERED, LiveWay("lost", "nothing was sent: the kernel refused with EPERM"), UNHEARD) == 1
    assert ended(answers.DELIVERED, LiveWay("other-path", "", sent=2, arrived=2), UNHEARD) == 3


def test_what_the_kernel_says_again_and_again_is_told_once_and_of_what() -> None:
    words = [KernelWord(live_answers.STRAY, "TC_EGRESS", "__dev_queue_xmit", at, at, "probe") for at in range(30)]
    words += [KernelWord(live_answers.STRAY, "NO_SOCKET", "tcp_v4_rcv", 5, 0, "answer")]
    words += [KernelWord(None, "NEIGH_FAILED", "neigh_invalidate", 5)]
    assert live_answers.AGREES.live is not None
    told = heard(replace(live_answers.AGREES.live, drops=tuple(words)), Ink(), 80)
    assert [line for line in told if "the kernel" in line] == [
        "  the kernel dropped the probe behind node2/pod-d/eth0: TC_EGRESS in __dev_queue_xmit, 30 times",
        "  the kernel dropped the answer at node2/pod-d/eth0: NO_SOCKET in tcp_v4_rcv",
        "  the kernel dropped a packet: NEIGH_FAILED in neigh_invalidate",
    ]


def test_silence_behind_a_probe_that_arrived_is_told() -> None:
    assert live_answers.AGREES.live is not None
    live = replace(live_answers.AGREES.live, reverse=LiveWay("unheard", "no answer was seen"))
    assert verdicts(live, Ink(), 80)[1:] == ["? LIVE back: not known", "  no answer was seen"]


def test_what_was_refused_is_not_counted_as_none_of_none() -> None:
    assert live_answers.AGREES.live is not None
    live = replace(live_answers.AGREES.live, forward=LiveWay("agrees", "the kernel refused to send it: EMSGSIZE"))
    assert verdicts(live, Ink(), 80)[0] == "✓ LIVE there: as predicted  (not sent)"


def test_what_was_seen_elsewhere_keeps_to_the_terminals_width() -> None:
    assert live_answers.ELSEWHERE.live is not None
    lines = "\n".join(heard(live_answers.ELSEWHERE.live, Ink(), 80)).splitlines()
    assert max(map(len, lines)) <= 80
    assert "also seen" in "".join(lines)


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
