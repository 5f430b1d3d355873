"""Whose namespaces are: told from records made by hand."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import pytest

from netfs.container.namespaces import findings, selected, subject, told
from netfs.model.containers import SANDBOX, Container, Engine, Placed
from netfs.model.namespaces import Namespace, OpenFile, Pin

HOME = 100
OTHER = 101
TOLD = ("node", "initial", "containers", "pods", "engine", "shared", "leaked")
INITIAL = {"mnt": HOME, "net": 110, "user": 120}
UUID = "1b2c3d4e-0000-1111-2222-333344445555"


def net(id: int, *pins: Pin, **fields: object) -> Namespace:
    kept = ("processes",) if fields.get("pids") else ("pin",) if pins else ()
    return Namespace("net", id, pins=pins, **{"kept_by": kept, **fields})  # type: ignore[arg-type]


def pin(path: str, mounts: int = HOME, pid: int | None = 1) -> Pin:
    return Pin(path, mounts, pid)


def placed(name: str, *pids: int, **fields: str) -> Placed:
    return Placed(Container(f"id-{name}", name, **fields), pids=pids)  # type: ignore[arg-type]


def in_pod(pod: str, role: str, *pids: int, netns: str = "") -> Placed:
    return placed(f"{pod}-{role}", *pids, pod=pod, namespace="default", role=role, netns=netns)


def tell(
    namespaces: Sequence[Namespace], *containers: Placed, engines: Sequence[Engine] = (), undecided: bool = False
) -> tuple[Namespace, ...]:
    home = Namespace("mnt", HOME, pids=(1,), kept_by=("processes",))
    return told((home, *namespaces), containers, engines, node="node1", initial=INITIAL, undecided=undecided)[1:]


def test_a_namespace_is_of_the_containers_whose_processes_are_in_it() -> None:
    web, other = tell([net(1, pids=(10, 11)), net(2, pids=(20,))], placed("web", 11, 12), placed("db", 30))
    assert (web.containers, web.pods, web.node) == (("web",), (), "node1")
    assert other.containers == ()


def test_a_pods_namespace_is_shared_by_its_containers_and_not_with_its_sandbox() -> None:
    sandbox = in_pod("pod-a", SANDBOX, 10)
    (alone,) = tell([net(1, pids=(10, 11))], sandbox, in_pod("pod-a", "app", 11))
    assert (alone.shared, alone.pods) == (False, ("default/pod-a",))
    assert alone.containers == ("default/pod-a/app", "default/pod-a/sandbox")
    (both,) = tell([net(1, pids=(10, 11, 12))], sandbox, in_pod("pod-a", "app", 11), in_pod("pod-a", "log", 12))
    assert both.shared


def test_a_namespace_of_two_sandboxes_is_shared() -> None:
    (found,) = tell([net(1, pids=(10, 20))], in_pod("pod-a", SANDBOX, 10), in_pod("pod-b", SANDBOX, 20))
    assert (found.shared, found.pods) == (True, ("default/pod-a", "default/pod-b"))


def test_a_container_that_plays_a_node_does_not_share_what_its_containers_have() -> None:
    node, pod = placed("kind", 5, 10, 11), in_pod("pod-a", "app", 10, 11)
    own, inner, both = tell([net(1, pids=(5,)), net(2, pids=(10, 11)), net(3, pids=(5, 10))], pod, node)
    assert [each.containers for each in (own, inner)] == [("kind",), ("default/pod-a/app",)]
    assert [each.shared for each in (own, inner, both)] == [False, False, True]


def test_what_was_read_of_a_namespace_stays_as_it_is() -> None:
    read = Namespace(
        *("pid", 1, "0:4", 2, 3, 4, (5,), (6,), (7,), (pin("/run/x"),), (OpenFile(8, 9),), 10),
        *(("processes",), 5, "sh", 11),
    )
    (found,) = tell([read])
    blank: dict[str, Any] = {each.name: each.default for each in fields(Namespace) if each.name in TOLD}
    assert replace(found, **blank) == read
    assert all(getattr(read, each.name) != each.default for each in fields(Namespace) if each.name not in TOLD)


def test_the_nodes_own_is_that_of_its_first_process() -> None:
    own, same_inode = tell([net(110, pids=(1, 10)), Namespace("uts", 110)], in_pod("pod-a", "app", 10))
    assert (own.initial, own.leaked, own.containers) == (True, False, ("default/pod-a/app",))
    assert not same_inode.initial


def test_what_only_a_pin_keeps_leaked() -> None:
    (found,) = tell([net(1, pin("/run/netns/blue"))])
    assert found.leaked


@pytest.mark.parametrize(
    "kept",
    [
        net(1, pin("/run/netns/blue"), pids=(10,)),
        net(1, pin("/run/netns/blue"), threads=(10,), kept_by=("threads", "pin")),
        net(1, pin("/run/netns/blue"), open_files=(OpenFile(10, 3),), kept_by=("pin", "file")),
        Namespace("pid", 1, pins=(pin("/run/pidns/blue"),), children_of=(10,), kept_by=("pin", "children")),
        Namespace("user", 1, pins=(pin("/run/userns/blue"),), kept_by=("pin", "owned")),
        net(110, pin("/run/docker/netns/default")),
        net(1),
    ],
)
def test_what_something_else_keeps_or_the_node_has_did_not_leak(kept: Namespace) -> None:
    (found,) = tell([kept])
    assert not found.leaked


def test_nothing_leaked_where_an_engine_could_not_be_asked() -> None:
    (found,) = tell([net(1, pin("/run/netns/blue"))], undecided=True)
    assert not found.leaked
    assert findings([found]) == ()


@pytest.mark.parametrize("said", [f"/run/netns/cni-{UUID}", f"/var/run/netns/cni-{UUID}"])
def test_what_an_engine_knows_did_not_leak_and_is_its_pods(said: str) -> None:
    """Also where its container has ended: the engine removes it with the pod."""
    sandbox = in_pod("pod-a", SANDBOX, netns=said).container
    (found,) = tell([net(1, pin(f"/run/netns/cni-{UUID}"))], engines=[Engine("containerd", "", containers=(sandbox,))])
    assert (found.leaked, found.engine, found.pods) == (False, "containerd", ("default/pod-a",))


def test_the_other_namespaces_that_pinns_pinned_for_a_sandbox_are_its_own() -> None:
    sandbox = in_pod("pod-a", SANDBOX, netns=f"/var/run/netns/{UUID}").container
    ipc = Namespace("ipc", 1, pins=(pin(f"/run/ipcns/{UUID}"),), kept_by=("pin",))
    other = Namespace("uts", 2, pins=(pin(f"/run/utsns/f{UUID[1:]}"),), kept_by=("pin",))
    found, lost = tell([ipc, other], engines=[Engine("cri-o", "", containers=(sandbox,))])
    assert (found.leaked, found.pods, found.engine) == (False, ("default/pod-a",), "cri-o")
    assert (lost.leaked, lost.pods) == (True, ())


def test_of_two_pins_at_one_path_the_one_in_the_nodes_mount_namespace_is_meant() -> None:
    path = "/run/docker/netns/0123456789ab"
    web = Engine("docker", "", containers=(in_pod("pod-a", "app", netns=path).container,))
    inner, outer = tell([net(1, pin(path, OTHER)), net(2, pin(path))], engines=[web])
    assert (inner.pods, outer.pods) == ((), ("default/pod-a",))
    assert not inner.leaked  # it may be that engine's all the same


def test_of_two_pins_at_one_path_elsewhere_neither_is_anybodys() -> None:
    path = "/run/docker/netns/0123456789ab"
    web = Engine("docker", "", containers=(in_pod("pod-a", "app", netns=path).container,))
    assert [each.pods for each in tell([net(1, pin(path, 7)), net(2, pin(path, 8))], engines=[web])] == [(), ()]


def test_dockers_sandboxes_of_networks_stay_as_long_as_docker_is_there() -> None:
    swarm = [net(1, pin("/run/docker/netns/1-abcdefghij")), net(2, pin("/run/docker/netns/ingress_sbox"))]
    assert not any(each.leaked for each in tell(swarm, engines=[Engine("docker", "")]))
    assert all(each.leaked for each in tell(swarm))


def test_what_snapd_keeps_ready_is_no_leak() -> None:
    (found,) = tell([Namespace("mnt", 1, pins=(pin("/run/snapd/ns/lxd.mnt"),), kept_by=("pin",))])
    assert not found.leaked


@pytest.mark.parametrize(
    ("path", "severity"),
    [
        (f"/run/netns/cni-{UUID}", "warning"),
        (f"/run/netns/netns-{UUID}", "warning"),
        (f"/run/user/1000/netns/netns-{UUID}", "warning"),
        (f"/run/netns/{UUID}", "warning"),
        (f"/run/ipcns/{UUID}", "warning"),
        ("/run/docker/netns/0123456789ab", "warning"),
        ("/run/netns/0123456789ab", "info"),
        ("/run/netns/blue", "info"),
        (f"/run/netns/cni-{UUID}0", "info"),
        ("/run/docker/netns/0123456789abc", "info"),
    ],
)
def test_a_finding_is_severe_where_the_name_is_an_engines(path: str, severity: str) -> None:
    (found,) = findings(tell([net(1, pin(path))]))
    assert (found.slug, found.severity, found.object) == ("namespace-leaked", severity, "node1/net:[1]")
    assert path in found.evidence
    assert ("on purpose" in found.evidence) == (severity == "info")


def test_in_another_mount_namespace_an_engine_may_know_better() -> None:
    home = Namespace("mnt", HOME, node="node1", initial=True)
    there, both = tell([net(1, pin(f"/run/netns/cni-{UUID}", OTHER)), net(2, pin(f"/run/netns/cni-f{UUID[1:]}", OTHER),
        pin(f"/run/netns/cni-f{UUID[1:]}"))])  # fmt: skip
    found = findings([home, there, both])
    assert [each.severity for each in found] == ["info", "warning"]
    assert ["was not asked" in each.evidence for each in found] == [True, False]


def fix(*found: Namespace) -> str:
    home = Namespace("mnt", HOME, node="node1", initial=True)
    (finding,) = findings([home, *tell(found)])
    return finding.fix


def test_a_named_network_namespace_is_deleted_by_name() -> None:
    assert fix(net(1, pin("/run/netns/a b"))) == "ip netns delete 'a b'"


def test_another_pin_is_unmounted_and_removed() -> None:
    found = Namespace("uts", 1, pins=(pin("/run/utsns/x;reboot"),), kept_by=("pin",))
    assert fix(found) == "umount '/run/utsns/x;reboot' && rm '/run/utsns/x;reboot'"


def test_a_pin_in_another_mount_namespace_is_removed_in_there() -> None:
    elsewhere = pin("/run/netns/blue", OTHER, 77)
    assert fix(net(1, elsewhere)) == "nsenter -t 77 -m umount /run/netns/blue && nsenter -t 77 -m rm /run/netns/blue"


def test_copies_of_the_nodes_own_pin_need_no_command() -> None:
    assert fix(net(1, pin("/run/netns/blue"), pin("/run/netns/blue", OTHER, 77))) == "ip netns delete blue"


def test_a_pin_that_no_process_can_reach_is_told_in_words() -> None:
    assert "end what holds the mount namespace" in fix(net(1, pin("/run/netns/blue", OTHER, None)))


def _words(command: str) -> list[str]:
    """As bash reads them: what no terminal shows is written as ``$'…'``, which POSIX has since 2024."""
    echo = "printf '%s\\0' " + command.replace(" && ", " '&&' ")
    said = subprocess.run(["bash", "-c", echo], stdout=subprocess.PIPE, check=True, env={"LC_ALL": "C"})
    return [os.fsdecode(word) for word in said.stdout.split(b"\0")[:-1]]


@pytest.mark.parametrize("name", ["-all", "a'b", "$(reboot)", "\n", "\x1b[2J", "\udcff", "ü", "..", "`x`"])
def test_a_hostile_name_stays_one_word_of_the_command(name: str) -> None:
    command = fix(net(1, pin(f"/run/netns/{name}")))
    words = _words(command)
    assert words in (
        ["ip", "netns", "delete", name],
        ["umount", f"/run/netns/{name}", "&&", "rm", f"/run/netns/{name}"],
    )


def test_a_namespace_is_selected_by_inode_link_process_and_pin() -> None:
    blue, uts = net(4026532001, pin("/run/netns/blue"), pids=(7,)), Namespace("uts", 4026532002, pids=(7, 8))
    child = Namespace("pid", 4026532003, children_of=(7,))
    every = (blue, uts, child, Namespace("pid", 4026532004, pids=(7,)))
    assert selected(every, "4026532001") == (blue,)
    assert selected(every, "net:[4026532001]") == (blue,)
    assert selected(every, "uts:[4026532001]") == ()
    assert selected(every, "/proc/8/ns/uts") == (uts,)
    assert selected(every, "/proc/7/ns/pid_for_children") == (child,)
    assert selected(every, "/proc/7/ns/pid") == (every[3],)
    assert selected(every, "/var/run/netns/blue") == (blue,)
    assert selected(every, "/run/netns/green") == ()
    assert [selected(every, target) for target in ("web", "default/web", "", "net:[1", "4026532001]")] == [None] * 5


def test_a_namespace_is_called_as_the_kernel_does() -> None:
    assert [subject(net(1)), subject(*tell([net(1)]))] == ["net:[1]", "node1/net:[1]"]
