"""Pods by the names that engines gave them."""

from __future__ import annotations

from typing import Any

from netfs.container.pods import named
from netfs.model import snapshot
from netfs.model.containers import Container, Placed
from netfs.model.processes import Process
from netfs.model.snapshot import NetNs, NodeSnapshot, Pod

NODE = NodeSnapshot(
    "node1",
    "boot",
    1,
    (NetNs(1, "node1"), NetNs(2, "aaaaaaaaaaaa"), NetNs(3, "blue")),
    (Pod("aaaaaaaaaaaa", 2), Pod("blue", 3)),
)


def placed(identity: str, pid: int, *, by: str = "cgroup", **fields: Any) -> Placed:
    return Placed(Container(identity * 64, **fields), "node1", pid, (pid,), by=by)


def processes(**netns: int) -> dict[int, Process]:
    return {
        int(pid[1:]): Process(int(pid[1:]), int(pid[1:]), namespaces={"net": inode}) for pid, inode in netns.items()
    }


def pods(*containers: Placed, **netns: int) -> list[Pod]:
    return list(named(NODE, containers, processes(**netns)).pods)


def test_a_plain_container_is_a_pod_of_its_name() -> None:
    web = placed("a", 10, name="web", runtime="docker", image_name="nginx", labels={"x": "y"}, addresses=("10.0.0.2",))
    node = named(NODE, [web], processes(p10=2))
    assert node.pods[0] == Pod(
        "web",
        2,
        containers=(snapshot.Container("web", "a" * 64, "docker", "nginx", 10),),
        labels={"x": "y"},
        ips=("10.0.0.2",),
    )
    assert [each.name for each in node.namespaces] == ["node1", "web", "blue"]
    assert node.pods[1] == NODE.pods[1]  # of which no engine knows


def test_a_pod_has_the_names_that_its_containers_tell_and_the_labels_of_its_sandbox() -> None:
    of_pod = {"pod": "shop-1", "namespace": "shop", "pod_uid": "uid-1", "runtime": "containerd"}
    pause = placed("b", 10, role="sandbox", labels={"app": "shop"}, **of_pod)
    app = placed("a", 11, role="app", **of_pod)
    (pod, _) = pods(app, pause, p10=2, p11=2)
    assert (pod.name, pod.namespace, pod.uid, pod.labels) == ("shop-1", "shop", "uid-1", {"app": "shop"})
    assert [each.name for each in pod.containers] == ["app"]


def test_of_containers_that_share_a_network_the_first_gives_the_name() -> None:
    first, second = placed("b", 10, name="first"), placed("a", 11, name="second")
    (pod, _) = pods(second, first, p10=2, p11=2)
    assert (pod.name, [each.name for each in pod.containers], pod.labels) == ("first", ["first", "second"], {})


def test_what_runs_in_the_nodes_network_or_is_known_from_namespaces_alone_names_nothing() -> None:
    host, guessed = placed("a", 10, name="host"), placed("b", 11, name="bash-11", by="namespace")
    assert pods(host, guessed, p10=1, p11=2) == list(NODE.pods)


def test_a_container_that_ended_meanwhile_names_nothing() -> None:
    gone = Placed(Container("a" * 64, name="gone"), "node1")
    assert pods(gone, placed("b", 12, name="raced")) == list(NODE.pods)
