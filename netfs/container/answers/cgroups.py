"""``netfs cgroups``: those of every node, or of one target."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from netfs.container import targets
from netfs.container.answers import concern
from netfs.container.answers.known import gaps, known
from netfs.container.answers.sources import Network
from netfs.container.cgroups import below, findings
from netfs.container.node import Node
from netfs.errors import EndpointError
from netfs.model.cgroups import Cgroups, CgroupTree
from netfs.model.findings import Finding
from netfs.model.text import printable

SHARED = "its processes are in control groups of the host: no group is its own"


def cgroups(
    nodes: Sequence[Node],
    target: str = "",
    *,
    detail: bool = True,
    namespace: str = "",
    container: str = "",
    network: Callable[[], Network] | None = None,
) -> Cgroups:
    """See ``Containers.cgroups``."""
    named = target and not target.startswith("/")
    meant = None
    if named:
        meant = targets.find(known(nodes, target, network), target, namespace=namespace, container=container)
    asked = [node for node in nodes if meant is None or node.name == meant.node]
    read = [node.cgroups(detail=detail) for node in asked]
    trees = [tree for tree, _ in read]
    notes = tuple(f"{tree.node}: {SHARED}" for tree in trees if not tree.groups and tree.mode != "none")
    unread = tuple(gap for _, refused in read for gap in refused)
    if target:
        trees = [below(tree, _paths(node, tree, target, meant)) for node, tree in zip(asked, trees, strict=True)]
        if not any(tree.groups for tree in trees):
            raise _none(target, meant, mounted=any(tree.mode != "none" for tree in trees))
    found = [one for node, tree in zip(asked, trees, strict=True) for one in findings(tree, node.placed)]
    if meant is not None and meant.kind != "node":
        about = tuple(dict.fromkeys((*concern.of_engines(asked[0].engines, meant.placed), *unread)))
    else:
        about = gaps(asked, [unread])
    return Cgroups(tuple(trees), _once(found), notes, about)


def _once(found: Sequence[Finding]) -> tuple[Finding, ...]:
    """Nodes on one host have the groups above theirs in common: what is wrong with one of these is told once."""
    told: dict[tuple[str, ...], Finding] = {}
    for each in found:
        whose = "" if each.object.startswith("/") else each.node
        told.setdefault((each.slug, each.object, whose), each)
    return tuple(told.values())


def _paths(node: Node, tree: CgroupTree, target: str, meant: targets.Found | None) -> set[str]:
    """The groups that are meant: those of a pod's or container's processes, or the one at a path."""
    if meant is None:
        return {_path(tree, target)}
    if meant.kind == "node":
        return {"/"}
    named = {path for pid in meant.pids if pid in node.by_pid for path in node.by_pid[pid].cgroups.values()}
    own = named - {"/"}
    if meant.kind == "process" and not own & {group.path for group in tree.groups}:
        own = named & {"/"}
    pods = {each.container.in_pod for each in meant.placed} if meant.kind == "pod" else set()
    return own | {group.path for group in tree.groups if group.kind == "pod" and group.pod in pods}


def _path(tree: CgroupTree, target: str) -> str:
    """A group's path, also where it was written as the folder that it is."""
    for hierarchy in tree.hierarchies:
        if target == hierarchy.path or target.startswith(f"{hierarchy.path}/"):
            return target[len(hierarchy.path) :].rstrip("/") or "/"
    return target.rstrip("/") or "/"


def _none(target: str, meant: targets.Found | None, *, mounted: bool) -> EndpointError:
    if not mounted:
        return EndpointError("no control groups are mounted here")
    if meant is None:
        return EndpointError(f"no control group {printable(target)!r}", hint="netfs cgroups lists all")
    return EndpointError(f"{printable(meant.name)} has no control group: {SHARED if meant.pids else 'it does not run'}")
