"""storage.conf (containers-storage.conf(5)): where a store keeps what does not survive a restart, and which other
stores it may take images from.

A store says nothing of this itself; the file is the engine's, and may be the machine's or a user's. Where there is
none (a store that was copied alone), the places are the usual ones.
"""

from __future__ import annotations

import posixpath
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass

from netfs.overlay.disk.root import Root
from netfs.overlay.stores import documents

_MACHINE = ("/etc/containers/storage.conf", "/usr/share/containers/storage.conf")
"""The first that is there counts (containers/storage ``types/options.go``)."""
_ROOTLESS = "/.local/share/containers/storage"
_USER = ".config/containers/storage.conf"
_CONF_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is configured for one store."""

    runroots: tuple[str, ...] = ()
    """Folders where its volatile records may be."""
    others: tuple[str, ...] = ()
    """Stores whose images it may use: ``imagestore``, then ``additionalimagestores``."""
    mount_options: tuple[str, ...] = ()
    """What it adds to every mount: ``metacopy=on``."""


def read(root: Root, path: str) -> Configuration:
    """The configuration of the store at ``path``."""
    store = posixpath.normpath(path)
    runroots, others, mount_options = [_usual_runroot(root, store)], [], []
    for document in _documents(root, store):
        if posixpath.normpath(documents.text(document, "storage", "graphroot")) == store:
            runroots.append(documents.text(document, "storage", "runroot"))
        others.append(documents.text(document, "storage", "imagestore"))
        options = documents.mapping(document, "storage", "options")
        others.append(documents.text(options, "imagestore"))
        others += documents.texts(options, "additionalimagestores")
        mountopt = documents.text(options, "overlay", "mountopt") or documents.text(options, "mountopt")
        mount_options += mountopt.split(",")
    places = [posixpath.normpath(other) for other in others if other.startswith("/")]
    return Configuration(
        tuple(dict.fromkeys(runroot for runroot in runroots if runroot.startswith("/"))),
        tuple(dict.fromkeys(place for place in places if place != store)),
        tuple(dict.fromkeys(option for option in mount_options if option)),
    )


def is_rootless(root: Root, path: str) -> bool:
    """Whether a store is a user's own: it lies where such stores do, or belongs to another than root."""
    try:
        return posixpath.normpath(path).endswith(_ROOTLESS) or root.status(path).st_uid != 0
    except OSError:
        return False


def _documents(root: Root, store: str) -> Iterator[object]:
    """The files that count for a store: its user's, and the machine's."""
    if store.endswith(_ROOTLESS):
        yield _document(root, posixpath.join(store.removesuffix(_ROOTLESS), _USER))
    yield next((found for found in (_document(root, place) for place in _MACHINE) if found is not None), None)


def _document(root: Root, path: str) -> object:
    try:
        return tomllib.loads(root.read(path, _CONF_BYTES).decode())
    except (OSError, ValueError, RecursionError):
        return None


def _usual_runroot(root: Root, store: str) -> str:
    if not is_rootless(root, store):
        return "/run/containers/storage" if store == "/var/lib/containers/storage" else ""
    try:
        return f"/run/user/{root.status(store).st_uid}/containers"
    except OSError:
        return ""
