"""What a store's file system says of every file: it changes where anything was written, and where anything was read."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

TRIES = 3


def listing(folder: str) -> dict[str, tuple[int, ...]]:
    """Inode, mode, size and the three times of everything on the file system at ``folder``.

    The file systems mounted in it are left alone. It leaves no trace itself.
    """
    found: dict[str, tuple[int, ...]] = {}
    device = os.lstat(folder).st_dev
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        descriptor = os.open(here, os.O_RDONLY | os.O_DIRECTORY | os.O_NOATIME | os.O_NOFOLLOW)
        try:
            for name in os.listdir(descriptor):
                path = f"{here}/{name}"
                status = os.lstat(path)
                found[path] = _facts(status)
                if stat.S_ISDIR(status.st_mode) and status.st_dev == device:
                    waiting.append(path)
        finally:
            os.close(descriptor)
    return found


def _facts(status: os.stat_result) -> tuple[int, ...]:
    # readlink(2) always notes the access; there is no way to read a target without
    accessed = 0 if stat.S_ISLNK(status.st_mode) else status.st_atime_ns
    return (status.st_ino, status.st_mode, status.st_size, accessed, status.st_mtime_ns, status.st_ctime_ns)


def untouched(work: Callable[[], object], *folders: str) -> None:
    """Asserts that ``work`` wrote and read nothing below the directories; and that it would have been seen.

    It is done again where something changed: a container that runs reads its own files now and then, work each time.
    """
    for _ in range(TRIES):
        before = [listing(folder) for folder in folders]
        work()
        after = [listing(folder) for folder in folders]
        if before == after:
            break
    changed = {
        path: (one.get(path), two.get(path))
        for one, two in zip(before, after, strict=True)
        for path in one | two
        if one.get(path) != two.get(path)
    }
    assert not changed
    for folder, found in zip(folders, after, strict=True):
        one = next(path for path, (_, mode, size, *_) in found.items() if stat.S_ISREG(mode) and size)
        Path(one).read_bytes()
        assert listing(folder) != found, "this file system does not tell who reads"
