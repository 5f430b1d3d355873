"""Docker's store: the ``overlay2`` graph driver, its images and its containers, from the files of a data root.

::

    overlay2/            directories and their links                        overlay_directories.py
    image/overlay2/      image layers, images, their names                  images.py
    containers/          containers; their layers are layerdb's ``mounts``  containers.py
    buildkit/            what BuildKit's cache holds                        buildkit.py
                         whose the directories are, all told                layers.py

A gap whose ``what`` is ``owners`` says that records are missing that could name an owner: of no directory may be said
then that it has none.

Where Docker keeps its images in containerd (the default since 29), containers are listed with no layer, and ``others``
names containerd.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterable

from netfs.errors import SourceError
from netfs.model.gaps import Gap
from netfs.model.layers import MountOptions, Store
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import documents, overlay_directories
from netfs.overlay.stores.docker import buildkit, containers, images, layers
from netfs.overlay.stores.docker.layers import Records
from netfs.overlay.stores.docker.place import DRIVER, is_folder, is_root
from netfs.overlay.stores.members import Members
from netfs.overlay.stores.overlay_directories import LayerFolder, component

_REMAPPED = re.compile(r"[0-9]+\.[0-9]+")
"""The data root of a daemon that maps users is named after the first of them (moby ``daemon/daemon_unix.go``)."""
_ROOTLESS = "/.local/share/docker"


def read(root: Root, path: str) -> Store:
    """Read the data root at ``path``; or a folder ``overlay2`` that is all there is.

    Raises SourceError where ``path`` is neither.
    """
    if is_root(root, path):
        return _read_root(root, path)
    if is_folder(root, path):
        return _read_folder(root, path)
    raise SourceError("is no store of Docker's", where=path)


def members(root: Root, path: str) -> Members:
    """The containers alone of the data root at ``path``."""
    found = containers.read_containers(root, posixpath.join(path, "containers"), {})
    return Members(found.containers, found.gaps)


def _read_root(root: Root, path: str) -> Store:
    place = posixpath.join(path, DRIVER)
    folder = overlay_directories.read(root, place) if root.is_directory(place) else LayerFolder(place)
    own = posixpath.join(path, "image", DRIVER)
    listed = images.read_layers(root, f"{own}/layerdb")
    mounts = containers.read_mounts(root, f"{own}/layerdb/mounts")
    stored = images.read_images(root, own, listed.layers)
    found = containers.read_containers(root, posixpath.join(path, "containers"), mounts.layers)
    cache = buildkit.read(root, posixpath.join(path, "buildkit/snapshots.db"))
    whole = stored.whole and (found.whole or not mounts.layers)
    records = Records(listed, mounts, cache, stored.images, found.containers, whole)
    if any(root.is_directory(posixpath.join(place, name)) for name in layers.absent(folder, records)):
        folder = overlay_directories.read(root, place)  # a container was made in between
    drivers = Counter(driver for driver in found.drivers.values() if driver)
    elsewhere = _elsewhere(root, posixpath.join(path, "image"), drivers, layers=bool(folder.directories))
    gaps = (*folder.gaps, *listed.gaps, *mounts.gaps, *stored.gaps, *found.gaps, *cache.gaps)
    return Store(
        engine="docker",
        path=path,
        root=root.path,
        driver=DRIVER if folder.directories or not drivers else drivers.most_common(1)[0][0],
        options=MountOptions(userxattr=_rootless(root, path)),
        layers=layers.layers(folder, records),
        images=stored.images,
        containers=found.containers,
        links=folder.links,
        notes=_notes(drivers, elsewhere),
        gaps=(*gaps, *layers.lost(folder), *layers.unowned(folder, records)),
        others=("containerd",) if elsewhere else (),
    )


def _read_folder(root: Root, path: str) -> Store:
    folder = overlay_directories.read(root, path)
    records = Records()
    return Store(
        engine="docker",
        path=path,
        root=root.path,
        driver=DRIVER,
        options=MountOptions(userxattr=_rootless(root, path)),
        layers=layers.layers(folder, records),
        links=folder.links,
        notes=("only the folder overlay2 is here: no image and no container is known, nor what has an owner",),
        gaps=(*folder.gaps, *layers.lost(folder), *layers.unowned(folder, records)),
    )


def _elsewhere(root: Root, path: str, drivers: Iterable[str], *, layers: bool) -> bool:
    """Whether images or containers are in containerd's store: their driver has no layerdb (it is a snapshotter).

    Where ``layers`` are here and no layerdb is, the records are lost: that says nothing.
    """

    def kept(driver: str) -> bool:
        return component(driver) and root.is_directory(posixpath.join(path, driver, "layerdb"))

    names = documents.names(root, path)
    found = any(map(kept, [] if isinstance(names, Gap) else names))
    return not all(map(kept, drivers)) or not (found or layers)


def _notes(drivers: Counter[str], elsewhere: bool) -> tuple[str, ...]:
    notes = [
        f"containers made by the driver {driver!r}: {count}; their layers are not in {DRIVER}"
        for driver, count in sorted(drivers.items())
        if driver != DRIVER
    ]
    return (*notes, "its images are in containerd's store") if elsewhere else tuple(notes)


def _rootless(root: Root, path: str) -> bool:
    """Whether the store belongs to a daemon in a user namespace, which has to mount with ``userxattr``.

    Such a daemon writes as an ordinary user. One that is root and only maps its containers' users mounts without; the
    folder's name shows it.
    """
    if _REMAPPED.fullmatch(posixpath.basename(path)):
        return False
    if path.endswith(_ROOTLESS):
        return True
    for place in (posixpath.join(path, DRIVER), path):
        try:
            return root.status(place).st_uid != 0
        except OSError:
            continue
    return False
