"""The control group of a container: its path, and what it uses of what it may."""

from __future__ import annotations

from collections.abc import Iterator

from netfs.model.amounts import cpus
from netfs.model.cgroups import Cgroup, Effective
from netfs.model.containers import Limits
from netfs.model.inspected import Inspected, InspectedContainer
from netfs_cli.render.cgroups import detail
from netfs_cli.render.cgroups.words import NO_LIMIT, duration, percent
from netfs_cli.render.inspect.block import Style, aligned
from netfs_cli.render.layers.words import brief, size
from netfs_cli.render.prose import count

PERIOD = 100_000
"""Microseconds, where a quota is given without one (cgroup-v2.rst, ``cpu.max``)."""


def lines(answer: Inspected, each: InspectedContainer, style: Style) -> Iterator[str]:
    """Path, CPU, memory, processes; of one that does not run, what it was promised."""
    group = each.cgroup
    if group is None:
        path = each.container.cgroup
        yield style.ending(path if style.wide else brief(path), style.room)
        yield style.told(promised(each.container.limits)) if each.container.limits is not None else ""
        return
    if style.wide:
        yield from _in_full(answer, each, group)
        return
    yield style.ending(brief(group.path), style.room)
    others = _others(answer, each, group)
    if others:
        yield style.ink.doubtful(style.told(f"not its own: the numbers are of {others} too"))
    yield from (
        style.told(line) for line in (_cpu(group, answer), _memory(group, answer), _pids(group, answer)) if line
    )


def _others(answer: Inspected, each: InspectedContainer, group: Cgroup) -> str:
    """``37 other processes``, where a group is no container's and no node's."""
    if answer.kind == "node" or group.kind or group.container:
        return ""
    number = len(set(group.pids) - {process.pid for process in each.processes})
    return f"{number} other process{'' if number == 1 else 'es'}" if number else ""


def _in_full(answer: Inspected, each: InspectedContainer, group: Cgroup) -> Iterator[str]:
    """Every limit and all use, of the pod's group as well, as ``netfs cgroups`` tells them."""
    rows = [[label, text] for label, text in detail.lines(group)]
    if each.container.limits is not None:
        rows.append(["promised", promised(each.container.limits)])
    if answer.pod_cgroup is not None:
        rows += [["pod's " + label if label else "", text] for label, text in detail.lines(answer.pod_cgroup)]
    yield from aligned(rows)


def promised(limits: Limits) -> str:
    """What its engine wrote down: ``limits: 0.5 CPUs, 64.0 MiB of memory``."""
    told = []
    if limits.cpu_quota_us is not None:
        told.append(cpus(limits.cpu_quota_us * 1_000_000 / (limits.cpu_period_us or PERIOD)))
    if limits.cpuset:
        told.append(f"processors {limits.cpuset}")
    if limits.memory is not None:
        told.append(f"{size(limits.memory)} of memory")
    if limits.pids is not None:
        told.append(f"{limits.pids} processes")
    return f"limits: {', '.join(told)}" if told else "no limits"


def _whose(limit: Effective, group: Cgroup, answer: Inspected) -> str:
    """Where a limit is set that is not the group's own."""
    if limit.at == group.path:
        return ""
    pod = answer.pod_cgroup
    return ", the pod's limit" if pod is not None and limit.at == pod.path else f", limit of {brief(limit.at)}"


def _cpu(group: Cgroup, answer: Inspected) -> str:
    cpu, limit = group.cpu, group.effective.get("cpu")
    if cpu is None:
        return ""
    told = [] if cpu.usage_us is None else [f"{duration(cpu.usage_us)} used"]
    told.append(f"{cpus(limit.value)} at most{_whose(limit, group, answer)}" if limit is not None else NO_LIMIT)
    if cpu.throttled_periods and cpu.periods:
        part = percent(cpu.throttled_periods, cpu.periods)
        told.append(f"throttled in {cpu.throttled_periods} of {cpu.periods} periods ({part})")
    return f"cpu     {', '.join(told)}"


def _memory(group: Cgroup, answer: Inspected) -> str:
    memory, limit = group.memory, group.effective.get("memory")
    if memory is None:
        return ""
    used = memory.working_set if memory.working_set is not None else memory.current
    bound = f"{size(limit.value)}{_whose(limit, group, answer)}" if limit is not None else NO_LIMIT
    if used is None:
        told = [f"{bound} at most" if limit is not None else NO_LIMIT]
    else:
        cached = f" ({size(memory.current)} with cache)" if memory.current not in (None, used) else ""
        told = [f"{size(used)} in use{cached}" + (f" of {bound}" if limit is not None else f", {bound}")]
    told += [f"{size(memory.swap)} of swap"] if memory.swap else []
    told += [count(memory.oom_kills, "OOM kill")] if memory.oom_kills else []
    return f"memory  {', '.join(told)}"


def _pids(group: Cgroup, answer: Inspected) -> str:
    pids, limit = group.processes, group.effective.get("pids")
    if pids is None or pids.current is None:
        return ""
    told = f"{pids.current}"
    told += f" of {limit.value}{_whose(limit, group, answer)}" if limit is not None else f", {NO_LIMIT}"
    return f"pids    {told}" + (f", {pids.refused} refused" if pids.refused else "")
