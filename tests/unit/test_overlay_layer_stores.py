"""The opened stores: whose bytes are counted where, which layers are whose, what is kept open."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import netfs
import netfs.overlay
from netfs.errors import EndpointError, SourceError
from netfs.model.gaps import Gap
from netfs.model.layers import Mount
from netfs.overlay import layer_stores, reading
from netfs.overlay.disk.root import Root
from netfs.overlay.layer_stores import LayerStores
from tests.unit.docker_store import DockerStore, hexadecimal

FILE = 40_000


@pytest.fixture
def store(tmp_path: Path) -> DockerStore:
    """Images ``app:1`` (base, app), ``more:1`` (base, more) and one without a name; containers of the first."""
    made = DockerStore(tmp_path / "var/lib/docker")
    made.image("nameless", "base", "half")
    app = made.image("app:1", "base", "app")
    made.image("more:1", "base", "more")
    for name in ("web", "api"):
        made.container(name, app)
    repositories = made.own / "repositories.json"
    known = json.loads(repositories.read_text())["Repositories"]
    repositories.write_text(json.dumps({"Repositories": {name: known[name] for name in ("app", "more")}}))
    for word in ("base", "app", "more", "layer of web"):
        write(made, word, f"srv/{word}")
    write(made, "layer of web", "srv/base")
    return made


def write(store: DockerStore, word: str, name: str, size: int = FILE) -> None:
    path = store.overlay2 / hexadecimal(word) / "diff" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)


@pytest.fixture
def stores(store: DockerStore, tmp_path: Path) -> Iterator[LayerStores]:
    with netfs.overlay.open(str(tmp_path)) as found:
        yield found


def about(number: int | None, files: int) -> bool:
    """Whether bytes on disk are those of so many files; what directories take is up to the file system."""
    return number is not None and files * FILE <= number < (files + 1) * FILE


def test_containers_come_first_and_images_without_a_name_last(stores: LayerStores) -> None:
    kinds = [(chain.kind, bool(chain.image_names)) for chain in stores.ls(sizes=False).chains]
    assert kinds == [("container", True)] * 2 + [("image", True)] * 2 + [("image", False)]
    assert [chain.name for chain in stores.chains[:4]] == ["api", "web", "app:1", "more:1"]


def test_own_and_shared_bytes(stores: LayerStores) -> None:
    found = {chain.name: chain for chain in stores.ls().chains}
    assert about(found["web"].own, 2)
    assert about(found["web"].shared, 2)
    assert about(found["api"].own, 0)
    assert about(found["app:1"].own, 0)
    assert about(found["more:1"].own, 1)
    assert about(found["more:1"].shared, 1)


def test_two_chains_of_one_name_share_what_they_share(store: DockerStore, tmp_path: Path) -> None:
    config = store.path / "containers" / hexadecimal("container api") / "config.v2.json"
    config.write_text(config.read_text().replace('"/api"', '"/web"'))
    shutil.rmtree(store.own / "imagedb" / "content")
    (store.own / "imagedb" / "content" / "sha256").mkdir(parents=True)
    with netfs.overlay.open(str(tmp_path)) as stores:
        found = [chain for chain in stores.ls().chains if chain.name == "web"]
        assert len(found) == 2
        assert all(about(chain.shared, 2) for chain in found)


def test_usage_of_one_chain_is_of_its_layers_alone(stores: LayerStores) -> None:
    usage = stores.usage("more:1")
    assert {layer.id for layer in usage.layers} == {hexadecimal("base"), hexadecimal("more")}
    assert about(usage.bytes, 2)
    assert {layer.created_by for layer in usage.layers} == {"RUN base", "RUN more"}
    whole = stores.usage()
    assert about(whole.bytes, 5)
    web = next(each for each in whole.chains if each.chain.name == "web")
    assert about(web.wasted, 1)
    assert web.efficiency == round(1 - web.wasted / web.bytes, 4)


def test_a_container_that_wrote_much_is_told(stores: LayerStores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_stores, "LARGE", 2 * FILE)
    (finding,) = stores.usage().findings
    assert (finding.slug, finding.object) == ("layer-upper-large", "web")
    assert finding.evidence.endswith(f" GiB are in its own layer {hexadecimal('layer of web')[:12]}")


def test_a_chain_that_hides_nothing_is_wholly_efficient(stores: LayerStores) -> None:
    found = {each.chain.name: each.efficiency for each in stores.usage().chains}
    assert found["more:1"] == 1.0
    assert 0 < found["web"] < 1


def test_a_layer_shows_its_owners_and_their_mounts(store: DockerStore, tmp_path: Path) -> None:
    top = hexadecimal("layer of web")
    mount = Mount("/merged", (), upper=f"/var/lib/docker/overlay2/{top}/diff", pid=os.getpid())
    with LayerStores([reading.read(Root(str(tmp_path)), "node1", [mount])]) as stores:
        shown = stores.show(top[:12])
        assert [(owner.name, owner.mountpoint) for owner in shown.owners] == [("web", "/merged")]
        assert shown.target == shown.layers[0]
        assert stores.find("/merged").chain.name == "web"
        assert stores.show("web").target is None


def test_orphans_have_a_size_and_an_age(store: DockerStore, tmp_path: Path) -> None:
    lost = store.directory("ab" * 32)
    (lost / "diff/file").write_bytes(b"x" * FILE)
    os.utime(lost, (0, 86400))
    with netfs.overlay.open(str(tmp_path)) as stores:
        (orphan,) = stores.orphans().orphans
        assert (orphan.id, orphan.path, orphan.modified_at) == ("ab" * 32, str(lost), "1970-01-02T00:00:00Z")
        assert about(orphan.own.bytes, 1)
        usage = stores.usage()
        assert about(usage.orphaned, 1)


def test_what_is_not_mounted_cannot_be_verified(stores: LayerStores) -> None:
    with pytest.raises(SourceError, match="no overlay is mounted"):
        stores.verify()
    with pytest.raises(EndpointError):
        stores.verify("nosuch")


@pytest.mark.parametrize(("mountpoint", "pid"), [("/nowhere", 0), ("/", 1 << 30)])
def test_a_mount_that_is_gone_is_a_gap(store: DockerStore, tmp_path: Path, mountpoint: str, pid: int) -> None:
    upper = f"/var/lib/docker/overlay2/{hexadecimal('layer of web')}/diff"
    with LayerStores([reading.read(Root(str(tmp_path)), "", [Mount(mountpoint, (), upper=upper, pid=pid)])]) as stores:
        (found,) = stores.verify()
        assert (found.entries, found.gaps[-1].where, found.gaps[-1].reason) == (
            0,
            mountpoint,
            "No such file or directory",
        )


def test_a_bind_mount_of_a_part_is_compared_with_that_part(store: DockerStore, tmp_path: Path) -> None:
    upper = f"/var/lib/docker/overlay2/{hexadecimal('layer of web')}/diff"
    part = tmp_path / "part"
    part.mkdir()
    for name in ("app", "base", "layer of web"):
        (part / name).write_bytes(b"x" * FILE)
    mount = Mount("/part", (), upper=upper, root="/srv")
    with LayerStores([reading.read(Root(str(tmp_path)), "", [mount])]) as stores:
        (found,) = stores.verify("web", content=True)
        assert (found.entries, found.differences, found.gaps) == (3, (), ())


def test_an_image_without_layers_is_no_failure(store: DockerStore, tmp_path: Path) -> None:
    store.image("scratch:1")
    with netfs.overlay.open(str(tmp_path)) as stores:
        assert stores.show("scratch:1").layers == ()
        assert stores.which("scratch:1", "/etc").provider is None
        assert stores.usage("scratch:1").bytes == 0
        with pytest.raises(EndpointError, match="scratch:1 has no layers"):
            stores.diff("scratch:1")


def test_layers_with_data_alone_stand_below_the_others(tmp_path: Path) -> None:
    for name in ("upper", "lower", "data"):
        (tmp_path / name).mkdir()
    mount = Mount("/merged", ("/lower", "/gone"), ("/data", "/lost"), "/upper")
    with LayerStores([reading.read(Root(str(tmp_path)), "", [mount])]) as stores:
        (chain,) = stores.chains
        view, trees = stores.view(chain)
        assert (len(view.stack.layers), len(view.stack.data)) == (2, 1)
        assert [layer.id for layer in trees.layers] == ["/upper", "/lower", "/data"]
        assert [gap.where for gap in trees.gaps] == ["/gone", str(tmp_path / "lost")]
        assert stores.usage().gaps == tuple(trees.gaps)


def test_a_mount_whose_layers_cannot_be_found_is_told(tmp_path: Path) -> None:
    with LayerStores([reading.read(Root(str(tmp_path)), "", [Mount("/merged", ("a", "b"))])]) as stores:
        (chain,) = stores.ls().chains
        assert (chain.kind, chain.missing, chain.own) == ("mount", ("a", "b"), None)
        assert stores.verify()[0].gaps


def test_an_unknown_name_is_not_unknown_where_a_store_could_not_be_read(store: DockerStore, tmp_path: Path) -> None:
    found = reading.read(Root(str(tmp_path)), "")
    unread = replace(found, gaps=(Gap("/var/lib/containerd", "containerd store", "it may not be read"),))
    with LayerStores([unread]) as stores:
        with pytest.raises(SourceError, match=r"is called 'pod-x'; /var/lib/containerd: it may not be read"):
            stores.show("pod-x")
        assert stores.show("web").chain.name == "web"


def test_every_root_is_given_back(store: DockerStore, tmp_path: Path) -> None:
    """Also where two nodes have one root, as in a lab."""
    before = os.listdir("/proc/self/fd")
    reads = [reading.read(Root(str(tmp_path)), name) for name in ("one", "two")]
    with LayerStores(reads) as stores:
        stores.ls()
    assert os.listdir("/proc/self/fd") == before


def test_progress_goes_through_all_layers(store: DockerStore, tmp_path: Path) -> None:
    seen: list[int] = []
    with netfs.overlay.open(str(tmp_path), progress=seen.append) as stores:
        stores.ls()
    assert seen == sorted(seen)
    assert seen[-1] >= 9


def test_the_public_face_opens_the_same(store: DockerStore, tmp_path: Path) -> None:
    with netfs.layers(root=str(tmp_path)) as stores:
        assert [chain.name for chain in stores.chains][:2] == ["api", "web"]
