"""Namespaces that a mount keeps alive: mounts of nsfs, in every mount namespace that a process has."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from netfs.collect.mountinfo import MOST_BYTES
from netfs.collect.namespaces.found import Found, Search
from netfs.collect.namespaces.mountinfo import nsfs_mounts
from netfs.collect.procfs import FOLDER, read_all
from netfs.model.namespaces import Pin

Told: TypeAlias = tuple[str, int, str, int]
"""Type and inode of what is pinned, the path, and a process that has the mount."""


def add_pins(search: Search, known: Mapping[int, Sequence[Told]]) -> None:
    """The pins of every mount namespace that a process or a thread has. ``known``: those that were read before."""
    for mounts in search.of_type("mnt"):
        told = known[mounts.id] if mounts.id in known else pins_of(mounts, search.proc)
        if isinstance(told, OSError):
            search.refuse("mounts", f"mnt:[{mounts.id}]")
            continue
        for type, id, path, pid in told or ():
            add_pin(search.get(type, id), Pin(path, mounts.id, pid))


def pins_of(mounts: Found, proc: str) -> list[Told] | PermissionError | None:
    """The pins of one mount namespace; None: it is gone."""
    read = mountinfo(mounts, proc)
    if not isinstance(read, tuple):
        return read
    pid, text = read
    return [(type, id, os.fsdecode(point), pid) for type, id, point in nsfs_mounts(text)]


def add_pin(found: Found, pin: Pin) -> None:
    """Note it once, however often it is mounted there."""
    if pin not in found.pins:
        found.pins.append(pin)


def mountinfo(mounts: Found, proc: str) -> tuple[int, bytes] | PermissionError | None:
    """A process or thread of a mount namespace, and its mountinfo; None: there is none any more.

    A process whose root is not the mount namespace's does not show what is mounted outside (fs/proc_namespace.c,
    ``show_mountinfo``), so another is taken where there is one.
    """
    refused: PermissionError | None = None
    narrow: tuple[int, bytes] | None = None
    for pid, folder in mounts.folders(proc):
        try:
            whole, text = _read(folder, mounts.id, even_narrow=narrow is None)
        except PermissionError as failure:
            refused = failure
            continue
        except OSError:
            continue
        if whole and text is not None:
            return pid, text
        if text is not None:
            narrow = (pid, text)
    return narrow or refused


def _read(path: str, id: int, *, even_narrow: bool) -> tuple[bool, bytes | None]:
    """(whether its root is the mount namespace's, its mountinfo). None: not wanted, or of another mount namespace."""
    folder = os.open(path, FOLDER)
    try:
        whole = os.readlink("root", dir_fd=folder) == "/"
        if not whole and not even_narrow:
            return whole, None
        text = read_all(folder, "mountinfo", MOST_BYTES)
        # The pid may be another's by now; what was open is this namespace's, if the process still has it.
        return whole, text if os.readlink("ns/mnt", dir_fd=folder) == f"mnt:[{id}]" else None
    finally:
        os.close(folder)


def pin_ways(found: Found, own: int, proc: str) -> Iterator[str]:
    """Where the pins of a namespace are for this process. ``own``: its mount namespace. What is there now is unsure."""
    for pin in found.pins:
        if pin.mount_namespace == own:
            yield pin.path
        if pin.pid is not None:
            yield f"{proc}/{pin.pid}/root{pin.path}"


def still_pinned(found: Found, search: Search) -> list[Pin]:
    """The pins that are there at a second look: an engine may have removed one since the first."""
    there: set[tuple[int, str]] = set()
    for id in {pin.mount_namespace for pin in found.pins}:
        read = mountinfo(search.get("mnt", id), search.proc)
        if isinstance(read, tuple):
            mounts = nsfs_mounts(read[1])
            there.update((id, os.fsdecode(point)) for *named, point in mounts if named == [found.type, found.id])
    return [pin for pin in found.pins if (pin.mount_namespace, pin.path) in there]
