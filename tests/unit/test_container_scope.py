"""Which of a host's processes are a node's."""

from __future__ import annotations

from netfs.container.scope import of_node
from netfs.model.processes import Process

HOST, NODE, POD, OTHER = 100, 200, 300, 900


def process(pid: int, ppid: int, pid_namespace: int = HOST, net: int = 1) -> Process:
    return Process(pid, pid * 10, ppid=ppid, namespaces={"pid": pid_namespace, "net": net})


def pids(processes: list[Process], *members: int) -> list[int]:
    return [each.pid for each in of_node(processes, members, HOST)]


def test_everything_in_its_pid_namespaces_is_a_nodes_whoever_started_it() -> None:
    init, child, entered = process(10, 1, NODE, 2), process(11, 10, NODE, 2), process(12, 1, NODE, 2)
    assert pids([process(1, 0), init, child, entered, process(20, 1, OTHER, 3)], 10) == [10, 11, 12]


def test_a_pid_namespace_below_its_own_is_a_nodes_as_well() -> None:
    shim, pause, worker = process(11, 10, NODE, 2), process(12, 11, POD, 3), process(13, 12, POD, 3)
    assert pids([process(1, 0), process(10, 1, NODE, 2), shim, pause, worker], 10) == [10, 11, 12, 13]


def test_pods_that_were_started_beside_their_node_are_members() -> None:
    node, pod, foreign = process(10, 1, NODE, 2), process(20, 1, POD, 3), process(30, 1, OTHER, 4)
    assert pids([process(1, 0), node, pod, foreign], 10, 20) == [10, 20]


def test_without_a_pid_namespace_of_its_own_a_node_is_what_shares_its_network_and_what_that_started() -> None:
    member, beside, child = process(10, 1, HOST, 2), process(11, 1, HOST, 2), process(12, 11, HOST, 3)
    assert pids([process(1, 0), member, beside, child, process(40, 1, HOST, 1)], 10) == [10, 11, 12]


def test_what_may_not_be_looked_at_is_nobodys_and_a_member_that_ended_has_nothing() -> None:
    unseen = Process(30, 300, ppid=1)
    assert pids([process(1, 0), process(10, 1, NODE, 2), unseen], 10) == [10]
    assert pids([process(1, 0), unseen], 10) == []


def test_parents_that_go_in_a_circle_end() -> None:
    assert pids([process(10, 11, NODE), process(11, 10, NODE)], 10) == [10, 11]
