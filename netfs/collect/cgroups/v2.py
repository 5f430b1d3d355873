"""The files of version 2 (Documentation/admin-guide/cgroup-v2.rst). Use and events count what is below a group as well,
throttling is a group's own. The root has no limits, and of most resources no use: what it lacks stays unknown.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping

from netfs.collect.cgroups import both
from netfs.collect.cgroups.contents import Contents
from netfs.model.cgroups import Cpu, Cpuset, HugePages, Io, Memory, Pressure, Stall

LIMITS = ("rbps", "wbps", "riops", "wiops")
COUNTERS = ("rbytes", "wbytes", "rios", "wios")
RESOURCES = ("cpu", "io", "irq", "memory")
STALL = re.compile(rb"(some|full) avg10=(\d{1,3}\.\d+) avg60=(\d{1,3}\.\d+) avg300=(\d{1,3}\.\d+) total=(\d{1,20})")
ALL = sys.maxsize // os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PAGE_SIZE")
"""PAGE_COUNTER_MAX pages (include/linux/page_counter.h)."""


def cpu(files: Contents) -> Cpu | None:
    """cpu.*: cpu.stat tells use everywhere, its other half and the other files where the controller is."""
    stat = files.keyed("cpu.stat")
    if not stat and "cpu.max" not in files:
        return None
    quota, period = _quota(files)
    return Cpu(
        usage_us=stat.get(b"usage_usec"),
        user_us=stat.get(b"user_usec"),
        system_us=stat.get(b"system_usec"),
        quota_us=quota,
        period_us=period,
        burst_us=files.number("cpu.max.burst"),
        weight=files.number("cpu.weight"),
        periods=stat.get(b"nr_periods"),
        throttled_periods=stat.get(b"nr_throttled"),
        throttled_us=stat.get(b"throttled_usec"),
    )


def _quota(files: Contents) -> tuple[int | None, int | None]:
    """``$MAX $PERIOD``."""
    words = files.data("cpu.max").split()
    if len(words) != 2:
        if "cpu.max" in files:
            files.malformed.append("cpu.max")
        return None, None
    return None if words[0] == b"max" else files.value("cpu.max", words[0]), files.value("cpu.max", words[1])


def memory(files: Contents) -> Memory | None:
    """memory.*: the root has memory.stat alone."""
    current, stat = files.number("memory.current"), files.keyed("memory.stat")
    if current is None and not stat:
        return None
    events = files.keyed("memory.events")
    return Memory(
        current=current,
        limit=files.limit("memory.max"),
        working_set=both.beyond(current, stat.get(b"inactive_file")),
        peak=files.number("memory.peak"),
        high=files.limit("memory.high"),
        low=_protected(files, "memory.low"),
        minimum=_protected(files, "memory.min"),
        swap=files.number("memory.swap.current"),
        swap_limit=files.limit("memory.swap.max"),
        limit_hits=events.get(b"max"),
        ooms=events.get(b"oom"),
        oom_kills=events.get(b"oom_kill"),
        anonymous=stat.get(b"anon"),
        file=stat.get(b"file"),
    )


def _protected(files: Contents, name: str) -> int | None:
    """0 protects nothing, ``max`` everything: the number that the kernel stores for it."""
    return ALL if files.data(name).rstrip() == b"max" else files.number(name)


def io(files: Contents) -> tuple[Io, ...]:
    """io.stat and io.max: ``MAJOR:MINOR KEY=VALUE …``."""
    counted, limited = _nested(files, "io.stat", COUNTERS), _nested(files, "io.max", LIMITS)
    return tuple(
        _io(device, counted.get(device, {}), limited.get(device, {}))
        for device in sorted({*counted, *limited}, key=both.by_number)
    )


def _io(device: str, counted: Mapping[str, int], limited: Mapping[str, int]) -> Io:
    read, written, reads, writes = map(counted.get, COUNTERS)
    return Io(device, read, written, reads, writes, limited)


def _nested(files: Contents, name: str, wanted: tuple[str, ...]) -> dict[str, dict[str, int]]:
    """Numbers by device and key. A kernel before 5.19 forgets the end of a line whose device has no numbers
    (block/blk-cgroup.c): the next device follows in the same line.
    """
    found: dict[str, dict[str, int]] = {}
    for words in files.lines(name):
        numbers: dict[str, int] = {}
        for word in words:
            key, equals, value = word.partition(b"=")
            if not equals and (device := both.device(word)) is not None:
                numbers = found.setdefault(device, {})
            elif (text := os.fsdecode(key)) not in wanted or value == b"max":
                continue
            elif (number := files.value(name, value)) is not None:
                numbers[text] = number
    return {device: numbers for device, numbers in found.items() if numbers}


def huge_pages(files: Contents) -> tuple[HugePages, ...]:
    """hugetlb.SIZE.*."""
    return tuple(
        both.huge_pages(files, size, (f"{start}.current", f"{start}.max"), files.keyed(f"{start}.events").get(b"max"))
        for size, start in both.sizes(files, ".current")
    )


def cpuset(files: Contents) -> Cpuset | None:
    """cpuset.*: the root has the effective ones alone."""
    if "cpuset.cpus" not in files and "cpuset.cpus.effective" not in files:
        return None
    return Cpuset(
        files.text("cpuset.cpus"),
        files.text("cpuset.cpus.effective"),
        files.text("cpuset.mems"),
        files.text("cpuset.mems.effective"),
        files.text("cpuset.cpus.partition"),
    )


def populated(files: Contents) -> bool | None:
    """Whether there is a process in it or below (cgroup.events; the root has none)."""
    return _flag(files, b"populated")


def frozen(files: Contents) -> bool | None:
    """Whether all of it has stopped (cgroup.events)."""
    return _flag(files, b"frozen")


def _flag(files: Contents, key: bytes) -> bool | None:
    value = files.keyed("cgroup.events").get(key)
    return None if value is None else bool(value)


def pressure(files: Contents) -> dict[str, Pressure]:
    """What each resource's waiting costs, where the kernel accounts for it (Documentation/accounting/psi.rst)."""
    found = {}
    for resource in RESOURCES:
        name = f"{resource}.pressure"
        stalls = {}
        for line in files.data(name).splitlines():
            stall = STALL.fullmatch(line)
            if stall is None:
                files.malformed.append(name)
            else:
                stalls[stall[1]] = Stall(float(stall[2]), float(stall[3]), float(stall[4]), int(stall[5]))
        if stalls:
            found[resource] = Pressure(stalls.get(b"some"), stalls.get(b"full"))
    return found
