"""Every container of an engine that is asked over HTTP: its list, then each one for itself on the same connection.

Docker and Podman answer alike here. A container that goes meanwhile is left out. One that an engine cannot tell of (it
waits for a lock that is held) costs the time of one answer; what the list says of it is kept. Two of them one after the
other, and no more are asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from netfs.container.engines.http import Http
from netfs.model.gaps import Gap
from netfs.overlay.stores import documents
from netfs.overlay.stores.docker.containers import ID

MOST = 20_000
"""Containers of a list that are told."""
_HANGS = 2
_ANSWERS = 10
"""All of them may take so many times what one answer may."""
_SLOW = "it needs too long for all of them"


@dataclass(frozen=True, slots=True)
class Inspections:
    """What an engine says of its containers."""

    listed: Mapping[str, object] = field(default_factory=dict)
    """By id: their entries in the list, of those that are still there."""
    inspected: Mapping[str, object] = field(default_factory=dict)
    """By id; what is missing here could not be asked."""
    gaps: tuple[Gap, ...] = ()


def inspections(http: Http, every: str, one: Callable[[str], str]) -> Inspections:
    """Ask for the list at ``every``, and for each container at ``one`` of its id."""
    gaps: list[Gap] = []
    listed = _listed(http, every, gaps)
    inspected: dict[str, object] = {}
    until = time.monotonic() + _ANSWERS * http.timeout
    why, hangs = _SLOW, 0
    for identity in tuple(listed):
        if hangs == _HANGS or time.monotonic() > until:
            break
        answer = http.find(one(identity), "containers")
        hangs = hangs + 1 if http.hangs else 0
        if answer is None:
            del listed[identity]
        elif isinstance(answer, Gap):
            why = answer.reason
        else:
            inspected[identity] = answer
    missing = len(listed) - len(inspected)
    if missing:
        reason = f"{missing} of {len(listed)} are known by the engine's list alone: {why}"
        gaps.append(Gap(http.where, "containers", reason))
    return Inspections(listed, inspected, tuple(gaps))


def _listed(http: Http, every: str, gaps: list[Gap]) -> dict[str, object]:
    """Those with an id that can be asked for."""
    answer = http.get(every, "containers")
    if isinstance(answer, Gap):
        gaps.append(answer)
        return {}
    if not isinstance(answer, list):
        gaps.append(Gap(http.where, "containers", "answered with what is no list"))
        return {}
    listed = {identity: entry for entry in answer if ID.fullmatch(identity := documents.text(entry, "Id"))}
    if len(listed) < len(answer):
        reason = f"{len(answer) - len(listed)} of {len(answer)} have no id that can be one, or another's"
        gaps.append(Gap(http.where, "containers", reason))
    if len(listed) > MOST:
        gaps.append(Gap(http.where, "containers", f"only {MOST} of {len(listed)} are told"))
    return dict(list(listed.items())[:MOST])
