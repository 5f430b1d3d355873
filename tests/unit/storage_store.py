"""Writes stores of containers-storage, for tests, in the form that Podman 4.3 and CRI-O leave them in."""

from __future__ import annotations

import base64
import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.unit.bolt_writer import Tree, database

WHEN = "2026-11-21T16:47:02.200307003Z"
# podman libpod/sqlite_state_internal.go, createSQLiteTables
TABLES = """
CREATE TABLE IF NOT EXISTS DBConfig(ID INTEGER PRIMARY KEY NOT NULL, SchemaVersion INTEGER NOT NULL, OS TEXT NOT NULL,
    StaticDir TEXT NOT NULL, TmpDir TEXT NOT NULL, GraphRoot TEXT NOT NULL, RunRoot TEXT NOT NULL,
    GraphDriver TEXT NOT NULL, VolumeDir TEXT NOT NULL, CHECK (ID IN (1)));
CREATE TABLE IF NOT EXISTS ContainerConfig(ID TEXT PRIMARY KEY NOT NULL, Name TEXT UNIQUE NOT NULL, PodID TEXT,
    JSON TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS ContainerState(ID TEXT PRIMARY KEY NOT NULL, State INTEGER NOT NULL, ExitCode INTEGER,
    JSON TEXT NOT NULL, CHECK (ExitCode BETWEEN -1 AND 255));
CREATE TABLE IF NOT EXISTS PodConfig(ID TEXT PRIMARY KEY NOT NULL, Name TEXT UNIQUE NOT NULL, JSON TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS PodState(ID TEXT PRIMARY KEY NOT NULL, InfraContainerID TEXT, JSON TEXT NOT NULL);
"""


def hexadecimal(name: str) -> str:
    """An id for something that the test calls by a name."""
    return hashlib.sha256(name.encode()).hexdigest()


def link(name: str) -> str:
    """The name of a layer's link: 26 characters."""
    return base64.b32encode(hexadecimal(name).encode()).decode()[:26]


class StorageStore:
    """A store below ``machine``, at ``path``. Layers, images and containers are called by short names.

    Their ids are ``hexadecimal(name)``; but an image's is that of its configuration, as ``image`` answers it. The lists
    are written by ``write``.
    """

    def __init__(self, machine: Path, path: str = "/var/lib/containers/storage") -> None:
        self.machine = machine
        self.path = path
        self.here = machine / path.lstrip("/")
        self.layers: list[dict[str, Any]] = []
        self.images: list[dict[str, Any]] = []
        self.containers: list[dict[str, Any]] = []
        self.volatile: list[dict[str, Any]] = []
        for folder in ("overlay/l", "overlay-layers", "overlay-images", "overlay-containers"):
            (self.here / folder).mkdir(parents=True)

    def layer(self, name: str, *lowers: str, record: bool = True, written: Mapping[str, object] | None = None) -> Path:
        """A layer's directory; ``lowers`` are those below it, uppermost first. ``written``: more of its record."""
        here = self.here / "overlay" / hexadecimal(name)
        for folder in ("diff", "work", "merged", *(["empty"] if not lowers else [])):
            (here / folder).mkdir(parents=True)
        (here / "link").write_text(link(name))
        if lowers:
            (here / "lower").write_text(":".join(f"l/{link(lower)}" for lower in lowers))
        (self.here / "overlay/l" / link(name)).symlink_to(f"../{here.name}/diff")
        if record:
            self.record(name, lowers[0] if lowers else "", written)
        return here

    def record(self, name: str, parent: str = "", written: Mapping[str, object] | None = None) -> None:
        """A layer in the list, with a directory or without."""
        entry: dict[str, object] = {"id": hexadecimal(name), "created": WHEN, **(written or {})}
        if parent:
            entry["parent"] = hexadecimal(parent)
        self.layers.append(entry)

    def image(self, layer: str, *names: str, diffs: Iterable[str] = (), history: Iterable[object] = ()) -> str:
        """An image whose topmost layer is called ``layer``; its id."""
        config = json.dumps({"rootfs": {"type": "layers", "diff_ids": list(diffs)}, "history": list(history)})
        identity = hashlib.sha256(config.encode()).hexdigest()
        digest = f"sha256:{identity}"
        here = self.here / "overlay-images" / identity
        here.mkdir()
        (here / ("=" + base64.b64encode(digest.encode()).decode())).write_text(config)
        (here / "manifest").write_text(json.dumps({"schemaVersion": 2, "config": {"digest": digest}}))
        entry = {"id": identity, "names": list(names), "layer": hexadecimal(layer), "created": WHEN}
        self.images.append({**entry, "big-data-names": [digest, "manifest"]})
        return identity

    def container(self, name: str, image: str, metadata: object = None, *, volatile: bool = False) -> str:
        """A container called ``name`` whose layer is ``layer`` of the same name; its id."""
        metadata = {"image-name": "tiny", "image-id": image, "name": name} if metadata is None else metadata
        identity = hexadecimal(f"container {name}")
        entry = {"id": identity, "names": [name], "image": image, "layer": hexadecimal(name), "created": WHEN}
        (self.volatile if volatile else self.containers).append({**entry, "metadata": json.dumps(metadata)})
        return identity

    def userdata(self, container: str, name: str, document: object) -> Path:
        """A document of a container, by its id."""
        path = self.here / "overlay-containers" / container / "userdata" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document))
        return path

    def write(self) -> StorageStore:
        """Write the lists."""
        lists = {
            "overlay-layers/layers.json": self.layers,
            "overlay-images/images.json": self.images,
            "overlay-containers/containers.json": self.containers,
            "overlay-containers/volatile-containers.json": self.volatile,
        }
        for name, entries in lists.items():
            (self.here / name).write_text(json.dumps(entries))
        return self

    def bolt(self, containers: dict[str, tuple[object, object]], pods: dict[str, tuple[object, object]]) -> None:
        """libpod's database as Podman 4 has it: configuration and state, by id."""
        tree: Tree = {
            b"ctr": _buckets(containers),
            b"pod": _buckets(pods),
            b"runtime-config": {
                b"run-root": b"/run/elsewhere",
                b"volume-path": b"/volumes",
                b"graph-root": self.path.encode(),
            },
        }
        (self.here / "libpod").mkdir(exist_ok=True)
        (self.here / "libpod/bolt_state.db").write_bytes(database(tree))

    def sqlite(self, containers: dict[str, tuple[object, object]], pods: dict[str, tuple[object, object]]) -> None:
        """libpod's database as Podman 5 has it."""
        connection = sqlite3.connect(self.here / "db.sql")
        connection.executescript(TABLES)
        places = ("", "", self.path, "/run/elsewhere", "overlay", "/volumes")
        _insert(connection, "DBConfig", (1, 1, "linux", *places))
        for identity, (config, state) in containers.items():
            _insert(connection, "ContainerConfig", (identity, identity, None, json.dumps(config)))
            _insert(connection, "ContainerState", (identity, 3, 0, json.dumps(state)))
        for identity, (config, state) in pods.items():
            _insert(connection, "PodConfig", (identity, identity, json.dumps(config)))
            _insert(connection, "PodState", (identity, None, json.dumps(state)))
        connection.commit()
        connection.close()


def _insert(connection: sqlite3.Connection, table: str, values: tuple[object, ...]) -> None:
    connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)


def leave_in_log(database: Path, *statements: str) -> list[int]:
    """Change a database so that the changes are in its write-ahead log alone; how long that was after each of them."""
    log = database.with_name(f"{database.name}-wal")
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA journal_mode = WAL")
    lengths = []
    for statement in statements:
        connection.execute(statement)
        connection.commit()
        lengths.append(log.stat().st_size)
    kept = database.read_bytes(), log.read_bytes()
    connection.close()  # which moves all of it to the database
    database.write_bytes(kept[0])
    log.write_bytes(kept[1])
    return lengths


def _buckets(entries: dict[str, tuple[object, object]]) -> Tree:
    return {
        identity.encode(): {b"config": json.dumps(config).encode(), b"state": json.dumps(state).encode()}
        for identity, (config, state) in entries.items()
    }


def conf(machine: Path, text: str) -> None:
    """``/etc/containers/storage.conf``."""
    path = machine / "etc/containers/storage.conf"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
