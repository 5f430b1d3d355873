"""containerd's store: layers and whose they are, images, containers and their pods, from files as containerd writes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from netfs.errors import SourceError
from netfs.model.layers import Layer, Store
from netfs.overlay.disk.root import Root
from netfs.overlay.stores.containerd import files as containerd_files
from netfs.overlay.stores.containerd import store as containerd
from tests.unit.containerd_store import COMMITTED, GC, VIEW, ContainerdStore

WEB = "docker.io/library/web:1"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ContainerdStore:
    monkeypatch.setattr(containerd_files, "_YOUNG_S", 0)
    return ContainerdStore(tmp_path / "containerd")


def read(store: ContainerdStore) -> Store:
    store.write()
    return read_path(store.path.parent)


def read_path(path: Path, place: str = "/containerd") -> Store:
    with Root(str(path)) as root:
        return containerd.read(root, place)


def layers(found: Store) -> dict[str, Layer]:
    return {layer.id: layer for layer in found.layers}


def roles(found: Store) -> dict[str, str]:
    return {layer.id: layer.role for layer in found.layers}


def test_an_image_and_a_container_are_tied_to_their_directories(store: ContainerdStore) -> None:
    config = store.image("default", WEB)
    store.container("default", "c1", WEB, store.chains[config][-1])
    found = read(store)
    folder = "/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots"
    assert (found.engine, found.driver, found.path, found.gaps, found.notes) == (
        "containerd",
        "overlayfs",
        "/containerd",
        (),
        (),
    )
    assert roles(found) == {"1": "image", "2": "image", "3": "container"}
    top = layers(found)["3"]
    assert (top.path, top.trees, top.lower, top.names) == (
        f"{folder}/3",
        (f"{folder}/3/fs",),
        ("2", "1"),
        ("default/c1",),
    )
    assert (top.writable, top.recorded_size, top.created_at) == (True, None, "2026-01-02T03:04:05Z")
    base, second = layers(found)["1"], layers(found)["2"]
    assert (second.chain_id, second.recorded_size, second.writable) == (store.chains[config][1], 4096, False)
    assert (base.diff_id, base.chain_id) == (store.chains[config][0], store.chains[config][0])
    assert second.diff_id not in {"", second.chain_id}
    image, container = found.images[0], found.containers[0]
    assert (image.id, image.names, image.layers, image.missing) == (config, (WEB,), ("2", "1"), ())
    assert [(line.created_by, line.layer) for line in image.history] == [
        ("COPY 0", "1"),
        ("COPY 1", "2"),
        ("CMD sh", None),
    ]
    assert (container.id, container.layer, container.image, container.image_name) == ("c1", "3", config, WEB)


def test_names_of_one_image_are_one_image(store: ContainerdStore) -> None:
    manifest, config = store.manifest(1)
    store.unpack("k8s.io", config)
    for name in ("b:2", "a:1", config, f"a@{manifest}"):
        store.name("k8s.io", name, manifest)
    found = read(store)
    assert [(image.id, image.names) for image in found.images] == [(config, ("a:1", f"a@{manifest}", "b:2"))]


def test_an_image_in_two_namespaces_has_two_sets_of_directories(store: ContainerdStore) -> None:
    config = store.image("default", WEB)
    assert store.image("k8s.io", WEB) == config
    assert [(image.id, image.layers) for image in read(store).images] == [(config, ("2", "1")), (config, ("4", "3"))]


def test_of_an_index_the_platform_that_is_there_counts(store: ContainerdStore) -> None:
    manifest, config = store.manifest(1)
    store.unpack("default", config)
    attestation = store.blob({"config": {"digest": store.blob({})}})
    note = {"vnd.docker.reference.type": "attestation-manifest"}
    index = {"manifests": [{"digest": "sha256:" + "0" * 64}, {"digest": manifest}]}
    index["manifests"].append({"digest": attestation, "annotations": note})  # type: ignore[dict-item]  # as JSON is
    store.name("default", WEB, store.blob(index))
    assert [(image.id, image.layers, image.missing) for image in read(store).images] == [(config, ("1",), ())]


def test_of_an_index_the_platform_that_is_unpacked_counts(store: ContainerdStore) -> None:
    (fetched, _), (used, config) = store.manifest(1, "arm"), store.manifest(2)
    store.unpack("default", config)
    store.name("default", WEB, store.blob({"manifests": [{"digest": fetched}, {"digest": used}]}))
    assert [(image.id, image.missing) for image in read(store).images] == [(config, ())]


def test_an_index_of_which_nothing_is_there_is_one_image(store: ContainerdStore) -> None:
    absent = tuple(f"sha256:{number:064x}" for number in range(3))
    empty, index = store.blob({"manifests": []}), store.blob({"manifests": [{"digest": one} for one in absent]})
    store.name("default", "a:1", index)
    store.name("default", "b:1", empty)
    assert [(image.id, image.names, image.missing) for image in read(store).images] == [
        (index, ("a:1",), absent),
        (empty, ("b:1",), ()),
    ]


def test_what_an_image_needs_and_is_not_there_is_told(store: ContainerdStore) -> None:
    manifest, config = store.manifest(2)
    store.name("default", "not/unpacked:1", manifest)
    absent = "sha256:" + "0" * 64
    store.name("default", "not/fetched:1", absent)
    lost = store.image("default", "config/lost:1", text="other")
    (store.path / f"io.containerd.content.v1.content/blobs/sha256/{lost[7:]}").unlink()
    found = {image.names: image for image in read(store).images}
    assert found["not/unpacked:1",].missing == store.chains[config]
    assert found["not/fetched:1",].missing == (absent,)
    assert (found["config/lost:1",].missing, found["config/lost:1",].layers) == ((lost,), ("2", "1"))


def test_a_document_that_was_changed_is_told(store: ContainerdStore) -> None:
    config = store.image("default", WEB)
    (store.path / f"io.containerd.content.v1.content/blobs/sha256/{config[7:]}").write_text("{}")
    found = read(store)
    assert "was changed" in found.gaps[0].reason
    assert found.images[0].missing == (config,)


def test_a_pod_is_read_from_the_kubelets_labels(store: ContainerdStore) -> None:
    config = store.image("k8s.io", WEB)
    labels = {
        "io.cri-containerd.kind": "container",
        "io.kubernetes.pod.name": "web-0",
        "io.kubernetes.pod.namespace": "prod",
        "io.kubernetes.pod.uid": "u1",
        "io.kubernetes.container.name": "app",
    }
    store.container("k8s.io", "c1", WEB, store.chains[config][-1], labels)
    store.container("k8s.io", "p1", WEB, store.chains[config][-1], labels | {"io.cri-containerd.kind": "sandbox"})
    app, pause = read(store).containers
    assert (app.pod, app.namespace, app.pod_uid, app.role, app.labels) == ("web-0", "prod", "u1", "app", labels)
    assert (pause.pod, pause.role) == ("web-0", "sandbox")


def test_a_pod_without_labels_is_read_from_its_sandbox(store: ContainerdStore) -> None:
    about = {"name": "web-0", "namespace": "prod", "uid": "u1"}
    config = store.image("k8s.io", WEB)
    chain = store.chains[config][-1]
    cri = {
        "ID": "c1",
        "Name": "app_web-0",
        "SandboxID": "p1",
        "Config": {"metadata": {"name": "app"}, "image": {"user_specified_image": "web:1"}},
    }
    store.container("k8s.io", "c1", config, chain, None, {"io.cri-containerd.container.metadata": {"Metadata": cri}})
    sandbox = {"Metadata": {"ID": "p1", "Config": {"metadata": about}}}
    store.container("k8s.io", "p1", bucket="sandboxes", extensions={"metadata": sandbox})
    found = read(store)
    (app,) = found.containers
    assert (app.name, app.pod, app.namespace, app.pod_uid, app.role) == ("app_web-0", "web-0", "prod", "u1", "app")
    assert (app.image, app.image_name) == (config, "web:1")


def test_a_pod_is_read_from_the_annotations_of_the_specification(store: ContainerdStore) -> None:
    names = {"sandbox-name": "web-0", "sandbox-namespace": "prod", "sandbox-uid": "u1", "container-name": "app"}
    spec = {
        "annotations": {f"io.kubernetes.cri.{name}": value for name, value in names.items()},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/etc/hosts", "type": "bind", "source": "/var/lib/kubelet/hosts"},
            {"destination": "/data", "source": "/data", "options": ["rbind"]},
        ],
    }
    store.container("k8s.io", "c1", spec=spec)
    (app,) = read(store).containers
    assert (app.pod, app.namespace, app.pod_uid, app.role) == ("web-0", "prod", "u1", "app")
    assert app.mounts == {"/proc": "proc", "/etc/hosts": "/var/lib/kubelet/hosts", "/data": "/data"}


def test_state_and_process_are_those_that_were_written_down(store: ContainerdStore) -> None:
    for name in ("running", "exited", "created"):
        store.container("k8s.io", name)
    config = store.path.parent / "etc/containerd/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('root = "/link"\nstate = "/here"\n')
    (store.path.parent / "link").symlink_to("/containerd")
    pid = store.path.parent / "here/io.containerd.runtime.v2.task/k8s.io/running/init.pid"
    pid.parent.mkdir(parents=True)
    pid.write_text("4711")
    for name, status in (("exited", '{"FinishedAt": 2, "StartedAt": 1}'), ("created", '{"CreatedAt": 1}')):
        place = store.path / "io.containerd.grpc.v1.cri/containers" / name / "status"
        place.parent.mkdir(parents=True)
        place.write_text(status)
    states = {container.id: (container.state, container.pid) for container in read(store).containers}
    assert states == {"created": ("created", None), "exited": ("exited", None), "running": ("running", 4711)}


def test_a_snapshot_of_an_image_that_is_gone_stays_an_image_layer(store: ContainerdStore) -> None:
    chain = "sha256:" + "1" * 64
    store.snapshot("default", chain, kind=COMMITTED)
    store.container("default", "c1", WEB, chain)
    found = read(store)
    assert roles(found) == {"1": "image", "2": "container"}
    assert (found.images, found.containers[0].image, found.containers[0].image_name) == ((), "", WEB)


def test_what_a_lease_or_a_label_keeps_is_a_snapshot_and_what_nothing_keeps_is_unknown(store: ContainerdStore) -> None:
    config = store.image("default", WEB)
    chain = store.chains[config][0]
    leased = store.snapshot("default", "leased", chain)
    rooted = store.snapshot("default", "rooted", kind=COMMITTED, labels={f"{GC}root": "now"})
    above = store.snapshot("default", "above", "rooted", COMMITTED)
    kept = store.snapshot("default", "above-leased", "above")
    leaked = store.snapshot("default", "leaked", chain)
    left = store.snapshot("default", "sha256:" + "5" * 64, kind=COMMITTED)
    extract = store.snapshot("default", "extract-1-x sha256:1", chain)
    built = store.snapshot("default", "built", chain)
    referred = store.snapshot("default", "referred", kind=COMMITTED)
    referring = store.snapshot("default", "referring", labels={f"{GC}ref.snapshot.overlayfs/a": "referred"})
    store.lease("default", "l1", ["leased", "above-leased", "extract-1-x sha256:1", "gone"])
    store.lease("default", "l2", ["built"], {f"{GC}flat": "now"})
    found = roles(read(store))
    assert {found[one] for one in (leased, rooted, above, kept, referred)} == {"snapshot"}
    assert found[referring] == "unknown"
    assert (found[leaked], found[left], found[extract], found[built]) == ("unknown", "unknown", "temporary", "build")


def test_a_view_is_mounted_without_its_own_directory(store: ContainerdStore) -> None:
    config = store.image("default", WEB)
    above = store.snapshot("default", "above", store.chains[config][1], VIEW)
    alone = store.snapshot("default", "alone", kind=VIEW)
    found = layers(read(store))
    assert (found[above].trees, found[above].lower, found[above].writable) == ((), ("2", "1"), False)
    assert [tree.rpartition("/")[2] for tree in found[alone].trees] == ["fs"]


def test_directories_that_the_database_does_not_know_are_nobodys(store: ContainerdStore) -> None:
    store.image("default", WEB)
    folder = store.folder / "snapshots"
    for name in ("10", "9", "new-1234", "rm-3", "odd\nname"):
        (folder / name / "fs").mkdir(parents=True)
    (folder / "a-file").write_text("")
    found = read(store)
    assert list(roles(found).items()) == [
        ("1", "image"),
        ("2", "image"),
        ("9", "unknown"),
        ("10", "unknown"),
        ("new-1234", "temporary"),
        ("odd\nname", "unknown"),
        ("rm-3", "removing"),
    ]
    assert layers(found)["9"].lower is None


def test_a_directory_that_is_gone_is_missing(store: ContainerdStore) -> None:
    config = store.image("default", WEB)
    shutil.rmtree(store.folder / "snapshots/1")
    shutil.rmtree(store.folder / "snapshots/2/fs")
    found = read(store)
    base, second = layers(found)["1"], layers(found)["2"]
    assert (base.missing, base.trees, base.role) == (True, (), "image")
    assert (second.missing, second.trees) == (False, ())
    assert [(gap.where.rpartition("snapshots/")[2], gap.reason) for gap in found.gaps] == [("2/fs", "is gone")]
    assert found.images[0].layers == ("2", "1")
    assert config


def test_a_snapshot_that_its_namespace_gave_up_is_being_removed(store: ContainerdStore) -> None:
    number = store.snapshot("default", "going")
    del store.bucket("default", "snapshots", "overlayfs")[b"going"]
    assert roles(read(store)) == {number: "removing"}


def test_a_snapshot_that_its_snapshotter_does_not_have_is_told(store: ContainerdStore) -> None:
    config = store.image("default", WEB)
    store.container("default", "c1", WEB, store.chains[config][-1])
    del store.snapshots[b"default/3/c1"]
    found = read(store)
    assert [gap.reason for gap in found.gaps] == ["does not have 'default/3/c1', which meta.db names"]
    assert found.containers[0].layer == ""


def test_a_containers_image_is_told_by_the_layers_below_it_where_its_name_is_gone(store: ContainerdStore) -> None:
    config = store.image("default", WEB)
    chain = store.chains[config][-1]
    store.snapshot("default", f"{chain}-100000-100000", chain, COMMITTED)
    store.snapshot("default", "other", chain, COMMITTED)
    store.container("default", "c1", "renamed:1", chain)
    store.container("default", "c2", "renamed:1", f"{chain}-100000-100000")
    store.container("default", "c3", "renamed:1", "other")
    images = {container.id: container.image for container in read(store).containers}
    assert images == {"c1": config, "c2": config, "c3": ""}


def test_a_container_of_two_equal_images_is_not_guessed(store: ContainerdStore) -> None:
    config = store.image("default", WEB)
    manifest, other = store.manifest(2, created="2026-01-01T00:00:00Z")
    assert (other != config, store.chains[other]) == (True, store.chains[config])
    store.name("default", "equal:1", manifest)
    store.container("default", "c1", "renamed:1", store.chains[config][-1])
    assert read(store).containers[0].image == ""


def test_parents_that_lead_nowhere_or_in_a_circle_are_not_guessed(store: ContainerdStore) -> None:
    for key in ("a", "b", "c"):
        store.snapshot("default", key, kind=COMMITTED)
    for name, parent in (("default/1/a", b"default/2/b"), ("default/2/b", b"default/1/a"), ("default/3/c", b"gone")):
        record = store.snapshots[name.encode()]
        assert isinstance(record, dict)
        record[b"parent"] = parent
    assert {layer.id: layer.lower for layer in read(store).layers} == {"1": None, "2": None, "3": None}


def test_two_records_of_one_directory_are_told(store: ContainerdStore) -> None:
    store.snapshot("default", "a")
    store.snapshot("default", "b")
    record = store.snapshots[b"default/2/b"]
    assert isinstance(record, dict)
    record[b"id"] = b"\1"
    found = read(store)
    assert found.gaps[0].reason.endswith("names no directory of its own")
    assert found.gaps[-1].what == "owners"


def test_another_snapshotters_snapshots_are_counted(store: ContainerdStore) -> None:
    for key in ("a", "b"):
        store.bucket("k8s.io", "snapshots", "stargz", key)[b"name"] = f"k8s.io/1/{key}".encode()
    store.container("k8s.io", "c1", snapshotter="stargz", snapshotKey="a")
    found = read(store)
    assert found.notes == ("snapshots of the snapshotter 'stargz': 2; they are not read",)
    assert found.containers[0].layer == ""


def test_fuse_overlayfs_is_read_where_overlayfs_is_not_used(tmp_path: Path) -> None:
    store = ContainerdStore(tmp_path / "containerd", "fuse-overlayfs")
    config = store.image("default", WEB)
    (store.path / "io.containerd.snapshotter.v1.overlayfs/snapshots").mkdir(parents=True)
    found = read(store)
    assert (found.driver, found.images[0].layers, found.images[0].id) == ("fuse-overlayfs", ("2", "1"), config)


def test_without_meta_db_no_directory_is_called_nobodys(store: ContainerdStore) -> None:
    store.image("default", WEB)
    store.snapshot("default", "c1")
    store.write()
    (store.path / "io.containerd.metadata.v1.bolt/meta.db").unlink()
    found = read_path(store.path.parent)
    assert roles(found) == {"1": "image", "2": "image", "3": "unknown"}
    assert [gap.what for gap in found.gaps] == ["owners"]
    assert found.layers[2].created_at == "2026-01-02T03:04:04Z"


def test_without_metadata_db_no_directory_is_called_nobodys(store: ContainerdStore) -> None:
    store.image("default", WEB)
    store.write()
    (store.folder / "metadata.db").write_bytes(b"nothing")
    found = read_path(store.path.parent)
    assert [(layer.role, layer.lower, layer.missing) for layer in found.layers] == [("unknown", None, False)] * 2
    assert "owners" in {gap.what for gap in found.gaps}
    assert found.images[0].missing


def test_a_containerd_that_only_runs_containers_lacks_nothing(store: ContainerdStore) -> None:
    store.container("moby", "c1")
    store.write()
    (store.folder / "metadata.db").unlink()
    for gone in (store.folder / "snapshots", store.folder):
        gone.rmdir()
        found = read_path(store.path.parent)
        assert (found.gaps, found.layers, [container.id for container in found.containers]) == ((), (), ["c1"])


def test_what_dockerd_notes_for_itself_is_no_label_of_the_container(store: ContainerdStore) -> None:
    labels = {"com.docker/engine.bundle.path": "/run/docker/containerd/c1", "team": "shop"}
    store.container("moby", "c1", labels=labels)
    store.write()
    (found,) = read_path(store.path.parent).containers
    assert found.labels == {"team": "shop"}


def test_a_snapshotters_folder_alone_is_read(store: ContainerdStore) -> None:
    store.image("default", WEB)
    store.write()
    found = read_path(store.folder, "/")
    assert roles(found) == {"1": "image", "2": "image"}
    assert found.layers[0].trees == ("/snapshots/1/fs",)


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no store of containerd"):
        read_path(tmp_path, "/")
    with pytest.raises(SourceError, match="No such file"):
        read_path(tmp_path, "/containerd")


class Owned(Root):
    """A root all of whose files are one user's."""

    uid = 0

    def status(self, path: str, *, follow: bool = True) -> os.stat_result:
        found = super().status(path, follow=follow)
        return os.stat_result((*found[:4], self.uid, *found[5:10]))


@pytest.mark.parametrize(("uid", "userxattr"), [(0, False), (1000, True), (65534, False)])
def test_a_store_of_an_ordinary_user_is_mounted_with_userxattr(
    store: ContainerdStore, uid: int, userxattr: bool
) -> None:
    store.write()
    with Owned(str(store.path.parent)) as root:
        root.uid = uid
        assert containerd.read(root, "/containerd").options.userxattr is userxattr


def test_a_store_in_a_home_is_mounted_with_userxattr(tmp_path: Path) -> None:
    ContainerdStore(tmp_path / ".local/share/containerd").write()
    assert read_path(tmp_path, "/.local/share/containerd").options.userxattr
