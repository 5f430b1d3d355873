"""Whether a value fits a pattern or lies in a set: yes, no, or unknown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

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
)


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that a simulation cannot know, and why."""

    reason: str


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
        return None
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


def _every(answers: list[bool | None]) -> bool | None:
    if False in answers:
        return False
    return None if None in answers else True


def _whole(value: Subject) -> bool:
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
        return Hit(True, elements.exact[value])  # type: ignore[index]
    for pattern, data in elements.loose:
        if fits(pattern, value):
            return Hit(True, data)
    return MISS


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
