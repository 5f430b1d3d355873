"""What happened between two readings of a node's control groups, each second. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from netfs.container.cgroups import throttled
from netfs.model.cgroups import Cgroup, Cgroups, CgroupTree, Rates
from netfs.model.containers import Placed

THROTTLED = "cgroup-cpu-throttled"
"""The finding that is told of what happened between two readings, where there are two."""


def following(before: Cgroups, after: Cgroups, placed: Sequence[Placed]) -> Cgroups:
    """The later of two answers, with rates, and with findings of what happened meanwhile."""
    earlier = {tree.node: tree for tree in before.trees}
    trees = tuple(with_rates(earlier[tree.node], tree) if tree.node in earlier else tree for tree in after.trees)
    kept = (finding for finding in after.findings if finding.slug != THROTTLED)
    found = (finding for tree in trees for finding in throttled(tree, placed))
    return replace(after, trees=trees, findings=(*kept, *found))


def with_rates(before: CgroupTree, after: CgroupTree) -> CgroupTree:
    """The later tree with rates. A group that was made since, also anew at the same path, has none.

    A counter that is smaller than before was set back (``memory.peak`` may be, a device may come again): no rate.
    """
    seconds = after.taken_at - before.taken_at
    if seconds <= 0:
        return after
    earlier = {(group.path, group.inode): group for group in before.groups}
    groups = tuple(
        group if (old := earlier.get((group.path, group.inode))) is None else _with(old, group, seconds)
        for group in after.groups
    )
    return replace(after, groups=groups)


def _with(before: Cgroup, after: Cgroup, seconds: float) -> Cgroup:
    old, new = before.cpu, after.cpu
    cpu = throttled = part = None
    if old is not None and new is not None:
        cpu = _counted(old.usage_us, new.usage_us)
        throttled = _counted(old.throttled_us, new.throttled_us)
        part = _share(_counted(old.throttled_periods, new.throttled_periods), _counted(old.periods, new.periods))
    read, written = _transferred(before, after)
    memory = None
    if before.memory is not None and after.memory is not None:
        memory = _change(before.memory.current, after.memory.current)
    rates = Rates(
        cpu_us=_each(cpu, seconds),
        throttled_us=_each(throttled, seconds),
        throttled_share=part,
        read_bytes=_each(read, seconds),
        written_bytes=_each(written, seconds),
        memory=_each(memory, seconds),
    )
    return replace(after, rates=rates)


def _transferred(before: Cgroup, after: Cgroup) -> tuple[int | None, int | None]:
    """Bytes read and written on all devices. A device is in the list once something was done with it."""
    if not after.io:
        return None, None
    earlier = {each.device: each for each in before.io}
    read: int | None = 0
    written: int | None = 0
    for each in after.io:
        old = earlier.get(each.device)
        read = _sum(read, _counted(0 if old is None else old.read_bytes, each.read_bytes))
        written = _sum(written, _counted(0 if old is None else old.written_bytes, each.written_bytes))
    return read, written


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _change(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else after - before


def _counted(before: int | None, after: int | None) -> int | None:
    change = _change(before, after)
    return None if change is None or change < 0 else change


def _share(part: int | None, whole: int | None) -> float | None:
    """None: there was no period meanwhile."""
    return None if part is None or not whole else min(part / whole, 1.0)


def _each(amount: int | None, seconds: float) -> float | None:
    return None if amount is None else amount / seconds
