"""Work for two: what the copy tells arrives, and where it is lost that is said."""

from __future__ import annotations

import os
import threading

import pytest

from netfs.collect.copies import in_two, may_be_two


def test_what_a_copy_returns_arrives_and_what_it_changes_does_not() -> None:
    changed: list[str] = []

    def there() -> tuple[int, list[str]]:
        changed.append("there")
        return os.getpid(), changed

    pid, told = in_two(lambda: changed.append("here"), there)
    assert (changed, told) == (["here"], ["there"])
    assert pid != os.getpid()
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, 0)


def test_a_copy_that_fails_or_dies_is_lost() -> None:
    def failing() -> int:
        raise ValueError

    for there in (failing, lambda: os._exit(0), lambda: os.kill(os.getpid(), 9), object):
        assert in_two(lambda: None, there) is None


def test_a_failure_here_ends_the_copy() -> None:
    with pytest.raises(ZeroDivisionError):
        in_two(lambda: 1 // 0, lambda: threading.Event().wait())  # type: ignore[arg-type]


def test_where_no_process_may_be_started_the_work_here_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", refused)
    done: list[int] = []
    assert in_two(lambda: done.append(1), lambda: 2) is None
    assert done == [1]


def test_a_process_with_threads_or_one_processor_works_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    assert may_be_two()
    monkeypatch.setattr(threading, "active_count", lambda: 2)
    assert not may_be_two()
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert not may_be_two()
