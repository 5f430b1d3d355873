"""``netfs cgroups``: what is asked, how its answer reads, the status it ends with, and how it is watched."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import pytest
import yaml
from jsonschema import Draft202012Validator
from syrupy.assertion import SnapshotAssertion

import netfs
from netfs.errors import EndpointError
from netfs.model.cgroups import Cgroup, Cgroups, CgroupTree, Cpu, Effective, Pids, Pressure, Stall
from netfs.model.containers import Placed
from netfs.model.gaps import Gap
from netfs_cli.commands.cgroups import of_containers
from netfs_cli.redraw import Redrawn
from netfs_cli.render.cgroups import detail, tree
from netfs_cli.render.ink import Ink
from netfs_cli.render.table import cells_wide, shortened
from tests.cli import cgroup_answers as answers
from tests.cli.conftest import Result

Run = Callable[..., Result]
SCHEMA = Path(__file__).parents[2] / "docs" / "schema" / "netfs.cgroups.v1.json"
TOLD = {"whole": answers.WHOLE, "healthy": answers.HEALTHY, "noted": answers.NOTED, "none": answers.NONE}


@dataclass
class FakeContainers:
    """What ``netfs.containers`` answers; it remembers what it was asked."""

    answers: list[Any] = field(default_factory=list)
    opened: list[tuple[Any, ...]] = field(default_factory=list)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __call__(self, *uris: str, timeout: float | None) -> Self:
        self.opened.append((*uris, timeout))
        return self

    @property
    def placed(self) -> tuple[Placed, ...]:
        return answers.KNOWN

    def cgroups(self, target: str = "", **choice: Any) -> Cgroups:
        self.asked.append((target, choice))
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if isinstance(answer, BaseException):
            raise answer
        assert isinstance(answer, Cgroups)
        return answer


@pytest.fixture
def containers(monkeypatch: pytest.MonkeyPatch) -> FakeContainers:
    fake = FakeContainers([answers.WHOLE])
    monkeypatch.setitem(vars(netfs), "containers", fake)
    monkeypatch.setattr(time, "strftime", lambda _: "12:00:00")
    return fake


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What would have been slept. The clock stands still meanwhile."""
    taken: list[float] = []
    monkeypatch.setattr(time, "monotonic", lambda: 100.0 + sum(taken))
    monkeypatch.setattr(time, "sleep", taken.append)
    return taken


@pytest.mark.parametrize("form", ["text", "wide"])
@pytest.mark.parametrize("name", TOLD)
def test_text_reads_as_agreed(
    run: Run, containers: FakeContainers, name: str, form: str, snapshot: SnapshotAssertion
) -> None:
    containers.answers = [TOLD[name]]
    result = run("cgroups", "-o", form)
    assert result.err == ""
    assert result.out == snapshot


def test_a_target_is_told_with_every_limit(run: Run, containers: FakeContainers, snapshot: SnapshotAssertion) -> None:
    containers.answers = [answers.ONE]
    assert run("cgroups", "pod-a").out == snapshot


def test_json_and_yaml_are_one_document(run: Run, containers: FakeContainers) -> None:
    shown = json.loads(run("cgroups", "-o", "json").out)
    assert shown["schema"] == "netfs.cgroups/v1"
    assert shown["trees"][0]["groups"][5]["effective"]["memory"] == {"value": 256 << 20, "at": answers.POD}
    assert json.loads(json.dumps(yaml.safe_load(run("cgroups", "-o", "yaml").out))) == shown


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("", ("", {"detail": False, "namespace": "", "container": ""})),
        ("-o wide", ("", {"detail": True, "namespace": "", "container": ""})),
        ("-o json", ("", {"detail": True, "namespace": "", "container": ""})),
        ("pod-a -n team -c app", ("pod-a", {"detail": True, "namespace": "team", "container": "app"})),
    ],
)
def test_what_is_asked(run: Run, containers: FakeContainers, words: str, asked: tuple[Any, ...]) -> None:
    run("cgroups", "--source", "lab", "--timeout", "1", *words.split())
    assert containers.asked == [asked]
    assert containers.opened == [("lab", 1.0)]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (answers.HEALTHY, 0),
        (answers.WHOLE, 1),
        (answers.NOTED, 3),
        (replace(answers.HEALTHY, gaps=(Gap("/proc", "namespaces by process", "1 may not be looked at"),)), 0),
        (answers.ERROR, 1),
        (replace(answers.ERROR, gaps=answers.NOTED.gaps), 1),
        (EndpointError("no pod is called x", hint="look"), 2),
    ],
)
def test_exit_status(run: Run, containers: FakeContainers, answer: Any, status: int) -> None:
    containers.answers = [answer]
    assert run("cgroups").status == status


@pytest.mark.parametrize(
    "words", ["--count 2", "-d 1s", "--watch -w a.json", "--watch --count 0", "--watch -d 0", "a b"]
)
def test_usage(run: Run, containers: FakeContainers, words: str) -> None:
    result = run("cgroups", *words.split())
    assert (result.status, result.out, containers.asked) == (2, "", [])


def test_groups_of_containers_alone_with_those_above() -> None:
    kept = [group.path for group in of_containers(answers.WHOLE.trees[0]).groups]
    assert kept == [
        group.path for group in answers.GROUPS if group.path not in ("/init.scope", f"{answers.IN_POD}/init.scope")
    ]
    assert of_containers(answers.HEALTHY.trees[0]).groups == ()


def test_only_what_was_asked_is_written(run: Run, containers: FakeContainers, tmp_path: Path) -> None:
    assert "/init.scope" not in run("cgroups", "--containers").out.replace("init.scope\n", "")
    assert run("cgroups", "-w", str(tmp_path / "a.json")).out == ""
    assert json.loads((tmp_path / "a.json").read_text())["schema"] == "netfs.cgroups/v1"


@pytest.mark.parametrize(
    "words", ["", "-o wide", "x", "-o json", "-o yaml", "--watch --count 1", "--watch --count 1 -o json"]
)
def test_no_name_speaks_to_the_terminal(run: Run, containers: FakeContainers, words: str) -> None:
    containers.answers = [answers.hostile()]
    result = run("cgroups", *words.split())
    assert result.err == ""
    assert not re.search(r"[^\x20-\x7e\n└├─│•✗✓…µ]", result.out)
    assert "\nnetfs: all is well" not in result.out
    assert "netfs: all is well" in result.out


# watching


def test_readings_follow_one_another_with_rates(
    run: Run, containers: FakeContainers, naps: list[float], snapshot: SnapshotAssertion
) -> None:
    containers.answers = [answers.WHOLE, answers.LATER]
    result = run("cgroups", "--watch", "--count", "2", "-o", "wide")
    assert result.out == snapshot
    assert result.out.count("12:00:00, every 2 s") == 2
    assert naps == [2.0]


def test_the_status_is_that_of_the_last_reading(run: Run, containers: FakeContainers, naps: list[float]) -> None:
    containers.answers = [answers.NOTED, answers.HEALTHY]
    assert run("cgroups", "--watch", "--count", "2", "-d", "500ms").status == 0
    assert naps == [0.5]


def test_each_reading_is_a_line_of_json(run: Run, containers: FakeContainers, naps: list[float]) -> None:
    containers.answers = [answers.WHOLE, answers.LATER, answers.LATER]
    lines = run("cgroups", "--watch", "--count", "3", "-o", "json").out.splitlines()
    first, second, third = (json.loads(line)["trees"][0]["groups"][5]["rates"] for line in lines)
    assert (first, second["cpu_us"], third) == (None, 250_000.0, None)
    documents = run("cgroups", "--watch", "--count", "2", "-o", "yaml").out
    assert len(list(yaml.safe_load_all(documents))) == 2


def test_throttling_is_that_of_the_interval(run: Run, containers: FakeContainers, naps: list[float]) -> None:
    containers.answers = [answers.WHOLE, answers.LATER]
    lines = run("cgroups", "--watch", "--count", "2", "-o", "json").out.splitlines()
    slugs = [[finding["slug"] for finding in json.loads(line)["findings"]] for line in lines]
    assert "cgroup-cpu-throttled" in slugs[0]
    assert "cgroup-cpu-throttled" not in slugs[1]


def test_containers_are_asked_for_anew_where_groups_changed(
    run: Run, containers: FakeContainers, naps: list[float]
) -> None:
    containers.answers = [answers.WHOLE, answers.WHOLE, answers.HEALTHY, answers.HEALTHY]
    run("cgroups", "--watch", "--count", "5")
    assert (len(containers.asked), len(containers.opened)) == (5, 2)


def test_an_interrupt_ends_it(run: Run, containers: FakeContainers, naps: list[float]) -> None:
    containers.answers = [answers.HEALTHY, KeyboardInterrupt()]
    result = run("cgroups", "--watch")
    assert (result.status, result.err) == (130, "")
    assert result.out.count("node1: v2") == 1


def test_what_vanishes_ends_it_with_a_word(run: Run, containers: FakeContainers, naps: list[float]) -> None:
    containers.answers = [answers.ONE, EndpointError("pod-a has no control group", hint="it does not run")]
    result = run("cgroups", "pod-a", "--watch")
    assert (result.status, result.err) == (2, "netfs: pod-a has no control group (it does not run)\n")


def test_a_terminal_is_drawn_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINES", "5")
    monkeypatch.setenv("COLUMNS", "80")
    stream = io.StringIO()
    with Redrawn(stream) as redrawn:
        redrawn.draw("a\nb\n")
        redrawn.draw("c\nd\ne\nf\ng\nh\n")
        redrawn.draw("i")
    off, on = "\x1b[?7l", "\x1b[?7h"
    first, second, third = "\r\x1b[Ja\nb\n", "\x1b[2A\r\x1b[Jc\nd\ne\n(3 lines more)\n", "\x1b[4A\r\x1b[Ji\n"
    assert stream.getvalue() == off + first + second + third + on


def test_somebody_who_watches_sees_it_redrawn(
    run: Run, containers: FakeContainers, naps: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("LINES", "200")
    monkeypatch.setenv("COLUMNS", "80")
    containers.answers = [answers.HEALTHY]
    out = run("cgroups", "--watch", "--count", "2", "--no-color").out
    assert out.startswith("\x1b[?7l\r\x1b[J12:00:00, every 2 s\nnode1: v2")
    assert out.count("\x1b[J") == 2
    assert out.endswith("\x1b[?7h")


@pytest.mark.parametrize("columns", [80, 100, 130, 200])
@pytest.mark.parametrize("name", ["whole", "healthy", "noted"])
def test_the_tree_fits_the_terminal(name: str, columns: int) -> None:
    answer = replace(TOLD[name], findings=(), notes=(), gaps=())
    lines = tree.render(answer, Ink(colour=False), width=80, wide=False, columns=columns).splitlines()
    assert max(map(cells_wide, lines)) <= columns
    plain = tree.render(answer, Ink(colour=False), width=None, wide=False).splitlines()
    assert len([line for line in lines if "no room for" not in line]) == len(plain)


def test_what_has_no_room_is_named_and_names_keep_both_ends() -> None:
    lines = tree.render(answers.WHOLE, Ink(colour=False), width=80, wide=False, columns=80).splitlines()
    assert any("no room for CPU-TIME" in line and "-o wide" in line for line in lines)
    assert "CPU-TIME" not in lines[1]
    assert shortened("kubepods-burstable-pod1234.slice", 16) == "kubepods-b…slice"
    assert shortened("short", 16) == "short"


def test_throttling_that_nobody_has_takes_no_column() -> None:
    calm = Cgroup(
        "/a", ("cpu",), cpu=Cpu(periods=10, throttled_periods=0), effective={"cpu": Effective(1_000_000, "/a")}
    )
    stopped = replace(calm, path="/b", cpu=Cpu(periods=10, throttled_periods=5))
    assert "THROTTLED" not in tree.rows([calm], Ink(colour=False), wide=False)[0]
    assert "THROTTLED" in tree.rows([calm, stopped], Ink(colour=False), wide=False)[0]


def test_inherited_limits_are_explained_once() -> None:
    two = replace(answers.WHOLE, trees=(*answers.WHOLE.trees, *answers.WHOLE.trees))
    assert tree.render(two, Ink(colour=False), width=None, wide=False).count(tree.INHERITED) == 1


def test_one_processor_is_one() -> None:
    group = Cgroup("/a", ("cpu",), cpu=Cpu(usage_us=1), effective={"cpu": Effective(1_000_000, "/a")})
    assert dict(detail.lines(group))["cpu"].endswith("limit 1 CPU")


def test_pressure_that_nobody_feels_is_one_line() -> None:
    nothing = Pressure(Stall(0.0, 0.0, 0.0, 7_000), Stall(0.0, 0.0, 0.0, 0))
    group = Cgroup("/a", (), pressure={"cpu": nothing, "io": nothing, "memory": nothing})
    assert [text for label, text in detail.lines(group) if label == "pressure"] == ["none in the last 5 minutes"]


def test_many_groups_below_a_target_are_told_as_a_tree() -> None:
    pods = [Cgroup(f"/pods/pod{number}", ("cpu",), kind="pod", pod=f"default/p{number}") for number in range(9)]
    answer = Cgroups((CgroupTree("node1", "v2", groups=(Cgroup("/pods", ("cpu",)), *pods)),))
    text = detail.render(answer, Ink(colour=False), width=None, wide=False)
    assert text.count("  path ") == 1
    assert all(f"default/p{number}" in text for number in range(9))


def test_columns_stand_in_line_below_wide_names(run: Run, containers: FakeContainers) -> None:
    names = ("/plain", "/日本", "/a\u0301")
    containers.answers = [answers.answer(*(Cgroup(name, processes=Pids(7)) for name in names))]
    lines = run("cgroups").out.splitlines()[1:5]
    assert lines == ["GROUP    PIDS", "/plain   7", "/日本    7", "/a\u0301       7"]


@pytest.mark.parametrize("name", TOLD)
def test_json_is_what_its_schema_says(run: Run, containers: FakeContainers, name: str) -> None:
    containers.answers = [TOLD[name]]
    shown = json.loads(run("cgroups", "-o", "json").out)
    Draft202012Validator(json.loads(SCHEMA.read_text())).validate(shown)
