"""storage.conf (containers-storage.conf(5)): where a store keeps what does not survive a restart, and which other
stores it may take images from.

A store says nothing of this itself; the file is the engine's, and may be the machine's or a user's. Where there is
none (a store that was copied alone), the places are the usual ones.
"""

from __future__ import annotations

import posixpath
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netfs.model.gaps import Gap
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import documents

_MACHINE = ("/etc/containers", "/usr/share/containers")
"""The first that has a storage.conf counts (container-libs ``storage/pkg/configfile/parse.go``)."""
_ROOTLESS = "/.local/share/containers/storage"
_USER = ".config/containers"
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
    """The configuration of the store at ``path``.

    Of several files the last that says something counts; stores to take images from are those of all files.
    """
    store = posixpath.normpath(path)
    told = list(_documents(root, store))
    places = [_last(told, "storage", "imagestore"), _last(told, "storage", "options", "imagestore")]
    for document in told:
        places += documents.texts(document, "storage", "options", "additionalimagestores")
    others = [posixpath.normpath(place) for place in places if place.startswith("/")]
    runroots = [_usual_runroot(root, store)]
    if posixpath.normpath(_last(told, "storage", "graphroot")) == store:
        runroots.append(_last(told, "storage", "runroot"))
    options = ("storage", "options")
    mount_options = _last(told, *options, "overlay", "mountopt") or _last(told, *options, "mountopt")
    return Configuration(
        tuple(dict.fromkeys(runroot for runroot in runroots if runroot.startswith("/"))),
        tuple(dict.fromkeys(other for other in others if other != store)),
        tuple(option for option in mount_options.split(",") if option),
    )


def _last(told: Sequence[object], *keys: str) -> str:
    return next((text for document in reversed(told) if (text := documents.text(document, *keys))), "")


def is_rootless(root: Root, path: str, recorded: str = "") -> bool:
    """Whether a store is a user's own: it lies where such stores do, or belongs to another than root.

    ``recorded`` is where it was made, if that is known: it may be a copy.
    """
    if any(posixpath.normpath(place).endswith(_ROOTLESS) for place in (path, recorded)):
        return True
    try:
        return root.status(path).st_uid != 0
    except OSError:
        return False


def _documents(root: Root, store: str) -> Iterator[object]:
    """The files that count for a store: the machine's, its user's, and what was dropped in beside them, by name."""
    rootless = is_rootless(root, store)
    home = [posixpath.join(store.removesuffix(_ROOTLESS), _USER)] if store.endswith(_ROOTLESS) else []
    mains = (_document(root, f"{folder}/storage.conf") for folder in _MACHINE)
    yield next((main for main in mains if main is not None), None)
    yield from (_document(root, f"{folder}/storage.conf") for folder in home)
    dropped: dict[str, str] = {}
    for folder in (*reversed(_MACHINE), *home):
        for name in ("storage.conf.d", f"storage.{'rootless' if rootless else 'rootful'}.conf.d"):
            entries = documents.names(root, f"{folder}/{name}")
            if not isinstance(entries, Gap):
                dropped |= {entry: f"{folder}/{name}/{entry}" for entry in entries if entry.endswith(".conf")}
    yield from (_document(root, dropped[entry]) for entry in sorted(dropped))


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
