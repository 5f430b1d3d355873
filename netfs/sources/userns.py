"""Reading from inside a user namespace: a forked child joins it, collects, and hands its snapshots back.

A process that has threads cannot join a user namespace (user_namespaces(7)), and could not leave it again.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import select
import signal
import time
from collections.abc import Sequence
from typing import NoReturn

from netfs.collect.run import collect
from netfs.collect.target import Target, TargetError
from netfs.errors import SourceError
from netfs.model.snapshot import NodeSnapshot

CLONE_NEWUSER = 0x10000000


def collect_inside(pid: int, targets: Sequence[Target], *, timeout: float | None = None) -> tuple[NodeSnapshot, ...]:
    """``collect`` in the user namespace of process ``pid``. Raises TargetError, SourceError; timeout in seconds."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receive)
        _answer(send, pid, targets)
    os.close(send)
    try:
        data = _drain(receive, timeout)
    finally:
        os.close(receive)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if data is None:
        raise SourceError(f"no answer within {timeout:g} s", where=targets[0].source)
    if not data:
        raise SourceError("the reader died", where=targets[0].source)
    answer = pickle.loads(data)  # noqa: S301 -- written by our own child
    if isinstance(answer, Exception):
        raise answer
    snapshots: tuple[NodeSnapshot, ...] = answer
    return snapshots


def _answer(send: int, pid: int, targets: Sequence[Target]) -> NoReturn:
    """The child: join, collect, write the snapshots or the failure, end."""
    try:
        answer: object
        try:
            _join(pid)
            answer = collect(targets)
        except TargetError as failure:
            answer = SourceError(failure.reason, where=f"{failure.target} ({failure.path})")
        except OSError as failure:
            answer = SourceError(f"cannot enter its user namespace: {failure.strerror}", where=targets[0].source)
        with os.fdopen(send, "wb") as pipe:
            pickle.dump(answer, pipe, pickle.HIGHEST_PROTOCOL)
    finally:
        os._exit(0)


def _join(pid: int) -> None:
    """Enter the user namespace of a process, unless we are in it. Raises OSError."""
    path = f"/proc/{pid}/ns/user"
    if os.stat(path).st_ino == os.stat("/proc/self/ns/user").st_ino:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    if libc.setns(fd, CLONE_NEWUSER) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _drain(receive: int, timeout: float | None) -> bytes | None:
    """Everything up to the end; None where the time ran out."""
    end = None if timeout is None else time.monotonic() + timeout
    chunks: list[bytes] = []
    while True:
        left = None if end is None else max(0.0, end - time.monotonic())
        if not select.select([receive], [], [], left)[0]:
            return None
        chunk = os.read(receive, 1 << 20)
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)
