"""The kernel's own events on packets: which is dropped, why and by which function; and which packet that was.

Three events, in a tracefs instance of our own: ``skb:kfree_skb`` tells of a drop and names the packet by the address
of its ``sk_buff``; ``net:netif_receive_skb`` and ``net:net_dev_start_xmit`` tell at which device that address was
before. Clock, filters, buffer and switches are the instance's own: nothing of the machine is changed.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
from types import TracebackType
from typing import Self

from netfs.capture.station import ring
from netfs.capture.station.events import FREE, IN, OUT, PRINT, Event, Mark, decoded, told, worth
from netfs.capture.station.order import Tracing
from netfs.capture.station.symbols import Symbols
from netfs.capture.station.tracefs import Instance

_BUFFER = 8 << 20
"""Bytes of all processors' buffers together, at least 512 KiB each. A full one keeps what came first."""
_BATCH = 2 << 20
"""Bytes that are taken from all of them at once: some 30,000 events, 50 ms of this processor."""
_MOST = 128 << 20
"""Bytes that are taken in all."""
_KEPT = 200_000
"""Events that are kept at most."""


def open_tracing(tracing: Tracing) -> Tracer:
    """Listen for packets of these lengths, once ``start`` or ``mark`` is called. Or, ``problem`` says why."""
    tracer = Tracer()
    try:
        tracer.open(tracing)
    except (OSError, ValueError) as failure:
        tracer.close()
        tracer.problem = _words(failure)
    return tracer


def _words(failure: OSError | ValueError) -> str:
    if not isinstance(failure, OSError):
        return f"this kernel's events are of a form that is not known: {failure}"
    name = f": {failure.filename}" if isinstance(failure.filename, str) else ""
    if failure.errno in {errno.EPERM, errno.EACCES}:
        return f"the kernel tells of its drops to root alone (CAP_SYS_ADMIN, tracefs{name})"
    if failure.errno == errno.ENODEV:
        return "this kernel has no tracefs"
    if failure.errno == errno.ENOSYS:
        return "tracefs is not mounted, and this kernel mounts it in one place only: /sys/kernel/tracing"
    if failure.errno == errno.ENOENT and name:
        return f"this kernel lacks what its drops are told by (tracefs{name})"
    return f"the kernel's events cannot be listened to: {failure.strerror}{name}"


def _since_epoch() -> int:
    """CLOCK_REALTIME at the zero of the trace clock (``mono``): taps stamp by the one, events by the other."""
    best = (1 << 62, 0)
    for _ in range(8):
        before, real, after = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        best = min(best, (after - before, real - (before + after) // 2))
    return best[1]


class Tracer:
    """The three events, from ``start`` or ``mark`` to ``close``. One thread at a time calls it."""

    def __init__(self) -> None:
        """Of no instance yet; see ``open_tracing``."""
        self.problem: str | None = None
        """Why the kernel's drops cannot be heard; None: they can."""
        self.name = ""
        """The instance's."""
        self._instance: Instance | None = None
        self._pipes: list[int] = []
        self._marker = -1
        self._recording = False
        self._bytes = 0
        self._marks: list[Mark] = []
        self._events: list[Event] = []
        self._layout = ring.Layout(8, 8, 16, 4096)
        self._formats: dict[str, ring.Format] = {}
        self._symbols = Symbols()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self, tracing: Tracing) -> None:
        """Make the instance. Raises OSError and ValueError; whoever catches them calls ``close``."""
        instance = self._instance = Instance()
        self.name = instance.name
        self._symbols.begin()
        for name in sorted(instance.names("per_cpu")):
            self._pipes.append(instance.open(f"per_cpu/{name}/trace_pipe_raw", os.O_RDONLY | os.O_NONBLOCK))
        instance.write("tracing_on", "0")
        self._layout = ring.read_layout(instance.read("events/header_page", top=True))
        for event in (PRINT, FREE, IN, OUT):
            self._formats[event] = ring.read_format(instance.read(f"events/{event}/format", top=True))
        decoded((), self._layout, self._formats)  # a form that is not known shows now
        instance.write("trace_clock", "mono")
        instance.write("options/overwrite", "0")
        instance.write("buffer_size_kb", str(max(_BUFFER // max(len(self._pipes), 1), 512 << 10) >> 10))
        for option in ("record-cmd", "markers"):
            with contextlib.suppress(OSError):  # no kernel's answer depends on it
                instance.write(f"options/{option}", str(int(option == "markers")))
        lengths = f"len >= {tracing.shortest} && len <= {tracing.longest + tracing.overhead}"
        for event in (FREE, IN, OUT):
            instance.write(
                f"events/{event}/filter", "protocol == 0x800 || protocol == 0x86dd" if event == FREE else lengths
            )
            instance.write(f"events/{event}/enable", "1")
        self._marker = instance.open("trace_marker", os.O_WRONLY)

    def start(self) -> None:
        """Begin to record, on a node that does not send itself."""
        if self._instance is not None and not self._recording:
            with contextlib.suppress(OSError):
                self._instance.write("tracing_on", "1")
                self._recording = True

    def mark(self, number: int) -> None:
        """Say that this very thread now sends probe ``number``; the first time, begin to record."""
        self.start()
        if self._marker >= 0:
            with contextlib.suppress(OSError):
                os.write(self._marker, b"%d\n" % number)

    def drain(self) -> None:
        """Make room in the kernel's buffer, and read what was in it; under a load of other packets not all."""
        if self._instance is None:
            return
        pages: list[bytes] = []
        for pipe in self._pipes:
            share = _BATCH // len(self._pipes)
            with contextlib.suppress(OSError):  # EAGAIN: it is empty
                while share > 0 and self._bytes < _MOST and len(self._events) < _KEPT:
                    page = os.read(pipe, self._layout.size)
                    if not (length := ring.filled(page, self._layout)):
                        break
                    pages.append(page[:length])
                    self._bytes += length
                    share -= length
        marks, events = decoded(pages, self._layout, self._formats)
        self._marks += marks
        self._events = worth(self._marks, sorted([*self._events, *events]))

    def read(self) -> bytes:
        """All that was heard, as JSON; times are nanoseconds since the epoch, packets are numbered."""
        if self._instance is None:
            return b""
        self.drain()
        events, whole = told(self._marks, self._events)
        since = _since_epoch()
        functions = self._symbols.functions(event.location for event in events if event.kind == "free")
        packets: dict[int, int] = {}
        rows = [
            (
                event.at + since,
                event.kind,
                packets.setdefault(event.packet, len(packets)),
                event.pid,
                event.called,
                functions.get(event.location, event.name),
                event.number,
                event.reason,
            )
            for event in events
        ]
        lost = self._lost()
        heard = {
            "lost": lost,
            "marks": [(mark.at + since, mark.pid, mark.number) for mark in self._marks],
            # What was lost came when the buffer was full; before, it took more than the first range.
            "whole": [(begin + since, end + since) for begin, end in (whole[:1] if lost else whole)],
            "events": rows,
        }
        return json.dumps(heard, separators=(",", ":")).encode()

    def close(self) -> None:
        """Stop listening, and let the instance go; its removal takes the kernel some 50 ms more. Idempotent."""
        instance, self._instance = self._instance, None
        if instance is not None:
            with contextlib.suppress(OSError):
                instance.write("tracing_on", "0")
        for fd in (*self._pipes, self._marker):
            if fd >= 0:
                os.close(fd)
        self._pipes, self._marker = [], -1
        if instance is not None:
            instance.close()

    def _lost(self) -> int:
        """Events for which there was no room (``per_cpu/cpuN/stats``)."""
        assert self._instance is not None
        lost = 0
        for name in self._instance.names("per_cpu"):
            for line in self._instance.read(f"per_cpu/{name}/stats").splitlines():
                what, _, number = line.partition(":")
                if what in {"overrun", "commit overrun", "dropped events"} and number.strip().isdigit():
                    lost += int(number)
        return lost
