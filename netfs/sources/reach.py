"""How the namespaces of nodes that were just read can be entered again: to listen in them, to send from them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from netfs.collect import nsfs
from netfs.collect.discovery import discover
from netfs.collect.run import BOOT_ID
from netfs.errors import NetfsError, SourceError
from netfs.model.snapshot import NetNs, NodeSnapshot, Snapshots
from netfs.sources.registry import open_uri
from netfs.sources.uri import Found, parse

SAVED = "cannot be probed: it is a saved snapshot"
HINT = "read it live: --source lab, local, netns:NAME, pid:PID"
OWN = "/proc/self/"


@dataclass(frozen=True, slots=True)
class Reach:
    """The way to one node."""

    node: str
    kernel: str
    """``NodeSnapshot.kernel``: nodes of one kernel have one clock, and one tracefs."""
    userns_pid: int | None = None
    """A process of the user namespace that owns the node, where that is not the caller's."""
    paths: Mapping[int, str] = field(default_factory=dict)
    """An nsfs file for each namespace (``NetNs.id``) that can be entered."""
    why_not: str | None = None
    """Why none can be; None: some can."""
    hint: str = ""

    def path(self, netns: int) -> str:
        """The nsfs file of a namespace. Raises SourceError where it cannot be entered."""
        if self.why_not is not None:
            raise SourceError(self.why_not, where=self.node, hint=self.hint)
        if netns not in self.paths:
            raise SourceError(f"no way into its namespace {netns}: it may have ended", where=self.node)
        return self.paths[netns]


def reach(snapshots: Snapshots, uris: Sequence[str] = ()) -> Mapping[str, Reach]:
    """The way to every node, by its name. Nothing is entered; whether a path still leads there is found out then.

    ``uris`` are the sources of the snapshots, where the caller knows them: a node that one of them holds in a file
    is not live, even where its namespaces are still there. Raises nothing: what cannot be reached says why.
    """
    saved = _saved(uris)
    running = _running()
    sources = {source: _found(source) for source in {node.source for node in snapshots.nodes}}
    looked = cache(_places)
    return {
        node.name: Reach(node.name, node.kernel, why_not=SAVED, hint=HINT)
        if node.kernel != running or (node.name, node.netns, node.taken_at) in saved
        else _reach(node, sources[node.source], looked)
        for node in snapshots.nodes
    }


def _running() -> str:
    """The boot id of this kernel; empty where it cannot be read."""
    try:
        with open(BOOT_ID, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def _saved(uris: Sequence[str]) -> set[tuple[str, int, float]]:
    """What identifies the nodes that sources hold in files."""
    nodes: set[tuple[str, int, float]] = set()
    for uri in uris:
        try:
            if parse(uri).scheme == "file":
                nodes |= {(node.name, node.netns, node.taken_at) for node in open_uri(uri).snapshots}
        except NetfsError:
            continue  # it was there when it was loaded; what was in it has no path either
    return nodes


def _found(source: str) -> Found | NetfsError:
    try:
        return open_uri(source)
    except NetfsError as failure:
        return failure


def _places() -> Mapping[int, str]:
    """A path of every namespace that can be seen now, in whatever mount namespace it is pinned."""
    return {place.inode: place.path for place in discover().places.values()}


def _reach(node: NodeSnapshot, found: Found | NetfsError, looked: Callable[[], Mapping[int, str]]) -> Reach:
    if isinstance(found, NetfsError):
        return Reach(node.name, node.kernel, why_not=f"cannot be probed: {found.what}", hint=found.hint)
    if not found.targets:
        return Reach(node.name, node.kernel, why_not=SAVED, hint=HINT)
    named = [path for target in found.targets for path in (target.netns, *(pod.netns for pod in target.pods))]
    known = {_inode(path): path for path in named}
    paths = {}
    for netns in node.namespaces:
        path = known.get(netns.id) or next(_leading(netns), None) or looked().get(netns.id)
        if path is not None:
            paths[netns.id] = _lasting(path)
    return Reach(node.name, node.kernel, found.userns_pid, paths)


def _leading(netns: NetNs) -> Iterator[str]:
    """Paths of a namespace that still lead to it."""
    for path in (*(f"/proc/{pid}/ns/net" for pid in netns.pids), *netns.pins):
        if _inode(path) == netns.id:
            yield path


def _inode(path: str) -> int | None:
    try:
        return nsfs.inode(path)
    except OSError:
        return None


def _lasting(path: str) -> str:
    """The path as another process may open it."""
    return f"/proc/{os.getpid()}/{path.removeprefix(OWN)}" if path.startswith(OWN) else path
