"""What ``netfs cgroups`` and ``netfs namespaces`` ask of nodes, over nodes made by hand."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from netfs.container.answers import subject
from netfs.container.answers.cgroups import cgroups
from netfs.container.answers.namespaces import namespaces
from netfs.container.targets import Found
from netfs.errors import EndpointError
from netfs.model.cgroups import Cgroup, CgroupTree, Effective, Memory
from netfs.model.containers import Container, Engine, Placed
from netfs.model.gaps import Gap
from netfs.model.namespaces import Namespace
from netfs.model.places import NodeRoot
from netfs.model.processes import Process

UNLISTED = Gap("/proc", "mount namespaces without a process", "this process may not list them")
REFUSED = Gap("/proc", "namespaces by process", "1 process may not be looked at (first: pid 1)")
LOST = Gap("/var/lib/containers", "store", "it may not be read")
LIMITS = {"memory": Effective(100, "/kubepods")}
HOST = Cgroup("/", ("memory",), pids=(1, 7))
BUSY = Cgroup("/kubepods", ("memory",), memory=Memory(96, 100, working_set=96), effective=LIMITS)
WEB = Placed(Container("a" * 64, "web"), "node1", 10, (10,), "/kubepods/web", "cgroup")


def node(name: str = "node1", *groups: Cgroup, **fields: Any) -> Any:
    """What an answer needs of a node."""
    processes = (
        Process(1, 1),
        Process(7, 2, namespaces={"net": 1}, cgroups={"": "/"}),
        Process(10, 3, namespaces={"net": 2}, cgroups={"": "/kubepods/web"}),
    )
    tree = CgroupTree(name, fields.pop("mode", "v2"), groups=tuple(replace(group, node=name) for group in groups))
    spaces = (
        Namespace("net", 1, pids=(7,), owner=9, node=name, initial=True),
        Namespace("net", 2, pids=(10,), owner=9, node=name),
    )
    known: dict[str, Any] = {
        "name": name, "placed": (WEB,), "processes": processes, "by_pid": {each.pid: each for each in processes},
        "engines": (Engine("docker", "", containers=(WEB.container,)), Engine("podman", "", gaps=(LOST,))),
        "gaps": (REFUSED, LOST), "unseen": (REFUSED,), "initial": {"net": 1}, "undecided": False,
        "cgroups": lambda **_: (tree, ()), "namespaces": lambda **_: (spaces, (UNLISTED,)),
    }  # fmt: skip
    return SimpleNamespace(**(known | fields))


def test_what_was_not_read_of_the_host_stays_with_the_host() -> None:
    assert namespaces([node()]).gaps == (REFUSED, LOST, UNLISTED)
    assert namespaces([node()], "node1").gaps == (REFUSED, LOST, UNLISTED)
    assert namespaces([node()], "web").gaps == ()
    group = Cgroup("/kubepods/web", ("memory",))
    assert cgroups([node("node1", HOST, group)]).gaps == (REFUSED, LOST)
    assert cgroups([node("node1", HOST, group)], "web").gaps == ()


def test_what_is_wrong_with_a_group_above_several_nodes_is_told_once() -> None:
    found = cgroups([node("node1", HOST, BUSY), node("node2", HOST, BUSY)]).findings
    assert [(each.object, each.node) for each in found] == [("/kubepods", "node1")]


def test_a_process_in_the_root_group_has_that_one() -> None:
    (tree,) = cgroups([node("node1", HOST, BUSY)], "pid/7").trees
    assert tree.groups[0].path == "/"


def test_that_nothing_is_mounted_is_said() -> None:
    with pytest.raises(EndpointError, match="no control groups are mounted"):
        cgroups([node("node1", mode="none")], "pid/7")
    assert cgroups([node("node1", mode="none")]).notes == ()


def test_an_address_that_no_engine_tells_is_looked_for_in_the_network() -> None:
    def network() -> Any:
        addresses = {2: {1: [SimpleNamespace(local="10.0.0.2")]}, 1: {1: [SimpleNamespace(local="192.0.2.7")]}}
        views = {id: SimpleNamespace(netns=SimpleNamespace(id=id), addresses=held) for id, held in addresses.items()}
        return SimpleNamespace(topology=SimpleNamespace(views=views))

    assert [each.id for each in namespaces([node()], "10.0.0.2", network=network).namespaces] == [2]
    assert [each.id for each in namespaces([node()], "192.0.2.7", network=network).namespaces] == [1, 2]
    for nobodys in ("10.0.0.3", "127.0.0.1"):
        with pytest.raises(EndpointError):
            namespaces([node()], nobodys, network=network)


def test_a_process_that_no_container_has_is_its_own_first_and_a_nodes_is_the_nodes() -> None:
    lab = node(root=NodeRoot("node1", "/", members=(7,)))
    process = subject._nameless(lab, Found("process", "pid/1", "node1", (), 1))
    assert (process.init, process.pids) == (1, (1,))
    whole = subject._nameless(lab, Found("node", "node1", "node1"))
    assert (whole.init, whole.pids) == (7, (1, 7))
