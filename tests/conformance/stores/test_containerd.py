"""What is read from the store of a real containerd is what ``ctr`` says of it, and what the kernel shows of it."""

from __future__ import annotations

import io
import json
import posixpath
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from netfs.model.containers import Container
from netfs.model.layers import Image, Layer, Store
from netfs.overlay.changes.account import account
from netfs.overlay.changes.diff import diff
from netfs.overlay.disk.root import Root
from netfs.overlay.merge.tree import Stack
from netfs.overlay.merge.view import View
from netfs.overlay.stores.containerd import store as reader
from netfs.overlay.stores.find import find
from tests.conformance.stores import agreement, containerd
from tests.conformance.stores.containerd import APP, DEEP, ORPHAN, OTHER, SNAPSHOTS, STORE, Containerd
from tests.conformance.stores.listing import untouched
from tests.conformance.stores.seen import tree

pytestmark = pytest.mark.kernel
RUNNING = {"writer": "default", "quiet": "default", "on-deep": "default", "sandbox": "k8s.io", "server": "k8s.io"}
"""Containers, and the namespaces that they are in."""
WORKING_S = 2
LOOSE = {"loose": "loose", "committed": "of-committed", "seen": "seen"}
"""Snapshots that are no container's, on top of ``app``, and by which they can be mounted."""


@pytest.fixture
def root(ctr: Containerd) -> Iterator[Root]:
    with Root(ctr.machine.root) as opened:
        yield opened


@pytest.fixture
def store(root: Root) -> Store:
    return reader.read(root, STORE)


def of(store: Store, name: str) -> Container:
    (container,) = (each for each in store.containers if each.id == name)
    return container


def snapshot(store: Store, key: str, namespace: str = "default") -> Layer:
    (layer,) = (each for each in store.layers if f"{namespace}/{key}" in each.names)
    return layer


def image(store: Store, name: str, namespace: str = "default") -> Image:
    """Each namespace has its own: the same image, unpacked once more."""
    own = {each.id for each in store.layers if any(key.startswith(f"{namespace}/") for key in each.names)}
    (found,) = (each for each in store.images if name in each.names and own.issuperset(each.layers))
    return found


def given_up(store: Store) -> Layer:
    """What its namespace does not know any more, and its snapshotter still has."""
    return snapshot(store, "given-up")


def rootfs(name: str, namespace: str) -> str:
    """Where a running container's files are mounted."""
    return f"/run/containerd/io.containerd.runtime.v2.task/{namespace}/{name}/rootfs"


def stack(store: Store, root: Root, name: str) -> Stack:
    return agreement.stacked(root, agreement.chain([store], agreement.layer(store, of(store, name).layer)))


def test_it_is_found_where_a_daemon_keeps_it(root: Root) -> None:
    assert [(place.engine, place.path) for place in find(root)] == [("containerd", STORE)]


def test_every_directory_is_a_layer(ctr: Containerd, store: Store) -> None:
    assert {each.id for each in store.layers} == {each.name for each in Path(ctr.machine.root + SNAPSHOTS).iterdir()}
    assert {each.path for each in store.layers} == {f"{SNAPSHOTS}/{each.id}" for each in store.layers}
    assert not any(each.missing for each in store.layers)
    assert (store.engine, store.driver, store.gaps) == ("containerd", "overlayfs", ())


def test_every_snapshot_is_what_ctr_says(ctr: Containerd, store: Store) -> None:
    named = {}
    for namespace in ("default", "k8s.io"):
        told = {key: rest for key, *rest in ctr.rows("snapshots", "ls", namespace=namespace)}
        used = {key: int(size) for key, size, _ in ctr.rows("snapshots", "usage", "-b", namespace=namespace)}
        for key, words in told.items():
            layer = snapshot(store, key, namespace)
            parent = words[0] if len(words) == 2 else ""
            assert layer.lower is not None
            assert layer.lower[:1] == ((snapshot(store, parent, namespace).id,) if parent else ())
            assert layer.writable == (words[-1] == "Active")
            if words[-1] == "Committed":
                assert layer.recorded_size == used[key]
            if key.startswith("sha256:"):
                assert layer.chain_id == key
            named[namespace, key] = layer.id
    assert {each.id for each in store.layers} - set(named.values()) == {ORPHAN, given_up(store).id}


@pytest.mark.parametrize("name", RUNNING)
def test_a_container_has_the_layers_of_its_mount(ctr: Containerd, store: Store, name: str) -> None:
    namespace = RUNNING[name]
    told = ctr.container(name, namespace)
    ours = of(store, name)
    top = agreement.layer(store, ours.layer)
    assert agreement.chain([store], top) == ctr.layers(told["SnapshotKey"], namespace)
    assert (ours.image_name, dict(ours.labels)) == (told["Image"], told["Labels"])
    assert ours.image == image(store, told["Image"], namespace).id
    assert top.role == "container"
    assert top.lower is not None
    assert {agreement.layer(store, identity).role for identity in top.lower} == {"image"}


def test_what_is_mounted_are_the_containers_that_run(ctr: Containerd, store: Store, root: Root) -> None:
    mounts = agreement.mounted_in(ctr.machine, "/run/containerd")
    # where they are many, the daemon goes to their folder first: paths are relative to it
    layers = {
        mount.mountpoint: [mount.upper, *(root.resolve(posixpath.join(SNAPSHOTS, each)) for each in mount.lower)]
        for mount in mounts
    }
    assert not all(each.startswith("/") for mount in mounts for each in mount.lower)
    for name, namespace in RUNNING.items():
        top = agreement.layer(store, of(store, name).layer)
        assert layers[rootfs(name, namespace)] == agreement.chain([store], top)


def test_containers_of_a_pod_are_told_by_their_labels(store: Store) -> None:
    server, sandbox = of(store, "server"), of(store, "sandbox")
    assert (server.namespace, server.pod, server.pod_uid, server.role) == ("shop", "web", "1-2-3", "server")
    assert (sandbox.namespace, sandbox.pod, sandbox.pod_uid, sandbox.role) == ("shop", "web", "1-2-3", "sandbox")
    assert of(store, "writer").pod == ""


@pytest.mark.parametrize("name", [APP, OTHER, DEEP])
def test_an_image_has_the_layers_of_its_configuration(ctr: Containerd, store: Store, name: str) -> None:
    (digest,) = (words[2] for words in ctr.rows("images", "ls") if words[0] == name)
    manifest = json.loads(ctr("content", "get", digest))
    config = json.loads(ctr("content", "get", manifest["config"]["digest"]))
    ours = image(store, name)
    layers = [agreement.layer(store, identity) for identity in ours.layers]
    assert ours.id == manifest["config"]["digest"]
    assert [layer.diff_id for layer in reversed(layers)] == config["rootfs"]["diff_ids"]
    assert [line.created_by for line in ours.history] == [line["created_by"] for line in config["history"]]
    made = [line.layer for line in ours.history if line.layer]
    assert made == [layer.id for layer in reversed(layers)]


def test_nobody_is_said_to_own_what_nobody_owns(store: Store) -> None:
    unowned = {each.id for each in store.layers if each.role == "unknown"}
    assert ORPHAN in unowned
    # a view without a lease: the daemon's next collection takes it
    assert unowned <= {ORPHAN, snapshot(store, "seen").id, snapshot(store, "of-committed").id}
    assert given_up(store).role == "removing"
    for key in ("loose", "committed"):
        assert snapshot(store, key).role == "snapshot"


@pytest.mark.parametrize("name", RUNNING)
def test_the_merged_view_is_what_the_kernel_shows(ctr: Containerd, store: Store, root: Root, name: str) -> None:
    shown = tree(ctr.machine.root + rootfs(name, RUNNING[name]))
    assert len(shown) > 200
    assert agreement.differences(agreement.shown(View(stack(store, root, name))), shown) == {}


@pytest.mark.parametrize("key", LOOSE)
def test_a_snapshot_is_what_its_mount_shows(ctr: Containerd, store: Store, root: Root, key: str) -> None:
    own = snapshot(store, key)
    trees = agreement.chain([store], own)
    target = f"/run/{key}"
    ctr.machine.run("mkdir", target)
    ctr.machine.run(*ctr("snapshots", "mounts", target, LOOSE[key]).split())
    try:
        shown = tree(ctr.machine.root + target)
        view = View(agreement.stacked(root, trees, upper=own.writable))
        assert agreement.differences(agreement.shown(view), shown) == {}
    finally:
        ctr.machine.run("umount", target)
        ctr.machine.run("rmdir", target)


@pytest.mark.parametrize("name", RUNNING)
def test_what_a_container_changed_is_in_the_tar_that_ctr_makes(
    ctr: Containerd, store: Store, root: Root, name: str
) -> None:
    namespace = RUNNING[name]
    added, deleted, linked = set(), set(), set()
    with tarfile.open(fileobj=io.BytesIO(ctr.machine.run("ctr", "-n", namespace, "snapshots", "diff", name))) as tar:
        for entry in tar:
            folder, _, last = f"/{entry.name.rstrip('/')}".rpartition("/")
            if last.startswith(".wh."):
                deleted.add(f"{folder}/{last.removeprefix('.wh.')}")
            else:
                added.add(f"{folder}/{last}")
            if entry.islnk():
                linked |= {f"/{entry.name}", f"/{entry.linkname.lstrip('/')}"}
    ours = {change.path: change.kind for change in diff(stack(store, root, name))}
    assert {path for path, kind in ours.items() if kind == "D"} == deleted
    # its tar has the directories above what was changed, as docker diff has
    told = {path for path, kind in ours.items() if kind != "D"}
    assert told <= added
    # and, where a file got another name, the one that it had
    assert added - told <= linked


@pytest.mark.parametrize("name", RUNNING)
def test_a_layer_is_as_large_as_the_daemon_counts(ctr: Containerd, store: Store, root: Root, name: str) -> None:
    used = {key: int(size) for key, size, _ in ctr.rows("snapshots", "usage", "-b", namespace=RUNNING[name])}
    top = agreement.layer(store, of(store, name).layer)
    accounts = account(stack(store, root, name))
    chain = [top, *(agreement.layer(store, identity) for identity in top.lower or ())]
    for each, layer in zip(accounts, chain, strict=True):
        (key,) = (own.partition("/")[2] for own in layer.names)
        assert each.own.bytes == used[key]


def test_a_copy_of_the_store_says_the_same(ctr: Containerd, store: Store) -> None:
    with Root(ctr.saved) as root:
        assert [(place.engine, place.path) for place in find(root)] == [("containerd", STORE)]
        saved = reader.read(root, STORE)
        # what runs is written below /run
        ended = tuple(replace(each, state="", pid=None, started_at="") for each in store.containers)
        assert replace(saved, root=store.root, layers=()) == replace(store, containers=ended, layers=())
        # what other tests asked of the daemon made views, and gave them up
        assert set(saved.layers) <= set(store.layers)
        assert {each.role for each in set(store.layers) - set(saved.layers)} <= {"removing"}
        copied = View(stack(saved, root, "writer"))
        with Root(ctr.machine.root) as own:
            kept = View(stack(store, own, "writer"))
            assert agreement.differences(agreement.shown(copied), agreement.shown(kept)) == {}


def test_reading_leaves_no_trace(ctr: Containerd, root: Root) -> None:
    def read_all() -> None:
        read = reader.read(root, STORE)
        for name in RUNNING:
            list(diff(stack(read, root, name)))
            account(stack(read, root, name))
            agreement.shown(View(stack(read, root, name)))

    untouched(read_all, ctr.machine.root + STORE)


TURN = f"""
ctr snapshots prepare churn-$i {{top}}
ctr snapshots commit churned-$i churn-$i
ctr images tag {APP} churned:$i
ctr snapshots rm churned-$i
ctr images rm churned:$i
"""


def test_a_store_is_read_while_its_daemon_works(play: Callable[..., Containerd]) -> None:
    """A daemon of its own: what is removed stays in a store until the next collection."""
    with ExitStack() as stack:
        own = play(containerd.running, containerd.PROGRAMS, stack)
        root = stack.enter_context(Root(own.machine.root))
        begun = reader.read(root, STORE)
        seen: set[str] = set()
        stack.enter_context(own.machine.working(TURN.format(top=own.snapshot("quiet")["Parent"])))
        until = time.monotonic() + WORKING_S
        while time.monotonic() < until or not any(name.startswith("default/churn") for name in seen):
            store = reader.read(root, STORE)
            assert {gap.what for gap in store.gaps} <= {"owners"}
            seen |= {name for each in store.layers for name in each.names}
            for name in RUNNING:
                assert of(store, name) == of(begun, name)
            assert set(begun.layers) <= set(store.layers)
            assert image(store, APP).layers == image(begun, APP).layers
