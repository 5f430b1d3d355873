"""Containers as engines' files tell of them: with the engine dead, or from a copy of its machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module

from netfs.errors import NetfsError
from netfs.model.containers import Container, Engine
from netfs.model.gaps import Gap
from netfs.overlay.disk.root import Root
from netfs.overlay.reading import READERS, refused
from netfs.overlay.stores.find import CONTAINERS_STORAGE, Place, find
from netfs.overlay.stores.members import Members

_CRIO, _PODMAN = "cri-o", "podman"
_NAMES = {CONTAINERS_STORAGE: _PODMAN}


def engines(root: Root, places: Sequence[Place] = ()) -> tuple[Engine, ...]:
    """The engines below a root by their files; those at ``places`` where they are known, else those that are found.

    Neither images nor layers are read. Stores that are there and may not be looked at are engines with a gap.
    """
    known = places or find(root)
    found = [engine for place in known for engine in _engines(root, place)]
    refusals = () if places else refused(root, known)
    unread = (Engine(_NAMES.get(store, store), gap.where, gaps=(gap,)) for store, gap in refusals)
    return (*found, *unread)


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
