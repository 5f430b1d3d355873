"""Builds containerd's root as its files are, for tests: databases, blobs and snapshot directories.

    store = ContainerdStore(tmp_path / "containerd")
    config = store.image("default", "docker.io/library/web:1", layers=2)
    store.container("default", "c1", image="docker.io/library/web:1", key="c1", parent=store.chains[config][-1])
    store.write()

Checked against containerd 1.6.20: names of buckets and the forms of values are those that it wrote.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from netfs.overlay.stores.chain_id import chain_ids
from tests.unit.bolt_writer import Tree, database

MADE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
VIEW, ACTIVE, COMMITTED = b"\1", b"\2", b"\3"
GC = "containerd.io/gc."
SPEC = "types.containerd.io/opencontainers/runtime-spec/1/Spec"

Branch = dict[bytes, "bytes | Branch"]


def unsigned(number: int) -> bytes:
    """A varint."""
    found = b""
    while number >= 0x80:
        found, number = found + bytes([number & 0x7F | 0x80]), number >> 7
    return found + bytes([number])


def signed(number: int) -> bytes:
    """A zig-zag varint of a number that is not negative."""
    return unsigned(number << 1)


def moment(when: datetime = MADE, nanoseconds: int = 0) -> bytes:
    """``time.Time.MarshalBinary``."""
    seconds = (when - datetime(1, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    return b"\1" + seconds.to_bytes(8, "big") + nanoseconds.to_bytes(4, "big") + b"\xff\xff"


def packed(document: object, kind: str = SPEC) -> bytes:
    """A protobuf ``Any`` that holds JSON."""
    value = json.dumps(document).encode()
    return b"\x0a" + unsigned(len(kind)) + kind.encode() + b"\x12" + unsigned(len(value)) + value


def strings(values: Mapping[str, str]) -> Branch:
    """A bucket of strings."""
    return {key.encode(): value.encode() for key, value in values.items()}


class ContainerdStore:
    """A root of containerd's below ``path``; it is there after ``write``."""

    def __init__(self, path: Path, driver: str = "overlayfs") -> None:
        self.path = path
        self.driver = driver
        self.folder = path / f"io.containerd.snapshotter.v1.{driver}"
        self.metadata: Branch = {b"version": b"\6"}
        self.snapshots: Branch = {}
        self.chains: dict[str, tuple[str, ...]] = {}
        """ChainIDs of an image's layers, oldest first, by its configuration's digest."""
        self.numbers: dict[tuple[str, str], int] = {}
        (self.folder / "snapshots").mkdir(parents=True)

    def bucket(self, *names: str) -> Branch:
        """A bucket of meta.db below ``v1``, made where it is not there."""
        here = self.metadata
        for name in names:
            below = here.setdefault(name.encode(), {})
            assert isinstance(below, dict)
            here = below
        return here

    def snapshot(
        self,
        namespace: str,
        key: str,
        parent: str = "",
        kind: bytes = ACTIVE,
        labels: Mapping[str, str] | None = None,
        size: int = 4096,
    ) -> str:
        """A snapshot with its directory; its number as text."""
        number = len(self.snapshots) + 1
        self.numbers[namespace, key] = number
        name = f"{namespace}/{number}/{key}"
        earlier = moment(MADE - timedelta(seconds=1))
        record: Branch = {b"id": unsigned(number), b"kind": kind, b"createdat": earlier, b"updatedat": earlier}
        known = self.bucket(namespace, "snapshots", self.driver, key)
        known |= {b"name": name.encode(), b"createdat": moment(), b"updatedat": moment()}
        if labels:
            known[b"labels"] = strings(labels)
        if parent:
            record[b"parent"] = f"{namespace}/{self.numbers[namespace, parent]}/{parent}".encode()
            known[b"parent"] = parent.encode()
        if kind == COMMITTED:
            record |= {b"size": signed(size), b"inodes": signed(1)}
        self.snapshots[name.encode()] = record
        (self.folder / "snapshots" / str(number) / "fs").mkdir(parents=True)
        if kind == ACTIVE:
            (self.folder / "snapshots" / str(number) / "work").mkdir()
        return str(number)

    def blob(self, document: object) -> str:
        """A document in the content store; its digest."""
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        name = hashlib.sha256(data).hexdigest()
        place = self.path / "io.containerd.content.v1.content/blobs/sha256" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return f"sha256:{name}"

    def manifest(self, layers: int, text: str = "layer", **more: object) -> tuple[str, str]:
        """A manifest with its configuration in the content store: digests of both."""
        diffs = [f"sha256:{hashlib.sha256(f'{text}{number}'.encode()).hexdigest()}" for number in range(layers)]
        history: list[object] = [{"created_by": f"COPY {number}"} for number in range(layers)]
        history.append({"created_by": "CMD sh", "empty_layer": True})
        config = self.blob({"rootfs": {"type": "layers", "diff_ids": diffs}, "history": history, **more})
        self.chains[config] = chain_ids(tuple(diffs))
        return self.blob({"schemaVersion": 2, "config": {"digest": config}, "layers": []}), config

    def unpack(self, namespace: str, config: str) -> None:
        """The snapshots of an image's layers."""
        parent = ""
        for chain in self.chains[config]:
            if (namespace, chain) not in self.numbers:
                self.snapshot(namespace, chain, parent, COMMITTED)
            parent = chain
        labels = {f"{GC}ref.snapshot.{self.driver}": parent}
        self.bucket(namespace, "content", "blob", config)[b"labels"] = strings(labels)

    def name(self, namespace: str, name: str, digest: str) -> None:
        """A name of an image."""
        target: Branch = {b"digest": digest.encode(), b"mediatype": b"a manifest's", b"size": signed(1)}
        self.bucket(namespace, "images", name).update({b"target": target, b"createdat": moment()})

    def image(self, namespace: str, name: str, layers: int = 2, text: str = "layer") -> str:
        """An image that is unpacked; its configuration's digest."""
        manifest, config = self.manifest(layers, text)
        self.unpack(namespace, config)
        self.name(namespace, name, manifest)
        return config

    def container(
        self,
        namespace: str,
        identity: str,
        image: str = "",
        parent: str = "",
        labels: Mapping[str, str] | None = None,
        extensions: Mapping[str, object] | None = None,
        spec: object = None,
        bucket: str = "containers",
        **more: str,
    ) -> None:
        """A container; with a snapshot of its name above ``parent`` where that is given."""
        record = self.bucket(namespace, bucket, identity)
        record |= {b"createdat": moment(), b"updatedat": moment(), b"image": image.encode()}
        record |= strings(more)
        if parent:
            self.snapshot(namespace, identity, parent)
            record |= {b"snapshotter": self.driver.encode(), b"snapshotKey": identity.encode()}
        if labels:
            record[b"labels"] = strings(labels)
        if extensions:
            record[b"extensions"] = {name.encode(): packed(found) for name, found in extensions.items()}
        if spec is not None:
            record[b"spec"] = packed(spec)

    def lease(
        self, namespace: str, identity: str, keys: Sequence[str], labels: Mapping[str, str] | None = None
    ) -> None:
        """A lease of snapshots."""
        record = self.bucket(namespace, "leases", identity)
        record |= {b"createdat": moment(), b"labels": strings(labels or {})}
        record[b"snapshots"] = {self.driver.encode(): {key.encode(): b"" for key in keys}}

    def docker_container(self, identity: str, parent: str) -> str:
        """What Docker 29 makes of a container (moby ``daemon/containerd/image_snapshot.go``); its layer's number."""
        self.snapshot("moby", f"{identity}-init", parent, COMMITTED)
        number = self.snapshot("moby", identity, f"{identity}-init")
        self.lease("moby", identity, [identity, f"{identity}-init"])
        return number

    def write(self) -> None:
        """Write the databases."""
        metadata: Tree = {b"v1": self.metadata}
        snapshots: Tree = {b"v1": {b"snapshots": self.snapshots, b"parents": {}}}
        meta = self.path / "io.containerd.metadata.v1.bolt/meta.db"
        meta.parent.mkdir(exist_ok=True)
        meta.write_bytes(database(metadata))
        (self.folder / "metadata.db").write_bytes(database(snapshots))
