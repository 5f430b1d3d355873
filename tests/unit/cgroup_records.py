"""Control groups in a few lines."""

from __future__ import annotations

from typing import Any

from netfs.model.cgroups import Cgroup, CgroupTree, Cpu, Hierarchy, Memory, Pids
from netfs.model.containers import SANDBOX, Container, Limits, Placed

MIB = 1 << 20
APP, PAUSE, WEB, NODE = "a44a" * 16, "5a4d" * 16, "91a1" * 16, "0de0" * 16
UID = "6f3c1a52-0b1e-4a57-9d5c-2a1b3c4d5e6f"
PODS = "/kubepods/burstable"
POD = f"{PODS}/pod{UID}"
V2 = Hierarchy(2, ("cpu", "cpuset", "io", "memory", "pids"), "/sys/fs/cgroup")
V1 = tuple(Hierarchy(1, (name,), f"/sys/fs/cgroup/{name}") for name in ("cpu", "memory", "pids"))


def group(
    path: str,
    *,
    used: int | None = None,
    limit: int | None = None,
    kills: int | None = None,
    pids: tuple[int, int | None] | None = None,
    refused: int | None = None,
    cpu: Cpu | None = None,
    swap_limit: int | None = None,
    **fields: Any,
) -> Cgroup:
    """``used``: the working set. ``pids``: how many, and the limit."""
    memory = None
    if (used, limit, kills, swap_limit) != (None,) * 4:
        memory = Memory(used, limit, working_set=used, oom_kills=kills, swap_limit=swap_limit)
    processes = None if pids is None else Pids(pids[0], pids[1], refused=refused)
    found = {"controllers": ("", "cpu", "memory", "pids"), **fields}
    return Cgroup(path, cpu=cpu, memory=memory, processes=processes, **found)


def tree(*groups: Cgroup, at: float = 0.0, hierarchies: tuple[Hierarchy, ...] = (V2,)) -> CgroupTree:
    return CgroupTree("", "v2", hierarchies=hierarchies, groups=groups, taken_at=at)


def placed(container: Container, cgroup: str = "", *, by: str = "cgroup", pids: tuple[int, ...] = (7,)) -> Placed:
    return Placed(container, "node1", pids[0] if pids else None, pids, cgroup, by)


def app(**fields: Any) -> Container:
    made = {"name": "k8s_app", "pod": "pod-a", "namespace": "team", "pod_uid": UID, "role": "app", **fields}
    return Container(APP, **made)


def sandbox() -> Container:
    return Container(PAUSE, pod="pod-a", namespace="team", pod_uid=UID, role=SANDBOX)


def web(**fields: Any) -> Container:
    return Container(WEB, **{"name": "web", "runtime": "docker", **fields})


def limits(**fields: Any) -> Limits:
    return Limits(**fields)
