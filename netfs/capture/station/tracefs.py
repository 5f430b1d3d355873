"""tracefs, and an instance in it that goes when this process does (Documentation/trace/ftrace.rst, "Instances")."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import secrets
import signal
import time
from typing import NoReturn

PLACES = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")
PREFIX = "netfs-"

_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
"""Numbers of the system calls, the same on all machines that run Kubernetes (Linux 5.2)."""
_FSCONFIG_CMD_CREATE = 6
_PATIENCE = 10.0
"""Seconds for which the warden tries to remove an instance that is still busy."""

_TURNS = 5
"""Times that it is made until nobody sweeps it away."""
_SWEPT = frozenset({errno.ENOENT, errno.ENODEV})
"""What its path, and a file of it that is just being opened, answer then (``tracing_check_open_get_tr``)."""

_libc = ctypes.CDLL(None, use_errno=True)


class Instance:
    """A tracefs instance: a directory, read and written by paths below it."""

    def __init__(self) -> None:
        """Make it. Raises OSError."""
        self.name = ""
        self.root = _tracefs()
        self._folder = self._warden = self._held = -1
        try:
            sweep(self.root)
            for left in reversed(range(_TURNS)):
                try:
                    self._make()
                    break
                except OSError as failure:
                    if not left or failure.errno not in _SWEPT:
                        raise
                    self._let_go()
        except BaseException:
            self.close()
            raise

    def _make(self) -> None:
        """Make the directory, and keep a file of it open: before, another start may sweep it away. Raises OSError."""
        self.name = f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        self._warden = _warden(self.root, f"instances/{self.name}")
        os.mkdir(f"instances/{self.name}", dir_fd=self.root)
        self._folder = _directory(f"instances/{self.name}", self.root)
        self._held = self.open("trace_marker", os.O_WRONLY)

    def open(self, path: str, flags: int) -> int:
        """A file of the instance. Raises OSError."""
        return os.open(path, flags | os.O_CLOEXEC, dir_fd=self._folder)

    def names(self, path: str) -> list[str]:
        """What a directory of the instance holds. Raises OSError."""
        fd = _directory(path, self._folder)
        try:
            return os.listdir(fd)
        finally:
            os.close(fd)

    def write(self, path: str, value: str) -> None:
        """Write a setting. Raises OSError, ``filename`` is the path."""
        fd = self.open(path, os.O_WRONLY | os.O_TRUNC)
        try:
            os.write(fd, value.encode())
        except OSError as failure:
            failure.filename = path
            raise
        finally:
            os.close(fd)

    def read(self, path: str, *, top: bool = False) -> str:
        """Text of a file of the instance, or of tracefs itself. Raises OSError."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.root if top else self._folder)
        with open(fd, encoding="utf-8", errors="replace") as file:
            return file.read()

    def close(self) -> None:
        """Let go of it; the warden removes it (its files must be closed by then, or soon after). Idempotent."""
        self._let_go()
        if self.root >= 0:
            os.close(self.root)
        self.root = -1

    def _let_go(self) -> None:
        if self._held >= 0:
            os.close(self._held)
        if self._warden >= 0:
            with contextlib.suppress(OSError):
                os.write(self._warden, b".")
        for fd in (self._folder, self._warden):
            if fd >= 0:
                os.close(fd)
        self._folder = self._warden = self._held = -1


def sweep(root: int) -> None:
    """Remove instances that a netfs left behind: one in use has an open pipe, and the kernel calls it busy."""
    with contextlib.suppress(OSError):
        folder = _directory("instances", root)
        try:
            for name in os.listdir(folder):
                if name.startswith(PREFIX):
                    with contextlib.suppress(OSError):
                        os.rmdir(name, dir_fd=folder)
        finally:
            os.close(folder)


def _directory(path: str, folder: int | None = None) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)


def _tracefs() -> int:
    """tracefs' top directory: where it is mounted, else mounted for this one descriptor alone. Raises OSError."""
    for place in PLACES:
        with contextlib.suppress(OSError):
            fd = _directory(place)
            try:
                os.stat("instances", dir_fd=fd)
                return fd
            except OSError:
                os.close(fd)
    mount = _mount()
    try:
        return _directory(".", mount)
    finally:
        os.close(mount)


def _mount() -> int:
    """A tracefs that is mounted nowhere: fsopen(2), fsconfig(2), fsmount(2). Raises OSError."""
    context = _call(_FSOPEN, ctypes.c_char_p(b"tracefs"), ctypes.c_uint(1))
    try:
        _call(_FSCONFIG, context, ctypes.c_uint(_FSCONFIG_CMD_CREATE), None, None, 0)
        return _call(_FSMOUNT, context, ctypes.c_uint(1), ctypes.c_uint(0))
    finally:
        os.close(context)


def _call(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def _warden(root: int, path: str) -> int:
    """Start a process that removes the instance once the returned descriptor is written to or closed, by kill -9 too.

    It is nobody's child and no member of a terminal's group, and it keeps no other file of this process open.
    """
    hears, told = os.pipe2(os.O_CLOEXEC)
    try:
        child = os.fork()
        if child == 0:
            _watch(hears, root, path)
        os.waitpid(child, 0)
    except OSError:
        os.close(told)
        raise
    finally:
        os.close(hears)
    return told


def _watch(hears: int, root: int, path: str) -> NoReturn:
    """The warden. rmdir waits for the kernel's readers (RCU): tens of milliseconds, which nobody else has to wait."""
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        if os.fork() > 0:
            os._exit(0)
        os.setsid()
        for name in os.listdir("/proc/self/fd"):
            if int(name) not in {hears, root}:
                with contextlib.suppress(OSError):
                    os.close(int(name))
        os.read(hears, 1)
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            try:
                os.rmdir(path, dir_fd=root)
            except OSError as failure:
                if failure.errno != errno.EBUSY:
                    break
                time.sleep(0.005)
    finally:
        os._exit(0)
