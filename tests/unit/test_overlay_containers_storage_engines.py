"""What Podman and CRI-O know of the containers of a store: names, pods, states, mounts.

Podman's databases are written here in its own schemas. CRI-O's files are hand-made after cri-o's sources
(``internal/storage/runtime.go``, ``internal/oci/container.go``): no CRI-O was at hand.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from netfs.model.containers import Container
from netfs.model.layers import Store
from netfs.overlay.disk.root import Root
from netfs.overlay.stores.containers_storage.store import read
from tests.unit.storage_store import StorageStore, hexadecimal, leave_in_log

UID = "8b1c7a39-9d0e-4a52-a3d0-0f1f7b4b6c11"
UPDATE = """UPDATE ContainerState SET JSON = '{{"state": {}}}'"""
SPEC = {
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/data", "type": "bind", "source": "/srv/data", "options": ["rbind"]},
    ]
}


def of(store: StorageStore) -> Store:
    with Root(str(store.machine)) as root:
        return read(root, store.path)


def named(store: Store, name: str) -> Container:
    (found,) = (container for container in store.containers if container.name == name)
    return found


class TestPodman:
    @pytest.fixture
    def store(self, tmp_path: Path) -> StorageStore:
        made = StorageStore(tmp_path)
        made.layer("base")
        image = made.image("base", "tiny")
        for name in ("web", "infra"):
            made.layer(name, "base")
            made.container(name, image)
        return made.write()

    @pytest.mark.parametrize("write", [StorageStore.bolt, StorageStore.sqlite])
    def test_pods_states_and_processes_are_in_its_database(
        self, store: StorageStore, write: Callable[..., None]
    ) -> None:
        web, infra = (hexadecimal(f"container {name}") for name in ("web", "infra"))
        volumes = [{"volumeName": "pages", "dest": "/pages"}]
        config = {"name": "web", "pod": "p1", "labels": {"tier": "front"}, "spec": SPEC, "namedVolumes": volumes}
        state = {"state": 3, "pid": 4711, "bindMounts": {"/etc/hosts": "/run/hosts"}}
        write(
            store,
            {web: (config, state), infra: ({"name": "infra", "pod": "p1"}, {"state": 6, "pid": 0})},
            {"p1": ({"id": "p1", "name": "shop"}, {"InfraContainerID": infra})},
        )
        found = of(store)
        assert named(found, "web").mounts == {
            "/proc": "proc",
            "/data": "/srv/data",
            "/pages": "/volumes/pages/_data",
            "/etc/hosts": "/run/hosts",
        }
        told = [(each.pod, each.namespace, each.role, each.state, each.pid) for each in found.containers]
        assert told == [("shop", "", "", "running", 4711), ("shop", "", "sandbox", "exited", None)]
        assert named(found, "web").labels == {"tier": "front"}
        assert found.gaps == ()

    def test_a_container_that_was_started_has_the_mounts_of_its_runtime(self, store: StorageStore) -> None:
        store.userdata(hexadecimal("container web"), "config.json", SPEC)
        assert named(of(store), "web").mounts == {"/proc": "proc", "/data": "/srv/data"}

    def test_the_databases_runroot_is_looked_into(self, store: StorageStore) -> None:
        store.bolt({}, {})
        run = store.machine / "run/elsewhere/overlay-containers"
        run.mkdir(parents=True)
        (run / "volatile-containers.json").write_text(json.dumps([{"id": "c", "names": ["transient"]}]))
        assert named(of(store), "transient").id == "c"

    @pytest.mark.parametrize("write", [StorageStore.bolt, StorageStore.sqlite])
    def test_a_copy_of_a_users_own_store_is_known_by_the_place_it_was_made_at(
        self, tmp_path: Path, write: Callable[..., None]
    ) -> None:
        copy = StorageStore(tmp_path, "/home/ann/.local/share/containers/storage").write()
        write(copy, {}, {})
        with Root(str(copy.here)) as root:
            assert read(root, "/").options.userxattr

    def test_sqlite_is_the_newer_where_both_are_there(self, store: StorageStore) -> None:
        web = hexadecimal("container web")
        store.bolt({web: ({"name": "web"}, {"state": 3})}, {})
        store.sqlite({web: ({"name": "web"}, {"state": 6})}, {})
        assert named(of(store), "web").state == "exited"

    @pytest.mark.parametrize("name", ["libpod/bolt_state.db", "db.sql"])
    @pytest.mark.parametrize("data", [b"", b"SQLite format 3\0" + bytes(400), b"\xff" * 9000])
    def test_a_database_that_is_none_is_told(self, store: StorageStore, name: str, data: bytes) -> None:
        path = store.here / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        found = of(store)
        assert [container.name for container in found.containers] == ["web", "infra"]
        empty = name == "db.sql" and not data
        assert [gap.where for gap in found.gaps] == ([] if empty else [f"{store.path}/{name}"])

    def test_a_database_in_the_midst_of_a_change_is_not_believed(self, store: StorageStore) -> None:
        store.sqlite({hexadecimal("container web"): ({"name": "web"}, {"state": 3})}, {})
        (store.here / "db.sql-journal").write_bytes(b"hot")
        found = of(store)
        assert [gap.reason for gap in found.gaps] == ["it is being changed, or a change to it was broken off"]
        assert named(found, "web").state == ""

    def test_what_is_only_in_the_write_ahead_log_is_read(self, store: StorageStore) -> None:
        store.sqlite({hexadecimal("container web"): ({"name": "web"}, {"state": 3})}, {})
        config = json.dumps({"labels": {str(number): "x" * 400 for number in range(100)}})
        changes = f"UPDATE ContainerConfig SET JSON = '{config}'", UPDATE.format(5), UPDATE.format(6)
        assert leave_in_log(store.here / "db.sql", *changes)[-1] > 50_000
        found = of(store)
        assert found.gaps == ()
        assert (named(found, "web").state, len(named(found, "web").labels)) == ("exited", 100)

    def test_a_torn_write_ahead_log_counts_up_to_its_last_commit(self, store: StorageStore) -> None:
        store.sqlite({hexadecimal("container web"): ({"name": "web"}, {"state": 3})}, {})
        first, second = leave_in_log(store.here / "db.sql", UPDATE.format(5), UPDATE.format(6))
        log = store.here / "db.sql-wal"
        data = log.read_bytes()
        states = []
        for torn in (b"", data[: first - 1], data[:first], data[: second - 1], data[:-1] + bytes([data[-1] ^ 1]), data):
            log.write_bytes(torn)
            states.append(named(of(store), "web").state)
        assert states == ["running", "running", "paused", "paused", "paused", "exited"]

    def test_views_in_place_of_tables_are_not_asked(self, store: StorageStore) -> None:
        connection = sqlite3.connect(store.here / "db.sql")
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS ID, 'x' AS JSON FROM n"
        connection.execute(f"CREATE VIEW ContainerConfig AS {endless}")
        connection.close()
        assert of(store).gaps == ()


class TestCrio:
    @pytest.fixture
    def store(self, tmp_path: Path) -> StorageStore:
        made = StorageStore(tmp_path)
        made.layer("base")
        image = made.image("base", "registry.k8s.io/pause:3.9")
        for name in ("k8s_POD_web", "k8s_nginx_web"):
            made.layer(name, "base")
        sandbox = hexadecimal("container k8s_POD_web")
        pod = {"pod-name": "k8s_web_shop", "pod-id": sandbox, "image-name": "pause", "name": "k8s_POD_web"}
        pod |= {"metadata-name": "web", "uid": UID, "namespace": "shop"}
        made.container("k8s_POD_web", image, pod, volatile=True)
        own = {"pod-name": "k8s_web_shop", "pod-id": sandbox, "image-name": "nginx:1", "image-id": image}
        own |= {"name": "k8s_nginx_web", "metadata-name": "nginx"}
        made.container("k8s_nginx_web", image, own, volatile=True)
        return made.write()

    def test_the_stores_own_record_names_pod_and_container(self, store: StorageStore) -> None:
        sandbox, nginx = of(store).containers
        for container in (sandbox, nginx):
            assert (container.pod, container.namespace, container.pod_uid) == ("web", "shop", UID)
        assert (sandbox.role, nginx.role) == ("sandbox", "nginx")
        assert (nginx.name, nginx.image_name, nginx.state) == ("k8s_nginx_web", "nginx:1", "")

    def test_its_documents_tell_state_labels_and_mounts(self, store: StorageStore) -> None:
        identity = hexadecimal("container k8s_nginx_web")
        labels = {"io.kubernetes.pod.name": "web-0", "io.kubernetes.pod.namespace": "prod", "app": "web"}
        annotations = {
            "io.kubernetes.cri-o.ContainerType": "container",
            "io.kubernetes.cri-o.Labels": json.dumps(labels),
            "io.kubernetes.cri-o.ImageName": "docker.io/library/nginx:1",
            "io.kubernetes.pod.uid": "another",
            "io.kubernetes.container.name": "main",
        }
        store.userdata(identity, "config.json", {**SPEC, "annotations": annotations})
        store.userdata(identity, "state.json", {"status": "running", "pid": 4711, "initPid": 4711})
        nginx = named(of(store), "k8s_nginx_web")
        assert (nginx.pod, nginx.namespace, nginx.pod_uid, nginx.role) == ("web-0", "prod", "another", "main")
        assert (nginx.state, nginx.pid, nginx.image_name) == ("running", 4711, "docker.io/library/nginx:1")
        assert nginx.mounts["/data"] == "/srv/data"
        assert nginx.labels == labels

    def test_a_container_that_ended_has_no_process(self, store: StorageStore) -> None:
        identity = hexadecimal("container k8s_nginx_web")
        store.userdata(identity, "state.json", {"status": "stopped", "pid": 0, "initPid": 4711})
        nginx = named(of(store), "k8s_nginx_web")
        assert (nginx.state, nginx.pid) == ("stopped", None)

    def test_documents_in_the_runroot_are_found(self, store: StorageStore) -> None:
        run = store.machine / "run/containers/storage/overlay-containers"
        folder = run / hexadecimal("container k8s_nginx_web") / "userdata"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(SPEC))
        assert named(of(store), "k8s_nginx_web").mounts["/data"] == "/srv/data"

    def test_a_container_whose_sandbox_is_gone_has_no_pods_name(self, store: StorageStore) -> None:
        store.volatile.pop(0)
        (nginx,) = of(store.write()).containers
        assert (nginx.pod, nginx.role) == ("", "nginx")

    def test_damaged_documents_are_told(self, store: StorageStore) -> None:
        path = store.userdata(hexadecimal("container k8s_nginx_web"), "config.json", {})
        path.write_text("{")
        found = of(store)
        assert [(gap.where.rpartition("/")[2], gap.reason) for gap in found.gaps] == [("config.json", "is no JSON")]
        assert named(found, "k8s_nginx_web").pod == "web"
