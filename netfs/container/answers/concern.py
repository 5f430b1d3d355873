"""Which gaps concern a subject: of a whole host there is always something that could not be read. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from netfs.model.gaps import Gap

if TYPE_CHECKING:
    from netfs.container.node import Node
    from netfs.model.cgroups import CgroupTree
    from netfs.model.containers import Engine, Placed
    from netfs.model.namespaces import Namespace
    from netfs.model.processes import Process

NAMESPACES, PROCESSES, OWNERS = "namespaces by process", "processes", "owners of namespaces"
"""``Gap.what`` of collect.processes and collect.namespaces."""
ENGINE = "engine"
"""``Gap.what`` of one that does not answer (container.engines)."""
EVERYTHING = "namespaces"
"""``Gap.what`` where none could be read at all."""


def of_host(
    node: Node,
    placed: Sequence[Placed],
    spaces: Sequence[Namespace],
    unlisted: Iterable[Gap],
    groups: CgroupTree | None,
) -> tuple[Gap, ...]:
    """What of the host was not read and leaves out something of these containers: see below."""
    own = {pid for each in placed for pid in each.pids}
    within = [each for each in spaces if not own.isdisjoint((*each.pids, *each.children_of))]
    return (
        *of_processes(node.unseen, placed, node.by_pid, within, groups),
        *of_engines(node.engines, placed),
        *of_namespaces(unlisted, within),
    )


def of_processes(
    gaps: Iterable[Gap],
    placed: Sequence[Placed],
    processes: Mapping[int, Process],
    spaces: Sequence[Namespace],
    groups: CgroupTree | None,
) -> Iterator[Gap]:
    """What of the host's processes was not read, and leaves out something of these containers.

    Their own namespaces; who shares one that is not the node's; processes that their groups have and that were not to
    be seen. ``spaces``: those they are in. ``groups``: those of the containers alone; None: none is.
    """
    own = {pid for each in placed for pid in each.pids}
    blind = [pid for pid in sorted(own) if pid in processes and _hidden(processes[pid])]
    apart = any(not each.initial for each in spaces)
    strangers = any(_hidden(each) and each.pid != 1 for each in processes.values())
    unseen = {pid for group in groups.groups for pid in group.pids} - processes.keys() if groups is not None else set()
    for gap in gaps:
        if gap.what == NAMESPACES:
            if blind:
                several = "one of its processes" if len(blind) == 1 else f"{len(blind)} of its processes"
                yield Gap(gap.where, gap.what, f"{several} may not be looked at (first: pid {blind[0]})")
            elif apart and strangers:
                yield gap
        elif gap.what != PROCESSES or unseen or apart:
            yield gap


def _hidden(process: Process) -> bool:
    """Whether its namespaces were not read. What has ended and was not waited for is in none."""
    return not process.namespaces and process.state != "Z"


def of_namespaces(gaps: Iterable[Gap], spaces: Iterable[Namespace]) -> Iterator[Gap]:
    """Owners that are missing. Which mount namespaces nobody could look into says nothing of these."""
    ownerless = any(each.owner is None and each.type != "user" for each in spaces)
    for gap in gaps:
        if gap.what == EVERYTHING or (gap.what == OWNERS and ownerless):
            yield gap


def of_engines(engines: Iterable[Engine], placed: Iterable[Placed]) -> Iterator[Gap]:
    """What engines did not say of these containers: of one that none knows, everything that was not said.

    Also that the engine that runs one does not answer: what is told then are its files, which may be behind.
    """
    known = {each.container.id for each in placed} - {""}
    runtimes = {each.container.runtime for each in placed} - {""}
    if not known:
        return
    asked = list(engines)
    telling = [engine for engine in asked if any(each.id in known for each in engine.containers)]
    nobodys = known - {each.id for engine in telling for each in engine.containers}
    mentioned = _naming(known | {each.container.layer for each in placed if each.container.layer})
    for engine in asked:
        silent = engine.name in runtimes
        for gap in engine.gaps:
            if nobodys or (silent and gap.what == ENGINE) or (engine in telling and mentioned(gap)):
                yield gap


def _naming(ids: Iterable[str]) -> Callable[[Gap], bool]:
    told = tuple(ids)
    return lambda gap: any(each in text for each in told for text in (gap.where, gap.what, gap.reason))
