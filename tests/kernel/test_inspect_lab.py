"""``netfs inspect`` over a running lab: what it tells of a pod is what the kernel and iproute2 say."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import netfs
import netfs.lab
from netfs.errors import EndpointError
from netfs.lab.state import LabState
from netfs.model.inspected import Inspected
from netfs_cli.run import run

pytestmark = pytest.mark.kernel

SCHEMAS = Path(__file__).parents[2] / "docs" / "schema"

Say = Callable[..., list[str]]


@pytest.fixture(scope="module")
def lab() -> Iterator[LabState]:
    name = f"inspect-{os.getpid()}-{time.monotonic_ns() % 10**9}"
    made = netfs.lab.up(name)
    try:
        yield made
    finally:
        netfs.lab.down(name)


@pytest.fixture(scope="module")
def pod_a(lab: LabState) -> Inspected:
    return netfs.containers(f"lab:{lab.name}").inspect("pod-a")


@pytest.fixture
def say(lab: LabState, capfd: pytest.CaptureFixture[str]) -> Say:
    """What a command says in a member of the lab, line by line."""

    def run_in(member: str, *argv: str) -> list[str]:
        assert netfs.lab.execute(lab.name, member, argv) == 0
        return [line.rstrip() for line in capfd.readouterr().out.splitlines()]

    return run_in


def test_its_process_and_namespaces_are_the_kernels(lab: LabState, pod_a: Inspected) -> None:
    pid = lab.member("pod-a").pid
    (app,) = pod_a.containers
    assert (pod_a.name, pod_a.kind, pod_a.node, app.init) == ("default/pod-a", "pod", "node1", pid)
    assert [each.pid for each in app.processes] == [pid]
    assert app.facts is not None
    for space in app.namespaces:
        assert space.id == os.stat(f"/proc/{pid}/ns/{space.type}").st_ino
        node = os.stat(f"/proc/{lab.member('node1').pid}/ns/{space.type}").st_ino
        assert (space.own, space.with_node) == ((False, True) if space.id == node else (True, False))
    assert {space.type for space in app.namespaces if space.own} >= {"net", "mnt", "pid"}


def test_its_way_out_is_made_of_devices_that_are_there(pod_a: Inspected, say: Say) -> None:
    eth0 = next(each for each in pod_a.interfaces if each.name == "eth0")
    assert (eth0.kind, eth0.peer_netns, eth0.bridge) == ("veth", "node1", "cni0")
    assert eth0.way == ("eth0", eth0.peer, "cni0", "eth0")
    (peer,) = json.loads("".join(say("node1", "ip", "-j", "link", "show", "dev", eth0.peer)))
    (own,) = json.loads("".join(say("pod-a", "ip", "-j", "address", "show", "dev", "eth0")))
    assert (peer["master"], peer["link_index"]) == ("cni0", own["ifindex"])
    assert (eth0.mac, eth0.mtu) == (own["address"], own["mtu"])
    assert set(eth0.addresses) == {f"{each['local']}/{each['prefixlen']}" for each in own["addr_info"]}
    (leaves,) = json.loads("".join(say("node1", "ip", "-j", "route", "get", "192.0.2.1")))
    assert eth0.way[-1] == leaves["dev"]


def test_its_routes_are_those_that_ip_prints(pod_a: Inspected, say: Say) -> None:
    four, six = say("pod-a", "ip", "-4", "route"), say("pod-a", "ip", "-6", "route")
    assert list(pod_a.routes) == four + [line.removesuffix(" pref medium") for line in six]


def test_who_listens_is_named(lab: LabState, pod_a: Inspected) -> None:
    pid = lab.member("pod-a").pid
    assert {(each.proto, each.port, each.pids) for each in pod_a.sockets} == {
        (proto, port, (pid,)) for proto in ("tcp", "udp") for port in (80, 8080)
    }


def test_its_page_and_its_json_are_of_one_answer(lab: LabState, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["inspect", "pod-a", "--source", f"lab:{lab.name}"]
    text = run(words, program="netfs"), capfd.readouterr().out
    shown = run([*words, "-o", "json"], program="netfs"), json.loads(capfd.readouterr().out)
    assert text[0] == shown[0]
    assert text[1].startswith("pod default/pod-a on node1\n")
    assert len(text[1].splitlines()) <= 45
    assert f"pid {shown[1]['containers'][0]['init']}" in text[1]


def test_a_node_and_a_process_are_told_as_well(lab: LabState) -> None:
    containers = netfs.containers(f"lab:{lab.name}")
    node = containers.inspect("node2")
    pod = containers.inspect(f"pid/{lab.member('pod-b').pid}")
    with pytest.raises(EndpointError):
        containers.inspect("pod-z")
    assert (node.kind, node.containers[0].init) == ("node", lab.member("node2").pid)
    assert {each.name for each in node.interfaces} >= {"lo", "eth0", "cni0", "flannel.1"}
    assert (pod.name, pod.node) == ("default/pod-b/app", "node2")


def test_an_address_leads_to_whom_has_it(lab: LabState, pod_a: Inspected) -> None:
    containers = netfs.containers(f"lab:{lab.name}")
    own = next(each for each in pod_a.interfaces if each.name == "eth0").addresses[0].partition("/")[0]
    node = lab.member("node2").ip
    assert containers.inspect(own).name == "default/pod-a"
    assert {space.pods for space in containers.namespaces(own, types=["net"]).namespaces} == {("default/pod-a",)}
    assert (containers.inspect(node).kind, containers.inspect(node).name) == ("node", "node2")
    with pytest.raises(EndpointError):
        containers.inspect("127.0.0.1")


@pytest.mark.parametrize(
    ("words", "schema"),
    [
        (["inspect", "pod-a"], "inspect"),
        (["inspect", "node2"], "inspect"),
        (["namespaces"], "namespaces"),
        (["namespaces", "pod-b", "--files"], "namespaces"),
        (["cgroups"], "cgroups"),
        (["cgroups", "node1"], "cgroups"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_its_json_is_what_the_schema_says(
    lab: LabState, capfd: pytest.CaptureFixture[str], words: list[str], schema: str
) -> None:
    assert run([*words, "--source", f"lab:{lab.name}", "-o", "json"], program="netfs") == 0
    shown = json.loads(capfd.readouterr().out)
    Draft202012Validator(json.loads((SCHEMAS / f"netfs.{schema}.v1.json").read_text())).validate(shown)
    assert shown["gaps"] == []


def test_what_of_the_host_was_not_read_is_no_gap_of_a_process_of_ours() -> None:
    """PID 1 may not be looked at on many a host, and an ordinary user lists no mount namespaces."""
    answer = netfs.containers("local").inspect(f"pid/{os.getpid()}")
    assert not [gap for gap in answer.gaps if gap.what in ("mount namespaces without a process", "pinned namespaces")]
    assert not [gap for gap in answer.gaps if "pid 1)" in gap.reason]
