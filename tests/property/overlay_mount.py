"""Mounts without a mount point: fsopen(2), fsconfig(2), fsmount(2) give a descriptor, and closing it unmounts.

Each layer is handed over by a call of its own (``lowerdir+``, ``datadir+``: Linux 6.8), so nothing has to be escaped
and hundreds fit. A value is at most 255 bytes long: callers stand in the folder that holds the layers.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

_libc = ctypes.CDLL(None, use_errno=True)
_FSOPEN, _FSCONFIG, _FSMOUNT, _OPENAT2 = 430, 431, 432, 437
_SET_FLAG, _SET_STRING, _CMD_CREATE = 0, 1, 6
_CLOEXEC = 1
_RESOLVE_IN_ROOT = 0x10


def _call(number: int, *arguments: int | bytes | None) -> int:
    result = int(_libc.syscall(ctypes.c_long(number), *(_word(argument) for argument in arguments)))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def _word(argument: int | bytes | None) -> ctypes.c_long | ctypes.c_char_p:
    return ctypes.c_long(argument) if isinstance(argument, int) else ctypes.c_char_p(argument)


@contextmanager
def mounted(options: Iterable[tuple[str, str | None]], kind: str = "overlay") -> Iterator[str]:
    """The path of a new mount's root. Raises OSError where the kernel refuses it."""
    context = _call(_FSOPEN, kind.encode(), _CLOEXEC)
    try:
        for key, value in options:
            if value is None:
                _call(_FSCONFIG, context, _SET_FLAG, key.encode(), None, 0)
            else:
                _call(_FSCONFIG, context, _SET_STRING, key.encode(), os.fsencode(value), 0)
        _call(_FSCONFIG, context, _CMD_CREATE, None, None, 0)
        mount = _call(_FSMOUNT, context, _CLOEXEC, 0)
    finally:
        os.close(context)
    try:
        yield f"/proc/self/fd/{mount}/"
    finally:
        os.close(mount)


def resolved(root: str, path: str) -> str:
    """Where a path leads for a process that has that root: the path without symlinks. Raises OSError as open(2)."""
    folder = os.open(root, os.O_PATH)
    try:
        how = struct.pack("=QQQ", os.O_PATH | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT)
        found = -1
        while found < 0:
            with suppress(BlockingIOError):  # something else was mounted or renamed just then; openat2(2), EAGAIN
                found = _call(_OPENAT2, folder, os.fsencode(path), how, len(how))
    finally:
        os.close(folder)
    try:
        return os.readlink(f"/proc/self/fd/{found}")
    finally:
        os.close(found)


def mount_tmpfs(where: str) -> None:
    """A tmpfs at a folder of this mount namespace."""
    if _libc.mount(b"tmpfs", os.fsencode(where), b"tmpfs", ctypes.c_ulong(0), b"mode=0755"):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), where)


def unmount(where: str) -> None:
    """Takes it away, whoever still looks into it (MNT_DETACH)."""
    if _libc.umount2(os.fsencode(where), 2):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), where)
