"""Which hierarchies of control groups are mounted, and where (proc_pid_mountinfo(5), cgroups(7), cgroup_namespaces(7)).

One hierarchy may be mounted several times, and parts of it. Its controllers are its identity: none is in two.
The root that mountinfo shows is what the reader's cgroup namespace sees: ``/../..`` lies two above the namespace's own.
Below such a root a group has the name that /proc shows of its processes, but for those in the branch of the own
namespace: there /proc leaves out what leads to it (``/c`` for ``/../../a/b/c``), and nothing tells what that is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from netfs.collect.octal import unescaped
from netfs.model.cgroups import Hierarchy

CONTROLLERS = frozenset(
    {
        "blkio",
        "cpu",
        "cpuacct",
        "cpuset",
        "debug",
        "devices",
        "freezer",
        "hugetlb",
        "memory",
        "misc",
        "net_cls",
        "net_prio",
        "perf_event",
        "pids",
        "rdma",
    }
)
"""Of version 1, as mount options name them (include/linux/cgroup_subsys.h)."""
OUTSIDE = "/.."


class Mounted(NamedTuple):
    """A mount of a hierarchy."""

    hierarchy: Hierarchy
    device: int
    """As stat has it: what is at the path is this mount, or another that hides it."""


def mounted(mountinfo: bytes) -> list[list[Mounted]]:
    """The mounts of each hierarchy, the one that shows most of it first; version 2 before version 1."""
    found: dict[tuple[int, tuple[str, ...]], list[Mounted]] = {}
    for mount in _mounts(mountinfo):
        found.setdefault((mount.hierarchy.version, mount.hierarchy.controllers), []).append(mount)
    for mounts in found.values():
        mounts.reverse()  # of two at one path the later hides the other
        mounts.sort(key=lambda mount: _depth(mount.hierarchy.root))
    return sorted(found.values(), key=lambda mounts: -mounts[0].hierarchy.version)


def mode(hierarchies: Sequence[Hierarchy]) -> str:
    """``v1``, ``v2``, ``hybrid`` or ``none``. A named hierarchy of version 1 has no controllers: it limits nothing."""
    second = any(each.version == 2 for each in hierarchies)
    if not any(each.version == 1 and CONTROLLERS.intersection(each.controllers) for each in hierarchies):
        return "v2" if second else "v1" if hierarchies else "none"
    return "hybrid" if second else "v1"


def above(root: str) -> int:
    """How many levels above the cgroup namespace's own root this one lies."""
    return len(root) // len(OUTSIDE) if root and not root.replace(OUTSIDE, "") else 0


def _depth(root: str) -> tuple[int, int]:
    return -above(root), len(root.rstrip("/"))


def _mounts(mountinfo: bytes) -> Iterator[Mounted]:
    for line in mountinfo.split(b"\n"):
        before, separator, after = line.partition(b" - cgroup")
        fields, told = before.split(b" "), after.split(b" ")
        if not separator or len(fields) < 6 or len(told) < 3 or told[0] not in {b"", b"2"}:
            continue
        device = [int(part) for part in fields[2].split(b":") if part.isdigit() and len(part) < 10]
        if len(device) == 2:
            version = 2 if told[0] else 1
            controllers = () if version == 2 else _controllers(told[2])
            yield Mounted(Hierarchy(version, controllers, _shown(fields[4]), _shown(fields[3])), os.makedev(*device))


def _controllers(options: bytes) -> tuple[str, ...]:
    words = map(_shown, options.split(b","))
    return tuple(word for word in words if word in CONTROLLERS or word.startswith("name="))


def _shown(field: bytes) -> str:
    """Spaces and their like stand there in octal."""
    return os.fsdecode(unescaped(field))
