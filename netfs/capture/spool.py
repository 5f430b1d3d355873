"""A stream for a capture file that stays whole: whatever ends netfs, the file ends where a packet ends."""

from __future__ import annotations

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

    ``fd`` stays its opener's to close; what is not handed on by ``flush`` is gone with the spool.
    """

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd
        self._poll = select.poll()
        self._poll.register(fd, 0)

    def write(self, data: ReadableBuffer, /) -> int:
        """Hold it. Raises OSError where it is enough to be handed on, and cannot be."""
        written = super().write(data)
        if self.tell() >= ENOUGH:
            self.flush()
        return written

    def flush(self) -> None:
        """Hand on all that is held. Raises OSError: a full disk, a pipe that nobody reads any more, packets or none."""
        if self.tell() == 0 and any(state & select.POLLERR for _, state in self._poll.poll(0)):
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        held = memoryview(self.getvalue())
        self.seek(0)
        self.truncate()
        while held:
            held = held[os.write(self._fd, held) :]
