"""Where stores are found: in usual places, where configurations say, and where the root itself is one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from netfs.overlay.disk.root import Root
from netfs.overlay.stores.find import Place, find
from tests.unit.docker_store import DockerStore

CONTAINERD = "io.containerd.snapshotter.v1.overlayfs"


def places(root: Path) -> tuple[Place, ...]:
    with Root(str(root)) as opened:
        return find(opened)


def write(root: Path, path: str, text: str) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    (tmp_path / "var" / "lib" / "docker").mkdir(parents=True)
    assert places(tmp_path) == ()


def test_every_engine_has_its_usual_place(tmp_path: Path) -> None:
    DockerStore(tmp_path / "var/lib/docker")
    (tmp_path / "var/lib/containerd" / CONTAINERD).mkdir(parents=True)
    (tmp_path / "var/lib/rancher/k3s/agent/containerd" / CONTAINERD).mkdir(parents=True)
    (tmp_path / "var/lib/containers/storage/overlay-images").mkdir(parents=True)
    assert places(tmp_path) == (
        Place("docker", "/var/lib/docker"),
        Place("containerd", "/var/lib/containerd"),
        Place("containerd", "/var/lib/rancher/k3s/agent/containerd"),
        Place("containers-storage", "/var/lib/containers/storage"),
    )


def test_users_have_stores_of_their_own(tmp_path: Path) -> None:
    DockerStore(tmp_path / "home/ann/.local/share/docker")
    (tmp_path / "srv/bob/.local/share/containers/storage/overlay-layers").mkdir(parents=True)
    write(tmp_path, "etc/passwd", "broken\nbob:x:1001:1001::/srv/bob:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n")
    assert places(tmp_path) == (
        Place("docker", "/home/ann/.local/share/docker"),
        Place("containers-storage", "/srv/bob/.local/share/containers/storage"),
    )


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("etc/docker/daemon.json", json.dumps({"data-root": "/data/docker/"})),
        ("etc/docker/daemon.json", json.dumps({"graph": "/data/docker"})),
        ("home/ann/.config/docker/daemon.json", json.dumps({"data-root": "/data/docker"})),
        ("lib/systemd/system/docker.service", "[Service]\nExecStart=/usr/bin/dockerd --data-root=/data/docker\n"),
        (
            "etc/systemd/system/docker.service.d/a.conf",
            "ExecStart=\nExecStart = /usr/bin/dockerd \\\n  -g /data/docker\n",
        ),
        ("etc/systemd/system/docker.service", "ExecStart=dockerd --config-file /etc/d.json"),
    ],
)
def test_a_data_root_is_where_it_is_configured(tmp_path: Path, path: str, text: str) -> None:
    DockerStore(tmp_path / "data/docker")
    write(tmp_path, "etc/d.json", json.dumps({"data-root": "/data/docker"}))
    write(tmp_path, path, text)
    assert places(tmp_path) == (Place("docker", "/data/docker"),)


def test_containerds_root_is_where_it_is_configured(tmp_path: Path) -> None:
    (tmp_path / "data/containerd" / CONTAINERD).mkdir(parents=True)
    write(tmp_path, "etc/containerd/config.toml", 'version = 2\nroot = "/data/containerd"\n')
    assert places(tmp_path) == (Place("containerd", "/data/containerd"),)


def test_storages_are_where_they_are_configured(tmp_path: Path) -> None:
    for path in ("data/graph", "data/images", "data/more", "srv/ann/own"):
        (tmp_path / path / "overlay-images").mkdir(parents=True)
    write(
        tmp_path,
        "etc/containers/storage.conf",
        '[storage]\ngraphroot = "/data/graph"\nimagestore = "/data/images"\n'
        'rootless_storage_path = "/srv/$USER/own"\n[storage.options]\nadditionalimagestores = ["/data/more", 3]\n',
    )
    (tmp_path / "home/ann").mkdir(parents=True)
    found = places(tmp_path)
    assert [place.path for place in found] == ["/data/graph", "/data/images", "/data/more", "/srv/ann/own"]
    assert {place.engine for place in found} == {"containers-storage"}


def test_a_file_beside_storage_conf_counts_too(tmp_path: Path) -> None:
    (tmp_path / "data/graph/overlay-images").mkdir(parents=True)
    write(tmp_path, "etc/containers/storage.conf.d/10-here.conf", '[storage]\ngraphroot = "/data/graph"\n')
    assert places(tmp_path) == (Place("containers-storage", "/data/graph"),)


def test_dockers_own_containerd_and_remapped_roots_lie_in_its_root(tmp_path: Path) -> None:
    DockerStore(tmp_path / "var/lib/docker")
    DockerStore(tmp_path / "var/lib/docker/100000.100000")
    (tmp_path / "var/lib/docker/containerd/daemon" / CONTAINERD).mkdir(parents=True)
    assert places(tmp_path) == (
        Place("docker", "/var/lib/docker"),
        Place("docker", "/var/lib/docker/100000.100000"),
        Place("containerd", "/var/lib/docker/containerd/daemon"),
    )


def test_a_root_that_is_a_store_is_found(tmp_path: Path) -> None:
    store = DockerStore(tmp_path / "copy")
    store.image("app:1", "base")
    (tmp_path / "podman" / "overlay" / "l").mkdir(parents=True)
    (tmp_path / "podman" / "overlay-layers").mkdir()
    assert places(store.path) == (Place("docker", "/"),)
    assert places(store.overlay2) == (Place("docker", "/"),)
    assert places(tmp_path / "podman") == (Place("containers-storage", "/"),)


def test_a_copy_of_var_lib_is_searched(tmp_path: Path) -> None:
    DockerStore(tmp_path / "docker")
    (tmp_path / "containers/storage/overlay-layers").mkdir(parents=True)
    assert [place.path for place in places(tmp_path)] == ["/docker", "/containers/storage"]


def test_a_store_that_is_reached_by_several_ways_is_one(tmp_path: Path) -> None:
    DockerStore(tmp_path / "data/docker")
    (tmp_path / "var/lib").mkdir(parents=True)
    os.symlink("/data/docker", tmp_path / "var/lib/docker")
    write(tmp_path, "etc/docker/daemon.json", json.dumps({"data-root": "/var/lib/docker"}))
    assert places(tmp_path) == (Place("docker", "/data/docker"),)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0",
        "{",
        "[[[[",
        '{"data-root": 3}',
        '{"data-root": "relative"}',
        '{"data-root": "/\\u0000"}',
        "a = [" * 5000,
    ],
)
def test_configurations_that_say_nothing_are_passed_over(tmp_path: Path, text: str) -> None:
    DockerStore(tmp_path / "var/lib/docker")
    for path in ("etc/docker/daemon.json", "etc/containerd/config.toml", "etc/containers/storage.conf", "etc/passwd"):
        write(tmp_path, path, text)
    write(tmp_path, "etc/systemd/system/docker.service", f'ExecStart=dockerd "--data-root={text}')
    write(tmp_path, "etc/systemd/system/containerd.service", "ExecStart=containerd --config\nExecStart=\n")
    assert places(tmp_path) == (Place("docker", "/var/lib/docker"),)


def test_a_configured_place_cannot_lead_out_of_the_root(tmp_path: Path) -> None:
    DockerStore(tmp_path / "outside")
    (tmp_path / "machine").mkdir()
    write(tmp_path / "machine", "etc/docker/daemon.json", json.dumps({"data-root": "/../outside"}))
    assert places(tmp_path / "machine") == ()
