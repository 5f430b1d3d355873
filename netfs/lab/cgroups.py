"""The lab's control groups: ``…/netfs-lab-NAME/kubepods/podUID/CONTAINER`` in each hierarchy the host lets it use."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

_CONTROLLERS = {"cpu", "cpuacct", "memory", "pids"}
CPU_US, PERIOD_US, MEMORY, PIDS = 100_000, 100_000, 128 << 20, 256
"""What each pod is promised: one processor, 128 MiB, 256 processes. Requests equal limits: it is Guaranteed, and its
groups are directly below kubepods."""
_LIMITS = {
    "cpu.cfs_period_us": f"{PERIOD_US}",
    "cpu.cfs_quota_us": f"{CPU_US}",
    "cpu.max": f"{CPU_US} {PERIOD_US}",
    "memory.limit_in_bytes": f"{MEMORY}",
    "memory.max": f"{MEMORY}",
}
"""By file, of version 1 and of version 2."""
_POD_LIMITS = {**_LIMITS, "pids.max": f"{PIDS}"}
"""The kubelet limits the processes of a pod as a whole."""


def bases(lab: str, root: bool) -> tuple[str, ...]:
    """Where a lab's groups go, one folder per hierarchy that may be written to.

    As root below the hierarchy's root; otherwise below the caller's own group, where it was delegated to it.
    """
    own = _groups_of("self")
    found = []
    for point, controllers in _hierarchies():
        where = Path(point) if root else Path(point + own.get(controllers, own.get(frozenset(), "/")))
        if os.access(where, os.W_OK) and (root or os.access(where / "cgroup.procs", os.W_OK)):
            found.append(str(where / f"netfs-lab-{lab}"))
    return tuple(found)


def _hierarchies() -> list[tuple[str, frozenset[str]]]:
    """(mount point, controllers) of the version 2 hierarchy (no controllers) and of the version 1 ones of use."""
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            left, _, right = line.partition(" - ")
            kind, _, options = right.split()[:3]
            controllers = frozenset(options.split(",")) & _CONTROLLERS
            if kind == "cgroup2" or (kind == "cgroup" and controllers):
                found.append((left.split()[4], controllers if kind == "cgroup" else frozenset()))
    return found


def _groups_of(pid: int | str) -> dict[frozenset[str], str]:
    """A process's group per hierarchy of use (``/proc/PID/cgroup``): version 2 has no controllers there."""
    found: dict[frozenset[str], str] = {}
    with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            used = frozenset(controllers.split(",")) & _CONTROLLERS
            if used or not controllers:
                found[used] = path
    return found


def join(base: str, uid: str, container: str) -> None:
    """Make a pod's group below ``base``, with its limits, and move the calling process into it. Raises OSError."""
    group = Path(base, "kubepods", f"pod{uid}", container)
    group.mkdir(parents=True, exist_ok=True)
    for above in (Path(base), group.parents[1], group.parent):
        _delegate(above)
    for limited, limits in ((group.parent, _POD_LIMITS), (group, _LIMITS)):
        for name, value in limits.items():
            if (limited / name).exists():
                (limited / name).write_text(value)
    (group / "cgroup.procs").write_text("0")


def opened(pid: int, lab: str) -> tuple[int, ...]:
    """Descriptors that move who writes to them (``join_opened``) into the lab's groups that a process is in.

    Those that the host does not let the caller open are left out.
    """
    theirs = _groups_of(pid)
    paths = [point + theirs.get(controllers, "") for point, controllers in _hierarchies()]
    found = []
    for path in paths:
        with contextlib.suppress(OSError):
            if f"/netfs-lab-{lab}/" in path:
                found.append(os.open(f"{path}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC))
    return tuple(found)


def join_opened(groups: tuple[int, ...]) -> None:
    """Move the calling process, as a runtime's ``exec`` does; where the host does not let it, it stays."""
    for group in groups:
        with contextlib.suppress(OSError):
            os.write(group, b"0")


def _delegate(group: Path) -> None:
    """Let the groups below have every controller that this one has (version 2: ``cgroup.subtree_control``)."""
    with contextlib.suppress(FileNotFoundError):
        there = _CONTROLLERS.intersection((group / "cgroup.controllers").read_text().split())
        (group / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in sorted(there)))


def remove(base: str) -> None:
    """Remove a lab's groups. Its processes have just been killed: the kernel may need a moment to let go."""
    if not Path(base).name.startswith("netfs-lab-"):
        return
    for folder, _, _ in os.walk(base, topdown=False):
        deadline = time.monotonic() + 2.0
        while time.monotonic() < deadline:
            try:
                os.rmdir(folder)
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(0.005)
            else:
                break
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(folder)
