"""Which of a host's processes are a node's."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from netfs.model.processes import Process


def of_node(processes: Sequence[Process], members: Collection[int], outer: int | None) -> tuple[Process, ...]:
    """The processes of a node whose own processes are ``members``. Pure.

    They are those in the members' PID namespaces; of a member without one of its own (it is in ``outer``, the reader's)
    those in its network namespace. Whatever such a process started is the node's as well, wherever it is now: that is
    how PID namespaces below theirs belong to it.
    """
    own = [process for process in processes if process.pid in members]
    inside = {process.namespaces.get("pid") for process in own} - {outer, None}
    beside = {process.namespaces.get("net") for process in own if process.namespaces.get("pid") == outer} - {None}
    children: dict[int, list[int]] = {}
    for process in processes:
        children.setdefault(process.ppid, []).append(process.pid)
    taken: set[int] = set()
    edge = [
        process.pid
        for process in processes
        if process.pid in members or process.namespaces.get("pid") in inside or process.namespaces.get("net") in beside
    ]
    while edge:
        pid = edge.pop()
        if pid not in taken:
            taken.add(pid)
            edge += children.get(pid, ())
    return tuple(process for process in processes if process.pid in taken)
