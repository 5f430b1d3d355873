"""The lab's stores: whole, true to their digests, and read as a dockerd's are."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
from pathlib import Path

import pytest

from netfs.lab import image, plan, store
from netfs.model.layers import Store
from netfs.overlay.disk.root import Root
from netfs.overlay.stores.chain_id import chain_ids
from netfs.overlay.stores.docker import store as docker


@pytest.fixture
def pod() -> plan.PodPlan:
    return plan.make(1, 1, ipv6=False).pods[0]


@pytest.fixture
def read(tmp_path: Path, pod: plan.PodPlan) -> Store:
    made = store.make(str(tmp_path / "docker"), "node1", rootless=True)
    store.make_container(made, pod)
    store.start_container(made, pod, 4242)
    with Root(str(tmp_path)) as root:
        return docker.read(root, "/docker")


def test_nothing_is_missing_in_it(read: Store) -> None:
    assert (read.gaps, read.notes, read.others) == ((), (), ())
    assert sorted(layer.role for layer in read.layers) == ["container", "image", "image", "image", "init"]
    assert not any(layer.missing for layer in read.layers)


def test_a_container_is_the_one_of_the_plan(read: Store, pod: plan.PodPlan) -> None:
    (container,) = read.containers
    assert (container.id, container.pod_uid, container.pod) == (pod.container, pod.uid, pod.name)
    assert (container.namespace, container.role, container.state, container.pid) == ("default", "app", "running", 4242)
    assert (container.image, container.image_name) == (read.images[0].id, image.TAG)


def test_every_layer_of_the_image_was_made_by_a_line_of_its_history(read: Store) -> None:
    (found,) = read.images
    made = [line.layer for line in found.history if line.layer]
    assert tuple(reversed(made)) == found.layers
    assert len(made) == len(image.LAYERS) < len(found.history)
    assert image.TAG in found.names


def test_digests_are_those_of_the_layers() -> None:
    made = image.image()
    for entries, digest in zip(image.LAYERS, made.diff_ids, strict=True):
        assert digest == f"sha256:{hashlib.sha256(image.tar(entries)).hexdigest()}"
    assert made.chain_ids == chain_ids(made.diff_ids)
    assert made.id == f"sha256:{hashlib.sha256(made.config).hexdigest()}"


def test_an_archive_tells_of_what_is_deleted_and_replaced_in_its_own_way() -> None:
    with tarfile.open(fileobj=io.BytesIO(image.tar(image.LAYERS[-1]))) as archive:
        names = archive.getnames()
    assert "var/cache/apt/.wh.libssl3.deb" in names
    assert names.index("usr/share/doc/.wh..wh..opq") == names.index("usr/share/doc") + 1


def test_a_container_has_deleted_a_file_and_made_a_directory_anew(read: Store, pod: plan.PodPlan) -> None:
    (container,) = read.containers
    diff = Path(f"{read.root}{read.path}/overlay2/{container.layer}/diff")
    deleted = os.lstat(diff / "etc" / "issue")
    assert stat.S_ISCHR(deleted.st_mode)
    assert deleted.st_rdev == 0
    assert os.getxattr(diff / "app" / "data", "user.overlay.opaque") == b"y"
    assert (diff / "etc" / "hostname").read_text() == f"{pod.name}\n"


def test_the_hosts_file_is_the_init_layers(read: Store) -> None:
    holders = [layer.role for layer in read.layers if Path(f"{read.root}{layer.trees[0]}/etc/hosts").exists()]
    assert sorted(holders) == ["image", "init"]


def test_marks_that_this_host_forbids_are_left_out(
    tmp_path: Path, pod: plan.PodPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "mknod", refuse)
    monkeypatch.setattr(os, "setxattr", refuse)
    made = store.make(str(tmp_path / "docker"), "node1", rootless=True)
    store.make_container(made, pod)
    assert not list((tmp_path / "docker").rglob("issue"))[1:]
