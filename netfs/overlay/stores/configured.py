"""Where engines were told to keep their stores: their configuration files, units of systemd, and command lines.

=====================  ==========================================================================================
``docker``             ``data-root`` (once ``graph``) in daemon.json; ``--data-root``, ``--graph``, ``-g``
``containerd``         ``root`` in config.toml; ``--root``
``containers-storage`` ``graphroot``, ``rootless_storage_path``, ``imagestore``, ``additionalimagestores`` in
                       storage.conf (containers-storage.conf(5))
=====================  ==========================================================================================

What cannot be read or understood is passed over: a setting is a hint where to look, and no more.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence

from netfs.model.gaps import Gap
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import documents, settings

_OPTIONS = {
    "dockerd": ("docker", ("--data-root", "--graph", "-g"), ("--config-file",)),
    "containerd": ("containerd", ("--root",), ("--config", "-c")),
}
"""Program → engine, options that say where its store is, options that name a configuration file."""
DAEMON_JSON = ("/etc/docker/daemon.json", "/var/snap/docker/current/config/daemon.json")
CONTAINERD_TOML = (
    "/etc/containerd/config.toml",
    *(f"/var/lib/rancher/{name}/agent/etc/containerd/config.toml" for name in ("k3s", "rke2")),
)
_STORAGE_CONF = ("/etc/containers", "/usr/share/containers")
"""Folders with a storage.conf, and others dropped in beside it."""
_DROPPED_IN = ("storage.conf.d", "storage.rootful.conf.d", "storage.rootless.conf.d")
_UNITS = ("docker.service", "containerd.service")


def homes(root: Root) -> tuple[str, ...]:
    """Where users have their files: ``/root``, each folder in ``/home``, and what /etc/passwd names, if it is there."""
    found = {"/root": None}
    names = documents.names(root, "/home")
    found |= dict.fromkeys([] if isinstance(names, Gap) else [f"/home/{name}" for name in names])
    for line in settings.text(root, "/etc/passwd").splitlines():
        fields = line.split(":")
        if len(fields) == 7 and fields[5].startswith("/") and fields[5] != "/":
            found[posixpath.normpath(fields[5])] = None
    return tuple(home for home in found if root.is_directory(home))


def read(root: Root, homes: Sequence[str]) -> dict[str, list[str]]:
    """Absolute paths by engine, the most authoritative first. They need not be there."""
    found: dict[str, list[str]] = {"docker": [], "containerd": [], "containers-storage": []}
    for words in (*settings.running(root, _OPTIONS), *settings.units(root, _UNITS)):
        _command_line(root, words, found)
    for path in (*DAEMON_JSON, *(f"{home}/.config/docker/daemon.json" for home in homes)):
        found["docker"] += _daemon_json(root, path)
    for path in (*CONTAINERD_TOML, *(f"{home}/.config/containerd/config.toml" for home in homes)):
        found["containerd"] += _paths(documents.text(settings.toml(root, path), "root"))
    for folder in _STORAGE_CONF:
        found["containers-storage"] += _storage_confs(root, folder, homes)
    for home in homes:
        found["containers-storage"] += _storage_confs(root, f"{home}/.config/containers", [home])
    return found


def _command_line(root: Root, words: Sequence[str], found: dict[str, list[str]]) -> None:
    program = posixpath.basename(words[0]) if words else ""
    if program not in _OPTIONS:
        return
    engine, places, files = _OPTIONS[program]
    found[engine] += _paths(*settings.values(words, places))
    for path in _paths(*settings.values(words, files)):
        if engine == "docker":
            found[engine] += _daemon_json(root, path)
        else:
            found[engine] += _paths(documents.text(settings.toml(root, path), "root"))


def _daemon_json(root: Root, path: str) -> list[str]:
    document = documents.load(root, path, settings.BYTES)
    return _paths(documents.text(document, "data-root"), documents.text(document, "graph"))


def _storage_confs(root: Root, folder: str, homes: Sequence[str]) -> Iterator[str]:
    """What all of the files in a folder say."""
    yield from _storage_conf(root, f"{folder}/storage.conf", homes)
    for beside in _DROPPED_IN:
        names = documents.names(root, f"{folder}/{beside}")
        for name in [] if isinstance(names, Gap) else names:
            yield from _storage_conf(root, f"{folder}/{beside}/{name}", homes)


def _storage_conf(root: Root, path: str, homes: Sequence[str]) -> list[str]:
    document = settings.toml(root, path)
    images = "additionalimagestores"
    named = [
        documents.text(document, "storage", "graphroot"),
        documents.text(document, "storage", "imagestore"),
        documents.text(document, "storage", "options", "imagestore"),
        *documents.texts(document, "storage", "options", images),
        *documents.texts(document, "storage", "options", "overlay", images),
    ]
    rootless = documents.text(document, "storage", "rootless_storage_path")
    named += [_expanded(rootless, home) for home in homes]
    return _paths(*(_expanded(name, home) for home in (*homes, "/root")[:1] for name in named))


def _expanded(path: str, home: str) -> str:
    """A path with the variables that containers-storage replaces in it (``types/utils.go``, ``expandEnvPath``)."""
    return path.replace("$HOME", home).replace("$USER", posixpath.basename(home))


def _paths(*named: str) -> list[str]:
    return [posixpath.normpath(path) for path in named if path.startswith("/")]
