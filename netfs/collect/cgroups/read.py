"""The control groups of this kernel as they are now."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from netfs.collect.cgroups import hierarchies
from netfs.collect.cgroups.chosen import Chosen
from netfs.collect.cgroups.contents import is_number
from netfs.collect.cgroups.found import Found
from netfs.collect.cgroups.hierarchies import Mounted
from netfs.collect.cgroups.records import record
from netfs.collect.cgroups.refused import Refused
from netfs.collect.cgroups.walk import FOLDER
from netfs.collect.cgroups.whole import Whole
from netfs.model.cgroups import Cgroup, CgroupTree, Hierarchy
from netfs.model.gaps import Gap

LINE = frozenset({"cpu", "cpuacct", "memory", "pids"})
"""Controllers of version 1 that have what a line for each group shows."""
WHAT = "control groups"
MANY = 400
RENAMED = "it is mounted from outside this cgroup namespace: groups inside have other names than their processes tell"
NONE: Mapping[str, bytes] = {}


class CgroupReading(NamedTuple):
    """The groups, and what could not be read of them."""

    tree: CgroupTree
    gaps: tuple[Gap, ...]


def cgroups(
    *, within: Collection[str] | None = None, detail: bool = True, proc: str = "/proc", pid: int | None = None
) -> CgroupReading:
    """Every group, or these with all below and all above them.

    Without ``detail``: what a line for each group shows. Of the processor use, quota and, where there is one, how often
    it was throttled; of memory use, limit, kills and, where there is a limit, the working set; how many processes there
    are and may be. Groups that only other hierarchies of version 1 have are left out then.

    ``pid``: the process in whose mount namespace the hierarchies are; none: this one.
    """
    refused = Refused()
    taken = time.monotonic()
    several = hierarchies.mounted(_mountinfo(f"{proc}/{pid or 'self'}/mountinfo", refused))
    root = f"{proc}/{pid}/root" if pid else ""
    with ExitStack() as stack:
        opened = [_opened(root, mounts, refused, stack) for mounts in several if detail or _of_a_line(mounts)]
        whole = Whole([each for each in opened if each is not None], Chosen(within), detail=detail)
        if within is None and _many(proc):
            whole.run_in_two()
        else:
            whole.run()
    shown = tuple(_shown(mounts, whole.offered) for mounts in several)
    groups = tuple(_groups(whole.first, whole.second, detail, refused))
    for found in (whole.first, whole.second):
        refused.take(found.refused.plain())
    return CgroupReading(CgroupTree("", hierarchies.mode(shown), "", shown, groups, taken), tuple(refused.gaps()))


def _mountinfo(path: str, refused: Refused) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        refused.add(path, WHAT, os.strerror(error.errno or 0))
        return b""


def _of_a_line(mounts: Sequence[Mounted]) -> bool:
    """Whether a hierarchy has something for a line, or is the one that groups are made in for their own sake."""
    hierarchy = mounts[0].hierarchy
    named = any(name.startswith("name=") for name in hierarchy.controllers)
    return hierarchy.version == 2 or named or not LINE.isdisjoint(hierarchy.controllers)


def _opened(root: str, mounts: Sequence[Mounted], refused: Refused, stack: ExitStack) -> tuple[Hierarchy, int] | None:
    """The first of a hierarchy's mounts that is to be seen at its path, with a descriptor of it."""
    reason = "another mount hides it"
    for mount in mounts:
        try:
            folder = os.open(root + mount.hierarchy.path, FOLDER)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            continue
        stack.callback(os.close, folder)
        if os.fstat(folder).st_dev == mount.device:
            if hierarchies.above(mount.hierarchy.root):
                refused.add(mount.hierarchy.path, WHAT, RENAMED)
            return mount.hierarchy, folder
    refused.add(mounts[0].hierarchy.path, WHAT, reason)
    return None


def _many(proc: str) -> bool:
    """Whether there may be so many groups that a second process pays (cgroups(7): the third word in each line)."""
    try:
        with open(f"{proc}/cgroups", "rb") as file:
            return any(is_number(word) and int(word) > MANY for line in file for word in line.split()[2:3])
    except OSError:
        return False


def _shown(mounts: Sequence[Mounted], offered: Mapping[Hierarchy, tuple[str, ...]]) -> Hierarchy:
    """A hierarchy by the mount it was read at."""
    for mount in mounts:
        if mount.hierarchy in offered:
            return replace(mount.hierarchy, controllers=offered[mount.hierarchy])
    return mounts[0].hierarchy


def _groups(first: Found, second: Found, detail: bool, refused: Refused) -> Iterator[Cgroup]:
    """A record for each path, a group before those below it. ``first``: version 1."""
    for path in sorted({*first.inodes, *second.inodes}, key=_in_order):
        controllers = first.controllers.get(path, ())
        if path in second.inodes:
            controllers += ("", *second.controllers[path])
        inode = second.inodes.get(path) or first.inodes[path]
        files = first.files.get(path, NONE), second.files.get(path, NONE)
        group, malformed = record(path, _sorted(controllers), inode, files, detail=detail)
        for name in malformed:
            refused.add(path, name, "its form is not known")
        yield group


def _in_order(path: str) -> str:
    """No name holds a zero byte, and none is less: what is below a group follows it at once."""
    return path.replace("/", "\0")


@lru_cache(maxsize=256)
def _sorted(controllers: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(controllers)))
