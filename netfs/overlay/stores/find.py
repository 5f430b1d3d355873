"""Where the stores of a machine are: usual places, configured ones, and those of running engines.

A place is a store's when its folders look like one: what a configuration names need not be there, and a store that its
engine was told to leave still holds what it held. The root itself may be the store, or the folder above it: a copy of
``/var/lib/docker`` or of ``/var/lib``; or Docker's ``overlay2`` alone.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from netfs.model.gaps import Gap
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import configured, documents
from netfs.overlay.stores.containerd import place as containerd
from netfs.overlay.stores.containers_storage import place as containers_storage
from netfs.overlay.stores.docker import place as docker

DOCKER, CONTAINERD, CONTAINERS_STORAGE = "docker", "containerd", "containers-storage"
READERS = {
    DOCKER: "netfs.overlay.stores.docker.store",
    CONTAINERD: "netfs.overlay.stores.containerd.store",
    CONTAINERS_STORAGE: "netfs.overlay.stores.containers_storage.store",
}
"""The module that reads an engine's stores: loaded where one is found."""

_USUAL = {
    DOCKER: ("/", "/docker", "/var/lib/docker", "/var/snap/docker/common/var-lib-docker"),
    CONTAINERD: (
        "/",
        "/containerd",
        "/var/lib/containerd",
        "/var/lib/rancher/k3s/agent/containerd",
        "/var/lib/rancher/rke2/agent/containerd",
        "/var/snap/microk8s/common/var/lib/containerd",
        "/var/lib/k0s/containerd",
    ),
    CONTAINERS_STORAGE: ("/", "/storage", "/containers/storage", "/var/lib/containers/storage"),
}
_AT_HOME = {
    DOCKER: ".local/share/docker",
    CONTAINERD: ".local/share/containerd",
    CONTAINERS_STORAGE: ".local/share/containers/storage",
}
"""Of rootless engines, below a user's home."""
_REMAPPED = re.compile(r"[0-9]+\.[0-9]+")
_OF_CONTAINERS_STORAGE = ("overlay-layers", "overlay-images", "overlay-containers", "overlay/l")
_DOCKERS_OWN = "containerd/daemon"
"""The containerd that dockerd starts itself, below its data root (moby ``daemon/command/daemon.go``)."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a store is."""

    engine: str
    """``docker``, ``containerd``, ``containers-storage``."""
    path: str
    """From the root; no symlink is in it."""


def find(root: Root) -> tuple[Place, ...]:
    """The stores below a root: Docker's first, then containerd's, then those of Podman and CRI-O; none twice."""
    found: dict[Place, None] = {}
    homes = configured.homes(root)
    settings = configured.read(root, homes)
    for engine, looks_like in _LOOKS.items():
        at_home = (posixpath.join(home, _AT_HOME[engine]) for home in homes)
        for path in (*_USUAL[engine], *settings.get(engine, ()), *at_home, *_within(engine, tuple(found))):
            _add(root, engine, path, looks_like, found)
            if engine == DOCKER:
                for remapped in _remapped(root, path):
                    _add(root, engine, remapped, looks_like, found)
    return tuple(found)


def _add(root: Root, engine: str, path: str, looks_like: Callable[[Root, str], bool], found: dict[Place, None]) -> None:
    try:
        place = Place(engine, root.resolve(path))
    except OSError:
        return
    if place not in found and looks_like(root, place.path):
        found[place] = None


def _within(engine: str, found: Iterable[Place]) -> Iterator[str]:
    """Stores that lie in those of another engine."""
    if engine == CONTAINERD:
        yield from (posixpath.join(place.path, _DOCKERS_OWN) for place in found if place.engine == DOCKER)


def _remapped(root: Root, path: str) -> list[str]:
    """Data roots in a data root: a daemon that maps its containers' users has one for each mapping."""
    names = documents.names(root, path)
    return [] if isinstance(names, Gap) else [posixpath.join(path, name) for name in names if _REMAPPED.fullmatch(name)]


def _is_docker(root: Root, path: str) -> bool:
    return docker.is_root(root, path) or (docker.is_folder(root, path) and not _is_containers_storage(root, path))


def _is_containerd(root: Root, path: str) -> bool:
    return containerd.is_root(root, path) or containerd.is_folder(root, path)


def _is_containers_storage(root: Root, path: str) -> bool:
    there = (root.is_directory(posixpath.join(path, folder)) for folder in _OF_CONTAINERS_STORAGE)
    return any(there) or containers_storage.is_folder(root, path)


_LOOKS: dict[str, Callable[[Root, str], bool]] = {
    DOCKER: _is_docker,
    CONTAINERD: _is_containerd,
    CONTAINERS_STORAGE: _is_containers_storage,
}
