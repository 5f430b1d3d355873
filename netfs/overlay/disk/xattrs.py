"""Extended attributes of files that strangers wrote: read without opening what they belong to, and bounded."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
from collections.abc import Mapping

from netfs.disk.descriptor import Descriptor
from netfs.disk.names import refused

TOTAL_BYTES = 1 << 20
"""All xattrs of one object, names and values. The kernel bounds a value and the list of names to 64 KiB each
(XATTR_SIZE_MAX, XATTR_LIST_MAX), which leaves room for half a gigabyte."""

_CAP_SYS_ADMIN = 21
_INITIAL_USER_NAMESPACE = 0xEFFFFFFD
"""PROC_USER_INIT_INO (include/linux/proc_ns.h): the inode of the first user namespace, on every kernel."""
_LISTXATTRAT = 465  # include/uapi/asm-generic/unistd.h
_AT_SYMLINK_NOFOLLOW = 0x100
_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long
_syscall.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint, ctypes.c_void_p, ctypes.c_size_t)

_NONE_THERE = frozenset({errno.ENODATA, errno.EOPNOTSUPP, errno.ENOENT})


def _place(directory: Descriptor, name: bytes) -> bytes | int:
    """An entry of an open directory, or (``b""``) that itself, as os.getxattr takes it.

    fgetxattr(2) needs a file that is open for reading, and some must not or cannot be opened. The entries of
    /proc/self/fd are doors: a path through one leads where the descriptor leads.
    """
    if name:
        return b"/proc/self/fd/%d/%b" % (directory.fd, name)
    return directory.fd if directory.readable else b"/proc/self/fd/%d" % directory.fd


def _listxattrat(fd: int, name: bytes) -> int:
    """Bytes that the list of an entry's xattrs takes, no symlink followed; -1: an error."""
    size: int = _syscall(_LISTXATTRAT, fd, name, _AT_SYMLINK_NOFOLLOW, None, 0)
    return size


@functools.cache
def _in_kernel() -> bool:
    """Whether this process may use listxattrat(2), which came with Linux 6.13."""
    return _listxattrat(-1, b"/") >= 0


def value(directory: Descriptor, name: bytes, key: str) -> bytes | None:
    """The xattr ``key`` of an entry of ``directory``; ``b""`` is the directory itself.

    None: it has none, or is not there. Raises OSError for all else: EACCES for ``user.*`` of what may not be read.
    """
    # Most files have none at all. This says so in half the time, as it needs no way through /proc.
    if name and _in_kernel() and _listxattrat(directory.fd, name) == 0:
        return None
    try:
        return os.getxattr(_place(directory, name), key, follow_symlinks=not name)
    except OSError as error:
        # xattr(7): only files and directories have user.*; file systems may say so with EPERM.
        if error.errno in _NONE_THERE or (error.errno == errno.EPERM and key.startswith("user.")):
            return None
        raise


def names(directory: Descriptor, name: bytes) -> list[str]:
    """The names of an entry's xattrs that this process may see."""
    try:
        return os.listxattr(_place(directory, name), follow_symlinks=not name)
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return []
        raise


def every(directory: Descriptor, name: bytes) -> Mapping[str, bytes]:
    """All xattrs of an entry. Raises OSError: E2BIG where they are larger than ``TOTAL_BYTES`` together."""
    found: dict[str, bytes] = {}
    left = TOTAL_BYTES
    for key in names(directory, name):
        held = value(directory, name, key)
        if held is not None:
            found[key] = held
            left -= len(key) + len(held)
        if left < 0:
            raise refused(errno.E2BIG)
    return found


def trusted_is_readable() -> bool:
    """Whether this thread sees ``trusted.*``.

    It takes CAP_SYS_ADMIN in the initial user namespace (xattr_permission, fs/xattr.c); whoever has it not is told that
    there are none. False as well where it cannot be told.
    """
    try:
        with open("/proc/thread-self/status", encoding="ascii", errors="replace") as file:
            effective = next(int(line.split()[1], 16) for line in file if line.startswith("CapEff:"))
        inode = os.stat("/proc/self/ns/user").st_ino
    except (OSError, StopIteration, ValueError):
        return False
    return bool(effective >> _CAP_SYS_ADMIN & 1) and inode == _INITIAL_USER_NAMESPACE
