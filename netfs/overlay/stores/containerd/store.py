"""containerd's store: what the overlayfs snapshotter keeps, its images and its containers, from the files of a root.

::

    io.containerd.metadata.v1.bolt/meta.db                      metadata.py
    io.containerd.content.v1.content/blobs/                     content.py, images.py
    io.containerd.snapshotter.v1.overlayfs/metadata.db          snapshots.py
                                           snapshots/ID/        whose they are, all told: layers.py
    io.containerd.grpc.v1.cri/containers/ID/status              containers.py

(docs/ops.md) The databases and the list of directories are read at one moment: files.py.

A gap whose ``what`` is ``owners`` says that records are missing that could name an owner: of no directory may be said
then that it has none.
"""

from __future__ import annotations

import posixpath
import tomllib
from collections import Counter

from netfs.errors import SourceError
from netfs.model.gaps import Gap
from netfs.model.layers import OWNERS, MountOptions, Store
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import bolt, documents
from netfs.overlay.stores.containerd import containers, files, images, layers, place
from netfs.overlay.stores.containerd.content import Content
from netfs.overlay.stores.containerd.layers import Owners
from netfs.overlay.stores.containerd.metadata import Metadata, read_containers
from netfs.overlay.stores.containerd.place import DRIVERS, FOLDER, METADATA, SNAPSHOTS
from netfs.overlay.stores.containerd.states import Places
from netfs.overlay.stores.members import Members

CONTENT = "io.containerd.content.v1.content"
_CONFIG = "/etc/containerd/config.toml"
_CONFIG_BYTES = 1 << 20
_ROOT = "/var/lib/containerd"
_STATES = {
    _ROOT: "/run/containerd",
    "/var/lib/rancher/k3s/agent/containerd": "/run/k3s/containerd",
    "/var/lib/rancher/rke2/agent/containerd": "/run/k3s/containerd",
}
"""Where state is, by root."""
_DOCKERS_OWN = "/containerd/daemon"
"""Ends the root of the containerd that dockerd starts itself."""
_ROOTLESS = "/.local/share/containerd"
_OVERFLOW_UID = 65534
"""Of files whose owner has no place in our user namespace."""


def read(root: Root, path: str) -> Store:
    """Read the root at ``path``; or a snapshotter's folder that is all there is.

    Raises SourceError where ``path`` is neither.
    """
    folders = place.folders(root, path)
    if folders:
        return _read(root, path, *next((one for one in folders if _used(root, one[1])), folders[0]))
    if place.is_folder(root, path):
        name = posixpath.basename(path.rstrip("/")).removeprefix(FOLDER)
        return _read(root, path, name if name in DRIVERS else DRIVERS[0], path)
    names = documents.names(root, path)
    raise SourceError(names.reason if isinstance(names, Gap) else "is no store of containerd's", where=path)


def members(root: Root, path: str) -> Members:
    """The containers alone of the root at ``path``, from one look at meta.db."""
    database = posixpath.join(path, METADATA)
    try:
        found = read_containers(bolt.load(root, database), database)
    except bolt.BoltError as error:
        return Members(gaps=(Gap(database, "containers", str(error)),))
    except OSError as error:
        gap = documents.refused(database, error, "containers")
        return Members(gaps=() if documents.absent(gap) else (gap,))
    known = containers.Known()
    return Members(containers.read(root, Places(path, _states(root, path)), found, known), found.gaps)


def _read(root: Root, path: str, driver: str, folder: str) -> Store:
    held = files.read(root, path, folder)
    metadata = held.metadata or Metadata()
    index = layers.find(held.snapshots, held.metadata, driver)
    content = Content(root, posixpath.join(path, CONTENT))
    found = images.read(metadata, content, held.snapshots, index, driver)
    known = containers.Known(driver, held.snapshots, index, found)
    members = containers.read(root, Places(path, _states(root, path)), metadata, known)
    owners = Owners(driver, held.metadata, found.images, members, found.diff_ids)
    lost: list[Gap] = []
    if not any(gap.what == OWNERS for gap in held.gaps):
        lost = layers.lost(posixpath.join(folder, SNAPSHOTS), held.snapshots, held.metadata, driver)
    hollow = [one for one in held.directories or () if not one.files and one.name in held.snapshots.by_id]
    return Store(
        engine="containerd",
        path=path,
        root=root.path,
        driver=driver,
        options=MountOptions(userxattr=_rootless(root, path, folder)),
        layers=layers.layers(posixpath.join(folder, "snapshots"), held.directories, held.snapshots, owners),
        images=found.images,
        containers=members,
        notes=_notes(metadata, driver),
        gaps=(*held.gaps, *lost, *found.gaps, *(Gap(f"{one.path}/fs", "files", "is gone") for one in hollow)),
    )


def _used(root: Root, folder: str) -> bool:
    names = documents.names(root, posixpath.join(folder, "snapshots"))
    return not isinstance(names, Gap) and bool(names)


def _notes(metadata: Metadata, driver: str) -> tuple[str, ...]:
    others = Counter(one.snapshotter for one in metadata.snapshots if one.snapshotter != driver)
    return tuple(f"snapshots of the snapshotter {name!r}: {count}; they are not read" for name, count in others.items())


def _states(root: Root, path: str) -> tuple[str, ...]:
    """Folders that may be the state folder of the root at ``path``."""
    try:
        config = tomllib.loads(root.read(_CONFIG, _CONFIG_BYTES).decode("utf-8", "replace"))
    except (OSError, ValueError, RecursionError):
        config = {}
    configured = {documents.text(config, "root") or _ROOT: documents.text(config, "state")}
    known = [*configured.items(), *_STATES.items()]
    states = [state for place, state in known if state and _leads(root, place, path)]
    if path.rstrip("/").endswith(_DOCKERS_OWN):
        states.append(f"/run/docker{_DOCKERS_OWN}")
    return tuple(dict.fromkeys(states))


def _leads(root: Root, place: str, path: str) -> bool:
    """Whether a place is the one at ``path``, at the end of all symlinks."""
    try:
        return place == path or root.resolve(place) == path
    except OSError:
        return False


def _rootless(root: Root, path: str, folder: str) -> bool:
    """Whether the store belongs to a containerd in a user namespace, which has to mount with ``userxattr``.

    Such a one writes as an ordinary user (plugins/snapshots/overlay/overlayutils/check.go, NeedsUserXAttr).
    """
    if path.rstrip("/").endswith(_ROOTLESS):
        return True
    try:
        return root.status(folder).st_uid not in {0, _OVERFLOW_UID}
    except OSError:
        return False
