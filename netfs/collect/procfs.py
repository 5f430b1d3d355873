"""The folder of a process in /proc: held open, read, and its small files taken apart (proc(5)).

A descriptor of /proc/PID belongs to the process, not to the number: once the process has been waited for, whatever is
below answers ENOENT or ESRCH, even where the number was given to another (``get_proc_task``, fs/proc/internal.h). So
what is read through one descriptor is of one process. A pidfd (pidfd_open(2)) is made from a number too and would hold
the same ``struct pid``: it adds nothing, and the folder is needed anyway.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping
from typing import NamedTuple

FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_CLOEXEC
KERNEL_THREAD = 0x00200000
"""PF_KTHREAD (include/linux/sched.h)."""
EXITING = 0x00000004
"""PF_EXITING: set before anything is given up."""

_CHUNK = 4096
_MOST = 1 << 20
_DIGITS = 20
"""Of a number of 64 bits."""
_NSPID = re.compile(rb"^NSpid:((?:\t[0-9]{1,10})+)$", re.MULTILINE)


class Stat(NamedTuple):
    """What is used of /proc/PID/stat (proc_pid_stat(5))."""

    comm: str
    state: str
    ppid: int
    flags: int
    threads: int
    started: int

    @property
    def ending(self) -> bool:
        """It exits, or nobody has waited for it yet. Other threads may run on (pthread_exit(3) of the first one)."""
        return bool(self.flags & EXITING) or self.state in {"Z", "X", "x"}

    @property
    def is_kernel_thread(self) -> bool:
        """It runs no program."""
        return bool(self.flags & KERNEL_THREAD)


def text(data: bytes) -> str:
    """Text as a process gave it; bytes that are no UTF-8 are kept as lone surrogates."""
    return data.decode("utf-8", "surrogateescape")


def read(folder: int, name: str) -> bytes:
    """A file that the kernel writes in one piece (``single_open``): stat, status, cgroup.

    Raises OSError; ENOENT or ESRCH: the process ended.
    """
    fd = os.open(name, FILE, dir_fd=folder)
    try:
        data = os.read(fd, _CHUNK)
        return data if len(data) < _CHUNK else data + _rest(fd, _MOST)
    finally:
        os.close(fd)


def read_all(folder: int, name: str, most: int = _MOST) -> bytes:
    """Any file, at most ``most`` bytes of it. Raises OSError as above."""
    fd = os.open(name, FILE, dir_fd=folder)
    try:
        return _rest(fd, most)
    finally:
        os.close(fd)


def _rest(fd: int, most: int) -> bytes:
    chunks = []
    while most > 0 and (data := os.read(fd, min(most, 1 << 16))):
        chunks.append(data)
        most -= len(data)
    return b"".join(chunks)


def stat(data: bytes) -> Stat | None:
    """/proc/PID/stat; None where it has not that form.

    The name stands in parentheses and may hold any byte but NUL, so that the last one ends it.
    """
    begin, end = data.find(b"("), data.rfind(b")")
    fields = data[end + 2 :].split(b" ", 20)
    if not 0 < begin < end or len(fields) < 20:
        return None
    try:
        return Stat(
            comm=text(data[begin + 1 : end]),
            state=fields[0].decode("ascii"),
            ppid=int(fields[1]),
            flags=int(fields[6]),
            threads=int(fields[17]),
            started=int(fields[19]),
        )
    except ValueError:
        return None


def read_stat(folder: int) -> Stat:
    """/proc/PID/stat. Raises OSError; ESRCH also where it is damaged, which the kernel's own never is."""
    found = stat(read(folder, "stat"))
    if found is None:
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
    return found


def cgroups(data: bytes) -> Mapping[str, str]:
    """/proc/PID/cgroup: path by controllers (cgroups(7)). A line of another form is left out.

    A path may hold a colon, and no newline (``cgroup_mkdir``, kernel/cgroup/cgroup.c).
    """
    found = {}
    for line in data.split(b"\n"):
        fields = line.split(b":", 2)
        if len(fields) == 3 and fields[0].isdigit() and fields[2].startswith(b"/"):
            found[text(fields[1])] = text(fields[2])
    return found


def pids(status: bytes) -> tuple[int, ...]:
    """``NSpid`` of /proc/PID/status: the process's pid in each PID namespace; empty: it is not told (before 4.1).

    The name, which stands before it, is written there without newlines (``proc_task_name``, fs/proc/array.c).
    """
    found = _NSPID.search(status)
    return tuple(int(number) for number in found[1].split()) if found else ()


def inode(link: str, kind: str) -> int | None:
    """4026531840 of ``net:[4026531840]``; None where it is no namespace of that type."""
    before, _, number = link.partition(":[")
    if before != kind or number[-1:] != "]":
        return None
    number = number[:-1]
    return int(number) if number.isascii() and number.isdecimal() and len(number) <= _DIGITS else None
