"""Control groups: limits, use and pressure (cgroups(7), Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/).

``netfs.cgroups/v1`` is here as JSON. Version 1 and version 2 have one record; units are bytes and microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netfs.model.findings import Finding
from netfs.model.gaps import Gap

SCHEMA = "netfs.cgroups/v1"


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """A mounted hierarchy of control groups."""

    version: int
    controllers: tuple[str, ...]
    """``memory``, ``cpu``, …; of a named one ``name=systemd``. Of version 2: what its root offers."""
    path: str
    """Where it is mounted."""
    root: str = "/"
    """What of it is mounted there: another than ``/`` inside a cgroup namespace."""


@dataclass(frozen=True, slots=True)
class Cpu:
    """Processor time."""

    usage_us: int | None = None
    user_us: int | None = None
    system_us: int | None = None
    quota_us: int | None = None
    """Time in each period; None: no limit."""
    period_us: int | None = None
    burst_us: int | None = None
    weight: int | None = None
    """Version 2, 1 to 10,000."""
    shares: int | None = None
    """Version 1, 2 to 262,144."""
    periods: int | None = None
    throttled_periods: int | None = None
    throttled_us: int | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory, in bytes."""

    current: int | None = None
    limit: int | None = None
    """``memory.max``, ``memory.limit_in_bytes``; None: no limit."""
    working_set: int | None = None
    """``current`` less what could be dropped at once (``inactive_file``), as the kubelet evicts by."""
    peak: int | None = None
    high: int | None = None
    """Above it, processes are slowed (version 2); None: no such limit."""
    low: int | None = None
    minimum: int | None = None
    swap: int | None = None
    swap_limit: int | None = None
    """Of swap alone (version 1's limit of both is ``limit`` more); None: no limit."""
    limit_hits: int | None = None
    """How often use was about to exceed the limit (``max`` of memory.events, ``memory.failcnt``)."""
    ooms: int | None = None
    """How often nothing could be freed (``oom``)."""
    oom_kills: int | None = None
    """Processes killed for it in the group and below."""
    under_oom: bool | None = None
    anonymous: int | None = None
    file: int | None = None


@dataclass(frozen=True, slots=True)
class Pids:
    """Processes and threads."""

    current: int | None = None
    limit: int | None = None
    peak: int | None = None
    refused: int | None = None
    """How often fork failed because of the limit (``max`` of pids.events)."""


@dataclass(frozen=True, slots=True)
class Io:
    """One block device."""

    device: str
    """``MAJOR:MINOR``."""
    read_bytes: int | None = None
    written_bytes: int | None = None
    reads: int | None = None
    writes: int | None = None
    limits: Mapping[str, int] = field(default_factory=dict)
    """``rbps``, ``wbps``, ``riops``, ``wiops``: what is limited."""


@dataclass(frozen=True, slots=True)
class HugePages:
    """Huge pages of one size."""

    size: str
    """``2MB``, ``1GB``."""
    current: int | None = None
    limit: int | None = None
    refused: int | None = None


@dataclass(frozen=True, slots=True)
class Cpuset:
    """Processors and memory nodes, as the kernel lists them (``0-3,7``)."""

    cpus: str = ""
    """As set; empty: as its parent."""
    effective_cpus: str = ""
    mems: str = ""
    effective_mems: str = ""
    partition: str = ""


@dataclass(frozen=True, slots=True)
class Stall:
    """A line of a pressure file (Documentation/accounting/psi.rst): the share of time lost, in percent."""

    avg10: float
    avg60: float
    avg300: float
    total_us: int


@dataclass(frozen=True, slots=True)
class Pressure:
    """How much waiting for one resource costs."""

    some: Stall | None = None
    """At least one task waits."""
    full: Stall | None = None
    """All tasks wait at once."""


@dataclass(frozen=True, slots=True)
class Effective:
    """The limit that holds: the smallest of a group's own and its ancestors'."""

    value: int
    """Bytes, processes, or microseconds of CPU time in each second."""
    at: str
    """Path of the group that sets it."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What happened between two readings, each second."""

    cpu_us: float | None = None
    throttled_us: float | None = None
    throttled_share: float | None = None
    """Of the periods, from 0 to 1."""
    read_bytes: float | None = None
    written_bytes: float | None = None
    memory: float | None = None
    """Bytes more, or less."""


@dataclass(frozen=True, slots=True)
class Cgroup:
    """One control group; in version 1 what all hierarchies have at that path."""

    path: str
    """From the root of its hierarchy, as /proc/PID/cgroup names it: ``/kubepods/burstable/pod…``."""
    controllers: tuple[str, ...] = ()
    """Those that have it, sorted; ``""`` stands for version 2's own files."""
    node: str = ""
    pids: tuple[int, ...] = ()
    """Processes in it, not below it, by number: in the reader's PID namespace."""
    type: str = ""
    """Version 2: ``domain``, ``threaded``, ``domain threaded``, ``domain invalid``; empty: version 1, or the root."""
    populated: bool | None = None
    """Whether there is a process in it or below; None: version 1 does not say."""
    frozen: bool | None = None
    cpu: Cpu | None = None
    memory: Memory | None = None
    processes: Pids | None = None
    io: tuple[Io, ...] = ()
    huge_pages: tuple[HugePages, ...] = ()
    cpuset: Cpuset | None = None
    pressure: Mapping[str, Pressure] = field(default_factory=dict)
    """By ``cpu``, ``memory``, ``io``, ``irq``."""
    inode: int = 0
    """Of its directory (the first hierarchy that has it): what a cgroup namespace or BPF knows it by."""
    effective: Mapping[str, Effective] = field(default_factory=dict)
    """By ``cpu``, ``memory``, ``swap``, ``pids``; none: no limit holds, or it could not be told."""
    pod: str = ""
    """``default/pod-a``, or the pod's UID where nobody knows its name."""
    container: str = ""
    """``default/pod-a/app``, or the beginning of its id."""
    kind: str = ""
    """``pod``, ``container``, ``sandbox``, ``node`` (a container that plays a node), ``monitor`` (conmon); empty: none
    of them."""
    qos: str = ""
    """``guaranteed``, ``burstable`` or ``besteffort``, of groups below kubepods."""
    rates: Rates | None = None


@dataclass(frozen=True, slots=True)
class CgroupTree:
    """The control groups of one node."""

    node: str
    mode: str
    """``v1``, ``v2``, ``hybrid`` (controllers in version 1, version 2 beside it), ``none``."""
    driver: str = ""
    """``systemd`` or ``cgroupfs``, as the paths of containers show it; ``mixed``; empty: there are none."""
    hierarchies: tuple[Hierarchy, ...] = ()
    groups: tuple[Cgroup, ...] = ()
    """A group stands before those below it; siblings by name."""
    taken_at: float = 0.0
    """Seconds of a clock that never goes back (CLOCK_MONOTONIC): what rates are made from."""


@dataclass(frozen=True, slots=True)
class Cgroups:
    """The control groups of every node."""

    trees: tuple[CgroupTree, ...]
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()
    schema: str = SCHEMA
