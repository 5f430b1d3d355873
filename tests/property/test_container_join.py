"""Random machines: processes of which it is known where they are, and engines that are right, behind or silent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random

import pytest

from netfs.container.join import placed
from netfs.model.containers import Container, Placed
from netfs.model.processes import Process
from tests.unit.joining import CLOCK, INIT, KTHREADD, NODE, at, identity, process

WORLDS = 60
LONG = 100.0
"""Seconds after which a number may be used again."""


@dataclass
class World:
    """A machine, and the truth about it."""

    containers: list[Container] = field(default_factory=list)
    processes: list[Process] = field(default_factory=lambda: [INIT, KTHREADD, process(3, 2, comm="kworker")])
    owner: dict[int, str] = field(default_factory=dict)
    """Id of the innermost container, by process."""
    inside: dict[str, str] = field(default_factory=dict)
    """Id of the container around a container."""
    grouped: set[str] = field(default_factory=set)
    """Containers whose control groups name them."""


class Maker:
    """Makes a world."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.world = World()
        self.next_pid = 10
        self.next_space = 100

    def make(self) -> World:
        for number in range(self.random.randrange(1, 8)):
            self.container(f"c{number}")
        for _ in range(self.random.randrange(8)):
            self.tree(INIT, "", "/user.slice", 40 + self.random.random() * 40, {})
        self.confuse()
        return self.world

    def container(self, word: str, parent: Process = INIT, prefix: str = "", outer: str = "") -> None:
        """A container with its processes; some engines give it no group, some no PID namespace of its own."""
        own, second = identity(word), 20 + self.random.random() * 40
        grouped = bool(outer) or self.random.random() < 0.6
        group = f"{prefix}/docker/{own}" if grouped else prefix or "/"
        spaces = {"mnt": self.space(), "net": self.space()}
        if outer or self.random.random() < 0.7:
            spaces["pid"] = self.space()
        first = self.tree(parent, own, group, second, spaces)
        if grouped:
            self.world.grouped.add(own)
        if outer:
            self.world.inside[own] = outer
            return  # the engine of the inner node is not asked
        if self.random.random() < 0.9:
            self.world.containers.append(
                Container(
                    own,
                    word,
                    runtime="docker",
                    state="running",
                    pid=first.pid,
                    started_at=at(second + self.random.random()),
                )
            )
        if grouped and self.random.random() < 0.3:
            self.container(f"{word} inner", first, group, own)

    def tree(self, parent: Process, owner: str, group: str, second: float, spaces: Mapping[str, int]) -> Process:
        """A process and its descendants, all in one container."""
        space = spaces.get("pid", parent.namespaces["pid"])
        deeper = space != parent.namespaces["pid"]
        numbers = (*parent.pids[1:], 1) if deeper else tuple(self.random.randrange(2, 99) for _ in parent.pids[1:])
        known = {**parent.namespaces, **spaces}
        one = replace(process(self.pid(), parent.pid, group=group, second=second, inner=numbers), namespaces=known)
        self.world.processes.append(one)
        self.world.owner[one.pid] = owner
        for _ in range(self.random.choice((0, 0, 1, 2)) if self.next_pid < 80 else 0):
            self.tree(one, owner, group, second + self.random.random(), {})
        return one

    def confuse(self) -> None:
        """Engines that are behind: of containers that ended, whose processes' numbers others have now."""
        there = [one for one in self.world.processes if one.pid > 3]
        for number in range(self.random.randrange(4)):
            taken = self.random.choice(there)
            was = taken.started / CLOCK.ticks - LONG
            state = self.random.choice(("running", "exited", ""))
            gone = Container(identity(f"gone{number}"), f"gone{number}", state=state, pid=taken.pid, started_at=at(was))
            self.world.containers.append(gone)
        for index, one in enumerate(self.world.processes):
            if one.pid > 3 and self.random.random() < 0.1:
                spaces = one.namespaces if self.random.random() < 0.5 else {}
                numbers = one.pids if spaces or self.random.random() < 0.5 else ()
                self.world.processes[index] = replace(one, namespaces=spaces, pids=() if spaces else numbers)

    def pid(self) -> int:
        self.next_pid += 1
        return self.next_pid

    def space(self) -> int:
        self.next_space += 1
        return self.next_space


def join(world: World, seed: int = 0) -> tuple[Placed, ...]:
    random = Random(seed)
    containers = random.sample(world.containers, len(world.containers))
    processes = random.sample(world.processes, len(world.processes))
    return placed(containers, processes, node="n", pid_namespace=NODE["pid"], clock=CLOCK)


@pytest.fixture(params=range(WORLDS))
def world(request: pytest.FixtureRequest) -> World:
    return Maker(request.param).make()


def test_no_process_is_ever_given_to_a_container_that_it_is_not_in(world: World) -> None:
    for one in join(world):
        if one.by == "namespace":
            (owner,) = {world.owner[pid] for pid in one.pids}
            assert owner
            continue
        for pid in one.pids:
            owners = {world.owner[pid], world.inside.get(world.owner[pid], "")}
            assert one.container.id in owners, pid


def test_every_process_whose_group_names_a_container_is_in_that(world: World) -> None:
    found = {one.container.id: set(one.pids) for one in join(world)}
    for pid, owner in world.owner.items():
        if owner in world.grouped:
            assert pid in found[owner]
            assert not world.inside.get(owner) or pid in found[world.inside[owner]]


def test_a_process_is_in_one_container_and_in_those_around_it(world: World) -> None:
    everything = join(world)
    for one in everything:
        for other in everything:
            if one is not other and set(one.pids) & set(other.pids):
                inner, outer = sorted((one, other), key=lambda each: len(each.cgroup), reverse=True)
                assert (inner.by, outer.by) == ("cgroup", "cgroup")
                assert inner.cgroup.startswith(f"{outer.cgroup}/")
                assert set(inner.pids) <= set(outer.pids)


def test_the_first_stands_first_and_the_kernels_threads_nowhere(world: World) -> None:
    for one in join(world):
        assert one.pids[:1] == ((one.init,) if one.init is not None else ())
        assert list(one.pids[1:]) == sorted(set(one.pids[1:]))
        assert not {1, 2, 3} & set(one.pids)
        assert bool(one.by) is bool(one.pids)


def test_the_order_of_what_is_given_changes_nothing(world: World) -> None:
    first = join(world)
    assert all(join(world, seed) == first for seed in (1, 2))


def test_worlds_hold_all_that_there_is_to_get_wrong() -> None:
    found = [one for seed in range(WORLDS) for one in join(Maker(seed).make())]
    assert {one.by for one in found} == {"", "cgroup", "pid", "namespace"}
    assert any(one.uncertain and not one.pids for one in found)
    assert any(one.container.cgroup.count("/docker/") == 2 for one in found)


def test_hostile_names_and_paths_raise_nothing() -> None:
    """Paths are made by whoever may make control groups, names by programs, and engines' files may be anybody's."""
    random = Random(7)
    parts = (
        "docker",
        "default",
        "k8s.io",
        "kubepods",
        "pod",
        "..",
        "",
        "x" * 300,
        "\udcff",
        identity("a"),
        "c1",
        ":::",
    )
    for _ in range(300):
        paths = ["/".join(random.choices(parts, k=random.randrange(40))) for _ in range(4)]
        containers = [
            Container(
                random.choice(parts),
                random.choice(parts),
                cgroup=random.choice(paths),
                pid=random.choice((None, 0, -1, 7)),
            )
            for _ in range(4)
        ]
        odd = [
            Process(
                7,
                random.randrange(9),
                random.randrange(9),
                "\udcff",
                cgroups=dict(zip("abcd", paths, strict=True)),
                pids=(7, -1),
            )
        ]
        placed(containers, [INIT, *odd], node="n", pid_namespace=random.choice((None, NODE["pid"], 0)), clock=CLOCK)


def test_containers_one_in_the_other_as_deep_as_a_path_is_long() -> None:
    """A path of /proc has no more than 4,096 bytes."""
    path = "/default/c" * 400
    deep = replace(process(7), cgroups={"": path})
    found = placed((), [INIT, deep], node="n", pid_namespace=NODE["pid"], clock=CLOCK)
    assert found
    assert all(one.pids == (7,) for one in found)
