"""What containerd's two databases and its list of directories say at one moment.

A snapshotter makes its database with its first snapshot: where neither is there, nothing is missing.

It writes a snapshot into metadata.db before meta.db, and takes it out of meta.db before metadata.db. A directory is
moved into place before anything is written down, and deleted after. So all three are read until nothing changed
meanwhile.
"""

from __future__ import annotations

import posixpath
import time
from collections.abc import Callable
from dataclasses import dataclass

from netfs.model.gaps import Gap
from netfs.model.layers import OWNERS
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import bolt, documents
from netfs.overlay.stores.bolt import Bolt, BoltError
from netfs.overlay.stores.containerd.metadata import Metadata
from netfs.overlay.stores.containerd.metadata import read as read_metadata
from netfs.overlay.stores.containerd.place import METADATA, SNAPSHOTS
from netfs.overlay.stores.containerd.snapshots import SnapshotDirectory, Snapshots
from netfs.overlay.stores.containerd.snapshots import directories as read_directories
from netfs.overlay.stores.containerd.snapshots import read as read_snapshots
from netfs.overlay.stores.containerd.values import Records

_TRIES = 12
_PAUSE_S = 0.005
_WAITS = 3
"""Tries that wait for new directories to be written down."""
_WAIT_S = 0.05
_YOUNG_S = 2.0


@dataclass(frozen=True, slots=True)
class Files:
    """What was read."""

    metadata: Metadata | None
    """None: it is not here, or cannot be read."""
    snapshots: Snapshots
    directories: tuple[SnapshotDirectory, ...] | None
    """None: they cannot be listed."""
    gaps: tuple[Gap, ...]


@dataclass(frozen=True, slots=True)
class _Raw:
    """What is there, in the order in which it was read."""

    metadata: Bolt | Gap
    snapshots: Bolt | Gap
    names: tuple[str, ...] | Gap

    @property
    def version(self) -> tuple[int | None, ...]:
        """What changes with every write to the databases."""
        return tuple(one.meta.txid if isinstance(one, Bolt) else None for one in (self.metadata, self.snapshots))


def read(root: Root, path: str, folder: str) -> Files:
    """Read containerd's root at ``path``, and its snapshotter's folder."""
    place = posixpath.join(folder, "snapshots")
    here = _raw(root, path, folder)
    for attempt in range(1, _TRIES + 1):
        records, snapshots = _snapshots(here.snapshots, folder)
        after = _raw(root, path, folder)
        steady = here.version == after.version
        waits = attempt <= _WAITS and _in_the_making(root, place, after.names, snapshots)
        if attempt == _TRIES or (steady and not waits):
            break
        here = after
        time.sleep(_WAIT_S if steady else attempt * _PAUSE_S)
    if not steady:
        here = _each_whole(root, path, folder)
        records, snapshots = _snapshots(here.snapshots, folder)
    unused = _absent(here.snapshots) and (not after.names or _absent(after.names))
    needed = (here.metadata,) if unused else (here.metadata, here.snapshots, after.names)
    gaps = [gap for gap in needed if isinstance(gap, Gap)]
    metadata = None
    if isinstance(here.metadata, Bolt):
        metadata = read_metadata(here.metadata, posixpath.join(path, METADATA))
        gaps += metadata.gaps
    gaps += records.gaps
    whole = metadata is not None and metadata.whole and records.whole
    if not unused and not whole and not any(gap.what == OWNERS for gap in gaps):
        gaps.append(Gap(folder, OWNERS, "not all records of its engine could be read"))
    if not steady:
        gaps.append(Gap(folder, OWNERS, "containerd was writing all the while, and may have made or deleted some"))
    directories = None
    if not isinstance(after.names, Gap):
        directories = tuple(read_directories(root, place, after.names))
    return Files(metadata, snapshots, directories, tuple(gaps))


def _absent(found: object) -> bool:
    return isinstance(found, Gap) and documents.absent(found)


def _raw(root: Root, path: str, folder: str) -> _Raw:
    """Everything, read once: it is what it was at one moment where a second reading finds the same version.

    bbolt writes over no page of a tree before the meta of a newer one is in the file.
    """

    def once(root: Root, path: str) -> Bolt:
        return Bolt(root.read(path, bolt.LIMIT))

    return _read(root, path, folder, once)


def _each_whole(root: Root, path: str, folder: str) -> _Raw:
    """Everything, each database as it was at some moment."""
    return _read(root, path, folder, bolt.load)


def _read(root: Root, path: str, folder: str, load: Callable[[Root, str], Bolt]) -> _Raw:
    def database(path: str) -> Bolt | Gap:
        try:
            return load(root, path)
        except BoltError as error:
            return Gap(path, OWNERS, str(error))
        except OSError as error:
            return documents.refused(path, error, OWNERS)

    metadata = database(posixpath.join(path, METADATA))
    snapshots = database(posixpath.join(folder, SNAPSHOTS))
    names = documents.names(root, posixpath.join(folder, "snapshots"))
    return _Raw(metadata, snapshots, names if isinstance(names, Gap) else tuple(names))


def _snapshots(database: Bolt | Gap, folder: str) -> tuple[Records, Snapshots]:
    records = Records(posixpath.join(folder, SNAPSHOTS))
    if isinstance(database, Gap):
        return records, Snapshots()
    return records, read_snapshots(database, records)


def _in_the_making(root: Root, place: str, names: tuple[str, ...] | Gap, snapshots: Snapshots) -> bool:
    """Whether there is a new directory that metadata.db does not name: it will do so any moment, or never."""
    if isinstance(names, Gap) or not snapshots.by_id:
        return False
    now = time.time()
    for name in names:
        if name.isdecimal() and name not in snapshots.by_id:
            try:
                if abs(now - root.status(posixpath.join(place, name)).st_ctime) < _YOUNG_S:
                    return True
            except OSError:
                return True
    return False
