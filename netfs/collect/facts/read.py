"""What is looked up of one process only: the first of a container."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from typing import NamedTuple

from netfs.collect import mountinfo, threads
from netfs.collect.facts.attempts import Attempts, reason
from netfs.collect.facts.inside import File, read_inside
from netfs.collect.facts.privileges import privileges
from netfs.collect.facts.resolver import hosts, resolver
from netfs.collect.facts.whence import source
from netfs.collect.procfs import FOLDER, read_all, read_stat, text
from netfs.model.gaps import Gap
from netfs.model.process_facts import MountPoint, Privileges, ProcessFacts, Resolver
from netfs.model.processes import Process

MOST_ARGUMENTS = 1 << 17
"""Bytes of a command line that are read: a process may be given, or give itself, as long a one as it likes."""
MOST_NAMES = 1 << 20
"""Bytes of resolv.conf and hosts that are read."""
RESOLVER, HOSTS = "/etc/resolv.conf", "/etc/hosts"
_FILES = re.compile(rb"^Max open files +([0-9]+) ", re.MULTILINE)
_LISTED = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Facts(NamedTuple):
    """What was found of a process."""

    facts: ProcessFacts | None
    """None: it ended, or may not be looked at; a gap says which."""
    gaps: tuple[Gap, ...]


def facts(process: Process, proc: str = "/proc") -> Facts:
    """Everything of one process. One that was started at another time is another, and is not read.

    That time is told in clock ticks (10 ms): who takes over a number within one is not told apart. The kernel gives a
    number again after all others only.

    All is read through one descriptor of its folder, see ``procfs``. Where the first thread has ended and others run
    on, it is read of one of those.
    """
    where = f"{proc}/{process.pid}"
    try:
        folder = os.open(where, FOLDER)
        try:
            return _facts(process, proc, folder)
        finally:
            os.close(folder)
    except (FileNotFoundError, ProcessLookupError):
        return _none(where, "it ended, or is hidden by now")
    except PermissionError as error:
        return _none(where, f"it may not be looked at: {reason(error)}")
    except OSError as error:
        return _none(where, f"it could not be read: {reason(error)}")


def _facts(process: Process, proc: str, folder: int) -> Facts:
    where = f"{proc}/{process.pid}"
    stat = read_stat(folder)
    if stat.started != process.started:
        return _none(where, "it ended, and its number is another's now")
    attempts = Attempts(where)
    if stat.ending:
        thread = threads.survivor(folder, process.pid)
        try:
            found = _found(process.pid, thread, proc, attempts)
        finally:
            os.close(thread)
    else:
        found = _found(process.pid, folder, proc, attempts)
    after = read_stat(folder)
    if after.ending and after.threads <= 1:
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))  # what it gave up meanwhile is missing
    return Facts(found, attempts.gaps())


def _none(where: str, why: str) -> Facts:
    return Facts(None, (Gap(where, "process", why),))


def _found(pid: int, folder: int, proc: str, attempts: Attempts) -> ProcessFacts:
    root = attempts.of("root", lambda: os.readlink("root", dir_fd=folder), "/")
    none: tuple[MountPoint, ...] = ()
    mounts = attempts.of("mounts", lambda: _mounts(folder, attempts), none)
    return ProcessFacts(
        pid=pid,
        command=attempts.of("command", lambda: _command(folder, attempts), ()),
        executable=attempts.of("executable", lambda: _within(root, os.readlink("exe", dir_fd=folder)), ""),
        directory=attempts.of("directory", lambda: _within(root, os.readlink("cwd", dir_fd=folder)), ""),
        privileges=attempts.of("privileges", lambda: privileges(folder, proc, attempts), Privileges()),
        mounts=mounts,
        resolver=attempts.of(RESOLVER, lambda: _resolver(folder, mounts, attempts), None),
        hosts=attempts.of(HOSTS, lambda: hosts(_below_root(folder, HOSTS, attempts).data), {}),
        open_files=attempts.of("open files", lambda: _open_files(folder), None),
        open_files_limit=attempts.of("limits", lambda: open_files_limit(read_all(folder, "limits")), None),
        oom_score_adjust=attempts.of("oom_score_adj", lambda: _number(read_all(folder, "oom_score_adj")), None),
    )


def _resolver(folder: int, mounts: Sequence[MountPoint], attempts: Attempts) -> Resolver:
    file = _below_root(folder, RESOLVER, attempts)
    return resolver(file.data, source(file, mounts, _own_mounts))


def _below_root(folder: int, path: str, attempts: Attempts) -> File:
    root = os.open("root", FOLDER, dir_fd=folder)
    try:
        file = read_inside(root, path, MOST_NAMES)
    finally:
        os.close(root)
    if len(file.data) == MOST_NAMES:
        attempts.cut(path, MOST_NAMES)
    return file


def _own_mounts() -> tuple[MountPoint, ...]:
    with open("/proc/self/mountinfo", "rb") as mounts:
        return mountinfo.parse(mounts.read(mountinfo.MOST_BYTES))


def _mounts(folder: int, attempts: Attempts) -> tuple[MountPoint, ...]:
    data = read_all(folder, "mountinfo", mountinfo.MOST_BYTES)
    if len(data) == mountinfo.MOST_BYTES:
        attempts.cut("mounts", mountinfo.MOST_BYTES)
        data = data[: data.rfind(b"\n")]
    return mountinfo.parse(data)


def _command(folder: int, attempts: Attempts) -> tuple[str, ...]:
    data = read_all(folder, "cmdline", MOST_ARGUMENTS)
    if len(data) == MOST_ARGUMENTS:
        attempts.cut("command", MOST_ARGUMENTS)
    return command(data)


def command(cmdline: bytes) -> tuple[str, ...]:
    """/proc/PID/cmdline: the arguments, each ended by NUL, but where the process has written over them."""
    return tuple(text(argument) for argument in cmdline.removesuffix(b"\0").split(b"\0")) if cmdline else ()


def _within(root: str, path: str) -> str:
    """A path as the kernel shows it, from the root of the process where that is a folder of its mounts (chroot(2))."""
    if path == root:
        return "/"
    return path.removeprefix(root) if root != "/" and path.startswith(f"{root}/") else path


def open_files_limit(limits: bytes) -> int | None:
    """The soft one of /proc/PID/limits; None: it is not told."""
    found = _FILES.search(limits)
    return int(found[1]) if found else None


def _open_files(folder: int) -> int:
    files = os.open("fd", _LISTED, dir_fd=folder)
    try:
        return len(os.listdir(files))
    finally:
        os.close(files)


def _number(data: bytes) -> int | None:
    try:
        return int(data)
    except ValueError:
        return None
