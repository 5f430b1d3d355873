"""``netfs collect``: the snapshots leave as the library wrote them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import netfs
from tests.cli.conftest import FakeCluster, Result

Run = Callable[..., Result]


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, str]]:
    made: list[tuple[Any, str]] = []
    monkeypatch.setitem(vars(netfs), "save", lambda snapshots, path: made.append((snapshots, path)))
    monkeypatch.setitem(vars(netfs), "dumps", lambda snapshots: b'{"schema": "netfs.snapshot/v1"}')
    return made


@pytest.mark.parametrize("arguments", [[], ["-w", "-"]])
def test_stdout_carries_the_document_alone(
    run: Run, cluster: FakeCluster, saved: list[Any], arguments: list[str]
) -> None:
    assert run("collect", *arguments) == Result(0, '{"schema": "netfs.snapshot/v1"}\n', "")
    assert saved == []


@pytest.mark.parametrize("suffix", [".json", ".json.zst"])
def test_a_file_is_written_by_the_library(
    run: Run, cluster: FakeCluster, saved: list[Any], tmp_path: Path, suffix: str
) -> None:
    path = str(tmp_path / f"cluster{suffix}")
    assert run("collect", "-w", path) == Result(0, "", "")
    assert saved == [(cluster.snapshots, path)]


def test_a_file_of_another_kind_is_refused_before_anything_is_read(run: Run, cluster: FakeCluster) -> None:
    result = run("collect", "-w", "cluster.txt")
    assert result.status == 2
    assert cluster.loaded == ()
