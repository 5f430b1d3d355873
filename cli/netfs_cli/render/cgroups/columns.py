"""The columns of the tree of control groups: each is left out where no group has anything to say in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from netfs.model.cgroups import Cgroup
from netfs_cli.render.cgroups import words
from netfs_cli.render.layers.words import size


class Column(NamedTuple):
    """A head, and what a group has below it."""

    head: str
    cell: Callable[[Cgroup], str]
    nothing: tuple[str, ...] = ("",)
    """What says nothing where all cells are so: the column is left out."""


def shown(*, wide: bool, rates: bool) -> Iterator[Column]:
    """Those of the plain form, then those of the wide one. With ``rates`` CPU is processors in use, not time."""
    yield from (
        Column("NAME", words.name),
        Column("CPU" if rates else "CPU-TIME", _cpu_used if rates else _cpu_time),
        Column("CPU-LIMIT", _cpu_limit),
        Column("THROTTLED", words.throttled, ("", "0 %")),
        Column("MEMORY", _memory),
        Column("SWAP", _swap),
        Column("OOM", _killed),
        Column("PIDS", _pids),
        Column("PRESSURE", words.worst),
    )
    if wide:
        yield from (
            Column("READ", lambda group: _io(group, "read_bytes")),
            Column("WRITTEN", lambda group: _io(group, "written_bytes")),
            Column("HUGEPAGES", _huge_pages),
            Column("CPUSET", _cpuset),
            Column("WEIGHT", _weight),
            Column("STALLED", _stalled),
            Column("QOS", lambda group: group.qos),
            Column("PROCESSES", lambda group: str(len(group.pids)) if group.pids else ""),
        )


def _cpu_used(group: Cgroup) -> str:
    rate = None if group.rates is None else group.rates.cpu_us
    return "" if rate is None else f"{rate / 1_000_000:.2f}"


def _cpu_time(group: Cgroup) -> str:
    return words.duration(group.cpu.usage_us) if group.cpu is not None else ""


def _cpu_limit(group: Cgroup) -> str:
    limit = group.effective.get("cpu")
    if limit is None or group.cpu is None:
        return ""
    return words.cpus(limit.value) if limit.at == group.path else f"({words.cpus(limit.value)})"


def _memory(group: Cgroup) -> str:
    memory = group.memory
    if memory is None:
        return ""
    used = memory.current if memory.working_set is None else memory.working_set
    return words.against(group, group.effective.get("memory"), used, size)


def _swap(group: Cgroup) -> str:
    used = group.memory.swap if group.memory is not None else None
    return words.against(group, group.effective.get("swap"), used, size) if used else ""


def _killed(group: Cgroup) -> str:
    return f"{group.memory.oom_kills:,}" if group.memory is not None and group.memory.oom_kills else ""


def _pids(group: Cgroup) -> str:
    processes = group.processes
    if processes is None:
        return ""
    return words.against(group, group.effective.get("pids"), processes.current, "{:,}".format)


def _io(group: Cgroup, what: str) -> str:
    if group.rates is not None:
        rate = getattr(group.rates, what)
        return "" if rate is None else f"{size(round(rate))}/s"
    found = [getattr(each, what) for each in group.io]
    known = [each for each in found if each is not None]
    return size(sum(known)) if known else ""


def _huge_pages(group: Cgroup) -> str:
    held = [each for each in group.huge_pages if each.current or each.limit is not None]
    return ", ".join(
        f"{each.size} {size(each.current)}" + ("" if each.limit is None else f"/{size(each.limit)}") for each in held
    )


def _cpuset(group: Cgroup) -> str:
    return "" if group.cpuset is None else group.cpuset.cpus or group.cpuset.effective_cpus


def _weight(group: Cgroup) -> str:
    if group.cpu is None:
        return ""
    if group.cpu.weight is not None:
        return str(group.cpu.weight)
    return "" if group.cpu.shares is None else f"{group.cpu.shares} shares"


def _stalled(group: Cgroup) -> str:
    return ", ".join(
        f"{kind} {each.some.avg10:.1f} %" for kind, each in sorted(group.pressure.items()) if each.some is not None
    )
