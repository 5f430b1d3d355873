"""containers-storage read from its files: layers and what is below them, images, containers of Podman.

The stores are hand-made, in the form of Podman 4.3; tests/conformance reads those that Podman itself makes.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from netfs.errors import SourceError
from netfs.model.layers import HistoryLine, Layer, Store
from netfs.overlay.disk.root import Root
from netfs.overlay.stores.containers_storage.place import is_folder
from netfs.overlay.stores.containers_storage.store import read
from tests.unit.storage_store import StorageStore, conf, hexadecimal, link

DIFF = "sha256:" + "1" * 64
OTHER_DIFF = "sha256:" + "2" * 64


def of(store: StorageStore) -> Store:
    with Root(str(store.machine)) as root:
        return read(root, store.path)


def layer(store: Store, name: str) -> Layer:
    (found,) = (layer for layer in store.layers if layer.id == hexadecimal(name))
    return found


def reasons(store: Store) -> list[tuple[str, str]]:
    return [(gap.what, gap.reason) for gap in store.gaps]


@pytest.fixture
def store(tmp_path: Path) -> StorageStore:
    """An image of two layers, a container of it."""
    made = StorageStore(tmp_path)
    made.layer("base", written={"diff-digest": DIFF, "diff-size": 3072})
    made.layer("top", "base", written={"diff-digest": OTHER_DIFF})
    history = [{"created_by": "ADD"}, {"created_by": "ENV", "empty_layer": True}, {"created_by": "RUN"}]
    image = made.image("top", "docker.io/library/tiny:1", diffs=(DIFF, OTHER_DIFF), history=history)
    made.layer("web", "top", "base", written={"names": ["web-layer"]})
    made.container("web", image)
    return made


def test_layers_have_what_their_directories_and_the_list_say(store: StorageStore) -> None:
    found = of(store.write())
    assert (found.engine, found.driver, found.path) == ("containers-storage", "overlay", store.path)
    assert found.root == str(store.machine)
    here = f"{store.path}/overlay/{hexadecimal('base')}"
    assert layer(found, "base") == Layer(
        id=hexadecimal("base"),
        path=here,
        trees=(f"{here}/diff",),
        lower=(),
        role="image",
        short=link("base"),
        chain_id=DIFF,
        diff_id=DIFF,
        recorded_size=3072,
        created_at="2026-11-21T16:47:02.200307003Z",
    )
    assert found.gaps == ()
    web = layer(found, "web")
    assert (web.role, web.writable, web.names) == ("container", True, ("web-layer",))
    assert web.lower == (hexadecimal("top"), hexadecimal("base"))
    # sha256 of "<DIFF> <OTHER_DIFF>" (OCI image-spec, ChainID)
    assert layer(found, "top").chain_id == "sha256:9932074217c35353d2e03a3f5a86549f7c67bfeb0ba53e23d69f4d4c8f7958f5"


def test_an_image_has_its_layers_and_each_layer_its_line_of_history(store: StorageStore) -> None:
    (image,) = of(store.write()).images
    assert image.names == ("docker.io/library/tiny:1",)
    assert image.layers == (hexadecimal("top"), hexadecimal("base"))
    assert image.history == (
        HistoryLine("ADD", layer=hexadecimal("base")),
        HistoryLine("ENV"),
        HistoryLine("RUN", layer=hexadecimal("top")),
    )
    assert image.missing == ()


def test_a_container_has_its_image_and_its_layer(store: StorageStore) -> None:
    (container,) = of(store.write()).containers
    image = store.images[0]["id"]
    assert (container.name, container.image, container.image_name) == ("web", f"sha256:{image}", "tiny")
    assert container.layer == hexadecimal("web")
    assert (container.pod, container.state) == ("", "")


def test_further_directories_of_a_layer_lie_below_its_diff(store: StorageStore) -> None:
    here = store.here / "overlay" / hexadecimal("top")
    for name in ("diff1", "diff2", "diff4"):
        (here / name).mkdir()
    trees = layer(of(store.write()), "top").trees
    assert [tree.rpartition("/")[2] for tree in trees] == ["diff", "diff1", "diff2"]


def test_a_lost_link_is_made_anew_in_memory(store: StorageStore) -> None:
    (store.here / "overlay/l" / link("base")).unlink()
    found = of(store.write())
    assert layer(found, "web").lower == (hexadecimal("top"), hexadecimal("base"))
    assert link("base") not in found.links


def test_where_list_and_directory_disagree_the_directory_is_believed(store: StorageStore) -> None:
    (store.here / "overlay" / hexadecimal("web") / "lower").write_text(f"l/{link('base')}")
    found = of(store.write())
    assert layer(found, "web").lower == (hexadecimal("base"),)
    assert reasons(found) == [("lower", "it and the list of layers disagree about the layers below")]


def test_a_layer_without_a_directory_is_missing_and_still_has_its_place(store: StorageStore) -> None:
    store.record("gone", "top")
    image = store.image("gone", "gone:1")
    found = of(store.write())
    gone = layer(found, "gone")
    assert (gone.missing, gone.trees) == (True, ())
    assert gone.lower == (hexadecimal("top"), hexadecimal("base"))
    assert next(one for one in found.images if one.id == f"sha256:{image}").layers[0] == gone.id


def test_an_image_whose_layer_nobody_knows_says_so(store: StorageStore) -> None:
    store.image("never", "never:1")
    image = next(one for one in of(store.write()).images if one.names == ("never:1",))
    assert (image.layers, image.missing) == ((), (hexadecimal("never"),))


def test_an_image_without_its_configuration_says_so(store: StorageStore) -> None:
    for path in (store.here / "overlay-images").glob("*/=*"):
        path.unlink()
    (image,) = of(store.write()).images
    assert (image.history, image.missing) == ((), (image.id,))
    assert image.layers == (hexadecimal("top"), hexadecimal("base"))


def test_a_configuration_that_was_changed_is_told(store: StorageStore) -> None:
    (path,) = (store.here / "overlay-images").glob("*/=*")
    path.write_text(path.read_text() + " ")
    assert ("image", "was changed: its SHA-256 is not its name") in reasons(of(store.write()))


def test_the_manifest_names_the_configuration_of_an_image_with_another_id(store: StorageStore) -> None:
    (folder,) = (path for path in (store.here / "overlay-images").iterdir() if path.is_dir())
    folder.rename(folder.with_name("f" * 64))
    store.images[0]["id"] = "f" * 64
    (image,) = of(store.write()).images
    assert image.id == "sha256:" + "f" * 64
    assert len(image.history) == 3


def test_roles(store: StorageStore) -> None:
    store.layer("leaked", "base")
    store.layer("nobody", record=False)
    store.layer("half", "base", written={"flags": {"incomplete": True}})
    store.layer("below")
    store.layer("working", "below", written={"names": ["buildah-layer"]})
    store.container("working", "", metadata={})
    store.layer("mapped", "base")
    store.images[0]["mapped-layers"] = [hexadecimal("mapped")]
    found = of(store.write())
    roles = {name: layer(found, name).role for name in ("base", "top", "web", "leaked", "nobody", "half", "mapped")}
    assert roles == {
        "base": "image",
        "top": "image",
        "web": "container",
        "leaked": "unknown",
        "nobody": "unknown",
        "half": "temporary",
        "mapped": "image",
    }
    assert (layer(found, "working").role, layer(found, "below").role) == ("container", "snapshot")


def test_what_comes_and_goes_is_no_layer(store: StorageStore) -> None:
    for name in ("staging/123/diff", "tempdirs/temp-dir-1/0", "compat1234/diff", "metacopy-check99/work", "odd"):
        (store.here / "overlay" / name).mkdir(parents=True)
    (store.here / "overlay/.has-mount-program").write_text("false")
    found = of(store.write())
    assert {one.id for one in found.layers} == {hexadecimal(name) for name in ("base", "top", "web")}
    assert [note.partition(" holds ")[2] for note in found.notes] == [
        "what began to be made: 1 entries",
        "what began to be removed: 1 entries",
    ]


def test_the_folder_of_layers_alone_has_layers_of_nobody(store: StorageStore) -> None:
    store.write()
    with Root(str(store.here / "overlay")) as root:
        found = read(root, "/")
    assert len(found.layers) == 3
    assert {one.role for one in found.layers} == {"unknown"}
    assert found.layers[0].path == f"/{found.layers[0].id}"
    assert reasons(found) == [("owners", "its lists of layers, images and containers are not there")]


def test_the_folder_of_layers_alone_is_known_from_dockers(store: StorageStore, tmp_path: Path) -> None:
    docker = tmp_path / "overlay2"
    for folder in ("l", "abc/diff", "abc/work", "abc/merged"):
        (docker / folder).mkdir(parents=True)
    with Root(str(tmp_path)) as root:
        assert is_folder(root, f"{store.path}/overlay")
        assert not is_folder(root, "/overlay2")
        assert not is_folder(root, "/absent")
        (docker / ".has-mount-program").write_text("false")
        assert is_folder(root, "/overlay2")


def test_a_folder_that_is_no_store_is_refused(tmp_path: Path) -> None:
    with Root(str(tmp_path)) as root, pytest.raises(SourceError, match="no store of containers-storage"):
        read(root, "/var/lib/containers/storage")


def test_composefs_is_told_and_not_guessed(store: StorageStore) -> None:
    folder = store.here / "overlay" / hexadecimal("top") / "composefs-data"
    folder.mkdir()
    (folder / "composefs.blob").write_bytes(b"")
    found = of(store.write())
    assert layer(found, "top").trees == ()
    assert ("layer", "the names of its files are in composefs-data, which is not understood") in reasons(found)
    assert found.options.metacopy is not found.options.userxattr


class TestOptions:
    def test_a_users_own_store_is_mounted_by_user_xattrs(self, tmp_path: Path) -> None:
        found = of(StorageStore(tmp_path, "/home/ann/.local/share/containers/storage").write())
        assert (found.options.userxattr, found.options.redirect_dir) == (True, "nofollow")

    def test_roots_is_not(self, tmp_path: Path) -> None:
        found = of(StorageStore(tmp_path).write())
        assert found.options.userxattr == (os.geteuid() != 0)

    def test_fuse_overlayfs_is_told(self, tmp_path: Path) -> None:
        store = StorageStore(tmp_path, "/home/ann/.local/share/containers/storage")
        (store.here / "overlay/.has-mount-program").write_text("true")
        found = of(store.write())
        assert not found.options.userxattr
        assert [gap.what for gap in found.gaps] == ["marks"]

    @pytest.mark.parametrize("table", ["[storage.options]", "[storage.options.overlay]"])
    def test_mount_options_are_configured(self, tmp_path: Path, table: str) -> None:
        conf(tmp_path, f'[storage]\n{table}\nmountopt = "nodev,metacopy=on,volatile"')
        options = of(StorageStore(tmp_path).write()).options
        assert options.volatile
        assert options.metacopy == (not options.userxattr)


class TestVolatile:
    def test_records_of_the_store_and_of_its_runroot_are_read(self, store: StorageStore) -> None:
        store.layer("cri", "top", "base", record=False)
        store.container("cri", store.images[0]["id"], volatile=True)
        run = store.machine / "run/containers/storage/overlay-layers"
        run.mkdir(parents=True)
        entry = {"id": hexadecimal("cri"), "parent": hexadecimal("top"), "names": ["cri-layer"]}
        (run / "volatile-layers.json").write_text(json.dumps([entry]))
        found = of(store.write())
        assert [container.name for container in found.containers] == ["web", "cri"]
        assert layer(found, "cri").names == ("cri-layer",)

    def test_a_configured_runroot_is_read(self, tmp_path: Path) -> None:
        conf(tmp_path, '[storage]\ngraphroot = "/data"\nrunroot = "/data-run"')
        store = StorageStore(tmp_path, "/data").write()
        run = tmp_path / "data-run/overlay-containers"
        run.mkdir(parents=True)
        (run / "volatile-containers.json").write_text(json.dumps([{"id": "c", "names": ["one"]}]))
        assert [container.name for container in of(store).containers] == ["one"]

    def test_the_last_file_that_says_something_counts(self, tmp_path: Path) -> None:
        conf(tmp_path, '[storage]\ngraphroot = "/data"\nrunroot = "/first"')
        for name, runroot in (("20-b.conf", "/second"), ("10-a.conf", "/third"), ("30-c.txt", "/fourth")):
            path = tmp_path / "usr/share/containers/storage.conf.d" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f'[storage]\nrunroot = "{runroot}"')
        store = StorageStore(tmp_path, "/data").write()
        for runroot in ("first", "second", "third", "fourth"):
            run = tmp_path / runroot / "overlay-containers"
            run.mkdir(parents=True)
            (run / "volatile-containers.json").write_text(json.dumps([{"id": runroot}]))
        assert [container.id for container in of(store).containers] == ["second"]


class TestAdditionalStores:
    def test_layers_and_images_of_another_store_are_told_as_far_as_they_are_needed(self, tmp_path: Path) -> None:
        conf(tmp_path, '[storage.options]\nadditionalimagestores = ["/mnt/shared", "/mnt/absent"]')
        shared = StorageStore(tmp_path, "/mnt/shared")
        shared.layer("base", written={"diff-digest": DIFF})
        image = shared.image("base", "shared:1", diffs=(DIFF,), history=[{"created_by": "ADD"}])
        shared.layer("other")
        shared.image("other", "other:1", diffs=(DIFF,))
        shared.write()
        own = StorageStore(tmp_path)
        own.layer("web", "base")
        own.container("web", image)
        found = of(own.write())
        assert {one.id: one.path for one in found.layers} == {
            hexadecimal("web"): f"{own.path}/overlay/{hexadecimal('web')}",
            hexadecimal("base"): f"/mnt/shared/overlay/{hexadecimal('base')}",
        }
        assert layer(found, "web").lower == (hexadecimal("base"),)
        assert not layer(found, "base").missing
        assert [one.names for one in found.images] == [("shared:1",)]
        assert found.images[0].history == (HistoryLine("ADD", layer=hexadecimal("base")),)
        assert found.notes == ("it uses images of /mnt/shared",)
        assert found.gaps == ()

    def test_an_unused_one_is_not_told(self, tmp_path: Path, store: StorageStore) -> None:
        conf(tmp_path, '[storage]\nimagestore = "/mnt/shared"')
        shared = StorageStore(tmp_path, "/mnt/shared")
        shared.layer("elsewhere")
        shared.write()
        found = of(store.write())
        assert len(found.layers) == 3
        assert found.notes == ()


class TestOwners:
    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("overlay-images/images.json", "[{"),
            ("overlay-containers/containers.json", "{}"),
            ("overlay-layers/layers.json", '[{"id": "../x"}, 7]'),
        ],
    )
    def test_a_list_that_cannot_be_read_leaves_the_owners_open(self, store: StorageStore, name: str, text: str) -> None:
        store.write()
        (store.here / name).write_text(text)
        assert "owners" in [gap.what for gap in of(store).gaps]

    def test_a_list_that_is_no_file_does_not_block(self, store: StorageStore) -> None:
        store.write()
        path = store.here / "overlay-images/images.json"
        path.unlink()
        os.mkfifo(path)
        assert ("owners", "is no regular file") in reasons(of(store))


def test_parents_that_go_round_in_circles_end(store: StorageStore) -> None:
    store.record("one", "two")
    store.record("two", "one")
    store.record("self", "self")
    found = of(store.write())
    assert [layer(found, name).lower for name in ("one", "two", "self")] == [None, None, None]
    assert [layer(found, name).chain_id for name in ("one", "two", "self")] == ["", "", ""]


def test_a_chain_that_is_too_long_is_not_told(store: StorageStore) -> None:
    for number in range(700):
        store.record(f"n{number}", f"n{number - 1}" if number else "")
    found = of(store.write())
    assert layer(found, "n500").lower is not None
    assert layer(found, "n501").lower is None
