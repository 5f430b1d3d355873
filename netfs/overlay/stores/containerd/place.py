"""Whether something is a store of containerd's, from the names of its folders and files."""

from __future__ import annotations

import posixpath

from netfs.overlay.disk.root import Root

METADATA = "io.containerd.metadata.v1.bolt/meta.db"
SNAPSHOTS = "metadata.db"
FOLDER = "io.containerd.snapshotter.v1."
"""Begins the name of a snapshotter's folder."""
DRIVERS = ("overlayfs", "fuse-overlayfs")
"""Snapshotters of one layout; the first that has snapshots is read."""


def is_root(root: Root, path: str) -> bool:
    """Whether there is a root of containerd's at ``path``, or a copy of the parts that matter."""
    return bool(folders(root, path))


def is_folder(root: Root, path: str) -> bool:
    """Whether the folder of a snapshotter itself is at ``path``: its database and its directories."""
    return _is_there(root, posixpath.join(path, SNAPSHOTS)) and root.is_directory(posixpath.join(path, "snapshots"))


def folders(root: Root, path: str) -> list[tuple[str, str]]:
    """Drivers and their folders below a root, as far as they are there; the first one's where only meta.db is."""
    folders = [(driver, posixpath.join(path, f"{FOLDER}{driver}")) for driver in DRIVERS]
    there = [one for one in folders if root.is_directory(one[1])]
    return there or (folders[:1] if _is_there(root, posixpath.join(path, METADATA)) else [])


def _is_there(root: Root, path: str) -> bool:
    try:
        root.status(path)
    except OSError:
        return False
    return True
