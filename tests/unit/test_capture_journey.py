"""A live trace's file: as it was, or away again, until there is something to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from netfs.capture import journey
from netfs.capture.live import Watched
from tests.unit.live_worlds import healthy


def test_a_trace_that_fails_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    with pytest.raises(KeyboardInterrupt), journey.opened(str(path)):
        raise KeyboardInterrupt
    assert not path.exists()


def test_a_trace_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    path.write_bytes(b"yesterday's")
    with pytest.raises(KeyboardInterrupt), journey.opened(str(path)):
        raise KeyboardInterrupt
    assert path.read_bytes() == b"yesterday's"


def test_a_trace_that_was_seen_replaces_what_the_file_held(tmp_path: Path) -> None:
    path, world = tmp_path / "x.pcapng", healthy()
    path.write_bytes(b"yesterday's" * 1000)
    with journey.opened(str(path)) as file:
        journey.write(file, world.topology, Watched(world.compared([]), ()))
    written = path.read_bytes()
    assert written.startswith(b"\x0a\x0d\x0d\x0a")
    assert len(written) < 1000
