"""``netfs layers``: what every command asks, how its answer reads, the status it ends with."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import yaml
from jsonschema import Draft202012Validator
from syrupy.assertion import SnapshotAssertion

import netfs
from netfs.errors import EndpointError, SourceError
from netfs.model.gaps import Gap
from netfs.model.layer_answers import Orphans, Verified
from netfs_cli import progress
from tests.cli import layer_answers as answers
from tests.cli.conftest import Result

Run = Callable[..., Result]
SCHEMAS = Path(__file__).parents[2] / "docs" / "schema"
NAMED = {
    "ls": "layers",
    "show": "chain",
    "which": "which",
    "diff": "diff",
    "usage": "usage",
    "orphans": "orphans",
    "verify": "verify",
}
"""The schema of each command's answer."""
ARGUMENTS = {"show": ["web"], "which": ["web", "/etc/passwd"], "diff": ["web"]}
TOLD = {
    "ls": answers.LS,
    "show": answers.SHOW,
    "show-layer": answers.SHOW_LAYER,
    "show-nobodys": answers.SHOW_NOBODYS,
    "show-missing": answers.SHOW_MISSING,
    "which": answers.WHICH,
    "which-covered": answers.WHICH_COVERED,
    "which-covered-itself": answers.WHICH_COVERED_ITSELF,
    "which-tmpfs": answers.WHICH_TMPFS,
    "which-deleted": answers.WHICH_DELETED,
    "which-hidden": answers.WHICH_HIDDEN,
    "which-absent": answers.WHICH_ABSENT,
    "which-directory": answers.WHICH_DIRECTORY,
    "which-metacopy": answers.WHICH_METACOPY,
    "which-loop": answers.WHICH_LOOP,
    "which-doubtful": answers.WHICH_DOUBTFUL,
    "diff": answers.DIFF,
    "diff-nothing": replace(answers.DIFF, changes=()),
    "usage": answers.USAGE,
    "orphans": answers.ORPHANS,
    "orphans-none": Orphans(),
    "orphans-broken": answers.BROKEN,
    "orphans-undecided": answers.UNDECIDED,
    "verify": answers.VERIFY,
}


@dataclass
class FakeStores:
    """What ``netfs.layers`` answers; it remembers what it was asked."""

    answer: Any = None
    opened: list[tuple[tuple[str, ...], str | None]] = field(default_factory=list)
    asked: tuple[Any, ...] = ()
    closed: bool = False
    progress: Callable[[int], None] | None = None
    steps: Sequence[int] = ()

    def __call__(self, *uris: str, root: str | None, progress: Callable[[int], None]) -> FakeStores:
        self.opened.append((uris, root))
        self.progress = progress
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closed = True

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in NAMED:
            raise AttributeError(name)

        def ask(*arguments: str, **choice: object) -> Any:
            self.asked = (name, *arguments, choice)
            for step in self.steps:
                assert self.progress is not None
                self.progress(step)
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

        return ask


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> FakeStores:
    fake = FakeStores()
    monkeypatch.setitem(vars(netfs), "layers", fake)
    return fake


def line(name: str) -> list[str]:
    command = name.partition("-")[0]
    return ["layers", command, *ARGUMENTS.get(command, [])]


@pytest.mark.parametrize("form", ["text", "wide"])
@pytest.mark.parametrize("name", TOLD)
def test_text_reads_as_agreed(run: Run, stores: FakeStores, name: str, form: str, snapshot: SnapshotAssertion) -> None:
    stores.answer = TOLD[name]
    result = run(*line(name), "-o", form)
    assert result.err == ""
    assert result.out == snapshot
    assert stores.closed


@pytest.mark.parametrize("name", TOLD)
def test_json_is_what_its_schema_says(run: Run, stores: FakeStores, name: str) -> None:
    stores.answer = TOLD[name]
    shown = json.loads(run(*line(name), "-o", "json").out)
    schema = NAMED[name.partition("-")[0]]
    Draft202012Validator(json.loads((SCHEMAS / f"netfs.{schema}.v1.json").read_text())).validate(shown)
    assert shown["schema"] == f"netfs.{schema}/v1"


@pytest.mark.parametrize("command", NAMED)
def test_yaml_is_the_same_document(run: Run, stores: FakeStores, command: str) -> None:
    stores.answer = TOLD[command]
    shown = yaml.safe_load(run(*line(command), "-o", "yaml").out)
    assert json.loads(json.dumps(shown)) == json.loads(run(*line(command), "-o", "json").out)


@pytest.mark.parametrize("form", ["text", "wide", "json", "yaml"])
@pytest.mark.parametrize("command", NAMED)
def test_no_name_speaks_to_the_terminal(run: Run, stores: FakeStores, command: str, form: str) -> None:
    stores.answer = answers.WORST[command]
    result = run(*line(command), "-o", form)
    assert result.status in (0, 1, 3)
    assert result.err == ""
    assert not re.search(r"[^\x20-\x7e\n└├─│•✗✓…]", result.out)
    assert "\nnetfs: all is well" not in result.out
    assert "netfs: all is well" in result.out
    if form == "json":
        held = json.dumps(json.loads(result.out), ensure_ascii=False)
        assert json.dumps(answers.HOSTILE, ensure_ascii=False)[1:-1] in held


UNKNOWN = EndpointError("no pod is called web", hint="look")
STATUSES: list[tuple[str, Any, int]] = [
    ("ls", answers.LS, 0),
    ("ls", replace(answers.LS, gaps=(Gap("x", "y", "z"),)), 3),
    ("show", answers.SHOW, 0),
    ("show", answers.SHOW_MISSING, 3),
    ("which", answers.WHICH, 0),
    ("which", answers.WHICH_COVERED, 0),
    ("which", answers.WHICH_DELETED, 1),
    ("which", answers.WHICH_ABSENT, 1),
    ("which", answers.WHICH_LOOP, 1),
    ("which", replace(answers.WHICH, error="EPERM"), 1),
    ("which", answers.WHICH_DOUBTFUL, 3),
    ("diff", answers.DIFF, 0),
    ("diff", replace(answers.DIFF, gaps=(Gap("x", "y", "z"),)), 3),
    ("usage", answers.USAGE, 0),
    ("usage", replace(answers.USAGE, gaps=(Gap("x", "y", "z"),)), 3),
    ("orphans", answers.ORPHANS, 0),
    ("orphans", answers.BROKEN, 1),
    ("orphans", answers.UNDECIDED, 3),
    ("orphans", Orphans(gaps=(Gap("x", "y", "z"),)), 3),
    ("verify", answers.VERIFY[:1], 0),
    ("verify", answers.VERIFY, 1),
    ("verify", answers.VERIFY[2:], 3),
    ("verify", (replace(answers.VERIFY[1], gaps=answers.VERIFY[2].gaps),), 3),
    ("verify", SourceError("no overlay is mounted", where="here"), 3),
    *((command, UNKNOWN, 2) for command in ("show", "which", "diff", "usage", "verify")),
]


@pytest.mark.parametrize(("command", "answer", "status"), STATUSES)
def test_exit_status(run: Run, stores: FakeStores, command: str, answer: Any, status: int) -> None:
    stores.answer = answer
    result = run(*line(command))
    assert result.status == status
    if isinstance(answer, Exception):
        assert (result.out, result.err) == ("", f"netfs: {answer}\n")
        assert stores.closed


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("ls", ("ls", {"sizes": True})),
        ("ls --no-sizes", ("ls", {"sizes": False})),
        ("show db-0 -n shop -c postgres", ("show", "db-0", {"namespace": "shop", "container": "postgres"})),
        ("which web /etc/passwd", ("which", "web", "/etc/passwd", {"namespace": "", "container": ""})),
        ("diff web", ("diff", "web", {"namespace": "", "container": ""})),
        ("usage", ("usage", "", {"namespace": "", "container": ""})),
        ("usage web", ("usage", "web", {"namespace": "", "container": ""})),
        ("orphans", ("orphans", {})),
        ("verify web --content", ("verify", "web", {"content": True, "namespace": "", "container": ""})),
    ],
)
def test_what_is_asked(run: Run, stores: FakeStores, words: str, asked: tuple[Any, ...]) -> None:
    stores.answer = TOLD[words.partition(" ")[0]]
    run("layers", *words.split())
    assert stores.asked == asked
    assert stores.opened == [((), None)]


def test_sources_and_the_root_are_handed_on(run: Run, stores: FakeStores, tmp_path: Path) -> None:
    stores.answer = answers.LS
    run("layers", "ls", "--source", "lab:two", "--source", "local")
    run("layers", "ls", "--root", str(tmp_path))
    assert stores.opened == [(("lab:two", "local"), None), ((), str(tmp_path))]


def test_a_file_gets_the_form_of_its_suffix(run: Run, stores: FakeStores, tmp_path: Path) -> None:
    stores.answer = answers.LS
    assert run("layers", "ls", "-w", str(tmp_path / "a.json")) == Result(0, "", "")
    assert json.loads((tmp_path / "a.json").read_text())["schema"] == "netfs.layers/v1"
    assert run("layers", "ls", "--color", "always", "-w", str(tmp_path / "a.txt")) == Result(0, "", "")
    assert (tmp_path / "a.txt").read_text() == run("layers", "ls").out


def test_colour_is_an_addition(run: Run, stores: FakeStores) -> None:
    stores.answer = answers.WHICH
    plain, coloured = run(*line("which")).out, run(*line("which"), "--color", "always").out
    assert plain != coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain
    assert run(*line("which"), "--no-color").out == plain


@pytest.mark.parametrize(("watched", "since", "drawn"), [(True, 2.0, True), (True, 0.5, False), (False, 2.0, False)])
def test_a_bar_is_drawn_after_a_second_where_somebody_watches(
    run: Run, stores: FakeStores, monkeypatch: pytest.MonkeyPatch, watched: bool, since: float, drawn: bool
) -> None:
    times = iter([100.0])
    monkeypatch.setattr(progress, "monotonic", lambda: next(times, 100.0 + since))
    monkeypatch.setattr("sys.stderr.isatty", lambda: watched)
    bars: list[Bar] = []

    def draw(_: object, total: int | None) -> tuple[Bar, int]:
        assert total is None
        bars.append(Bar())
        return bars[0], 7

    monkeypatch.setattr(progress.Progress, "_drawn", draw)
    stores.answer, stores.steps = answers.LS, (5, 10)
    assert run("layers", "ls").status == 0
    assert [bar.seen for bar in bars] == ([[5, 10, "gone"]] if drawn else [])


class Bar:
    """rich's, as far as it is used."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    def update(self, task: int, *, completed: int, total: int | None) -> None:
        assert (task, total) == (7, None)
        self.seen.append(completed)

    def stop(self) -> None:
        self.seen.append("gone")


def test_differences_beyond_those_told_are_counted(run: Run, stores: FakeStores) -> None:
    stores.answer = (Verified(answers.WEB, 10, answers.VERIFY[1].differences, 98),)
    assert "10 entries, 100 differ" in run("layers", "verify").out
