"""What both versions of control groups have alike."""

from __future__ import annotations

import os

from netfs.collect.cgroups.contents import Contents, is_number
from netfs.model.cgroups import HugePages, Pids

NO_LIMIT = (1 << 63) - (1 << 36)
"""Version 1 shows no limit as what the kernel stores for it: PAGE_COUNTER_MAX pages, which is LONG_MAX bytes rounded
down to a page, or to a huge page of at most 16 GB. 9223372036854771712 where pages have 4 KiB
(include/linux/page_counter.h, mm/hugetlb_cgroup.c)."""


def limit(files: Contents, name: str) -> int | None:
    """A limit in bytes; None: none, or not known."""
    value = files.limit(name)
    return value if value is not None and value < NO_LIMIT else None


def beyond(whole: int | None, part: int | None) -> int | None:
    """What is left of the whole; read one after the other, the two may not fit."""
    return None if whole is None or part is None else max(0, whole - part)


def processes(files: Contents) -> Pids | None:
    """pids.* (cgroup-v1/pids.rst, cgroup-v2.rst); the root has none."""
    current = files.number("pids.current")
    if current is None and "pids.max" not in files:
        return None
    return Pids(
        current=current,
        limit=files.limit("pids.max"),
        peak=files.number("pids.peak"),
        refused=files.keyed("pids.events").get(b"max"),
    )


def sizes(files: Contents, end: str) -> list[tuple[str, str]]:
    """The sizes that hugetlb.SIZE.* has, and how their files begin. What is reserved is one by itself: 2MB.rsvd."""
    found = {name.removesuffix(end) for name in files.names() if name.startswith("hugetlb.") and name.endswith(end)}
    return [(size, start) for start in sorted(found) if "." not in (size := start.removeprefix("hugetlb."))]


def huge_pages(files: Contents, size: str, names: tuple[str, str], refused: int | None) -> HugePages:
    """One size, from the names of its use and its limit."""
    return HugePages(size, files.number(names[0]), limit(files, names[1]), refused)


def device(word: bytes) -> str | None:
    """``MAJOR:MINOR``; None: it is something else."""
    parts = word.split(b":")
    return os.fsdecode(word) if len(parts) == 2 and all(map(is_number, parts)) else None


def by_number(name: str) -> tuple[int, ...]:
    """For sorting devices."""
    return tuple(int(part) for part in name.split(":"))
