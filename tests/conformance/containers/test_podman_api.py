"""What a real Podman says of its containers is what netfs makes of it; and netfs does not start it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from netfs.container.engines import docker, podman
from netfs.container.engines.ask import ask
from netfs.container.engines.sockets import Endpoint, found
from netfs.model.containers import Container, Engine, Limits
from tests.conformance.containers.engines import LABEL, PODMAN, RUNNING
from tests.conformance.containers.printed import Netfs, Said, agree
from tests.conformance.stores.podman import Podman

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def engine(pod: Podman) -> Engine:
    return podman.read(pod.machine.root + PODMAN)


@pytest.fixture(scope="module")
def containers(engine: Engine) -> Mapping[str, Container]:
    return {container.name: container for container in engine.containers}


def test_the_socket_is_found_and_left_alone(pod: Podman) -> None:
    root = pod.machine.root
    assert Endpoint("podman", root + PODMAN) in found(root)
    assert [each for each in ask(root) if each.name == "podman"] == []


def test_the_engine_is_what_it_says(pod: Podman, engine: Engine) -> None:
    assert engine.gaps == ()
    assert engine.name == "podman"
    assert engine.version == pod("version", "--format", "{{.Client.Version}}")
    assert engine.cgroup_driver == pod("info", "--format", "{{.Host.CgroupManager}}")


def test_by_dockers_words_it_is_the_same(pod: Podman, engine: Engine) -> None:
    assert docker.read(pod.machine.root + PODMAN) == engine


def test_every_field_is_what_podman_inspect_says(pod: Podman, containers: Mapping[str, Container]) -> None:
    told = pod.json("container", "inspect", *containers)
    assert sorted(containers) == sorted(pod("ps", "-a", "--format", "{{.Names}}").splitlines())
    for each in told:
        name, state = each["Name"], each["State"]
        container = containers[name]
        assert container.id == each["Id"]
        assert container.image == f"sha256:{each['Image']}"
        assert container.image_name == each["ImageName"]
        assert container.state == state["Status"]
        assert container.pid == (state["Pid"] or None)
        assert container.created_at == each["Created"]
        assert container.started_at == ("" if name == "created" else state["StartedAt"])
        assert container.labels == (each["Config"]["Labels"] or {})
        assert container.command == (each["Path"], *each["Args"])
        assert container.runtime == "podman"
        assert container.netns == each["NetworkSettings"]["SandboxKey"]
        given = {mount["Destination"]: mount["Source"] for mount in each["Mounts"]}
        assert container.mounts.items() >= given.items()
        assert container.mounts.get("/scratch") == ("tmpfs" if name == "A.odd_name-1" else None)


def test_limits_are_what_was_asked_for(containers: Mapping[str, Container]) -> None:
    assert containers["limited"].limits == Limits(150_000, 100_000, 512, "0", 64 << 20, 96 << 20, 77)
    quota = containers["quota"].limits
    assert quota == Limits(cpu_quota_us=20_000, cpu_period_us=50_000)


def test_odd_labels_and_states_are_kept(containers: Mapping[str, Container]) -> None:
    assert containers["limited"].labels == {"odd": LABEL, "empty": ""}
    states = {name: container.state for name, container in containers.items()}
    assert (states["paused"], states["ended"], states["created"]) == ("paused", "exited", "created")


def test_a_pod_is_told_with_its_holder(pod: Podman, containers: Mapping[str, Container]) -> None:
    (infra,) = (each for each in containers.values() if each.role == "sandbox")
    app = containers["in-pod"]
    assert (infra.called, app.called) == ("web/sandbox", "web/in-pod")
    assert (infra.sandbox, app.sandbox) == ("", infra.id)
    assert {each.pod for each in containers.values()} == {"web", ""}
    assert {each.pod_uid for each in (infra, app)} == {pod.json("pod", "inspect", "web")["Id"]}


def test_the_kernel_has_them_where_podman_says(pod: Podman, containers: Mapping[str, Container]) -> None:
    root = pod.machine.root
    for name in (*RUNNING, "in-pod"):
        container = containers[name]
        lines = Path(f"{root}/proc/{container.pid}/cgroup").read_text().splitlines()
        paths = {line.split(":", 2)[1]: line.split(":", 2)[2] for line in lines}
        assert paths.get("memory", paths.get("")) == container.cgroup


def said(told: Mapping[str, Any]) -> Said:
    """What Podman says of a container."""
    name, state, host, command = told["Name"], told["State"], told["HostConfig"], told["Config"]["Cmd"]
    return Said(
        called="web/in-pod" if name == "in-pod" else name,
        id=told["Id"],
        state=state["Status"],
        runtime="podman",
        image=told["ImageName"],
        command=command,
        pid=state["Pid"],
        started="" if name == "created" else state["StartedAt"],
        memory=host["Memory"],
        pids=max(host["PidsLimit"], 0),
        cpus=host["NanoCpus"] / 1e9 or host["CpuQuota"] / (host["CpuPeriod"] or 100_000),
        top=[" ".join(command)] if state["Pid"] else [],
    )


def test_what_the_commands_print_is_what_podman_says(pod: Podman, netfs: Netfs) -> None:
    told = pod.json("container", "inspect", "limited", "quota", "ended", "created", "in-pod")
    agree(netfs, pod.machine, map(said, told))
