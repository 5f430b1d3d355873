"""Who reads: a thread, or for many namespaces on several CPUs a forked process on each.

The kernel's time to answer is the larger part of reading. A fork only gathers bytes, which ``marshal``
carries back in shares as they are read; decoding stays in one place, and goes on meanwhile. Shares are
handed out by a pipe that all forks read, so none is idle while another has much left. Where a fork fails,
a thread reads what it left.
"""

from __future__ import annotations

import fcntl
import marshal
import os
import select
from collections.abc import Iterator, Sequence
from contextlib import suppress
from struct import Struct
from typing import TypeAlias

from netfs.collect import nsfs
from netfs.collect.read import Raw, Reader

Wanted: TypeAlias = tuple[str, int]
"""(path, inode) of a namespace."""
Refused: TypeAlias = tuple[Wanted, str]
Share: TypeAlias = tuple[list[Raw], list[Refused]]

WORTH_A_FORK = 48
"""Namespaces from which forks pay."""
READERS = 4
"""Forks at most: beyond, the kernel's own locks are what all wait for."""
SHARE = 6
"""Namespaces in a share: about 100 KB, which malloc still gives from memory that is there."""
ROOM = 1 << 20
"""Bytes a pipe may hold, so that forks go on while nobody listens yet (the limit of an ordinary user)."""
PIECE = 1 << 16
"""Bytes taken out of a pipe at once."""
FRAME = Struct("=II")
"""Before each share: its number, its length in bytes."""
NUMBER = Struct("=H")
MOST = SHARE * 2048
"""Namespaces whose shares' numbers fit into the smallest pipe."""


class Reading:
    """Namespaces that are being read; the shares come in whatever order they are done."""

    def __init__(self, wanted: Sequence[Wanted], readers: int) -> None:
        self._shares = [wanted[at : at + SHARE] for at in range(0, len(wanted), SHARE)] if readers else []
        self._rest = [] if readers else list(wanted)
        self._missing = set(range(len(self._shares)))
        self._pids: dict[int, int] = {}
        """Forks, by the pipe they answer by."""
        if readers:
            self._start(readers)

    def _start(self, readers: int) -> None:
        receive, send = os.pipe()
        os.write(send, b"".join(map(NUMBER.pack, range(len(self._shares)))))
        os.close(send)
        try:
            for _ in range(readers):
                self._fork(receive)
        except OSError:
            return  # what no fork reads, the thread does
        finally:
            os.close(receive)

    def _fork(self, numbers: int) -> None:
        """Start a process that reads the shares whose numbers it takes from a pipe. Raises OSError."""
        receive, send = os.pipe()
        try:
            pid = os.fork()
        except OSError:
            os.close(receive)
            os.close(send)
            raise
        if pid:
            os.close(send)
            self._pids[receive] = pid
            return
        status = 1
        try:
            for pipe in (receive, *self._pids):
                os.close(pipe)
            with suppress(OSError):  # it is slower with a small one
                fcntl.fcntl(send, fcntl.F_SETPIPE_SZ, ROOM)
            _answer(self._shares, numbers, send)
            status = 0
        finally:
            os._exit(status)

    def __iter__(self) -> Iterator[Share]:
        """(What was read, what could not be and why), each once."""
        try:
            yield from self._gather()
        finally:
            self.close()
        rest = [*self._rest, *(each for number in sorted(self._missing) for each in self._shares[number])]
        if rest:
            yield nsfs.apart(lambda: _read_once(rest))

    def close(self) -> None:
        """End the forks; nobody waits for their answers."""
        while self._pids:
            pipe, pid = self._pids.popitem()
            os.close(pipe)
            os.waitpid(pid, 0)

    def _gather(self) -> Iterator[Share]:
        waiting = {pipe: bytearray() for pipe in self._pids}
        poll = select.poll()
        for pipe in waiting:
            poll.register(pipe, select.POLLIN)
        while waiting:
            for pipe, _ in poll.poll():
                data = os.read(pipe, PIECE)
                if not data:
                    poll.unregister(pipe)
                    del waiting[pipe]
                    continue
                held = waiting[pipe]
                held += data
                yield from self._whole(held)

    def _whole(self, held: bytearray) -> Iterator[Share]:
        """Take the shares that have come as a whole out of what a pipe has brought."""
        while len(held) >= FRAME.size:
            number, length = FRAME.unpack_from(held)
            end = FRAME.size + length
            if len(held) < end:
                return
            share: Share = marshal.loads(held[FRAME.size : end])  # noqa: S302 -- written by our own child
            del held[:end]
            self._missing.discard(number)
            yield share


def read_all(wanted: Sequence[Wanted]) -> Reading:
    """Begin to read. Forks are made only by a process of one thread, and where they are worth it."""
    cpus = len(os.sched_getaffinity(0))
    if len(wanted) < WORTH_A_FORK or cpus < 2 or len(wanted) > MOST or not _single():
        return Reading(wanted, 0)
    return Reading(wanted, min(cpus, READERS))


def _single() -> bool:
    """Whether this process has one thread, counting those that Python knows nothing of."""
    try:
        return len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False


def _read(reader: Reader, wanted: Sequence[Wanted]) -> Share:
    """Read in the calling thread, which is left in the last namespace."""
    raws: list[Raw] = []
    refused: list[Refused] = []
    for path, inode in wanted:
        try:
            raws.append(reader.read(path, inode))
        except OSError as failure:
            refused.append(((path, inode), failure.strerror or str(failure)))
    return raws, refused


def _read_once(wanted: Sequence[Wanted]) -> Share:
    reader = Reader()
    try:
        return _read(reader, wanted)
    finally:
        reader.close()


def _answer(shares: Sequence[Sequence[Wanted]], numbers: int, send: int) -> None:
    """Read shares, by the numbers taken from one pipe, and write them into another. Raises OSError."""
    reader = Reader()
    while taken := os.read(numbers, NUMBER.size):
        (number,) = NUMBER.unpack(taken)
        data = marshal.dumps(_read(reader, shares[number]))
        left = memoryview(FRAME.pack(number, len(data)) + data)
        while left:
            left = left[os.write(send, left) :]
