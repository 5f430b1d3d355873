"""Everything that is read for ``inspect``: the node's records, and of the subject its facts, layers and network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from netfs.collect.facts import facts
from netfs.collect.sockets import owners
from netfs.container import cgroups as groups
from netfs.container.answers import concern
from netfs.container.answers.sources import Network, Sources
from netfs.container.inspected import Subject
from netfs.container.node import Node
from netfs.container.process_tree import tree
from netfs.container.targets import Found
from netfs.errors import NetfsError
from netfs.model.amounts import several
from netfs.model.cgroups import CgroupTree
from netfs.model.containers import SANDBOX, Container, Placed
from netfs.model.findings import Finding
from netfs.model.gaps import Gap
from netfs.model.layer_answers import ChainRef
from netfs.model.process_facts import ProcessFacts
from netfs.model.processes import Process

if TYPE_CHECKING:
    from netfs.cluster.netns import NetNsView
    from netfs.cluster.topology import Topology
    from netfs.overlay.layer_stores import LayerStores

NAMED = 4
"""Containers of a node that are named."""


class _Network(NamedTuple):
    """The subject's network namespace, as the cluster has it."""

    view: NetNsView | None = None
    topology: Topology | None = None
    findings: tuple[Finding, ...] = ()
    gaps: tuple[Gap, ...] = ()


def subject(node: Node, meant: Found, sources: Sources) -> Subject:
    """Who is inspected, with all that is known. What cannot be read is a gap."""
    placed = meant.placed or (_nameless(node, meant),)
    pids = {pid for each in placed for pid in each.pids}
    spaces, unlisted = node.namespaces()
    tree_of_groups, unread = node.cgroups(pids=pids)
    own_groups = _of(tree_of_groups, placed)
    known, unknown = _facts(node, placed)
    network = _network(node, _netns(node, meant, placed), sources.network)
    chains, lost = _chains(node, placed, sources.layers)
    of_group = None if meant.kind == "process" else own_groups
    about = (
        (*node.gaps, *unlisted) if meant.kind == "node" else concern.of_host(node, placed, spaces, unlisted, of_group)
    )
    within = {node.by_pid[pid].namespaces.get("net") for pid in pids if pid in node.by_pid} - {None}
    beside = [process for process in node.processes if process.namespaces.get("net") in within]
    return Subject(
        name=meant.name,
        kind=meant.kind,
        node=node.name,
        placed=placed,
        others=tuple(each for each in node.placed if each not in placed),
        processes=_processes(node, meant),
        facts=known,
        uses={each.container.id: tree(each.pids, node.by_pid) for each in placed},
        namespaces=spaces,
        cgroups=tree_of_groups,
        chains=chains,
        net=network.view,
        topology=network.topology,
        socket_owners=owners(beside),
        findings=(*groups.findings(own_groups, node.placed), *network.findings),
        notes=_notes(node) if meant.kind == "node" else (),
        gaps=tuple(dict.fromkeys((*about, *unread, *unknown, *network.gaps, *lost))),
    )


def _facts(node: Node, placed: Sequence[Placed]) -> tuple[Mapping[str, ProcessFacts], tuple[Gap, ...]]:
    """Of the first process of each container that runs, by the container's id."""
    known: dict[str, ProcessFacts] = {}
    gaps: list[Gap] = []
    for each in placed:
        if each.init is not None and each.init in node.by_pid:
            read = facts(node.by_pid[each.init])
            gaps += read.gaps
            if read.facts is not None:
                known[each.container.id] = read.facts
    return known, tuple(gaps)


def _notes(node: Node) -> tuple[str, ...]:
    """What runs on a node: its page is about the node itself."""
    running = [each.container.called for each in node.placed if each.pids and each.container.role != SANDBOX]
    if not running:
        return ()
    shown = ", ".join(sorted(running)[:NAMED]) + (f" and {len(running) - NAMED} more" if len(running) > NAMED else "")
    return (f"{several(len(running), 'container')} of its own: {shown}",)


def _nameless(node: Node, meant: Found) -> Placed:
    """A process that no container has, or a node: its processes but those of its containers."""
    if meant.kind == "process" and meant.pid is not None:
        pids: tuple[int, ...] = (meant.pid,)
        first: int | None = meant.pid
    else:
        held = {pid for each in node.placed for pid in each.pids}
        pids = tuple(process.pid for process in node.processes if process.pid not in held)
        first = next((pid for pid in (*node.root.members[:1], *pids) if pid in node.by_pid), None)
    paths = node.by_pid[first].cgroups if first is not None else {}
    return Placed(Container(""), node.name, first, pids, paths.get("memory") or paths.get("") or "")


def _of(tree_of_groups: CgroupTree, placed: Sequence[Placed]) -> CgroupTree:
    """The groups of the subject: those of its containers, the pod's, and all below them."""
    own = {each.cgroup for each in placed if each.cgroup.strip("/")}
    pods = {
        group.path
        for group in tree_of_groups.groups
        if group.kind == "pod" and any(path.startswith(f"{group.path}/") for path in own)
    }
    return groups.below(tree_of_groups, own | pods)


def _processes(node: Node, meant: Found) -> Mapping[int, Process]:
    """Those of the node. Its first may not be looked at: it is where the node is."""
    first = node.by_pid.get(1)
    if meant.kind == "node" and node.whole and first is not None and not first.namespaces:
        return {**node.by_pid, 1: replace(first, namespaces=node.initial)}
    return node.by_pid


def _netns(node: Node, meant: Found, placed: Sequence[Placed]) -> int | None:
    """The network namespace it is told of."""
    if meant.kind == "node":
        return node.initial.get("net")
    inits = [each.init for each in placed if each.init is not None and each.init in node.by_pid]
    return node.by_pid[inits[0]].namespaces.get("net") if inits else None


def _network(node: Node, inode: int | None, network: Callable[[], Network] | None) -> _Network:
    from netfs.cluster.netns import NetNsKey

    if network is None or inode is None:
        return _Network()
    try:
        read = network()
    except NetfsError as failure:
        return _Network(gaps=(Gap(failure.where or node.name, "network", failure.what),))
    except OSError as failure:  # what every network is read by is not there: a procfs with subset=pid
        why = f"{failure.filename or 'it'}: {failure.strerror or failure}"
        return _Network(gaps=(Gap(node.name, "network", why),))
    topology = read.topology
    kernels = {snapshot.kernel for snapshot in topology.snapshots}
    view = next((topology.views[key] for kernel in kernels if (key := NetNsKey(kernel, inode)) in topology.views), None)
    if view is None:
        return _Network(gaps=(Gap(node.name, "network", f"its network namespace {inode} was not read"),))
    told = tuple(each for each in read.findings if each.node == view.node.name and each.netns == view.name)
    return _Network(view, topology, told)


def _chains(
    node: Node, placed: Sequence[Placed], layers: Callable[[], LayerStores] | None
) -> tuple[Mapping[str, ChainRef], tuple[Gap, ...]]:
    """The layers of each container, by its id. That there is no store is no gap: not everything has layers."""
    ids = {each.container.id for each in placed if each.container.layer or each.container.image}
    if layers is None or not ids:
        return {}, ()
    try:
        with layers() as stores:
            listed = stores.ls(sizes=False)
    except NetfsError as failure:
        return {}, (Gap(failure.where or node.name, "layers", failure.what),)
    return {each.id: each for each in listed.chains if each.kind == "container" and each.id in ids}, ()
