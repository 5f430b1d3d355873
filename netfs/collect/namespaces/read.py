"""Every namespace, from processes, mounts, descriptors, owners and parents: one table."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from netfs.collect.namespaces.descriptors import add_descriptors
from netfs.collect.namespaces.found import Found, Search, leader
from netfs.collect.namespaces.halves import look
from netfs.collect.namespaces.numbers import Numbers
from netfs.collect.namespaces.pins import add_pins
from netfs.collect.namespaces.relations import Relations
from netfs.collect.namespaces.unseen import add_unseen
from netfs.model.gaps import Gap
from netfs.model.namespaces import Namespace
from netfs.model.processes import Process

UNLISTED = "mount namespaces without a process"
"""What older kernels tell nobody, and others the privileged."""
REASONS = {
    "mounts": ("pinned namespaces", "the mounts of {} may not be read", "mount namespace"),
    "descriptors": ("open namespaces", "the descriptors of {} may not be looked at", "process"),
    "relations": ("owners of namespaces", "{} may not be opened", "namespace"),
    "ioctl": ("owners of namespaces", "the kernel did not answer for {}", "namespace"),
    "unseen": (UNLISTED, "this process may not list them", ""),
    "unlisted": (UNLISTED, "this kernel does not list them (Linux 6.12 does)", ""),
}
"""By what was refused: what is missing for it, why, and what is counted."""


class NamespaceTable(NamedTuple):
    """What there is, and what could not be read."""

    namespaces: tuple[Namespace, ...]
    """By type, then ``id``."""
    gaps: tuple[Gap, ...]


def namespaces(
    processes: Sequence[Process], *, whole: bool = True, open_files: bool = False, proc: str = "/proc"
) -> NamespaceTable:
    """The namespaces of these processes, and what mounts, descriptors, owners and parents add to them.

    ``whole``: everything of this kernel, also mount namespaces without a process; else only what these processes and
    mounts in their mount namespaces lead to. ``open_files``: descriptors of these processes are looked at as well.
    What ends while it is read is left out.
    """
    try:
        own = os.stat(f"{proc}/self/ns/mnt")
    except OSError as failure:
        return NamespaceTable((), (Gap(proc, "namespaces", failure.strerror or str(failure)),))
    search = Search(proc, own.st_dev)
    search.add_processes(processes)
    add_pins(search, look(search, own.st_ino))
    if open_files:
        add_descriptors(search, processes)
    with Numbers() as numbers:
        relations = Relations(search, numbers, own.st_ino)
        relations.learn_all()
        if whole:
            add_unseen(search, relations)
    gaps = [_gap(proc, what, *told) for what, told in search.refused.items()]
    if numbers.failure:
        gaps.append(Gap("kernel", "numbers of network namespaces", numbers.failure))
    by_pid = {process.pid: process for process in processes}
    device = f"{os.major(own.st_dev)}:{os.minor(own.st_dev)}"
    kept = search.found.values() if whole else _between(search)
    records = (_record(found, by_pid, device) for found in kept)
    return NamespaceTable(tuple(sorted(records, key=lambda each: (each.type, each.id))), tuple(gaps))


def _gap(proc: str, what: str, count: int, first: str) -> Gap:
    missing, reason, noun = REASONS[what]
    several = f"{count} {noun}{'es' if noun.endswith('s') else 's'}" if count > 1 else f"1 {noun}"
    return Gap(proc, missing, reason.format(several) + (f" (first: {first})" if noun else ""))


def _between(search: Search) -> list[Found]:
    """Those that somebody or something has, and of the owners and parents those that lie between them."""
    kept = {key for key, found in search.found.items() if found.inhabited or found.pins or found.open_files}
    for type, id in tuple(kept):
        way: list[tuple[str, int]] = []
        above = search.found[type, id]
        while above.parent is not None:
            above = search.found[type, above.parent]
            if (type, above.id) in kept:
                kept.update(way)
                break
            way.append((type, above.id))
    return [found for key, found in search.found.items() if key in kept]


def _record(found: Found, by_pid: Mapping[int, Process], device: str) -> Namespace:
    first = leader(found.pids, by_pid)
    return Namespace(
        type=found.type,
        id=found.id,
        device=device,
        owner=found.owner,
        parent=found.parent,
        owner_uid=found.owner_uid,
        pids=tuple(found.pids),
        threads=tuple(tid for _, tid in found.threads),
        children_of=tuple(found.children_of),
        pins=tuple(found.pins),
        open_files=tuple(found.open_files),
        nsid=found.nsid,
        kept_by=_kept_by(found),
        leader=first.pid if first else None,
        command=first.comm if first else "",
        uid=first.uid if first else None,
    )


def _kept_by(found: Found) -> tuple[str, ...]:
    told = (
        ("processes", found.pids),
        ("threads", found.threads),
        ("pin", found.pins),
        ("file", found.open_files),
        ("child", "child" in found.keeps),
        ("children", found.children_of),
        ("owned", "owned" in found.keeps),
    )
    kept = tuple(word for word, is_so in told if is_so)
    return kept or (("mount",) if found.listed else ())
