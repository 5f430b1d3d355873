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
import shlex
import tomllib
from collections.abc import Iterable, Iterator, Sequence

from netfs.model.snapshot import Gap
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import documents

_CONFIG_BYTES = 1 << 20
_OPTIONS = {
    "dockerd": ("docker", ("--data-root", "--graph", "-g"), ("--config-file",)),
    "containerd": ("containerd", ("--root",), ("--config", "-c")),
}
"""Program → engine, options that say where its store is, options that name a configuration file."""
_DAEMON_JSON = ("/etc/docker/daemon.json", "/var/snap/docker/current/config/daemon.json")
_CONTAINERD_TOML = (
    "/etc/containerd/config.toml",
    *(f"/var/lib/rancher/{name}/agent/etc/containerd/config.toml" for name in ("k3s", "rke2")),
)
_STORAGE_CONF = ("/etc/containers", "/usr/share/containers")
"""Folders with a storage.conf, and others dropped in beside it."""
_DROPPED_IN = ("storage.conf.d", "storage.rootful.conf.d", "storage.rootless.conf.d")
_UNITS = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")


def homes(root: Root) -> tuple[str, ...]:
    """Where users have their files: ``/root``, each folder in ``/home``, and what /etc/passwd names, if it is there."""
    found = {"/root": None}
    names = documents.names(root, "/home")
    found |= dict.fromkeys([] if isinstance(names, Gap) else [f"/home/{name}" for name in names])
    for line in _text(root, "/etc/passwd").splitlines():
        fields = line.split(":")
        if len(fields) == 7 and fields[5].startswith("/") and fields[5] != "/":
            found[posixpath.normpath(fields[5])] = None
    return tuple(home for home in found if root.is_directory(home))


def read(root: Root, homes: Sequence[str]) -> dict[str, list[str]]:
    """Absolute paths by engine, the most authoritative first. They need not be there."""
    found: dict[str, list[str]] = {"docker": [], "containerd": [], "containers-storage": []}
    for words in (*_running(root), *_units(root)):
        _command_line(root, words, found)
    for path in (*_DAEMON_JSON, *(f"{home}/.config/docker/daemon.json" for home in homes)):
        found["docker"] += _daemon_json(root, path)
    for path in (*_CONTAINERD_TOML, *(f"{home}/.config/containerd/config.toml" for home in homes)):
        found["containerd"] += _paths(documents.text(_toml(root, path), "root"))
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
    found[engine] += _paths(*_values(words, places))
    for path in _paths(*_values(words, files)):
        if engine == "docker":
            found[engine] += _daemon_json(root, path)
        else:
            found[engine] += _paths(documents.text(_toml(root, path), "root"))


def _values(words: Sequence[str], options: Iterable[str]) -> Iterator[str]:
    """What follows one of the options, as ``--option=value`` or ``--option value``."""
    wanted = frozenset(options)
    for index, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option in wanted:
            yield value if equals else "".join(words[index + 1 : index + 2])


def _running(root: Root) -> Iterator[list[str]]:
    """Command lines of this host's processes; none where the root is another machine's."""
    if posixpath.normpath(root.path) != "/":
        return
    names = documents.names(root, "/proc")
    for name in [] if isinstance(names, Gap) else names:
        if name.isdecimal():
            words = _text(root, f"/proc/{name}/cmdline").split("\0")
            if posixpath.basename(words[0]) in _OPTIONS:
                yield words


def _units(root: Root) -> Iterator[list[str]]:
    """The commands of the engines' units, with what was changed in them (systemd.unit(5), ``*.d/*.conf``)."""
    for folder in _UNITS:
        for unit in ("docker.service", "containerd.service"):
            names = documents.names(root, f"{folder}/{unit}.d")
            changed = [] if isinstance(names, Gap) else [f"{unit}.d/{name}" for name in names]
            for file in (unit, *changed):
                yield from _commands(_text(root, f"{folder}/{file}"))


def _commands(unit: str) -> Iterator[list[str]]:
    for line in unit.replace("\\\n", " ").splitlines():
        key, _, command = line.strip().partition("=")
        if key.rstrip() == "ExecStart":
            try:
                yield shlex.split(command)
            except ValueError:
                continue


def _daemon_json(root: Root, path: str) -> list[str]:
    document = documents.load(root, path, _CONFIG_BYTES)
    return _paths(documents.text(document, "data-root"), documents.text(document, "graph"))


def _storage_confs(root: Root, folder: str, homes: Sequence[str]) -> Iterator[str]:
    """What all of the files in a folder say."""
    yield from _storage_conf(root, f"{folder}/storage.conf", homes)
    for beside in _DROPPED_IN:
        names = documents.names(root, f"{folder}/{beside}")
        for name in [] if isinstance(names, Gap) else names:
            yield from _storage_conf(root, f"{folder}/{beside}/{name}", homes)


def _storage_conf(root: Root, path: str, homes: Sequence[str]) -> list[str]:
    document = _toml(root, path)
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


def _toml(root: Root, path: str) -> object:
    try:
        return tomllib.loads(_text(root, path))
    except (ValueError, RecursionError):
        return None


def _text(root: Root, path: str) -> str:
    try:
        return root.read(path, _CONFIG_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
