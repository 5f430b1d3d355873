"""Processes as /proc shows them (proc(5)): what is read of each. The whole of one is in ``process_facts``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

NAMESPACE_TYPES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
"""The names of /proc/PID/ns, sorted (namespaces(7))."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A thread that is in another namespace than its process's first."""

    tid: int
    type: str
    id: int
    """Inode of the namespace."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process at one moment. ``pid`` and ``started`` together are its identity: a pid alone is used again."""

    pid: int
    """In the reader's PID namespace."""
    started: int
    """Clock ticks after boot (proc_pid_stat(5), field 22)."""
    ppid: int = 0
    comm: str = ""
    """As the process calls itself: whatever it likes."""
    state: str = ""
    """One letter: ``R``, ``S``, ``D``, ``Z``, …"""
    threads: int = 1
    uid: int | None = None
    """Owner of /proc/PID: the effective user, or root where the process may not be dumped; None: not read."""
    namespaces: Mapping[str, int] = field(default_factory=dict)
    """Inode by type; what is missing could not be read."""
    for_children: Mapping[str, int] = field(default_factory=dict)
    """``pid`` and ``time``: where its children will be, where that is another than its own."""
    elsewhere: tuple[Elsewhere, ...] = ()
    """Threads that are not where the process is."""
    cgroups: Mapping[str, str] = field(default_factory=dict)
    """Path by controllers as /proc/PID/cgroup has them: ``memory``, ``cpu,cpuacct``, ``name=systemd``; empty: v2."""
    pids: tuple[int, ...] = ()
    """Its pid in every PID namespace, the reader's first, its own last (``NSpid``); empty: not read."""
