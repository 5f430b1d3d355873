"""A node's readings, each made when it is first needed: processes, engines, containers, namespaces, control groups.

What only one of them needs is imported with it: the command's start is a good part of what an answer costs.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from netfs.collect.processes import ProcessTable, processes
from netfs.container import join, scope
from netfs.errors import SourceError
from netfs.model.containers import Engine, Placed
from netfs.model.gaps import Gap
from netfs.model.places import NodeRoot
from netfs.model.processes import NAMESPACE_TYPES, Process

if TYPE_CHECKING:
    from netfs.model.cgroups import CgroupTree
    from netfs.model.namespaces import Namespace


class Kernel:
    """What all nodes of this host have in common: one look at its processes."""

    @cached_property
    def table(self) -> ProcessTable:
        """Every process that can be seen."""
        return processes()

    @cached_property
    def pid_namespace(self) -> int | None:
        """The reader's own."""
        return _inode("/proc/self/ns/pid")

    @cached_property
    def clock(self) -> join.Clock:
        """When the host was started, and in what its processes' starts are counted."""
        return join.Clock(_booted_at(), os.sysconf("SC_CLK_TCK"))


class Node:
    """One node."""

    def __init__(self, root: NodeRoot, kernel: Kernel, timeout: float) -> None:
        self.root = root
        self.name = root.node
        self.kernel = kernel
        self._timeout = timeout

    @property
    def whole(self) -> bool:
        """Whether the node is this host."""
        return not self.root.members

    @cached_property
    def processes(self) -> tuple[Process, ...]:
        """Those of the node."""
        if self.whole:
            return self.kernel.table.processes
        return scope.of_node(self.kernel.table.processes, self.root.members, self.kernel.pid_namespace)

    @cached_property
    def by_pid(self) -> Mapping[int, Process]:
        """The node's processes by pid."""
        return {process.pid: process for process in self.processes}

    @cached_property
    def initial(self) -> Mapping[str, int]:
        """The node's own namespaces by type: those of its first process, else the reader's."""
        first = self.by_pid.get(self.root.members[0] if self.root.members else 1)
        if first is not None and first.namespaces:
            return first.namespaces
        found = {kind: _inode(f"/proc/self/ns/{kind}") for kind in NAMESPACE_TYPES}
        return {kind: inode for kind, inode in found.items() if inode is not None}

    @cached_property
    def engines(self) -> tuple[Engine, ...]:
        """What runs containers here, by its sockets and by its files."""
        from netfs.container import files
        from netfs.overlay.disk.root import Root
        from netfs.overlay.stores.find import Place

        try:
            root = Root(self.root.path)
        except SourceError as failure:
            return (Engine("files", self.root.path, gaps=(Gap(self.root.path, "engines", failure.what),)),)
        with root:
            if self.root.docker is not None:
                return files.engines(root, (Place("docker", self.root.docker),))
            from netfs.container.engines.ask import ask

            return (*ask(self.root.path, timeout=self._timeout), *files.engines(root))

    @cached_property
    def placed(self) -> tuple[Placed, ...]:
        """Every container of the node, running or not, in its place."""
        # A lab's records are written from outside its nodes, with the pids of this host.
        inside = self.kernel.pid_namespace if self.whole or self.root.docker is not None else self.initial.get("pid")
        return join.placed(
            join.merged(self.engines), self.processes, node=self.name, pid_namespace=inside, clock=self.kernel.clock
        )

    def namespaces(self, *, open_files: bool = False) -> tuple[tuple[Namespace, ...], tuple[Gap, ...]]:
        """Every namespace, with whose it is; and what could not be read."""
        from netfs.collect.namespaces.read import namespaces
        from netfs.container.namespaces import told

        read = namespaces(self.processes, whole=self.whole, open_files=open_files)
        spaces = told(
            read.namespaces, self.placed, self.engines, node=self.name, initial=self.initial, undecided=self.undecided
        )
        return spaces, read.gaps

    @property
    def undecided(self) -> bool:
        """Whether of a namespace in which nobody was seen it may not be said that nobody is in it, or that no engine
        knows it. The first process of a host is where the host is.
        """
        unseen = any(not each.namespaces and each.state != "Z" and each.pid != 1 for each in self.processes)
        return unseen or any(engine.gaps for engine in self.engines)

    def cgroups(
        self, *, detail: bool = True, pids: Collection[int] | None = None
    ) -> tuple[CgroupTree, tuple[Gap, ...]]:
        """The control groups, with whose they are; and what could not be read.

        Of a node that is not this host those that only its processes are in. ``pids``: those of these processes. Both
        with what is above and below.
        """
        from netfs.collect.cgroups.read import cgroups
        from netfs.container.cgroups import told

        within = None if self.whole and pids is None else self._paths(pids)
        read = cgroups(within=within, detail=detail)
        return told(read.tree, self.placed, node=self.name), read.gaps

    def _paths(self, pids: Collection[int] | None) -> set[str]:
        if pids is not None:
            return {path for pid in pids if pid in self.by_pid for path in self.by_pid[pid].cgroups.values()} - {"/"}
        foreign = {
            path
            for process in self.kernel.table.processes
            if process.pid not in self.by_pid
            for path in process.cgroups.values()
        }
        return {path for process in self.processes for path in process.cgroups.values()} - foreign - {"/"}

    @cached_property
    def gaps(self) -> tuple[Gap, ...]:
        """What of its processes and engines could not be read."""
        return (*self.unseen, *(gap for engine in self.engines for gap in engine.gaps))

    @cached_property
    def unseen(self) -> tuple[Gap, ...]:
        """What of its processes could not be read."""
        return self.kernel.table.gaps if self.whole else tuple(self._unseen())

    def _unseen(self) -> Iterator[Gap]:
        for pid in self.root.members:
            if pid not in self.by_pid:
                yield Gap(self.name, "processes", f"process {pid} has ended")
            elif not self.by_pid[pid].namespaces:
                yield Gap(self.name, "processes", f"process {pid} may not be looked at")


def _inode(path: str) -> int | None:
    try:
        return os.stat(path).st_ino
    except OSError:
        return None


def _booted_at() -> float:
    """Seconds since the epoch (proc_stat(5), ``btime``); 0.0: it is not told, as by a procfs with ``subset=pid``."""
    try:
        with open("/proc/stat", encoding="ascii", errors="replace") as file:
            return next((float(line.split()[1]) for line in file if line.startswith("btime ")), 0.0)
    except OSError:
        return 0.0
