"""Whose a socket is: by the descriptors of processes (proc_pid_fd(5))."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping

from netfs.collect.procfs import FOLDER, inode, read_stat
from netfs.model.processes import Process

_LISTED = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def owners(processes: Iterable[Process], proc: str = "/proc") -> Mapping[int, tuple[int, ...]]:
    """The pids that have a socket open, by the socket's inode, in the order of ``processes``.

    A process that ended, whose number is another's by now, or that may not be looked at, has none.
    """
    found: dict[int, list[int]] = {}
    for process in processes:
        for number in dict.fromkeys(_sockets(process, proc)):
            found.setdefault(number, []).append(process.pid)
    return {number: tuple(pids) for number, pids in found.items()}


def _sockets(process: Process, proc: str) -> Iterator[int]:
    try:
        folder = os.open(f"{proc}/{process.pid}", FOLDER)
    except OSError:
        return
    try:
        if read_stat(folder).started == process.started:
            yield from _open_sockets(folder)
    except OSError:
        return
    finally:
        os.close(folder)


def _open_sockets(folder: int) -> Iterator[int]:
    files = os.open("fd", _LISTED, dir_fd=folder)
    try:
        for name in os.listdir(files):
            try:
                number = inode(os.readlink(name, dir_fd=files), "socket")
            except FileNotFoundError:
                continue  # closed meanwhile
            if number is not None:
                yield number
    finally:
        os.close(files)
