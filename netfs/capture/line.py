"""One station, as whoever started it hears it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import time
from struct import error as StructError  # noqa: N812  # the library's name for an exception
from typing import NamedTuple, TypeAlias

from netfs.capture.seen import Sent
from netfs.capture.station import process, wire
from netfs.capture.station.block import Frame, frames
from netfs.capture.station.order import Order

PIECE = 1 << 20
"""Bytes taken out of a pipe at once, and what it holds where the kernel allows (the limit of an ordinary user)."""
DYING_S = 1.0
"""How long a station that was let go may take to end."""


class Lost(NamedTuple):
    """A station that answers no more: from here on its taps are deaf."""

    node: str
    why: str


Record: TypeAlias = Frame | Sent | Lost


class Line:
    """What is told to a station, and what it has said."""

    def __init__(self, node: str, order: Order) -> None:
        """Start the station. Raises OSError."""
        self.node = node
        self.ready: wire.Ready | None = None
        self.events = b""
        self.tallies: tuple[tuple[int, int] | None, ...] | None = None
        """What the taps received and dropped: it is the last that a station says."""
        self.lost: str | None = None
        self.posts = order.posts
        self._incoming = wire.Incoming(wire.FROM_STATION)
        self._process = process.start()
        self._open = True
        self._reaped = False
        with contextlib.suppress(OSError):  # it is slower with a small one
            fcntl.fcntl(self._process.hear, fcntl.F_SETPIPE_SZ, PIECE)
        os.set_blocking(self._process.tell, False)

    def fileno(self) -> int:
        """Readable where the station has said something."""
        return self._process.hear

    @property
    def over(self) -> bool:
        """Whether nothing is to be expected any more."""
        return self.lost is not None or self.tallies is not None

    def tell(self, kind: int, data: bytes, end: float) -> None:
        """Say something, until ``end`` as of time.monotonic; a station that does not listen is lost."""
        left = memoryview(wire.message(kind, data))
        while left and not self.over:
            if not select.select([], [self._process.tell], [], max(0.0, end - time.monotonic()))[1]:
                self.lose("it does not listen")
                return
            try:
                left = left[os.write(self._process.tell, left) :]
            except OSError:
                return  # what it said last is still in the other pipe, and its end

    def hear(self) -> list[Record]:
        """What it has said. Waits where it has said nothing."""
        try:
            data = os.read(self._process.hear, PIECE)
            if not data:
                self.lose(f"it died{self._manner()}")
            self._incoming.feed(data)
            return [record for kind, content in self._incoming.messages() for record in self._take(kind, content)]
        except wire.WireError as wrong:
            self.lose(f"it talks nonsense: {wrong}")
            return []

    def _take(self, kind: int, content: bytes) -> list[Record]:
        """Note a message; frames and sent datagrams are records. Raises WireError."""
        if kind == wire.BLOCK:
            return self._frames(content)
        if kind == wire.SENT:
            return [Sent(*wire.unpack_sent(content))]
        if kind == wire.READY:
            self.ready = wire.unpack_ready(content, len(self.posts))
        elif kind == wire.EVENTS:
            self.events = content
        elif kind == wire.ENDED:
            self.tallies = wire.unpack_ended(content, len(self.posts))
        elif kind == wire.FAILED:
            self.lose(content.decode(errors="replace"))
        return []

    def _frames(self, content: bytes) -> list[Record]:
        try:
            number, count = wire.BLOCK_HEAD.unpack_from(content)
            post = self.posts[number]
        except (StructError, IndexError):
            raise wire.WireError("a block of no post") from None
        if self.ready is None:
            raise wire.WireError("a block before the station is ready")
        block = content[wire.BLOCK_HEAD.size :]
        return list(frames(block, count, self.ready.byteorder, self.node, post.inode))

    def lose(self, why: str) -> None:
        """Expect nothing any more; of several reasons the first is kept."""
        if not self.over:
            self.lost = why

    def let_go(self) -> None:
        """Close the pipes, which ends the station."""
        if self._open:
            self._open = False
            os.close(self._process.tell)
            os.close(self._process.hear)

    def reap(self) -> None:
        """Wait until the process is gone; one that is lost, or does not end, is killed."""
        if self._reaped or self._ended(0.0 if self.lost is not None else DYING_S) is not None:
            return
        with contextlib.suppress(OSError):
            os.kill(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._process.pid, 0)
        self._reaped = True

    def _ended(self, patience: float) -> int | None:
        """The process's status; None: it has not ended within ``patience`` seconds."""
        end = time.monotonic() + patience
        while True:
            try:
                pid, status = os.waitpid(self._process.pid, os.WNOHANG)
            except ChildProcessError:  # the caller ignores SIGCHLD: the kernel reaps
                pid, status = self._process.pid, 0
            if pid:
                self._reaped = True
                return status
            if time.monotonic() >= end:
                return None
            time.sleep(0.002)

    def _manner(self) -> str:
        status = self._ended(DYING_S)
        return f" of signal {os.WTERMSIG(status)}" if status is not None and os.WIFSIGNALED(status) else ""
