"""What ``netfs inspect`` tells of a real container is what Docker says of it, and what is seen from within."""

from __future__ import annotations

import json

import pytest

import netfs
from netfs.container.containers import Containers
from netfs.model.inspected import InspectedContainer
from tests.conformance.stores.docker import Docker

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def containers(dockerd: Docker) -> Containers:
    return netfs.containers(f"pid:{dockerd.machine.pid}")


def only(containers: Containers, name: str) -> InspectedContainer:
    (found,) = containers.inspect(name).containers
    return found


@pytest.mark.parametrize("name", ["limited", "networked", "paused"])
def test_its_processes_are_those_of_docker_top(dockerd: Docker, containers: Containers, name: str) -> None:
    found, told = only(containers, name), dockerd.container(name)
    top = dockerd.get(f"/containers/{name}/top?ps_args=-eo+pid,args")["Processes"]
    assert [" ".join(each.command) for each in found.processes] == [args for _, args in top]
    first = found.processes[0]
    assert (found.container.id, first.pid, first.inner_pid, first.depth) == (told["Id"], found.init, 1, 0)
    assert first.command == (told["Path"], *told["Args"])


def test_a_child_stands_below_its_parent(containers: Containers) -> None:
    first, *below = only(containers, "A.odd_name-1").processes
    assert first.comm == "sh"
    assert all((each.ppid, each.depth) == (first.pid, 1) for each in below)


def test_what_it_may_use_is_what_was_asked_for(dockerd: Docker, containers: Containers) -> None:
    limited = only(containers, "limited")
    assert limited.cgroup is not None
    asked = dockerd.container("limited")["HostConfig"]
    effective = limited.cgroup.effective
    assert effective["memory"].value == asked["Memory"]
    assert effective["pids"].value == asked["PidsLimit"]
    assert effective["cpu"].value == asked["NanoCpus"] // 1000
    assert {each.at for each in effective.values()} == {limited.cgroup.path}
    assert limited.cgroup.path.endswith(limited.container.id)


def test_its_root_and_mounts_are_those_that_docker_made(dockerd: Docker, containers: Containers) -> None:
    limited = only(containers, "limited")
    told = dockerd.container("limited")
    assert limited.root is not None
    assert limited.root.type == "overlay"
    assert limited.chain is not None
    assert limited.chain.mountpoint == told["GraphDriver"]["Data"]["MergedDir"]
    assert limited.facts is not None
    assert {mount["Destination"] for mount in told["Mounts"]} <= {mount.path for mount in limited.facts.mounts}
    assert limited.facts.privileges.seccomp == "filter"
    assert not limited.facts.privileges.all_capabilities


def test_its_network_is_dockers(dockerd: Docker, containers: Containers) -> None:
    answer = containers.inspect("networked")
    told = dockerd.container("networked")["NetworkSettings"]["Networks"]["own"]
    (eth0,) = (each for each in answer.interfaces if each.name == "eth0")
    assert eth0.addresses[0] == f"{told['IPAddress']}/{told['IPPrefixLen']}"
    assert eth0.mac == told["MacAddress"]
    bridge = dockerd.machine.text("ip", "-j", "link", "show", "dev", eth0.peer)
    assert json.loads(bridge)[0]["master"] == eth0.bridge == f"br-{told['NetworkID'][:12]}"
    routes = dockerd.machine.text("nsenter", f"--net={told_key(dockerd)}", "ip", "route")
    assert list(answer.routes) == [line.rstrip() for line in routes.splitlines()]
    resolver = only(containers, "networked").facts
    assert resolver is not None
    assert resolver.resolver is not None
    assert resolver.resolver.nameservers == ("127.0.0.11",)
    assert {each.address for each in answer.sockets} == {"127.0.0.11"}


def told_key(dockerd: Docker) -> str:
    key: str = dockerd.container("networked")["NetworkSettings"]["SandboxKey"]
    return key


def test_a_pod_shares_its_network_and_nothing_else(containers: Containers) -> None:
    answer = containers.inspect("shop/pod-a")
    assert (answer.kind, [each.container.role for each in answer.containers]) == ("pod", ["app", "sandbox"])
    app, sandbox = answer.containers
    shared = {space.type for space in app.namespaces if space.shared_with == (sandbox.container.called,)}
    assert shared == {"net"}
    assert {space.type for space in app.namespaces if space.own} == {"ipc", "mnt", "pid", "uts"}


def test_one_that_ended_has_what_docker_wrote_down(dockerd: Docker, containers: Containers) -> None:
    ended = only(containers, "ended")
    assert (ended.container.state, ended.init, ended.processes, ended.facts) == ("exited", None, (), None)
    assert ended.container.command == ("/bin/true",)
    assert ended.chain is not None
