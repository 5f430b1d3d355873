"""``netfs namespaces``: those of every node, or of one target."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from netfs.container import targets
from netfs.container.answers import concern
from netfs.container.answers.known import gaps, known
from netfs.container.answers.sources import Network
from netfs.container.namespaces import findings, selected, subject
from netfs.container.node import Node
from netfs.errors import EndpointError, UsageError
from netfs.model.containers import Container, Placed
from netfs.model.gaps import Gap
from netfs.model.namespaces import Namespace, Namespaces
from netfs.model.processes import NAMESPACE_TYPES
from netfs.model.text import printable

UNDECIDED = "not every engine and process could be read: no namespace is called leaked"


def namespaces(
    nodes: Sequence[Node],
    target: str = "",
    *,
    types: Collection[str] = (),
    open_files: bool = False,
    namespace: str = "",
    container: str = "",
    network: Callable[[], Network] | None = None,
) -> Namespaces:
    """See ``Containers.namespaces``."""
    unknown = sorted(set(types) - set(NAMESPACE_TYPES))
    if unknown:
        what = f"no type of namespace is called {printable(unknown[0])!r}"
        raise UsageError(what, hint=f"there are {', '.join(NAMESPACE_TYPES)}")
    read = [node.namespaces(open_files=open_files) for node in nodes]
    whole = [each for told, _ in read for each in told]
    meant: Sequence[Namespace] = whole
    unread = gaps(nodes, (unread for _, unread in read))
    if target:
        chosen = _chosen(whole, target)
        if chosen is None:
            found = targets.find(known(nodes, target, network), target, namespace=namespace, container=container)
            chosen = _of(found, whole)
            unread = _concerning(found, nodes, read)
        meant = chosen
    shown = [each for each in meant if not types or each.type in types]
    names = {subject(each) for each in shown}
    empty = any(each.pins and not each.pids and not each.initial for each in shown)
    return Namespaces(
        tuple(shown),
        tuple(finding for finding in findings(whole) if finding.object in names),
        (UNDECIDED,) if empty and any(node.undecided for node in nodes) else (),
        unread,
    )


def _chosen(whole: Sequence[Namespace], target: str) -> Sequence[Namespace] | None:
    """Those that are named by a number or a path; None: something else is named."""
    chosen = selected(whole, target)
    if chosen is not None and not chosen:
        what = f"no namespace {printable(target)!r} on these nodes"
        raise EndpointError(what, hint="netfs namespaces lists all")
    return chosen


def _concerning(
    meant: targets.Found, nodes: Sequence[Node], read: Sequence[tuple[tuple[Namespace, ...], tuple[Gap, ...]]]
) -> tuple[Gap, ...]:
    """What was not read of a node, or leaves out something of a container or process."""
    node, (spaces, unread) = next(each for each in zip(nodes, read, strict=True) if each[0].name == meant.node)
    if meant.kind == "node":
        return gaps([node], [unread])
    placed = meant.placed or (Placed(Container(""), node.name, meant.pid, tuple(meant.pids)),)
    return tuple(dict.fromkeys(concern.of_host(node, placed, spaces, unread, None)))


def _of(meant: targets.Found, whole: Sequence[Namespace]) -> Sequence[Namespace]:
    here = [each for each in whole if each.node == meant.node]
    if meant.kind == "node":
        return here
    kept = {each.container.netns for each in meant.placed} - {""}
    return [
        each
        for each in here
        if not meant.pids.isdisjoint((*each.pids, *each.children_of)) or any(pin.path in kept for pin in each.pins)
    ]
