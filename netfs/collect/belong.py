"""Which namespace belongs to which target: its own, its listed pods, and those its veth pairs reach."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from netfs.collect.discovery import Place
from netfs.collect.naming import container_of, name_of, unique
from netfs.collect.nsid import Numbering
from netfs.collect.target import PodTarget, Target
from netfs.model.snapshot import NetNs, Pod


class Belonging:
    """The owners of namespaces, as far as they are known while reading goes on."""

    def __init__(self, targets: Sequence[Target], inodes: Mapping[str, int]) -> None:
        self._targets = targets
        self._inodes = inodes
        self._own = {inodes[target.netns] for target in targets}
        self._owner: dict[int, int] = {inodes[target.netns]: at for at, target in enumerate(targets)}
        """Position of the owning target by namespace."""
        self._listed: dict[int, PodTarget] = {}
        self._reached: dict[int, None] = {}
        """Namespaces that belong to their owner by a veth pair, in the order they were reached."""
        self._names: dict[int, str] = {}
        self._taken: set[str] = set()
        for at, target in enumerate(targets):
            for pod in target.pods:
                inode = inodes.get(pod.netns)
                if inode is not None and inode not in self._own:
                    self._owner.setdefault(inode, at)
                    self._listed.setdefault(inode, pod)
                    self._taken.add(pod.name)

    def own(self, target: Target) -> int:
        """The target's own namespace."""
        return self._inodes[target.netns]

    def owned(self) -> tuple[int, ...]:
        """Every namespace that has an owner by now."""
        return tuple(self._owner)

    def spread(self, read: Mapping[int, NetNs], numbering: Numbering) -> list[int]:
        """Give each namespace that veth pairs reach to the nearest target; those not read yet are handed back.

        Breadth first from all targets at once; another target's own namespace is never passed.
        """
        edge = [inode for inode, at in self._owner.items() if self._targets[at].reach != "listed"]
        seen = set(edge)
        unread: list[int] = []
        while edge:
            following: list[int] = []
            for inode in edge:
                if inode not in read:
                    continue
                for far in _neighbours(read[inode], numbering):
                    if far in seen or (far in self._owner and self._owner[far] != self._owner[inode]):
                        continue
                    seen.add(far)
                    if far not in self._owner:
                        self._owner[far] = self._owner[inode]
                        self._reached[far] = None
                        if far not in read:
                            unread.append(far)
                    following.append(far)
            edge = following
        return unread

    def pods(self, target: Target, read: Mapping[int, NetNs], places: Mapping[int, Place]) -> tuple[Pod, ...]:
        """The target's pods: those listed, then those reached. In reach ``all`` only those with an address."""
        at = self._targets.index(target)
        found = [
            Pod(
                pod.name,
                inode,
                namespace=pod.namespace,
                containers=pod.containers,
                labels=dict(pod.labels),
                ips=pod.ips,
            )
            for inode, pod in self._listed.items()
            if self._owner[inode] == at
        ]
        for inode in self._reached:
            if self._owner[inode] != at or inode not in read:
                continue
            if target.reach == "all" and not has_address(read[inode]):
                continue
            place = places.get(inode) or Place(inode, "")
            container = container_of(place)
            found.append(Pod(self.name(place), inode, containers=() if container is None else (container,)))
        return tuple(found)

    def others(self, target: Target, read: Mapping[int, NetNs]) -> Iterable[int]:
        """What else the target's snapshot holds: with reach ``all`` whatever is no other target's."""
        if target.reach != "all":
            return ()
        at = self._targets.index(target)
        return [inode for inode in read if self._owner.get(inode, at) == at]

    def lost(self, target: Target, read: Mapping[int, NetNs]) -> Iterable[int]:
        """Namespaces reached from the target that could not be read."""
        at = self._targets.index(target)
        return [inode for inode in self._reached if self._owner[inode] == at and inode not in read]

    def name(self, place: Place) -> str:
        """The namespace's name, unlike every other's of this collection."""
        known = self._names.get(place.inode)
        if known is None:
            known = self._names[place.inode] = unique(name_of(place), self._taken)
        return known


def _neighbours(netns: NetNs, numbering: Numbering) -> Iterable[int]:
    for link in netns.links:
        if link.kind == "veth":
            far = numbering.namespace(netns.id, link)
            if far is not None:
                yield far


def has_address(netns: NetNs) -> bool:
    """Whether the namespace has a global address on a device that is not loopback."""
    loopbacks = {link.index for link in netns.links if link.loopback}
    return any(address.scope == 0 and address.index not in loopbacks for address in netns.addresses)
