"""Chains of a store: what stands on what, whose it is, what nobody has."""

from __future__ import annotations

from dataclasses import replace

from netfs.model.containers import Container
from netfs.model.layers import Image, Layer, Mount, MountOptions
from netfs.overlay.chains import chain_of, chains, folder, key, short, users
from tests.unit.layer_records import APP, BASE, IMAGE, LOST, OTHER, PLAIN, TOP, layer, store


def test_containers_come_before_images() -> None:
    found = chains(store(), {})
    assert [(chain.kind, chain.name) for chain in found] == [
        ("container", "team/pod-a/app"),
        ("container", "team/pod-a/sandbox"),
        ("container", "web"),
        ("image", "registry.example/team/app:1"),
        ("image", "busybox:latest"),
    ]
    assert [each.id for each in found[0].layers] == [TOP, f"{TOP}-init", APP, BASE]
    assert found[0].image == IMAGE


def test_what_nobody_names_is_a_chain_of_its_own_once() -> None:
    found = chains(store(layer(LOST, "1057b", BASE, role="unknown"), layer("1057b", BASE, role="unknown")), {})
    assert [(chain.kind, [each.id for each in chain.layers]) for chain in found[5:]] == [
        ("layer", [LOST, "1057b", BASE])
    ]


def test_a_builders_layer_and_a_snapshot_keep_their_kind() -> None:
    found = chains(store(layer("b1", BASE, role="build"), layer("s1", role="snapshot")), {})
    assert [(chain.kind, chain.name) for chain in found[5:]] == [("build", "b1"), ("snapshot", "s1")]


def test_a_snapshot_is_called_by_its_key() -> None:
    named = Layer("75", "/snapshots/75", ("/t",), (), "snapshot", names=("default/loose",))
    assert [chain.name for chain in chains(store(named), {})[5:]] == ["default/loose"]


def test_a_layer_that_the_store_does_not_have_is_missing() -> None:
    made = layer(LOST, "nowhere", BASE, role="container")
    broken = store(made, containers=(Container("c", "broken", layer=LOST),))
    (chain,) = [each for each in chains(broken, {}) if each.kind == "container"]
    assert chain.missing == ("nowhere",)
    assert [each.missing for each in chain.layers] == [False, True, False]


def test_an_image_says_what_it_misses() -> None:
    image = Image("sha256:aa", ("gone:1",), (BASE,), missing=("sha256:bb",))
    (chain,) = [each for each in chains(store(images=(image,)), {}) if each.kind == "image"]
    assert chain.missing == ("sha256:bb",)


def test_what_is_unknown_below_is_said() -> None:
    blind = store(Layer("x", "/var/lib/docker/overlay2/x", ("t",), None, "unknown"))
    assert [chain.complete for chain in chains(blind, {})] == [True] * 5 + [False]


def test_a_mount_decides_the_options() -> None:
    mount = Mount("/merged", (), options=MountOptions(userxattr=True, metacopy=True))
    (web,) = [each for each in chains(store(), {PLAIN: mount}) if each.name == "web"]
    assert web.options == mount.options
    assert web.ref().mountpoint == "/merged"
    assert chains(store(), {})[0].options == MountOptions()


def test_users_are_those_who_own_something() -> None:
    whole = store(layer(LOST, BASE, role="unknown"))
    using = users(chains(whole, {}))
    of = {each.id: using.get(key(whole, each), ()) for each in whole.layers}
    assert of[BASE] == (
        "team/pod-a/app",
        "team/pod-a/sandbox",
        "web",
        "registry.example/team/app:1",
        "busybox:latest",
    )
    assert of[OTHER] == ("team/pod-a/sandbox", "web", "busybox:latest")
    assert of[LOST] == ()


def test_the_chain_of_a_layer_begins_with_it() -> None:
    whole = store()
    assert [each.id for each in chain_of(whole, whole.layers[3], {}).layers] == [f"{TOP}-init", APP, BASE]


def test_a_folder_is_told_as_this_host_names_it() -> None:
    copied = replace(store(), root="/mnt/disk")
    assert folder(store()) == "/var/lib/docker"
    assert folder(copied) == "/mnt/disk/var/lib/docker"
    assert folder(replace(copied, path="/")) == "/mnt/disk"
    assert folder(replace(copied, root="/", path="/")) == "/"


def test_ids_are_cut_as_engines_cut_them() -> None:
    assert short("sha256:0123456789abcdef") == "0123456789ab"
    assert short("42") == "42"
