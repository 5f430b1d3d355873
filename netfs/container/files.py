"""Containers as engines' files tell of them: with the engine dead, or from a copy of its machine."""

from __future__ import annotations

import posixpath
import re
import stat
from collections.abc import Collection, Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from netfs.container.users import owned, owner_of, speakers
from netfs.errors import NetfsError
from netfs.model.containers import Container, Engine
from netfs.model.gaps import Gap
from netfs.overlay.disk.root import Root
from netfs.overlay.stores.find import CONTAINERS_STORAGE, READERS, Place, find
from netfs.overlay.stores.refused import refused

if TYPE_CHECKING:
    from netfs.overlay.stores.members import Members

_CRIO, _PODMAN = "cri-o", "podman"
_ANYBODYS = "is not believed: anybody may write there"
_REMAPPED = re.compile(r"/[0-9]+\.[0-9]+\Z")
_NAMES = {CONTAINERS_STORAGE: _PODMAN}


def engines(root: Root, places: Sequence[Place] = ()) -> tuple[Engine, ...]:
    """The engines below a root by their files; those at ``places`` where they are known, else those that are found.

    Neither images nor layers are read. Stores that are there and may not be looked at are engines with a gap; so are
    those that anybody may write to.
    """
    known = places or find(root)
    heard = speakers(root)
    found = [engine for place in known for engine in _owned(root, place, heard)]
    refusals = () if places else refused(root, known)
    unread = (Engine(_NAMES.get(store, store), gap.where, gaps=(gap,)) for store, gap in refusals)
    return (*found, *unread)


def _owned(root: Root, place: Place, heard: Collection[int]) -> Iterator[Engine]:
    """The engines of one store, as their owner's."""
    try:
        # Docker's root for a mapping of users belonged to the first of these (before 20.10): it is in the daemon's own.
        folder = posixpath.dirname(place.path) if _REMAPPED.search(place.path) else place.path
        status = root.status(folder)
    except OSError:
        return  # it has gone since it was found
    if status.st_mode & stat.S_IWOTH:
        where = root.on_host(place.path)
        yield Engine(place.engine, where, gaps=(Gap(where, f"{place.engine} store", _ANYBODYS),))
        return
    for engine in _engines(root, place):
        yield owned(engine, owner_of(folder, status), heard)


def _engines(root: Root, place: Place) -> Iterator[Engine]:
    where = root.on_host(place.path)
    try:
        members: Members = import_module(READERS[place.engine]).members(root, place.path)
    except NetfsError as failure:
        yield Engine(place.engine, where, gaps=(Gap(where, f"{place.engine} store", failure.what),))
        return
    if place.engine == CONTAINERS_STORAGE:
        yield from _of_storage(where, members)
    else:
        yield Engine(place.engine, where, containers=members.containers, gaps=members.gaps)


def _of_storage(where: str, members: Members) -> Iterator[Engine]:
    """CRI-O and Podman may have one store: an engine for each with containers there. Buildah's are with Podman's."""
    of_crio: list[Container] = []
    others: list[Container] = []
    for container in members.containers:
        (of_crio if container.runtime == _CRIO else others).append(container)
    if others or not of_crio:
        yield Engine(_PODMAN, where, containers=tuple(others), gaps=members.gaps)
    if of_crio:
        yield Engine(_CRIO, where, containers=tuple(of_crio), gaps=() if others else members.gaps)
