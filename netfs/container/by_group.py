"""Whose a process is by its control groups: the containers that their paths name, the innermost first. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from netfs.collect.cgroups.paths import Recognised, recognise
from netfs.model.containers import DIGITS, Container
from netfs.model.processes import Process

_HEX = re.compile(r"[0-9a-f]+")
_LAB = re.compile(r"/netfs-lab-[^/]+/")
NOBODY = -1
"""Stands for a container that may be one of several."""


class Holder(NamedTuple):
    """A container that a path names."""

    at: int
    """Its place in ``Groups.containers``."""
    group: str
    """Its own group."""


Chain = tuple[Holder, ...]
"""Containers one in the other, the innermost first."""


class Groups:
    """The containers that engines know, and those that only control groups know, which are added at the end."""

    def __init__(self, known: Sequence[Container]) -> None:
        self.containers = list(known)
        self.engines_know = len(self.containers)
        self.doubts: dict[int, list[str]] = {}
        """What is uncertain, by container."""
        self._by_id: dict[str, list[int]] = {}
        self._by_start: dict[str, list[int]] = {}
        self._by_group: dict[str, int] = {}
        self._pods = {one.pod_uid: one for one in known if one.pod_uid and one.pod}
        self._chains: dict[str, Chain] = {"": (), "/": ()}
        for at, container in enumerate(self.containers):
            self._add(at, container)

    def _add(self, at: int, container: Container) -> None:
        self._by_id.setdefault(container.id, []).append(at)
        if len(container.id) >= DIGITS and _HEX.fullmatch(container.id):
            self._by_start.setdefault(container.id[:DIGITS], []).append(at)
        # Systemd's SLICE:PREFIX:NAME is no path; a path without its id may be that of many.
        if container.cgroup.startswith("/") and container.id and container.id in container.cgroup:
            self._by_group[posixpath.normpath(container.cgroup)] = at

    def of(self, process: Process) -> Chain:
        """The containers that a process is in. Of paths that contradict each other none counts."""
        chains = [chain for path in set(process.cgroups.values()) if (chain := self.chain(path))]
        if len(chains) < 2:
            return chains[0] if chains else ()
        chains.sort(key=len)
        deepest = {holder.at for holder in chains[-1]}
        if all(holder.at in deepest for chain in chains for holder in chain):
            return chains[-1]
        for at in {chain[0].at for chain in chains}:
            self.doubt(at, f"process {process.pid} is in the control groups of several containers: it is left out")
        return (Holder(NOBODY, ""),)

    def names(self, at: int, path: str) -> bool:
        """Whether a path names a container."""
        return any(holder.at == at for holder in self.chain(path))

    def append(self, container: Container) -> int:
        """Add one that paths do not lead to; its place."""
        self.containers.append(container)
        return len(self.containers) - 1

    def unknown(self, identity: str) -> int | None:
        """The place of a container that only control groups know."""
        found = self._by_id.get(identity, ())
        return found[0] if len(found) == 1 and found[0] >= self.engines_know else None

    def doubt(self, at: int, why: str) -> None:
        """Write down why what is said of a container may be wrong."""
        if at != NOBODY and why not in self.doubts.setdefault(at, []):
            self.doubts[at].append(why)

    def chain(self, path: str) -> Chain:
        """The containers that a path names."""
        found: list[Holder] = []
        rest = path
        while (known := self._chains.get(rest)) is None:
            holder, above = self._lowest(rest)
            found += [holder] if holder is not None else []
            rest = above
        whole = (*found, *known)
        self._chains[path] = whole
        return whole

    def _lowest(self, path: str) -> tuple[Holder | None, str]:
        """The innermost container of a path, and the path above its group.

        Its group is named by an engine, or has a form that only containers' have; the lower one counts.
        """
        named, told = recognise(path), self._told(path)
        if named is not None and len(named.group) > len(told):
            above = _above(named.group)
            if named.pod_uid and above.endswith(f"/{named.pod_uid}"):
                above = _above(above)  # Podman's pod, whose group's own path does not tell that it is one
            if named.kind in {"monitor", "pod"} or not named.container or named.container in self._pods:
                return None, above
            return Holder(self._which(named), named.group), above
        return (Holder(self._by_group[told], told), _above(told)) if told else (None, "/")

    def _told(self, path: str) -> str:
        """The lowest group in a path that an engine says to be a container's; empty: none."""
        while len(path) > 1:
            if path in self._by_group:
                return path
            path = _above(path)
        return ""

    def _which(self, named: Recognised) -> int:
        found = self._by_id.get(named.container) or self._abridged(named.container)
        if lab := _lab(named.group):
            found = [at for at in found if at < self.engines_know or _lab(self.containers[at].cgroup) == lab]
        if not found:
            at = self.append(self._unknown(named))
            self._add(at, self.containers[at])
            return at
        if len(found) == 1:
            return found[0]
        for at in found:
            self.doubt(at, "another container has the same id, and the control group does not tell them apart")
        return NOBODY

    def _abridged(self, identity: str) -> list[int]:
        """Containers whose id begins so, or that engines call by the beginning of it."""
        if len(identity) < DIGITS:
            return []
        near = self._by_start.get(identity[:DIGITS], ())
        return [at for at in near if (own := self.containers[at].id).startswith(identity) or identity.startswith(own)]

    def _unknown(self, named: Recognised) -> Container:
        """A container that no engine knows. Its pod is called as others of it are, else by its UID."""
        pod = self._pods.get(named.pod_uid) if named.pod_uid else None
        return Container(
            named.container,
            name=named.container[:DIGITS] if named.pod_uid else "",
            runtime=named.runtime,
            pod=pod.pod if pod else named.pod_uid,
            namespace=pod.namespace if pod else "",
            pod_uid=named.pod_uid,
            cgroup=named.group,
        )


def _above(path: str) -> str:
    """The path above another, always shorter: a path may be anything, ``//`` as well."""
    return path.rpartition("/")[0]


def group_of(process: Process, is_its: Callable[[str], bool] = lambda _: False) -> str:
    """Where a process is: of version 1 the memory controller's path, else the first that is its container's."""
    memory = [path for name, path in process.cgroups.items() if "memory" in name.split(",")]
    rest = [process.cgroups[""]] if "" in process.cgroups else []
    paths = [*memory, *rest, *process.cgroups.values()]
    return next(filter(is_its, paths), next(iter(paths), ""))


def _lab(group: str) -> str:
    """The lab that a group is of; empty: none. Labs call their pods alike, and so their containers."""
    found = _LAB.search(group)
    return found[0] if found is not None else ""
