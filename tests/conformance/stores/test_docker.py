"""What is read from the store of a real dockerd is what the daemon says of it, and what the kernel shows of it."""

from __future__ import annotations

import os
import posixpath
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from netfs.model.containers import Container
from netfs.model.layers import Image, Store
from netfs.overlay.changes.account import account
from netfs.overlay.changes.diff import diff
from netfs.overlay.disk.root import Root
from netfs.overlay.merge.trail import trail
from netfs.overlay.merge.tree import Stack
from netfs.overlay.merge.view import View
from netfs.overlay.stores.docker import store as reader
from netfs.overlay.stores.find import find
from tests.conformance.stores import agreement, docker
from tests.conformance.stores.docker import DANGLING, ORPHAN, STORE, Docker
from tests.conformance.stores.listing import untouched
from tests.conformance.stores.seen import one, tree

pytestmark = pytest.mark.kernel
RUNNING = ("writer", "quiet", "on-other", "on-kit")
ENDED = ("imageless", "stopped", "created")
IMAGES = ("base:1", "app:1", "other:1", "kit:1")
WORKING_S = 2
KINDS = "CAD"
"""As the daemon numbers them."""


@pytest.fixture
def root(dockerd: Docker) -> Iterator[Root]:
    with Root(dockerd.machine.root) as opened:
        yield opened


@pytest.fixture
def store(root: Root) -> Store:
    return reader.read(root, STORE)


def of(store: Store, name: str) -> Container:
    (container,) = (each for each in store.containers if each.name == name)
    return container


def image(store: Store, name: str) -> Image:
    (found,) = (each for each in store.images if name in each.names)
    return found


def trees(store: Store, name: str) -> list[str]:
    """The directories of a container, uppermost first."""
    return agreement.chain([store], agreement.layer(store, of(store, name).layer))


def stacked(store: Store, root: Root, name: str) -> Stack:
    return agreement.stacked(root, trees(store, name))


@contextmanager
def shown_by_kernel(dockerd: Docker, name: str) -> Iterator[str]:
    """A container's files, as the kernel shows them, where the daemon has them mounted or would have."""
    data = dockerd.container(name)["GraphDriver"]["Data"]
    if name in RUNNING:
        yield dockerd.machine.root + data["MergedDir"]
        return
    target = f"/run/{name}"
    dockerd.machine.run("mkdir", target)
    layers = f"{data['UpperDir']}:{data['LowerDir']}"
    dockerd.machine.run("mount", "-t", "overlay", "overlay", "-o", f"ro,index=off,lowerdir={layers}", target)
    try:
        yield dockerd.machine.root + target
    finally:
        dockerd.machine.run("umount", target)
        dockerd.machine.run("rmdir", target)


def test_it_is_found_where_a_daemon_keeps_it(root: Root) -> None:
    assert [(place.engine, place.path) for place in find(root) if place.engine == "docker"] == [("docker", STORE)]


def test_every_directory_is_a_layer_and_has_what_the_daemon_gave_it(dockerd: Docker, store: Store) -> None:
    folder = Path(dockerd.machine.root + STORE) / "overlay2"
    assert {each.id for each in store.layers} == {each.name for each in folder.iterdir()} - {"l"}
    for each in store.layers:
        assert each.path == f"{STORE}/overlay2/{each.id}"
        assert each.short == (folder / each.id / "link").read_text()
        assert each.trees == (f"{each.path}/diff",)
        assert not each.missing
    assert dict(store.links) == {link.name: os.readlink(link) for link in (folder / "l").iterdir()}
    assert (store.engine, store.driver, store.gaps) == ("docker", "overlay2", ())


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_has_the_layers_and_the_history_that_the_daemon_tells(
    dockerd: Docker, store: Store, name: str
) -> None:
    told = dockerd.image(name)
    ours = image(store, name)
    data = told["GraphDriver"]["Data"]
    layers = [agreement.layer(store, identity) for identity in ours.layers]
    assert ours.id == told["Id"]
    assert [*ours.names] == sorted(told["RepoTags"])
    assert [tree for each in layers for tree in each.trees] == [
        data["UpperDir"],
        *filter(None, data.get("LowerDir", "").split(":")),
    ]
    assert [each.diff_id for each in reversed(layers)] == told["RootFS"]["Layers"]
    assert {each.role for each in layers} == {"image"}
    assert ours.missing == ()
    assert sum(each.recorded_size or 0 for each in layers) == told["Size"]
    history = list(reversed(dockerd.get(f"/images/{name}/history")))
    assert [(line.created_by, line.comment) for line in ours.history] == [
        (line["CreatedBy"], line["Comment"]) for line in history
    ]
    sizes = {each.id: each.recorded_size for each in layers}
    assert [sizes[line.layer] if line.layer else 0 for line in ours.history] == [line["Size"] for line in history]


@pytest.mark.parametrize("name", [*RUNNING, *ENDED])
def test_a_container_has_the_layers_and_the_state_that_the_daemon_tells(
    dockerd: Docker, store: Store, name: str
) -> None:
    told = dockerd.container(name)
    ours = of(store, name)
    data = told["GraphDriver"]["Data"]
    assert trees(store, name) == [data["UpperDir"], *data["LowerDir"].split(":")]
    assert (ours.id, ours.image, ours.image_name) == (told["Id"], told["Image"], told["Config"]["Image"])
    assert (ours.state, ours.pid, ours.created_at) == (
        told["State"]["Status"],
        told["State"]["Pid"] or None,
        told["Created"],
    )
    assert dict(ours.labels) == told["Config"]["Labels"]
    top = agreement.layer(store, ours.layer)
    assert (top.role, top.writable) == ("container", True)
    assert top.lower is not None
    assert [agreement.layer(store, identity).role for identity in top.lower] == ["init"] + ["image"] * (
        len(top.lower) - 1
    )


def test_nobody_is_said_to_own_what_nobody_owns(dockerd: Docker, store: Store) -> None:
    assert [each.id for each in store.layers if each.role == "unknown"] == [ORPHAN]
    assert store.links[DANGLING] == f"../{'f' * 64}/diff"
    cache = dockerd.get("/system/df")["BuildCache"]
    assert {each["ID"] for each in cache if not each["Shared"]} == {
        each.id for each in store.layers if each.role == "build"
    }


def test_images_are_as_large_as_the_daemon_says(dockerd: Docker, store: Store) -> None:
    layers = {layer for each in store.images for layer in each.layers}
    sizes = [agreement.layer(store, identity).recorded_size or 0 for identity in layers]
    assert sum(sizes) == dockerd.get("/system/df")["LayersSize"]


def test_a_container_outlives_its_image(store: Store) -> None:
    container = of(store, "imageless")
    assert container.image.startswith("sha256:")
    assert container.image not in {each.id for each in store.images}
    assert len(agreement.layer(store, container.layer).lower or ()) == 5


@pytest.mark.parametrize("name", [*RUNNING, *ENDED])
def test_the_merged_view_is_what_the_kernel_shows(dockerd: Docker, store: Store, root: Root, name: str) -> None:
    with shown_by_kernel(dockerd, name) as there:
        shown = tree(there)
        assert len(shown) > 100
        assert agreement.differences(agreement.shown(View(stacked(store, root, name))), shown) == {}


@pytest.mark.parametrize("name", [*RUNNING, *ENDED])
def test_what_a_container_changed_is_what_docker_diff_says(
    dockerd: Docker, store: Store, root: Root, name: str
) -> None:
    told = dockerd.get(f"/containers/{name}/changes") or []
    ours = [(change.kind, agreement.as_json_has_it(change.path)) for change in diff(stacked(store, root, name))]
    assert sorted(ours) == sorted((KINDS[each["Kind"]], each["Path"]) for each in told)
    if name == "writer":
        assert {kind for kind, _ in ours} == set(KINDS)


@pytest.mark.parametrize("name", [*RUNNING, *ENDED])
def test_a_layer_is_as_large_as_the_daemon_counts(dockerd: Docker, store: Store, root: Root, name: str) -> None:
    told = dockerd.container(name)
    accounts = account(stacked(store, root, name))
    for each, directory in zip(accounts, trees(store, name), strict=True):
        assert each.own.size == agreement.counted(dockerd.machine.root + directory)[0]
    # the daemon counts the targets of symlinks too (moby pkg/directory, Size)
    assert accounts[0].own.size + agreement.counted(dockerd.machine.root + trees(store, name)[0])[1] == told.get(
        "SizeRw", 0
    )


def test_what_is_mounted_are_the_containers_that_run(dockerd: Docker, store: Store, root: Root) -> None:
    mounts = agreement.mounted_in(dockerd.machine, STORE)
    layers = {mount.upper: [mount.upper, *map(root.resolve, mount.lower)] for mount in mounts}
    told = {name: dockerd.container(name)["GraphDriver"]["Data"] for name in RUNNING}
    for name, data in told.items():
        assert layers[data["UpperDir"]] == trees(store, name)
    assert {mount.mountpoint for mount in mounts} >= {data["MergedDir"] for data in told.values()}


def test_docker_is_what_the_tests_want(dockerd: Docker) -> None:
    told = dockerd.get("/info")
    assert told["Driver"] == "overlay2"
    assert {each["State"] for each in dockerd.get("/containers/json?all=1")} == {"running", "exited", "created"}
    assert docker.answers(dockerd)


@pytest.mark.parametrize("name", [*RUNNING, *ENDED])
def test_a_trail_leads_to_what_the_kernel_shows(dockerd: Docker, store: Store, root: Root, name: str) -> None:
    merged = stacked(store, root, name)
    own = trees(store, name)
    with shown_by_kernel(dockerd, name) as there:
        shown = tree(there)
    for path, seen in shown.items():
        held = trail(merged, path)
        first = held[0]
        assert first.fate == "provides"
        lower = one(f"{dockerd.machine.root}{own[first.layer]}/{first.path}")
        assert (lower.mode, lower.uid, lower.size, lower.digest) == (seen.mode, seen.uid, seen.size, seen.digest)
        assert [each.layer for each in held] == sorted({each.layer for each in held})


def test_a_trail_tells_the_line_that_made_a_file(store: Store, root: Root) -> None:
    container = of(store, "on-other")
    merged = stacked(store, root, "on-other")
    made = {line.layer: line.created_by for line in image(store, "other:1").history if line.layer}
    chain = [container.layer, *(agreement.layer(store, container.layer).lower or ())]
    (other,) = trail(merged, "/etc/other")
    assert other.fate == "provides"
    assert made[chain[other.layer]].endswith("echo other >/etc/other")
    newer, older = trail(merged, "/data/changed")
    assert (newer.fate, older.fate, older.by) == ("provides", "hidden", newer.layer)
    assert "echo more >>/data/changed" in made[chain[newer.layer]]
    deleted, was = trail(merged, "/data/deleted")
    assert (deleted.fate, was.fate, was.by) == ("whiteout", "hidden", deleted.layer)


def test_a_copy_of_the_store_says_the_same(dockerd: Docker, store: Store) -> None:
    with Root(dockerd.saved) as root:
        saved = reader.read(root, STORE)
        assert replace(saved, root=store.root) == store
        assert [(place.engine, place.path) for place in find(root) if place.engine == "docker"] == [("docker", STORE)]


@pytest.mark.parametrize("name", ["writer", "stopped"])
def test_the_files_of_a_copy_are_those_of_the_store(dockerd: Docker, store: Store, root: Root, name: str) -> None:
    with Root(dockerd.saved) as saved:
        copied, kept = (View(stacked(store, each, name)) for each in (saved, root))
        assert agreement.differences(agreement.shown(copied), agreement.shown(kept)) == {}


def test_reading_leaves_no_trace(dockerd: Docker, root: Root) -> None:
    def read_all() -> None:
        read = reader.read(root, STORE)
        for name in (*RUNNING, *ENDED):
            list(diff(stacked(read, root, name)))
            account(stacked(read, root, name))
            agreement.shown(View(stacked(read, root, name)))

    untouched(read_all, dockerd.machine.root + STORE)


TURN = """
docker run --name churn-$i --network none base:1 /bin/sh -c 'rm -r /data/many; echo new >/data/kept'
docker commit churn-$i churned:$i
docker rm churn-$i
docker rmi churned:$i
"""


def test_a_store_is_read_while_its_daemon_works(dockerd: Docker, root: Root) -> None:
    begun = reader.read(root, STORE)
    seen: set[str] = set()
    with dockerd.machine.working(TURN):
        until = time.monotonic() + WORKING_S
        while time.monotonic() < until or not any(name.startswith("churned:") for name in seen):
            store = reader.read(root, STORE)
            seen |= {name for each in store.images for name in each.names}
            for name in (*RUNNING, *ENDED):
                assert of(store, name) == of(begun, name)
                assert trees(store, name) == trees(begun, name)
            for name in IMAGES:
                assert image(store, name) == image(begun, name)
    assert reader.read(root, STORE) == begun


@pytest.mark.soak
def test_a_daemon_names_many_layers_from_its_own_folder(play: Callable[..., Docker]) -> None:
    with ExitStack() as stack:
        daemon = play(partial(docker.running, filled=docker.fill_deep), docker.PROGRAMS, stack)
        root = stack.enter_context(Root(daemon.machine.root))
        store = reader.read(root, STORE)
        (mount,) = agreement.mounted_in(daemon.machine, STORE)
        assert mount.upper is not None
        assert {each.startswith("/") for each in (mount.upper, *mount.lower)} == {False}
        named = [root.resolve(posixpath.join(STORE, "overlay2", each)) for each in (mount.upper, *mount.lower)]
        assert named == trees(store, "on-deep")
        assert len(named) == docker.DEEP + 3
        told = daemon.get("/containers/on-deep/changes")
        assert [(each.kind, each.path) for each in diff(stacked(store, root, "on-deep"))] == [
            (KINDS[each["Kind"]], each["Path"]) for each in told
        ]
        shown = tree(daemon.machine.root + mount.mountpoint)
        assert agreement.differences(agreement.shown(View(stacked(store, root, "on-deep"))), shown) == {}
