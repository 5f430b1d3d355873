"""What the readers of nft's JSON share: what an expression may refer to, and the small forms everything is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from netfs.datapath.netfilter.datatypes import NotUnderstoodError
from netfs.datapath.netfilter.records import Elements


@dataclass(frozen=True, slots=True)
class Quota:
    """A quota as it was listed. Units: bytes."""

    limit: int
    used: int
    over: bool
    """It matches beyond the limit, not up to it."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression may refer to: the named sets and objects of its table, and devices by index."""

    sets: Mapping[str, Elements]
    devices: Mapping[int, str]
    family: str = "ip"
    quotas: Mapping[str, Quota] = field(default_factory=dict)

    def named(self, reference: str) -> Elements:
        """The set or map that ``@NAME`` refers to."""
        name = reference.removeprefix("@")
        found = self.sets.get(name)
        return found if found is not None else Elements(name, defect=f"set {name} was not read")


def single(raw: Any) -> tuple[str, Any]:
    """The key and value of a JSON object of one member."""
    if isinstance(raw, dict) and len(raw) == 1:
        key, value = next(iter(raw.items()))
        return str(key), value
    raise NotUnderstoodError(f"{str(raw)[:60]!r}")


def text_of(raw: Any, key: str) -> str:
    """The text under a key of a JSON object."""
    value = raw.get(key) if isinstance(raw, dict) else None
    if isinstance(value, str):
        return value
    raise NotUnderstoodError(f"no {key!r} in {str(raw)[:60]!r}")


def number_of(raw: Any, key: str, default: int | None = None) -> int:
    """The number under a key of a JSON object."""
    value = raw.get(key, default) if isinstance(raw, dict) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise NotUnderstoodError(f"no number {key!r} in {str(raw)[:60]!r}")
