"""From a root to its stores and mounts: what belongs together, what is in no store, what may not be looked at."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from netfs.disk import openat2
from netfs.errors import EndpointError, SourceError
from netfs.model.layers import Mount, MountOptions
from netfs.model.places import NodeRoot
from netfs.overlay import reading
from netfs.overlay.disk import root as disk
from netfs.overlay.disk.root import Root
from netfs.overlay.stores.find import Place
from netfs.overlay.stores.mountinfo import mountpoints
from tests.unit.docker_store import DockerStore, hexadecimal


@pytest.fixture
def store(tmp_path: Path) -> DockerStore:
    made = DockerStore(tmp_path / "var/lib/docker")
    made.container("web", made.image("app:1", "base", "app"))
    return made


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    with Root(str(tmp_path)) as found:
        yield found


TOP = hexadecimal("layer of web")


def test_a_mount_belongs_to_the_layer_that_is_its_uppermost(store: DockerStore, root: Root) -> None:
    mount = Mount("/merged", (), upper=f"/var/lib/docker/overlay2/{TOP}/diff", pid=1)
    found = reading.read(root, "node1", [mount])
    assert found.mounts == {(root.path, "/var/lib/docker"): {TOP: mount}}
    assert [(each.engine, each.node, each.root) for each in found.stores] == [("docker", "node1", root.path)]


def test_a_mount_through_a_short_link_belongs_to_its_layer(store: DockerStore, root: Root) -> None:
    link = next(path.name for path in (store.overlay2 / "l").iterdir() if TOP in path.readlink().parts)
    mount = Mount("/merged", (f"/var/lib/docker/overlay2/l/{link}",), read_only=True)
    assert reading.read(root, "", [mount]).mounts == {(root.path, "/var/lib/docker"): {TOP: mount}}


def test_a_mount_of_no_store_is_a_store_of_its_own(store: DockerStore, root: Root, tmp_path: Path) -> None:
    (tmp_path / "upper").mkdir()
    (tmp_path / "lower").mkdir()
    mount = Mount("/merged", ("/lower", "/gone", "relative"), upper="/upper", options=MountOptions(metacopy=True))
    strange = reading.read(root, "node1", [mount]).stores[-1]
    assert (strange.engine, strange.path) == ("mounts", "/proc/self/mountinfo")
    assert [(each.id, each.lower, each.missing) for each in strange.layers] == [
        ("/upper", ("/lower", "/gone", "relative"), False),
        ("/lower", ("/gone", "relative"), False),
        ("/gone", ("relative",), True),
        ("relative", (), True),
    ]


def refusing(monkeypatch: pytest.MonkeyPatch, *folders: str) -> None:
    def refuse(folder: int, path: bytes, flags: int) -> int:
        if path.startswith(tuple(each.encode() for each in folders)):
            raise PermissionError(errno.EACCES, "Permission denied")
        return openat2.open_in_root(folder, path, flags)

    monkeypatch.setattr(disk, "open_in_root", refuse)


def test_a_layer_that_may_not_be_looked_at_is_not_missing(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(monkeypatch, "/upper")
    (strange,) = reading.read(root, "", [Mount("/merged", ("/gone",), upper="/upper")]).stores
    assert [(each.id, each.missing) for each in strange.layers] == [("/upper", False), ("/gone", True)]


def test_a_store_that_may_not_be_looked_at_is_a_gap(
    store: DockerStore, root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing(monkeypatch, "/var/lib/docker")
    found = reading.read(root, "")
    assert found.stores == ()
    assert [(gap.where, gap.what) for gap in found.gaps] == [(f"{root.path}/var/lib/docker", "docker store")]


def test_where_nothing_may_be_looked_at_that_is_said(
    store: DockerStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing(monkeypatch, "/var/lib/docker")
    with pytest.raises(SourceError, match=r"/var/lib/docker may not be read \(run it as root\)"):
        reading.whole(str(tmp_path))
    with pytest.raises(SourceError, match=r"node1: .*/var/lib/docker may not be read"):
        reading.of_nodes([NodeRoot("node1", str(tmp_path), pid=1)])


def test_where_no_store_is_the_hint_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no layer store is there .*an engine's folder"):
        reading.whole(str(tmp_path))
    with pytest.raises(SourceError, match=r"one, two: no layer store is there .*--root DIR"):
        reading.of_nodes([NodeRoot("one", str(tmp_path), 1), NodeRoot("two", str(tmp_path), 1)])


def test_a_known_place_is_the_only_one_that_is_read(store: DockerStore, root: Root, tmp_path: Path) -> None:
    DockerStore(tmp_path / "other")
    found = reading.of_nodes([NodeRoot("node1", str(tmp_path), 1, "/other")])
    assert [each.path for each in found.stores] == ["/other"]


def test_a_place_that_is_no_store_is_a_gap(root: Root) -> None:
    found = reading.read(root, "", (), (Place("docker", "/nowhere"),))
    assert found.stores == ()
    assert [gap.what for gap in found.gaps] == ["docker store"]


def test_mount_points_are_those_of_every_file_system() -> None:
    text = "1 0 0:1 / / rw - ext4 /dev/a rw\n2 1 0:2 / /a\\040b rw shared:1 - tmpfs t rw\nbroken\n3 1 0:3 / /c\n"
    assert mountpoints(text) == {"/", "/a b"}


def test_what_a_process_has_mounted_from_outside_is_read_on_this_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upper, inside = tmp_path / "upper", tmp_path / "inside"
    upper.mkdir()
    inside.mkdir()
    mount = Mount("/", (), upper=str(upper), pid=1 << 30)
    monkeypatch.setattr(reading, "of", lambda pid: ((mount,), ()))
    with reading.of_nodes([NodeRoot("box", str(inside), mount.pid)]) as stores:
        (chain,) = stores.chains
        assert (chain.name, chain.store.node, chain.store.root, chain.missing) == ("/", "box", "/", ())


def test_a_path_of_another_mount_namespace_is_not_that_of_a_store_here(store: DockerStore, root: Root) -> None:
    """Seen from the other process, another directory is at that path."""
    upper = f"/var/lib/docker/overlay2/{TOP}/diff"
    here, there = Mount("/m", (), upper=upper, pid=0), Mount("/m", (), upper="/etc", pid=os.getpid())
    Path(root.path, "etc").mkdir()
    own, away = reading._parted(root, [here, there])
    assert (own, away) == ([here], {os.getpid(): [there]})


def test_relative_layers_lie_where_all_layers_do(tmp_path: Path, root: Root) -> None:
    for name in ("store/7/fs", "store/3/fs"):
        (tmp_path / name).mkdir(parents=True)
    mount = Mount("/m", ("3/fs", "gone/fs"), upper="/store/7/fs")
    (strange,) = reading.read(root, "", [mount]).stores
    assert [(each.id, each.missing) for each in strange.layers] == [
        ("/store/7/fs", False),
        ("/store/3/fs", False),
        ("gone/fs", True),
    ]


def test_two_nodes_with_the_same_layers_are_told_apart(tmp_path: Path) -> None:
    for name in ("one", "two"):
        made = DockerStore(tmp_path / name / "var/lib/docker")
        made.container("web", made.image("app:1", "base"))
    with reading.of_nodes([NodeRoot(name, str(tmp_path / name), 1) for name in ("one", "two")]) as stores:
        usage = stores.usage()
        assert len(usage.layers) == 2 * 3
        assert {layer.used_by for layer in usage.layers} == {("web",), ("web", "app:1")}
        assert [chain.node for chain in stores.ls().chains if chain.kind == "container"] == ["one", "two"]
        with pytest.raises(EndpointError, match="container/web on one, container/web on two"):
            stores.show("web")
        path = str(tmp_path / "two/var/lib/docker/overlay2" / TOP / "diff")
        assert [owner.node for owner in stores.show(path).owners] == ["two"]
