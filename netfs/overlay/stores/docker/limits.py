"""Docker's form of limits: ``HostConfig``, in hostconfig.json and in what its API answers.

(moby ``api/types/container/hostconfig.go``, ``Resources``; what becomes of them: ``daemon/daemon_unix.go``)
"""

from __future__ import annotations

import posixpath

from netfs.model.containers import Limits
from netfs.overlay.stores import documents
from netfs.overlay.stores.oci import limit

_PERIOD_US = 100_000
"""Of a limit in processors (``--cpus``; ``getCPUResources``)."""
_PER_CPU = 1_000_000_000


def limits(host_config: object) -> Limits:
    """What a ``HostConfig`` limits: 0 and -1 are no limit."""
    cpus = limit(host_config, "NanoCpus")
    return Limits(
        cpu_quota_us=cpus * _PERIOD_US // _PER_CPU if cpus else limit(host_config, "CpuQuota"),
        cpu_period_us=_PERIOD_US if cpus else limit(host_config, "CpuPeriod"),
        cpu_shares=limit(host_config, "CpuShares"),
        cpuset=documents.text(host_config, "CpusetCpus") or None,
        memory=limit(host_config, "Memory"),
        memory_swap=limit(host_config, "MemorySwap"),
        pids=limit(host_config, "PidsLimit"),
    )


def cgroup(host_config: object, identity: str) -> str:
    """The control group of a container, as the daemon hands it to the runtime; empty where that is the daemon's choice.

    A parent that is a slice shows that systemd makes the groups (moby ``daemon/oci_linux.go``, ``withCgroups``).
    """
    parent = documents.text(host_config, "CgroupParent")
    if parent.endswith(".slice"):
        return f"{parent}:docker:{identity}"
    return posixpath.join(parent, identity) if parent.startswith("/") else ""
