"""The namespaces of a container in two or three lines: its own, its pod's, the node's, others'."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netfs.model.inspected import Inspected, InspectedContainer, SharedNamespace
from netfs.model.text import printable
from netfs_cli.render.inspect.block import Style, aligned
from netfs_cli.render.layers.words import names
from netfs_cli.render.namespaces.words import processes


def lines(answer: Inspected, each: InspectedContainer, style: Style) -> Iterator[str]:
    """``own: mnt, pid``, ``of the pod: ipc, net``, ``of node1: user``; wide: a line for each, with inode and pins."""
    spaces = each.namespaces
    if style.wide:
        yield from aligned(
            [[space.type, str(space.id or "?"), _whose(answer, space), _kept(space)] for space in spaces]
        )
        return
    groups: dict[str, list[str]] = {}
    for space in sorted(spaces, key=_order):
        groups.setdefault(_whose(answer, space), []).append(space.type)
    for whose, types in groups.items():
        yield style.told(f"{whose}: {', '.join(types)}")


def _order(space: SharedNamespace) -> tuple[bool, bool, bool]:
    """Its own first, then its pod's and others', then the node's."""
    return (space.id is None, space.with_node, not space.own)


def _whose(answer: Inspected, space: SharedNamespace) -> str:
    """Who has it, in words."""
    if space.id is None:
        return "not read"
    if space.own:
        return "own"
    if space.with_node:
        return f"the node's ({answer.node})" if answer.node else "the node's"
    pods = tuple(f"{each.container.in_pod}/" for each in answer.containers if each.container.pod)
    others = [name for name in space.shared_with if not name.startswith(pods)]
    if others:
        return f"with {names(others)}"
    if space.shared_with:
        return "the pod's"
    return f"with {_strangers(answer, space)}"


def _strangers(answer: Inspected, space: SharedNamespace) -> str:
    """Processes of no container in it: ``pid 4711, of no container``."""
    own = {process.pid for each in answer.containers for process in each.processes}
    told = next((each for each in answer.namespaces if (each.type, each.id) == (space.type, space.id)), None)
    pids: Sequence[int] = [pid for pid in told.pids if pid not in own] if told is not None else ()
    if len(pids) == 1:
        return f"pid {pids[0]}, of no container"
    return f"{processes(len(pids))} of no container" if pids else "processes of no container"


def _kept(space: SharedNamespace) -> str:
    return ", ".join(map(printable, space.pins))
