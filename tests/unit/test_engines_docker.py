"""What Docker answers at its socket becomes records: of every release's form, of a broken daemon, of a hostile one."""

from __future__ import annotations

import copy
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest

from netfs.container.engines import docker, inspections
from netfs.model.containers import Container, Engine, Limits
from tests.unit.engine_server import HANG, Daemon, Said, answer, docker_answers, serving

WEB, JOB, SANDBOX = "a" * 64, "b" * 64, "c" * 64
IMAGE = "sha256:" + "1" * 64
STARTED = "2026-11-21T19:57:28.3Z"
NEVER = "0001-01-01T00:00:00Z"


def container(identity: str = WEB, name: str = "web", **more: Any) -> dict[str, Any]:
    """As 20.10 tells it."""
    own = f"/var/lib/docker/containers/{identity}"
    told: dict[str, Any] = {
        "Id": identity,
        "Name": f"/{name}",
        "Created": "2026-11-21T19:57:28.092886781Z",
        "Path": "/bin/sleep",
        "Args": ["1000", "a b"],
        "State": {"Status": "running", "Running": True, "Pid": 97, "StartedAt": "2026-11-21T19:57:28.3Z"},
        "Image": IMAGE,
        "ResolvConfPath": f"{own}/resolv.conf",
        "HostnamePath": f"{own}/hostname",
        "HostsPath": f"{own}/hosts",
        "HostConfig": {"Memory": 0, "NanoCpus": 0, "CgroupParent": "", "PidsLimit": None, "Tmpfs": {"/tmp": "size=1m"}},
        "Mounts": [
            {"Type": "bind", "Source": "/srv/data", "Destination": "/data/"},
            {"Type": "volume", "Name": "v", "Source": "/var/lib/docker/volumes/v/_data", "Destination": "/v"},
        ],
        "Config": {"Image": "registry.example/app:1", "Labels": {"who": "it", "x": "ü\n\x01"}},
        "NetworkSettings": {
            "SandboxKey": "/var/run/docker/netns/95f06d7c5ab6",
            "IPAddress": "172.17.0.2",
            "Networks": {
                "bridge": {"IPAddress": "172.17.0.2", "GlobalIPv6Address": ""},
                "own": {"IPAddress": "10.1.0.2", "GlobalIPv6Address": "fd00::2"},
            },
        },
    }
    for key, value in more.items():
        told[key] = {**told[key], **value} if isinstance(value, dict) else value
    return told


def one(tmp_path: Path, *containers: dict[str, Any]) -> Container:
    with serving(tmp_path / "s", docker_answers(*containers)) as daemon:
        found = docker.read(daemon.path)
    assert found.gaps == ()
    return found.containers[0]


def read(tmp_path: Path, answers: dict[str, Said], timeout: float = 5) -> tuple[Engine, Daemon]:
    with serving(tmp_path / "s", answers) as daemon:
        return docker.read(daemon.path, timeout), daemon


def test_everything_that_is_told_is_kept(tmp_path: Path) -> None:
    own = f"/var/lib/docker/containers/{WEB}"
    found, daemon = read(tmp_path, docker_answers(container()))
    assert found == Engine(
        "docker",
        f"unix://{tmp_path}/s",
        version="20.10.24",
        cgroup_driver="systemd",
        containers=(
            Container(
                WEB,
                name="web",
                image=IMAGE,
                image_name="registry.example/app:1",
                state="running",
                pid=97,
                created_at="2026-11-21T19:57:28.092886781Z",
                labels={"who": "it", "x": "ü\n\x01"},
                mounts={
                    "/data": "/srv/data",
                    "/v": "/var/lib/docker/volumes/v/_data",
                    "/tmp": "tmpfs",
                    "/etc/resolv.conf": f"{own}/resolv.conf",
                    "/etc/hostname": f"{own}/hostname",
                    "/etc/hosts": f"{own}/hosts",
                },
                runtime="docker",
                started_at="2026-11-21T19:57:28.3Z",
                command=("/bin/sleep", "1000", "a b"),
                limits=Limits(),
                addresses=("172.17.0.2", "10.1.0.2", "fd00::2"),
                netns="/var/run/docker/netns/95f06d7c5ab6",
            ),
        ),
    )
    assert daemon.connections == 1


@pytest.mark.parametrize(
    ("host_config", "limits"),
    [
        ({"Memory": 64 << 20, "MemorySwap": 128 << 20}, Limits(memory=64 << 20, memory_swap=128 << 20)),
        ({"Memory": 64 << 20, "MemorySwap": -1}, Limits(memory=64 << 20)),
        ({"NanoCpus": 1_500_000_000}, Limits(cpu_quota_us=150_000, cpu_period_us=100_000)),
        ({"CpuQuota": 20_000, "CpuPeriod": 50_000}, Limits(cpu_quota_us=20_000, cpu_period_us=50_000)),
        ({"CpuQuota": -1, "CpuPeriod": 0}, Limits()),
        ({"CpuShares": 512, "CpusetCpus": "0-1"}, Limits(cpu_shares=512, cpuset="0-1")),
        ({"PidsLimit": 77}, Limits(pids=77)),
        ({"PidsLimit": 0}, Limits()),
        ({"PidsLimit": -1}, Limits()),
        ({"Memory": "64m", "NanoCpus": 1.5, "CpusetCpus": 3, "PidsLimit": True}, Limits()),
    ],
)
def test_limits(tmp_path: Path, host_config: dict[str, Any], limits: Limits) -> None:
    assert one(tmp_path, container(HostConfig=host_config)).limits == limits


@pytest.mark.parametrize(
    ("parent", "group"),
    [("", ""), ("/own", f"/own/{WEB}"), ("own.slice", f"own.slice:docker:{WEB}"), (5, "")],
)
def test_a_group_is_told_where_its_parent_is(tmp_path: Path, parent: object, group: str) -> None:
    assert one(tmp_path, container(HostConfig={"CgroupParent": parent})).cgroup == group


@pytest.mark.parametrize(
    ("state", "word", "started"),
    [
        ({"Status": "paused", "Running": True, "Paused": True, "Pid": 5, "StartedAt": STARTED}, "paused", STARTED),
        ({"Status": "exited", "Running": False, "Pid": 0, "StartedAt": STARTED}, "exited", STARTED),
        ({"Status": "created", "Running": False, "Pid": 0, "StartedAt": NEVER}, "created", ""),
        ({"Status": "removing", "Running": False, "Pid": 0, "StartedAt": NEVER}, "removing", ""),
    ],
)
def test_states(tmp_path: Path, state: dict[str, Any], word: str, started: str) -> None:
    found = one(tmp_path, container(State=state))
    assert (found.state, found.started_at, found.pid) == (word, started, state["Pid"] or None)


def test_a_pod_of_kubernetes_is_told_by_labels(tmp_path: Path) -> None:
    pod = {
        "io.kubernetes.pod.name": "pod-a",
        "io.kubernetes.pod.namespace": "default",
        "io.kubernetes.pod.uid": "0b5f2c6e-7d4d-4b6f-8d9c-5a0c7c3a1f11",
    }
    holder = {**pod, "io.kubernetes.docker.type": "podsandbox", "io.kubernetes.container.name": "POD"}
    app = {
        **pod,
        "io.kubernetes.docker.type": "container",
        "io.kubernetes.container.name": "app",
        "io.kubernetes.sandbox.id": SANDBOX,
    }
    answers = docker_answers(
        container(SANDBOX, "k8s_POD_pod-a", Config={"Labels": holder}),
        container(WEB, "k8s_app_pod-a", Config={"Labels": app}),
    )
    found, _ = read(tmp_path, answers)
    assert [(each.called, each.role, each.sandbox, each.pod_uid) for each in found.containers] == [
        ("default/pod-a/sandbox", "sandbox", "", pod["io.kubernetes.pod.uid"]),
        ("default/pod-a/app", "app", SANDBOX, pod["io.kubernetes.pod.uid"]),
    ]


def test_29_tells_less_and_more(tmp_path: Path) -> None:
    """API 1.52: no address outside of networks, images of containerd, empty fields left out."""
    told = container(
        State={"Status": "running", "Running": True, "Pid": 97, "StartedAt": "2026-11-21T19:57:28.3Z"},
        Image="sha256:" + "2" * 64,
    )
    del told["NetworkSettings"]["IPAddress"]
    told["ImageManifestDescriptor"] = {"digest": "sha256:" + "3" * 64}
    told["HostConfig"] = {"Memory": 1 << 30, "CgroupnsMode": "private"}
    told["Storage"] = {"RootFS": {"Snapshot": {"Name": "overlayfs"}}}
    told["Config"]["Labels"] = None
    answers = docker_answers(told, version="29.0.1")
    found, _ = read(tmp_path, answers)
    assert found.version == "29.0.1"
    (only,) = found.containers
    assert only.addresses == ("172.17.0.2", "10.1.0.2", "fd00::2")
    assert (only.limits, only.labels) == (Limits(memory=1 << 30), {})


def test_one_that_goes_meanwhile_is_left_out(tmp_path: Path) -> None:
    answers = docker_answers(container(), container(JOB, "job"))
    del answers[f"/containers/{JOB}/json"]
    found, _ = read(tmp_path, answers)
    assert [each.name for each in found.containers] == ["web"]
    assert found.gaps == ()


def test_of_one_that_cannot_be_inspected_the_list_is_kept(tmp_path: Path) -> None:
    answers = docker_answers(container(), container(JOB, "job"))
    answers[f"/containers/{JOB}/json"] = answer({"message": "broken"}, 500)
    found, _ = read(tmp_path, answers)
    job = found.containers[1]
    assert (job.name, job.image_name, job.state, job.pid, job.limits) == (
        "job",
        "registry.example/app:1",
        "running",
        None,
        None,
    )
    assert job.addresses == ("172.17.0.2", "10.1.0.2", "fd00::2")
    (gap,) = found.gaps
    assert gap.reason == "1 of 2 are known by the engine's list alone: answered 500: broken"


def test_one_that_hangs_does_not_hold_up_the_others(tmp_path: Path) -> None:
    names = [f"{number:064x}" for number in range(6)]
    answers = docker_answers(*(container(name, name[-1]) for name in names))
    answers[f"/containers/{names[1]}/json"] = HANG
    found, _ = read(tmp_path, answers, timeout=0.2)
    assert [each.pid for each in found.containers] == [97, None, 97, 97, 97, 97]
    (gap,) = found.gaps
    assert gap.reason.startswith("1 of 6 are known by the engine's list alone: does not answer")
    assert found.cgroup_driver == "systemd"


def test_two_that_hang_apart_do_not_end_the_asking(tmp_path: Path) -> None:
    names = [f"{number:064x}" for number in range(5)]
    answers = docker_answers(*(container(name, name[-1]) for name in names))
    answers |= dict.fromkeys([f"/containers/{names[place]}/json" for place in (1, 3)], HANG)
    found, _ = read(tmp_path, answers, timeout=0.1)
    assert [each.pid for each in found.containers] == [97, None, 97, None, 97]


def test_two_that_hang_end_the_asking(tmp_path: Path) -> None:
    names = [f"{number:064x}" for number in range(6)]
    answers = docker_answers(*(container(name, name[-1]) for name in names))
    answers |= dict.fromkeys([f"/containers/{name}/json" for name in names], HANG)
    began = time.monotonic()
    found, daemon = read(tmp_path, answers, timeout=0.2)
    assert time.monotonic() - began < 1
    assert [each.state for each in found.containers] == ["running"] * 6
    assert daemon.asked[-1] == f"/containers/{names[1]}/json"
    assert len(found.gaps) == 1


@pytest.mark.parametrize("said", [HANG, b"220 smtp\r\n", answer({"message": "no"}, 500)])
def test_a_daemon_that_does_not_answer_is_a_gap(tmp_path: Path, said: Said) -> None:
    found, daemon = read(tmp_path, {"/version": said}, timeout=0.2)
    assert (found.name, found.containers, len(found.gaps)) == ("docker", (), 1)
    assert daemon.asked == ["/version"]


def test_a_list_that_is_none_is_a_gap(tmp_path: Path) -> None:
    answers = docker_answers() | {"/containers/json?all=1": {"message": "x"}}
    found, _ = read(tmp_path, answers)
    assert [gap.reason for gap in found.gaps] == ["answered with what is no list"]
    assert found.version == "20.10.24"


def test_no_more_than_can_be_told_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspections, "MOST", 2)
    answers = docker_answers(*(container(f"{number:064x}") for number in range(3)))
    found, _ = read(tmp_path, answers)
    assert len(found.containers) == 2
    assert [gap.reason for gap in found.gaps] == ["only 2 of 3 are told"]


def test_an_id_that_cannot_be_one_is_not_asked_for(tmp_path: Path) -> None:
    answers = docker_answers(container())
    entries = answers["/containers/json?all=1"]
    assert isinstance(entries, list)
    entries += [{"Id": "../../x"}, {"Id": "a b\r\nX: y"}, {"Id": 5}, "x", {"Id": WEB}]
    found, daemon = read(tmp_path, answers)
    assert [each.name for each in found.containers] == ["web"]
    assert [gap.reason for gap in found.gaps] == ["5 of 6 have no id that can be one, or another's"]
    assert daemon.asked == ["/version", "/containers/json?all=1", f"/containers/{WEB}/json", "/info"]


VALUES: tuple[object, ...] = (None, True, 0, -1, 10**400, 1.5, "", "\0", "\ud800", "../x", [], [None], {}, {"": None})


def places(document: object) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    if isinstance(document, dict | list):
        for key, value in document.items() if isinstance(document, dict) else enumerate(document):
            found += [(document, key), *places(value)]
    return found


@pytest.mark.parametrize("seed", range(4))
def test_no_value_is_believed_to_be_what_it_should(tmp_path: Path, seed: int) -> None:
    """Every value of every document is replaced by each of another kind."""
    random = Random(seed)
    whole = container(HostConfig={"Memory": 5, "NanoCpus": 5}, Config={"Labels": {"io.kubernetes.pod.name": "p"}})
    answers = docker_answers(whole)
    with serving(tmp_path / "s", answers) as daemon:
        for _ in range(40):
            changed = {target: copy.deepcopy(said) for target, said in answers.items()}
            for holder, key in random.sample(places(changed), 3):
                holder[key] = random.choice(VALUES)
            daemon.answers = changed
            found = docker.read(daemon.path, 0.5)
            assert found.name == "docker"
            for each in found.containers:
                assert each.id == WEB
                assert isinstance(each.called, str)
                assert all(isinstance(value, str) for value in each.mounts.values())
                hash((each.command, each.addresses, each.limits, each.netns, each.cgroup, each.state))
                f"{each}".encode()
