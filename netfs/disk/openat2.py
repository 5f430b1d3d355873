"""Opening a path that somebody else may have made, below a descriptor and never outside it: openat2(2).

Two ways. ``open_beneath`` is for the files of a layer: no symlink is followed and no mount entered, as overlayfs
itself does not. ``open_in_root`` is for an engine's own files: symlinks are followed, and lead where they would lead
if the descriptor were ``/`` (chroot(2)).

Where the kernel has no openat2 (before 5.6) or a seccomp filter forbids it, the same is done component by component.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import stat
from collections.abc import Callable

from netfs.disk.descriptor import Descriptor
from netfs.disk.names import refused

# include/uapi/linux/openat2.h, asm-generic/unistd.h, linux/magic.h
_OPENAT2 = 437
_RESOLVE_NO_XDEV, _RESOLVE_NO_MAGICLINKS, _RESOLVE_NO_SYMLINKS = 0x01, 0x02, 0x04
_RESOLVE_BENEATH, _RESOLVE_IN_ROOT = 0x08, 0x10
_BENEATH = _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS | _RESOLVE_NO_MAGICLINKS | _RESOLVE_NO_XDEV
_IN_ROOT = _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS
_PROC_SUPER_MAGIC = 0x9FA0

_RETRIES = 1000
_LINKS = 40
"""Symlinks in one path (MAXSYMLINKS, include/linux/namei.h)."""
_DEPTH = 255
"""Components that ``walk`` holds open at once."""
_PATH_MAX = 4096
_LISTED = os.O_RDONLY | os.O_DIRECTORY


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_HOW_BYTES = ctypes.sizeof(_How)
_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long
_syscall.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(_How), ctypes.c_size_t)


@functools.cache
def _how(flags: int, resolve: int) -> ctypes.Array[_How]:
    return (_How * 1)(_How(flags, 0, resolve))


def _openat2(fd: int, path: bytes, flags: int, resolve: int) -> int:
    how = _how(flags, resolve)
    for _ in range(_RETRIES):
        opened: int = _syscall(_OPENAT2, fd, path, how, _HOW_BYTES)
        if opened >= 0:
            return opened
        code = ctypes.get_errno()
        # EAGAIN: something was renamed while ".." was resolved; the kernel asks for another try.
        if code not in {errno.EAGAIN, errno.EINTR}:
            raise refused(code, path)
    raise refused(errno.EAGAIN, path)


@functools.cache
def in_kernel() -> bool:
    """Whether this process may use openat2(2)."""
    try:
        os.close(_openat2(-1, b"/", os.O_PATH | os.O_CLOEXEC, 0))
    except OSError:
        return False
    return True


def open_beneath(fd: int, path: bytes, flags: int) -> int:
    """Open a relative path without following a symlink or entering a mount.

    ``path`` holds no ``..`` and no NUL. Raises OSError: EXDEV where something is mounted on the way; ENOTDIR or ELOOP
    where a symlink is on the way. A symlink at the end is opened itself, which takes O_PATH.
    """
    flags |= os.O_NOFOLLOW | os.O_CLOEXEC
    return _openat2(fd, path, flags, _BENEATH) if in_kernel() else _stepwise(fd, path, flags)


def open_in_root(fd: int, path: bytes, flags: int) -> int:
    """Open a path as if the directory ``fd`` were ``/``.

    ``path`` holds no NUL. Raises OSError: ELOOP where it leads through a magic link (``/proc/PID/root``) or more than
    40 symlinks.
    """
    if in_kernel():
        return _openat2(fd, path or b"/", flags | os.O_CLOEXEC, _IN_ROOT)
    _, found = walk(fd, path, follow=not flags & os.O_NOFOLLOW)
    if flags & os.O_PATH and not flags & os.O_DIRECTORY:
        return found
    try:
        return _again(found, flags)
    finally:
        os.close(found)


def walk(root: int, path: bytes, *, follow: bool = True) -> tuple[list[bytes], int]:
    """Follow a path as if ``root`` were ``/``: its components with all symlinks resolved, and an O_PATH descriptor.

    ``follow``: whether a symlink at the end is followed too. Raises OSError as openat2 with RESOLVE_IN_ROOT does; also
    ENAMETOOLONG where the result has more than 255 components, and ELOOP for every symlink of procfs.
    """
    if len(path) >= _PATH_MAX:
        raise refused(errno.ENAMETOOLONG, path)
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
                raise refused(errno.ENAMETOOLONG, path)
            held.append(os.open(part, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=held[-1]))
            names.append(part)
            mode = os.fstat(held[-1]).st_mode
            if stat.S_ISLNK(mode) and (todo or follow):
                links += 1
                target = _target(held[-1], path, links)
                stay = 0 if target.startswith(b"/") else len(names) - 1
                _close(held, stay + 1)
                del names[stay:]
                todo += target.split(b"/")[::-1]
            elif todo and not stat.S_ISDIR(mode):
                raise refused(errno.ENOTDIR, path)
        return names, held.pop()
    finally:
        _close(held, 0)


def _target(link: int, path: bytes, links: int) -> bytes:
    """What a symlink says, if it is followed."""
    if links > _LINKS or _is_procfs(link):
        raise refused(errno.ELOOP, path)
    return os.readlink(b"", dir_fd=link)


def _close(held: list[int], keep: int) -> None:
    while len(held) > keep:
        os.close(held.pop())


def _is_procfs(fd: int) -> bool:
    """statfs(2): whether the object is one of procfs, whose symlinks may be doors instead of texts."""
    buffer = (ctypes.c_long * 32)()
    if _libc.fstatfs(ctypes.c_int(fd), buffer):
        raise refused(ctypes.get_errno())
    return buffer[0] == _PROC_SUPER_MAGIC


def _again(found: int, flags: int) -> int:
    """Open what an O_PATH descriptor refers to."""
    return os.open(f"/proc/self/fd/{found}", flags & ~os.O_NOFOLLOW | os.O_CLOEXEC)


def open_directory(opener: Callable[[int, bytes, int], int], fd: int, path: bytes) -> Descriptor:
    """Open a directory by one of the two ways, such that it can be listed and keeps its atime, where that is allowed.

    One that may be searched but not listed is opened with O_PATH. Raises OSError: ENOTDIR where it is none.
    """
    try:
        return Descriptor(opener(fd, path, _LISTED | os.O_NOATIME), readable=True)
    except PermissionError:
        try:
            return Descriptor(opener(fd, path, _LISTED), readable=True)
        except PermissionError:
            return Descriptor(opener(fd, path, os.O_PATH | os.O_DIRECTORY))


def _stepwise(fd: int, path: bytes, flags: int) -> int:
    """``open_beneath`` without openat2."""
    parts = path.split(b"/")
    here = fd
    try:
        for part in parts[:-1]:
            below = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            if here != fd:
                os.close(here)
            here = below
        # Nothing but an O_PATH descriptor may be opened before its mount is known: a device, a FIFO could be there.
        found = os.open(parts[-1], os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC | flags & os.O_DIRECTORY, dir_fd=here)
    finally:
        if here != fd:
            os.close(here)
    try:
        # The way led down only: whoever entered a mount has not left it again.
        if mount_id(found) != mount_id(fd):
            raise refused(errno.EXDEV, path)
        return os.dup(found) if flags & os.O_PATH else _again(found, flags)
    finally:
        os.close(found)


def mount_id(fd: int) -> int:
    """The mount that a descriptor was opened on (proc_pid_fdinfo(5))."""
    with open(f"/proc/self/fdinfo/{fd}", encoding="ascii", errors="replace") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name == "mnt_id":
                return int(value)
    raise refused(errno.ENOSYS)
