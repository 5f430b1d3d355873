"""Shares of reading: each namespace once, whoever reads it."""

from __future__ import annotations

import os
import threading

import pytest

from netfs.collect import nsfs, workers
from netfs.collect.read import Raw, Reader
from netfs.collect.workers import Reading, Wanted, read_all

WANTED: list[Wanted] = [(f"/somewhere/{number}", number) for number in range(100)]


@pytest.fixture
def imagined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Namespaces with even numbers are read, the others refuse; an answer says which process gave it."""

    def read(_: Reader, path: str, inode: int) -> Raw:
        if inode % 2:
            raise PermissionError(1, "not yours")
        return Raw(id=inode, dumps={"links": path.encode() * 5000}, files={}, sysctls={}, firewall={}, gaps=[])

    monkeypatch.setattr(Reader, "read", read)


def drained(reading: Reading) -> tuple[list[int], list[int]]:
    read: list[int] = []
    refused: list[int] = []
    for raws, refusals in reading:
        read += [raw["id"] for raw in raws]
        refused += [inode for (_, inode), reason in refusals if reason == "not yours"]
    return sorted(read), sorted(refused)


@pytest.mark.usefixtures("imagined")
@pytest.mark.parametrize("readers", [0, 1, 2, 3])
def test_every_namespace_is_answered_for_once(readers: int) -> None:
    assert drained(Reading(WANTED, readers)) == (list(range(0, 100, 2)), list(range(1, 100, 2)))


@pytest.mark.usefixtures("imagined")
def test_what_a_dead_reader_left_is_read_by_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    parent, real = os.getpid(), Reader.read

    def dies(self: Reader, path: str, inode: int) -> Raw:
        if os.getpid() != parent and inode == 40:
            os._exit(9)
        return real(self, path, inode)

    monkeypatch.setattr(Reader, "read", dies)
    assert drained(Reading(WANTED, 2)) == (list(range(0, 100, 2)), list(range(1, 100, 2)))


@pytest.mark.usefixtures("imagined")
def test_readers_end_where_nobody_wants_their_answers() -> None:
    before = len(os.listdir("/proc/self/fd"))
    reading = Reading(WANTED * 10, 2)
    pids = list(reading._pids.values())
    reading.close()
    assert len(os.listdir("/proc/self/fd")) == before
    for pid in pids:
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, 0)


@pytest.mark.usefixtures("imagined")
def test_a_process_with_threads_is_not_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "WORTH_A_FORK", 2)
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("forked"))
    held = threading.Event()
    thread = threading.Thread(target=held.wait)
    thread.start()
    try:
        assert len(drained(read_all(WANTED))[0]) == 50
    finally:
        held.set()
        thread.join()


def test_reading_leaves_the_caller_in_its_namespace() -> None:
    before = nsfs.inode(nsfs.OWN)
    assert drained(read_all([("/proc/self/ns/net", before)]))[0] == [before]
    assert nsfs.inode(nsfs.OWN) == before
