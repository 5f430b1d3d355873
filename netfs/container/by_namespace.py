"""Containers that nobody knows of: processes in namespaces of their own. Pure.

The kernel knows no containers, and namespaces are used for less. What is taken for one has its own mount namespace and

- its own PID namespace, whose first process has that mount namespace; or
- its own network namespace, and its own of ipc or uts, and is no service of systemd's.

So a browser's sandbox (own user, PID and network namespaces, the node's files) is none. Nor are services with
PrivateTmp (a mount namespace alone) or PrivateNetwork as well, nor what ``ip netns exec`` started (mounts and network,
no more). Programs in bubblewrap's sandbox are: nothing that is read here tells them from a container.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from netfs.container.kin import Kin
from netfs.model.containers import Container
from netfs.model.processes import Process

_SERVICE = ".service"
_FARTHER = ("ipc", "uts")


class Found(NamedTuple):
    """A container that only its namespaces tell of."""

    container: Container
    first: Process
    processes: tuple[Process, ...]


def found(kin: Kin, taken: Collection[int]) -> list[Found]:
    """The containers among the processes that are not in ``taken``: those are other containers'.

    None, where the node's first process may not be looked at: nobody knows what its namespaces are then.
    """
    node = kin.first.namespaces if kin.first is not None else {}
    if not {"mnt", "pid", "net"} <= node.keys():
        return []
    led = {
        process.namespaces.get("pid") for process in kin.processes if kin.leads(process) and process.pid not in taken
    }
    held = {space for pid in taken if pid in kin.by_pid for space in _own(kin.by_pid[pid], node)}
    # One whose number 1 is nobody's is not that of who was merely put there (``--pid host`` on a nameless node).
    held -= {("pid", space) for space in led if space is not None}
    free = [process for process in kin.processes if process.pid not in taken]
    by_pid = _grouped(((_topmost(process, kin, node), process) for process in free), held)
    told = [one for one in (_with_pids(space, group, node, held) for space, group in by_pid.items()) if one is not None]
    held |= {space for one in told for process in one.processes for space in _own(process, node)}
    left = {process.pid for one in told for process in one.processes}
    others = _grouped(((_with_net(process, node, held), process) for process in free if process.pid not in left), held)
    return told + [_found(f"mnt:[{space[1]}]", group, group[0]) for space, group in others.items()]


def _own(process: Process, node: Mapping[str, int]) -> set[tuple[str, int]]:
    """A process's namespaces that are not the node's."""
    return {
        (kind, process.namespaces[kind])
        for kind in ("mnt", "pid", "net")
        if process.namespaces.get(kind, node[kind]) != node[kind]
    }


def _grouped(
    spaces: Iterable[tuple[tuple[str, int] | None, Process]], held: AbstractSet[tuple[str, int]]
) -> dict[tuple[str, int], list[Process]]:
    """Processes by their namespace, the earliest first; without those of which another container has the namespace."""
    groups: dict[tuple[str, int], list[Process]] = {}
    for space, process in spaces:
        if space is not None and space not in held:
            groups.setdefault(space, []).append(process)
    return {space: sorted(group, key=lambda one: (one.started, one.pid)) for space, group in sorted(groups.items())}


def _topmost(process: Process, kin: Kin, node: Mapping[str, int]) -> tuple[str, int] | None:
    """The highest of its PID namespaces that is not the node's, of those below that one."""
    own = None
    if kin.first is None or len(process.pids) <= len(kin.first.pids):
        return None
    for space in kin.above(process.namespaces.get("pid")):
        if space == node["pid"]:
            break
        own = ("pid", space)
    return own


def _with_pids(
    space: tuple[str, int], group: list[Process], node: Mapping[str, int], held: AbstractSet[tuple[str, int]]
) -> Found | None:
    init = next((one for one in group if one.pids[-1:] == (1,) and one.namespaces.get("pid") == space[1]), group[0])
    mounts = init.namespaces.get("mnt", node["mnt"])
    if mounts == node["mnt"] or ("mnt", mounts) in held:
        return None
    return _found(f"pid:[{space[1]}]", group, init)


def _with_net(process: Process, node: Mapping[str, int], held: AbstractSet[tuple[str, int]]) -> tuple[str, int] | None:
    """Its mount namespace, where it and others are its own, and no other container's."""
    mine = process.namespaces
    own = _own(process, node)
    if {kind for kind, _ in own} != {"mnt", "net"} or not own.isdisjoint(held):
        return None
    farther = any(mine.get(kind, node.get(kind)) != node.get(kind) for kind in _FARTHER)
    return None if not farther or _is_service(process) else ("mnt", mine["mnt"])


def _is_service(process: Process) -> bool:
    return any(path.rpartition("/")[2].endswith(_SERVICE) for path in process.cgroups.values())


def _found(identity: str, group: list[Process], init: Process) -> Found:
    return Found(Container(identity, name=f"{init.comm}-{init.pid}"), init, tuple(group))
