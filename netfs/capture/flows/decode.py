"""``netfs decode``: a capture file to its flows."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

import numpy as np

from netfs.capture.file.reader import Capture, open_capture
from netfs.capture.flows import levels
from netfs.capture.flows.answer import flows_of
from netfs.capture.flows.copies import Copies
from netfs.capture.flows.dissection import Dissection
from netfs.capture.flows.fragments import Datagrams
from netfs.capture.flows.quotes import Errors
from netfs.capture.flows.table import LATEST, FlowTable
from netfs.capture.flows.tunnels import by_port
from netfs.errors import UsageError
from netfs.model.flows import Decoded, Warned

Progress = Callable[[int, int | None], None]
BETWEEN_S = 0.02
"""Progress is not told more often."""


def decode(path: str, *, ports: Collection[int] = (), on_progress: Progress | None = None) -> Decoded:
    """The flows of a capture (``-``: standard input), without names and suspicions.

    ``ports`` are UDP ports of VXLAN beside 8472 and 4789. ``on_progress`` is called with the bytes of the file that
    were read, and with its size or None. Raises CaptureError where the file is no capture; what is damaged in it is
    told by ``Decoded.warnings``. Raises UsageError where a port is none.
    """
    if wrong := [port for port in ports if not 0 < port < 65536]:
        raise UsageError(f"{wrong[0]} is no UDP port", hint="1 to 65535")
    with open_capture(path) as capture:
        totals = _Totals(ports)
        told = time.monotonic()
        for chunk in capture.chunks():
            linktypes = np.array([interface.linktype for interface in capture.interfaces], np.int64)
            totals.add(Dissection(chunk, linktypes, totals.tunnelled))
            if on_progress is not None and (now := time.monotonic()) - told >= BETWEEN_S:
                told = now
                on_progress(capture.position, capture.total)
        if on_progress is not None:
            on_progress(capture.position, capture.total)
        return totals.answer(path, capture)


class _Totals:
    """What all chunks so far add up to."""

    def __init__(self, ports: Collection[int]) -> None:
        self.tunnelled = by_port(ports)
        self._table = FlowTable()
        self._datagrams = Datagrams()
        self._copies = Copies()
        self._errors = Errors()
        self._packets = self._bytes = self._truncated = 0
        self._first, self._last = int(LATEST), -1

    def add(self, d: Dissection) -> None:
        """Takes a chunk."""
        if not d.count:
            return
        levels.dissect(d)
        self._datagrams.resolve(d)
        copies = self._copies.of(d)
        self._truncated += self._table.add(d, copies)
        self._errors.add(d, copies)
        self._packets += d.count
        self._bytes += int(d.chunk.length.sum())
        self._first = min(self._first, int(d.chunk.at_ns.min()))
        self._last = max(self._last, int(d.chunk.at_ns.max()))

    def answer(self, path: str, capture: Capture) -> Decoded:
        """The answer for a capture that was read to its end."""
        interfaces = tuple(interface.name for interface in capture.interfaces)
        flows, keys = flows_of(self._table, interfaces)
        flows, errors = self._errors.told(flows, keys)
        unread = [
            Warned(
                0, f"link type {one.linktype} of interface {one.name or number} is not read: its packets are one flow"
            )
            for number, one in enumerate(capture.interfaces)
            if one.linktype not in levels.LINKTYPES
        ]
        damage = [Warned(one.offset, one.what) for one in capture.damage]
        return Decoded(
            file=path,
            format=capture.format,
            packets=self._packets,
            bytes=self._bytes,
            first_ns=self._first if self._packets else None,
            last_ns=self._last if self._packets else None,
            interfaces=interfaces,
            flows=tuple(flows),
            warnings=(*unread, *damage),
            truncated=self._truncated,
            errors=errors,
            dropped=capture.dropped,
        )
