"""What is told of this host's mounts beside the mounts: the module's defaults, and what could not be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netfs.model.layers import MountOptions
from netfs.overlay.stores import mounted

OVERLAY = "69 65 0:40 / /m rw - overlay overlay rw,lowerdir=/l\n"


@pytest.mark.parametrize(
    ("parameters", "options"),
    [
        ({}, MountOptions(redirect_dir="nofollow")),
        ({"redirect_always_follow": "Y\n", "redirect_dir": "N\n"}, MountOptions(redirect_dir="follow")),
        ({"redirect_always_follow": "Y\n", "redirect_dir": "Y\n"}, MountOptions(redirect_dir="on")),
        (
            {"metacopy": "Y\n", "index": "Y\n", "xino_auto": "Y\n"},
            MountOptions(redirect_dir="nofollow", metacopy=True, index=True, xino="auto"),
        ),
    ],
)
def test_the_modules_parameters_are_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parameters: dict[str, str], options: MountOptions
) -> None:
    for name, text in parameters.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(mounted, "_PARAMETERS", str(tmp_path))
    assert mounted.default_options() == options


def test_without_the_module_the_defaults_are_debians(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounted, "_PARAMETERS", str(tmp_path / "absent"))
    assert mounted.default_options() == MountOptions()


def test_a_process_that_is_gone_is_told() -> None:
    mounts, (gap,) = mounted.of(1 << 30)
    assert (mounts, gap.where, gap.reason) == ((), f"/proc/{1 << 30}/mountinfo", "No such file or directory")


def test_a_mountinfo_that_is_too_long_is_cut_at_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = mounted._read(os.getpid(), [])
    lines = whole.splitlines(keepends=True)
    monkeypatch.setattr(mounted, "MOST_BYTES", len(os.fsencode(whole)) - 3)
    _, (gap,) = mounted.of(os.getpid())
    assert gap.reason == "only its first 0 MiB were read"
    assert mounted._read(os.getpid(), []) == "".join(lines[:-1]).rstrip("\n")


@pytest.mark.parametrize(
    ("options", "first", "told"),
    [
        ("rw,hidepid=2", False, True),
        ("rw,hidepid=invisible", False, True),
        ("rw,hidepid=2", True, False),
        ("rw,hidepid=1", False, False),
        ("rw", False, False),
    ],
)
def test_processes_that_proc_hides_are_told(
    monkeypatch: pytest.MonkeyPatch, options: str, first: bool, told: bool
) -> None:
    monkeypatch.setattr(mounted, "_read", lambda pid, gaps: f"22 1 0:21 / /proc rw - proc proc {options}\n{OVERLAY}")
    monkeypatch.setattr(os.path, "exists", lambda path: first)
    assert bool(mounted._hidden()) == told
