"""What a store's file system says of every file: it changes where anything was written, and where anything was read."""

from __future__ import annotations

import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


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


@contextmanager
def untouched(folder: str) -> Generator[None]:
    """Asserts that nothing below a directory was written or read; and that it would have been seen."""
    before = listing(folder)
    yield
    after = listing(folder)
    changed = {path for path in before | after if before.get(path) != after.get(path)}
    assert not changed, {path: (before.get(path), after.get(path)) for path in changed}
    one = next(path for path, (_, mode, size, *_) in after.items() if stat.S_ISREG(mode) and size)
    Path(one).read_bytes()
    assert listing(folder) != after, "this file system does not tell who reads"
