"""What ``netfs inspect`` answers, joined from what was read. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from netfs.cluster.netns import NetNsView
from netfs.cluster.topology import Topology
from netfs.container import pod_network
from netfs.model.cgroups import Cgroup, CgroupTree
from netfs.model.containers import SANDBOX, Placed
from netfs.model.findings import Finding
from netfs.model.gaps import Gap
from netfs.model.inspected import Inspected, InspectedContainer, SharedNamespace
from netfs.model.layer_answers import ChainRef
from netfs.model.namespaces import Namespace
from netfs.model.process_facts import MountPoint, ProcessFacts, ProcessUse
from netfs.model.processes import NAMESPACE_TYPES, Process

SEVERITIES = ("error", "warning", "info")


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is inspected, and everything that was read for it. What is keyed by container is keyed by ``Container.id``.

    A node, and a process that no container has, are one ``Placed`` whose container has an empty id.
    """

    name: str
    kind: str
    """As ``Inspected.kind``."""
    node: str
    placed: tuple[Placed, ...] = ()
    """Its containers."""
    others: tuple[Placed, ...] = ()
    """All other containers of the node: with whom namespaces may be shared."""
    processes: Mapping[int, Process] = field(default_factory=dict)
    """Of the node, by pid."""
    facts: Mapping[str, ProcessFacts] = field(default_factory=dict)
    """Of the first process of each container that runs."""
    uses: Mapping[str, tuple[ProcessUse, ...]] = field(default_factory=dict)
    namespaces: tuple[Namespace, ...] = ()
    """Every one of the node, told."""
    cgroups: CgroupTree | None = None
    """The node's, told; the groups of the subject and all above them are enough."""
    chains: Mapping[str, ChainRef] = field(default_factory=dict)
    net: NetNsView | None = None
    """The network namespace; None: nothing runs, or it could not be read."""
    topology: Topology | None = None
    """What ``net`` is part of: where peers are looked for."""
    socket_owners: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    """Pids by the inode of their socket."""
    findings: tuple[Finding, ...] = ()
    """Those that concern it."""
    notes: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()


def inspected(subject: Subject) -> Inspected:
    """Everything that makes the subject what it is."""
    ordered = sorted(subject.placed, key=lambda placed: placed.container.role == SANDBOX)
    groups = {group.path: group for group in subject.cgroups.groups} if subject.cgroups is not None else {}
    company = _Company(subject)
    containers = tuple(_container(subject, placed, groups, company) for placed in ordered)
    network = _network(subject, containers)
    return Inspected(
        name=subject.name,
        kind=subject.kind,
        node=subject.node,
        uid=next((placed.container.pod_uid for placed in ordered if placed.container.pod_uid), ""),
        labels=_labels(ordered),
        containers=containers,
        pod_cgroup=_pod_cgroup(containers, groups),
        namespaces=company.told,
        interfaces=network.interfaces,
        routes=network.routes,
        sockets=network.sockets,
        findings=tuple(sorted(subject.findings, key=_severity)),
        notes=subject.notes,
        gaps=tuple(dict.fromkeys((*subject.gaps, *network.gaps))),
    )


def _container(subject: Subject, placed: Placed, groups: Mapping[str, Cgroup], company: _Company) -> InspectedContainer:
    container = placed.container
    facts = subject.facts.get(container.id)
    return InspectedContainer(
        container=container,
        node=placed.node or subject.node,
        init=placed.init,
        by=placed.by,
        uncertain=placed.uncertain,
        processes=subject.uses.get(container.id, ()),
        namespaces=company.shared(placed),
        cgroup=_cgroup(placed, groups),
        chain=subject.chains.get(container.id),
        root=_root(facts.mounts) if facts is not None else None,
        facts=facts,
    )


def _labels(placed: Sequence[Placed]) -> Mapping[str, str]:
    """Those of the pod, which its sandbox has; else those of the only container."""
    sandboxes = [each for each in placed if each.container.role == SANDBOX]
    bearers = sandboxes or (placed if len(placed) == 1 else [])
    return next((each.container.labels for each in bearers if each.container.labels), {})


def _root(mounts: Sequence[MountPoint]) -> MountPoint | None:
    """What is mounted at ``/``: of several the last one, which lies over the others."""
    return next((mount for mount in reversed(mounts) if mount.path == "/"), None)


def _severity(finding: Finding) -> int:
    return SEVERITIES.index(finding.severity) if finding.severity in SEVERITIES else len(SEVERITIES)


def _above(path: str) -> Iterator[str]:
    """A group and all above it, the nearest first, without the root."""
    while path not in ("", "/"):
        yield path
        path = path.rpartition("/")[0]


def _cgroup(placed: Placed, groups: Mapping[str, Cgroup]) -> Cgroup | None:
    """The group of the container itself: the highest one that is its, for its first process may be in one below.

    systemd as first process moves into ``init.scope``, crun may make a ``container`` group.
    """
    above = [groups[path] for path in _above(placed.cgroup) if path in groups]
    own = [group for group in above if group.container and group.container == placed.container.called]
    return own[-1] if own else groups.get(placed.cgroup)


def _pod_cgroup(containers: Sequence[InspectedContainer], groups: Mapping[str, Cgroup]) -> Cgroup | None:
    """The nearest group above a container's that is a pod's."""
    for each in containers:
        for path in _above(each.cgroup.path) if each.cgroup is not None and each.container.pod else ():
            if path in groups and groups[path].kind == "pod":
                return groups[path]
    return None


def _network(subject: Subject, containers: Sequence[InspectedContainer]) -> pod_network.Network:
    """The network side; of one that has the node's network, only the sockets that are its own."""
    if subject.net is None:
        return pod_network.Network()
    joins_node = any(space.type == "net" and space.with_node for each in containers for space in each.namespaces)
    own = {pid for placed in subject.placed for pid in placed.pids} if joins_node and subject.kind != "node" else None
    return pod_network.network(
        subject.net,
        subject.topology,
        owners=subject.socket_owners,
        commands={pid: process.comm for pid, process in subject.processes.items()},
        only=own,
    )


class _Company:
    """Who is in which namespace."""

    def __init__(self, subject: Subject) -> None:
        self._processes = subject.processes
        self._told = {(space.type, space.id): space for space in subject.namespaces}
        wanted = {space for placed in subject.placed for pid in placed.pids for space in self._spaces(pid)}
        self._types = {type for type, _ in self._told.keys() | wanted}
        self._all = wanted
        self._members: dict[tuple[str, int], list[Placed]] = {}
        for placed in (*subject.placed, *subject.others):
            spaces = {space for pid in placed.pids for space in self._spaces(pid)}
            for space in spaces & wanted:
                self._members.setdefault(space, []).append(placed)

    def _inodes(self, pid: int) -> Mapping[str, int]:
        process = self._processes.get(pid)
        return process.namespaces if process is not None else {}

    def _spaces(self, pid: int) -> Iterator[tuple[str, int]]:
        """Those of a process and of its threads that are elsewhere."""
        yield from self._inodes(pid).items()
        process = self._processes.get(pid)
        for thread in process.elsewhere if process is not None else ():
            yield thread.type, thread.id

    def shared(self, placed: Placed) -> tuple[SharedNamespace, ...]:
        """The namespaces of a container's first process; none of one that does not run."""
        if not placed.pids:
            return ()
        inodes = self._inodes(placed.init if placed.init is not None else placed.pids[0])
        return tuple(self._shared(placed, type, inodes.get(type)) for type in NAMESPACE_TYPES if type in self._types)

    def _shared(self, placed: Placed, type: str, inode: int | None) -> SharedNamespace:
        if inode is None:
            return SharedNamespace(type, None, own=False)
        told = self._told.get((type, inode))
        others = [each for each in self._members.get((type, inode), ()) if each is not placed]
        strangers = set(told.pids) - set(placed.pids) if told is not None else set()
        with_node = told is not None and told.initial
        return SharedNamespace(
            type,
            inode,
            own=not (with_node or others or strangers),
            with_node=with_node,
            shared_with=tuple(sorted({each.container.called for each in others})),
            pins=tuple(dict.fromkeys(pin.path for pin in told.pins)) if told is not None else (),
        )

    @property
    def told(self) -> tuple[Namespace, ...]:
        """Every namespace of the subject's processes, as it was told, by type."""
        return tuple(self._told[key] for key in sorted(self._all) if key in self._told)
