"""containerd's store while containerd writes to it: databases and directories are told as they were at one moment."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from netfs.model.layers import Store
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import bolt
from netfs.overlay.stores.containerd import files as containerd_files
from netfs.overlay.stores.containerd import store as containerd
from tests.unit.bolt_writer import database
from tests.unit.containerd_store import COMMITTED, ContainerdStore


class Watched(Root):
    """A root that does something before each reading of one of containerd's databases."""

    before: Callable[[str], None]

    def read(self, path: str, limit: int = 64 << 20) -> bytes:
        self.before(path)
        return super().read(path, limit)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ContainerdStore:
    monkeypatch.setattr(containerd_files, "_PAUSE_S", 0)
    monkeypatch.setattr(containerd_files, "_WAIT_S", 0)
    monkeypatch.setattr(bolt, "_PAUSE_S", 0)
    built = ContainerdStore(tmp_path / "containerd")
    built.snapshot("default", "first", kind=COMMITTED, labels={"containerd.io/gc.root": "now"})
    built.write()
    return built


def read(store: ContainerdStore, before: Callable[[str], None]) -> Store:
    with Watched(str(store.path.parent)) as root:
        root.before = before
        return containerd.read(root, "/containerd")


def commit(store: ContainerdStore, txid: int) -> None:
    """Write both databases as a later transaction."""
    store.write()
    for place, tree in (
        (store.path / "io.containerd.metadata.v1.bolt/meta.db", {b"v1": store.metadata}),
        (store.folder / "metadata.db", {b"v1": {b"snapshots": store.snapshots}}),
    ):
        place.write_bytes(database(tree, txid=txid))


def test_a_snapshot_that_is_made_between_two_databases_is_whole(store: ContainerdStore) -> None:
    """meta.db is read first: what it does not name yet would seem given up in metadata.db."""

    def events() -> Iterator[None]:
        yield
        store.snapshot("default", "second", "first", labels={"containerd.io/gc.root": "now"})
        commit(store, 8)
        while True:
            yield

    happening = events()
    found = read(store, lambda path: next(happening) if path.endswith(".db") else None)
    assert [(layer.role, layer.missing) for layer in found.layers] == [("snapshot", False)] * 2
    assert found.gaps == ()


def test_where_containerd_never_rests_nobody_is_called_unowned(store: ContainerdStore) -> None:
    readings = 0

    def write(path: str) -> None:
        nonlocal readings
        if path.endswith("/meta.db") and readings < 2 * containerd_files._TRIES:
            readings += 1
            commit(store, 7 + readings)

    found = read(store, write)
    assert [layer.id for layer in found.layers] == ["1"]
    assert [gap.what for gap in found.gaps] == ["owners"]
    assert "writing all the while" in found.gaps[0].reason


def test_a_directory_of_this_moment_is_waited_for(store: ContainerdStore) -> None:
    """It is moved into place before metadata.db is written."""
    (store.folder / "snapshots/2/fs").mkdir(parents=True)
    readings = 0

    def write(path: str) -> None:
        nonlocal readings
        readings += path.endswith("/meta.db")
        if readings == 3 and ("default", "second") not in store.numbers:
            shutil.rmtree(store.folder / "snapshots/2")
            store.snapshot("default", "second", "first", labels={"containerd.io/gc.root": "now"})
            commit(store, 8)

    found = read(store, write)
    assert [(layer.id, layer.role) for layer in found.layers] == [("1", "snapshot"), ("2", "snapshot")]


def test_an_old_directory_is_not_waited_for(store: ContainerdStore, monkeypatch: pytest.MonkeyPatch) -> None:
    (store.folder / "snapshots/2/fs").mkdir(parents=True)
    monkeypatch.setattr(containerd_files, "_YOUNG_S", 0)
    readings: list[str] = []
    found = read(store, readings.append)
    assert [(layer.id, layer.role) for layer in found.layers] == [("1", "snapshot"), ("2", "unknown")]
    assert sum(path.endswith("/meta.db") for path in readings) == 2


def test_no_lock_is_taken_and_nothing_is_written(store: ContainerdStore) -> None:
    """containerd holds flock(LOCK_EX) on both databases; the files' times and contents stay as they were."""
    places = (store.path / "io.containerd.metadata.v1.bolt/meta.db", store.folder / "metadata.db")
    held = [place.open("r+b") for place in places]
    before = [(place.read_bytes(), place.stat().st_mtime_ns) for place in places]
    try:
        for file in held:
            fcntl.flock(file, fcntl.LOCK_EX)
        found = read(store, lambda path: None)
    finally:
        for file in held:
            file.close()
    assert [layer.role for layer in found.layers] == ["snapshot"]
    assert [(place.read_bytes(), place.stat().st_mtime_ns) for place in places] == before
