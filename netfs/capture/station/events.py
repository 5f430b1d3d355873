"""Pages of the kernel's trace buffer to the events that tell of drops, as few as say everything."""

from __future__ import annotations

import bisect
import struct
import sys
from collections.abc import Callable, Iterable
from typing import NamedTuple

from netfs.capture.station import ring

FREE, IN, OUT = "skb/kfree_skb", "net/netif_receive_skb", "net/net_dev_start_xmit"
PRINT = "ftrace/print"
"""What a write to ``trace_marker`` becomes."""

_EVER = 1 << 62
"""Later than all."""
_WHOLE = 8000
"""Events told from the beginning and after each mark, of any packet; beyond, those of packets that were dropped."""
_NEXT = 64
"""Events told of one packet beyond these."""
_ASIDE = 0x08 | 0x10 | 0x40
"""TRACE_FLAG_HARDIRQ, _SOFTIRQ, _NMI (include/linux/trace_events.h): the task did not call, it was interrupted."""
_UNSEEN = ("NEIGH_", "TC_EGRESS", "QDISC_", "NOT_SPECIFIED")
"""Reasons for which a packet is dropped before a tap or an event could see it."""
_COMMON = ("common_flags", "common_pid")


class Event(NamedTuple):
    """One event of a packet."""

    at: int
    """Nanoseconds."""
    kind: str
    """``in``, ``out`` (received, handed to a device) or ``free`` (dropped)."""
    packet: int
    """Address of the ``sk_buff``."""
    pid: int
    called: bool
    """That task itself called; False: it was interrupted."""
    name: str
    """The device; of ``free``, the function, once it is looked up."""
    number: int
    """Bytes of ``in`` (without link-layer header) and ``out`` (with it); of ``free``, the ethertype."""
    reason: str = ""
    location: int = 0


class Mark(NamedTuple):
    """The thread that sends said so."""

    at: int
    pid: int
    number: int


Formats = dict[str, ring.Format]
_Found = Event | Mark | None
_Reader = Callable[[bytes, int, int, int], _Found]
"""(page, time, where the record begins, its length)"""


def decoded(pages: Iterable[bytes], layout: ring.Layout, formats: Formats) -> tuple[list[Mark], list[Event]]:
    """Marks and events of all processors' pages, by time. Raises ValueError where an event lacks a field."""
    readers: dict[int, _Reader] = {formats[event].identity: make(formats[event]) for event, make in _MAKERS.items()}
    marks: list[Mark] = []
    events: list[Event] = []
    for page in pages:
        for at, offset, length in ring.records(page, layout):
            read = readers.get(int.from_bytes(page[offset : offset + 2], sys.byteorder))
            if read is None:
                continue
            try:
                found = read(page, at, offset, length)
            except struct.error:  # the record is shorter than its format
                continue
            if found.__class__ is Event:
                events.append(found)
            elif found.__class__ is Mark:
                marks.append(found)
    return sorted(marks), sorted(events)


def worth(marks: Iterable[Mark], events: list[Event]) -> list[Event]:
    """Without the drops that nobody can tie to a packet: of one that passed no device before, unless the sender
    dropped it in its own call, or it was on its way to a device, or no reason is told.
    """
    seen = {event.packet for event in events if event.kind != "free"}
    senders = {mark.pid for mark in marks}
    return [
        event
        for event in events
        if event.kind != "free"
        or event.packet in seen
        or (event.called and event.pid in senders)
        or event.reason.startswith(_UNSEEN)
    ]


def told(marks: Iterable[Mark], events: list[Event]) -> tuple[list[Event], list[tuple[int, int]]]:
    """The events that are worth carrying, and the times between which none is left out.

    These are the first, of all and after each mark. Elsewhere there are those of packets that were dropped: of each
    that was seen before, or that never passed a device, the next few.
    """
    times = [event.at for event in events]
    near = bytearray(len(events))
    whole = []
    for since in (0, *(mark.at for mark in marks)):
        begin = bisect.bisect_left(times, since)
        end = min(begin + _WHOLE, len(events))
        near[begin:end] = b"\1" * (end - begin)
        whole.append((since, times[end] if end < len(events) else _EVER))
    dropped = {event.packet for event in events if event.kind == "free"}
    left = {event.packet: _NEXT for event, close in zip(events, near, strict=True) if close}
    left |= dict.fromkeys(dropped - {event.packet for event in events if event.kind != "free"}, _NEXT)
    carried = []
    for event, close in zip(events, near, strict=True):
        if not close:
            if event.packet not in dropped or not left.get(event.packet, 0):
                continue
            left[event.packet] -= 1
        carried.append(event)
    return carried, whole


def _mark(layout: ring.Format) -> _Reader:
    read = ring.reader(layout, _COMMON)
    text = layout.fields["buf"][0] if "buf" in layout.fields else 0

    def mark(page: bytes, at: int, offset: int, length: int) -> _Found:
        _, pid = read(page, offset)
        number = page[offset + text : offset + length].split(b"\0")[0].strip()
        return Mark(at, pid, int(number)) if number.isdigit() and len(number) < 10 else None

    return mark


def _passed(kind: str) -> Callable[[ring.Format], _Reader]:
    """Of ``in`` and ``out``: the device's name is a string behind the record's fields (``__data_loc``)."""

    def make(layout: ring.Format) -> _Reader:
        read = ring.reader(layout, (*_COMMON, "skbaddr", "len", "name"))
        names: dict[bytes, str] = {}

        def passed(page: bytes, at: int, offset: int, length: int) -> _Found:
            flags, pid, packet, size, place = read(page, offset)
            begin = offset + (place & 0xFFFF)
            raw = page[begin : min(begin + (place >> 16), offset + length)]
            name = names.get(raw)
            if name is None:
                name = names[raw] = raw.split(b"\0")[0].decode("utf-8", "backslashreplace")
            return Event(at, kind, packet, pid, not flags & _ASIDE, name, size)

        return passed

    return make


def _freed(layout: ring.Format) -> _Reader:
    """Before Linux 5.17 there is no reason: kfree_skb() tells none."""
    reasoned = "reason" in layout.fields
    read = ring.reader(layout, (*_COMMON, "skbaddr", "location", "protocol", *(("reason",) if reasoned else ())))

    def freed(page: bytes, at: int, offset: int, _length: int) -> _Found:
        flags, pid, packet, location, protocol, *number = read(page, offset)
        reason = layout.symbols.get(number[0], str(number[0])) if number else "NOT_SPECIFIED"
        return Event(at, "free", packet, pid, not flags & _ASIDE, "", protocol, reason, location)

    return freed


_MAKERS: dict[str, Callable[[ring.Format], _Reader]] = {
    PRINT: _mark,
    FREE: _freed,
    IN: _passed("in"),
    OUT: _passed("out"),
}
