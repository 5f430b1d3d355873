"""Every way a run can end, and what all commands share: sources, colour, help."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import pytest

import netfs
from netfs_cli import terminal
from netfs_cli.app import COMMANDS, app
from netfs_cli.command import Command, Group
from netfs_kubectl.main import main as kubectl_main
from tests.cli import answers
from tests.cli.conftest import FakeCluster, Result

Run = Callable[..., Result]
ROOT = Path(__file__).parents[2]
PATHS = os.pathsep.join(str(ROOT / folder) for folder in ("", "cli", "plugins"))


def start(*arguments: str, **options: object) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": PATHS}
    command = [sys.executable, *arguments]
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, **options
    )


def every_command() -> list[tuple[str, click.Command]]:
    context = click.Context(app)
    found: list[tuple[str, click.Command]] = [("", app)]
    for name in COMMANDS:
        command = app.get_command(context, name)
        assert command is not None
        found.append((name, command))
        if isinstance(command, click.Group):
            found += [(f"{name} {sub}", each) for sub, each in command.commands.items()]
    return found


# ------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    "arguments",
    [
        ["trase", "a", "b"],
        ["trace", "a"],
        ["trace", "a", "b", "c"],
        ["trace", "a", "b", "--proto", "sctp"],
        ["trace", "a", "b", "--port", "0"],
        ["trace", "a", "b", "--port", "70000"],
        ["trace", "a", "b", "--size", "20"],
        ["trace", "a", "b", "-o", "xml"],
        ["trace", "a", "b", "--timeout", "soon"],
        ["trace", "a", "b", "--timeout", "0"],
        ["--color", "pink", "doctor"],
        ["--nonsense"],
        ["get"],
        ["lab", "frob"],
        ["lab", "up", "--nodes", "0"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line_and_status_2(run: Run, cluster: FakeCluster, arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.status, result.out) == (2, "")
    assert re.fullmatch(r"netfs: .+ \(see: netfs.* --help\)\n", result.err)
    assert cluster.loaded == ()


def test_a_misspelt_command_is_guessed(run: Run) -> None:
    assert "did you mean 'trace'?" in run("trase").err


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (
            netfs.SourceError("does not answer", where="lab", hint="netfs lab up"),
            3,
            "lab: does not answer (netfs lab up)",
        ),
        (netfs.UsageError("ICMP has no ports"), 2, "ICMP has no ports"),
        (
            netfs.SnapshotError(f"foreign {answers.ESCAPE}"),
            3,
            "foreign \\x1b[2J\\x1b]0;owned\\x07\\u202egpj.exe\\nnetfs: ",
        ),
        (PermissionError(13, "Permission denied", "/proc/1/ns/net"), 3, "/proc/1/ns/net: Permission denied"),
        (ZeroDivisionError("boom"), 3, "a defect in netfs, please report it: ZeroDivisionError: boom; -v shows where"),
    ],
)
def test_a_failure_is_one_line_with_its_status(
    run: Run, cluster: FakeCluster, error: Exception, status: int, line: str
) -> None:
    cluster.answer = error
    result = run("trace", "a", "b")
    assert (result.status, result.out) == (status, "")
    assert result.err.startswith(f"netfs: {line}")
    assert result.err.count("\n") == 1


def test_verbose_shows_where_a_defect_is(run: Run, cluster: FakeCluster) -> None:
    cluster.answer = ZeroDivisionError("boom")
    result = run("trace", "a", "b", "-v")
    assert result.status == 3
    assert "Traceback" in result.err
    assert result.err.endswith("netfs: a defect in netfs, please report it: ZeroDivisionError: boom\n")


def test_a_reader_that_went_away_is_no_error() -> None:
    process = start("-c", "from netfs_cli.run import run; import sys; sys.exit(run(['--help'], program='netfs'))")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait() == 141


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["trace", "-h"]], ids=" ".join)
def test_a_full_disk_is_one_line(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "netfs_cli", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": PATHS},
            check=False,
        )
    assert (done.returncode, done.stderr) == (3, "netfs: No space left on device\n")


@pytest.mark.parametrize("arguments", ["--version", "--help", "trace", "nonsense"])
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_defect(arguments: str, closed: str) -> None:
    line = f"{sys.executable} -m netfs_cli {arguments} {closed}"
    done = subprocess.run(
        ["sh", "-c", line], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": PATHS}, check=False
    )
    assert done.returncode == (0 if arguments.startswith("--") else 2)
    assert "Traceback" not in done.stderr


def test_interrupted_is_130_and_silent() -> None:
    code = (
        "import netfs, signal, sys, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in the background ignores it\n"
        "def load(*uris, timeout=None): print('loading', flush=True); time.sleep(60)\n"
        "netfs.load = load\n"
        "from netfs_cli.main import main\n"
        "sys.argv = ['netfs', 'doctor']; sys.exit(main())"
    )
    process = start("-c", code)
    assert process.stdout is not None
    assert process.stdout.readline() == "loading\n"
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err.strip()) == (130, "")


# ----------------------------------------------------------------------------------------- sources


@pytest.mark.parametrize(
    ("arguments", "environment", "loaded"),
    [
        (["doctor"], "", (None,)),
        (["doctor"], "lab:two", ("lab:two", None)),
        (["doctor"], " netns:a  netns:b ", ("netns:a", "netns:b", None)),
        (["--source", "lab", "doctor"], "local", ("lab", None)),
        (["doctor", "--source", "lab"], "local", ("lab", None)),
        (["--source", "x=netns:a", "doctor", "--source", "pid:1"], "", ("x=netns:a", "pid:1", None)),
        (["--timeout", "500ms", "doctor"], "", (0.5,)),
        (["doctor", "--timeout", "2m"], "", (120.0,)),
        (["--timeout", "9", "doctor", "--timeout", "1s"], "", (1.0,)),
    ],
)
def test_sources_stand_before_or_after_and_beat_the_environment(
    run: Run,
    cluster: FakeCluster,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    environment: str,
    loaded: tuple[object, ...],
) -> None:
    monkeypatch.setenv("NETFS_SOURCE", environment)
    assert run(*arguments).status == 0
    assert cluster.loaded == loaded


def test_namespace_before_the_command_counts_too(run: Run, cluster: FakeCluster) -> None:
    cluster.answer = answers.DELIVERED
    run("-n", "team", "trace", "a", "b")
    assert cluster.asked["namespace"] == "team"


# ------------------------------------------------------------------------------------------ colour


class Stream:
    """A stream that may be a terminal."""

    def __init__(self, terminal: bool) -> None:
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.mark.parametrize(
    ("flag", "environment", "is_terminal", "coloured"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"TERM": "dumb"}, True, False),
        ("always", {"NO_COLOR": "1", "TERM": "dumb"}, False, True),
        ("never", {}, True, False),
    ],
)
def test_colour_flag_before_environment_before_terminal(
    monkeypatch: pytest.MonkeyPatch, flag: str, environment: dict[str, str], is_terminal: bool, coloured: bool
) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert terminal.wants_colour(flag, Stream(is_terminal)) is coloured  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "coloured"),
    [
        (["--color=always", "trace", "a", "b"], True),
        (["trace", "a", "b", "--color=always"], True),
        (["--color=always", "trace", "a", "b", "--no-color"], False),
        (["trace", "a", "b"], False),
    ],
)
def test_colour_options_reach_the_answer(run: Run, cluster: FakeCluster, arguments: list[str], coloured: bool) -> None:
    cluster.answer = answers.DELIVERED
    assert ("\x1b[" in run(*arguments).out) is coloured


# -------------------------------------------------------------------------------------------- help


@pytest.mark.parametrize(
    ("name", "command"), every_command(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_help_shows_examples_first_and_they_parse(run: Run, name: str, command: click.Command) -> None:
    assert isinstance(command, Command | Group)
    for flag in ("-h", "--help"):
        result = run(*name.split(), flag)
        assert (result.status, result.err) == (0, "")
        assert result.out.startswith("Examples:\n  netfs ")
    for line in command.examples.strip().splitlines():
        parts = re.split(r"\s{3,}| \| ", line.strip())
        words = shlex.split(next(part for part in parts if part.startswith("netfs ")))
        assert words[0] == "netfs"
        with app.make_context("netfs", words[1:]) as context:
            sub: click.Context = context
            while isinstance(sub.command, click.Group) and (rest := [*sub._protected_args, *sub.args]):
                _, found, arguments = sub.command.resolve_command(sub, rest)
                assert found is not None
                sub = found.make_context(found.name, arguments, parent=sub)


def test_the_table_of_commands_says_what_each_command_is_for() -> None:
    for name, command in every_command()[1:]:
        assert command.get_short_help_str(limit=200)
        if name in COMMANDS:
            assert COMMANDS[name][1].endswith(".")


def test_without_arguments_help_is_shown(run: Run) -> None:
    assert run() == run("--help")


def test_version_in_any_place(run: Run) -> None:
    expected = Result(0, f"netfs {netfs.__version__}\n", "")
    assert run("--version") == run("-V") == run("--color=never", "--version") == expected


def test_completion_by_click(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_NETFS_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "netfs tr")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert "trace" in run().out


# ----------------------------------------------------------------------------------------- kubectl


def test_kubectl_plugin_without_a_source_says_what_is_missing(run: Run) -> None:
    result = run("get", "nodes", script=kubectl_main)
    assert (result.status, result.out) == (3, "")
    assert "Kubernetes API is not in this version" in result.err
    assert "--source" in result.err
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("flag", ["--context", "--kubeconfig", "--cluster", "--user"])
@pytest.mark.parametrize("form", ["separate", "joined"])
def test_kubectl_plugin_owns_flags_that_choose_a_cluster(run: Run, flag: str, form: str) -> None:
    words = [flag, "x"] if form == "separate" else [f"{flag}=x"]
    for arguments in ([*words, "doctor"], ["doctor", *words]):
        result = run(*arguments, script=kubectl_main)
        assert result.status == 3
        assert result.err.startswith(f"netfs: {flag}: ")


def test_kubectl_plugin_is_the_same_command(run: Run, cluster: FakeCluster) -> None:
    cluster.answer = answers.DROPPED
    arguments = ["-n", "team", "trace", "a", "b", "--source", "lab"]
    plain = run(*arguments)
    assert run("--request-timeout=5s", *arguments, script=kubectl_main) == plain
    assert cluster.loaded == ("lab", 5.0)
    assert cluster.asked["namespace"] == "team"


def test_kubectl_plugin_takes_the_source_of_the_environment(
    run: Run, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETFS_SOURCE", "file:x.json")
    assert run("get", "nodes", script=kubectl_main).status == 0


def test_kubectl_plugin_helps_without_a_source_under_its_own_name(run: Run) -> None:
    assert "Usage: kubectl netfs trace" in run("trace", "-h", script=kubectl_main).out


def test_a_group_without_a_command_shows_its_help_as_it_is(run: Run) -> None:
    result = run("lab")
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("Examples:\n")
    assert "\\n" not in result.err
