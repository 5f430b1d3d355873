"""Which of a host's gaps concern one subject."""

from __future__ import annotations

import pytest

from netfs.container.answers import concern
from netfs.model.cgroups import Cgroup, CgroupTree
from netfs.model.containers import Container, Engine, Placed
from netfs.model.gaps import Gap
from netfs.model.namespaces import Namespace
from netfs.model.processes import Process

NODE, APART = {"net": 1}, {"net": 2}
REFUSED = Gap("/proc", "namespaces by process", "1 process may not be looked at (first: pid 1)")
HIDDEN = Gap("/proc", "processes", "it hides the processes of others (hidepid)")
WEB = Placed(Container("a" * 64, "web"), "node1", 10, (10,))
BARE = Placed(Container(""), "node1", 10, (10,))
OWN = Namespace("net", 2, pids=(10,), owner=7)
NODES = Namespace("net", 1, pids=(10,), owner=7, initial=True)


def table(*processes: Process) -> dict[int, Process]:
    return {each.pid: each for each in processes}


def tree(*pids: int) -> CgroupTree:
    return CgroupTree("node1", "v2", groups=(Cgroup("/web", (), pids=pids),))


def test_a_first_process_that_may_not_be_looked_at_is_no_gap_of_a_container() -> None:
    known = table(Process(1, 1), Process(10, 2, namespaces=APART))
    assert not [*concern.of_processes([REFUSED], [WEB], known, [OWN], tree(10))]


def test_a_process_of_its_own_that_may_not_be_looked_at_is_one() -> None:
    known = table(Process(1, 1), Process(10, 2))
    (gap,) = concern.of_processes([REFUSED], [WEB], known, [], tree(10))
    assert gap.reason == "one of its processes may not be looked at (first: pid 10)"


@pytest.mark.parametrize(("space", "told"), [(OWN, [REFUSED]), (NODES, [])])
def test_strangers_may_share_a_namespace_that_is_not_the_nodes(space: Namespace, told: list[Gap]) -> None:
    known = table(Process(10, 2, namespaces=APART), Process(11, 3), Process(12, 4, state="Z"))
    assert [*concern.of_processes([REFUSED], [WEB], known, [space], tree(10))] == told


@pytest.mark.parametrize(
    ("space", "pids", "told"), [(NODES, (10,), []), (NODES, (10, 11), [HIDDEN]), (OWN, (10,), [HIDDEN])]
)
def test_hidden_processes_concern_it_where_its_group_has_some_or_its_namespaces_may(
    space: Namespace, pids: tuple[int, ...], told: list[Gap]
) -> None:
    known = table(Process(10, 2, namespaces=APART))
    assert [*concern.of_processes([HIDDEN], [WEB], known, [space], tree(*pids))] == told
    assert not [*concern.of_processes([HIDDEN], [BARE], known, [NODES], None)]


def test_mount_namespaces_that_nobody_lists_say_nothing_of_it_but_missing_owners_do() -> None:
    unlisted = Gap("/proc", "mount namespaces without a process", "this process may not list them")
    owners = Gap("/proc", "owners of namespaces", "1 namespace may not be opened")
    nothing = Gap("/proc", "namespaces", "No such file or directory")
    assert [*concern.of_namespaces([unlisted, owners, nothing], [OWN])] == [nothing]
    assert [*concern.of_namespaces([unlisted, owners], [Namespace("net", 2, pids=(10,))])] == [owners]


def test_an_engine_that_was_not_read_concerns_what_no_engine_knows() -> None:
    lost = Gap("/var/lib/containers", "store", "it may not be read")
    other = Gap("/var/lib/docker/containers/" + "b" * 64, "document", "is no JSON")
    its = Gap("/var/lib/docker/containers/" + "a" * 64, "document", "is no JSON")
    docker = Engine("docker", "/var/lib/docker", containers=(WEB.container,), gaps=(other, its))
    podman = Engine("podman", "/var/lib/containers", gaps=(lost,))
    assert [*concern.of_engines([docker, podman], [WEB])] == [its]
    unknown = Placed(Container("c" * 64), "node1", 20, (20,))
    assert [*concern.of_engines([docker, podman], [unknown])] == [other, its, lost]
    assert not [*concern.of_engines([docker, podman], [BARE])]
