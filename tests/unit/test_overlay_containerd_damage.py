"""containerd's store with damage and malice: every answer is a store or a SourceError, and none takes for ever."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from netfs.errors import SourceError
from netfs.overlay.disk.root import Root
from netfs.overlay.stores.containerd import files as containerd_files
from netfs.overlay.stores.containerd import store as containerd
from netfs.overlay.stores.containerd.content import Content, Manifest
from tests.unit.containerd_store import COMMITTED, ContainerdStore


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containerd_files, "_YOUNG_S", 0)


@pytest.fixture
def store(tmp_path: Path) -> ContainerdStore:
    built = ContainerdStore(tmp_path / "containerd")
    config = built.image("default", "docker.io/library/web:1")
    chain = built.chains[config][-1]
    spec = {"annotations": {"io.kubernetes.cri.container-type": "sandbox"}, "mounts": [{"destination": "/a"}]}
    cri = {"io.cri-containerd.container.metadata": {"Metadata": {"Name": "n", "SandboxID": "p"}}}
    built.container("default", "c1", "docker.io/library/web:1", chain, {"a": "b"}, cri, spec)
    built.lease("default", "l1", [chain])
    built.unpack("moby", config)
    built.docker_container("d" * 64, chain)
    (built.folder / "snapshots/77/fs").mkdir(parents=True)
    status = built.path / "io.containerd.grpc.v1.cri/containers/c1/status"
    status.parent.mkdir(parents=True)
    status.write_text('{"FinishedAt": 1}')
    built.write()
    return built


@pytest.mark.parametrize("seed", range(40))
def test_damage_of_any_file_gives_a_store_or_a_source_error(store: ContainerdStore, seed: int) -> None:
    choose = random.Random(seed)
    files = sorted(path for path in store.path.rglob("*") if path.is_file())
    assert len(files) == 5
    for path in files if seed % 2 else [choose.choice(files)]:
        data = bytearray(path.read_bytes())
        for _ in range(choose.choice([1, 5, 50])):
            data[choose.randrange(len(data))] = choose.choice([0, 1, 0xFF, choose.randrange(256)])
        path.write_bytes(data[: choose.randrange(len(data))] if seed % 3 == 0 else data)
    with Root(str(store.path.parent)) as root:
        try:
            found = containerd.read(root, "/containerd")
        except SourceError:
            return
    ids = {layer.id for layer in found.layers}
    assert ids.issuperset(layer for image in found.images for layer in image.layers)
    assert ids.issuperset(container.layer for container in found.containers if container.layer)
    assert ids.issuperset(lower for layer in found.layers for lower in layer.lower or ())
    assert "77" in ids


def test_a_pipe_in_place_of_a_file_is_not_waited_for(store: ContainerdStore) -> None:
    for path in sorted(path for path in store.path.rglob("*") if path.is_file()):
        path.unlink()
        os.mkfifo(path)
    with Root(str(store.path.parent)) as root:
        found = containerd.read(root, "/containerd")
    assert {layer.role for layer in found.layers} == {"unknown"}
    assert {gap.reason for gap in found.gaps} == {"is no regular file"}


def test_ids_that_are_paths_lead_nowhere(tmp_path: Path) -> None:
    store = ContainerdStore(tmp_path / "root/containerd")
    (tmp_path / "root/etc/containerd").mkdir(parents=True)
    (tmp_path / "root/etc/containerd/config.toml").write_text('root = "/containerd"\nstate = "/state"\n')
    secret = tmp_path / "root/state/secret"
    secret.mkdir(parents=True)
    (secret / "init.pid").write_text("1")
    (tmp_path / "root/state/io.containerd.runtime.v2.task/k8s.io").mkdir(parents=True)
    for namespace, identity in (("k8s.io", "../../secret"), ("..", "secret"), ("k8s.io", "..")):
        store.container(namespace, identity)
    store.write()
    with Root(str(tmp_path / "root")) as root:
        assert {container.pid for container in containerd.read(root, "/containerd").containers} == {None}


def test_a_chain_without_end_is_not_followed(tmp_path: Path) -> None:
    store = ContainerdStore(tmp_path / "containerd")
    parent = ""
    for number in range(510):
        key = f"k{number}"
        store.snapshot("default", key, parent, COMMITTED)
        parent = key
    store.write()
    with Root(str(tmp_path)) as root:
        lower = {layer.id: layer.lower for layer in containerd.read(root, "/containerd").layers}
    assert len(lower["501"] or ()) == 500
    assert lower["502"] is None


def test_indexes_of_indexes_are_read_once_and_not_without_end(tmp_path: Path) -> None:
    store = ContainerdStore(tmp_path / "containerd")
    manifest, config = store.manifest(1)
    for number in range(30):
        manifest = store.blob({"manifests": [{"digest": manifest}] * 100, "number": number})
    wide = store.blob({"manifests": [{"digest": f"sha256:{number:064x}"} for number in range(1000)]})
    with Root(str(store.path)) as root:
        content = Content(root, "io.containerd.content.v1.content")
        assert [one.config for one in content.manifests(manifest)] == [config]
        assert content.manifests(wide) == (Manifest(wide),)
    assert "more manifests" in content.gaps[0].reason


@pytest.mark.parametrize("digest", ["", "sha256:../../../etc/passwd", "sha256:" + "0" * 63, "md5:" + "0" * 32])
def test_what_is_no_digest_leads_to_no_file(tmp_path: Path, digest: str) -> None:
    with Root(str(tmp_path)) as root:
        content = Content(root, "/")
        assert content.document(digest) is None
        assert not content.gaps
