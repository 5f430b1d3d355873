"""Namespaces as files: their identity, and the way into them (setns(2), namespaces(7))."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

CLONE_FS = 0x200
CLONE_NEWNS = 0x20000
CLONE_NEWNET = 0x40000000
OWN = "/proc/thread-self/ns/net"

T = TypeVar("T")
_libc = ctypes.CDLL(None, use_errno=True)


def inode(path: str) -> int:
    """The namespace's inode on nsfs. Raises OSError."""
    return os.stat(path).st_ino


@contextmanager
def opened(path: str) -> Iterator[int]:
    """The nsfs file, open for reading. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def enter(fd: int) -> None:
    """Move the calling thread into the network namespace ``fd``. Raises OSError."""
    _checked(_libc.setns(fd, CLONE_NEWNET))


def enter_mounts(fd: int) -> None:
    """Move the calling thread alone into the mount namespace ``fd``, with its root. Raises OSError.

    Whoever shares root and working directory with other threads may not (setns(2), CLONE_NEWNS).
    """
    _checked(_libc.unshare(CLONE_FS))
    _checked(_libc.setns(fd, CLONE_NEWNS))


def _checked(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def apart(work: Callable[[], T]) -> T:
    """Run ``work`` in a thread that ends with it, so that no caller is left in a foreign namespace."""
    results: list[T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as failure:  # noqa: BLE001 -- raised again below, in the caller's thread
            failures.append(failure)

    thread = threading.Thread(target=run, name="netfs-collect", daemon=True)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]
