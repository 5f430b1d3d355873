"""A way to an engine: a unix socket with one deadline for all that is said, and words for what refuses.

A daemon may be dead, stopped, hostile, or behind a path longer than an address (unix(7): 108 bytes with the NUL).
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import socket
import stat
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

ADDRESS_BYTES = 107
_PAUSE_S = 0.005
_GROUP_MAY_WRITE = stat.S_IWGRP


class Deadlined(socket.socket):
    """A connected socket whose every call ends at one moment, however slowly the other side goes on talking.

    Its calls raise TimeoutError then. ``until`` counts as time.monotonic() does, and may be set anew.
    """

    until = 0.0

    def send(self, data: ReadableBuffer, flags: int = 0, /) -> int:
        """As socket.send."""
        self._wait_no_longer()
        return super().send(data, flags)

    def sendall(self, data: ReadableBuffer, flags: int = 0, /) -> None:
        """As socket.sendall."""
        self._wait_no_longer()
        super().sendall(data, flags)

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """As socket.recv."""
        self._wait_no_longer()
        return super().recv(size, flags)

    def recv_into(self, buffer: WriteableBuffer, size: int = 0, flags: int = 0) -> int:
        """As socket.recv_into."""
        self._wait_no_longer()
        return super().recv_into(buffer, size, flags)

    def _wait_no_longer(self) -> None:
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        self.settimeout(left)


def connected(path: str, until: float) -> Deadlined:
    """Connect to a unix socket. Raises OSError: TimeoutError where nobody accepts until then."""
    opened = Deadlined(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    opened.until = until
    try:
        _connect(opened, path)
    except BaseException:  # raised again: nothing may end this and leave the socket open
        opened.close()
        raise
    return opened


def _connect(opened: Deadlined, path: str) -> None:
    address = os.fsencode(path)
    if len(address) <= ADDRESS_BYTES:
        _retry(opened, address)
        return
    found = os.open(address, os.O_PATH | os.O_CLOEXEC)
    try:
        _retry(opened, f"/proc/self/fd/{found}".encode())
    finally:
        os.close(found)


def _retry(opened: Deadlined, address: bytes) -> None:
    """A daemon that is behind with accepting says EAGAIN to whoever does not wait (connect(2))."""
    opened.setblocking(False)
    while True:
        try:
            opened.connect(address)
            return
        except BlockingIOError:
            if time.monotonic() >= opened.until:
                raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from None
            time.sleep(_PAUSE_S)


def refusal(path: str, error: OSError) -> str:
    """Why a socket was not talked to, and what to do about it."""
    if isinstance(error, TimeoutError):
        return "does not answer: it hangs, or needs longer than the time that was given"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"permission denied: {_who_may(path)} may ask it"
    if error.errno == errno.ECONNREFUSED:
        return "connection refused: its daemon does not run"
    if error.errno == errno.ENOENT:
        return "is gone: its daemon ended meanwhile"
    if isinstance(error, ConnectionError):
        return "hung up before it had answered"
    return error.strerror or type(error).__name__


def _who_may(path: str) -> str:
    """Root, and those that the socket's mode lets write to it."""
    try:
        status = os.stat(path)
    except OSError:
        return "root"
    if status.st_mode & _GROUP_MAY_WRITE and status.st_gid != 0:
        return f"root, or the group {_group(status.st_gid)},"
    return f"root, or {_user(status.st_uid)}," if status.st_uid != 0 else "root"


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
