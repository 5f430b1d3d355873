"""What is read from the stores of a real Podman is what it says of them, and what the kernel shows of them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from netfs.model.containers import Container
from netfs.model.layers import Image, Store
from netfs.overlay.changes.account import account
from netfs.overlay.changes.diff import diff
from netfs.overlay.disk.root import Root
from netfs.overlay.merge.tree import Stack
from netfs.overlay.merge.view import View
from netfs.overlay.stores.containers_storage import store as reader
from netfs.overlay.stores.find import find
from tests.conformance.stores import agreement
from tests.conformance.stores.listing import untouched
from tests.conformance.stores.podman import DANGLING, MORE, ORPHAN, STORE, Podman
from tests.conformance.stores.seen import tree

pytestmark = pytest.mark.kernel
RUNNING = ("writer", "quiet", "on-other", "on-far")
ENDED = ("stopped", "created")
INIT = {"/dev", "/proc", "/sys", "/run", "/run/.containerenv", "/run/secrets", "/run/notify"}
INIT |= {"/etc/hostname", "/etc/hosts", "/etc/mtab", "/etc/resolv.conf"}
"""Podman makes these itself, and does not tell (podman ``libpod/diff.go``)."""
PLACES = [("containers-storage", STORE), ("containers-storage", MORE)]
WORKING_S = 2
IMAGES = ("base:1", "app:1", "other:1", "gone:1")


@pytest.fixture
def root(pod: Podman) -> Iterator[Root]:
    with Root(pod.machine.root) as opened:
        yield opened


@pytest.fixture
def stores(root: Root) -> tuple[Store, Store]:
    """Podman's own, and the one that only has images."""
    return reader.read(root, STORE), reader.read(root, MORE)


def of(stores: tuple[Store, ...], name: str) -> Container:
    (container,) = (each for each in stores[0].containers if each.name == name)
    return container


def image(store: Store, name: str) -> Image:
    (found,) = (each for each in store.images if f"localhost/{name}" in each.names)
    return found


def trees(stores: tuple[Store, ...], name: str) -> list[str]:
    return agreement.chain(stores, agreement.layer(stores[0], of(stores, name).layer))


def stack(stores: tuple[Store, ...], root: Root, name: str) -> Stack:
    return agreement.stacked(root, trees(stores, name))


def told_trees(told: dict[str, dict[str, str]]) -> list[str]:
    """The directories of ``inspect``, uppermost first."""
    return [told["Data"]["UpperDir"], *filter(None, told["Data"].get("LowerDir", "").split(":"))]


@contextmanager
def shown_by_kernel(pod: Podman, name: str) -> Iterator[str]:
    """A container's files, as Podman mounts them."""
    target = pod("mount", name)
    try:
        yield pod.machine.root + target
    finally:
        pod("umount", name)


def test_both_are_found(root: Root) -> None:
    assert [(place.engine, place.path) for place in find(root)] == PLACES


@pytest.mark.parametrize(("number", "path"), [(0, STORE), (1, MORE)])
def test_every_directory_is_a_layer(pod: Podman, stores: tuple[Store, ...], number: int, path: str) -> None:
    store = stores[number]
    folder = Path(pod.machine.root + path) / "overlay"
    kept = {each.name for each in folder.iterdir() if each.is_dir()} - {"l"}
    own = [each for each in store.layers if each.path.startswith(f"{path}/")]
    assert {each.id for each in own} == kept
    for each in own:
        assert each.path == f"{path}/overlay/{each.id}"
        assert each.short == (folder / each.id / "link").read_text()
        assert each.trees == (f"{each.path}/diff",)
        assert not each.missing
    assert dict(store.links) == {link.name: os.readlink(link) for link in (folder / "l").iterdir()}
    assert (store.engine, store.driver) == ("containers-storage", "overlay")


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_has_the_layers_and_the_history_that_podman_tells(
    pod: Podman, stores: tuple[Store, ...], name: str
) -> None:
    told = pod.image(name)
    ours = image(stores[0], name)
    layers = [agreement.layer(stores[0], identity) for identity in ours.layers]
    assert ours.id.removeprefix("sha256:") == told["Id"]
    assert [tree for layer in layers for tree in layer.trees] == told_trees(told["GraphDriver"])
    assert [layer.diff_id for layer in reversed(layers)] == told["RootFS"]["Layers"]
    assert [line.created_by for line in ours.history] == [line["created_by"] for line in told["History"]]
    assert [line.layer for line in ours.history] == [layer.id for layer in reversed(layers)]
    lines = pod.json("history", "--format", "json", name)
    assert [layer.recorded_size for layer in layers] == [line["size"] for line in lines]


def test_what_is_used_of_another_store_is_told(pod: Podman, stores: tuple[Store, ...]) -> None:
    own, more = stores
    ours = image(more, "far:1")
    assert ours.id.removeprefix("sha256:") == pod.image("far:1")["Id"]
    assert of(stores, "on-far").image == ours.id
    (layer,) = ours.layers
    assert agreement.layer(own, layer).path == f"{MORE}/overlay/{layer}"
    assert image(own, "far:1") == ours


@pytest.mark.parametrize("name", [*RUNNING, *ENDED])
def test_a_container_has_the_layers_that_podman_tells(pod: Podman, stores: tuple[Store, ...], name: str) -> None:
    told = pod.container(name)
    ours = of(stores, name)
    assert trees(stores, name) == told_trees(told["GraphDriver"])
    assert (ours.id, ours.image.removeprefix("sha256:"), ours.image_name) == (
        told["Id"],
        told["Image"],
        told["ImageName"],
    )
    top = agreement.layer(stores[0], ours.layer)
    assert (top.role, top.writable) == ("container", True)
    assert (ours.state, ours.pid) == (told["State"]["Status"], told["State"]["Pid"] or None)


def test_what_is_mounted_are_the_containers_that_run(pod: Podman, stores: tuple[Store, ...], root: Root) -> None:
    mounts = agreement.mounted_in(pod.machine, STORE)
    layers = {mount.upper: [mount.upper, *map(root.resolve, mount.lower)] for mount in mounts}
    for name in RUNNING:
        assert layers[trees(stores, name)[0]] == trees(stores, name)


def test_a_container_of_a_pod_is_told(pod: Podman, stores: tuple[Store, ...]) -> None:
    ours = of(stores, "on-other")
    assert ours.pod in {"web", pod.container("on-other")["Pod"]}
    assert of(stores, "writer").pod == ""


def test_nobody_is_said_to_own_what_nobody_owns(stores: tuple[Store, ...]) -> None:
    assert [each.id for each in stores[0].layers if each.role == "unknown"] == [ORPHAN]
    assert [each.id for each in stores[1].layers if each.role == "unknown"] == []
    assert stores[0].links[DANGLING] == f"../{'f' * 64}/diff"


@pytest.mark.parametrize("name", [*RUNNING, *ENDED])
def test_the_merged_view_is_what_the_kernel_shows(
    pod: Podman, stores: tuple[Store, ...], root: Root, name: str
) -> None:
    with shown_by_kernel(pod, name) as there:
        shown = tree(there)
        assert len(shown) > 100
        assert agreement.differences(agreement.shown(View(stack(stores, root, name))), shown) == {}


@pytest.mark.parametrize("name", [*RUNNING, *ENDED])
def test_what_a_container_changed_is_what_podman_diff_says(
    pod: Podman, stores: tuple[Store, ...], root: Root, name: str
) -> None:
    """Podman asks the upper directory alone (containers/storage ``pkg/archive/changes.go``, ``OverlayChanges``).

    So a file that was copied up and is as it was is changed to it, and so is a directory of another time; of a
    directory that was replaced it says that it was deleted, and nothing of what was in it.
    """
    told = pod.json("diff", "--format", "json", name)
    theirs = {kind: set(told.get(word, ())) for kind, word in (("A", "added"), ("C", "changed"), ("D", "deleted"))}
    merged = stack(stores, root, name)
    ours = {agreement.as_json_has_it(change.path): change.kind for change in diff(merged) if change.path not in INIT}
    view, below = View(merged), View(Stack(merged.layers[1:], upper=False))
    here, before = agreement.shown(view), agreement.shown(below)
    replaced = {path for path in theirs["D"] if ours.get(path) == "C"}
    assert {path for path in theirs["D"] if path not in replaced} == {
        path for path, kind in ours.items() if kind == "D" and path.rpartition("/")[0] not in replaced
    }
    assert theirs["A"] == {path for path, kind in ours.items() if kind == "A"}
    more = theirs["C"] - {path for path, kind in ours.items() if kind == "C"}
    assert {
        path: (here[path]._replace(mtime_ns=0, nlink=0), before[path]._replace(mtime_ns=0, nlink=0)) for path in more
    } == {path: (before[path]._replace(mtime_ns=0, nlink=0),) * 2 for path in more}
    assert {path for path, kind in ours.items() if kind == "C"} - theirs["C"] == replaced


@pytest.mark.parametrize("name", [*RUNNING, *ENDED])
def test_a_layer_is_as_large_as_podman_counts(pod: Podman, stores: tuple[Store, ...], root: Root, name: str) -> None:
    accounts = account(stack(stores, root, name))
    for each, directory in zip(accounts, trees(stores, name), strict=True):
        assert each.own.size == agreement.counted(pod.machine.root + directory)[0]
    # Podman counts the targets of symlinks too (containers/storage pkg/directory, Usage)
    targets = agreement.counted(pod.machine.root + trees(stores, name)[0])[1]
    assert accounts[0].own.size + targets == pod.container(name)["SizeRw"]


def test_a_copy_of_the_stores_says_the_same(pod: Podman, stores: tuple[Store, ...], root: Root) -> None:
    with Root(pod.saved) as saved_root:
        assert [(place.engine, place.path) for place in find(saved_root)] == PLACES
        saved = reader.read(saved_root, STORE)
        assert replace(saved, root=stores[0].root) == stores[0]
        for name in ("writer", "on-far"):
            copied, kept = View(stack((saved,), saved_root, name)), View(stack(stores, root, name))
            assert agreement.differences(agreement.shown(copied), agreement.shown(kept)) == {}


def test_reading_leaves_no_trace(pod: Podman, root: Root) -> None:
    def read_all() -> None:
        read = (reader.read(root, STORE), reader.read(root, MORE))
        for name in (*RUNNING, *ENDED):
            list(diff(stack(read, root, name)))
            account(stack(read, root, name))
            agreement.shown(View(stack(read, root, name)))

    untouched(read_all, pod.machine.root + STORE, pod.machine.root + MORE)


TURN = """
podman run --name churn-$i base:1 /bin/sh -c 'rm -r /data/many; echo new >/data/kept'
podman commit --quiet churn-$i churned:$i
podman rm churn-$i
podman rmi churned:$i
"""


def test_stores_are_read_while_podman_works(pod: Podman, root: Root) -> None:
    begun = reader.read(root, STORE)
    seen: set[str] = set()
    with pod.machine.working(TURN):
        until = time.monotonic() + WORKING_S
        while time.monotonic() < until or not any(name.startswith("churn-") for name in seen):
            store = reader.read(root, STORE)
            seen |= {each.name for each in store.containers}
            for name in (*RUNNING, *ENDED):
                assert of((store,), name) == of((begun,), name)
                assert trees((store,), name) == trees((begun,), name)
            for name in IMAGES:
                assert image(store, name) == image(begun, name)
    assert reader.read(root, STORE) == begun
