"""Which files of a control group are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from netfs.collect.cgroups.both import NO_LIMIT
from netfs.collect.cgroups.contents import is_number

LINE: Mapping[int, Mapping[str, tuple[str, ...]]] = {
    1: {
        "cpu": ("cpu.cfs_quota_us",),
        "cpuacct": ("cpuacct.usage",),
        "memory": ("memory.usage_in_bytes", "memory.limit_in_bytes", "memory.oom_control"),
        "pids": ("pids.current", "pids.max"),
    },
    2: {
        "cpu": ("cpu.max",),
        "memory": ("memory.current", "memory.max", "memory.events"),
        "pids": ("pids.current", "pids.max"),
    },
}
"""By version and controller: what a line for each group is made from."""
USE_V1, USE_V2 = "cpuacct.usage", "cpu.stat"
"""Version 2 has it with and without its controller."""
WHERE_LIMITED: Mapping[str, tuple[str, ...]] = {
    "cpu.cfs_quota_us": ("cpu.cfs_period_us", "cpu.stat"),
    "memory.limit_in_bytes": ("memory.stat",),
    "memory.max": ("memory.stat",),
}
"""What a line says more of a group that has the limit."""
WHOLE: Mapping[int, Mapping[str, str]] = {
    1: {
        "cgroup": "procs",
        "cpu": "cfs_burst_us cfs_period_us cfs_quota_us shares stat",
        "cpuacct": "stat usage",
        "cpuset": "cpus effective_cpus effective_mems mems",
        "freezer": "state",
        "memory": "failcnt limit_in_bytes max_usage_in_bytes oom_control stat usage_in_bytes",
        "memory.memsw": "limit_in_bytes usage_in_bytes",
        "pids": "current events max peak",
        "blkio.throttle": (
            "io_service_bytes io_service_bytes_recursive io_serviced io_serviced_recursive read_bps_device "
            "read_iops_device write_bps_device write_iops_device"
        ),
    },
    2: {
        "cgroup": "events procs type",
        "cpu": "max max.burst pressure stat weight",
        "cpuset": "cpus cpus.effective cpus.partition mems mems.effective",
        "io": "max pressure stat",
        "irq": "pressure",
        "memory": "current events high low max min peak pressure stat swap.current swap.max",
        "pids": "current events max peak",
    },
}
"""By version: everything that a record holds, but for the files that carry the size of a huge page."""
_WHOLE = {
    version: frozenset(f"{start}.{end}" for start, ends in names.items() for end in ends.split())
    for version, names in WHOLE.items()
}
HUGE = (".usage_in_bytes", ".limit_in_bytes", ".failcnt", ".current", ".max", ".events")


def whole(version: int, there: Iterable[str]) -> list[str]:
    """Of the files of a group those that a record is made from."""
    wanted = _WHOLE[version]
    return [name for name in there if name in wanted or (name.startswith("hugetlb.") and name.endswith(HUGE))]


@lru_cache(maxsize=256)
def table(version: int, controllers: tuple[str, ...], *, used: bool) -> list[str]:
    """What a line is made from, of a group with these controllers. ``used``: its use of the processor is known."""
    names = [name for controller in controllers for name in LINE[version].get(controller, ())]
    return names if used else [USE_V2, *names]


def limited(content: bytes) -> bool:
    """Whether this is a limit."""
    word = content.rstrip()
    return is_number(word) and int(word) < NO_LIMIT
