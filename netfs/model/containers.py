"""A container as its engine tells of it, and where the kernel has it.

The same record is made from an engine's files and from its API: what one of them leaves empty, the other may know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netfs.model.gaps import Gap

SANDBOX = "sandbox"
"""``Container.role`` of the one that only holds a pod's namespaces."""
DIGITS = 12
"""Of an id, as people write it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a container was promised, as its engine wrote it down (OCI runtime-spec, config-linux.md, ``resources``).

    None: it says nothing of it, which is no limit.
    """

    cpu_quota_us: int | None = None
    """CPU time in each period."""
    cpu_period_us: int | None = None
    """None where a quota is given: 100,000."""
    cpu_shares: int | None = None
    cpuset: str | None = None
    """Processors it may run on: ``0-3,7``."""
    memory: int | None = None
    """Bytes."""
    memory_swap: int | None = None
    """Bytes of memory and swap together, as the OCI has it."""
    pids: int | None = None


@dataclass(frozen=True, slots=True)
class Container:
    """A container of an engine, and the pod it belongs to."""

    id: str
    name: str = ""
    image: str = ""
    """``Image.id``; empty: not known."""
    image_name: str = ""
    layer: str = ""
    """``Layer.id`` of the topmost; empty: it has none."""
    state: str = ""
    """``running``, ``exited``, ``created``, ``paused``, …; empty: not written down."""
    pid: int | None = None
    """As its engine wrote it down, in the engine's PID namespace; that it still runs is not said by it."""
    pod: str = ""
    namespace: str = ""
    """Of the pod. Empty: the engine names no pod; it counts as one of its own."""
    pod_uid: str = ""
    role: str = ""
    """Its name within the pod (``io.kubernetes.container.name``); ``sandbox`` for the one that only holds the pod."""
    created_at: str = ""
    """RFC 3339."""
    labels: Mapping[str, str] = field(default_factory=dict)
    mounts: Mapping[str, str] = field(default_factory=dict)
    """What is mounted over its files, by the path in the container: ``/etc/hosts`` to where it comes from on the node,
    or the kind of file system (``tmpfs``)."""
    runtime: str = ""
    """Who runs it: ``docker``, ``containerd``, ``cri-o``, ``podman``, ``lab``; empty: not known."""
    sandbox: str = ""
    """Id of the container or sandbox that holds its pod's namespaces, where that is another."""
    started_at: str = ""
    """RFC 3339; empty: never, or not written down."""
    command: tuple[str, ...] = ()
    """The arguments of its first process, as configured."""
    cgroup: str = ""
    """Its cgroup as the engine has it: a path (``/kubepods/…/ID``), or systemd's ``SLICE:PREFIX:NAME``."""
    limits: Limits | None = None
    """None: its engine was not asked, or does not say."""
    addresses: tuple[str, ...] = ()
    """Those that its engine gave it."""
    netns: str = ""
    """The path its engine keeps its network namespace at."""
    user: int | None = None
    """Whose engine tells of it, where that is an ordinary user's: uid; None: the machine's, or the reader's own."""

    @property
    def called(self) -> str:
        """What people call it: ``default/pod-a/app``, ``web``; else the beginning of its id."""
        if self.pod:
            return "/".join(part for part in (self.namespace, self.pod, self.role or self.name) if part)
        return self.name or self.id[:DIGITS]

    @property
    def in_pod(self) -> str:
        """The pod it belongs to, ``default/pod-a``; itself, where its engine names none."""
        return "/".join(part for part in (self.namespace, self.pod) if part) if self.pod else self.called


@dataclass(frozen=True, slots=True)
class Engine:
    """Something that runs containers, and what it said when it was asked, or what its files say."""

    name: str
    """``docker``, ``containerd``, ``cri-o``, ``podman``."""
    endpoint: str
    """Where it was asked: ``unix:///run/docker.sock``; or the folder of its files: ``/var/lib/docker``."""
    version: str = ""
    containers: tuple[Container, ...] = ()
    cgroup_driver: str = ""
    """``systemd`` or ``cgroupfs``; empty: not said."""
    user: int | None = None
    """Who owns its socket or folder, where that is an ordinary user, who may write there what he likes; None: root, or
    the reader."""
    gaps: tuple[Gap, ...] = ()
    """What it did not answer, or could not be read."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A container, and where the kernel has it."""

    container: Container
    node: str = ""
    init: int | None = None
    """Its first process, in the reader's PID namespace; None: it does not run, or none could be told to be its."""
    pids: tuple[int, ...] = ()
    """Every process in it, the first one first, the others by number. Those of a sandbox are its own alone."""
    cgroup: str = ""
    """Where its first process is: of a v1 host that of the memory controller, else the first that names it."""
    by: str = ""
    """What ties them: ``cgroup`` (a path that names its id), ``pid`` (its engine names the process, which was started
    when the container was), ``namespace`` (no engine knows it: processes in namespaces of their own); empty: nothing.
    """
    uncertain: str = ""
    """Why what is said here may be another's, or is not all."""
