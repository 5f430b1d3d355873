"""What the kernel shows of a mounted tree, in words that can be compared."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import NamedTuple


class Seen(NamedTuple):
    """An object: lstat, its target, its content, its extended attributes."""

    mode: int
    uid: int
    gid: int
    rdev: int
    size: int
    """Of a directory 0: file systems count as they like."""
    nlink: int
    """Of a directory 0, for the same reason."""
    mtime_ns: int
    target: str = ""
    digest: str = ""
    xattrs: tuple[tuple[str, bytes], ...] = ()


def one(path: str) -> Seen:
    """An object, as lstat and read give it."""
    status = os.lstat(path)
    folder = stat.S_ISDIR(status.st_mode)
    digest = ""
    if stat.S_ISREG(status.st_mode):
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Seen(
        status.st_mode,
        status.st_uid,
        status.st_gid,
        status.st_rdev,
        0 if folder else status.st_size,
        0 if folder else status.st_nlink,
        status.st_mtime_ns,
        os.readlink(path) if stat.S_ISLNK(status.st_mode) else "",
        digest,
        tuple(
            (name, os.getxattr(path, name, follow_symlinks=False))
            for name in sorted(os.listxattr(path, follow_symlinks=False))
        ),
    )


def tree(root: str) -> dict[str, Seen]:
    """Everything on the file system at ``root``, by its path from there; the root itself is ``/``."""
    device = os.lstat(root).st_dev
    found = {"/": one(root)}
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        for entry in os.scandir(root + folder):
            path = f"{folder}/{entry.name}"
            found[path] = one(root + path)
            if entry.is_dir(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_dev == device:
                waiting.append(path)
    return found
