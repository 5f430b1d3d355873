"""The processes of a node among each other: who started whom, in which PID namespaces, and which one is the first."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import cached_property

from netfs.model.processes import Process

_KTHREADD = 2
"""The kernel's threads are its children (kernel/kthread.c)."""


class Kin:
    """The processes of one node, without the kernel's own threads.

    ``numbering``: inode of the PID namespace in which engines count.
    """

    def __init__(self, processes: Sequence[Process], numbering: int | None) -> None:
        kernel = {process.pid for process in processes if _is_kthreadd(process)}
        self.processes = sorted(
            (one for one in processes if one.pid not in kernel and one.ppid not in kernel), key=lambda one: one.pid
        )
        self.by_pid = {process.pid: process for process in self.processes}
        self._numbering = numbering

    @cached_property
    def first(self) -> Process | None:
        """The node's first process: number 1 of the engine's PID namespace, or of the only topmost one there is."""
        ones = [process for process in self.processes if process.pids[-1:] == (1,)]
        own = [process for process in ones if process.namespaces.get("pid", -1) == self._numbering]
        if own:
            return own[0]
        depth = min((len(process.pids) for process in self.processes if process.pids), default=0)
        top = [process for process in ones if len(process.pids) == depth]
        return top[0] if len(top) == 1 else None

    @cached_property
    def children(self) -> dict[int, list[Process]]:
        """Who was started by whom. A child older than its parent is another's: the parent's number was used again."""
        found: dict[int, list[Process]] = {}
        for process in self.processes:
            parent = self.by_pid.get(process.ppid)
            if parent is not None and parent.started <= process.started:
                found.setdefault(parent.pid, []).append(process)
        return found

    @cached_property
    def _parents(self) -> dict[int, int]:
        """The PID namespace above each: that of the process which started its number 1.

        A new one is made below the maker's own (kernel/pid_namespace.c, ``copy_pid_ns``), and orphans are given to
        a process of the same namespace as the parent they had (kernel/exit.c, ``find_new_reaper``).
        """
        found: dict[int, int] = {}
        for process in self.processes:
            space, parent = process.namespaces.get("pid"), self.by_pid.get(process.ppid)
            above = parent.namespaces.get("pid") if parent is not None else None
            if space is not None and above is not None and above != space and process.pids[-1:] == (1,):
                found[space] = above
        return found

    def above(self, space: int | None) -> Iterator[int]:
        """A PID namespace, and those above it as far as they can be told."""
        seen: set[int] = set()
        while space is not None and space not in seen:
            seen.add(space)
            yield space
            space = self._parents.get(space)

    def ancestors(self, pid: int) -> Iterator[int]:
        """Who started a process, and who started that one: as far as they live. One younger than its child is none."""
        child, seen = self.by_pid[pid], {pid}
        while (parent := self.by_pid.get(child.ppid)) is not None and parent.started <= child.started:
            if parent.pid in seen:  # numbers that were given again while they were read
                return
            seen.add(parent.pid)
            yield parent.pid
            child = parent

    def is_users(self, process: Process, user: int) -> bool:
        """Whether a process is in a user namespace of a user's, as everything is that his engines run.

        His number alone says less: a pod of the machine's may run as any (``runAsUser``). Within a user namespace there
        are numbers that were lent to him (subuid(5)), but what waits for them outside (a shim, conmon) has his own.
        """
        node = self.first.namespaces.get("user") if self.first is not None else None
        if node is None or process.namespaces.get("user", node) == node:
            return False
        for pid in (process.pid, *self.ancestors(process.pid)):
            each = self.by_pid[pid]
            if each.uid == user or each.namespaces.get("user", node) == node:
                return each.uid == user
        return False

    def leads(self, process: Process) -> bool:
        """Whether it is number 1 of a PID namespace that is not the node's."""
        node = self.first.namespaces.get("pid") if self.first is not None else None
        return process.pids[-1:] == (1,) and process.namespaces.get("pid", node) != node

    def sees_the_nodes_files(self, process: Process) -> bool:
        """Whether it has the mount namespace of the node's first process: every runtime gives a container its own."""
        node = self.first.namespaces.get("mnt") if self.first is not None else None
        return node is not None and process.namespaces.get("mnt") == node

    def eldest(self, pids: Collection[int]) -> int:
        """Which of some processes was first: number 1 of a PID namespace of theirs, else the earliest.

        What was started in a container later (``docker exec``) has no parent in it either.
        """

        def age(pid: int) -> tuple[bool, bool, int, int]:
            process = self.by_pid[pid]
            return process.ppid in pids, not self.leads(process), process.started, pid

        return min(pids, key=age)

    @cached_property
    def numbered(self) -> dict[int, Process]:
        """Processes as engines number them; none where the engines' PID namespace is not known."""
        if self._numbering is None:
            return {}
        inside = [one for one in self.processes if one.namespaces.get("pid") == self._numbering and one.pids]
        # No process is in it directly: it is the reader's own, the topmost that there is here.
        place = len(inside[0].pids) - 1 if inside else 0
        if place == 0:
            return dict(self.by_pid)
        below: dict[int | None, bool] = {}
        for process in self.processes:
            space = process.namespaces.get("pid")
            if space not in below:
                below[space] = self._numbering in self.above(space)
        return {
            process.pids[place]: process
            for process in self.processes
            if len(process.pids) > place and below[process.namespaces.get("pid")]
        }


def _is_kthreadd(process: Process) -> bool:
    return process.pid == _KTHREADD and process.ppid == 0 and process.comm == "kthreadd" and len(process.pids) < 2
