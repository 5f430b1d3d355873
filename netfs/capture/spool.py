"""A stream for a capture file that stays whole: whatever ends netfs, the file ends where a packet ends."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

ENOUGH = 1 << 20
"""Bytes that are handed on before anybody asks."""


class Spool(io.BytesIO):
    """Holds what is written, and hands it on in calls to write(2) that begin and end between two calls of ``write``.

    ``fd`` stays its opener's to close; what is not handed on by ``flush`` is gone with the spool. ``name`` is the
    file's, for who is told that it takes no more.
    """

    def __init__(self, fd: int, name: str | None = None) -> None:
        super().__init__()
        self._fd = fd
        self._name = name
        self._ends = [0]
        """Where each call of ``write`` ended."""
        self._poll = select.poll()
        self._poll.register(fd, 0)

    def write(self, data: ReadableBuffer, /) -> int:
        """Hold it. Raises OSError where it is enough to be handed on, and cannot be."""
        written = super().write(data)
        self._ends.append(self.tell())
        if self.tell() >= ENOUGH:
            self.flush()
        return written

    def flush(self) -> None:
        """Hand on all that is held. Raises OSError: a full disk, a pipe that nobody reads any more, packets or none."""
        if self.tell() == 0 and any(state & select.POLLERR for _, state in self._poll.poll(0)):
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        held, ends, taken = memoryview(self.getvalue()), self._ends, 0
        self.seek(0)
        self.truncate()
        self._ends = [0]
        try:
            while taken < len(held):
                taken += os.write(self._fd, held[taken:])
        except OSError as error:
            self._shorten(taken - max(end for end in ends if end <= taken))
            raise OSError(error.errno, os.strerror(error.errno or 0), self._name) from None

    def _shorten(self, excess: int) -> None:
        """Take the beginning of a packet off the file; off a pipe nothing can be taken."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, os.lseek(self._fd, 0, os.SEEK_CUR) - excess)
