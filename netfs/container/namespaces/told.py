"""Whose namespaces are: containers, pods, the node's own, shared, leaked."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from netfs.container.namespaces.pins import kept_by_design, paths, plain
from netfs.model.containers import SANDBOX, Container, Engine, Placed
from netfs.model.namespaces import Namespace


class _Kept(NamedTuple):
    """What engines say they keep."""

    container: Container
    engine: str


def told(
    namespaces: Sequence[Namespace],
    placed: Sequence[Placed],
    engines: Sequence[Engine],
    *,
    node: str,
    initial: Mapping[str, int],
    undecided: bool,
) -> tuple[Namespace, ...]:
    """The namespaces with their node, containers, pods and engine, and whether they are shared or leaked.

    ``initial``: inodes by type of the node's first process. ``undecided``: an engine could not be asked or read, so
    nothing is called leaked.
    """
    # A container that plays a node has the processes of those in it as well: the innermost counts.
    outer_first = sorted(placed, key=lambda each: -len(each.pids))
    by_pid = {pid: each.container for each in outer_first for pid in each.pids}
    kept = _kept(engines, placed)
    homes = _homes(namespaces, initial.get("mnt"))
    names = {engine.name for engine in engines}
    known = _Whose(by_pid, kept, homes, names)
    return tuple(
        _told(each, known, node, own=initial.get(each.type) == each.id, undecided=undecided) for each in namespaces
    )


class _Whose(NamedTuple):
    """What is known of containers, beside the namespaces."""

    by_pid: Mapping[int, Container]
    kept: Mapping[str, Sequence[_Kept]]
    homes: Mapping[str, int | None]
    engines: Collection[str]


def _told(each: Namespace, known: _Whose, node: str, *, own: bool, undecided: bool) -> Namespace:
    inside = _distinct(known.by_pid, each.pids or each.children_of)
    pinned = paths(each) if each.pins else ()
    keepers = [keeper for path in pinned for keeper in known.kept.get(path, ())]
    sure = [keeper for path in pinned if known.homes[path] == each.id for keeper in known.kept.get(path, ())]
    lost = not (undecided or own or keepers) and _abandoned(each) and not kept_by_design(pinned, known.engines)
    return Namespace(  # and not ``replace``, which takes three times as long: there may be thousands
        type=each.type,
        id=each.id,
        device=each.device,
        owner=each.owner,
        parent=each.parent,
        owner_uid=each.owner_uid,
        pids=each.pids,
        threads=each.threads,
        children_of=each.children_of,
        pins=each.pins,
        open_files=each.open_files,
        nsid=each.nsid,
        kept_by=each.kept_by,
        leader=each.leader,
        command=each.command,
        uid=each.uid,
        node=node,
        initial=own,
        containers=tuple(dict.fromkeys(one.called for one in inside)),
        pods=_pods(inside) or _pods(keeper.container for keeper in sure),
        engine=next((keeper.engine for keeper in keepers), ""),
        shared=_shared(inside),
        leaked=lost,
    )


def _distinct(by_pid: Mapping[int, Container], pids: Iterable[int]) -> list[Container]:
    """The containers of these processes, each once, by name."""
    found = {(each.runtime, each.id): each for pid in pids if (each := by_pid.get(pid)) is not None}
    return sorted(found.values(), key=lambda each: (each.called, each.id))


def _pods(containers: Iterable[Container]) -> tuple[str, ...]:
    return tuple(sorted({each.in_pod for each in containers if each.pod}))


def _shared(inside: Iterable[Container]) -> bool:
    """More than one has it. A sandbox holds the namespaces for its pod and runs nothing: it is not one of them."""
    found = list(inside)
    if len(found) < 2:
        return False
    working = {each.id for each in found if each.role != SANDBOX}
    return len(working) > 1 or len({each.pod_uid or each.in_pod for each in found if each.pod}) > 1


def _kept(engines: Iterable[Engine], placed: Iterable[Placed]) -> dict[str, list[_Kept]]:
    """What engines keep, by the path they keep it at."""
    kept: dict[str, list[_Kept]] = {}
    by_engine = [_Kept(each, engine.name) for engine in engines for each in engine.containers]
    for one in (*by_engine, *(_Kept(each.container, each.container.runtime) for each in placed)):
        if one.container.netns:
            for path in _siblings(plain(one.container.netns)):
                kept.setdefault(path, []).append(one)
    return kept


def _siblings(path: str) -> Iterator[str]:
    """The path, and where pinns puts the sandbox's other namespaces: ``/run/ipcns/ID`` beside ``/run/netns/ID``."""
    yield path
    folder, _, name = path.rpartition("/")
    if posixpath.basename(folder) == "netns":
        for other in ("ipcns", "utsns", "userns", "pidns"):
            yield f"{posixpath.dirname(folder)}/{other}/{name}"


def _homes(namespaces: Iterable[Namespace], home: int | None) -> dict[str, int | None]:
    """The namespace at each path of a pin; where several mount namespaces have that path, the node's own counts.

    None: it cannot be told which one is meant.
    """
    found: dict[str, dict[int, bool]] = {}
    for namespace in namespaces:
        for pin in namespace.pins:
            at = found.setdefault(plain(pin.path), {})
            at[namespace.id] = at.get(namespace.id, False) or pin.mount_namespace == home
    told: dict[str, int | None] = {}
    for path, at in found.items():
        best = [id for id, at_home in at.items() if at_home] or list(at)
        told[path] = best[0] if len(best) == 1 else None
    return told


def _abandoned(namespace: Namespace) -> bool:
    """A pin alone keeps it alive. A mount namespace's own pins do not count for it: they end with it."""
    return namespace.kept_by == ("pin",)
