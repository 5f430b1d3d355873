"""Limits in the kernel that are not what the container's engine was told."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from netfs.collect.cgroups.paths import recognise
from netfs.container.cgroups.effective import quota
from netfs.container.cgroups.known import Known
from netfs.container.cgroups.repair import ENGINES
from netfs.model.amounts import cpus, size
from netfs.model.cgroups import Cgroup, CgroupTree
from netfs.model.containers import DIGITS, Container, Limits, Placed
from netfs.model.findings import Finding

PAGE = 65_536
"""Bytes: the kernel keeps memory limits in pages (mm/page_counter.c); those of arm64 and ppc64 may have 64 KiB."""
STEP = 10_000
"""Microseconds of each second: runc rounds a quota that it hands to systemd up to whole percents."""
PLACED_BY = ("cgroup", "pid")
"""``Placed.by`` where a container's group is known."""


def differing(tree: CgroupTree, placed: Sequence[Placed], known: Known) -> Iterator[Finding]:
    """One finding for each running container that has another limit than it was promised."""
    by_path = {group.path: group for group in tree.groups}
    for each in placed:
        limits = each.container.limits
        if limits is None or each.init is None or each.by not in PLACED_BY or each.node not in ("", tree.node):
            continue
        group = by_path.get(_own_group(each, known))
        if group is None:
            continue
        told = [*_differences(group, limits)]
        if told:
            engine = each.container.runtime or "its engine"
            evidence = "; ".join(f"{what}: the kernel has {kernel}, {engine} {said}" for what, kernel, said in told)
            name = each.container.called
            yield Finding("cgroup-limit-differs", "warning", name, evidence, _fix(each.container), node=tree.node)


def _own_group(placed: Placed, known: Known) -> str:
    """The group that its limits are set at: the processes may be in one inside it."""
    found = recognise(placed.cgroup)
    if found is not None:
        named = found.kind == "container" and known.by_id(found.container) == placed
        return found.group if named else ""
    return placed.cgroup if known.in_group(placed.cgroup) == placed else ""


def _differences(group: Cgroup, limits: Limits) -> Iterator[tuple[str, str, str]]:
    """(limit, the kernel's, the engine's) where they are not the same; what could not be read is no difference."""
    if group.memory is not None:
        kernel, said = group.memory.limit, _some(limits.memory)
        if not _same(kernel, said, PAGE):
            yield "memory", _in_words(kernel, size), _in_words(said, size)
    if group.cpu is not None:
        kernel = quota(group.cpu.quota_us, group.cpu.period_us)
        said = quota(_some(limits.cpu_quota_us), limits.cpu_period_us)
        if not _same(kernel, said, STEP):
            yield "CPU", _in_words(kernel, cpus), _in_words(said, cpus)
        yield from _weights(group, limits.cpu_shares)
    # Without a limit of the engine's, the group keeps the one that systemd gives every unit (DefaultTasksMax).
    said = _some(limits.pids)
    if group.processes is not None and said is not None and group.processes.limit != said:
        yield "processes", _in_words(group.processes.limit, "{:,}".format), f"{said:,}"
    if group.cpuset is not None and limits.cpuset and _processors(group.cpuset.cpus) != _processors(limits.cpuset):
        yield "processors", group.cpuset.cpus or "those of its parent", limits.cpuset


def _weights(group: Cgroup, shares: int | None) -> Iterator[tuple[str, str, str]]:
    cpu = group.cpu
    if cpu is None or not shares or shares < 0:
        return
    if cpu.shares is not None:
        if cpu.shares != min(max(shares, 2), 262_144):
            yield "CPU shares", str(cpu.shares), str(shares)
    elif cpu.weight is not None and cpu.weight not in weights(shares):
        old, new = weights(shares)
        made = f"{old} or {new}" if old != new else str(old)
        yield "CPU weight", str(cpu.weight), f"{shares} shares, which runtimes make {made}"


def weights(shares: int) -> tuple[int, int]:
    """The weight of version 2 that a number of shares becomes: as runtimes made it at first, and as they make it now.

    opencontainers/cgroups utils.go, ConvertCPUSharesToCgroupV2Value: linear before runc 1.3.2 and crun 1.23; since then
    the default of the one, 1,024, becomes the default of the other, 100. A container's group may have either.
    """
    if shares <= 2:
        return 1, 1
    if shares >= 262_144:
        return 10_000, 10_000
    log = math.log2(shares)
    return 1 + (shares - 2) * 9999 // 262_142, math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34))


def _some(value: int | None) -> int | None:
    """A limit; 0 and -1 are how engines write that there is none."""
    return value if value is not None and value > 0 else None


def _same(one: int | None, other: int | None, within: int) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) < within


def _in_words(value: int | None, words: Callable[[int], str]) -> str:
    return "none" if value is None else words(value)


def _processors(text: str) -> frozenset[int] | str:
    """``0-3,7`` as numbers; itself, where it is no list."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if not (first.isascii() and first.isdigit() and len(first) < 6):
            return text
        if last and not (last.isascii() and last.isdigit() and len(last) < 6):
            return text
        found |= set(range(int(first), int(last or first) + 1))
    return frozenset(found)


def _fix(container: Container) -> str:
    """Words: which of both is meant is not to be told from here."""
    name = container.name or container.id[:DIGITS]
    if container.pod and container.runtime != "podman":
        return f"delete pod {container.in_pod}: it is made anew with the limits of its specification"
    if container.runtime in ENGINES:
        return f"say again what is meant: {container.runtime} update OPTIONS {name}; or restart the container"
    return f"restart container {container.called}: it is made anew with the limits it was promised"
