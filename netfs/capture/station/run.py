"""A station's life: it takes its order, opens everything, says so, begins when told, and ends with its pipe.

What it hears goes up as the kernel laid it. Where nobody takes it, the station waits: the kernel's rings take what
comes meanwhile, and count what they cannot.
"""

from __future__ import annotations

import contextlib
import math
import os
import resource
import select
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from netfs.capture.station import tracing, wire
from netfs.capture.station.entry import die_with_parent, enter, join, why
from netfs.capture.station.order import Order, Post
from netfs.capture.station.sender import Sender, drain
from netfs.capture.station.sockets import RETIRE_MS, Tap, open_tap

T = TypeVar("T")
U = TypeVar("U")

PIECE = 1 << 16
"""Bytes of an order taken at once."""
AT_ONCE = 16
"""Datagrams sent before the taps are looked at."""
THREADS = 64
"""Taps opened or closed at once: the kernel makes each wait until nobody looks any more (synchronize_net)."""
SPARE = 8
"""Open files that the station itself needs, beside its taps and what is open already."""
TRACING_S = 0.05
"""How often the kernel's events are taken out of its buffer."""
LINGER_S = 3 * RETIRE_MS / 1000
"""From STOP to the end: what was heard before is in blocks that are not full."""


class Station:
    """One order carried out."""

    def __init__(self, order: Order, told: wire.Incoming, receive: int, send: int) -> None:
        self._told = told
        self._receive = receive
        self._send = send
        self._end = math.inf
        self._drain_at = math.inf
        self._tracer = None if order.tracing is None else tracing.open_tracing(order.tracing)
        """Before a user namespace is entered: tracefs is the initial one's."""
        refused = _joined(order.userns_pid)
        self._taps, deaf = _open_taps(order, refused)
        self._sender, silent = _open_sender(order, refused)
        self._heard: dict[int, Callable[[], None]] = {}
        """What to do where a file descriptor is readable."""
        self._poll = select.poll()
        self._poll.register(receive, select.POLLIN)
        self._listen()
        untold = None if self._tracer is None else self._tracer.problem
        self._tell(wire.READY, wire.pack_ready(wire.Ready(deaf, silent, untold, *_clocks(), sys.byteorder)))

    def run(self) -> None:
        """Until told to stop. Raises OSError where the pipe breaks, WireError where it brings nonsense."""
        self._obey()  # it may have come with the order
        while (now := time.monotonic()) < self._end:
            due = min(self._end, self._drain_at, math.inf if self._sender is None else self._sender.due)
            wait = None if due == math.inf else max(0, math.ceil((due - now) * 1000))
            for fd, event in self._poll.poll(wait):
                if fd != self._receive:
                    self._hear(fd, event)
                    continue
                told = os.read(self._receive, PIECE)
                if not told:
                    return  # nobody is there any more
                self._told.feed(told)
                self._obey()
            self._send_due()
            self._drain_events()
        if self._tracer is not None:
            self._tell(wire.EVENTS, self._tracer.read())
        self._tell(wire.ENDED, wire.pack_ended([None if tap is None else tap.tally() for tap in self._taps]))

    def close(self) -> None:
        """Let go of everything."""
        if self._tracer is not None:
            self._tracer.close()
        if self._sender is not None:
            self._sender.close()
        _each(Tap.close, [tap for tap in self._taps if tap is not None])

    def _listen(self) -> None:
        for number, tap in enumerate(self._taps):
            if tap is not None:
                self._heard[tap.fileno()] = lambda number=number, tap=tap: self._hand_up(number, tap)  # type: ignore[misc]
        held = None if self._sender is None else self._sender.held
        if held is not None:
            self._heard[held.fileno()] = lambda: drain(held)
        for fd in self._heard:
            self._poll.register(fd, select.POLLIN)

    def _hear(self, fd: int, event: int) -> None:
        self._heard[fd]()
        if not event & select.POLLIN:
            self._poll.unregister(fd)  # a held port of TCP has hung up all the time (tcp_poll)

    def _obey(self) -> None:
        for kind, _ in self._told.messages():
            if kind == wire.GO:
                self._go()
            elif kind == wire.STOP:
                self._end = min(self._end, time.monotonic() + LINGER_S)

    def _go(self) -> None:
        if self._tracer is not None:
            self._tracer.start()
            self._drain_at = time.monotonic() + TRACING_S
        if self._sender is not None:
            self._sender.begin(time.monotonic())

    def _hand_up(self, number: int, tap: Tap) -> None:
        for count, block in tap.filled():
            head = wire.HEADER.pack(wire.BLOCK, wire.BLOCK_HEAD.size + len(block))
            _write(self._send, head + wire.BLOCK_HEAD.pack(number, count), block)

    def _send_due(self) -> None:
        if self._sender is None:
            return
        for _ in range(AT_ONCE):
            if self._sender.due > time.monotonic():
                return
            number, at_ns, refused = self._sender.send(self._mark)
            self._tell(wire.SENT, wire.SENT_HEAD.pack(number, at_ns) + refused.encode())

    def _mark(self, number: int) -> None:
        if self._tracer is not None:
            self._tracer.mark(number)

    def _drain_events(self) -> None:
        if self._tracer is not None and time.monotonic() >= self._drain_at:
            self._tracer.drain()
            self._drain_at = time.monotonic() + TRACING_S

    def _tell(self, kind: int, data: bytes = b"") -> None:
        _write(self._send, wire.message(kind, data))


def serve(receive: int, send: int) -> None:
    """Be a station: take an order from one pipe, and answer by the other. Returns when all is done, or nobody is there.

    Whatever goes wrong is told; the pipe's end is the last word.
    """
    told = wire.Incoming(wire.TO_STATION)
    station: Station | None = None
    try:
        order = _order(told, receive)
        if order is not None:
            station = Station(order, told, receive, send)
            station.run()
    except BrokenPipeError:
        return
    except Exception as wrong:  # noqa: BLE001  # nobody is above: whoever started this is told
        text = why(wrong) if isinstance(wrong, OSError) else f"{type(wrong).__name__}: {wrong}"
        with contextlib.suppress(OSError):
            _write(send, wire.message(wire.FAILED, text.encode(errors="replace")))
    finally:
        if station is not None:
            station.close()


def _order(told: wire.Incoming, receive: int) -> Order | None:
    """The order; None where the pipe ends before it. Raises WireError, and whatever ``unpack_order`` does."""
    while data := os.read(receive, PIECE):
        told.feed(data)
        for kind, content in told.messages():
            if kind != wire.ORDER:
                raise wire.WireError(f"message {kind} before the order")
            return wire.unpack_order(content)
    return None


def _joined(pid: int | None) -> str | None:
    """Enter a user namespace: why it cannot be entered, or None."""
    try:
        if pid is not None:
            join(pid)
        return None
    except OSError as failure:
        return f"cannot enter its user namespace: {why(failure)}"
    finally:
        die_with_parent()


def _open_taps(order: Order, refused: str | None) -> tuple[list[Tap | None], tuple[str | None, ...]]:
    """The taps of all posts, and why there is none. Where files are few, the first posts have them."""
    room, most = _room()

    def opened(post: Post) -> Tap | str:
        try:
            return open_tap(post, order.program, order.snaplen, order.room)
        except OSError as failure:
            return why(failure)

    found: list[Tap | str | None]
    if refused is not None:
        found = [refused] * len(order.posts)
    else:
        short = f"no more open files (RLIMIT_NOFILE is {most})"
        found = [*_each(opened, order.posts[:room]), *([short] * len(order.posts[room:]))]
    taps = [each if isinstance(each, Tap) else None for each in found]
    return taps, tuple(each if isinstance(each, str) else None for each in found)


def _room() -> tuple[int, int]:
    """How many taps there are files for, and RLIMIT_NOFILE. A tap is two open files (mmap(2) of Python keeps its own),
    and one more while it is being opened.
    """
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    free = max(0, most - len(os.listdir("/proc/self/fd")) - SPARE)
    return max(free // 3, (free - THREADS) // 2), most


def _open_sender(order: Order, refused: str | None) -> tuple[Sender | None, str | None]:
    """The sender, and why there is none. The calling thread is left in its namespace: it opens sockets there."""
    if order.sender is None or refused is not None:
        return None, None if order.sender is None else refused
    try:
        enter(order.posts[order.sender.post])
        return Sender(order.sender), None
    except OSError as failure:
        return None, why(failure)


def _each(work: Callable[[U], T], things: Sequence[U]) -> list[T]:
    """``work`` done on each, in threads that end with it; what no thread can be had for, in this one."""
    done: dict[int, T] = {}

    def several(numbers: Iterable[int]) -> None:
        for number in numbers:
            done[number] = work(things[number])

    threads = min(THREADS, len(things))
    running = []
    for share in (range(at, len(things), threads) for at in range(threads)):
        thread = threading.Thread(target=several, args=(share,))
        try:
            thread.start()
        except RuntimeError:
            several(share)
        else:
            running.append(thread)
    for thread in running:
        thread.join()
    return [done[number] for number in range(len(things))]


def _clocks() -> tuple[int, int, int]:
    return time.time_ns(), time.monotonic_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _write(fd: int, *parts: bytes | memoryview) -> None:
    """Write everything, however long it takes. Raises OSError."""
    written = os.writev(fd, parts)
    for part in parts:
        view = memoryview(part)[written:]
        written = max(0, written - len(part))
        while view:
            view = view[os.write(fd, view) :]
