"""Threads that are in other namespaces than their process.

A thread may leave alone whatever hangs on its ``nsproxy``. It cannot change its user, PID or time namespace while
there are others beside it (``unshare``, kernel/fork.c; ``userns_install``; ``timens_install``).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping

from netfs.collect.procfs import FOLDER, inode
from netfs.model.processes import Elsewhere

OF_THREADS = ("cgroup", "ipc", "mnt", "net", "uts")
_LISTED = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def elsewhere(folder: int, own: Mapping[str, int]) -> tuple[Elsewhere, ...]:
    """The threads of a process that are not where the process is (``own``), by number; those that end are passed over.

    Raises OSError where the process ended.
    """
    expected = [(kind, f"/ns/{kind}", f"{kind}:[{own[kind]}]") for kind in OF_THREADS if kind in own]
    tasks = os.open("task", _LISTED, dir_fd=folder)
    try:
        found = [each for tid in os.listdir(tasks) for each in _of_thread(tasks, tid, expected)]
    finally:
        os.close(tasks)
    return tuple(sorted(found, key=lambda each: (each.tid, each.type)))


def _of_thread(tasks: int, tid: str, expected: list[tuple[str, str, str]]) -> Iterator[Elsewhere]:
    try:
        for kind, path, here in expected:
            there = os.readlink(tid + path, dir_fd=tasks)
            if there != here and (number := inode(there, kind)) is not None:
                yield Elsewhere(int(tid), kind, number)
    except OSError:
        return


def survivor(folder: int, pid: int) -> int:
    """The folder of a thread that runs on where the first one of a process has ended; to be closed.

    Raises OSError where there is none.
    """
    tasks = os.open("task", _LISTED, dir_fd=folder)
    try:
        others = sorted(int(name) for name in os.listdir(tasks) if name != str(pid))
        if not others:
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        return os.open(str(others[0]), FOLDER, dir_fd=tasks)
    finally:
        os.close(tasks)
