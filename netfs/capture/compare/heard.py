"""What a station's tracer heard, read from its JSON. It comes from another machine: it may hold anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

_KINDS = ("in", "out", "free")
_MARK = (int, int, int)
_RANGE = (int, int)
_EVENT = (int, str, int, int, bool, str, int, str)
_LONGEST = 128
"""Bytes of a name: KSYM_NAME_LEN before Linux 6.1; a device's is shorter."""


class Event(NamedTuple):
    """Something that happened to one ``sk_buff``."""

    at: int
    """Nanoseconds since the epoch."""
    kind: str
    """``in``, ``out``: received at a device, handed to one. ``free``: dropped."""
    packet: int
    """Stands for the address of the ``sk_buff``: it is used again and again."""
    pid: int
    called: bool
    """That process itself called; False: it was interrupted."""
    name: str
    """The device; of ``free``, the function."""
    number: int
    """Bytes; of ``in`` without link-layer header. Of ``free``, the ethertype."""
    reason: str


class Mark(NamedTuple):
    """A probe was about to leave."""

    at: int
    pid: int
    number: int


@dataclass(frozen=True, slots=True)
class Heard:
    """Marks and events, by time."""

    marks: tuple[Mark, ...] = ()
    events: tuple[Event, ...] = ()
    lost: int = 0
    """Events that the kernel had no room for."""
    whole: tuple[tuple[int, int], ...] = ()
    """The times between which no event was left out; elsewhere there are only those of packets that were dropped."""


def read(data: bytes) -> Heard:
    """What ``Tracer.read`` gave. Rows that are none are left out."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return Heard()
    if not isinstance(document, dict):
        return Heard()
    lost = document.get("lost")
    return Heard(
        tuple(sorted(Mark(*row) for row in _rows(document.get("marks"), _MARK))),
        tuple(sorted(Event(*row) for row in _rows(document.get("events"), _EVENT) if row[1] in _KINDS)),
        lost if type(lost) is int else 0,
        tuple((begin, end) for begin, end in _rows(document.get("whole"), _RANGE)),
    )


def _rows(value: object, types: tuple[type, ...]) -> Iterator[list[Any]]:
    """The rows of these types; whatever else is there is left out."""
    for row in value if isinstance(value, list) else ():
        if isinstance(row, list) and len(row) == len(types):
            if all(type(one) is wanted for one, wanted in zip(row, types, strict=True)):
                if all(len(one) <= _LONGEST for one in row if isinstance(one, str)):
                    yield row
