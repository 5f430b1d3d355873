"""Every process, in one pass over /proc: who it is, in which namespaces, in which control groups.

Each is read through one descriptor of its folder (``procfs``), so that all that is said of a process is of that one.
What ended while it was read is left out; what may not be looked at stays, with what every user may read (stat, cgroup,
status).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from netfs.collect import procfs, threads
from netfs.collect.hidden import hides
from netfs.collect.procfs import FOLDER, Stat, inode, read, read_stat
from netfs.collect.whereabouts import NOWHERE, Place, Whereabouts, of_the_dead
from netfs.model.gaps import Gap
from netfs.model.processes import Process


class ProcessTable(NamedTuple):
    """The processes of one procfs."""

    processes: tuple[Process, ...]
    """By pid."""
    gaps: tuple[Gap, ...]


def processes(proc: str = "/proc") -> ProcessTable:
    """All processes that ``proc`` shows. Raises OSError where there is no such folder."""
    root = os.open(proc, FOLDER)
    try:
        pids = sorted(int(name) for name in os.listdir(proc) if name.isdecimal())
        scan = _Scan(root)
        found = [process for pid in pids if (process := scan.process(pid)) is not None]
        hidden = hides(root, first_is_listed=1 in pids)
    finally:
        os.close(root)
    return ProcessTable(tuple(found), _gaps(proc, scan, hidden=hidden))


class _Scan:
    """One pass, and whom it could not look at."""

    def __init__(self, root: int) -> None:
        self.refused: list[int] = []
        """Whose namespaces may not be read."""
        self.barred: list[int] = []
        """Of whom nothing may be read."""
        self.failed: dict[str, list[int]] = {}
        """Who could not be read, by reason."""
        self._root = root
        self._whereabouts = Whereabouts(root)
        self._cgroups: dict[bytes, Mapping[str, str]] = {}
        self._pid_namespace = _pid_namespace(root)

    def process(self, pid: int) -> Process | None:
        """One process; None: it ended, or nothing of it can be read."""
        try:
            folder = os.open(str(pid), FOLDER, dir_fd=self._root)
            try:
                return self._process(pid, folder)
            finally:
                os.close(folder)
        except (FileNotFoundError, ProcessLookupError, NotADirectoryError):
            pass  # it ended
        except PermissionError:
            self.barred.append(pid)
        except OSError as error:  # too many open files, no memory
            self.failed.setdefault(error.strerror or str(error), []).append(pid)
        return None

    def _process(self, pid: int, folder: int) -> Process:
        # First: of a process that has ended it says 0, and what is read after it would fail then.
        uid = os.fstat(folder).st_uid
        groups = read(folder, "cgroup")
        # After the groups: what does not exit by now was in them.
        stat = read_stat(folder)
        place = NOWHERE
        try:
            if stat.ending and stat.threads > 1:
                groups, place = self._of_survivor(pid, folder)
            else:
                place, stat = self._place(folder, stat)
        except PermissionError:
            if not stat.ending or stat.threads > 1:  # else there is nothing to be seen
                self.refused.append(pid)
        return Process(
            pid=pid,
            started=stat.started,
            ppid=stat.ppid,
            comm=stat.comm,
            state=stat.state,
            threads=stat.threads,
            uid=uid,
            namespaces=place.own,
            for_children=place.children,
            elsewhere=threads.elsewhere(folder, place.own) if stat.threads > 1 and place.own else (),
            cgroups=self._paths(groups, exiting=stat.ending and stat.threads <= 1),
            pids=self._pids(pid, folder, stat, place),
        )

    def _place(self, folder: int, stat: Stat) -> tuple[Place, Stat]:
        try:
            if stat.is_kernel_thread:
                return self._whereabouts.of_kernel_thread(folder), stat
            return self._whereabouts.of(folder), stat
        except (FileNotFoundError, ProcessLookupError):
            place = self._whereabouts.as_far_as_it_has_any(folder)
            stat = read_stat(folder)
            return of_the_dead(place) if stat.ending else place, stat

    def _of_survivor(self, pid: int, folder: int) -> tuple[bytes, Place]:
        """The groups and the place of a thread that runs on, where the first has ended."""
        thread = threads.survivor(folder, pid)
        try:
            groups = read(thread, "cgroup")
            return groups, self._whereabouts.as_far_as_it_has_any(thread)
        finally:
            os.close(thread)

    def _paths(self, groups: bytes, *, exiting: bool) -> Mapping[str, str]:
        known = self._cgroups.get(groups)
        if known is None:
            known = self._cgroups[groups] = procfs.cgroups(groups)
        if exiting:  # version 1 calls it "/" then, wherever it was (proc_cgroup_show, kernel/cgroup/cgroup.c)
            return {name: path for name, path in known.items() if not name}
        return known

    def _pids(self, pid: int, folder: int, stat: Stat, place: Place) -> tuple[int, ...]:
        """Costs as much as all else, so that it is not asked for where it is known."""
        namespace = place.own.get("pid")
        if stat.is_kernel_thread or (namespace is not None and namespace == self._pid_namespace):
            return (pid,)
        return procfs.pids(read(folder, "status"))


def _pid_namespace(root: int) -> int | None:
    """The inode of the PID namespace whose numbers a procfs shows: that of its reader, or of its first process."""
    try:
        own = "self" if len(procfs.pids(read(root, "self/status"))) <= 1 else "1"
        return inode(os.readlink(f"{own}/ns/pid", dir_fd=root), "pid")
    except OSError:
        return None


def _gaps(proc: str, scan: _Scan, *, hidden: bool) -> tuple[Gap, ...]:
    found = []
    if scan.refused:
        found.append(Gap(proc, "namespaces by process", _told(scan.refused, "may not be looked at")))
    if scan.barred:
        found.append(Gap(proc, "processes", _told(scan.barred, "may not be read at all, as by hidepid")))
    found += (Gap(proc, "processes", f"{_told(pids, 'could not be read')}: {why}") for why, pids in scan.failed.items())
    if hidden:
        found.append(Gap(proc, "processes", "it hides the processes of others (hidepid)"))
    return tuple(found)


def _told(pids: list[int], what: str) -> str:
    several = f"{len(pids)} processes" if len(pids) > 1 else "1 process"
    return f"{several} {what} (first: pid {pids[0]})"
