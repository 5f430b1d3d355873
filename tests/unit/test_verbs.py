"""The shell behind `make`: what is missing is installed or named, and the demo minds every exit status."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

CI = Path(__file__).parents[2] / ".ci"


def script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def run(command: list[str], folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run with ``folder/bin`` first on PATH, outside CI unless told."""
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command, env=os.environ | {"CI": "", "PATH": path} | env, capture_output=True, text=True, check=False
    )


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine whose apt-get writes down what it is asked."""
    script(tmp_path / "bin" / "apt-get", f'echo "$@" >>{tmp_path}/asked')
    return tmp_path


@pytest.mark.parametrize(("ci", "status"), [("", 0), ("true", 1)])
def test_an_ordinary_user_is_told_the_command(machine: Path, ci: str, status: int) -> None:
    script(machine / "bin" / "id", "echo 1000")
    told = run([str(CI / "programs"), "sh", "no-such-program"], machine, CI=ci)
    assert told.stderr == "missing; install with: sudo apt-get install -y no-such-program\n"
    assert told.returncode == status
    assert not (machine / "asked").exists()


def test_root_has_it_installed(machine: Path) -> None:
    script(machine / "bin" / "id", "echo 0")
    assert run([str(CI / "programs"), "sh", "no-such-program"], machine).returncode == 0
    asked = (machine / "asked").read_text().splitlines()
    assert asked == ["update -q", "install -q -y --no-install-recommends no-such-program"]


def test_nothing_is_asked_where_nothing_is_missing(machine: Path) -> None:
    assert run([str(CI / "programs"), "sh", "cat"], machine).returncode == 0
    assert not (machine / "asked").exists()


FAKE_NETFS = """
echo "$@" >>{folder}/ran
case "$1 $2" in
"lab break") touch {folder}/broken ;;
"lab repair") rm {folder}/broken ;;
"trace pod-a")
    if [ -e {folder}/broken ]; then echo '{{"slug": "{slug}"}}'; exit {status}; fi ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / ".ci").mkdir()
    shutil.copy(CI / "demo", tmp_path / ".ci" / "demo")
    return tmp_path


@pytest.mark.parametrize(
    ("slug", "status", "ends"),
    [
        ("vxlan-fdb-missing", 1, 0),
        ("vxlan-fdb-missing", 0, 1),
        ("vxlan-vni-mismatch", 1, 1),
    ],
    ids=["as it should", "a trace that sees no fault", "another finding"],
)
def test_demo_minds_how_each_step_ends_and_always_takes_the_lab_down(
    checkout: Path, slug: str, status: int, ends: int
) -> None:
    script(checkout / ".venv" / "bin" / "netfs", FAKE_NETFS.format(folder=checkout, slug=slug, status=status))
    assert run([str(checkout / ".ci" / "demo")], checkout).returncode == ends
    ran = (checkout / "ran").read_text().splitlines()
    assert ran[-2].startswith("trace pod-a" if ends else "layers diff pod-a")
    assert ran[-1].startswith("lab down --name demo-")
