"""One process in full: what it may do, what it sees, what it uses.

In a file of its own: most answers need of processes no more than who they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MountPoint:
    """A line of a process's mountinfo (proc_pid_mountinfo(5))."""

    id: int
    parent: int
    device: str
    """``MAJOR:MINOR``."""
    root: str
    """What of the file system is mounted; of nsfs ``net:[4026…]``."""
    path: str
    """From the process's root."""
    options: str
    """``ro,nosuid,nodev``."""
    type: str
    """``overlay``, ``tmpfs``, ``ext4``."""
    source: str
    super_options: str = ""
    propagation: tuple[str, ...] = ()
    """``shared:12``, ``master:3``, …; none: private."""


@dataclass(frozen=True, slots=True)
class IdMap:
    """One line of /proc/PID/uid_map or gid_map (user_namespaces(7))."""

    inside: int
    outside: int
    count: int


@dataclass(frozen=True, slots=True)
class Resolver:
    """What a process's /etc/resolv.conf says (resolv.conf(5))."""

    nameservers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    source: str = ""
    """Where the file comes from: what is mounted there (``/var/lib/…/resolv.conf``); empty: from the root itself."""


@dataclass(frozen=True, slots=True)
class Privileges:
    """Who a process is, and what it may do (capabilities(7), seccomp(2), /proc/PID/status and attr)."""

    uid: int | None = None
    """Effective, in the reader's user namespace."""
    gid: int | None = None
    groups: tuple[int, ...] = ()
    capabilities: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names as capabilities(7) has them (``CAP_NET_ADMIN``), by set: ``effective``, ``permitted``, ``inheritable``,
    ``bounding``, ``ambient``; a bit that has no name yet is ``CAP_63``."""
    all_capabilities: bool = False
    """The effective set holds every capability that this kernel has."""
    no_new_privileges: bool | None = None
    seccomp: str = ""
    """``disabled``, ``strict``, ``filter``; empty: not read."""
    seccomp_filters: int | None = None
    apparmor: str = ""
    """``docker-default (enforce)``, ``unconfined``; empty: this kernel has none, or it was not read."""
    selinux: str = ""
    """``system_u:system_r:container_t:s0:c1,c2``; empty as above."""
    uid_map: tuple[IdMap, ...] = ()
    gid_map: tuple[IdMap, ...] = ()


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """What is looked up of one process only: the first of a container."""

    pid: int
    command: tuple[str, ...] = ()
    executable: str = ""
    """Its path in the process's root."""
    directory: str = ""
    privileges: Privileges = field(default_factory=Privileges)
    mounts: tuple[MountPoint, ...] = ()
    resolver: Resolver | None = None
    """None: there is no such file, or it could not be read."""
    hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """/etc/hosts: names by address."""
    open_files: int | None = None
    open_files_limit: int | None = None
    oom_score_adjust: int | None = None


@dataclass(frozen=True, slots=True)
class ProcessUse:
    """A process of a container as ``ps`` shows it."""

    pid: int
    inner_pid: int | None
    """Its pid in its own PID namespace."""
    ppid: int
    depth: int
    """0: its parent is not of the container."""
    comm: str
    command: tuple[str, ...] = ()
    user: str = ""
    """Name on the node, else the number."""
    state: str = ""
    """``running``, ``sleeping``, ``zombie``, … as psutil has it."""
    threads: int = 1
    cpu_seconds: float | None = None
    memory: int | None = None
    """Resident bytes."""
    started_at: str = ""
    """RFC 3339."""
