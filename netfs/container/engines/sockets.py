"""Where engines listen: usual places, configured ones, and those that running daemons were told.

===========  ======================================================================================================
``podman``   ``/run/podman/podman.sock``, ``/run/user/UID/podman/podman.sock`` (podman-system-service(1)), the URI of
             a running ``podman system service``, CONTAINER_HOST
``docker``   ``/run/docker.sock``, ``/run/user/UID/docker.sock``; ``hosts`` in daemon.json; ``-H``, ``--host`` of
             dockerd (dockerd(8)); DOCKER_HOST
``cri``      sockets of containerd, CRI-O, cri-dockerd and of what brings containerd with it (k3s, k0s, MicroK8s);
             ``[grpc] address`` of containerd's config.toml, ``listen`` of crio.conf, ``--address``, ``--listen``; what
             the kubelet and crictl are told; CONTAINER_RUNTIME_ENDPOINT
===========  ======================================================================================================

A place is a hint. An endpoint is a unix socket that is there, and each socket is one endpoint: ``/var/run`` is a
symlink, and podman-docker makes ``/run/docker.sock`` another. What a folder hides from this user is not found. Nor is
what another user put where he likes: he could run something called dockerd, and tell root what he likes.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from netfs.model.gaps import Gap
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import documents, settings
from netfs.overlay.stores.configured import CONTAINERD_TOML, DAEMON_JSON

DOCKER, PODMAN, CRI = "docker", "podman", "cri"
_CONTAINERD = "/run/containerd/containerd.sock"
_USUAL = {
    PODMAN: ("/run/podman/podman.sock",),
    DOCKER: ("/run/docker.sock", "/var/run/docker.sock"),
    CRI: (
        _CONTAINERD,
        "/run/k3s/containerd/containerd.sock",
        "/run/k0s/containerd.sock",
        "/var/snap/microk8s/common/run/containerd.sock",
        "/run/crio/crio.sock",
        "/run/cri-dockerd.sock",
    ),
}
"""Podman's first: what is Podman's by its own name is not Docker's by another."""
_OF_USERS = {PODMAN: "podman/podman.sock", DOCKER: "docker.sock"}
"""Below a user's folder."""
_USERS = "/run/user"
"""Each has a folder there that only he writes to (pam_systemd(8))."""
_OPTIONS = {
    "dockerd": (DOCKER, ("-H", "--host")),
    "crio": (CRI, ("--listen",)),
    "cri-dockerd": (CRI, ("--container-runtime-endpoint",)),
    "kubelet": (CRI, ("--container-runtime-endpoint",)),
}
"""Program → engine, options that say where it is."""
_PROGRAMS = (*_OPTIONS, "containerd", "podman")
_UNITS = ("docker.service", "containerd.service", "crio.service", "cri-docker.service", "kubelet.service")
_YAML = {"/etc/crictl.yaml": "runtime-endpoint", "/var/lib/kubelet/config.yaml": "containerRuntimeEndpoint"}
"""File → key at its top."""
_CRIO_CONF = "/etc/crio/crio.conf"
_ENVIRONMENT = {"CONTAINER_HOST": PODMAN, "DOCKER_HOST": DOCKER, "CONTAINER_RUNTIME_ENDPOINT": CRI}
_CRI_PLUGINS = frozenset(("cri", "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime"))
"""What containerd calls the plugin that serves CRI: in configurations of version 1, 2, 3."""


class Endpoint(NamedTuple):
    """A socket that an engine is asked at."""

    engine: str
    """``docker``, ``podman``, ``cri``."""
    path: str
    """Of the unix socket on this host; below the root, where that is another than ``/``."""


class _Hint(NamedTuple):
    engine: str
    path: str
    """From the root."""


class _Containerd(NamedTuple):
    """What one containerd is told."""

    address: str
    serves_cri: bool


def found(root: str = "/") -> tuple[Endpoint, ...]:
    """The endpoints below a root, none twice. Raises SourceError: the root is no directory, or cannot be entered.

    The environment and running daemons count for ``/`` only. A containerd that is told not to serve CRI is left out:
    what it runs for Docker, Docker tells.
    """
    endpoints: dict[tuple[int, int], Endpoint] = {}
    with Root(root) as opened:
        owners = {0, os.geteuid(), opened.status("/").st_uid}
        for engine, path in dict.fromkeys(_hints(opened)):
            try:
                status, resolved = opened.status(path), opened.resolve(path)
            except OSError:
                continue
            if stat.S_ISSOCK(status.st_mode) and (status.st_uid in owners or resolved.startswith(f"{_USERS}/")):
                place = Endpoint(engine, opened.on_host(resolved))
                endpoints.setdefault((status.st_dev, status.st_ino), place)
    return tuple(endpoints.values())


def _hints(root: Root) -> Iterator[_Hint]:
    commands = [*settings.running(root, _PROGRAMS), *settings.units(root, _UNITS)]
    containerds = list(_containerds(root, commands))
    silent = {each.address for each in containerds if not each.serves_cri}
    silent -= {each.address for each in containerds if each.serves_cri}
    for engine, path in (*_usual(root), *_told(root, commands)):
        if not (engine == CRI and path in silent):
            yield _Hint(engine, path)
    yield from (_Hint(CRI, each.address) for each in containerds if each.address not in silent)
    if posixpath.normpath(root.path) == "/":
        for name, engine in _ENVIRONMENT.items():
            yield from _hint(engine, os.environ.get(name, ""))


def _usual(root: Root) -> Iterator[_Hint]:
    users = documents.names(root, _USERS)
    for engine, paths in _USUAL.items():
        yield from (_Hint(engine, path) for path in paths)
        if engine in _OF_USERS:
            for user in [] if isinstance(users, Gap) else users:
                yield _Hint(engine, f"{_USERS}/{user}/{_OF_USERS[engine]}")


def _told(root: Root, commands: Iterable[Sequence[str]]) -> Iterator[_Hint]:
    """What command lines and files of configuration say."""
    for words in commands:
        yield from _command_line(root, words)
    for path in DAEMON_JSON:
        yield from _daemon_json(root, path)
    for path, key in _YAML.items():
        for line in settings.text(root, path).splitlines():
            name, _, value = line.partition(":")
            if name == key:
                yield from _hint(CRI, value.partition(" #")[0].strip().strip("\"'"))
    dropped = documents.names(root, f"{_CRIO_CONF}.d")
    for path in (_CRIO_CONF, *(f"{_CRIO_CONF}.d/{name}" for name in ([] if isinstance(dropped, Gap) else dropped))):
        yield from _hint(CRI, documents.text(settings.toml(root, path), "crio", "api", "listen"))


def _command_line(root: Root, words: Sequence[str]) -> Iterator[_Hint]:
    program = posixpath.basename(words[0]) if words else ""
    if program == "podman" and "service" in words:
        for word in words:
            yield from _hint(PODMAN, word) if word.startswith("unix:") else ()
    if program not in _OPTIONS:
        return
    engine, options = _OPTIONS[program]
    for value in settings.values(words, options):
        yield from _hint(engine, value)
    if engine == DOCKER:
        for word in words:
            yield from _hint(DOCKER, word.removeprefix("-H")) if word.startswith("-Hunix:") else ()
        for path in settings.values(words, ("--config-file",)):
            yield from _daemon_json(root, path)


def _daemon_json(root: Root, path: str) -> Iterator[_Hint]:
    for host in documents.texts(documents.load(root, path, settings.BYTES), "hosts"):
        yield from _hint(DOCKER, host)


def _containerds(root: Root, commands: Iterable[Sequence[str]]) -> Iterator[_Containerd]:
    """Those of command lines, with the configuration that they are given, and those of configurations alone."""
    told: set[str] = set()
    for words in commands:
        if words and posixpath.basename(words[0]) == "containerd":
            file = next(settings.values(words, ("--config", "-c")), CONTAINERD_TOML[0])
            told.add(file)
            configured = _containerd_toml(root, file)
            address = next(settings.values(words, ("--address", "-a")), configured.address)
            yield _Containerd(_path(address) or configured.address, configured.serves_cri)
    yield from (_containerd_toml(root, path) for path in CONTAINERD_TOML if path not in told and _is_there(root, path))


def _containerd_toml(root: Root, path: str) -> _Containerd:
    document = settings.toml(root, path)
    disabled = documents.texts(document, "disabled_plugins")
    address = _path(documents.text(document, "grpc", "address"))
    return _Containerd(address or _CONTAINERD, _CRI_PLUGINS.isdisjoint(disabled))


def _is_there(root: Root, path: str) -> bool:
    try:
        return stat.S_ISREG(root.status(path).st_mode)
    except OSError:
        return False


def _hint(engine: str, address: str) -> Iterator[_Hint]:
    path = _path(address)
    if path:
        yield _Hint(engine, path)


def _path(address: str) -> str:
    """The path of a unix socket, written as an address or as it is; empty where it is something else."""
    path = address.removeprefix("unix:")
    if not path.startswith("/") or path == "//" or "\0" in path:
        return ""
    return posixpath.normpath("/" + path.lstrip("/"))
