"""What a real dockerd says of its containers is what netfs makes of it, and what the kernel has."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from netfs.container.engines import docker as reader
from netfs.container.engines.ask import ask
from netfs.container.engines.sockets import Endpoint, found
from netfs.model.containers import Container, Engine, Limits
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import settings
from tests.conformance.containers import engines
from tests.conformance.containers.engines import DOCKER, LABEL, POD_LABELS, RUNNING
from tests.conformance.containers.printed import Netfs, Said, agree
from tests.conformance.stores.docker import Docker

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def engine(dockerd: Docker) -> Engine:
    return reader.read(dockerd.machine.root + DOCKER)


@pytest.fixture(scope="module")
def containers(engine: Engine) -> Mapping[str, Container]:
    return {container.name: container for container in engine.containers}


def test_the_daemon_is_found_and_asked(dockerd: Docker, engine: Engine) -> None:
    root = dockerd.machine.root
    assert Endpoint("docker", root + DOCKER) in found(root)
    assert engine in ask(root, timeout=10)
    with Root("/") as host:
        assert DOCKER in {words[2].removeprefix("unix://") for words in settings.running(host, ("dockerd",))}


def test_the_engine_is_what_it_says(dockerd: Docker, engine: Engine) -> None:
    assert engine.gaps == ()
    assert engine.name == "docker"
    assert engine.endpoint == f"unix://{dockerd.machine.root}{DOCKER}"
    assert engine.version == dockerd("version", "--format", "{{.Server.Version}}")
    assert engine.cgroup_driver == dockerd("info", "--format", "{{.CgroupDriver}}")


def test_every_field_is_what_docker_inspect_says(dockerd: Docker, containers: Mapping[str, Container]) -> None:
    names = dockerd("ps", "-a", "--format", "{{.Names}}").splitlines()
    assert set(containers) == set(names)
    for name, container in containers.items():
        told = dockerd.container(name)
        state = told["State"]
        assert container.id == told["Id"]
        assert container.image == told["Image"]
        assert container.image_name == told["Config"]["Image"]
        assert container.state == state["Status"]
        assert container.pid == (state["Pid"] or None)
        assert container.created_at == told["Created"]
        assert container.started_at == ("" if name == "created" else state["StartedAt"])
        assert container.labels == told["Config"]["Labels"]
        assert container.command == (told["Path"], *told["Args"])
        assert container.runtime == "docker"
        assert container.netns == told["NetworkSettings"]["SandboxKey"]
        given = {mount["Destination"]: mount["Source"] for mount in told["Mounts"]}
        assert container.mounts.items() >= given.items()
        assert container.mounts.get("/scratch") == ("tmpfs" if name == "A.odd_name-1" else None)


def test_limits_are_what_was_asked_for(containers: Mapping[str, Container]) -> None:
    assert containers["limited"].limits == Limits(150_000, 100_000, 512, "0", 64 << 20, 96 << 20, 77)
    assert containers["quota"].limits == Limits(cpu_quota_us=20_000, cpu_period_us=50_000)
    assert containers["paused"].limits == Limits()


def test_odd_labels_and_states_are_kept(containers: Mapping[str, Container]) -> None:
    assert containers["limited"].labels["odd"] == LABEL
    assert containers["limited"].labels["empty"] == ""
    states = {name: container.state for name, container in containers.items()}
    assert (states["paused"], states["ended"], states["created"]) == ("paused", "exited", "created")


def test_a_pod_is_told_by_labels(containers: Mapping[str, Container]) -> None:
    sandbox, app = containers["k8s_POD"], containers["k8s_app"]
    assert (sandbox.called, app.called) == ("shop/pod-a/sandbox", "shop/pod-a/app")
    assert (sandbox.sandbox, app.sandbox) == ("", sandbox.id)
    assert {each.pod_uid for each in (sandbox, app)} == {POD_LABELS["io.kubernetes.pod.uid"]}


def test_the_kernel_has_them_where_the_daemon_says(dockerd: Docker, containers: Mapping[str, Container]) -> None:
    root = dockerd.machine.root
    for name in RUNNING:
        container = containers[name]
        lines = Path(f"{root}/proc/{container.pid}/cgroup").read_text().splitlines()
        paths = {line.split(":", 2)[1]: line.split(":", 2)[2] for line in lines}
        assert paths.get("memory", paths.get("")) == container.cgroup
        with Root(root) as opened:
            assert opened.status(container.netns).st_ino == os.stat(f"{root}/proc/{container.pid}/ns/net").st_ino


def test_addresses_are_those_of_the_network(dockerd: Docker, containers: Mapping[str, Container]) -> None:
    told = dockerd("inspect", "--format", "{{.NetworkSettings.Networks.own.IPAddress}}", "networked")
    assert told.startswith(engines.NETWORK.removesuffix("0/24"))
    assert containers["networked"].addresses == (told,)
    assert containers["limited"].addresses == ()


def said(dockerd: Docker, name: str) -> Said:
    """What Docker says of a container."""
    told = dockerd.container(name)
    state, host = told["State"], told["HostConfig"]
    top = dockerd.get(f"/containers/{name}/top?ps_args=-eo+pid,args")["Processes"] if state["Pid"] else []
    return Said(
        called=name,
        id=told["Id"],
        state=state["Status"],
        runtime="docker",
        image=told["Config"]["Image"],
        command=(told["Path"], *told["Args"]),
        pid=state["Pid"],
        started="" if name == "created" else state["StartedAt"],
        memory=host["Memory"],
        pids=max(host["PidsLimit"] or 0, 0),
        cpus=host["NanoCpus"] / 1e9 or host["CpuQuota"] / (host["CpuPeriod"] or 100_000),
        addresses=[each["IPAddress"] for each in told["NetworkSettings"]["Networks"].values() if each["IPAddress"]],
        top=[args for _, args in top],
    )


def test_what_the_commands_print_is_what_docker_says(dockerd: Docker, netfs: Netfs) -> None:
    names = ("limited", "quota", "paused", "networked", "ended", "created")
    agree(netfs, dockerd.machine, [said(dockerd, name) for name in names])
