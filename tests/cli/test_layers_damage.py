"""Damaged stores: whatever is broken in one, every command has an answer or one line that says why not."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import netfs.overlay
from netfs.errors import NetfsError
from netfs.overlay.layer_stores import LayerStores
from netfs_cli.render.ink import Ink
from netfs_cli.render.layers import chain, changes, disk, listing, unowned, versions
from tests.unit.docker_store import DockerStore, hexadecimal

STORES = 8
"""Of each seed."""
JUNK = (
    *(b"", b"\0" * 10, b"{}", b"[]", b"null", b"../../etc", b"l/" + b"A" * 26, b"\xff\xfe", b"l/:l/:::"),
    *(b"sha256:" + b"0" * 64, b"a" * 64, b'{"a":' * 2000),
)


def built(path: Path) -> DockerStore:
    made = DockerStore(path / "var/lib/docker")
    image = made.image("app:1", "base", "app")
    made.image("more:1", "base", "more")
    for name in ("web", "api"):
        made.container(name, image)
    for word in ("base", "app", "layer of web"):
        diff = made.overlay2 / hexadecimal(word) / "diff"
        (diff / "etc").mkdir()
        (diff / "etc/passwd").write_text(word)
        (diff / "loop").symlink_to("loop")
    return made


def damage(folder: Path, chance: random.Random) -> str:
    """Break one thing; in words, what was done."""
    paths = sorted(folder.rglob("*"))
    path = chance.choice(paths)
    how = chance.choice(["junk", "gone", "fifo", "directory", "symlink", "another's", "device"])
    plain = path.is_file() and not path.is_symlink()
    if how == "junk" and plain:
        path.write_bytes(chance.choice(JUNK))
    elif how == "another's" and plain:
        path.write_bytes(
            chance.choice([each for each in paths if each.is_file() and not each.is_symlink()]).read_bytes()
        )
    else:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        with contextlib.suppress(PermissionError):
            _replace(path, how, chance)
    return f"{how}: {path.relative_to(folder)}"


def _replace(path: Path, how: str, chance: random.Random) -> None:
    if how == "fifo":
        os.mkfifo(path)
    elif how == "directory":
        path.mkdir()
    elif how == "symlink":
        path.symlink_to(chance.choice(["/etc", "..", ".", path.name, f"../{path.name}"]))
    elif how == "device":
        os.mknod(path, 0o20600, os.makedev(chance.choice([0, 1]), chance.choice([0, 3])))


def questions(stores: LayerStores) -> Iterator[Callable[[], str]]:
    """Everything that can be asked, as text."""
    ink = Ink()
    yield lambda: listing.render(stores.ls(), ink, wide=True)
    yield lambda: disk.render(stores.usage(), ink, wide=True)
    yield lambda: unowned.render(stores.orphans(), ink, wide=True)
    yield lambda: str(stores.verify())
    names = [each.id for each in stores.chains] + [layer.id for store in stores.stores for layer in store.layers]
    for name in names:
        yield from questions_about(stores, name)


def questions_about(stores: LayerStores, name: str) -> Iterator[Callable[[], str]]:
    ink = Ink()
    yield lambda: chain.render(stores.show(name), ink, wide=True)
    yield lambda: changes.render(stores.diff(name), ink, wide=True)
    yield lambda: versions.render(stores.which(name, "/etc/passwd"), ink, wide=True)
    yield lambda: versions.render(stores.which(name, "/loop/x"), ink, wide=True)


@pytest.mark.parametrize("seed", range(6))
def test_every_command_has_an_answer_of_a_damaged_store(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    built(tmp_path / "whole")
    for number in range(STORES):
        copy = tmp_path / f"{number}"
        shutil.copytree(tmp_path / "whole", copy, symlinks=True)
        done = [damage(copy / "var/lib/docker", chance) for _ in range(chance.randint(1, 4))]
        try:
            with contextlib.suppress(NetfsError), netfs.overlay.open(str(copy)) as stores:
                for ask in questions(stores):
                    with contextlib.suppress(NetfsError):
                        assert ask()
        except Exception as error:  # whatever it was, the damage that led to it is to be told
            raise AssertionError(done) from error
