"""One record for each container, of everything that its engines said of it. Pure.

A container may be told of twice or more: by its engine's socket and by its files; by Docker, and by the containerd that
runs it for Docker; by CRI, and by containerd's database below that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace

from netfs.model.containers import Container, Engine

_SOCKET = "unix://"
"""Begins the endpoint of an engine that was asked."""
_NEAREST = ("docker", "podman", "cri-o", "cri", "containerd")
"""Engines that know more of a container, before those that only run it for them."""
_UNIQUE = re.compile(r"[0-9a-f]{64}")
_PASSING = frozenset(("pid", "started_at", "addresses", "netns"))
"""What is of one run of a container only."""
_NAMES = tuple(field.name for field in fields(Container) if field.name != "id")


def merged(engines: Sequence[Engine]) -> tuple[Container, ...]:
    """One record a container, by name. What an answer says wins over files; what it leaves empty, they fill.

    Only what belongs to one run of the container is not taken from a record with another state: files that are behind
    name a process that is gone, and a state is always newer where an engine was asked. What a user's engines say stands
    for itself: of containers that are the machine's, or another user's, nothing is taken from them.
    """
    own = _merged([engine for engine in engines if engine.user is None])
    users = sorted({engine.user for engine in engines if engine.user is not None})
    ids = {one.id for one in own if _UNIQUE.fullmatch(one.id)}
    pods = {one.pod_uid for one in own}
    for user in users:
        theirs = _merged([engine for engine in engines if engine.user == user])
        own += [replace(one, pod_uid="") if one.pod_uid in pods else one for one in theirs if one.id not in ids]
    return tuple(sorted(own, key=order))


def _merged(engines: Sequence[Engine]) -> list[Container]:
    known: dict[str, list[_Told]] = {}
    for engine in sorted(engines, key=_rank):
        before = {identity: list(told) for identity, told in known.items()} if engine.containers else {}
        for container in engine.containers:
            same = next((one for one in before.get(container.id, ()) if one.may_be(container)), None)
            if same is None:
                known.setdefault(container.id, []).append(_Told(container))
            else:
                same.record = _filled(same.record, container)
    return [one.record for told in known.values() for one in told]


def order(container: Container) -> tuple[str, str, str, int]:
    """Containers by name; of one name in an order that is always the same."""
    return container.called, container.id, container.cgroup, container.pid or 0


class _Told:
    """A container, as far as it is known."""

    def __init__(self, record: Container) -> None:
        self.record = record

    def may_be(self, other: Container) -> bool:
        """Whether another engine's record of the same id is of this container.

        Engines make up 64 digits; ids that people choose (``ctr run … web``) are only unique in one namespace of
        containerd, which the control group tells.
        """
        if _UNIQUE.fullmatch(other.id):
            return True
        mine = self.record
        return _agree((mine.cgroup, other.cgroup)) and _agree((mine.pid, other.pid))


def _agree(values: Iterable[object]) -> bool:
    return len({value for value in values if value}) < 2


def _rank(engine: Engine) -> tuple[bool, int, str]:
    nearness = _NEAREST.index(engine.name) if engine.name in _NEAREST else len(_NEAREST)
    return not engine.endpoint.startswith(_SOCKET), nearness, engine.endpoint


def _filled(record: Container, other: Container) -> Container:
    same_run = _agree((record.state, other.state))
    missing = {
        name: value
        for name in _NAMES
        if not getattr(record, name) and (value := getattr(other, name)) and (same_run or name not in _PASSING)
    }
    return replace(record, **missing) if missing else record
