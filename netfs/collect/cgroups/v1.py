"""The files of version 1 (Documentation/admin-guide/cgroup-v1; fields after opencontainers/cgroups fs/*.go).

Use counts what is below a group as well; a killed process is counted in its own group alone (mm/memcontrol-v1.c).
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from netfs.collect.cgroups import both
from netfs.collect.cgroups.contents import Contents
from netfs.model.cgroups import Cpu, Cpuset, HugePages, Io, Memory

TICKS = os.sysconf("SC_CLK_TCK")
STATES = (b"THAWED", b"FREEZING", b"FROZEN")
DIRECTIONS = {b"Read": 0, b"Write": 1}
THROTTLES = {
    "rbps": "blkio.throttle.read_bps_device",
    "wbps": "blkio.throttle.write_bps_device",
    "riops": "blkio.throttle.read_iops_device",
    "wiops": "blkio.throttle.write_iops_device",
}


def cpu(files: Contents) -> Cpu | None:
    """cpu.* (scheduler/sched-bwc.rst) and cpuacct.* (cgroup-v1/cpuacct.rst): of cpuacct.stat in USER_HZ."""
    usage, times, stat = files.number("cpuacct.usage"), files.keyed("cpuacct.stat"), files.keyed("cpu.stat")
    quota, shares = files.limit("cpu.cfs_quota_us"), files.number("cpu.shares")
    if usage is None and quota is None and shares is None and not stat and not times:
        return Cpu() if "cpu.cfs_quota_us" in files else None
    return Cpu(
        usage_us=_less(usage, 1000),
        user_us=_microseconds(times.get(b"user")),
        system_us=_microseconds(times.get(b"system")),
        quota_us=quota,
        period_us=files.number("cpu.cfs_period_us"),
        burst_us=files.number("cpu.cfs_burst_us"),
        shares=shares,
        periods=stat.get(b"nr_periods"),
        throttled_periods=stat.get(b"nr_throttled"),
        throttled_us=_less(stat.get(b"throttled_time"), 1000),
    )


def memory(files: Contents) -> Memory | None:
    """memory.* (cgroup-v1/memory.rst)."""
    current = files.number("memory.usage_in_bytes")
    limit = both.limit(files, "memory.limit_in_bytes")
    with_swap = files.number("memory.memsw.usage_in_bytes")
    if current is None and limit is None and "memory.stat" not in files:
        return None
    stat, oom = files.keyed("memory.stat"), files.keyed("memory.oom_control")
    under = oom.get(b"under_oom")
    return Memory(
        current=current,
        limit=limit,
        working_set=both.beyond(current, stat.get(b"total_inactive_file")),
        peak=files.number("memory.max_usage_in_bytes"),
        swap=both.beyond(with_swap, current),
        swap_limit=both.beyond(both.limit(files, "memory.memsw.limit_in_bytes"), limit),
        limit_hits=files.number("memory.failcnt"),
        oom_kills=oom.get(b"oom_kill"),
        under_oom=None if under is None else bool(under),
        anonymous=stat.get(b"total_rss"),
        file=stat.get(b"total_cache"),
    )


def io(files: Contents) -> tuple[Io, ...]:
    """blkio.throttle.* (cgroup-v1/blkio-controller.rst): what is below counts in the ``_recursive`` ones alone."""
    size = _by_direction(files, "blkio.throttle.io_service_bytes")
    count = _by_direction(files, "blkio.throttle.io_serviced")
    limits: dict[str, dict[str, int]] = {}
    for key, name in THROTTLES.items():
        for device, words in _devices(files, name, 2):
            if (value := files.value(name, words[1])) is not None:
                limits.setdefault(device, {})[key] = value
    return tuple(
        Io(device, *size.get(device, (None, None)), *count.get(device, (None, None)), limits.get(device, {}))
        for device in sorted({*size, *count, *limits}, key=both.by_number)
    )


def huge_pages(files: Contents) -> tuple[HugePages, ...]:
    """hugetlb.SIZE.* (cgroup-v1/hugetlb.rst)."""
    return tuple(
        both.huge_pages(
            files,
            size,
            (f"{start}.usage_in_bytes", f"{start}.limit_in_bytes"),
            files.number(f"{start}.failcnt"),
        )
        for size, start in both.sizes(files, ".usage_in_bytes")
    )


def cpuset(files: Contents) -> Cpuset | None:
    """cpuset.* (cgroup-v1/cpusets.rst)."""
    if "cpuset.cpus" not in files:
        return None
    return Cpuset(
        files.text("cpuset.cpus"),
        files.text("cpuset.effective_cpus"),
        files.text("cpuset.mems"),
        files.text("cpuset.effective_mems"),
    )


def frozen(files: Contents) -> bool | None:
    """freezer.state (cgroup-v1/freezer-subsystem.rst): THAWED, FREEZING or FROZEN; the root has none."""
    state = files.data("freezer.state").rstrip()
    if state in STATES:
        return state == STATES[-1]
    if state:
        files.malformed.append("freezer.state")
    return None


def _by_direction(files: Contents, name: str) -> dict[str, tuple[int | None, int | None]]:
    """Read and written, by device: ``8:0 Read 4096`` in each line; a sum of two words ends the file."""
    name = f"{name}_recursive" if f"{name}_recursive" in files else name
    found: dict[str, list[int | None]] = {}
    for device, words in _devices(files, name, 3):
        if words[1] in DIRECTIONS:
            found.setdefault(device, [None, None])[DIRECTIONS[words[1]]] = files.value(name, words[2])
    return {device: (read, written) for device, (read, written) in found.items()}


def _devices(files: Contents, name: str, count: int) -> Iterator[tuple[str, list[bytes]]]:
    """Lines of so many words that begin with a device."""
    for words in files.lines(name):
        device = both.device(words[0])
        if device is not None and len(words) == count:
            yield device, words
        elif words[0] != b"Total":
            files.malformed.append(name)


def _less(value: int | None, divisor: int) -> int | None:
    return None if value is None else value // divisor


def _microseconds(ticks: int | None) -> int | None:
    return None if ticks is None else ticks * 1_000_000 // TICKS
