"""Many namespaces, looked at by this process and a copy of it, each at one half.

Only what was found is told. Whatever failed, was refused or has ended is left to the look at all that follows.
"""

from __future__ import annotations

from typing import Any

from netfs.collect.copies import in_two, may_be_two
from netfs.collect.namespaces.found import Found, Search
from netfs.collect.namespaces.numbers import Numbers
from netfs.collect.namespaces.pins import Told, pins_of
from netfs.collect.namespaces.relations import Relations

MANY = 400
"""Namespaces from which a copy pays: it costs as much as a hundred of them."""


def look(search: Search, own: int) -> dict[int, list[Told]]:
    """Learn about many namespaces, and tell the pins that were read, by mount namespace. ``own``: the caller's."""
    if len(search.found) < MANY or not may_be_two():
        return {}
    found = list(search.found.values())
    middle = len(found) // 2
    pins: dict[int, list[Told]] = {}

    def here() -> None:
        pins.update(_part(search, own, found[:middle]))

    def there() -> tuple[dict[int, list[Told]], list[tuple[Any, ...]]] | None:
        read = _part(search, own, found[middle:])
        return None if search.refused else (read, [_plain(each) for each in search.found.values()])

    told = in_two(here, there)
    if told is not None:
        pins.update(told[0])
        for each in told[1]:
            _take(search, *each)
    return pins


def _part(search: Search, own: int, part: list[Found]) -> dict[int, list[Told]]:
    with Numbers() as numbers:
        Relations(search, numbers, own).learn_some(part)
    read = ((each.id, pins_of(each, search.proc)) for each in part if each.type == "mnt")
    return {id: pins for id, pins in read if isinstance(pins, list)}


def _plain(found: Found) -> tuple[Any, ...]:
    """As ``_take`` takes it."""
    told = (found.owner, found.parent, found.owner_uid, found.nsid) if found.known else None
    return found.type, found.id, tuple(found.keeps), told


def _take(search: Search, type: str, id: int, keeps: tuple[str, ...], told: tuple[int | None, ...] | None) -> None:
    found = search.get(type, id) if told or keeps else None
    if found is None:
        return
    found.keeps.update(keeps)
    if told and not found.known:
        found.owner, found.parent, found.owner_uid, found.nsid = told
        found.known = True
