"""The namespaces that a process is in, and those its children will be in, by the links of /proc/PID/ns."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from netfs.collect.procfs import inode
from netfs.model.processes import NAMESPACE_TYPES

_LISTED = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FOR_CHILDREN = {"pid_for_children": "pid", "time_for_children": "time"}
_OF_THE_DEAD = frozenset({"pid", "user"})
"""A process that has ended gave up its ``nsproxy``; its number and its credentials it keeps until it is waited for."""


class Place(NamedTuple):
    """Inodes of namespaces by type."""

    own: Mapping[str, int]
    children: Mapping[str, int]
    """Where they are others than ``own``."""


NOWHERE = Place({}, {})


class Whereabouts:
    """Reads places. Most processes share theirs with others, so that each is made once."""

    def __init__(self, root: int) -> None:
        self._names = _names(root)
        self._paths = tuple(b"ns/" + os.fsencode(name) for name in self._names)
        self._known: dict[tuple[bytes, ...], Place] = {}
        self._kernel: Place | None = None

    def of(self, folder: int) -> Place:
        """Where the process is. Raises OSError; ENOENT or ESRCH: it has ended, or has less than others."""
        readlink = os.readlink
        return self._place(tuple([readlink(path, dir_fd=folder) for path in self._paths]))

    def of_kernel_thread(self, folder: int) -> Place:
        """Where a kernel thread is: with the first of them, but that kdevtmpfs has its mounts to itself.

        (``devtmpfsd``, drivers/base/devtmpfs.c: no other leaves the initial namespaces.) Raises OSError.
        """
        if self._kernel is None:
            self._kernel = self.of(folder)
            return self._kernel
        mounts = inode(os.readlink("ns/mnt", dir_fd=folder), "mnt")
        if mounts is None or mounts == self._kernel.own.get("mnt"):
            return self._kernel
        return self._kernel._replace(own={**self._kernel.own, "mnt": mounts})

    def as_far_as_it_has_any(self, folder: int) -> Place:
        """Where the process is, without what is not there. Raises OSError of any other kind.

        ``pid_for_children`` leads nowhere between unshare(2) and the first fork(2).
        """
        links = []
        for path in self._paths:
            try:
                links.append(os.readlink(path, dir_fd=folder))
            except (FileNotFoundError, ProcessLookupError):
                links.append(b"")
        return self._place(tuple(links))

    def _place(self, links: tuple[bytes, ...]) -> Place:
        place = self._known.get(links)
        if place is None:
            place = self._known[links] = self._made(links)
        return place

    def _made(self, links: tuple[bytes, ...]) -> Place:
        found: dict[str, int] = {}
        children: dict[str, int] = {}
        for name, link in zip(self._names, links, strict=True):
            kind = _FOR_CHILDREN.get(name, name)
            number = inode(link.decode("ascii", "replace"), kind)
            if number is None:
                continue
            if kind == name:
                found[kind] = number
            elif number != found.get(kind):
                children[kind] = number
        return Place(found, children)


def of_the_dead(place: Place) -> Place:
    """What a process that has ended is still in, however much of it was read before."""
    return Place({kind: number for kind, number in place.own.items() if kind in _OF_THE_DEAD}, {})


def _names(root: int) -> tuple[str, ...]:
    """What this kernel has, those for children last."""
    names = (*NAMESPACE_TYPES, *_FOR_CHILDREN)
    try:
        folder = os.open("self/ns", _LISTED, dir_fd=root)
        try:
            listed = frozenset(os.listdir(folder))
        finally:
            os.close(folder)
    except OSError:
        return names
    return tuple(name for name in names if name in listed)
