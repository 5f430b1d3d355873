"""Namespaces that a mount keeps alive: mounts of nsfs, in every mount namespace that a process has."""

from __future__ import annotations

import os
from collections.abc import Iterator

from netfs.collect.namespaces.found import Found, Search
from netfs.collect.namespaces.mountinfo import nsfs_mounts
from netfs.model.namespaces import Pin


def add_pins(search: Search) -> None:
    """The pins of every mount namespace that a process or a thread has, each mountinfo read once."""
    for mounts in search.of_type("mnt"):
        read = mountinfo(mounts, search.proc)
        if isinstance(read, OSError):
            search.refuse("mounts", f"mnt:[{mounts.id}]")
        elif read is not None:
            pid, text = read
            for type, id, point in nsfs_mounts(text):
                add_pin(search.get(type, id), Pin(os.fsdecode(point), mounts.id, pid))


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
            whole = os.readlink(f"{folder}/root") == "/"
            if not whole and narrow is not None:
                continue
            with open(f"{folder}/mountinfo", "rb", 0) as file:
                text = file.read()
            # The pid may be another's by now; what was open is this namespace's, if the process still has it.
            if os.readlink(f"{folder}/ns/mnt") != f"mnt:[{mounts.id}]":
                continue
        except PermissionError as failure:
            refused = failure
            continue
        except OSError:
            continue
        if whole:
            return pid, text
        narrow = (pid, text)
    return narrow or refused


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
