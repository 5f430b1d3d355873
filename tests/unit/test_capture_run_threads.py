"""A station where no thread can be started any more (RLIMIT_NPROC, pids.max of a cgroup)."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import NoReturn

import pytest

from netfs.capture.station.run import _each
from netfs.capture.station.symbols import Symbols


@pytest.fixture
def _no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> NoReturn:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)


@pytest.mark.usefixtures("_no_threads")
def test_taps_are_opened_one_after_the_other() -> None:
    assert _each(lambda number: number * 2, range(100)) == [number * 2 for number in range(100)]


@pytest.mark.usefixtures("_no_threads")
def test_symbols_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "kallsyms"
    file.write_text("ffffffff81000010 T ip_rcv\nffffffff81000100 T ip_output\n")
    symbols = Symbols(str(file))
    symbols.begin()
    assert symbols.functions([0xFFFFFFFF81000020]) == {0xFFFFFFFF81000020: "ip_rcv"}
