"""The limit that holds for a group: the smallest of its own and its ancestors'.

Limits of a group hold for all below it (Documentation/admin-guide/cgroup-v2.rst, "Limits"; cgroup-v1/memory.rst, 6). A
memory hierarchy of version 1 could do without (``use_hierarchy`` 0): kernels since 5.11 cannot, and nothing here asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from netfs.model.cgroups import Cgroup, CgroupTree, Effective

CONTROLLERS = {"cpu": "cpu", "memory": "memory", "swap": "memory", "pids": "pids"}
"""Whose limits ``Cgroup.effective`` tells, and which controller has them."""
PERIOD = 100_000
"""Microseconds: the kernel's period of CPU quotas where none is set (Documentation/scheduler/sched-bwc.rst)."""


def effective(tree: CgroupTree) -> Iterator[Mapping[str, Effective]]:
    """For each group of the tree, in its order."""
    first = {name for each in tree.hierarchies if each.version == 1 for name in each.controllers}
    apart = {limit: controller for limit, controller in CONTROLLERS.items() if controller in first}
    known: dict[str, Mapping[str, Effective]] = {}
    for group in tree.groups:
        limits = _inherited(group, known, apart)
        own = {name: Effective(value, group.path) for name, value in _own(group)}
        if own:
            limits = {**limits, **{name: each for name, each in own.items() if _holds(each, limits.get(name))}}
        known[group.path] = limits
        yield limits


def _inherited(
    group: Cgroup, known: Mapping[str, Mapping[str, Effective]], apart: Mapping[str, str]
) -> Mapping[str, Effective]:
    """What holds for the nearest ancestor, without hierarchies of version 1 that do not have this group."""
    path, found = group.path, None
    while found is None and path not in ("", "/"):
        path = path.rpartition("/")[0] or "/"
        found = known.get(path)
    if not found:
        return {}
    missing = {limit for limit, controller in apart.items() if limit in found and controller not in group.controllers}
    return {name: each for name, each in found.items() if name not in missing} if missing else found


def _holds(own: Effective, above: Effective | None) -> bool:
    return above is None or own.value <= above.value


def _own(group: Cgroup) -> Iterator[tuple[str, int]]:
    cpu, memory, processes = group.cpu, group.memory, group.processes
    if cpu is not None and (value := quota(cpu.quota_us, cpu.period_us)) is not None:
        yield "cpu", value
    if memory is not None:
        if memory.limit is not None:
            yield "memory", memory.limit
        if memory.swap_limit is not None:
            yield "swap", memory.swap_limit
    if processes is not None and processes.limit is not None:
        yield "pids", processes.limit


def quota(quota_us: int | None, period_us: int | None) -> int | None:
    """CPU time in each second, in microseconds; None: no limit."""
    if quota_us is None or quota_us < 0:
        return None
    return quota_us * 1_000_000 // (period_us if period_us and period_us > 0 else PERIOD)
