"""Docker's containers whose layers containerd keeps. Docker 29 is not packaged for every system that tests run on: what
it writes is built here, from moby's daemon/containerd/image_snapshot.go and daemon/container/container.go.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from netfs.model.containers import Container
from netfs.model.layers import Image, Layer, Store
from netfs.overlay.disk.root import Root
from netfs.overlay.stores.containerd import store as containerd
from netfs.overlay.stores.join import full_name, join
from tests.unit.containerd_store import COMMITTED, ContainerdStore

ID = "ab" * 32
DOCKER = Store(
    "docker",
    "/var/lib/docker",
    containers=(Container(ID, "web", "sha256:manifest", "web", state="exited", labels={"a": "b"}, role="app"),),
    others=("containerd",),
)


def docker29(path: Path) -> tuple[Store, str]:
    """containerd's store as Docker 29 leaves it when a container has stopped, and the image's id."""
    store = ContainerdStore(path / "containerd")
    config = store.image("moby", "docker.io/library/web:latest")
    store.docker_container(ID, store.chains[config][-1])
    store.write()
    with Root(str(path)) as root:
        return containerd.read(root, "/containerd"), config


def test_a_stopped_container_is_known_by_its_snapshot(tmp_path: Path) -> None:
    found, config = docker29(tmp_path)
    assert found.containers == (Container(ID, image=config, layer="4", runtime="docker"),)
    assert [layer.role for layer in found.layers] == ["image", "image", "init", "container"]
    assert found.layers[3].lower == ("3", "2", "1")


def test_a_container_whose_users_are_mapped_has_two_layers_of_its_own_below_it(tmp_path: Path) -> None:
    store = ContainerdStore(tmp_path / "containerd")
    config = store.image("moby", "docker.io/library/web:latest", layers=1)
    store.snapshot("moby", f"{ID}-init", store.chains[config][0], COMMITTED)
    store.snapshot("moby", f"{ID}-init-1000-1000", f"{ID}-init", COMMITTED)
    store.snapshot("moby", ID, f"{ID}-init-1000-1000")
    store.lease("moby", ID, [ID])
    store.write()
    with Root(str(tmp_path)) as root:
        found = containerd.read(root, "/containerd")
    assert found.containers == (Container(ID, image=config, layer="4", runtime="docker"),)
    assert [layer.role for layer in found.layers] == ["image", "init", "init", "container"]


def test_a_container_is_in_the_store_that_has_its_layer(tmp_path: Path) -> None:
    found, config = docker29(tmp_path)
    for stores in ((DOCKER, replace(found, root="/")), (replace(found, root="/"), DOCKER)):
        docker, kept = sorted(join(stores), key=lambda store: store.engine, reverse=True)
        assert docker.containers == ()
        assert docker.others == ("containerd",)
        assert kept.others == ("docker",)
        assert kept.containers == (replace(DOCKER.containers[0], layer="4", image=config),)


def test_a_running_container_keeps_what_only_containerd_says() -> None:
    known = Container(ID, pid=7, image="sha256:config", layer="2")
    store = Store("containerd", "/c", layers=(Layer("2", "/c/2", names=(f"moby/{ID}",)),), containers=(known,))
    joined = join((DOCKER, store))[1].containers
    assert joined == (replace(DOCKER.containers[0], layer="2", pid=7, image="sha256:config"),)


def test_a_container_without_lease_or_image_is_found_by_its_key() -> None:
    layers = (
        Layer("1", "/c/1", names=(f"moby/{ID}-init",), role="unknown"),
        Layer("2", "/c/2", names=(f"moby/{ID}",), role="unknown"),
        Layer("3", "/c/3", names=("moby/other-init",), role="unknown"),
    )
    images = (Image("sha256:config", ("docker.io/library/web:latest",)),)
    kept = join((DOCKER, Store("containerd", "/c", layers=layers, images=images)))[1]
    assert [layer.role for layer in kept.layers] == ["init", "container", "unknown"]
    assert (kept.containers[0].layer, kept.containers[0].image) == ("2", "sha256:config")


def test_a_container_that_containerd_only_runs_stays_dockers() -> None:
    docker = replace(DOCKER, containers=(replace(DOCKER.containers[0], layer="f" * 64),), others=())
    store = Store("containerd", "/c", containers=(Container(ID, pid=7), Container("other")))
    joined = join((docker, store))
    assert joined[0] == docker
    assert joined[1].others == ()
    assert [container.id for container in joined[1].containers] == ["other"]


def test_stores_that_share_nothing_stay_as_they_are() -> None:
    store = Store("containerd", "/c", containers=(Container("other", layer="1"),))
    assert join((DOCKER, store)) == (DOCKER, store)
    assert join(()) == ()


@pytest.mark.parametrize("other", [{"node": "b"}, {"root": "/mnt"}])
def test_stores_of_another_machine_are_not_joined(other: dict[str, str]) -> None:
    store = Store("containerd", "/c", layers=(Layer("2", "/c/2", names=(f"moby/{ID}",)),), **other)  # type: ignore[arg-type]  # two fields of text
    assert join((DOCKER, store)) == (DOCKER, store)


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("web", "docker.io/library/web:latest"),
        ("me/web:2", "docker.io/me/web:2"),
        ("localhost/web", "localhost/web:latest"),
        ("r.example:5000/a/web", "r.example:5000/a/web:latest"),
        ("web@sha256:0", "docker.io/library/web@sha256:0"),
    ],
)
def test_a_short_name_stands_for_a_full_one(name: str, full: str) -> None:
    assert full_name(name) == full
