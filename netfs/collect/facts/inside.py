"""Files below a process's root: every symlink leads where it leads for that process, never out of its root.

The way is gone component by component (``disk.openat2.walk``), each held open: the path that a file really has is told
by it as well, by which the mount over it is found.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from netfs.collect.procfs import text
from netfs.disk.openat2 import walk
from netfs.disk.regular import read_regular

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
    more than 40 symlinks and for those of procfs, which may be doors (``/proc/PID/root``).
    """
    names, found = walk(root, os.fsencode(path))
    try:
        return File("/" + text(b"/".join(names)), _mount_id(found), os.fstat(found), read_regular(found, 0, most))
    finally:
        os.close(found)


def _mount_id(found: int) -> int | None:
    """The mount that a descriptor was opened on (proc_pid_fdinfo(5))."""
    with open(f"/proc/self/fdinfo/{found}", encoding="ascii", errors="replace") as file:
        said = _MOUNT_ID.search(file.read())
    return int(said[1]) if said else None
