"""Every engine that listens on a node, asked at once: one that hangs costs its own time only, and that once.

A socket that systemd holds starts its service when it is connected to (systemd.socket(5)). Reading leaves nothing
behind, so two sorts are left alone where files tell the same:

- Podman's, which has no daemon: where the files of its owner's store can be read, or by root, for whom a store that is
  not there has nothing to tell. An ordinary user asks his own, where his store was not found or cannot be read.
- Docker's, while no dockerd runs and systemd has a docker.socket: by root, who can read its files.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Collection
from functools import partial

from netfs.container.engines.sockets import CRI, DOCKER, PODMAN, Endpoint, found
from netfs.container.users import owned, owner_of, speakers
from netfs.errors import SourceError
from netfs.model.containers import Engine
from netfs.model.gaps import Gap
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import documents, settings
from netfs.overlay.stores.find import CONTAINERS_STORAGE, find

_UNITS = tuple(f"{folder}/docker.socket" for folder in settings.UNIT_FOLDERS)
_BOOTED = "/run/systemd/system"
"""There where systemd is the first process (sd_booted(3))."""
_ACTIVATED = "/run/docker.sock"
_ASLEEP = "is not asked: no dockerd runs, and asking starts it; root can read its files"
_ANOTHERS = "is not asked, for asking may start it: root, or its owner, can read its files"


def ask(root: str = "/", *, timeout: float = 2.0) -> tuple[Engine, ...]:
    """What listens below a root, and what it says; each in at most some ``timeout`` seconds. Raises nothing.

    An engine that does not answer is one with a gap and no containers. Podman and Docker may be left alone (above).
    """
    try:
        endpoints = found(root)
        with Root(root) as opened:
            questions = [question for each in endpoints if (question := _question(opened, each, timeout))]
    except SourceError as failure:
        return (Engine("sockets", root, gaps=(Gap(root, "engines", failure.what),)),)
    if len(questions) < 2:
        return tuple(question() for question in questions)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(questions)) as threads:
        return tuple(threads.map(lambda question: question(), questions))


def _of_its_owner(question: Callable[[], Engine], owner: int, speakers: Collection[int]) -> Engine:
    return owned(question(), owner, speakers)


def _question(root: Root, endpoint: Endpoint, timeout: float) -> Callable[[], Engine] | None:
    """How the engine is asked; None: it is left alone."""
    why = _reserve(root, endpoint)
    if why is None:
        question = partial(_reader(endpoint.engine), endpoint.path, timeout)
        return partial(_of_its_owner, question, _owner_below(root, endpoint.path), speakers(root))
    return partial(_unasked, endpoint, why) if why else None


def _reader(engine: str) -> Callable[[str, float], Engine]:
    """Each brings its own protocol: what is not asked is not loaded."""
    if engine == CRI:
        from netfs.container.engines.cri.read import read as cri

        return cri
    if engine == PODMAN:
        from netfs.container.engines.podman import read as podman

        return podman
    from netfs.container.engines.docker import read as docker

    return docker


def _unasked(endpoint: Endpoint, why: str) -> Engine:
    where = f"unix://{endpoint.path}"
    return Engine(endpoint.engine, where, gaps=(Gap(where, "engine", why),))


def _reserve(root: Root, endpoint: Endpoint) -> str | None:
    """Why an engine is not asked; empty: its files say it all; None: it is asked."""
    if endpoint.engine == PODMAN:
        return _reserve_podman(root, endpoint.path)
    if endpoint.engine == DOCKER and _is_asleep(root, endpoint.path):
        return "" if os.geteuid() == 0 else _ASLEEP
    return None


def _reserve_podman(root: Root, path: str) -> str | None:
    owner, reader = _owner(path), os.geteuid()
    if reader == 0 or (owner is not None and _has_readable_store(root, owner)):
        return ""
    return None if owner in {reader, None} else _ANOTHERS


def _owner_below(root: Root, path: str) -> int:
    """Whose word the engine's is; nobody's, where its socket has gone."""
    try:
        return owner_of("/" + os.path.relpath(path, root.path), os.stat(path))
    except OSError:
        return -1


def _owner(path: str) -> int | None:
    """None: it is gone."""
    try:
        return os.stat(path).st_uid
    except OSError:
        return None


def _has_readable_store(root: Root, owner: int) -> bool:
    for place in find(root):
        if place.engine == CONTAINERS_STORAGE:
            try:
                owned = root.status(place.path).st_uid == owner
            except OSError:
                continue
            names = documents.names(root, posixpath.join(place.path, "overlay-containers"))
            if owned and not isinstance(names, Gap):
                return True
    return False


def _is_asleep(root: Root, path: str) -> bool:
    """Whether systemd, and no dockerd, listens. Where processes are hidden (hidepid) that cannot be told: False."""
    if path != _ACTIVATED or not root.is_directory(_BOOTED) or not root.is_directory("/proc/1"):
        return False
    return any(_is_there(root, unit) for unit in _UNITS) and not any(settings.running(root, ("dockerd",)))


def _is_there(root: Root, path: str) -> bool:
    try:
        root.status(path)
    except OSError:
        return False
    return True
