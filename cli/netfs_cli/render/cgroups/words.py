"""Limits and use of control groups in words."""

from __future__ import annotations

from collections.abc import Callable

from netfs.model.cgroups import Cgroup, Effective, Pressure, Stall
from netfs_cli.render.layers.words import brief

MONITOR = "monitor"
NO_LIMIT = "no limit"


def name(group: Cgroup) -> str:
    """Whose a group is: ``default/pod-a/app``; nothing for what is nobody's, and for groups inside a container's."""
    if not group.kind:
        return ""
    if group.kind == "pod":
        return brief(group.pod)
    if group.kind == MONITOR:
        return f"monitor of {brief(group.container)}" if group.container else MONITOR
    whose = brief(group.container or group.pod)
    return whose if group.kind == "container" or whose.endswith(group.kind) else f"{whose} ({group.kind})"


def cpus(microseconds: float) -> str:
    """CPU time in each second, as processors: ``0.25``, ``2``."""
    return f"{microseconds / 1_000_000:.3f}".rstrip("0").rstrip(".")


def duration(microseconds: int | None) -> str:
    """``850 ms``, ``31.2 s``, ``1 h 5 min``; nothing for what was not read."""
    if microseconds is None:
        return ""
    seconds = microseconds / 1_000_000
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds) // 60
    if minutes < 60:
        return f"{minutes} min {int(seconds) % 60} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def percent(part: float | None, whole: float | None) -> str:
    """``79 %``; nothing where there is nothing to compare. Never rounded up to all of it."""
    if part is None or not whole:
        return ""
    found = 100 * part / whole
    return f"{int(found) if found < 100 else round(found)} %"


def against(group: Cgroup, limit: Effective | None, used: int | None, words: Callable[[int], str]) -> str:
    """``812 MiB/1.0 GiB 79 %``, in brackets where the limit is an ancestor's; nothing where nothing was read."""
    if used is None:
        return "" if limit is None or limit.at != group.path else f"-/{words(limit.value)}"
    if limit is None:
        return words(used)
    bound = words(limit.value)
    return f"{words(used)}/{bound if limit.at == group.path else f'({bound})'} {percent(used, limit.value)}".rstrip()


def throttled(group: Cgroup) -> str:
    """The share of periods: of the interval where there are rates, else of all."""
    if group.rates is not None:
        return percent(group.rates.throttled_share, 1)
    cpu = group.cpu
    return percent(cpu.throttled_periods, cpu.periods) if cpu is not None else ""


def worst(group: Cgroup) -> str:
    """The resource that is waited for most: ``io 12.5 %``; nothing where there is hardly any waiting."""
    found = [(each.some.avg10, kind) for kind, each in group.pressure.items() if each.some is not None]
    share, kind = max(found, default=(0.0, ""))
    return f"{kind} {share:.1f} %" if share >= 0.05 else ""


def pressure(found: Pressure) -> str:
    """``some waited 1.2 %, 0.8 %, 0.1 % of the last 10 s, 1 min, 5 min``; nothing where nobody did."""
    lines = [("some waited", found.some), ("all", found.full)]
    told = [f"{who} {_stall(stall)}" for who, stall in lines if stall is not None and _felt(stall)]
    return f"{'; '.join(told)} of the last 10 s, 1 min, 5 min" if told else ""


def _felt(stall: Stall) -> bool:
    return any(round(each, 1) for each in (stall.avg10, stall.avg60, stall.avg300))


def _stall(stall: Stall) -> str:
    return f"{stall.avg10:.1f} %, {stall.avg60:.1f} %, {stall.avg300:.1f} %"
