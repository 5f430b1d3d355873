"""A container runtime's answers as records: containerd's and CRI-O's, old and new, and what fails."""

from __future__ import annotations

import errno
import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NoReturn, TypedDict

import pytest

from netfs.container.engines.cri import grpc
from netfs.container.engines.cri import runtime_pb2 as cri
from netfs.container.engines.cri.read import read
from netfs.model.containers import Container, Engine, Limits
from netfs.model.gaps import Gap
from tests.unit.cri_server import Reply, Runtime, failed, saying, serving


class OfPod(TypedDict):
    """The fields that name a pod."""

    pod: str
    namespace: str
    pod_uid: str


POD, APP, OLD = "0a" * 32, "1b" * 32, "2c" * 32
UID = "11111111-2222-3333-4444-555555555555"
LABELS = {
    "io.kubernetes.pod.name": "web-7d4b9",
    "io.kubernetes.pod.namespace": "shop",
    "io.kubernetes.pod.uid": UID,
}
OF_POD: OfPod = {"pod": "web-7d4b9", "namespace": "shop", "pod_uid": UID}
IMAGE = "sha256:" + "3d" * 32
NETNS = "/var/run/netns/cni-294c6909-80b1-264e-6a0c-8206ad485ffc"
SLICE = "kubepods-burstable-pod11111111_2222_3333_4444_555555555555.slice:cri-containerd:"
SECOND = 1_795_291_497_000_000_000


def of_sandbox(**more: object) -> dict[str, object]:
    """The details of a sandbox, as containerd and CRI-O both give them."""
    spec = {
        "process": {"args": ["/pause"]},
        "linux": {
            "cgroupsPath": SLICE + POD,
            "resources": {"cpu": {"shares": 2}},
            "namespaces": [{"type": "pid"}, {"type": "network", "path": NETNS}, {"type": "mount"}],
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev/shm", "type": "bind", "source": f"/run/{POD}/shm", "options": ["rbind"]},
        ],
    }
    return {"pid": 214, "image": "registry.example/pause:3.9", "runtimeSpec": spec, **more}


def of_container(**more: object) -> dict[str, object]:
    """The details of a container."""
    spec = {
        "process": {"args": ["nginx", "-g", "daemon off;"]},
        "linux": {
            "cgroupsPath": SLICE + APP,
            "resources": {
                "cpu": {"shares": 512, "quota": 50000, "period": 100000, "cpus": "0-3"},
                "memory": {"limit": 64 << 20, "swap": 64 << 20},
                "pids": {"limit": 100},
            },
            "namespaces": [{"type": "pid"}, {"type": "network", "path": "/proc/214/ns/net"}, {"type": "mount"}],
        },
        "mounts": [{"destination": "/data/", "type": "bind", "source": "/srv/data", "options": ["rbind", "rw"]}],
    }
    return {"sandboxID": POD, "pid": 242, "runtimeSpec": spec, **more}


def info(details: object) -> dict[str, str]:
    return {"info": json.dumps(details)}


def sandbox_status(**more: object) -> cri.PodSandboxStatusResponse:
    """Of a pod with two addresses."""
    network = cri.PodSandboxNetworkStatus(ip="10.22.0.2", additional_ips=[cri.PodIP(ip="fd00:22::2")])
    status = cri.PodSandboxStatus(id=POD, state=cri.SANDBOX_READY, created_at=SECOND, network=network)
    return cri.PodSandboxStatusResponse(status=status, info=info(of_sandbox(**more)))


def container_status(identity: str = APP, **more: object) -> cri.ContainerStatusResponse:
    """Of a container that runs."""
    status = cri.ContainerStatus(
        id=identity,
        state=cri.CONTAINER_RUNNING,
        created_at=SECOND + 1,
        started_at=SECOND + 500_000_000,
        image=cri.ImageSpec(image="docker.io/library/nginx:1.27"),
        image_ref="docker.io/library/nginx@sha256:" + "4e" * 32,
        mounts=[cri.Mount(container_path="/data/", host_path="/srv/data")],
    )
    return cri.ContainerStatusResponse(status=status, info=info(of_container(**more)))


def listed_sandbox(labels: dict[str, str] = LABELS) -> cri.PodSandbox:
    metadata = cri.PodSandboxMetadata(name="web-7d4b9", uid=UID, namespace="shop")
    return cri.PodSandbox(id=POD, metadata=metadata, created_at=SECOND, labels=labels)


def listed(identity: str = APP, name: str = "app", state: cri.ContainerState = cri.CONTAINER_RUNNING) -> cri.Container:
    """As containerd lists one: the image is named by its id."""
    return cri.Container(
        id=identity,
        pod_sandbox_id=POD,
        metadata=cri.ContainerMetadata(name=name),
        image=cri.ImageSpec(image=IMAGE),
        image_ref=IMAGE,
        state=state,
        created_at=SECOND + 1,
        labels={**LABELS, "io.kubernetes.container.name": name},
    )


SANDBOX_RECORD = Container(
    POD,
    name="web-7d4b9",
    image_name="registry.example/pause:3.9",
    state="running",
    pid=214,
    **OF_POD,
    role="sandbox",
    created_at="2026-11-21T20:04:57Z",
    labels=LABELS,
    mounts={"/proc": "proc", "/dev/shm": f"/run/{POD}/shm"},
    runtime="containerd",
    command=("/pause",),
    cgroup=SLICE + POD,
    limits=Limits(cpu_shares=2),
    addresses=("10.22.0.2", "fd00:22::2"),
    netns=NETNS,
)
APP_RECORD = Container(
    APP,
    name="app",
    image=IMAGE,
    image_name="docker.io/library/nginx:1.27",
    state="running",
    pid=242,
    **OF_POD,
    role="app",
    created_at="2026-11-21T20:04:57.000000001Z",
    labels={**LABELS, "io.kubernetes.container.name": "app"},
    mounts={"/data": "/srv/data"},
    runtime="containerd",
    sandbox=POD,
    started_at="2026-11-21T20:04:57.5Z",
    command=("nginx", "-g", "daemon off;"),
    cgroup=SLICE + APP,
    limits=Limits(50000, 100000, 512, "0-3", 64 << 20, 64 << 20, 100),
    addresses=("10.22.0.2", "fd00:22::2"),
    netns=NETNS,
)


def containerd(version: str = "1.6.20~ds1", **more: object) -> Runtime:
    """A containerd with a pod of one container."""
    settled = {
        "version": cri.VersionResponse(version="0.1.0", runtime_name="containerd", runtime_version=version),
        "sandboxes": [listed_sandbox()],
        "containers": [listed()],
        "statuses": {POD: sandbox_status(), APP: container_status()},
    }
    return Runtime(**{**settled, **more})  # type: ignore[arg-type]  # a test names fields by their words


def told(tmp_path: Path, runtime: Runtime, timeout: float = 5) -> Engine:
    with serving(tmp_path / "s", runtime) as path:
        return replace(read(path, timeout), endpoint="")


def reasons(engine: Engine) -> list[tuple[str, str]]:
    return [(gap.what, gap.reason) for gap in engine.gaps]


@pytest.mark.parametrize(
    ("version", "service"), [("1.5.18", "runtime.v1alpha2"), ("1.6.20~ds1", "runtime.v1"), ("1.7.24", "runtime.v1")]
)
def test_containerd_tells_of_pods_and_containers(tmp_path: Path, version: str, service: str) -> None:
    engine = told(tmp_path, containerd(version, service=service))
    assert engine == Engine("containerd", "", version, (SANDBOX_RECORD, APP_RECORD))


@pytest.mark.parametrize(
    ("options", "driver"),
    [({"SystemdCgroup": True}, "systemd"), ({"SystemdCgroup": False}, "cgroupfs"), (None, "cgroupfs")],
)
def test_containerd_1_has_its_cgroup_driver_in_its_configuration(tmp_path: Path, options: object, driver: str) -> None:
    runtimes = {"runc": {"runtimeType": "io.containerd.runc.v2", "options": options}}
    config = {"containerd": {"defaultRuntimeName": "runc", "runtimes": runtimes}}
    others = {"Status": cri.StatusResponse(info={"config": json.dumps(config)})}
    assert told(tmp_path, containerd(others=others)).cgroup_driver == driver


@pytest.mark.parametrize("config", ["", "[", "[]", '{"containerd": {"runtimes": {"": {"runtimeType": "kata"}}}}'])
def test_a_configuration_that_does_not_say_it_leaves_the_driver_open(tmp_path: Path, config: str) -> None:
    engine = told(tmp_path, containerd(others={"Status": cri.StatusResponse(info={"config": config})}))
    assert (engine.cgroup_driver, engine.gaps) == ("", ())


@pytest.mark.parametrize(("number", "driver"), [(cri.SYSTEMD, "systemd"), (cri.CGROUPFS, "cgroupfs")])
def test_containerd_2_tells_its_cgroup_driver_itself(tmp_path: Path, number: cri.CgroupDriver, driver: str) -> None:
    config = cri.RuntimeConfigResponse(linux=cri.LinuxRuntimeConfiguration(cgroup_driver=number))
    engine = told(tmp_path, containerd("2.1.4", others={"RuntimeConfig": config}))
    assert engine == Engine("containerd", "", "2.1.4", (SANDBOX_RECORD, APP_RECORD), driver)


def test_cri_o_names_images_and_keeps_pids_in_its_own_way(tmp_path: Path) -> None:
    image = cri.ImageSpec(image="quay.example/nginx:1.27", user_specified_image="quay.example/nginx:1.27")
    app = listed()
    app.image.CopyFrom(image)
    app.image_ref = "quay.example/nginx@sha256:" + "4e" * 32
    app.image_id = "3d" * 32
    gone = listed(OLD, "init", cri.CONTAINER_EXITED)
    status, ended = container_status(), container_status(OLD)
    status.status.image.CopyFrom(image)
    ended.status.state = cri.CONTAINER_EXITED
    ended.status.image.CopyFrom(image)
    config = cri.RuntimeConfigResponse(linux=cri.LinuxRuntimeConfiguration(cgroup_driver=cri.SYSTEMD))
    runtime = Runtime(
        cri.VersionResponse(version="0.1.0", runtime_name="cri-o", runtime_version="1.31.2"),
        sandboxes=[listed_sandbox()],
        containers=[app, gone],
        statuses={POD: sandbox_status(), APP: status, OLD: ended},
        others={"RuntimeConfig": config},
    )
    engine = told(tmp_path, runtime)
    ours = replace(APP_RECORD, runtime="cri-o", image_name="quay.example/nginx:1.27")
    labels = {**LABELS, "io.kubernetes.container.name": "init"}
    old = replace(ours, id=OLD, name="init", role="init", labels=labels, state="exited", pid=None)
    assert engine == Engine("cri-o", "", "1.31.2", (replace(SANDBOX_RECORD, runtime="cri-o"), ours, old), "systemd")


def test_limits_of_the_status_are_newer_than_those_of_the_specification(tmp_path: Path) -> None:
    status = container_status()
    status.status.resources.linux.CopyFrom(
        cri.LinuxContainerResources(cpu_quota=-1, cpu_shares=2048, memory_limit_in_bytes=128 << 20, cpuset_cpus="1")
    )
    engine = told(tmp_path, containerd(statuses={POD: sandbox_status(), APP: status}))
    assert engine.containers[1].limits == Limits(50000, 100000, 2048, "1", 128 << 20, 64 << 20, 100)


def test_a_pod_without_the_kubelets_labels_is_named_by_its_sandbox(tmp_path: Path) -> None:
    app = listed()
    app.labels.clear()
    engine = told(tmp_path, containerd(sandboxes=[listed_sandbox({})], containers=[app]))
    assert engine.containers == (replace(SANDBOX_RECORD, labels={}), replace(APP_RECORD, labels={}))


def test_a_pod_of_the_hosts_network_has_none_of_its_own(tmp_path: Path) -> None:
    status = cri.PodSandboxStatusResponse(status=cri.PodSandboxStatus(id=POD), info=info({"pid": 214}))
    engine = told(tmp_path, containerd(statuses={POD: status, APP: container_status()}))
    assert [(each.netns, each.addresses) for each in engine.containers] == [("", ()), ("", ())]


def test_a_sandbox_that_ended_has_no_process_and_no_namespace_any_more(tmp_path: Path) -> None:
    status = sandbox_status(netNamespaceClosed=True)
    status.status.state = cri.SANDBOX_NOTREADY
    engine = told(tmp_path, containerd(statuses={POD: status}, containers=[]))
    assert engine.containers == (replace(SANDBOX_RECORD, state="exited", pid=None, netns=""),)


@pytest.mark.parametrize(
    ("state", "word"), [(0, "created"), (1, "running"), (2, "exited"), (3, "unknown"), (9, "unknown")]
)
def test_states_have_the_words_of_the_model(tmp_path: Path, state: int, word: str) -> None:
    status = container_status()
    status.status.state = state  # type: ignore[assignment]  # a number of a later version
    engine = told(tmp_path, containerd(statuses={POD: sandbox_status(), APP: status}))
    assert engine.containers[1].state == word


def test_what_went_meanwhile_is_left_out(tmp_path: Path) -> None:
    engine = told(tmp_path, containerd(containers=[listed(), listed(OLD)]))
    assert engine.containers == (SANDBOX_RECORD, APP_RECORD)
    assert engine.gaps == ()


def test_a_status_that_fails_leaves_what_the_list_says(tmp_path: Path) -> None:
    statuses = {POD: sandbox_status(), APP: failed(2, "failed to get container runtime spec")}
    engine = told(tmp_path, containerd(statuses=statuses))
    assert reasons(engine) == [("container", "failed to get container runtime spec")]
    assert engine.gaps[0].where.endswith(f"/s {APP}")
    assert engine.containers[1] == Container(
        APP,
        name="app",
        image=IMAGE,
        state="running",
        **OF_POD,
        role="app",
        created_at=APP_RECORD.created_at,
        labels=APP_RECORD.labels,
        runtime="containerd",
        sandbox=POD,
        addresses=APP_RECORD.addresses,
        netns=NETNS,
    )


def test_a_thousand_failures_are_told_by_some(tmp_path: Path) -> None:
    many = [listed(f"{number:064x}") for number in range(1000)]
    statuses = {POD: sandbox_status()} | {each.id: failed(2, "no") for each in many}
    engine = told(tmp_path, containerd(containers=many, statuses=statuses), timeout=20)
    assert (len(engine.containers), len(engine.gaps)) == (1001, 20)


def test_a_runtime_that_stops_answering_has_told_what_it_told(tmp_path: Path) -> None:
    statuses = {POD: sandbox_status(), APP: container_status(), OLD: Reply(does="hang")}
    engine = told(tmp_path, containerd(containers=[listed(OLD), listed()], statuses=statuses), timeout=0.5)
    assert [(each.id, each.pid) for each in engine.containers] == [(POD, 214), (OLD, None), (APP, 242)]
    assert reasons(engine) == [
        ("containers", "does not answer: it hangs, or needs longer than the time that was given")
    ]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(does="goaway"), "it ended the connection: going down"),
        (failed(13, "no space left"), "no space left"),
        (failed(13), "status 13"),
        (Reply(b"\xff\xff\xff"), "its answer is no ListContainersResponse"),
    ],
)
def test_a_list_that_fails_is_a_gap(tmp_path: Path, reply: Reply, reason: str) -> None:
    engine = told(tmp_path, containerd(others={"ListContainers": reply}))
    assert engine == Engine("containerd", "", "1.6.20~ds1", gaps=engine.gaps)
    assert reasons(engine) == [("containers", reason)]


def test_a_containerd_without_cri_is_no_gap(tmp_path: Path) -> None:
    own = cri.ContainerdVersionResponse(version="1.7.24", revision="5e1a2b")
    runtime = containerd(service="none", others={"/containerd.services.version.v1.Version/Version": own})
    assert told(tmp_path, runtime) == Engine("containerd", "", "1.7.24")


def test_another_service_without_cri_is_one(tmp_path: Path) -> None:
    engine = told(tmp_path, containerd(service="buildkit"))
    assert engine.containers == ()
    assert reasons(engine) == [("engine", "it serves neither runtime.v1 nor runtime.v1alpha2")]


def test_a_socket_of_dockerd_is_told(tmp_path: Path) -> None:
    with saying(tmp_path / "crio.sock", b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\r\n") as path:
        where = f"unix://{path}"
        assert read(path) == Engine("cri-o", where, gaps=(Gap(where, "engine", "it speaks HTTP/1, no gRPC"),))


def test_what_cannot_be_reached_is_a_gap_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "containerd.sock"
    assert reasons(read(str(path))) == [("engine", "is gone: its daemon ended meanwhile")]
    path.touch()
    assert reasons(read(str(path))) == [("engine", "connection refused: its daemon does not run")]
    assert reasons(read(str(path / "below"))) == [("engine", "Not a directory")]


def test_a_socket_that_may_not_be_used_is_told_with_who_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: str, until: float) -> NoReturn:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(grpc, "connected", refused)
    assert reasons(read(str(tmp_path / "s"))) == [("engine", "permission denied: root may ask it")]


def test_details_that_are_mutated_are_records_or_gaps(tmp_path: Path) -> None:
    seed = random.Random(7)
    app = json.dumps(of_container())
    pod = json.dumps(of_sandbox())
    statuses: dict[str, object] = {}
    many, pods = [], []
    for number in range(400):
        identity = f"{number:064x}"
        status = container_status(identity) if number % 2 else sandbox_status()
        status.info["info"] = mutated(app if number % 2 else pod, seed)
        statuses[identity] = status
        if number % 2:
            many.append(listed(identity))
        else:
            pods.append(cri.PodSandbox(id=identity))
    engine = told(tmp_path, containerd(sandboxes=pods, containers=many, statuses=statuses), timeout=20)
    assert len(engine.containers) == 400
    assert {gap.reason for gap in engine.gaps} == {"what it says in detail is no JSON"}
    for each in engine.containers:
        assert each.pid is None or 0 < each.pid < 1 << 32
        assert all(isinstance(word, str) for word in (*each.command, *each.mounts, *each.mounts.values(), each.cgroup))


def mutated(text: str, seed: random.Random) -> str:
    """A document of which something was replaced: a value by one of another type, or some letters."""
    if seed.random() < 0.3:
        at = seed.randrange(len(text))
        return (
            text[:at]
            + seed.choice(["", "{", "]", "\\ud800", "\0", "1e999", "NaN", '"'])
            + text[at + seed.randrange(9) :]
        )
    document = json.loads(text)
    at, key = document, seed.choice(list(document))
    while isinstance(at[key], dict | list) and at[key] and seed.random() < 0.8:
        at = at[key]
        key = seed.choice(list(at) if isinstance(at, dict) else range(len(at)))
    at[key] = seed.choice([None, True, -1, 1 << 70, 1.5, "", "\ud800", [], [[]], {}, {"path": 1}, ["x"], "9" * 5000])
    return json.dumps(document)


def test_asking_no_runtime_loads_none_of_it() -> None:
    code = "import netfs.container.engines.ask, sys; print(*[m for m in ('h2', 'google.protobuf') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.split() == []
