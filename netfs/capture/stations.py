"""The stations of all nodes: started, told, listened to, ended.

    with Stations({"node1": (reach, order), …}) as stations:
        opened = stations.open()
        stations.go()
        for record in stations.frames(timeout=1.0): …
        ended = stations.stop()

A station that dies, falls silent or talks nonsense is a ``Lost`` record and a ``lost`` reason, never a hang.
"""

from __future__ import annotations

import math
import select
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from netfs.capture.line import Line, Lost, Record
from netfs.capture.seen import Sent
from netfs.capture.station import wire
from netfs.capture.station.block import Frame
from netfs.capture.station.order import Order
from netfs.sources.reach import Reach

__all__ = ["Clocks", "Ended", "Frame", "Lost", "Opened", "Record", "Sent", "Stations", "Tally"]

LOOK_S = 0.02
"""How often a caller's condition is asked for while nothing is heard."""
GOING_S = 1.0
"""How long a station may take to be told a word."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """A node's clocks at one moment, in nanoseconds."""

    realtime_ns: int
    monotonic_ns: int
    boottime_ns: int


@dataclass(frozen=True, slots=True)
class Opened:
    """What a station could open."""

    node: str
    deaf: Mapping[int, str] = field(default_factory=dict)
    """Namespaces (``NetNs.id``) that are not heard, and why."""
    sender: str | None = None
    """Why the probe cannot be sent; None: it can, or this station has none."""
    tracing: str | None = None
    """Why the kernel's events are not heard; None: they are, or were not asked for."""
    clocks: Clocks | None = None
    lost: str | None = None
    """Why there is no station at all."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What came to a tap through its filter, in frames."""

    received: int
    """Handed up."""
    dropped: int
    """There was no room for them."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A station's last word."""

    node: str
    posts: Mapping[int, Tally] = field(default_factory=dict)
    """By ``NetNs.id``; one that was deaf is missing."""
    events: bytes = b""
    """What the kernel told, as ``Tracer.read`` has it."""
    lost: str | None = None
    """Why it did not end as it was told to."""


class Stations:
    """One station for each node. The thread that enters it leaves it: stations end with the thread that forked them."""

    def __init__(self, orders: Mapping[str, tuple[Reach, Order]]) -> None:
        """By node name. The reach says which user namespace is entered; paths stand in the order's posts."""
        self._orders = {node: order._replace(userns_pid=reach.userns_pid) for node, (reach, order) in orders.items()}
        self._lines: list[Line] = []
        self._unborn: dict[str, str] = {}
        """Nodes for which no process could be made, and why."""
        self._poll = select.poll()
        self._listened: dict[int, Line] = {}
        """By the file descriptor of the pipe they answer by."""
        self._batches: deque[list[Record]] = deque()
        self._rest: Iterator[Record] = iter(())
        """Of a batch that ``frames`` was left in."""

    def __enter__(self) -> Self:
        """Fork the stations; nothing is opened yet."""
        try:
            for node, order in self._orders.items():
                self._start(node, order)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, traceback: TracebackType | None) -> None:
        """Close."""
        self.close()

    def open(self, timeout: float = 5.0) -> tuple[Opened, ...]:
        """Have everything opened, and say what could not be. From here on frames are heard; ``timeout`` in seconds."""
        end = time.monotonic() + timeout
        for line in self._lines:
            self._tell(line, wire.ORDER, wire.pack_order(self._orders[line.node]), end)
        self._await(lambda line: line.ready is not None, end, f"not ready within {timeout:g} s")
        unborn = [Opened(node, lost=why) for node, why in self._unborn.items()]
        return (*map(_opened, self._lines), *unborn)

    def go(self) -> None:
        """Have the kernel's events recorded, and the probe sent: the stations that only record are told first."""
        end = time.monotonic() + GOING_S
        for line in sorted(self._lines, key=lambda line: self._orders[line.node].sender is not None):
            self._tell(line, wire.GO, b"", end)

    def frames(self, timeout: float | None = None, until: Callable[[], bool] | None = None) -> Iterator[Record]:
        """What is heard, one record after the other; see ``batches``. Left early, the next call goes on from there."""
        yield from self._rest
        for batch in self.batches(timeout, until):
            self._rest = iter(batch)
            yield from self._rest

    def batches(self, timeout: float | None = None, until: Callable[[], bool] | None = None) -> Iterator[list[Record]]:
        """What is heard, many records at once, in the order in which each namespace heard it.

        Ends after ``timeout`` seconds, where ``until()`` is true, or when every station has ended. Frames come some
        10 ms late: the kernel gathers them.
        """
        end = None if timeout is None else time.monotonic() + timeout
        self._listen(0.0)
        while True:
            while self._batches:
                yield self._batches.popleft()
            if (until is not None and until()) or all(line.over for line in self._lines):
                return
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                return
            self._listen(left if until is None else min(LOOK_S, left or LOOK_S))

    def stop(self, timeout: float = 5.0) -> tuple[Ended, ...]:
        """Have all that was heard handed up, and end the stations. ``frames(0)`` then yields what came until now."""
        end = time.monotonic() + timeout
        for line in self._lines:
            self._tell(line, wire.STOP, b"", end)
        self._await(lambda line: line.over, end, f"did not end within {timeout:g} s")
        for line in self._lines:
            line.let_go()
        unborn = [Ended(node, lost=why) for node, why in self._unborn.items()]
        return (*(_ended(line) for line in self._lines), *unborn)

    def close(self) -> None:
        """End every station, whatever it does, and wait until its process is gone."""
        for line in self._lines:
            line.let_go()
        for line in self._lines:
            line.reap()

    def _start(self, node: str, order: Order) -> None:
        try:
            line = Line(node, order)
        except OSError as failure:
            self._unborn[node] = f"no process: {failure.strerror}"
            return
        self._lines.append(line)
        self._listened[line.fileno()] = line
        self._poll.register(line.fileno(), select.POLLIN)

    def _tell(self, line: Line, kind: int, data: bytes, end: float) -> None:
        line.tell(kind, data, end)
        if line.lost is not None:
            self._lose(line, line.lost)

    def _await(self, done: Callable[[Line], bool], end: float, why: str) -> None:
        """Listen until all stations are done, or are over; those that are neither in time are lost."""
        while waiting := [line for line in self._lines if not line.over and not done(line)]:
            left = end - time.monotonic()
            if left <= 0:
                for line in waiting:
                    self._lose(line, why)
                return
            self._listen(left)

    def _listen(self, timeout: float | None) -> None:
        """Take what the stations have said, waiting for ``timeout`` seconds at most where they have said nothing."""
        for fd, _ in self._poll.poll(None if timeout is None else math.ceil(max(0.0, timeout) * 1000)):
            line = self._listened[fd]
            batch = line.hear()
            if batch:
                self._batches.append(batch)
            if line.lost is not None:
                self._lose(line, line.lost)
            elif line.over:
                self._leave(line)

    def _lose(self, line: Line, why: str) -> None:
        """Note that a station is lost, once."""
        line.lose(why)
        if self._leave(line):
            self._batches.append([Lost(line.node, line.lost or why)])

    def _leave(self, line: Line) -> bool:
        """Listen to a station no more; False where nobody did."""
        if self._listened.pop(line.fileno(), None) is None:
            return False
        self._poll.unregister(line.fileno())
        return True


def _opened(line: Line) -> Opened:
    if line.ready is None:
        return Opened(line.node, lost=line.lost or "it is not ready")
    ready = line.ready
    return Opened(
        node=line.node,
        deaf={post.inode: why for post, why in zip(line.posts, ready.posts, strict=True) if why is not None},
        sender=ready.sender,
        tracing=ready.tracing,
        clocks=Clocks(ready.realtime_ns, ready.monotonic_ns, ready.boottime_ns),
        lost=line.lost,
    )


def _ended(line: Line) -> Ended:
    posts = {}
    for post, tally in zip(line.posts, line.tallies or (), strict=False):
        if tally is not None:
            posts[post.inode] = Tally(*tally)
    return Ended(line.node, posts, line.events, line.lost)
