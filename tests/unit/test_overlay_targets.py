"""Targets: what people call a chain or a layer, and what they are told where it is not clear."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netfs.errors import EndpointError
from netfs.model.layers import Mount, Store
from netfs.overlay.chains import chains
from netfs.overlay.targets import Known, resolve
from tests.unit.layer_records import APP, BASE, IMAGE, OTHER_IMAGE, PLAIN_ONE, POD, TOP, store

SHORT = "A44ALINK"


def known(*stores: Store, mounts: dict[str, Mount] | None = None) -> Known:
    held = stores or (store(),)
    every = tuple(chain for each in held for chain in chains(each, mounts or {}))
    return Known(every, held, {(each.root, each.path): mounts or {} for each in held})


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("pod-a", "team/pod-a/app"),
        ("team/pod-a", "team/pod-a/app"),
        ("team/pod-a/app", "team/pod-a/app"),
        ("team/pod-a/sandbox", "team/pod-a/sandbox"),
        ("pod/pod-a", "team/pod-a/app"),
        ("web", "web"),
        (PLAIN_ONE.id, "web"),
        (PLAIN_ONE.id[:12], "web"),
        ("container/web", "web"),
        (POD.name, "team/pod-a/app"),
        ("busybox", "busybox:latest"),
        ("busybox:latest", "busybox:latest"),
        ("docker.io/library/busybox", "busybox:latest"),
        ("image/busybox", "busybox:latest"),
        ("registry.example/team/app:1", "registry.example/team/app:1"),
        (IMAGE.names[1], "registry.example/team/app:1"),
        (IMAGE.id, "registry.example/team/app:1"),
        (OTHER_IMAGE.id.removeprefix("sha256:")[:12], "busybox:latest"),
    ],
)
def test_names_and_ids_of_owners(text: str, name: str) -> None:
    target = resolve(known(), text)
    assert (target.chain.name, target.layer) == (name, None)


@pytest.mark.parametrize(
    "text",
    [
        APP,
        APP[:12],
        SHORT,
        f"layer/{APP[:6]}",
        f"/var/lib/docker/overlay2/{APP}",
        f"/var/lib/docker/overlay2/{APP}/",
        f"/var/lib/docker/overlay2/{APP}/diff/etc/passwd",
        f"/var/lib/docker/overlay2/l/{SHORT}",
        f"/var/lib/docker/overlay2/l/{SHORT}/etc",
    ],
)
def test_names_and_paths_of_layers(text: str) -> None:
    target = resolve(known(), text)
    assert target.layer is not None
    assert target.layer.id == APP
    assert [each.id for each in target.chain.layers] == [APP, BASE]


def test_a_copied_store_is_named_as_this_host_has_it() -> None:
    copied = replace(store(), root="/mnt/disk")
    target = resolve(known(copied), f"/mnt/disk/var/lib/docker/overlay2/{TOP}-init/diff")
    assert target.layer is not None
    assert target.layer.id == f"{TOP}-init"


def test_a_path_of_one_layer_is_not_that_of_another_whose_id_it_begins() -> None:
    target = resolve(known(), f"/var/lib/docker/overlay2/{TOP}-init")
    assert target.layer is not None
    assert target.layer.id == f"{TOP}-init"


def test_a_mount_point_is_a_target() -> None:
    mounted = known(mounts={TOP: Mount("/merged/here", ())})
    assert resolve(mounted, "/merged/here").chain.name == "team/pod-a/app"


def test_an_ambiguous_name_lists_what_it_may_be() -> None:
    two = known(store(), replace(store(), node="node2", path="/var/lib/docker2"))
    with pytest.raises(EndpointError, match="ambiguous") as failure:
        resolve(two, "web")
    assert "container/web on node1, container/web on node2" in str(failure.value)


def test_a_node_before_a_name_says_where() -> None:
    two = known(store(), replace(store(), node="node2", path="/var/lib/docker2"))
    for word in ("web", "busybox", f"layer/{APP[:6]}", "image/busybox", "pod-a"):
        with pytest.raises(EndpointError, match=rf"; node1/{word} is that of node1\)$"):
            resolve(two, word)
        assert resolve(two, f"node2/{word}").chain.store.node == "node2"
    with pytest.raises(EndpointError, match="no pod"):
        resolve(two, "node3/web")


def test_a_beginning_that_fits_an_image_and_nothing_else_is_enough() -> None:
    with pytest.raises(EndpointError):
        resolve(known(), "11")
    assert resolve(known(), "111").chain.kind == "image"


def test_a_pod_of_several_containers_needs_one_named() -> None:
    helper = replace(POD, id="ab" * 32, name="k8s_helper", role="helper", layer=PLAIN_ONE.layer)
    several = known(store(containers=(POD, helper)))
    with pytest.raises(EndpointError, match="ambiguous"):
        resolve(several, "pod-a")
    assert resolve(several, "pod-a", container="helper").chain.name == "team/pod-a/helper"
    with pytest.raises(EndpointError, match="no container 'other' in 'pod-a'"):
        resolve(several, "pod-a", container="other")


def test_a_namespace_is_that_of_pods_named_without_one() -> None:
    other = replace(POD, id="ab" * 32, namespace="other", layer=PLAIN_ONE.layer)
    both = known(store(containers=(POD, other)))
    assert resolve(both, "pod-a", namespace="other").chain.name == "other/pod-a/app"
    assert resolve(both, "team/pod-a", namespace="other").chain.name == "team/pod-a/app"
    assert resolve(known(), "web", namespace="other").chain.name == "web"
    with pytest.raises(EndpointError, match=r"no pod .pod-a. in namespace default .*team/pod-a/app"):
        resolve(known(), "pod-a", namespace="default")


def test_of_several_containers_the_running_one_is_meant() -> None:
    old = replace(POD, id="ab" * 32, state="exited", layer=PLAIN_ONE.layer)
    assert resolve(known(store(containers=(old, POD))), "pod-a").chain.container == POD


@pytest.mark.parametrize(("text", "near"), [("pod-b", "pod-a"), ("wep", "web"), ("\x1b[2J", "netfs layers ls")])
def test_an_unknown_name_is_told_near_misses(text: str, near: str) -> None:
    with pytest.raises(EndpointError, match="no pod, container, image or layer") as failure:
        resolve(known(), text)
    assert near in str(failure.value)
    assert "\x1b" not in str(failure.value)
