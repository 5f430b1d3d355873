"""Which network namespaces there are: by process, by nsfs mount in any mount namespace, and by pin."""

from __future__ import annotations

import os

from netfs.collect.namespaces.mountinfo import nsfs_mounts

PIN_FOLDERS = ("/run/netns", "/run/docker/netns")
KEPT_PIDS = 8
"""Processes remembered of each namespace."""


class Place:
    """One namespace, and where it was seen."""

    __slots__ = ("inode", "path", "pids", "pins")

    def __init__(self, inode: int, path: str) -> None:
        self.inode = inode
        self.path = path
        """A path it can be opened by."""
        self.pids: list[int] = []
        self.pins: list[str] = []


class Discovery:
    """The namespaces by inode, and what could not be looked at: (where, what, reason)."""

    def __init__(self) -> None:
        self.places: dict[int, Place] = {}
        self.gaps: list[tuple[str, str, str]] = []

    def add(self, inode: int, path: str) -> Place:
        """The place of a namespace, remembered."""
        place = self.places.get(inode)
        if place is None:
            place = self.places[inode] = Place(inode, path)
        return place


def discover() -> Discovery:
    """Look everywhere this process may look."""
    found = Discovery()
    mounts = _by_process(found)
    _by_mount(found, mounts)
    _by_pin(found)
    return found


def _by_process(found: Discovery) -> dict[str, int]:
    """Add the namespaces of processes; the lowest process of every other mount namespace is handed back."""
    refused: list[int] = []
    mounts: dict[str, int] = {}
    readlink = os.readlink
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            inode = _inode(readlink(f"/proc/{pid}/ns/net"))
            mount = readlink(f"/proc/{pid}/ns/mnt")
        except PermissionError:
            refused.append(pid)
            continue
        except OSError:
            continue
        if inode is None:
            continue
        place = found.add(inode, f"/proc/{pid}/ns/net")
        if len(place.pids) < KEPT_PIDS:
            place.pids.append(pid)
        mounts.setdefault(mount, pid)
    if refused:
        several = f"{len(refused)} processes" if len(refused) > 1 else "1 process"
        reason = f"{several} may not be looked at (first: pid {refused[0]})"
        found.gaps.append(("/proc", "namespaces by process", reason))
    return mounts


def _by_mount(found: Discovery, mounts: dict[str, int]) -> None:
    own = os.readlink("/proc/self/ns/mnt")
    mounts.pop(own, None)
    refused = 0
    for pid, root in [(os.getpid(), ""), *((pid, f"/proc/{pid}/root") for pid in mounts.values())]:
        try:
            with open(f"/proc/{pid}/mountinfo", "rb") as file:
                text = file.read()
        except PermissionError:
            refused += 1
            continue
        except OSError:
            continue
        for type, inode, point in nsfs_mounts(text):
            if type != "net":
                continue
            path, pin = root + os.fsdecode(point), readable(point)
            place = found.add(inode, path)
            if not place.pids and not place.pins:
                place.path = path
            if pin not in place.pins:
                place.pins.append(pin)
    if refused:
        found.gaps.append(("/proc", "namespaces by mount", f"mounts of {refused} mount namespaces may not be read"))


def _by_pin(found: Discovery) -> None:
    """Pins whose mount the tables above did not show (a folder bound in from elsewhere)."""
    known = {pin for place in found.places.values() for pin in place.pins}
    for folder in PIN_FOLDERS:
        try:
            names = os.listdir(folder)
        except FileNotFoundError:
            continue
        except OSError as failure:
            found.gaps.append((folder, "pinned namespaces", failure.strerror or str(failure)))
            continue
        nsfs = os.stat("/proc/self/ns/net").st_dev
        for name in names:
            pin = f"{folder}/{name}"
            if pin in known:
                continue
            try:
                status = os.stat(pin)
            except OSError:
                continue
            if status.st_dev == nsfs:
                found.add(status.st_ino, pin).pins.append(readable(os.fsencode(pin)))


def readable(path: bytes) -> str:
    """A path as text that any encoding can carry; what is not UTF-8 is escaped."""
    return path.decode("utf-8", "backslashreplace")


def _inode(text: str) -> int | None:
    """4026531840 of ``net:[4026531840]``; None for another kind of namespace."""
    if text.startswith("net:[") and text.endswith("]"):
        try:
            return int(text[5:-1])
        except ValueError:
            return None
    return None
