"""Containers in a container that no control group shows to be around them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from netfs.container.kin import Kin
from netfs.model.containers import SANDBOX, Placed


def nested(placed: Sequence[Placed], kin: Kin) -> list[Placed]:
    """Containers with what is in them: a container that plays a node has all processes of those that it runs.

    Where control groups tell, they are together already. One that only a number or namespaces tie to its processes,
    and that has a PID namespace of its own, holds those containers whose first process was started by one of its own:
    what runs them (a shim, conmon) is a child of the node's. A container that is merely put beside it
    (``--pid container:…``) was started from elsewhere.
    """
    around = {pid: at for at, each in enumerate(placed) if _may_hold(each, kin) for pid in each.pids}
    if not around:
        return list(placed)
    held: dict[int, set[int]] = {}
    for at, each in enumerate(placed):
        if each.init is None:
            continue
        for ancestor in kin.ancestors(each.init):
            outer = around.get(ancestor, at)
            if outer != at:
                held.setdefault(outer, set()).update(each.pids)
    return [_with(each, held[at]) if at in held else each for at, each in enumerate(placed)]


def _may_hold(each: Placed, kin: Kin) -> bool:
    if each.by not in {"namespace", "pid"} or each.init is None or each.container.role == SANDBOX:
        return False
    return kin.leads(kin.by_pid[each.init])


def _with(each: Placed, more: set[int]) -> Placed:
    assert each.init is not None
    return replace(each, pids=ordered(each.init, (*each.pids, *more)))


def ordered(first: int, pids: Iterable[int]) -> tuple[int, ...]:
    """Processes of a container: the first one, the others by number."""
    return (first, *sorted(set(pids) - {first}))
