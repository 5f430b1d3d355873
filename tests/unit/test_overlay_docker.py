"""Docker's store: whose each directory is, and what lies below it, as dockerd's own files say."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from netfs.errors import SourceError
from netfs.model.containers import Container
from netfs.model.layers import Layer, Store
from netfs.overlay.disk.root import Root
from netfs.overlay.stores.docker import store as docker
from tests.unit.bolt_writer import database
from tests.unit.docker_store import DockerStore, hexadecimal, short

DIFF = f"sha256:{hexadecimal('diff')}"


@pytest.fixture
def store(tmp_path: Path) -> DockerStore:
    made = DockerStore(tmp_path / "docker")
    made.container("web", made.image("app:1", "base", "packages", "app"))
    return made


def read(store: DockerStore) -> Store:
    with Root(str(store.path.parent)) as root:
        return docker.read(root, f"/{store.path.name}")


def layers(store: Store) -> dict[str, Layer]:
    return {layer.id: layer for layer in store.layers}


def only(store: Store) -> Container:
    (container,) = store.containers
    return container


def test_a_container_stands_on_its_init_layer_and_its_images_layers(store: DockerStore) -> None:
    found = read(store)
    top = layers(found)[only(found).layer]
    below = [hexadecimal(word) for word in ("app", "packages", "base")]
    assert top.lower == (f"{top.id}-init", *below)
    assert top.path == f"/docker/overlay2/{top.id}"
    assert top.trees == (f"{top.path}/diff",)
    assert [layers(found)[one].role for one in (top.id, *top.lower)] == ["container", "init", "image", "image", "image"]
    assert [layer.id for layer in found.layers if layer.writable] == [top.id]
    assert (found.engine, found.driver, found.gaps, found.notes, found.others) == ("docker", "overlay2", (), (), ())


def test_an_image_has_its_names_its_layers_and_the_lines_that_made_them(store: DockerStore) -> None:
    (image,) = read(store).images
    assert image.names == ("app:1",)
    assert image.layers == tuple(hexadecimal(word) for word in ("app", "packages", "base"))
    assert [(line.created_by, line.layer) for line in image.history] == [
        (f"RUN {word}", hexadecimal(word)) for word in ("base", "packages", "app")
    ]
    assert image.missing == ()


def test_a_layer_has_its_digests_and_its_size(store: DockerStore) -> None:
    base = layers(read(store))[hexadecimal("base")]
    assert base.chain_id == base.diff_id == f"sha256:{hexadecimal('diff of base')}"
    assert (base.recorded_size, base.short, base.lower) == (7, short(base.id), ())


def test_a_pod_is_known_by_the_labels_of_its_containers(tmp_path: Path) -> None:
    store = DockerStore(tmp_path / "docker")
    labels = {
        "io.kubernetes.pod.name": "pod-a",
        "io.kubernetes.pod.namespace": "default",
        "io.kubernetes.pod.uid": "9bb860b4",
        "io.kubernetes.container.name": "app",
        "com.docker.compose.project": "shop",
    }
    image = store.image("app:1", "base")
    store.container("app", image, {"Config": {"Image": "app:1", "Labels": labels}})
    sandbox = labels | {"io.kubernetes.docker.type": "podsandbox", "io.kubernetes.container.name": "POD"}
    store.container("pause", image, {"Config": {"Labels": sandbox}})
    found = {container.name: container for container in read(store).containers}
    assert (found["app"].pod, found["app"].namespace, found["app"].pod_uid) == ("pod-a", "default", "9bb860b4")
    assert (found["app"].role, found["pause"].role) == ("app", "sandbox")
    assert (found["app"].image, found["app"].image_name, found["app"].pid) == (image, "app:1", 4242)
    assert found["app"].labels["com.docker.compose.project"] == "shop"


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ({"Running": True, "Pid": 1}, "running"),
        ({"Running": True, "Paused": True}, "paused"),
        ({"Running": True, "Restarting": True}, "restarting"),
        ({"RemovalInProgress": True, "Dead": True}, "removing"),
        ({"Dead": True}, "dead"),
        ({"StartedAt": "0001-01-01T00:00:00Z"}, "created"),
        ({"StartedAt": "2026-01-01T00:00:00Z", "Pid": 0}, "exited"),
        ({}, ""),
        ("running", ""),
    ],
)
def test_a_state_is_the_word_that_docker_ps_has(tmp_path: Path, state: object, word: str) -> None:
    store = DockerStore(tmp_path / "docker")
    store.container("web", "", {"State": state})
    assert only(read(store)).state == word


def test_what_is_mounted_over_a_containers_files_is_known(tmp_path: Path) -> None:
    store = DockerStore(tmp_path / "docker")
    points = {"/data/": {"Source": "/srv/data", "Type": "bind"}, "/run": {"Source": "", "Type": "tmpfs"}, "x": 3}
    made = store.container("web", "", {"HostsPath": "/docker/hosts", "MountPoints": points, "HostnamePath": ""})
    (store.path / "containers" / made / "hostconfig.json").write_text(json.dumps({"Tmpfs": {"/t": "size=1m"}}))
    assert only(read(store)).mounts == {
        "/data": "/srv/data",
        "/run": "tmpfs",
        "/t": "tmpfs",
        "/etc/hosts": "/docker/hosts",
    }


def test_a_directory_that_no_record_names_is_nobodys(store: DockerStore) -> None:
    store.directory(hexadecimal("lost"), [hexadecimal("base")])
    store.directory("not-an-id")
    found = layers(read(store))
    assert found[hexadecimal("lost")].role == found["not-an-id"].role == "unknown"
    assert not found["not-an-id"].writable


def test_a_writable_layer_whose_container_is_gone_is_nobodys_and_says_whose_it_was(store: DockerStore) -> None:
    shutil.rmtree(store.path / "containers" / only(read(store)).id)
    found = layers(read(store))
    layer = found[hexadecimal("layer of web")]
    assert (layer.role, layer.names) == ("unknown", (hexadecimal("container web"),))
    assert found[f"{layer.id}-init"].role == "unknown"
    assert found[hexadecimal("base")].role == "image"


def test_what_was_being_pulled_or_removed_is_neither_an_images_nor_nobodys(store: DockerStore) -> None:
    for word in ("pulled", "half", "going"):
        store.directory(hexadecimal(word))
    store.record(f"sha256:{hexadecimal('no image has this')}", hexadecimal("pulled"), DIFF)
    half = store.layerdb / "tmp" / "write-set-7"
    half.mkdir(parents=True)
    (half / "cache-id").write_text(hexadecimal("half"))
    store.record(f"sha256:{hexadecimal('chain')}-k3j2h1-removing", hexadecimal("going"), DIFF)
    found = layers(read(store))
    assert [found[hexadecimal(word)].role for word in ("pulled", "half", "going")] == [
        "temporary",
        "temporary",
        "removing",
    ]


def test_a_layer_of_an_image_whose_directory_is_gone_is_missing(store: DockerStore) -> None:
    shutil.rmtree(store.overlay2 / hexadecimal("packages"))
    found = read(store)
    gone = layers(found)[hexadecimal("packages")]
    assert (gone.missing, gone.role, gone.lower, gone.trees) == (True, "image", None, ())
    assert gone.id in (layers(found)[hexadecimal("app")].lower or ())
    assert found.links[short(gone.id)] == f"../{gone.id}/diff"


def test_an_image_says_which_of_its_layers_are_not_recorded(store: DockerStore) -> None:
    chain = layers(read(store))[hexadecimal("app")].chain_id
    shutil.rmtree(store.layerdb / "sha256" / chain.removeprefix("sha256:"))
    (image,) = read(store).images
    assert image.missing == (chain,)
    assert image.layers == (hexadecimal("packages"), hexadecimal("base"))
    assert [line.layer for line in image.history] == [hexadecimal("base"), hexadecimal("packages"), None]


def test_a_name_without_its_image_is_an_image_that_is_missing(store: DockerStore) -> None:
    (known,) = read(store).images
    (store.own / "imagedb" / "content" / "sha256" / known.id.removeprefix("sha256:")).unlink()
    (image,) = read(store).images
    assert (image.id, image.names, image.missing) == (known.id, ("app:1",), (known.id,))


def test_an_image_that_was_changed_is_told_of(store: DockerStore) -> None:
    (known,) = read(store).images
    config = store.own / "imagedb" / "content" / "sha256" / known.id.removeprefix("sha256:")
    config.write_bytes(config.read_bytes() + b" ")
    assert [gap.reason for gap in read(store).gaps] == ["was changed: its SHA-256 is not its name"]


def test_links_that_are_gone_are_made_anew_in_memory(store: DockerStore) -> None:
    before = read(store)
    shutil.rmtree(store.overlay2 / "l")
    (store.overlay2 / "l").mkdir()
    after = read(store)
    assert after.links == {}
    assert after.layers == before.layers


def test_a_link_that_is_gone_in_both_places_leaves_open_what_is_below(store: DockerStore) -> None:
    (store.overlay2 / "l" / short(hexadecimal("base"))).unlink()
    (store.overlay2 / hexadecimal("base") / "link").unlink()
    found = read(store)
    assert layers(found)[hexadecimal("app")].lower is None
    assert layers(found)[hexadecimal("base")].lower == ()
    assert f"names l/{short(hexadecimal('base'))}, which leads nowhere" in {gap.reason for gap in found.gaps}


@pytest.mark.parametrize(
    "text", ["l/../../etc", "/etc/passwd", "l/A/../B", "", "l/", "l/ÄÖÜ", "../x", f"l/{'A' * 65}", "l/A\0B"]
)
def test_a_lower_that_is_no_list_of_links_is_not_followed(store: DockerStore, text: str) -> None:
    (store.overlay2 / hexadecimal("app") / "lower").write_text(text)
    found = read(store)
    assert layers(found)[hexadecimal("app")].lower is None
    assert any(gap.where.endswith("/lower") for gap in found.gaps)


@pytest.mark.parametrize("folder", ["x", "..", "../l", "", "/l"])
def test_a_lower_below_another_folder_is_not_followed(store: DockerStore, folder: str) -> None:
    (store.overlay2 / hexadecimal("app") / "lower").write_text(f"{folder}/{short(hexadecimal('base'))}")
    assert layers(read(store))[hexadecimal("app")].lower is None


def test_a_lower_that_is_lost_is_no_base_layer(store: DockerStore) -> None:
    (store.overlay2 / hexadecimal("app") / "lower").unlink()
    assert layers(read(store))[hexadecimal("app")].lower is None


@pytest.mark.parametrize(
    "target", ["/etc", "../../../etc", "../..", "../a/b/diff", "..//diff", "../l", "../../diff", "../l/diff"]
)
def test_a_link_that_leads_elsewhere_is_shown_and_not_followed(store: DockerStore, target: str) -> None:
    link = store.overlay2 / "l" / short(hexadecimal("base"))
    link.unlink()
    os.symlink(target, link)
    (store.overlay2 / hexadecimal("base") / "link").unlink()
    found = read(store)
    assert found.links[link.name] == target
    assert layers(found)[hexadecimal("app")].lower is None


def test_a_directory_named_by_a_path_is_not_believed(store: DockerStore) -> None:
    base = layers(read(store))[hexadecimal("base")]
    (store.layerdb / "sha256" / base.chain_id.removeprefix("sha256:") / "cache-id").write_text("../../../etc")
    found = read(store)
    assert "../../../etc" not in layers(found)
    assert "owners" in {gap.what for gap in found.gaps}


def test_a_folder_overlay2_alone_has_chains_and_no_owners(store: DockerStore) -> None:
    before = layers(read(store))
    with Root(str(store.overlay2)) as root:
        found = docker.read(root, "/")
    assert {one.id: one.lower for one in found.layers} == {one.id: one.lower for one in before.values()}
    top = layers(found)[hexadecimal("layer of web")]
    assert (top.role, top.path, found.images, found.containers) == ("container", f"/{top.id}", (), ())
    assert [gap.what for gap in found.gaps] == ["owners"]
    assert "only the folder overlay2" in found.notes[0]


@pytest.mark.parametrize("part", ["image/overlay2/layerdb/sha256", "containers", "image/overlay2/imagedb"])
def test_owners_are_open_where_a_part_of_the_records_is_not_there(store: DockerStore, part: str) -> None:
    shutil.rmtree(store.path / part)
    assert "owners" in {gap.what for gap in read(store).gaps}


def test_what_the_build_cache_holds_is_not_nobodys(store: DockerStore) -> None:
    source, step, key = "wfqmxjgv3ojv2tj7zzvcb8vxt", "41cnl5iipslmtnlyg5qp86i51", "2todlf7f3eaf2pgtyzvsbv9oh"
    store.directory(source)
    store.directory(step, [hexadecimal("base")])
    tree = {
        source.encode(): {b"parent": b""},
        step.encode(): {b"iscommitted": b"", b"parent": b"sha256:base"},
        key.encode(): {b"committed": step.encode(), b"chainid": b"sha256:chain"},
    }
    (store.path / "buildkit").mkdir()
    (store.path / "buildkit" / "snapshots.db").write_bytes(database(tree))
    found = layers(read(store))
    assert (found[source].role, found[source].writable) == ("build", True)
    assert (found[step].role, found[step].writable, found[step].names) == ("build", False, (key,))
    assert found[hexadecimal("base")].role == "image"


@pytest.mark.parametrize("content", [None, b"", b"\0" * 8192])
def test_owners_are_open_where_the_build_cache_cannot_be_read(store: DockerStore, content: bytes | None) -> None:
    store.directory("wfqmxjgv3ojv2tj7zzvcb8vxt")
    if content is not None:
        (store.path / "buildkit").mkdir()
        (store.path / "buildkit" / "snapshots.db").write_bytes(content)
    assert "owners" in {gap.what for gap in read(store).gaps}


def test_containers_whose_images_are_in_containerd_have_no_layer_here(tmp_path: Path) -> None:
    store = DockerStore(tmp_path / "docker")
    identity = store.container("web", "", {"Driver": "overlayfs"})
    shutil.rmtree(store.layerdb)
    shutil.rmtree(store.overlay2)
    (store.path / "volumes").mkdir()
    found = read(store)
    assert (only(found).id, only(found).layer) == (identity, "")
    assert (found.driver, found.others, found.layers) == ("overlayfs", ("containerd",), ())


def test_an_upgraded_host_has_both_kinds_of_containers(store: DockerStore) -> None:
    new = hexadecimal("new container")
    (store.path / "containers" / new).mkdir()
    config = {"Name": "/new", "Driver": "overlayfs", "Image": DIFF}
    (store.path / "containers" / new / "config.v2.json").write_text(json.dumps(config))
    found = read(store)
    assert {container.name: bool(container.layer) for container in found.containers} == {"web": True, "new": False}
    assert (found.driver, found.others) == ("overlay2", ("containerd",))


def test_a_container_of_another_graph_driver_is_noted(store: DockerStore) -> None:
    other = hexadecimal("other container")
    (store.path / "containers" / other).mkdir()
    (store.path / "containers" / other / "config.v2.json").write_text(json.dumps({"Driver": "vfs"}))
    (store.path / "image" / "vfs" / "layerdb").mkdir(parents=True)
    found = read(store)
    assert found.others == ()
    assert found.notes == ("containers made by the driver 'vfs': 1; their layers are not in overlay2",)


def test_a_rootless_daemons_overlays_keep_their_marks_with_the_user(tmp_path: Path) -> None:
    DockerStore(tmp_path / "home" / "u" / ".local" / "share" / "docker")
    for name in ("own", "100000.100000"):
        made = DockerStore(tmp_path / name)
        if os.geteuid() == 0:
            os.chown(made.overlay2, 1000, 1000)
    with Root(str(tmp_path)) as root:
        assert docker.read(root, "/home/u/.local/share/docker").options.userxattr
        assert docker.read(root, "/own").options.userxattr
        assert not docker.read(root, "/100000.100000").options.userxattr


def test_a_folder_that_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "containers").mkdir()
    with Root(str(tmp_path)) as root, pytest.raises(SourceError):
        docker.read(root, "/")


def test_a_container_that_is_removed_while_it_is_read_is_none(store: DockerStore) -> None:
    (store.path / "containers" / hexadecimal("removed")).symlink_to("gone")
    found = read(store)
    assert (found.gaps, [container.name for container in found.containers]) == ((), ["web"])
