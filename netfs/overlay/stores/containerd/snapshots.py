"""The overlayfs snapshotter: its database ``metadata.db``, and the directories that it numbers.

::

    metadata.db      v1/snapshots/NAME/{id,kind,parent,size,createdat}      (core/snapshots/storage/bolt.go)
    snapshots/ID/        ``fs``: what is in it; ``work``: it may be or was written to
    snapshots/new-*      one that is being made
    snapshots/rm-*       one that is being deleted, by old versions
                                                            (plugins/snapshots/overlay/overlay.go)

NAME is ``NAMESPACE/SEQUENCE/KEY``, and a parent is such a name. A snapshot is active (written to), committed, or a
view: that is mounted without its own directory, which only keeps its number (``mounts``). fuse-overlayfs does the same.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from netfs.overlay.disk.root import Root
from netfs.overlay.stores.bolt import Bolt
from netfs.overlay.stores.containerd.values import Fields, Records, moment, signed, text, unsigned

VIEW, ACTIVE, COMMITTED = 1, 2, 3
_MOST_SNAPSHOTS = 50_000
_MOST_LOWER = 500
"""Layers that one overlay can have (fs/overlayfs/params.h, OVL_MAX_STACK)."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot as its snapshotter knows it."""

    id: str
    """The number of its directory."""
    name: str
    kind: int
    """``VIEW``, ``ACTIVE``, ``COMMITTED``; 0: something else."""
    parent: str = ""
    """Another's name."""
    size: int | None = None
    created_at: str = ""

    @property
    def key(self) -> str:
        """What its client called it."""
        return self.name.split("/", 2)[-1]

    @property
    def path(self) -> str:
        """Its client's name for it, with the namespace: ``k8s.io/sha256:…``."""
        namespace, _, rest = self.name.partition("/")
        return f"{namespace}/{rest.partition('/')[2]}" if rest else self.name


@dataclass(frozen=True, slots=True)
class Snapshots:
    """All that metadata.db has."""

    by_name: Mapping[str, Snapshot] = field(default_factory=dict)
    by_id: Mapping[str, Snapshot] = field(default_factory=dict)

    def below(self, snapshot: Snapshot) -> tuple[str, ...] | None:
        """The ``id`` of every snapshot below one, uppermost first.

        None: one is not there, or is below itself, or they are more than the kernel can mount.
        """
        ids: dict[str, None] = {}
        while snapshot.parent:
            parent = self.by_name.get(snapshot.parent)
            if parent is None or parent.id in ids or len(ids) == _MOST_LOWER:
                return None
            ids[parent.id] = None
            snapshot = parent
        return tuple(ids)


@dataclass(frozen=True, slots=True)
class SnapshotDirectory:
    """An entry of the folder ``snapshots`` that is a directory."""

    name: str
    path: str
    files: bool
    """It has ``fs``."""


def read(bolt: Bolt, records: Records) -> Snapshots:
    """Read the database; what is damaged is a gap of ``records``."""
    by_name: dict[str, Snapshot] = {}
    by_id: dict[str, Snapshot] = {}
    for name, bucket in records.buckets(bolt.root, b"v1", b"snapshots"):
        if len(by_id) == _MOST_SNAPSHOTS:
            records.refused("snapshots", f"holds more than {_MOST_SNAPSHOTS}")
            break
        snapshot = _snapshot(name, records.fields(bucket, "snapshot"))
        if snapshot is None or snapshot.id in by_id:
            records.refused("snapshot", f"the record of {name!r} names no directory of its own")
            continue
        by_name[name] = by_id[snapshot.id] = snapshot
    return Snapshots(by_name, by_id)


def _snapshot(name: str, fields: Fields) -> Snapshot | None:
    number = unsigned(fields.get("id"))
    if number is None:
        return None
    kind = fields.get("kind")
    size = signed(fields.get("size"))
    return Snapshot(
        str(number),
        name,
        kind[0] if isinstance(kind, bytes) and kind else 0,
        text(fields.get("parent")),
        size if size is not None and size >= 0 else None,
        moment(fields.get("createdat")),
    )


def directories(root: Root, path: str, names: Iterable[str]) -> Iterator[SnapshotDirectory]:
    """The directories among the entries of the folder ``snapshots`` at ``path``."""
    for name in names:
        here = posixpath.join(path, name)
        files = root.is_directory(f"{here}/fs")
        if files or root.is_directory(here):
            yield SnapshotDirectory(name, here, files)
