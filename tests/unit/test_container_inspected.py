"""What ``netfs inspect`` answers: whose the namespaces are, which group is the container's, what is the root."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from netfs.container.inspected import Subject, inspected
from netfs.model.cgroups import Cgroup, CgroupTree
from netfs.model.containers import SANDBOX, Container, Placed
from netfs.model.findings import Finding
from netfs.model.gaps import Gap
from netfs.model.inspected import InspectedContainer, SharedNamespace
from netfs.model.layer_answers import ChainRef
from netfs.model.namespaces import Namespace, Pin
from netfs.model.process_facts import MountPoint, ProcessFacts, ProcessUse
from netfs.model.processes import Elsewhere, Process
from netfs.model.snapshot import Listener
from tests.unit.clusters import two_nodes

NODE = {"net": 1, "user": 2, "pid": 3}
POD = {"net": 11, "user": 2, "pid": 13}


def process(pid: int, spaces: Mapping[str, int], **fields: Any) -> Process:
    return Process(pid, 100 + pid, comm=f"p{pid}", namespaces=spaces, **fields)


def placed(name: str, *pids: int, role: str = "", cgroup: str = "", **fields: Any) -> Placed:
    container = Container(
        f"id-{name}-{role}", name, pod=name if role else "", namespace="ns" if role else "", role=role
    )
    return Placed(replace(container, **fields), "node1", pids[0] if pids else None, pids, cgroup, "cgroup")


def told(processes: Iterable[Process], **fields: Any) -> tuple[Namespace, ...]:
    members: dict[tuple[str, int], list[int]] = {}
    for each in processes:
        for space in each.namespaces.items():
            members.setdefault(space, []).append(each.pid)
    return tuple(
        Namespace(type, id, pids=tuple(pids), initial=NODE.get(type) == id, **fields)
        for (type, id), pids in members.items()
    )


def subject(own: Iterable[Placed], others: Iterable[Placed] = (), *processes: Process, **fields: Any) -> Subject:
    known: dict[str, Any] = {"namespaces": told(processes)}
    return Subject(
        "ns/web",
        fields.pop("kind", "pod"),
        "node1",
        tuple(own),
        tuple(others),
        {each.pid: each for each in processes},
        **(known | fields),
    )


def one(subject: Subject) -> InspectedContainer:
    return inspected(subject).containers[0]


def space(subject: Subject, type: str) -> SharedNamespace:
    return next(each for each in one(subject).namespaces if each.type == type)


def test_a_namespace_that_nobody_else_is_in_is_its_own() -> None:
    asked = subject([placed("web", 10, 11)], [placed("db", 20)], process(1, NODE), process(10, POD), process(20, NODE))
    assert space(asked, "pid") == SharedNamespace("pid", 13, own=True)


def test_the_nodes_namespace_is_said_to_be_the_nodes() -> None:
    asked = subject([placed("web", 10)], (), process(1, NODE), process(10, POD))
    assert space(asked, "user") == SharedNamespace("user", 2, own=False, with_node=True)


def test_others_in_a_namespace_are_named_once_and_in_order() -> None:
    asked = subject(
        [placed("web", 10)],
        [placed("zoo", 21), placed("db", 20, 22)],
        *(process(pid, POD) for pid in (10, 20, 21, 22)),
    )
    assert space(asked, "net").shared_with == ("db", "zoo")
    assert not space(asked, "net").own


def test_a_container_that_is_there_by_a_later_process_or_a_thread_shares_it() -> None:
    asked = subject(
        [placed("web", 10)],
        [placed("db", 20, 22), placed("nsenter", 30)],
        process(10, POD),
        process(20, NODE),
        process(22, POD),
        process(30, NODE, elsewhere=(Elsewhere(31, "net", 11),)),
    )
    assert space(asked, "net").shared_with == ("db", "nsenter")


def test_a_process_of_no_container_makes_a_namespace_shared() -> None:
    asked = subject([placed("web", 10)], (), process(10, POD), process(99, POD))
    assert space(asked, "net") == SharedNamespace("net", 11, own=False)


def test_containers_of_one_pod_share_with_each_other() -> None:
    app, pause = placed("web", 10, role="app"), placed("web", 5, role=SANDBOX)
    answer = inspected(subject([pause, app], (), process(10, POD), process(5, POD)))
    assert [each.container.role for each in answer.containers] == ["app", SANDBOX]
    assert {each.shared_with for each in answer.containers[0].namespaces} == {("ns/web/sandbox",)}


def test_a_namespace_that_was_not_read_is_not_called_its_own() -> None:
    asked = subject([placed("web", 10)], (), process(1, NODE), process(10, {"net": 11}))
    assert space(asked, "pid") == SharedNamespace("pid", None, own=False)


def test_a_type_that_this_kernel_has_not_is_not_missed() -> None:
    asked = subject([placed("web", 10)], (), process(10, POD))
    assert [each.type for each in one(asked).namespaces] == ["net", "pid", "user"]


def test_pins_are_told() -> None:
    pinned = told([process(10, POD)], pins=(Pin("/run/netns/a", 7), Pin("/run/netns/a", 8), Pin("/run/netns/b", 7)))
    asked = subject([placed("web", 10)], (), process(10, POD), namespaces=pinned)
    assert space(asked, "net").pins == ("/run/netns/a", "/run/netns/b")


def test_every_namespace_of_every_process_is_told_and_no_other() -> None:
    asked = subject(
        [placed("web", 10, 11)],
        [placed("db", 20)],
        process(10, POD),
        process(11, {"net": 77}),
        process(20, {"net": 88}),
    )
    assert [(each.type, each.id) for each in inspected(asked).namespaces] == [
        ("net", 11),
        ("net", 77),
        ("pid", 13),
        ("user", 2),
    ]


def test_one_that_does_not_run_has_what_its_files_say() -> None:
    chain = ChainRef("container", "web", "id-web-", "docker", "/var/lib/docker", layers=("2", "1"))
    answer = inspected(
        subject([placed("web", state="exited", command=("sh",))], kind="container", chains={"id-web-": chain})
    )
    (stopped,) = answer.containers
    assert (stopped.chain, stopped.container.command, stopped.namespaces) == (chain, ("sh",), ())
    assert (stopped.root, stopped.facts, stopped.cgroup, answer.interfaces) == (None, None, None, ())


def tree(*groups: Cgroup) -> CgroupTree:
    return CgroupTree("node1", "v2", groups=groups)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/kubepods/podX/c1", "/kubepods/podX/c1"),
        ("/kubepods/podX/c1/init.scope", "/kubepods/podX/c1"),
        ("/kubepods/podX/c1/a/b", "/kubepods/podX/c1"),
        ("/kubepods/podX", "/kubepods/podX"),
        ("/other", "/other"),
        ("/", "/"),
        ("/gone", None),
        ("", None),
    ],
)
def test_the_group_is_the_highest_that_is_the_containers(path: str, expected: str | None) -> None:
    groups = tree(
        Cgroup("/"),
        Cgroup("/kubepods"),
        Cgroup("/kubepods/podX", kind="pod"),
        Cgroup("/kubepods/podX/c1", container="ns/web/app", kind="container"),
        Cgroup("/kubepods/podX/c1/init.scope", container="ns/web/app"),
        Cgroup("/kubepods/podX/c1/a/b", container="ns/web/app"),
        Cgroup("/other"),
    )
    found = one(subject([placed("web", 10, role="app", cgroup=path)], (), process(10, POD), cgroups=groups)).cgroup
    assert (found.path if found is not None else None) == expected


def test_a_container_within_a_node_within_a_container_has_its_own_group() -> None:
    groups = tree(
        Cgroup("/docker/kind", container="kind-node", kind="node"),
        Cgroup("/docker/kind/kubelet/podX", kind="pod"),
        Cgroup("/docker/kind/kubelet/podX/c1", container="ns/web/app", kind="container"),
    )
    own = placed("web", 10, role="app", cgroup="/docker/kind/kubelet/podX/c1")
    answer = inspected(subject([own], (), process(10, POD), cgroups=groups))
    assert answer.containers[0].cgroup == groups.groups[2]
    assert answer.pod_cgroup == groups.groups[1]


def test_the_group_of_the_pod_is_told_of_one_of_its_containers_too_and_of_no_other() -> None:
    groups = tree(Cgroup("/podX", kind="pod"), Cgroup("/podX/c1", container="web"))
    own = placed("web", 10, role="app", cgroup="/podX/c1")
    assert inspected(subject([own], cgroups=groups, kind="container")).pod_cgroup == groups.groups[0]
    assert inspected(subject([placed("web", 10, cgroup="/podX/c1")], cgroups=groups)).pod_cgroup is None


def mount(path: str, type: str) -> MountPoint:
    return MountPoint(1, 0, "0:1", "/", path, "rw", type, type)


def test_of_several_mounts_at_the_root_the_last_one_is_seen() -> None:
    facts = ProcessFacts(10, mounts=(mount("/", "ext4"), mount("/", "overlay"), mount("/proc", "proc")))
    asked = subject([placed("web", 10)], (), process(10, POD), facts={"id-web-": facts})
    assert one(asked).root == facts.mounts[1]
    assert one(asked).facts is facts


def test_processes_and_facts_are_each_containers_own() -> None:
    use = ProcessUse(10, 1, 1, 0, "sh")
    answer = inspected(subject([placed("a", 10), placed("b", 20)], (), uses={"id-a-": (use,)}))
    assert [each.processes for each in answer.containers] == [(use,), ()]


def test_labels_are_the_pods_own() -> None:
    app = placed("web", 10, role="app", labels={"a": "app"}, pod_uid="uid-1")
    pause = placed("web", 5, role=SANDBOX, labels={"a": "pod"})
    answer = inspected(subject([app, pause]))
    assert (answer.labels, answer.uid) == ({"a": "pod"}, "uid-1")
    assert inspected(subject([app])).labels == {"a": "app"}
    assert inspected(subject([app, placed("web", 11, role="b", labels={"b": "c"})])).labels == {}


def finding(severity: str, slug: str) -> Finding:
    return Finding(slug, severity, "o", "e", "f")


def test_errors_come_first_and_the_order_of_the_rest_stays() -> None:
    given = (
        finding("info", "a"),
        finding("odd", "b"),
        finding("error", "c"),
        finding("warning", "d"),
        finding("error", "e"),
    )
    answer = inspected(subject([placed("web")], findings=given))
    assert [each.slug for each in answer.findings] == ["c", "e", "d", "a", "b"]


def test_gaps_are_told_once_with_those_of_the_network() -> None:
    gap = Gap("x", "y", "z")
    topology = two_nodes()
    (view,) = topology.pods["default", "pod-a"]
    node = replace(view.node, gaps=(Gap("pod-a", "links", "no", view.netns.id), gap))
    broken = type(view)(node, view.netns, view.pod)
    answer = inspected(subject([placed("web")], net=broken, topology=topology, gaps=(gap, gap)))
    assert answer.gaps == (gap, Gap("pod-a", "links", "no", view.netns.id))


def test_of_the_nodes_sockets_only_its_own_are_told() -> None:
    topology = two_nodes()
    node = topology.nodes["node1"]
    listeners = (Listener("tcp", 4, "0.0.0.0", 22, inode=1), Listener("tcp", 4, "0.0.0.0", 80, inode=2))
    view = type(node)(node.node, replace(node.netns, listeners=listeners), None)
    asked: dict[str, Any] = {"net": view, "topology": topology, "socket_owners": {1: (1,), 2: (10,)}}
    processes = (process(1, NODE), process(10, NODE))
    answer = inspected(subject([placed("web", 10)], (), *processes, **asked))
    assert [(each.port, each.pids, each.command) for each in answer.sockets] == [(80, (10,), "p10")]
    everything = inspected(subject([placed("node1", 1)], (), *processes, kind="node", **asked))
    assert [each.port for each in everything.sockets] == [22, 80]


def test_nothing_at_all_is_an_answer() -> None:
    answer = inspected(Subject("web", "container", "node1"))
    assert (answer.containers, answer.interfaces, answer.namespaces, answer.labels) == ((), (), (), {})
