"""What was found of each namespace, and the ways in which it can be opened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from netfs.model.namespaces import OpenFile, Pin
from netfs.model.processes import Process

FOR_CHILDREN = frozenset({"pid", "time"})


class Found:
    """One namespace while it is looked at."""

    __slots__ = (
        "children_of",
        "id",
        "keeps",
        "known",
        "listed",
        "nsid",
        "open_files",
        "owner",
        "owner_uid",
        "parent",
        "pids",
        "pins",
        "threads",
        "type",
    )

    def __init__(self, type: str, id: int) -> None:
        self.type = type
        self.id = id
        self.pids: list[int] = []
        self.threads: list[tuple[int, int]] = []
        """(pid, tid)"""
        self.children_of: list[int] = []
        self.pins: list[Pin] = []
        self.open_files: list[OpenFile] = []
        self.owner: int | None = None
        self.parent: int | None = None
        self.owner_uid: int | None = None
        self.nsid: int | None = None
        self.known = False
        """It was open once, and its relations were asked for."""
        self.keeps: set[str] = set()
        """``child``, ``owned``: what it is to others."""
        self.listed = False
        """The kernel lists it (mount namespaces)."""

    @property
    def inhabited(self) -> bool:
        """There is somebody through whom it can be reached."""
        return bool(self.pids or self.threads or self.children_of)

    def ways(self, proc: str) -> Iterator[str]:
        """Where it can be opened through a process, the surest first. Each is a file of nsfs, or not there."""
        type = self.type
        for pid in self.pids:
            yield f"{proc}/{pid}/ns/{type}"
        for pid, tid in self.threads:
            yield f"{proc}/{pid}/task/{tid}/ns/{type}"
        if type in FOR_CHILDREN:
            for pid in self.children_of:
                yield f"{proc}/{pid}/ns/{type}_for_children"

    def folders(self, proc: str) -> Iterator[tuple[int, str]]:
        """(process or thread, its folder) of everyone in it."""
        for pid in self.pids:
            yield pid, f"{proc}/{pid}"
        for pid, tid in self.threads:
            yield tid, f"{proc}/{pid}/task/{tid}"


class Search:
    """Namespaces by type and inode. An inode alone may be used again, by another type, while one looks."""

    def __init__(self, proc: str, device: int) -> None:
        self.proc = proc
        self.device = device
        """``st_dev`` of nsfs."""
        self.found: dict[tuple[str, int], Found] = {}
        self.refused: dict[str, tuple[int, str]] = {}
        """How often something was refused, and the first time what, by (what is missing)."""

    def get(self, type: str, id: int) -> Found:
        """The namespace, remembered."""
        key = (type, id)
        found = self.found.get(key)
        if found is None:
            found = self.found[key] = Found(type, id)
        return found

    def of_type(self, type: str) -> list[Found]:
        """Those found so far."""
        return [found for found in self.found.values() if found.type == type]

    def refuse(self, what: str, first: str) -> None:
        """Count something that could not be read."""
        count, before = self.refused.get(what, (0, first))
        self.refused[what] = (count + 1, before)

    def add_processes(self, processes: Iterable[Process]) -> None:
        """Who is where, as /proc said."""
        for process in sorted(processes, key=lambda process: process.pid):
            pid = process.pid
            for type, id in process.namespaces.items():
                self.get(type, id).pids.append(pid)
            for type, id in process.for_children.items():
                self.get(type, id).children_of.append(pid)
            for thread in process.elsewhere:
                self.get(thread.type, thread.id).threads.append((pid, thread.tid))


def leader(pids: Iterable[int], by_pid: Mapping[int, Process]) -> Process | None:
    """The process of the lowest pid that has no parent among these, as lsns(8) chooses it."""
    members = set(pids)
    for pid in sorted(members):
        if by_pid[pid].ppid not in members:
            return by_pid[pid]
    return None
