"""Namespaces, who is in them, and what keeps them alive (namespaces(7)). ``netfs.namespaces/v1`` is here as JSON."""

from __future__ import annotations

from dataclasses import dataclass

from netfs.model.findings import Finding
from netfs.model.gaps import Gap

SCHEMA = "netfs.namespaces/v1"


@dataclass(frozen=True, slots=True)
class Pin:
    """A file that keeps a namespace alive: a mount of nsfs."""

    path: str
    """As the mount namespace that has it shows it."""
    mount_namespace: int
    """Inode of the mount namespace that has the mount."""
    pid: int | None = None
    """A process of that mount namespace; None: it has none."""


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A descriptor that keeps a namespace alive."""

    pid: int
    fd: int


@dataclass(frozen=True, slots=True)
class Namespace:
    """One namespace of a running kernel."""

    type: str
    """``cgroup``, ``ipc``, ``mnt``, ``net``, ``pid``, ``time``, ``user`` or ``uts``."""
    id: int
    """Inode on nsfs; with ``device`` its identity within one boot."""
    device: str = ""
    """``MAJOR:MINOR`` of nsfs."""
    owner: int | None = None
    """Inode of the user namespace that owns it; None: not to be seen from here, or none."""
    parent: int | None = None
    """Of PID and user namespaces; None: the topmost that can be seen, or not read."""
    owner_uid: int | None = None
    """Of user namespaces: who made it, in the reader's user namespace."""
    pids: tuple[int, ...] = ()
    """Every process in it, by number."""
    threads: tuple[int, ...] = ()
    """Threads (tid) in it whose process is not."""
    children_of: tuple[int, ...] = ()
    """Processes whose children will be in it, and that are not themselves (``pid_for_children``)."""
    pins: tuple[Pin, ...] = ()
    open_files: tuple[OpenFile, ...] = ()
    """Descriptors; looked for only where it was asked for."""
    nsid: int | None = None
    """Of network namespaces: its number in the reader's own (RTM_GETNSID); None: it has none."""
    kept_by: tuple[str, ...] = ()
    """What keeps it alive, in short: ``processes``, ``threads``, ``pin``, ``file``, ``child``, ``children``, ``mount``
    (a mount namespace that is itself unseen), ``owned``."""
    leader: int | None = None
    """The process that stands for it: of the lowest pid that has no parent in it."""
    command: str = ""
    """The leader's name for itself."""
    uid: int | None = None
    """The leader's user."""
    node: str = ""
    initial: bool = False
    """It is the node's own: that of the node's first process."""
    containers: tuple[str, ...] = ()
    """Names of the containers with a process in it, ``default/pod-a/app``."""
    pods: tuple[str, ...] = ()
    """Their pods, ``default/pod-a``; or the pod whose engine keeps it."""
    engine: str = ""
    """The engine that keeps it, where one says so."""
    shared: bool = False
    """More than one container has it."""
    leaked: bool = False
    """It is pinned, nothing runs in it, and no engine knows it."""


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Every namespace of every node."""

    namespaces: tuple[Namespace, ...]
    """By node, then type, then ``id``."""
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()
    schema: str = SCHEMA
