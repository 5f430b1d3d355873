"""What is wrong with control groups: group G of the catalogue.

A container that is stopped by its limits is a warning: that is what limits are for. It is an error where it cannot do
its work now: no process can be started, or one was killed and its memory is at the limit again.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence

from netfs.collect.cgroups.paths import recognise
from netfs.container.cgroups import promised, repair
from netfs.container.cgroups.known import Known
from netfs.model.amounts import cpus, several, share, size
from netfs.model.cgroups import Cgroup, CgroupTree, Rates
from netfs.model.containers import Placed
from netfs.model.findings import Finding

THROTTLED = 0.25
"""Share of periods from which a group is called throttled: what runs in bursts is stopped now and then, and well."""
PERIODS = 100
"""Periods (10 s, with the usual 100 ms) before a share of them says anything."""
NEAR = 0.9
"""Share of a limit from which use is called near it."""
FEW = 10
"""A limit of fewer processes is one that is meant to be reached: ``TasksMax=1`` forbids to fork."""
CONTAINERS = ("container", "sandbox", "node")
"""``Cgroup.kind`` of the group of one."""


def findings(tree: CgroupTree, placed: Sequence[Placed]) -> tuple[Finding, ...]:
    """Everything that is wrong with the groups of a tree that ``told`` has made."""
    known = Known(placed, tree.groups, tree.node)
    return (
        *_throttled(tree, known),
        *_near_memory_limit(tree, known),
        *_oom_killed(tree, known),
        *_near_pids_limit(tree, known),
        *promised.differing(tree, placed, known),
    )


def throttled(tree: CgroupTree, placed: Sequence[Placed]) -> tuple[Finding, ...]:
    """The findings that rates change: of a tree with rates, what happened between its two readings."""
    return tuple(_throttled(tree, Known(placed, tree.groups, tree.node)))


def _throttled(tree: CgroupTree, known: Known) -> Iterator[Finding]:
    """Periods are counted by the group whose quota ran out (kernel/sched/fair.c, ``tg->cfs_bandwidth``)."""
    for group in tree.groups:
        cpu = group.cpu
        if cpu is None:
            continue
        evidence = _throttling(group)
        if evidence:
            limit = group.effective.get("cpu")
            fix = ""
            if limit is not None:
                evidence += f"; {_whose(limit.at, group)} is {cpus(limit.value)}"
                fix = repair.raised(tree, known, group, limit.at, repair.cpu(limit.value + limit.value // 2))
            yield _finding("cgroup-cpu-throttled", "warning", group, evidence, fix)


def _throttling(group: Cgroup) -> str:
    """Empty: it is not throttled enough to be told."""
    if group.rates is not None:
        return _throttling_now(group.rates)
    cpu = group.cpu
    if cpu is None or cpu.periods is None or cpu.throttled_periods is None:
        return ""
    if cpu.periods < PERIODS or cpu.throttled_periods < THROTTLED * cpu.periods:
        return ""
    of_all = f"{several(cpu.periods, 'period')} ({share(cpu.throttled_periods, cpu.periods)})"
    lost = "" if cpu.throttled_us is None else f", for {cpu.throttled_us / 1_000_000:.1f} s"
    return f"stopped in {cpu.throttled_periods:,} of {of_all}{lost}, since the group was made"


def _throttling_now(rates: Rates) -> str:
    if rates.throttled_share is None or rates.throttled_share < THROTTLED:
        return ""
    lost = "" if rates.throttled_us is None else f", for {rates.throttled_us / 1_000_000:.2f} s in each second"
    return f"stopped in {share(rates.throttled_share, 1)} of its periods just now{lost}"


def _near_memory_limit(tree: CgroupTree, known: Known) -> Iterator[Finding]:
    """By the working set: what the kernel cannot simply drop (the kubelet evicts by it)."""
    for users in _using(tree, "memory", {group.path: _working_set(group) for group in tree.groups}):
        group = _told_at(users)
        limit, used = group.effective["memory"], _working_set(group)
        assert used is not None
        evidence = f"the working set is {size(used)}, {share(used, limit.value)} of {size(limit.value)}: "
        evidence += _whose(limit.at, group)
        fix = repair.raised(tree, known, group, limit.at, repair.memory(limit.value + limit.value // 2))
        yield _finding("cgroup-memory-near-limit", "warning", group, evidence, fix)


def _near_pids_limit(tree: CgroupTree, known: Known) -> Iterator[Finding]:
    """Processes and threads count in their group and all above it (cgroup-v2.rst, "PID")."""
    by_path = {group.path: group for group in tree.groups}
    for users in _using(tree, "pids", {path: _running(group) for path, group in by_path.items()}):
        group = _told_at(users)
        limit, used = group.effective["pids"], _running(group)
        assert used is not None
        at = by_path.get(limit.at, group)
        # Refusals are counted by the group that has the limit, in kernels before 6.11 by the one that could not fork.
        refused = max((each.processes.refused or 0 for each in (*users, at) if each.processes is not None), default=0)
        if limit.value < FEW and not refused:
            continue
        full = refused > 0 and (_running(at) or used) >= limit.value
        evidence = (
            f"{several(used, 'process', 'processes')} and threads, {share(used, limit.value)} of {limit.value:,}: "
        )
        evidence += _whose(limit.at, group)
        if refused:
            evidence += f"; {several(refused, 'fork')} failed because of it"
        fix = repair.raised(tree, known, group, limit.at, repair.pids(2 * limit.value))
        yield _finding("cgroup-pids-near-limit", "error" if full else "warning", group, evidence, fix)


def _oom_killed(tree: CgroupTree, known: Known) -> Iterator[Finding]:
    """At the lowest group that counts a kill; an error where the memory that is left is at the limit again."""
    for group, kills in _kills(tree):
        limit, used = group.effective.get("memory"), _working_set(group)
        evidence = f"{several(kills, 'process', 'processes')} killed for want of memory since the group was made"
        again = group.memory is not None and bool(group.memory.under_oom)
        if limit is None:
            evidence += "; no limit holds here, so it was the node's memory that ran out"
            fix = "netfs cgroups tells what uses the node's memory; give the container a limit of its own"
        else:
            evidence += f"; {_whose(limit.at, group)} is {size(limit.value)}"
            if used is not None:
                evidence += f", the working set now {size(used)}"
                again = again or _near(used, limit.value)
            fix = repair.raised(tree, known, group, limit.at, repair.memory(limit.value + limit.value // 2))
        yield _finding("cgroup-oom-killed", "error" if again else "warning", group, evidence, fix)


def _kills(tree: CgroupTree) -> Iterator[tuple[Cgroup, int]]:
    """Groups and the kills that none below them counts.

    Version 2 counts a kill in every ancestor as well, version 1 in the group alone (memcg_memory_event of the kernel).
    """
    counts = {group.path: group.memory.oom_kills or 0 for group in tree.groups if group.memory is not None}
    below: dict[str, int] = {}
    if not any("memory" in each.controllers for each in tree.hierarchies if each.version == 1):
        for path, count in counts.items():
            above = _above(path, counts)
            below[above] = below.get(above, 0) + count
    for group in tree.groups:
        own = counts.get(group.path, 0) - below.get(group.path, 0)
        if own > 0:
            yield group, own


def _above(path: str, known: Container[str]) -> str:
    """The nearest ancestor that is known; empty: none is."""
    while path not in ("", "/"):
        path = path.rpartition("/")[0] or "/"
        if path in known:
            return path
    return ""


def _using(tree: CgroupTree, resource: str, used: Mapping[str, int | None]) -> Iterator[list[Cgroup]]:
    """Groups near the limit that holds for them, by whose limit that is; parents first.

    Use counts in all ancestors: those near one limit stand in one line, for two beside each other would exceed it.
    """
    near: dict[str, list[Cgroup]] = {}
    for group in tree.groups:
        limit, use = group.effective.get(resource), used[group.path]
        if limit is not None and use is not None and _near(use, limit.value):
            near.setdefault(limit.at, []).append(group)
    yield from near.values()


def _near(used: int, limit: int) -> bool:
    return limit > 0 and used >= NEAR * limit


def _told_at(users: Sequence[Cgroup]) -> Cgroup:
    """The group of a container, the innermost; else the lowest."""
    return next((group for group in reversed(users) if group.kind in CONTAINERS), users[-1])


def _working_set(group: Cgroup) -> int | None:
    return None if group.memory is None else group.memory.working_set


def _running(group: Cgroup) -> int | None:
    return None if group.processes is None else group.processes.current


def _whose(at: str, group: Cgroup) -> str:
    if at == group.path:
        return "its own limit"
    found = recognise(at)
    if found is not None and found.kind == "pod" and found.group == at:
        return f"the limit of its pod {group.pod}".rstrip()
    return f"the limit of {at}"


def _finding(slug: str, severity: str, group: Cgroup, evidence: str, fix: str) -> Finding:
    return Finding(slug, severity, named(group), evidence, fix, node=group.node)


def named(group: Cgroup) -> str:
    """What a finding calls a group: as its container or pod where it is theirs, else by its path."""
    if group.kind in CONTAINERS and group.container:
        return group.container
    return group.pod if group.kind == "pod" and group.pod else group.path
