"""The processes of a container, read of real ones: children, zombies, ended ones, pids that are another's by now."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from netfs.container.process_tree import _in_order, tree
from netfs.model.process_facts import ProcessUse
from netfs.model.processes import Process


class Instead:
    """In the place of a method that psutil may keep the answers of (``oneshot``)."""

    def __init__(self, answer: Callable[[], object]) -> None:
        self.answer = answer

    def __call__(self) -> object:
        return self.answer()

    def cache_activate(self, _: object) -> None:
        pass

    def cache_deactivate(self, _: object) -> None:
        pass


def status(pid: int) -> str:
    import psutil

    return psutil.Process(pid).status()


def known(pid: int, **fields: Any) -> Process:
    """The process as /proc has it."""
    text = Path(f"/proc/{pid}/stat").read_text(errors="surrogateescape")
    values = text.rpartition(")")[2].split()
    told: dict[str, Any] = {
        "started": int(values[19]),
        "ppid": int(values[1]),
        "comm": text.partition("(")[2].rpartition(")")[0],
        "pids": (pid,),
    }
    return Process(pid, **(told | fields))


def wait_for(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.005)


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """``start("sleep", "60")``; its group is ended in the end."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(*command: str) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(command, start_new_session=True))
        return started[-1]

    yield begin
    for each in started:
        for pid in (*children(each.pid), each.pid) if each.returncode is None else ():
            os.kill(pid, 9)
        each.wait()


def test_a_parent_stands_before_its_children_with_all_that_ps_shows(
    start: Callable[..., subprocess.Popen[bytes]],
) -> None:
    import psutil

    shell = start("sh", "-c", "sleep 60 & sleep 61 & wait")
    wait_for(lambda: len(children(shell.pid)) == 2)
    below = sorted(children(shell.pid))
    wait_for(lambda: all(known(pid).comm == "sleep" for pid in below))
    pids = (shell.pid, *reversed(below))
    found = tree(pids, {pid: known(pid, pids=(pid, 100 + place)) for place, pid in enumerate(pids)})
    assert [(each.pid, each.ppid, each.depth) for each in found] == [
        (shell.pid, os.getpid(), 0),
        *((pid, shell.pid, 1) for pid in below),
    ]
    first, child, _ = found
    assert first.command == ("sh", "-c", "sleep 60 & sleep 61 & wait")
    assert child.command in {("sleep", "60"), ("sleep", "61")}
    assert (first.inner_pid, child.inner_pid, child.comm, child.threads) == (100, 102, "sleep", 1)
    assert child.user == psutil.Process().username()
    assert child.state in {"sleeping", "running"}
    assert child.memory is not None
    assert child.memory > 0
    assert child.cpu_seconds is not None
    assert abs(psutil.Process(child.pid).create_time() - datetime.fromisoformat(child.started_at).timestamp()) < 2


def test_a_zombie_is_told_with_what_is_left_of_it(start: Callable[..., subprocess.Popen[bytes]]) -> None:
    gone = start("true")
    wait_for(lambda: status(gone.pid) == "zombie")
    (found,) = tree((gone.pid,), {gone.pid: known(gone.pid)})
    assert (found.state, found.command, found.comm) == ("zombie", (), "true")


def test_one_that_ended_is_left_out_and_its_children_have_no_parent(
    start: Callable[..., subprocess.Popen[bytes]],
) -> None:
    ended, living = start("true"), start("sleep", "60")
    wait_for(lambda: status(ended.pid) == "zombie")
    table = {ended.pid: known(ended.pid), living.pid: known(living.pid, ppid=ended.pid)}
    ended.wait()
    assert [(each.pid, each.depth) for each in tree((ended.pid, living.pid), table)] == [(living.pid, 0)]


def test_a_pid_that_is_anothers_by_now_is_left_out() -> None:
    own = known(os.getpid())
    assert tree((own.pid,), {own.pid: own})
    assert tree((own.pid,), {own.pid: known(own.pid, started=own.started - 1)}) == ()
    assert tree((own.pid,), {own.pid: known(own.pid, started=own.started + 1)}) == ()


def test_a_pid_that_nobody_knows_is_left_out() -> None:
    assert tree((os.getpid(),), {}) == ()


def test_one_that_ends_while_it_is_read_is_left_out(
    start: Callable[..., subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    import psutil

    one = start("sleep", "60")
    table = {one.pid: known(one.pid)}

    def vanish() -> None:
        one.kill()
        one.wait()
        raise psutil.NoSuchProcess(one.pid)

    monkeypatch.setattr(psutil.Process, "cmdline", Instead(vanish))
    assert tree((one.pid,), table) == ()


@pytest.mark.parametrize("failure", ["AccessDenied", "NoSuchProcess", "ZombieProcess"])
@pytest.mark.parametrize("field", ["cmdline", "uids", "cpu_times", "memory_info", "status", "num_threads"])
def test_what_may_not_be_read_is_missing_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, field: str, failure: str
) -> None:
    import psutil

    own = known(os.getpid(), threads=7)
    (whole,) = tree((own.pid,), {own.pid: own})

    def refuse() -> None:
        raise getattr(psutil, failure)(own.pid)

    monkeypatch.setattr(psutil.Process, field, Instead(refuse))
    (found,) = tree((own.pid,), {own.pid: own})
    missing = {
        "cmdline": ("command", ()),
        "uids": ("user", ""),
        "cpu_times": ("cpu_seconds", None),
        "memory_info": ("memory", None),
        "status": ("state", ""),
        "num_threads": ("threads", 7),
    }[field]
    assert getattr(found, missing[0]) == missing[1]
    assert (found.pid, found.comm, found.started_at) == (whole.pid, whole.comm, whole.started_at)


def test_a_clock_that_was_set_meanwhile_makes_nobody_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """The boot time of /proc/stat is made of the clock: it may be a second less at the first look."""
    import psutil

    own, real = known(os.getpid()), psutil.boot_time
    looks = iter([real() - 1])
    monkeypatch.setattr(psutil, "boot_time", lambda: next(looks, real()))
    assert [each.pid for each in tree((own.pid,), {own.pid: own})] == [own.pid]


def test_a_user_without_a_name_is_told_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    own = known(os.getpid())
    monkeypatch.setattr("psutil.Process.uids", Instead(lambda: SimpleNamespace(effective=4_000_000_001)))
    assert [each.user for each in tree((own.pid,), {own.pid: own})] == ["4000000001"]


def shaped(*parents: tuple[int, int]) -> list[tuple[int, int]]:
    """(pid, depth) in the order told, of (pid, ppid)."""
    return [
        (each.pid, each.depth) for each in _in_order({pid: ProcessUse(pid, None, ppid, 0, "") for pid, ppid in parents})
    ]


def test_the_first_one_stands_first_though_its_pid_be_higher() -> None:
    assert shaped((900, 1), (5, 900), (30, 1), (20, 1), (6, 5)) == [(900, 0), (5, 1), (6, 2), (20, 0), (30, 0)]


def test_children_stand_by_pid() -> None:
    assert shaped((1, 0), (9, 1), (3, 1), (7, 3)) == [(1, 0), (3, 1), (7, 2), (9, 1)]


def test_a_circle_of_parents_is_told_once() -> None:
    assert shaped((1, 1)) == [(1, 0)]
    assert shaped((4, 5), (5, 4), (6, 5)) == [(4, 0), (5, 1), (6, 2)]


def test_a_deep_tree_is_no_trouble() -> None:
    found = shaped(*((pid, pid - 1) for pid in range(1, 5001)))
    assert found[-1] == (5000, 4999)
