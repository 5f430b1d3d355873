"""What engines' files say of containers: how each is run and what it may use, with the engine dead."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from random import Random
from typing import Any

import pytest

from netfs.container import files
from netfs.container.files import engines
from netfs.model.containers import Container, Engine, Limits
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import bolt, oci
from netfs.overlay.stores.docker import limits as docker_limits
from netfs.overlay.stores.find import Place
from netfs.overlay.stores.refused import READ_AS_ROOT
from tests.unit.containerd_store import MADE, ContainerdStore
from tests.unit.docker_store import DockerStore
from tests.unit.docker_store import hexadecimal as docker_id
from tests.unit.storage_store import StorageStore, hexadecimal

SPEC: dict[str, Any] = {
    "process": {"args": ["/bin/sleep", "1000"]},
    "linux": {
        "cgroupsPath": "/default/c1",
        "namespaces": [{"type": "pid"}, {"type": "network", "path": "/var/run/netns/cni-1"}],
        "resources": {
            "cpu": {"quota": 50_000, "period": 100_000, "shares": 512, "cpus": "0-1"},
            "memory": {"limit": 1 << 26, "swap": 1 << 27},
            "pids": {"limit": 100},
        },
    },
}
LIMITS = Limits(50_000, 100_000, 512, "0-1", 1 << 26, 1 << 27, 100)
HOST_CONFIG = {
    "Memory": 1 << 26,
    "MemorySwap": 1 << 27,
    "NanoCpus": 500_000_000,
    "CpuShares": 512,
    "CpusetCpus": "0-1",
    "PidsLimit": 100,
    "CgroupParent": "/mine",
}

CONFIG: dict[str, object] = {
    "Path": "/bin/sleep",
    "Args": ["1000", ""],
    "NetworkSettings": {
        "SandboxKey": "/var/run/docker/netns/1",
        "Networks": {
            "bridge": {"IPAddress": "172.17.0.2", "GlobalIPv6Address": "fd00::2"},
            "host": {"IPAddress": ""},
        },
    },
}
"""Of Docker's config.v2.json."""


def read(machine: Path, *places: Place) -> tuple[Engine, ...]:
    with Root(str(machine)) as root:
        return engines(root, places)


def only(machine: Path) -> Container:
    (engine,) = read(machine)
    assert not engine.gaps
    (found,) = engine.containers
    return found


def store(folder: Path) -> None:
    made = DockerStore(folder)
    made.container("web", made.image("base", "base"))


class TestOwner:
    def test_a_users_store_speaks_for_him_alone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        owners = {"/home/u/docker": 4711, "/var/lib/docker": 0, "/mapped": 0, "/mapped/1.1": 1}
        monkeypatch.setattr(files, "owner_of", lambda path, _: owners[path])
        places = ("/home/u/docker", "/var/lib/docker", "/mapped/1.1")
        for place in places:
            store(tmp_path / place[1:])
        found = read(tmp_path, *(Place("docker", place) for place in places))
        assert [getattr(engine, "user", None) for engine in found] == [4711, None, None]
        assert all(engine.containers for engine in found)

    def test_a_folder_that_anybody_may_write_to_is_not_believed(self, tmp_path: Path) -> None:
        store(tmp_path / "tmp")
        (tmp_path / "tmp").chmod(0o1777)
        (engine,) = read(tmp_path, Place("docker", "/tmp"))
        assert not engine.containers
        assert [gap.reason for gap in engine.gaps] == ["is not believed: anybody may write there"]


class TestLimits:
    def test_the_oci_form(self) -> None:
        assert oci.limits(SPEC["linux"]["resources"]) == LIMITS

    def test_nothing_and_no_limit_are_the_same(self) -> None:
        none = {
            "cpu": {"quota": -1, "shares": 0, "cpus": ""},
            "memory": {"limit": -1, "swap": 0},
            "pids": {"limit": -1},
        }
        assert oci.limits(none) == oci.limits({}) == oci.limits(None) == Limits()

    def test_dockers_form(self) -> None:
        assert docker_limits.limits(HOST_CONFIG) == LIMITS
        assert docker_limits.limits({"CpuQuota": 20_000, "CpuPeriod": 50_000}) == Limits(20_000, 50_000)

    @pytest.mark.parametrize("unlimited", [0, -1, None])
    def test_dockers_words_for_no_limit(self, unlimited: int | None) -> None:
        assert docker_limits.limits(dict.fromkeys(HOST_CONFIG, unlimited)) == Limits()

    @pytest.mark.parametrize(
        ("parent", "path"), [("/mine", "/mine/ID"), ("a.slice", "a.slice:docker:ID"), ("", ""), ("relative", "")]
    )
    def test_where_docker_puts_a_container(self, parent: str, path: str) -> None:
        assert docker_limits.cgroup({"CgroupParent": parent}, "ID") == path

    def test_a_network_namespace_of_a_process_is_kept_by_nobody(self) -> None:
        spec = {"linux": {"namespaces": [{"type": "network", "path": "/proc/42/ns/net"}]}}
        assert oci.runtime(spec).netns == ""

    def test_anything_may_be_in_it(self) -> None:
        """Foreign documents raise nothing, whatever is where something else belongs."""
        random = Random(4)
        strange: list[Any] = [None, 1, "", [], {}, -1.5, True, "\udc80", [{}], 1 << 80]

        def torn(value: Any) -> Any:
            if random.random() < 0.2:
                return random.choice(strange)
            if isinstance(value, dict):
                return {key: torn(item) for key, item in value.items()}
            return [torn(item) for item in value] if isinstance(value, list) else value

        for _ in range(500):
            found = oci.runtime(torn(SPEC))
            assert all(isinstance(word, str) for word in (*found.command, found.cgroup, found.netns))
            docker_limits.limits(torn(HOST_CONFIG))
            docker_limits.cgroup(torn(HOST_CONFIG), "ID")


class TestDocker:
    @pytest.fixture
    def store(self, tmp_path: Path) -> DockerStore:
        return DockerStore(tmp_path / "var/lib/docker")

    def test_all_that_it_knows(self, store: DockerStore, tmp_path: Path) -> None:
        identity = store.container("web", "", CONFIG)
        (store.path / "containers" / identity / "hostconfig.json").write_text(json.dumps(HOST_CONFIG))
        web = only(tmp_path)
        assert (web.runtime, web.limits, web.cgroup) == ("docker", LIMITS, f"/mine/{identity}")
        assert (web.command, web.started_at) == (("/bin/sleep", "1000", ""), "2026-01-02T00:00:00Z")
        assert (web.addresses, web.netns) == (("172.17.0.2", "fd00::2"), "/var/run/docker/netns/1")

    def test_without_hostconfig_no_limit_is_known(self, store: DockerStore, tmp_path: Path) -> None:
        store.container("web", "", {"State": {"StartedAt": "0001-01-01T00:00:00Z"}})
        web = only(tmp_path)
        assert (web.limits, web.cgroup, web.started_at, web.command, web.state) == (None, "", "", (), "created")

    def test_neither_layers_nor_images_are_read(self, store: DockerStore, tmp_path: Path) -> None:
        store.container("web", store.image("app:1", "base"))
        asked: list[str] = []

        class Watched(Root):
            def read(self, path: str, limit: int = 64 << 20) -> bytes:
                asked.append(path)
                return super().read(path, limit)

        with Watched(str(tmp_path)) as root:
            engines(root, (Place("docker", "/var/lib/docker"),))
        assert {path.rsplit("/", 1)[1] for path in asked} == {"config.v2.json", "hostconfig.json"}

    def test_a_damaged_container_is_there_and_its_file_a_gap(self, store: DockerStore, tmp_path: Path) -> None:
        identity = store.container("web", "")
        (store.path / "containers" / identity / "config.v2.json").write_text("{")
        (engine,) = read(tmp_path)
        assert [one.id for one in engine.containers] == [identity]
        assert [gap.reason for gap in engine.gaps] == ["is no JSON"]

    def test_a_pods_container_names_its_sandbox(self, store: DockerStore, tmp_path: Path) -> None:
        labels = {"io.kubernetes.sandbox.id": "abc", "io.kubernetes.docker.type": "container"}
        store.container("web", "", {"Config": {"Labels": labels}})
        assert only(tmp_path).sandbox == "abc"


class TestContainerd:
    @pytest.fixture
    def store(self, tmp_path: Path) -> ContainerdStore:
        return ContainerdStore(tmp_path / "var/lib/containerd")

    def test_all_that_the_specification_says(self, store: ContainerdStore, tmp_path: Path) -> None:
        store.container("default", "c1", spec=SPEC)
        store.write()
        found = only(tmp_path)
        assert (found.runtime, found.limits, found.cgroup) == ("containerd", LIMITS, "/default/c1")
        assert (found.command, found.netns) == (("/bin/sleep", "1000"), "/var/run/netns/cni-1")

    def test_what_docker_runs_there_is_dockers(self, store: ContainerdStore, tmp_path: Path) -> None:
        store.container("moby", docker_id("web"))
        store.write()
        assert only(tmp_path).runtime == "docker"

    def test_a_task_was_started_when_its_number_was_written(self, store: ContainerdStore, tmp_path: Path) -> None:
        store.container("default", "c1")
        store.write()
        place = tmp_path / "run/containerd/io.containerd.runtime.v2.task/default/c1/init.pid"
        place.parent.mkdir(parents=True)
        place.write_text("4711")
        os.utime(place, (MADE.timestamp(), MADE.timestamp()))
        found = only(tmp_path)
        assert (found.state, found.pid, found.started_at) == ("running", 4711, "2026-01-02T03:04:05Z")

    def test_cri_writes_down_when_a_container_was_started(self, store: ContainerdStore, tmp_path: Path) -> None:
        store.container("k8s.io", "c1")
        store.write()
        status = store.path / "io.containerd.grpc.v1.cri/containers/c1/status"
        status.parent.mkdir(parents=True)
        status.write_text(json.dumps({"CreatedAt": 1, "StartedAt": int(MADE.timestamp()) * 10**9, "FinishedAt": 0}))
        found = only(tmp_path)
        assert (found.state, found.started_at) == ("running", "2026-01-02T03:04:05Z")

    @pytest.mark.parametrize("bucket", ["containers", "sandboxes"])
    def test_a_sandbox_has_the_pods_addresses(self, store: ContainerdStore, tmp_path: Path, bucket: str) -> None:
        """containerd 1.x keeps them with the container, 2.x in its sandbox store."""
        network = {"NetNSPath": "/var/run/netns/cni-2", "IP": "10.0.0.2", "AdditionalIPs": ["fd00::2"]}
        kind = {"io.cri-containerd.kind": "sandbox"}
        extensions: dict[str, object] = {"metadata": {"Version": "v1", "Metadata": network}}
        store.container("k8s.io", "pause", labels=kind, extensions=extensions if bucket == "containers" else None)
        store.container("k8s.io", "app", sandboxid="pause")
        if bucket == "sandboxes":
            store.container("k8s.io", "pause", extensions=extensions, bucket="sandboxes")
        store.write()
        (engine,) = read(tmp_path)
        app, pause = sorted(engine.containers, key=lambda one: one.id)
        assert (pause.addresses, pause.netns) == (("10.0.0.2", "fd00::2"), "/var/run/netns/cni-2")
        assert (pause.sandbox, app.sandbox, app.addresses) == ("", "pause", ())

    def test_its_database_is_loaded_once(
        self, store: ContainerdStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.container("default", "c1")
        store.write()
        loaded: list[str] = []
        load = bolt.load

        def watched(root: Root, path: str) -> bolt.Bolt:
            loaded.append(path)
            return load(root, path)

        monkeypatch.setattr(bolt, "load", watched)
        only(tmp_path)
        assert loaded == ["/var/lib/containerd/io.containerd.metadata.v1.bolt/meta.db"]

    def test_a_damaged_database_is_a_gap(self, store: ContainerdStore, tmp_path: Path) -> None:
        store.write()
        (store.path / "io.containerd.metadata.v1.bolt/meta.db").write_bytes(b"x" * 8192)
        (engine,) = read(tmp_path)
        assert not engine.containers
        assert [gap.what for gap in engine.gaps] == ["containers"]


class TestContainersStorage:
    @pytest.mark.parametrize("write", [StorageStore.bolt, StorageStore.sqlite])
    def test_podmans_own_records(self, tmp_path: Path, write: Any) -> None:
        store = StorageStore(tmp_path)
        store.container("web", "")
        store.container("infra", "")
        web, infra = (hexadecimal(f"container {name}") for name in ("web", "infra"))
        device = {"subnets": [{"ipnet": "10.88.0.2/16"}, {"ipnet": "fd00::2/64"}]}
        state = {
            "state": 3,
            "pid": 7,
            "startedTime": "2026-01-02T03:04:05.1+01:00",
            "cgroupPath": f"/libpod_parent/libpod-{web}",
            "netns": "/run/netns/netns-1",
            "networkStatus": {"podman": {"interfaces": {"eth0": device}}},
        }
        configs = {web: ({"name": "web", "pod": "p1", "spec": SPEC}, state), infra: ({"pod": "p1"}, {"state": 3})}
        write(store.write(), configs, {"p1": ({"name": "shop"}, {"InfraContainerID": infra})})
        (engine,) = read(tmp_path)
        assert (engine.name, engine.endpoint) == ("podman", f"{tmp_path}/var/lib/containers/storage")
        one = next(each for each in engine.containers if each.name == "web")
        assert (one.runtime, one.limits, one.command) == ("podman", LIMITS, ("/bin/sleep", "1000"))
        assert (one.started_at, one.cgroup) == ("2026-01-02T03:04:05.1+01:00", f"/libpod_parent/libpod-{web}")
        assert (one.addresses, one.netns) == (("10.88.0.2", "fd00::2"), "/run/netns/netns-1")
        assert (one.pod, one.pod_uid, one.sandbox) == ("shop", "p1", infra)

    def test_what_the_runtime_was_given_in_the_end_counts(self, tmp_path: Path) -> None:
        store = StorageStore(tmp_path)
        web = store.container("web", "")
        store.write().bolt({web: ({"spec": {"process": {"args": ["old"]}}}, {})}, {})
        store.userdata(web, "config.json", SPEC)
        found = only(tmp_path)
        assert (found.command, found.limits, found.cgroup) == (("/bin/sleep", "1000"), LIMITS, "/default/c1")

    def test_cri_o_and_podman_in_one_store_are_two_engines(self, tmp_path: Path) -> None:
        store = StorageStore(tmp_path)
        store.container("mine", "")
        app = store.container("app", "", {"pod-id": "p", "name": "k8s_app", "metadata-name": "app"})
        store.write()
        annotations = {"io.kubernetes.cri-o.IP.0": "10.0.0.2", "io.kubernetes.cri-o.IP.1": "fd00::2"}
        store.userdata(app, "config.json", SPEC | {"annotations": annotations})
        store.userdata(app, "state.json", {"status": "running", "pid": 7, "started": "2026-01-02T03:04:05Z"})
        podman, crio = read(tmp_path)
        assert [(engine.name, len(engine.containers)) for engine in (podman, crio)] == [("podman", 1), ("cri-o", 1)]
        (one,) = crio.containers
        assert (one.runtime, one.sandbox, one.limits) == ("cri-o", "p", LIMITS)
        assert (one.started_at, one.addresses) == ("2026-01-02T03:04:05Z", ("10.0.0.2", "fd00::2"))

    def test_buildahs_container_is_run_by_nobody(self, tmp_path: Path) -> None:
        store = StorageStore(tmp_path)
        store.container("working", "", "")
        store.write()
        assert only(tmp_path).runtime == ""


def test_a_machine_without_engines_has_none(tmp_path: Path) -> None:
    assert read(tmp_path) == ()


@pytest.mark.parametrize(
    ("number", "reason"), [(errno.EACCES, READ_AS_ROOT), (errno.EIO, "Input/output error"), (errno.EMFILE, "Too many")]
)
def test_a_store_that_cannot_be_read_is_an_engine_with_a_gap(tmp_path: Path, number: int, reason: str) -> None:
    (tmp_path / "var/lib/containers/storage").mkdir(parents=True)

    class Refusing(Root):
        def names(self, path: str) -> list[str]:
            if path == "/var/lib/containers/storage":
                raise OSError(number, os.strerror(number))
            return super().names(path)

    with Refusing(str(tmp_path)) as root:
        (engine,) = engines(root)
    assert (engine.name, engine.containers) == ("podman", ())
    assert reason in engine.gaps[0].reason
