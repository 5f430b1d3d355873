"""Whose a process is by the number that an engine wrote down: believed only where the times agree. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from netfs.container.kin import Kin
from netfs.model.containers import SANDBOX, Container
from netfs.model.processes import Process

_EARLY_S = 60.0
"""A process waits so long at most for its container to be called started: engines make it, set up networks, run hooks,
and note the moment at last. Where only the container's own making is known, so much later it may be started."""
_LATE_S = 5.0
"""So much later it may seem to be started: file systems and btime count whole seconds, and clocks are set now and then,
which moves the moments since boot and not those written down. A larger step loses the tie; a process that got a number
again is later by more, as numbers go round first."""


class Clock(NamedTuple):
    """What process starts are counted by."""

    booted_at: float
    """Seconds since the epoch."""
    ticks: int
    """Each second."""

    def started(self, process: Process) -> float:
        """When a process was started: seconds since the epoch."""
        return self.booted_at + process.started / self.ticks


def is_run_of(process: Process, container: Container, clock: Clock) -> bool:
    """Whether a process was started when a container was; False where nobody wrote down when that was."""
    started = clock.started(process)
    if container.started_at:
        at = moment(container.started_at)
        return at is not None and at - _EARLY_S <= started <= at + _LATE_S
    at = moment(container.created_at)
    return at is not None and at - _LATE_S <= started <= at + _EARLY_S


def moment(text: str) -> float | None:
    """RFC 3339 as seconds since the epoch; None for anything else."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    try:
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except OverflowError:
        return None


def households(
    inits: Mapping[int, Process], containers: Collection[Container], kin: Kin, taken: Collection[int]
) -> dict[int, int]:
    """Which container each process is in, by pid, where containers' first processes (by place) are known.

    A process belongs to its nearest ancestor's container; else to that whose PID namespace it is in, or below. Those
    in ``taken`` are another's, and what they started follows them. A sandbox has its own process alone.
    """
    places = list(containers)
    found = {process.pid: at for at, process in inits.items()}
    waiting = [(process, at) for at, process in sorted(inits.items()) if places[at].role != SANDBOX]
    while waiting:
        parent, at = waiting.pop()
        for child in kin.children.get(parent.pid, ()):
            if child.pid not in found and child.pid not in taken:
                found[child.pid] = at
                waiting.append((child, at))
    own = _own_namespaces(inits, places, kin)
    for process in kin.processes if own else ():
        if process.pid not in found and process.pid not in taken:
            space = next((one for one in kin.above(process.namespaces.get("pid")) if one in own), None)
            if space is not None:
                found[process.pid] = own[space]
    return found


def _own_namespaces(inits: Mapping[int, Process], places: list[Container], kin: Kin) -> dict[int, int]:
    """Containers by the PID namespace that is theirs: not the node's, and their first process is number 1 in it."""
    return {
        process.namespaces["pid"]: at
        for at, process in inits.items()
        if kin.leads(process) and places[at].role != SANDBOX
    }
