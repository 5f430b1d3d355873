"""How a limit of a control group is changed: by who made the group, for whoever else changes it is overruled later."""

from __future__ import annotations

import re
from shlex import quote
from typing import NamedTuple

from netfs.collect.cgroups.paths import Recognised, recognise
from netfs.container.cgroups.known import Known
from netfs.model.cgroups import Cgroup, CgroupTree
from netfs.model.containers import DIGITS, SANDBOX, Container

ENGINES = ("docker", "podman")
"""Those with a command that changes a running container's limits."""
_UNITS = (".service", ".scope", ".slice")
_USERS = "/user@"
"""In paths of units of a user's own manager."""
_KUBELETS = re.compile(r".*kubepods(?:-burstable|-besteffort)?(?:\.slice)?|.*/kubepods/(?:burstable|besteffort)")
RESERVED = "this is what the kubelet leaves to all pods together: move pods to another node, or have it reserve less"


class Wanted(NamedTuple):
    """A limit, as everybody who sets one spells it."""

    engine: str
    """Options of ``docker update`` and ``podman update``."""
    kubernetes: str
    """Of ``kubectl set resources --limits``; empty: the kubelet has it."""
    unit: str
    """A property of systemd.resource-control(5)."""
    file: str
    """Of version 2."""
    first: str
    """Of version 1."""
    value: int | str


def memory(value: int) -> Wanted:
    """A limit of bytes. Docker and Podman refuse one above that of memory and swap, so that is raised as well."""
    mib = -(-value >> 20)
    options = f"--memory {mib}m --memory-swap {2 * mib}m"
    return Wanted(options, f"memory={mib}Mi", f"MemoryMax={mib}M", "memory.max", "memory.limit_in_bytes", mib << 20)


def cpu(microseconds: int) -> Wanted:
    """A limit of CPU time in each second."""
    milli = max(-(-microseconds // 1000), 1)
    options, percent = f"--cpus {milli / 1000:g}", -(-milli // 10)
    value = f"{milli * 100} 100000"
    return Wanted(options, f"cpu={milli}m", f"CPUQuota={percent}%", "cpu.max", "cpu.cfs_quota_us", value)


def pids(value: int) -> Wanted:
    """A limit of processes and threads."""
    return Wanted(f"--pids-limit {value}", "", f"TasksMax={value}", "pids.max", "pids.max", value)


def raised(tree: CgroupTree, known: Known, group: Cgroup, path: str, wanted: Wanted) -> str:
    """What gives ``group`` a wider limit where that of ``path`` holds for it: a command where one does, else words.

    ``path`` is its own, or an ancestor's.
    """
    found = recognise(path)
    container = _container(known, path)
    if container is not None and container.runtime in ENGINES and not _orchestrated(container, found):
        return f"{container.runtime} update {wanted.engine} {quote(_name(container))}"
    if found is not None and found.runtime != "lab" and (found.qos or (container is not None and container.pod)):
        return _in_pod(group, _container(known, group.path), wanted)
    if found is None and _KUBELETS.fullmatch(path):
        return RESERVED
    unit = path.rpartition("/")[2]
    if found is None and unit.endswith(_UNITS):
        return f"systemctl {'--user ' if _USERS in path else ''}set-property {quote(unit)} {wanted.unit}"
    return f"raise {_file(tree, path, wanted)}, or ask what made the group for more"


def _container(known: Known, path: str) -> Container | None:
    placed = known.of(path)
    return None if placed is None else placed.container


def _orchestrated(container: Container, found: Recognised | None) -> bool:
    """Whether an engine only does what the kubelet tells it."""
    return bool(found and found.qos) or "io.kubernetes.pod.uid" in container.labels


def _in_pod(group: Cgroup, container: Container | None, wanted: Wanted) -> str:
    if not wanted.kubernetes:
        return "raise podPidsLimit in the kubelet's configuration, or start fewer processes in the pod"
    pod, role = (f" {group.pod}" if "/" in group.pod else ""), ""
    namespace = f" -n {quote(group.pod.partition('/')[0])}" if pod else ""
    if container is not None and container.role and container.role != SANDBOX:
        role = f" -c {quote(container.role)}"
    return (
        f"raise the limit where{pod or ' the pod'} is made from: "
        f"kubectl set resources{namespace} KIND/NAME{role} --limits={wanted.kubernetes}"
    )


def _name(container: Container) -> str:
    return container.name or container.id[:DIGITS]


def _file(tree: CgroupTree, path: str, wanted: Wanted) -> str:
    controller = wanted.file.partition(".")[0]
    for hierarchy in tree.hierarchies:
        if controller in hierarchy.controllers:
            name = wanted.first if hierarchy.version == 1 else wanted.file
            return f"{hierarchy.path}{path}/{name}"
    return f"{wanted.file} of {path}"
