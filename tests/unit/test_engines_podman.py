"""What Podman answers at its socket becomes records, with the pods; also where it is taken for Docker."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest

from netfs.container.engines import docker, podman
from netfs.model.containers import Container, Engine, Limits
from tests.unit.engine_server import HANG, Said, answer, serving

WEB, INFRA, POD = "a" * 64, "b" * 64, "d" * 64
IMAGE = "1" * 64


def inspected(identity: str = WEB, name: str = "web", **more: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "Id": identity,
        "Name": name,
        "Created": "2026-11-21T20:58:00.807685037+01:00",
        "Path": "/bin/sleep",
        "Args": ["1000"],
        "State": {
            "Status": "running",
            "Running": True,
            "Pid": 110,
            "ConmonPid": 108,
            "StartedAt": "2026-11-21T20:58:01.1012088+01:00",
            "CgroupPath": f"/machine.slice/libpod-{identity}.scope",
        },
        "Image": IMAGE,
        "ImageName": "localhost/base:1",
        "Pod": "",
        "HostsPath": "/run/containers/storage/hosts",
        "HostnamePath": "",
        "Mounts": [{"Type": "bind", "Source": "/run/etc", "Destination": "/data/vol"}],
        "Config": {"Image": "localhost/base:1", "Labels": {"x": "ü\n\x01y"}},
        "HostConfig": {
            "CgroupManager": "systemd",
            "CgroupParent": "",
            "CpuPeriod": 100_000,
            "CpuQuota": 150_000,
            "NanoCpus": 1_500_000_000,
            "CpuShares": 512,
            "CpusetCpus": "0",
            "Memory": 64 << 20,
            "MemorySwap": 128 << 20,
            "PidsLimit": 77,
            "Tmpfs": {"/tt": "rw,nosuid"},
        },
        "NetworkSettings": {
            "SandboxKey": "/run/netns/netns-5f8c",
            "Networks": {"podman": {"IPAddress": "10.88.0.2", "GlobalIPv6Address": ""}},
        },
    }
    for key, value in more.items():
        told[key] = {**told[key], **value} if isinstance(value, dict) else value
    return told


def entry(container: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "Id": container["Id"],
        "Names": [container["Name"]],
        "Image": "localhost/base:1",
        "ImageID": IMAGE,
        "IsInfra": False,
        "Pod": "",
        "PodName": "",
        "Pid": 110,
        "State": "running",
        "Command": ["/bin/sleep", "1000"],
        "Labels": container["Config"]["Labels"],
        "Created": "2026-11-21T20:58:00.807685037+01:00",
        "StartedAt": 1_795_291_080,
        **more,
    }


def answers(*pairs: tuple[dict[str, Any], dict[str, Any]], version: str = "4.3.1") -> dict[str, Said]:
    """``pairs``: the entry in the list, and the answer to ``inspect``."""
    headers = {"Libpod-API-Version": version, "Server": f"Libpod/{version} (linux)"}
    below = f"/v{version}/libpod"
    documents: dict[str, object] = {
        f"{below}/containers/json?all=true": [listed for listed, _ in pairs],
        f"{below}/info": {"host": {"cgroupManager": "cgroupfs"}},
        "/version": {"Components": [{"Name": "Podman Engine", "Version": version}], "Version": version},
    }
    documents |= {f"{below}/containers/{document['Id']}/json": document for _, document in pairs}
    told: dict[str, Said] = {target: answer(document, headers=headers) for target, document in documents.items()}
    return told | {"/libpod/_ping": answer(b"OK", headers=headers)}


def read(tmp_path: Path, said: dict[str, Said], timeout: float = 5) -> Engine:
    with serving(tmp_path / "s", said) as daemon:
        return podman.read(daemon.path, timeout)


@pytest.mark.parametrize("version", ["4.3.1", "5.6.0"])
def test_everything_that_is_told_is_kept(tmp_path: Path, version: str) -> None:
    found = read(tmp_path, answers((entry(inspected()), inspected()), version=version))
    assert found == Engine(
        "podman",
        f"unix://{tmp_path}/s",
        version=version,
        cgroup_driver="systemd",
        containers=(
            Container(
                WEB,
                name="web",
                image=f"sha256:{IMAGE}",
                image_name="localhost/base:1",
                state="running",
                pid=110,
                created_at="2026-11-21T20:58:00.807685037+01:00",
                labels={"x": "ü\n\x01y"},
                mounts={"/data/vol": "/run/etc", "/tt": "tmpfs", "/etc/hosts": "/run/containers/storage/hosts"},
                runtime="podman",
                started_at="2026-11-21T20:58:01.1012088+01:00",
                command=("/bin/sleep", "1000"),
                cgroup=f"/machine.slice/libpod-{WEB}.scope",
                limits=Limits(150_000, 100_000, 512, "0", 64 << 20, 128 << 20, 77),
                addresses=("10.88.0.2",),
                netns="/run/netns/netns-5f8c",
            ),
        ),
    )


def test_a_pod_is_held_by_its_infra_container(tmp_path: Path) -> None:
    web, infra = inspected(Pod=POD), inspected(INFRA, "ddd-infra", Pod=POD)
    in_pod = {"Pod": POD, "PodName": "shop"}
    found = read(tmp_path, answers((entry(web, **in_pod), web), (entry(infra, IsInfra=True, **in_pod), infra)))
    assert [(each.called, each.role, each.sandbox) for each in found.containers] == [
        ("shop/web", "", INFRA),
        ("shop/sandbox", "sandbox", ""),
    ]


def test_a_pod_may_have_no_holder_and_no_name(tmp_path: Path) -> None:
    web = inspected(Pod=POD)
    found = read(tmp_path, answers((entry(web, Pod=POD), web)))
    assert [(each.pod, each.pod_uid, each.sandbox) for each in found.containers] == [(POD, POD, "")]


def test_of_one_that_cannot_be_inspected_the_list_is_kept(tmp_path: Path) -> None:
    said = answers((entry(inspected()), inspected()))
    said[f"/v4.3.1/libpod/containers/{WEB}/json"] = answer({"cause": "x", "message": "locked"}, 500)
    found = read(tmp_path, said)
    (web,) = found.containers
    assert (web.name, web.pid, web.state, web.command) == ("web", 110, "running", ("/bin/sleep", "1000"))
    assert (web.image, web.image_name, web.limits) == (f"sha256:{IMAGE}", "localhost/base:1", None)
    assert [gap.reason for gap in found.gaps] == ["1 of 1 are known by the engine's list alone: answered 500: locked"]
    assert found.cgroup_driver == "cgroupfs"


def test_without_containers_podman_itself_names_the_driver(tmp_path: Path) -> None:
    assert read(tmp_path, answers()).cgroup_driver == "cgroupfs"


def test_podman_that_is_taken_for_docker_is_asked_as_podman(tmp_path: Path) -> None:
    web = inspected(Pod=POD)
    with serving(tmp_path / "s", answers((entry(web, Pod=POD, PodName="shop"), web))) as daemon:
        assert docker.read(daemon.path) == podman.read(daemon.path)
        assert daemon.connections == 2
    assert docker.read(daemon.path).name == "docker"


@pytest.mark.parametrize("said", [HANG, answer(b"OK"), answer({"message": "x"}, 500), b"\x00\x01\n\n"])
def test_what_is_not_podman_is_a_gap(tmp_path: Path, said: Said) -> None:
    found = read(tmp_path, {"/libpod/_ping": said}, timeout=0.2)
    assert (found.name, found.containers, len(found.gaps)) == ("podman", (), 1)


def test_a_version_that_is_none_is_not_asked_for(tmp_path: Path) -> None:
    said = answers((entry(inspected()), inspected()), version="4.0.0")
    said["/libpod/_ping"] = answer(b"OK", headers={"Libpod-API-Version": "../x y"})
    found = read(tmp_path, said)
    assert (found.version, len(found.containers)) == ("../x y", 1)


VALUES: tuple[object, ...] = (None, True, 0, -1, 10**400, 1.5, "", "\0", "\ud800", "../x", [], [None], {}, {"": None})


def test_no_value_is_believed_to_be_what_it_should(tmp_path: Path) -> None:
    random = Random(5)
    with serving(tmp_path / "s", {}) as daemon:
        for _ in range(100):
            web, infra = inspected(Pod=POD), inspected(INFRA, "i", Pod=POD)
            pairs = [(entry(web, Pod=POD), web), (entry(infra, Pod=POD, IsInfra=True), infra)]
            for document in random.choices([each for pair in pairs for each in pair], k=3):
                key = random.choice([key for key in document if key != "Id"])
                inner = document[key]
                if isinstance(inner, dict) and random.random() < 0.7:
                    inner[random.choice(list(inner))] = random.choice(VALUES)
                else:
                    document[key] = random.choice(VALUES)
            daemon.answers = answers(*pairs)
            found = podman.read(daemon.path, 0.5)
            assert {each.id for each in found.containers} <= {WEB, INFRA}
            for each in found.containers:
                hash((each.called, each.in_pod, each.command, each.addresses, each.limits, each.sandbox))
                f"{each}".encode()
