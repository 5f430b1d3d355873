"""``netfs cgroups TARGET``: each group with every limit, whose it is, and what is used of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from netfs.model import amounts
from netfs.model.cgroups import Cgroup, Cgroups, CgroupTree, Effective, Io
from netfs.model.text import printable
from netfs_cli.render.cgroups import words
from netfs_cli.render.cgroups.tree import below, head, legend, rows
from netfs_cli.render.ink import Ink
from netfs_cli.render.layers.words import size
from netfs_cli.render.prose import column, count

AT_LENGTH = 6
"""Groups that are told one by one."""
_LABEL = 11
_PIDS = 12
"""Processes that are named by number."""


def render(answer: Cgroups, ink: Ink, *, width: int | None, wide: bool, columns: int | None = None) -> str:
    """The topmost groups and, of a few, those of containers at length; all of them as a tree, where there are more."""
    lines: list[str] = []
    drawn = []
    for tree in answer.trees:
        told = _told(tree, wide=wide)
        for group in told:
            lines += [*_group(group, ink, width), ""]
        if len(told) < len(tree.groups):
            lines += [head(tree, ink), *rows(tree.groups, ink, wide=wide, columns=columns), ""]
            drawn.append(tree)
    return "\n".join([*lines[:-1], *legend(drawn, ink), *below(answer, ink, width)])


def _told(tree: CgroupTree, *, wide: bool) -> list[Cgroup]:
    """Below a node's root, or a group that holds many pods, a tree says more."""
    top: tuple[str, ...] = ()
    tops, named = [], []
    for group in tree.groups:
        inside = f"{group.path}/".startswith(top) if top else False
        if not inside:
            top = (*top, group.path.rstrip("/") + "/")
            tops.append(group)
        if not inside or group.kind:
            named.append(group)
    return named if wide or len(named) <= AT_LENGTH else tops


def _group(group: Cgroup, ink: Ink, width: int | None) -> Iterator[str]:
    name = words.name(group)
    qos = f", {group.qos}" if group.qos else ""
    node = f" on {group.node}" if group.node else ""
    kind = group.kind or ("inside " + group.container if group.container else "group")
    yield ink.bold(printable(name or group.path)) + f"  ({printable(kind + qos)}){printable(node)}"
    for label, text in lines(group):
        yield f"  {ink.dim(f'{label:<{_LABEL}}')} {column(text, _LABEL + 3, width)}"


def lines(group: Cgroup) -> Iterator[tuple[str, str]]:
    """All that is known of a group, each line with its label; of several with one label the first has it."""
    yield "path", group.path
    yield from _cpu(group)
    yield from _memory(group)
    if group.processes is not None:
        yield "pids", _pids(group)
    for each in group.io:
        yield "io", _io(each)
    for page in group.huge_pages:
        if page.current or page.limit is not None or page.refused:
            limit = words.NO_LIMIT if page.limit is None else f"limit {size(page.limit)}"
            yield "hugepages", f"{page.size}: {size(page.current) or '0 B'}, {limit}"
    if group.cpuset is not None:
        yield "cpuset", _cpuset(group)
    felt = [(kind, text) for kind, each in sorted(group.pressure.items()) if (text := words.pressure(each))]
    for kind, text in felt:
        yield "pressure", f"{kind}: {text}"
    if group.pressure and not felt:
        yield "pressure", "none in the last 5 minutes"
    if group.pids:
        shown = ", ".join(map(str, group.pids[:_PIDS]))
        more = f" and {len(group.pids) - _PIDS} more" if len(group.pids) > _PIDS else ""
        yield "processes", f"{shown}{more}"
    if group.frozen:
        yield "frozen", "yes: nothing in it runs"


def _cpu(group: Cgroup) -> Iterator[tuple[str, str]]:
    cpu = group.cpu
    if cpu is None:
        return
    said = []
    if group.rates is not None and group.rates.cpu_us is not None:
        said.append(f"{group.rates.cpu_us / 1_000_000:.2f} CPUs in use")
    if cpu.usage_us is not None:
        split = "" if cpu.user_us is None or cpu.system_us is None else _split(cpu.user_us, cpu.system_us)
        said.append(f"{words.duration(cpu.usage_us)} used{split}")
    said.append(_limit(group, group.effective.get("cpu"), amounts.cpus))
    if cpu.quota_us is not None and cpu.period_us is not None:
        said.append(f"quota {cpu.quota_us:,} of {cpu.period_us:,} µs")
    if cpu.burst_us:
        said.append(f"burst {cpu.burst_us:,} µs")
    yield "cpu", ", ".join(said)
    if cpu.periods:
        part = words.percent(cpu.throttled_periods, cpu.periods)
        text = f"{cpu.throttled_periods or 0:,} of {cpu.periods:,} periods ({part}), {words.duration(cpu.throttled_us)}"
        now = words.throttled(group) if group.rates is not None else ""
        yield "throttled", text + (f"; now {now}" if now else "")
    if cpu.weight is not None or cpu.shares is not None:
        yield "weight", str(cpu.weight) if cpu.weight is not None else f"{cpu.shares} shares"


def _split(user: int, system: int) -> str:
    return f" ({words.duration(user)} user, {words.duration(system)} system)"


def _memory(group: Cgroup) -> Iterator[tuple[str, str]]:
    memory = group.memory
    if memory is None:
        return
    limit = group.effective.get("memory")
    said = []
    if memory.working_set is not None:
        part = words.percent(memory.working_set, limit.value if limit is not None else None)
        said.append(f"working set {size(memory.working_set)}" + (f" ({part})" if part else ""))
    said.append(_limit(group, limit, size))
    if group.rates is not None and group.rates.memory:
        change = round(group.rates.memory)
        said.append(f"{'+' if change > 0 else '-'}{size(abs(change))}/s")
    yield "memory", ", ".join(said)
    parts = [
        ("in all", memory.current),
        ("at most", memory.peak),
        ("anonymous", memory.anonymous),
        ("file", memory.file),
        ("slowed above", memory.high),
        ("protected", memory.low or None),
        ("guaranteed", memory.minimum or None),
    ]
    known = [f"{size(value)} {name}" for name, value in parts if value is not None]
    if known:
        yield "", ", ".join(known)
    swap = group.effective.get("swap")
    if memory.swap or swap is not None:
        yield "swap", f"{size(memory.swap or 0)}, {_limit(group, swap, size)}"
    events = [
        (memory.limit_hits, "time at the limit", "times at the limit"),
        (memory.oom_kills, "process killed", "processes killed"),
    ]
    told = [f"{number:,} {one if number == 1 else many}" for number, one, many in events if number]
    told += ["out of memory now"] if memory.under_oom else []
    if told:
        yield "events", ", ".join(told)


def _pids(group: Cgroup) -> str:
    processes = group.processes
    assert processes is not None
    limit = group.effective.get("pids")
    part = words.percent(processes.current, limit.value if limit is not None else None)
    said = "not read" if processes.current is None else f"{processes.current:,}" + (f" ({part})" if part else "")
    said += f", {_limit(group, limit, '{:,}'.format)}"
    if processes.peak is not None:
        said += f", at most {processes.peak:,}"
    return said + (f", {count(processes.refused, 'fork')} failed" if processes.refused else "")


def _limit(group: Cgroup, limit: Effective | None, spelled: Callable[[int], str]) -> str:
    if limit is None:
        return words.NO_LIMIT
    return f"limit {spelled(limit.value)}" + ("" if limit.at == group.path else f" of {limit.at}")


def _io(each: Io) -> str:
    moved = ((each.read_bytes, "read"), (each.written_bytes, "written"))
    said = [f"{size(value)} {verb}" for value, verb in moved if value]
    said += [f"{key} at most {value:,}" for key, value in sorted(each.limits.items())]
    return f"{each.device}: {', '.join(said) or 'nothing'}"


def _cpuset(group: Cgroup) -> str:
    found = group.cpuset
    assert found is not None
    said = [f"processors {found.cpus or 'as its parent'}"]
    if found.effective_cpus and found.effective_cpus != found.cpus:
        said.append(f"in effect {found.effective_cpus}")
    if found.mems or found.effective_mems:
        said.append(f"memory nodes {found.mems or found.effective_mems}")
    if found.partition and found.partition != "member":
        said.append(f"partition {found.partition}")
    return ", ".join(said)
