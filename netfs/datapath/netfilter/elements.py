"""Whether a value fits a pattern or lies in a set: yes, no, or unknown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeGuard

from netfs.datapath.netfilter.answer import SetChange
from netfs.datapath.netfilter.records import (
    Anything,
    Between,
    Data,
    Elements,
    Exact,
    Parts,
    Pattern,
    Prefixed,
    Present,
    Value,
)


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that a simulation cannot know, and why."""

    reason: str
    between: tuple[int, int] | None = None
    """The bounds it lies in, both included; None: it may be anything."""


Subject: TypeAlias = "int | str | tuple[int | str | Unknown, ...] | Unknown"


@dataclass(frozen=True, slots=True)
class Hit:
    """The outcome of a look-up."""

    found: bool
    data: Data = None


MISS = Hit(False)


def fits(pattern: Pattern, value: Subject) -> bool | None:
    """Whether a value fits; None: it cannot be told."""
    if isinstance(pattern, Anything):
        return True
    if isinstance(value, Unknown):
        return _may_fit(pattern, value)
    match pattern:
        case Exact():
            if isinstance(value, tuple) and isinstance(pattern.value, tuple):
                return _every([fits(Exact(want), part) for want, part in zip(pattern.value, value, strict=False)])
            return pattern.value == value
        case Between():
            return isinstance(value, int) and pattern.low <= value <= pattern.high
        case Prefixed():
            return isinstance(value, str) and value.startswith(pattern.text)
        case Present():
            return bool(value) == pattern.wanted
        case Parts():
            if not isinstance(value, tuple) or len(value) != len(pattern.parts):
                return False
            return _every([fits(want, part) for want, part in zip(pattern.parts, value, strict=True)])


def _may_fit(pattern: Pattern, value: Unknown) -> bool | None:
    """What is certain of a value that lies somewhere between two others."""
    if value.between is None:
        return None
    low, high = value.between
    if isinstance(pattern, Exact) and isinstance(pattern.value, int):
        return None if low <= pattern.value <= high else False
    if isinstance(pattern, Between):
        if high < pattern.low or pattern.high < low:
            return False
        return True if pattern.low <= low and high <= pattern.high else None
    return None


def _every(answers: list[bool | None]) -> bool | None:
    if False in answers:
        return False
    return None if None in answers else True


def _whole(value: Subject) -> TypeGuard[Value]:
    if isinstance(value, tuple):
        return not any(isinstance(part, Unknown) for part in value)
    return not isinstance(value, Unknown)


def find(elements: Elements, value: Subject) -> Hit | Unknown:
    """Look a value up in a set or map."""
    if elements.defect is not None:
        return Unknown(elements.defect)
    if not _whole(value):
        possible = next(candidates(elements, value), None)
        return MISS if possible is None else Unknown(_reason(value))
    if value in elements.exact:
        return Hit(True, elements.exact[value])
    for pattern, data in elements.loose:
        if fits(pattern, value):
            return Hit(True, data)
    return MISS


def altered(changes: Sequence[SetChange], elements: Elements, value: Subject) -> bool | Unknown | None:
    """Whether the packet itself put the value into the set, or took it out; None: it did neither."""
    if elements.name is None:
        return None
    for change in reversed(changes):
        if change.name == elements.name:
            if change.key is None or not _whole(value):
                return Unknown(f"set {elements.name} was changed by this packet")
            if change.key == value:
                return change.present
    return None


def candidates(elements: Elements, value: Subject) -> Iterator[Data]:
    """The data of every element that a value, known in part, may fit."""
    for key, data in elements.exact.items():
        if fits(Exact(key), value) is not False:
            yield data
    for pattern, data in elements.loose:
        if fits(pattern, value) is not False:
            yield data


def _reason(value: Subject) -> str:
    if isinstance(value, tuple):
        value = next(part for part in value if isinstance(part, Unknown))
    return value.reason if isinstance(value, Unknown) else ""
