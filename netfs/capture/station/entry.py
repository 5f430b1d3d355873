"""The ways in: a process's user namespace, a post's network namespace."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from netfs.capture.station.order import Post
from netfs.collect import nsfs

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def join(pid: int) -> None:
    """Enter the user namespace of a process, unless we are in it; with one thread only (user_namespaces(7)).

    Raises OSError.
    """
    path = f"/proc/{pid}/ns/user"
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if os.fstat(fd).st_ino == os.stat("/proc/self/ns/user").st_ino:
            return
        if _libc.setns(fd, CLONE_NEWUSER) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), path)
    finally:
        os.close(fd)


@contextmanager
def named(what: str, needs: str = "") -> Iterator[None]:
    """Whatever the kernel refuses in here is called ``what``, and by the capability that it needs. Raises OSError."""
    try:
        yield
    except OSError as failure:
        told = failure.strerror or str(failure)
        if needs and failure.errno in {errno.EPERM, errno.EACCES}:
            told = f"{told} (it needs {needs})"
        raise OSError(failure.errno, told, what) from None


def enter(post: Post) -> None:
    """Move the calling thread into a post's namespace. Raises OSError, also where the path leads elsewhere by now."""
    with named(post.path, "CAP_SYS_PTRACE"):
        fd = os.open(post.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        found = os.fstat(fd).st_ino
        if found != post.inode:
            raise OSError(0, f"is another namespace by now ({found}, not {post.inode})", post.path)
        with named(post.path, "CAP_SYS_ADMIN"):
            nsfs.enter(fd)
    finally:
        os.close(fd)


def die_with_parent() -> None:
    """End when the thread that started this process ends (prctl(2)); joining a user namespace takes this back."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def why(failure: OSError) -> str:
    """What the kernel refused, and where."""
    what = failure.strerror or str(failure)
    return f"{failure.filename}: {what}" if failure.filename else what
