"""Files below a process's root: every symlink leads where it leads for that process, never out of its root.

The way is gone component by component, each held open and none followed by the kernel, so that whoever owns the files
may rename them meanwhile: nothing else is reached by it. That is what openat2(2) does with RESOLVE_IN_ROOT; done by
hand it needs no kernel of 5.6, no seccomp filter that lets it pass, and nothing but the standard library. A link of
procfs, which may be a door (``/proc/PID/root``), is taken for the text that it shows, like any other.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from typing import NamedTuple

from netfs.collect.procfs import text

_STEP = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
_LINKS = 40
"""Symlinks in one path (MAXSYMLINKS, include/linux/namei.h)."""
_DEPTH = 255
"""Components that are held open at once."""
_CHUNK = 1 << 16
_MOUNT_ID = re.compile(r"^mnt_id:\t([0-9]+)$", re.MULTILINE)


class File(NamedTuple):
    """A regular file, as it was found."""

    path: str
    """From the root, without symlinks, with a leading ``/``."""
    mount: int | None
    """The mount it is on (``MountPoint.id``)."""
    status: os.stat_result
    data: bytes


def read_inside(root: int, path: str, most: int) -> File:
    """At most ``most`` bytes of a regular file. ``root`` is a descriptor of a directory.

    Never waits for a FIFO and never opens a device. Raises OSError: EINVAL for anything but a regular file, ELOOP for
    more than 40 symlinks.
    """
    names, found = _walk(root, os.fsencode(path))
    try:
        status = os.fstat(found)
        if not stat.S_ISREG(status.st_mode):
            raise _refused(errno.EINVAL)
        return File("/" + text(b"/".join(names)), _mount_id(found), status, _data(found, most))
    finally:
        os.close(found)


def _walk(root: int, path: bytes) -> tuple[list[bytes], int]:
    """The components of the path without symlinks, and an O_PATH descriptor of what is there; to be closed."""
    names: list[bytes] = []
    held = [os.dup(root)]
    todo = path.split(b"/")[::-1]
    links = 0
    try:
        while todo:
            part = todo.pop()
            if part == b".." and names:
                names.pop()
                os.close(held.pop())
            if part in {b"", b".", b".."}:
                continue
            if len(held) > _DEPTH:
                raise _refused(errno.ENAMETOOLONG)
            held.append(os.open(part, _STEP, dir_fd=held[-1]))
            names.append(part)
            if stat.S_ISLNK(os.fstat(held[-1]).st_mode):
                links += 1
                if links > _LINKS:
                    raise _refused(errno.ELOOP)
                target = os.readlink(b"", dir_fd=held[-1])
                stay = 0 if target.startswith(b"/") else len(names) - 1
                _close(held, stay + 1)
                del names[stay:]
                todo += target.split(b"/")[::-1]
        return names, held.pop()
    finally:
        _close(held, 0)


def _close(held: list[int], keep: int) -> None:
    while len(held) > keep:
        os.close(held.pop())


def _data(found: int, most: int) -> bytes:
    """Opened by the descriptor, not by the name: there is no moment in which the file could become another."""
    path = f"/proc/self/fd/{found}"
    try:
        fd = os.open(path, _READ | os.O_NOATIME)
    except PermissionError:  # O_NOATIME takes the owner, or CAP_FOWNER
        fd = os.open(path, _READ)
    chunks = []
    try:
        while most > 0 and (data := os.read(fd, min(most, _CHUNK))):
            chunks.append(data)
            most -= len(data)
    finally:
        os.close(fd)
    return b"".join(chunks)


def _mount_id(found: int) -> int | None:
    """The mount that a descriptor was opened on (proc_pid_fdinfo(5))."""
    with open(f"/proc/self/fdinfo/{found}", encoding="ascii", errors="replace") as file:
        said = _MOUNT_ID.search(file.read())
    return int(said[1]) if said else None


def _refused(code: int) -> OSError:
    return OSError(code, os.strerror(code))
