"""Several sources at once: all that lies on this kernel is read by one collect."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from netfs.collect import collect, nsfs
from netfs.collect.naming import unique
from netfs.collect.target import Target, TargetError
from netfs.errors import SourceError, SourceUriError
from netfs.model.snapshot import NodeSnapshot, Snapshots
from netfs.sources.objects import joined
from netfs.sources.registry import default_uri, open_uri
from netfs.sources.uri import Found
from netfs.sources.userns import collect_inside

T = TypeVar("T")


def load(uris: Sequence[str], *, timeout: float | None = None) -> Snapshots:
    """The nodes of all sources, in the order of the URIs; of ``default_uri`` where there are none.

    ``timeout`` in seconds bounds each source that must answer. Raises SourceUriError for a URI that has no
    known form or yields a node's name twice, SourceError, SnapshotError or LabError where a source is not
    there, does not answer, or not as it should.
    """
    wanted = tuple(dict.fromkeys(uris)) or (default_uri(),)
    found = [_bounded(lambda uri=uri: open_uri(uri), timeout, uri) for uri in wanted]  # type: ignore[misc]
    _once(found)
    live = _read([each for each in found if each.targets], timeout)
    nodes = tuple(
        node
        for each in found
        for node in (*(live[target.source, target.name] for target in each.targets), *each.snapshots)
    )
    return Snapshots(_distinct(nodes), joined(each.kubernetes for each in found))


def _read(found: Sequence[Found], timeout: float | None) -> dict[tuple[str, str], NodeSnapshot]:
    """The snapshots of live sources by (source, node): one collect for each user namespace."""
    groups: dict[int | None, list[Target]] = {}
    inside: dict[int | None, int | None] = {}
    for each in found:
        userns = _userns(each.userns_pid)
        inside.setdefault(userns, each.userns_pid)
        groups.setdefault(userns, []).extend(each.targets)
    read: dict[tuple[str, str], NodeSnapshot] = {}
    for userns, targets in groups.items():
        userns_pid = inside[userns]
        try:
            if userns_pid is None:
                snapshots = _bounded(lambda targets=targets: collect(targets), timeout, targets[0].source)  # type: ignore[misc]
            else:
                snapshots = collect_inside(userns_pid, targets, timeout=timeout)
        except TargetError as failure:
            hint = "root may read it, with CAP_SYS_ADMIN and CAP_SYS_PTRACE" if "ermi" in failure.reason else ""
            raise SourceError(failure.reason, where=f"{failure.target} ({failure.path})", hint=hint) from failure
        for snapshot in snapshots:
            read[snapshot.source, snapshot.name] = snapshot
    return read


def _userns(pid: int | None) -> int | None:
    """What identifies a process's user namespace; of one that has ended, the process."""
    try:
        return pid if pid is None else os.stat(f"/proc/{pid}/ns/user").st_ino
    except OSError:
        return pid


def _once(found: Sequence[Found]) -> None:
    """Raises SourceUriError where one namespace is asked for as two nodes: what is between them cannot be told."""
    seen: dict[int, Target] = {}
    for target in (target for each in found for target in each.targets):
        try:
            first = seen.setdefault(nsfs.inode(target.netns), target)
        except OSError:
            continue  # collect says why
        if first is not target:
            raise SourceUriError(
                f"one namespace is there twice: as {first.name!r} from {first.source}, "
                f"and as {target.name!r} from {target.source}",
                hint="name it once",
            )


def _distinct(nodes: tuple[NodeSnapshot, ...]) -> tuple[NodeSnapshot, ...]:
    """Every node with a name of its own. Raises SourceUriError; a second fabric is renamed."""
    seen: dict[str, str] = {}
    named: list[NodeSnapshot] = []
    for node in nodes:
        name = node.name
        if node.role == "fabric":
            name = unique(name, set(seen))
        if name in seen:
            raise SourceUriError(
                f"two nodes are called {name!r}: from {seen[name]} and {node.source}",
                hint="a source of one node takes a name: NAME=SOURCE; read those of several nodes one after the other",
            )
        seen[name] = node.source
        named.append(node if name == node.name else replace(node, name=name))
    return tuple(named)


def _bounded(work: Callable[[], T], timeout: float | None, where: str) -> T:
    """Run ``work``, but not for longer than ``timeout``. Raises SourceError when the time is up."""
    if timeout is None:
        return work()
    results: list[T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as failure:  # noqa: BLE001 -- raised again below, in the caller's thread
            failures.append(failure)

    thread = threading.Thread(target=run, name="netfs-source", daemon=True)
    thread.start()
    thread.join(timeout)
    if thread.is_alive():
        raise SourceError(f"no answer within {timeout:g} s", where=where)
    if failures:
        raise failures[0]
    return results[0]
