"""The kernel's way to a path and ours, where there is no openat2(2), beside each other in random trees of symlinks."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from netfs.disk import openat2
from netfs.overlay.disk.root import Root
from netfs.overlay.merge.tree import Directory

NAMES = ("a", "b", "c", "d")
STEPS = (*NAMES, *NAMES, "..", ".", "")


def path_of(chance: random.Random, length: int) -> str:
    start = "/" if chance.random() < 0.3 else ""
    return start + "/".join(chance.choice(STEPS) for _ in range(chance.randint(1, length))) or "."


def grow(chance: random.Random, folder: Path, levels: int) -> None:
    for name in NAMES:
        here = folder / name
        kind = chance.random()
        if kind < 0.45 and levels:
            here.mkdir()
            grow(chance, here, levels - 1)
        elif kind < 0.8:
            here.symlink_to(path_of(chance, 4))
        elif kind < 0.9:
            here.write_text(str(here))


def answers(root: Root, path: str) -> list[object]:
    """What every method says, or the error it raises."""

    def inode(follow: bool) -> object:
        return root.status(path, follow=follow).st_ino

    said: list[object] = []
    asks: list[Callable[[], object]] = [
        lambda: inode(True),
        lambda: inode(False),
        lambda: root.read(path),
        lambda: root.names(path),
        lambda: root.link(path),
        lambda: root.resolve(path),
        lambda: root.tree(path).root.own_status().st_ino,
    ]
    for ask in asks:
        try:
            said.append(ask())
        except OSError as error:
            said.append(error.errno)
    return said


@pytest.mark.parametrize("seed", range(4))
def test_random_paths_lead_to_the_same_place_both_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    grow(chance, tmp_path, 3)
    paths = [path_of(chance, 6) for _ in range(400)]
    reached = 0
    with Root(str(tmp_path)) as root:
        for path in paths:
            kernel = answers(root, path)
            with monkeypatch.context() as without:
                without.setattr(openat2, "in_kernel", lambda: False)
                assert answers(root, path) == kernel, path
            if not isinstance(kernel[5], int):
                assert root.status(str(kernel[5]), follow=False).st_ino == kernel[0], path
                reached += 1
    assert 20 < reached < 400


@pytest.mark.parametrize("seed", range(4))
def test_random_layers_have_the_same_files_both_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    grow(random.Random(seed), tmp_path, 3)

    def walk(directory: Directory) -> dict[str, tuple[int, object]]:
        found: dict[str, tuple[int, object]] = {}
        for name, status in directory.scan().items():
            path = os.path.join(directory.path, name)
            try:
                found[path] = (status.st_ino, directory.read(name, 0, 1000))
            except OSError as error:
                found[path] = (status.st_ino, error.errno)
            try:
                found |= walk(directory.enter(name))
            except NotADirectoryError:
                continue
        return found

    with Root(str(tmp_path)) as root:
        kernel = walk(root.tree("/").root)
        monkeypatch.setattr(openat2, "in_kernel", lambda: False)
        assert walk(root.tree("/").root) == kernel
    expected = {
        str(path.relative_to(tmp_path)): path.lstat().st_ino
        for folder, folders, files in os.walk(tmp_path)
        for path in (Path(folder) / name for name in (*folders, *files))
    }
    assert {path: inode for path, (inode, _) in kernel.items()} == expected


def test_a_kernel_without_openat2_is_noticed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    openat2.in_kernel.cache_clear()
    try:
        monkeypatch.setattr(openat2, "_OPENAT2", 100_000)  # no system call has that number
        assert not openat2.in_kernel()
        with Root("/") as root:
            assert root.is_directory("/proc")
    finally:
        openat2.in_kernel.cache_clear()
