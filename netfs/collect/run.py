"""``collect``: read every namespace that is needed once, link them, and hand out one snapshot per target."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from os import uname

from netfs.collect import nsfs
from netfs.collect.beginning import Begun, begin
from netfs.collect.belong import Belonging
from netfs.collect.decode import decode, decode_wide
from netfs.collect.discovery import Place
from netfs.collect.netlink import RECEIVE
from netfs.collect.nsid import Numbering
from netfs.collect.read import kernel_wide
from netfs.collect.target import Target, TargetError
from netfs.collect.workers import Reading
from netfs.model.gaps import Gap
from netfs.model.snapshot import NetNs, NodeSnapshot

BOOT_ID = "/proc/sys/kernel/random/boot_id"


def collect(targets: Sequence[Target]) -> tuple[NodeSnapshot, ...]:
    """As ``netfs.collect.collect``, for callers to whom it is all the same what is imported when."""
    return finish(begin(targets))


def finish(begun: Begun) -> tuple[NodeSnapshot, ...]:
    """The snapshots of a collection that has begun. Raises TargetError.

    Records refer to each other one way only: passes of the garbage collector cost a tenth of the time and
    find nothing, so it rests from ``begin`` until now.
    """
    try:
        return _Collection(begun).snapshots()
    finally:
        if begun.reading is not None:
            begun.reading.close()
        if begun.collecting_garbage:
            gc.enable()


class _Collection:
    """The state of one call of ``collect``."""

    def __init__(self, begun: Begun) -> None:
        self.begun = begun
        self.targets = begun.targets
        self.paths = begun.paths
        self.read: dict[int, NetNs] = {}
        self.gaps: dict[int, list[tuple[str, str]]] = {}
        """(what, reason) by namespace."""
        self.common = begun.common
        self.numbering = Numbering()
        self.belonging = Belonging(self.targets, begun.inodes)
        self.names, wide = nsfs.apart(
            lambda: kernel_wide(bytearray(RECEIVE), lambda what, why: self.common.append(("kernel", what, why)))
        )
        self.limits, self.wide = decode_wide(wide)

    def snapshots(self) -> tuple[NodeSnapshot, ...]:
        first = self.begun.reading
        self._take(self.begun.read(self.belonging.owned()) if first is None else first)
        while True:
            self._link(self.read)
            if self._unresolved() and self.begun.discovery is None:
                self.begun.discover()
                continue
            reached = [inode for inode in self.belonging.spread(self.read, self.numbering) if inode not in self.gaps]
            if not reached:
                break
            self._take(self.begun.read(reached))
        self._finish_links()
        return tuple(self._snapshot(target) for target in self.targets)

    def _take(self, reading: Reading) -> None:
        """Decode what the readers bring, in whatever order; it is kept in the order in which it was found.

        What the targets' links lead to is asked while others are still read.
        """
        nodes = {self.belonging.own(target) for target in self.targets}
        for raws, refused in reading:
            for raw in raws:
                self.read[raw["id"]], self.gaps[raw["id"]] = decode(raw, self.names)
            for (path, inode), reason in refused:
                self.gaps[inode] = [("netns", f"{path}: {reason}")]
            if any(raw["id"] in nodes for raw in raws):
                self._link({inode: self.read[inode] for inode in nodes if inode in self.read})
        self.read = {inode: self.read[inode] for inode in self.paths if inode in self.read}
        for target in self.targets:
            own = self.belonging.own(target)
            if own not in self.read:
                raise TargetError(target.name, target.netns, self.gaps[own][0][1] if own in self.gaps else "not read")

    def _link(self, read: Mapping[int, NetNs]) -> None:
        nsfs.apart(lambda: self.numbering.resolve(read, self.paths))

    def _unresolved(self) -> bool:
        return any(
            link.link_netnsid is not None and self.numbering.namespace(inode, link) is None
            for inode, netns in self.read.items()
            for link in netns.links
        )

    def _finish_links(self) -> None:
        """Write down what each number stands for; the links are still this call's own, so this once in place."""
        for inode, netns in self.read.items():
            for link in netns.links:
                if link.link_netnsid is None:
                    continue
                far = self.numbering.namespace(inode, link)
                if far is None:
                    number = "has no number here" if link.link_netnsid < 0 else f"is number {link.link_netnsid}"
                    reason = f"{link.name}: its other end's namespace {number}, which is none that can be seen"
                    self.gaps[inode].append(("link-netns", reason))
                else:
                    object.__setattr__(link, "link_netns", far)

    def _snapshot(self, target: Target) -> NodeSnapshot:
        places: Mapping[int, Place] = self.begun.discovery.places if self.begun.discovery is not None else {}
        own = self.belonging.own(target)
        pods = self.belonging.pods(target, self.read, places)
        names = {pod.netns: pod.name for pod in pods} | {own: target.name}
        members = [own, *(pod.netns for pod in pods if pod.netns != own)]
        members += [inode for inode in self.belonging.others(target, self.read) if inode not in names]
        namespaces: list[NetNs] = []
        gaps = [Gap(where, what, reason) for where, what, reason in self.common if self._concerns(where, target)]
        for inode in members:
            place = places.get(inode) or Place(inode, self.paths[inode])
            name = names.get(inode) or self.belonging.name(place)
            where = target.name if inode == own else f"{target.name}/{name}"
            gaps += [Gap(where, what, reason, inode) for what, reason in self.gaps.get(inode, ())]
            if inode in self.read:
                namespaces.append(self._named(self.read[inode], name, place, inode == own))
        lost = tuple(self.belonging.lost(target, self.read))
        for inode in lost:
            place = places.get(inode) or Place(inode, self.paths[inode])
            where = f"{target.name}/{self.belonging.name(place)}"
            gaps += [Gap(where, what, reason, inode) for what, reason in self.gaps.get(inode, ())]
        if target.reach == "all":
            gaps += self._shut(target, lost)
        system = uname()
        return NodeSnapshot(
            name=target.name,
            kernel=_boot_id(),
            netns=own,
            namespaces=tuple(namespaces),
            pods=tuple(pod for pod in pods if pod.netns in self.read),
            gaps=tuple(gaps),
            role=target.role,
            taken_at=self.begun.taken_at,
            hostname=system.nodename,
            release=system.release,
            source=target.source,
        )

    def _shut(self, target: Target, known: Sequence[int]) -> Iterator[Gap]:
        """One gap for each reason why namespaces that can be seen could not be read."""
        reasons: dict[str, list[str]] = {}
        for inode, gaps in self.gaps.items():
            if inode not in self.read and inode not in known:
                path, _, reason = gaps[0][1].rpartition(": ")
                reasons.setdefault(reason, []).append(path)
        for reason, paths in reasons.items():
            yield Gap(target.name, "netns", f"{len(paths)} not read, the first at {paths[0]}: {reason}")

    def _concerns(self, where: str, target: Target) -> bool:
        """Gaps of a listed pod belong to its node; those of the search to whoever asked for one."""
        owner = where.partition("/")[0]
        if any(owner == each.name for each in self.targets):
            return owner == target.name
        return where == "kernel" or target.reach != "listed"

    def _named(self, netns: NetNs, name: str, place: Place, node: bool) -> NetNs:
        return NetNs(
            id=netns.id,
            name=name,
            pids=tuple(place.pids),
            pins=tuple(place.pins),
            links=netns.links,
            addresses=netns.addresses,
            routes=netns.routes,
            rules=netns.rules,
            neighbours=netns.neighbours,
            fdb=netns.fdb,
            bridge_vlans=netns.bridge_vlans,
            listeners=netns.listeners,
            sysctls={**netns.sysctls, **self.limits},
            counters={**netns.counters, **self.wide} if node else netns.counters,
            firewall=netns.firewall,
            connections=netns.connections,
        )


def _boot_id() -> str:
    with open(BOOT_ID, encoding="ascii") as file:
        return file.read().strip()
