"""Who reads: one thread, and for many namespaces on several CPUs one forked process beside it.

The kernel's time to answer is the larger part of reading. The fork only gathers bytes, which ``marshal``
carries back; decoding stays in one place. Where the fork fails, the thread reads its share as well.
"""

from __future__ import annotations

import marshal
import os
import threading
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from netfs.collect import nsfs
from netfs.collect.features import Names
from netfs.collect.read import Raw, Reader

Wanted: TypeAlias = tuple[str, int]
"""(path, inode) of a namespace."""
Refused: TypeAlias = tuple[Wanted, str]
Share: TypeAlias = tuple[list[Raw], list[Refused]]

WORTH_A_FORK = 48
"""Namespaces from which a second process pays."""
OWN_SHARE = 0.42
"""The part that the thread reads: less than half, because decoding is its business as well."""


def read_all(wanted: Sequence[Wanted], names: Names | None) -> Iterator[Share]:
    """Shares of (what was read, what could not be and why), in the order asked."""
    if not wanted:
        return
    if len(wanted) < WORTH_A_FORK or (os.cpu_count() or 1) < 2 or threading.active_count() > 1:
        yield nsfs.apart(lambda: _read(wanted, names))
        return
    own = int(len(wanted) * OWN_SHARE)
    pid, pipe = _fork(wanted[own:], names)
    try:
        yield nsfs.apart(lambda: _read(wanted[:own], names))
    finally:
        rest = _gather(pid, pipe)
    yield nsfs.apart(lambda: _read(wanted[own:], names)) if rest is None else rest


def _read(wanted: Sequence[Wanted], names: Names | None) -> Share:
    """Read in the calling thread, which is left in the last namespace."""
    raws: list[Raw] = []
    refused: list[Refused] = []
    reader = Reader(names)
    try:
        for path, inode in wanted:
            try:
                raws.append(reader.read(path, inode))
            except OSError as failure:
                refused.append(((path, inode), failure.strerror or str(failure)))
    finally:
        reader.close()
    return raws, refused


def _fork(wanted: Sequence[Wanted], names: Names | None) -> tuple[int, int]:
    """Start a process that reads; (its pid, the pipe it answers by)."""
    receive, send = os.pipe()
    pid = os.fork()
    if pid:
        os.close(send)
        return pid, receive
    status = 1
    try:
        os.close(receive)
        with os.fdopen(send, "wb") as pipe:
            marshal.dump(_read(wanted, names), pipe)
        status = 0
    finally:
        os._exit(status)


def _gather(pid: int, pipe: int) -> Share | None:
    """The process's answer; None where it did not end well."""
    with os.fdopen(pipe, "rb") as file:
        data = file.read()
    _, status = os.waitpid(pid, 0)
    if status:
        return None
    share: Share = marshal.loads(data)  # noqa: S302 -- written by our own child
    return share
