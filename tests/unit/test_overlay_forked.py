"""A walk that two processes share counts what one process counts, and leaves nothing behind."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from netfs.model.layers import Account
from netfs.overlay import forked
from netfs.overlay.changes.account import Unread, account
from netfs.overlay.changes.lockstep import Lockstep, MovedError
from netfs.overlay.disk.root import Root
from netfs.overlay.forked import Apart
from netfs.overlay.merge.tree import Stack
from tests.unit.trees import WHITEOUT, Content, directory, tree


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two layers of 400 directories, some of them in both, with hard links from one directory to another."""
    made = []
    for layer in range(2):
        top = tmp_path_factory.mktemp(f"layer{layer}")
        for number in range(400):
            folder = top / f"{number % 20}" / f"{number + layer * 100}" / "deep"
            folder.mkdir(parents=True)
            (folder / "file").write_bytes(b"x" * number)
            (folder / f"own{layer}").write_bytes(b"y" * 5000)
            (top / f"{number % 20}" / f"link{number}").hardlink_to(folder / "file")
        made.append(top)
    return made


def counted(layers: list[Path], apart: Apart | None, unread: list[Unread] | None = None) -> tuple[Account, ...]:
    with Root() as root:
        stack = Stack([root.tree(str(layer), userxattr=True).root for layer in layers])
        return account(stack, apart=apart, unread=unread)


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The processes that were made: none of them may be left."""
    made: list[int] = []
    fork = os.fork

    def noted() -> int:
        pid = fork()
        if pid:
            made.append(pid)
        return pid

    monkeypatch.setattr(os, "fork", noted)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    yield made
    for pid in made:
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def test_two_processes_count_what_one_counts(layers: list[Path], forks: list[int]) -> None:
    alone = counted(layers, None)
    assert forks == []
    assert counted(layers, Apart()) == alone
    assert len(forks) == 1
    assert alone[1].own.files == 400 * 3
    assert alone[0].hides[1].files > 100


def test_what_could_not_be_read_is_told_by_both(
    layers: list[Path], forks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lockstep, "found", lambda _: [_empty(), [[1, "a/b", 13], [0, "\udcff", 5]], 7])
    unread: list[Unread] = []
    counted(layers, Apart(), unread)
    assert unread == [Unread(1, "a/b", 13), Unread(0, "\udcff", 5)]


def _empty() -> list[object]:
    zeros = [[0, 0, 0, 0], [0, 0, 0, 0]]
    return [zeros, zeros, [], [[0, 0], [0, 0], [0, 0]], [], []]


def test_where_the_other_process_is_lost_one_counts_alone(
    layers: list[Path], forks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = counted(layers, None)
    monkeypatch.setattr(Lockstep, "begin", lambda _: os._exit(9))
    assert counted(layers, Apart()) == alone
    assert len(forks) == 1


def test_a_failure_of_this_process_ends_the_other(
    layers: list[Path], forks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(forked, "_told", interrupted)
    with pytest.raises(KeyboardInterrupt):
        counted(layers, Apart())
    assert len(forks) == 1


def test_a_process_of_several_threads_walks_alone(layers: list[Path], forks: list[int]) -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        assert counted(layers, Apart()) == counted(layers, None)
    finally:
        done.set()
        thread.join()
    assert forks == []


def test_a_small_store_is_walked_alone(tmp_path: Path, forks: list[int]) -> None:
    (tmp_path / "etc").mkdir()
    counted([tmp_path], Apart())
    assert forks == []


def test_a_directory_that_was_moved_is_counted_by_one_process() -> None:
    """Whoever meets it cannot know what the other one has counted."""
    raised: list[MovedError] = []

    def here(places: int, walk: Lockstep) -> None:
        for number in range(places):
            try:
                walk.visit(number)
            except MovedError as error:
                raised.append(error)
                raise

    below: dict[str, Content] = {f"d{number}": {"f": "x"} for number in range(300)}
    upper = tree({"new": directory({}, redirect="/old"), "old": WHITEOUT, "z": {"zz": {"f": "x"}, **below}})
    stack = Stack([upper, tree({"old": {"a": "abc"}, "z": {"zz": directory({"b": "b"}, redirect="y")}})])
    alone = account(stack)
    assert account(stack, apart=here) == alone
    assert alone[1].own.files == 2
    deep = Stack(
        [tree({"top": {"new": directory({"f": "f"}, redirect="/old")}, "old": WHITEOUT, **below}), stack.layers[1]]
    )
    assert account(deep, apart=here) == account(deep)
    assert raised


def test_more_directories_than_a_pipe_holds_numbers(forks: list[int]) -> None:
    stack = Stack([tree({str(number): {"f": "x"} for number in range(20_000)})])
    assert account(stack, apart=Apart())[0].own.files == 20_000
    assert len(forks) == 1
