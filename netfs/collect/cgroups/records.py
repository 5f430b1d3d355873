"""One record from the files that all hierarchies have at one path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netfs.collect.cgroups import both, v1, v2
from netfs.collect.cgroups.contents import Contents, is_number
from netfs.collect.cgroups.found import PIDS
from netfs.model.cgroups import Cgroup, Cpu


def line(old: Contents, new: Contents) -> dict[str, Any]:
    """The fields that a line for each group shows, from the files of version 1 and of version 2."""
    return {
        "cpu": _joined(v1.cpu(old), v2.cpu(new)),
        "memory": v1.memory(old) or v2.memory(new),
        "processes": both.processes(old) or both.processes(new),
    }


def whole(old: Contents, new: Contents) -> dict[str, Any]:
    """Every field that files tell."""
    frozen = v1.frozen(old)
    return {
        **line(old, new),
        "pids": _pids(old.data(PIDS) + new.data(PIDS)),
        "type": new.text("cgroup.type"),
        "populated": v2.populated(new),
        "frozen": v2.frozen(new) if frozen is None else frozen,
        "io": v1.io(old) or v2.io(new),
        "huge_pages": v1.huge_pages(old) or v2.huge_pages(new),
        "cpuset": v1.cpuset(old) or v2.cpuset(new),
        "pressure": v2.pressure(new),
    }


def record(
    path: str,
    controllers: tuple[str, ...],
    inode: int,
    files: tuple[Mapping[str, bytes], Mapping[str, bytes]],
    *,
    detail: bool,
) -> tuple[Cgroup, list[str]]:
    """The group, and the names of files that have no known form. ``files``: those of version 1, those of version 2."""
    old, new = Contents(files[0]), Contents(files[1])
    told = whole(old, new) if detail else line(old, new)
    return Cgroup(path, controllers, inode=inode, **told), [*old.malformed, *new.malformed]


def _joined(old: Cpu | None, new: Cpu | None) -> Cpu | None:
    """Version 2 counts use also where version 1 has the controller."""
    if old is None or new is None:
        return old or new
    return Cpu(*(theirs if ours is None else ours for ours, theirs in zip(_values(old), _values(new), strict=True)))


def _values(cpu: Cpu) -> list[int | None]:
    return [getattr(cpu, name) for name in Cpu.__dataclass_fields__]


def _pids(listed: bytes) -> tuple[int, ...]:
    """0 stands for a process of another PID namespace."""
    return tuple(sorted({int(word) for word in listed.split() if is_number(word)} - {0}))
