"""``netfs trace``: the request it makes, the story it tells, the status it ends with."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from syrupy.assertion import SnapshotAssertion

import netfs
from netfs.model.findings import Finding
from netfs.model.trace import Direction, Trace
from netfs_cli.render.ink import Ink
from netfs_cli.render.trace import render
from tests.cli import answers
from tests.cli.conftest import FakeCluster, Result

Run = Callable[..., Result]

TOLD = {
    "delivered": answers.DELIVERED,
    "dropped": answers.DROPPED,
    "lost-answer": answers.LOST_ANSWER,
    "unknown": answers.UNKNOWN,
    "equal-cost": answers.EQUAL_COST,
    "nested": answers.NESTED,
    "service": answers.SERVICE,
    "hostile": answers.HOSTILE,
}


@pytest.mark.parametrize("name", TOLD)
def test_story_reads_as_agreed(name: str, snapshot: SnapshotAssertion) -> None:
    assert render(TOLD[name], Ink(), width=96, wide=False) == snapshot


@pytest.mark.parametrize("name", ["delivered", "dropped", "service"])
def test_wide_story_shows_headers_and_evidence(name: str, snapshot: SnapshotAssertion) -> None:
    assert render(TOLD[name], Ink(), width=96, wide=True) == snapshot


def test_story_in_ascii_loses_nothing(snapshot: SnapshotAssertion) -> None:
    text = render(answers.DROPPED, Ink(unicode=False), width=96, wide=False)
    assert text.isascii()
    assert text == snapshot


@pytest.mark.parametrize("name", TOLD)
def test_colour_only_colours(name: str) -> None:
    plain = render(TOLD[name], Ink(), width=96, wide=True)
    coloured = render(TOLD[name], Ink(colour=True), width=96, wide=True)
    assert coloured != plain
    for code in ("0", "1", "2", "32", "1;31", "33", "36"):
        coloured = coloured.replace(f"\x1b[{code}m", "")
    assert coloured == plain


@pytest.mark.parametrize("wide", [False, True])
def test_hostile_names_cannot_speak_to_the_terminal(wide: bool) -> None:
    text = render(answers.HOSTILE, Ink(), width=None, wide=wide)
    assert all(char.isprintable() for char in text.replace("\n", ""))
    assert not any(line.startswith("netfs: all is well") for line in text.splitlines())


@pytest.mark.parametrize("width", [72, 80, 100])
def test_sentences_fit_the_terminal(width: int) -> None:
    lines = render(answers.DROPPED, Ink(), width=width, wide=False).splitlines()
    told_in_full = ("ip link", "✗ DROPPED", "THERE", "│ inside")
    assert [line for line in lines if len(line) > width and not line.strip().startswith(told_in_full)] == []


def test_without_a_terminal_a_hop_is_one_line() -> None:
    lines = render(answers.DELIVERED, Ink(), width=None, wide=False).splitlines()
    assert sum("the outer packet is routed on its own" in line for line in lines) == 1


@pytest.mark.parametrize(
    ("answer", "status"),
    [(answers.DELIVERED, 0), (answers.DROPPED, 1), (answers.LOST_ANSWER, 1), (answers.UNKNOWN, 3)],
    ids=["delivered", "dropped", "lost answer", "unknown"],
)
@pytest.mark.parametrize("form", ["text", "wide", "json", "yaml"])
def test_status_is_the_verdict(run: Run, cluster: FakeCluster, answer: Trace, status: int, form: str) -> None:
    cluster.answer = answer
    result = run("trace", "pod-a", "pod-b", "-o", form)
    assert (result.status, result.err) == (status, "")


def test_a_delivered_packet_beside_an_error_is_not_called_well(run: Run, cluster: FakeCluster) -> None:
    wrong = Finding("mtu-overlay-too-big", "error", "pod-a/eth0", "1500 do not fit 1450", "ip link set eth0 mtu 1450")
    cluster.answer = replace(answers.DELIVERED, findings=(wrong,))
    assert run("trace", "pod-a", "pod-b").status == 1
    cluster.answer = replace(answers.DELIVERED, findings=(replace(wrong, severity="warning"),))
    assert run("trace", "pod-a", "pod-b").status == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {"proto": None, "port": None, "sport": None, "size": None, "df": None, "namespace": "default"}),
        (["--port", "80"], {"proto": None, "port": 80}),
        (["--proto", "udp", "--port", "53", "--sport", "4000"], {"proto": "udp", "port": 53, "sport": 4000}),
        (["--size", "1500", "--no-df"], {"size": 1500, "df": False}),
        (["--df"], {"df": True}),
        (["-n", "team"], {"namespace": "team"}),
        (["-6"], {"family": 6}),
        (["-4"], {"family": 4}),
    ],
)
def test_options_become_the_request(
    run: Run, cluster: FakeCluster, arguments: list[str], expected: dict[str, Any]
) -> None:
    cluster.answer = answers.DELIVERED
    assert run("trace", "pod-a", "pod-b", *arguments).status == 0
    assert cluster.asked == cluster.asked | {"src": "pod-a", "dst": "pod-b"} | expected


def test_notes_are_part_of_the_story(run: Run, cluster: FakeCluster) -> None:
    cluster.answer = replace(answers.DELIVERED, notes=("kube-proxy translates no ICMP",))
    assert "  note: kube-proxy translates no ICMP\n" in run("trace", "pod-a", "svc/web").out
    assert json.loads(run("trace", "pod-a", "svc/web", "-o", "json").out)["notes"] == ["kube-proxy translates no ICMP"]


def test_json_is_the_contract(run: Run, cluster: FakeCluster) -> None:
    cluster.answer = answers.DROPPED
    shown = json.loads(run("trace", "pod-a", "pod-b", "-o", "json").out)
    assert next(iter(shown)) == "schema"
    assert shown["schema"] == "netfs.trace/v1"
    assert shown["verdict"] == "dropped"
    assert shown["source"] == {"name": "default/pod-a", "node": "node1", "ip": "10.244.1.2"}
    assert shown["forward"]["verdict"] == "dropped"
    hop = shown["forward"]["hops"][0]
    wanted = {"index", "node", "netns", "device", "stage", "action", "why", "packet", "observed"}
    assert wanted <= set(hop)
    assert hop["observed"] is None
    assert {"src": "10.244.1.2", "dst": "10.244.2.2", "proto": "icmp", "outer": None}.items() <= hop["packet"].items()
    assert shown["forward"]["hops"][7]["packet"]["outer"]["vni"] == 1
    drop = shown["forward"]["drop"]
    assert (drop["index"], drop["reason"], drop["device"]) == (12, "VXLAN_VNI_NOT_FOUND", "flannel.1")
    assert shown["reverse"]["verdict"] == "unknown"
    assert (shown["reverse"]["hops"], shown["reverse"]["drop"]) == ([], None)
    assert {"slug", "severity", "object", "evidence", "fix"} <= set(shown["findings"][0])
    assert shown["gaps"] == []


def test_yaml_says_what_json_says(run: Run, cluster: FakeCluster) -> None:
    cluster.answer = answers.HOSTILE
    as_json, as_yaml = (run("trace", "a", "b", "-o", form).out for form in ("json", "yaml"))
    assert yaml.safe_load(as_yaml) == json.loads(as_json)
    for text in (as_json, as_yaml):
        assert text.isascii()
        assert "\x1b" not in text


@pytest.mark.parametrize(("suffix", "start"), [("json", "{"), ("yaml", "schema:"), ("yml", "schema:"), ("txt", "def")])
def test_suffix_of_the_written_file_chooses_its_form(
    run: Run, cluster: FakeCluster, tmp_path: Path, suffix: str, start: str
) -> None:
    cluster.answer = answers.DELIVERED
    path = tmp_path / f"trace.{suffix}"
    result = run("trace", "a", "b", "-w", str(path), "--color=always")
    assert (result.status, result.out) == (0, "")
    assert path.read_text().startswith(start)


def test_a_form_that_is_not_there_is_refused(run: Run, cluster: FakeCluster, tmp_path: Path) -> None:
    cluster.answer = answers.DELIVERED
    result = run("trace", "a", "b", "-w", str(tmp_path / "trace.svg"))
    assert result.status == 2
    assert ".svg" in result.err


def test_an_unknown_endpoint_is_one_line(run: Run, cluster: FakeCluster) -> None:
    cluster.answer = netfs.EndpointError("no pod is called 'pod-x'", hint="did you mean pod-a?")
    result = run("trace", "pod-x", "pod-b")
    assert result == Result(2, "", "netfs: no pod is called 'pod-x' (did you mean pod-a?)\n")


def test_a_delivered_request_whose_answer_cannot_be_followed_says_so() -> None:
    trace = Trace("unknown", answers.POD_A, answers.POD_B, answers.DELIVERED.forward, Direction("unknown"))
    text = render(trace, Ink(), width=96, wide=False)
    assert "UNDECIDED on the way back" in text
    assert "the request does not arrive" not in text
