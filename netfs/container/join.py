"""Which process belongs to which container (decision 9). Pure: records in, records out.

The order is that of certainty. A control group that names the container's id decides. A number that an engine wrote
down counts where no group says otherwise and the process was started when the container was; what that one started
belongs to it then. What nobody knows of is a container where its namespaces are those of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from netfs.container.by_group import NOBODY, Groups, group_of
from netfs.container.by_namespace import found
from netfs.container.by_pid import Clock, households, is_run_of
from netfs.container.kin import Kin
from netfs.container.merge import merged, order
from netfs.container.nested import nested, ordered
from netfs.model.containers import Container, Placed
from netfs.model.processes import Process

__all__ = ["Clock", "merged", "placed"]

_OVER = frozenset(("created", "dead", "exited", "stopped"))
"""States in which nothing runs."""
_RUNS = frozenset(("paused", "running"))
_ALIVE = "its engine says that it is {!r}, and there are processes in its control group"
_GONE = "its engine says that it is {!r}, and no process could be told to be its"
_NUMBERED = "its engine names process {}, "
_ELSEWHERE = f"{_NUMBERED}which is not in its control group"
_ANOTHERS = f"{_NUMBERED}which is in another container's control group"
_NODES = f"{_NUMBERED}which has the mounts of the node, as no container's first process has"
_TWICE = f"{_NUMBERED}and so does another container's"
_TIMES = f"{_NUMBERED}which is not known to have been started when the container was"
_NOT_HIS = f"{_NUMBERED}which is not a process of the user whose engine says so"
_CLAIMED = "an engine of user {} knows it, and is not believed: its processes are not that user's"
_NAMELESS = "no engine and no control group names it: it is told by its namespaces, and its name is made up"


def placed(
    containers: Sequence[Container],
    processes: Sequence[Process],
    *,
    node: str,
    pid_namespace: int | None,
    clock: Clock,
) -> tuple[Placed, ...]:
    """Every container in its place, by name: those of the engines, and those that nobody knows of.

    A process is in one container, and in those around that one: a container that plays a node has all that is in it.
    ``pid_namespace``: the one that engines number processes in; None: not known, then only control groups and
    namespaces tell. The groups of the node's own first process are the node, and none of its containers.
    """
    kin = Kin(processes, pid_namespace)
    join = _Join(kin, Groups(sorted((one for one in containers if one.user is None), key=order)))
    join.by_group()
    join.of_users(sorted((one for one in containers if one.user is not None), key=order))
    join.by_pid(clock)
    told = join.told(node)
    for one in found(kin, join.taken):
        pids = ordered(one.first.pid, (process.pid for process in one.processes))
        told.append(Placed(one.container, node, one.first.pid, pids, group_of(one.first), "namespace", _NAMELESS))
    return tuple(sorted(nested(told, kin), key=lambda each: order(each.container)))


@dataclass(slots=True)
class _Place:
    """What is known of one container by now."""

    pids: set[int] = field(default_factory=set)
    init: int | None = None
    by: str = ""


class _Join:
    """Containers by their place in ``groups.containers``, and the processes of each."""

    def __init__(self, kin: Kin, groups: Groups) -> None:
        self.kin = kin
        self.groups = groups
        self.places = {at: _Place() for at in range(groups.engines_know)}
        self.told_of = list(self.places)
        """Those that engines told of."""
        self.taken: set[int] = set()
        """Processes that are some container's, or that nobody can tell whose they are."""

    def by_group(self) -> None:
        """Give processes to the containers that their control groups name."""
        first = self.kin.first
        own = {holder.at for holder in self.groups.of(first)} if first is not None else set()
        node = {at for at in own if at >= self.groups.engines_know}
        for process in self.kin.processes:
            for holder in self.groups.of(process):
                if holder.at in node:
                    continue
                self.taken.add(process.pid)
                if holder.at != NOBODY:
                    place = self.places.setdefault(holder.at, _Place(by="cgroup"))
                    place.by = "cgroup"
                    place.pids.add(process.pid)

    def of_users(self, claims: Sequence[Container]) -> None:
        """Take what users' engines say of containers that only control groups know, where the processes are theirs."""
        held = {one.pod_uid for one in self.groups.containers}
        for claim in claims:
            user = -1 if claim.user is None else claim.user
            at = self.groups.unknown(claim.id)
            pids = self.places[at].pids if at is not None else ()
            if at is None:
                at = self.groups.append(replace(claim, pod_uid="") if claim.pod_uid in held else claim)
                self.places[at] = _Place()
            elif all(self.kin.is_users(self.kin.by_pid[pid], user) for pid in pids):
                self.groups.containers[at] = replace(claim, pod_uid=self.groups.containers[at].pod_uid)
            else:
                self.groups.doubt(at, _CLAIMED.format(user))
                continue
            self.told_of.append(at)

    def by_pid(self, clock: Clock) -> None:
        """Find first processes by their numbers, and give these and what they started to containers without a group."""
        claims: dict[int, list[int]] = {}
        for at in self.told_of:
            process = self._numbered(self.groups.containers[at])
            if process is not None and self._may_claim(at, process, clock):
                claims.setdefault(process.pid, []).append(at)
        inits: dict[int, Process] = {}
        for pid, those in claims.items():
            if len(those) == 1:
                inits[those[0]] = self.kin.by_pid[pid]
            for at in those if len(those) > 1 else ():
                self._doubt(at, _TWICE)
        for pid, at in households(inits, self.groups.containers, self.kin, self.taken).items():
            self.places[at].by, self.places[at].init = "pid", inits[at].pid
            self.places[at].pids.add(pid)
            self.taken.add(pid)

    def _numbered(self, container: Container) -> Process | None:
        if container.pid is None or container.state in _OVER:
            return None
        return self.kin.numbered.get(container.pid)

    def _may_claim(self, at: int, process: Process, clock: Clock) -> bool:
        """Whether the number alone ties the process to the container."""
        place, claim = self.places[at], self.groups.containers[at]
        if process.pid in place.pids:
            place.init = process.pid
        elif place.pids:
            self._doubt(at, _ELSEWHERE)
        elif process.pid in self.taken:
            self._doubt(at, _ANOTHERS)
        elif claim.user is not None and not self.kin.is_users(process, claim.user):
            self._doubt(at, _NOT_HIS)
        elif self.kin.sees_the_nodes_files(process):
            self._doubt(at, _NODES)
        elif is_run_of(process, claim, clock):
            return True
        else:
            self._doubt(at, _TIMES)
        return False

    def _doubt(self, at: int, why: str) -> None:
        self.groups.doubt(at, why.format(self.groups.containers[at].pid))

    def told(self, node: str) -> list[Placed]:
        """The containers, as far as they are known now."""
        return [self._told(node, at, place) for at, place in self.places.items()]

    def _told(self, node: str, at: int, place: _Place) -> Placed:
        container = self.groups.containers[at]
        doubts = list(self.groups.doubts.get(at, ()))
        if not place.pids:
            doubts += [_GONE.format(container.state)] if container.state in _RUNS and not doubts else []
            return Placed(container, node, uncertain="; ".join(doubts))
        if container.state in _OVER:
            doubts.append(_ALIVE.format(container.state))
        init = place.init if place.init is not None else self.kin.eldest(place.pids)
        path = group_of(self.kin.by_pid[init], lambda path: self.groups.names(at, path))
        return Placed(container, node, init, ordered(init, place.pids), path, place.by, "; ".join(doubts))
