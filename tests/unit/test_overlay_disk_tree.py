"""A layer on disk: what a directory holds, how deep a tree may be, and that nothing hostile in it does harm.

Every test runs twice: with openat2(2) and listxattrat(2), and with what takes their place where there are none.
"""

from __future__ import annotations

import errno
import gc
import os
import resource
import socket
import stat
import subprocess
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from netfs.disk import openat2
from netfs.overlay.disk import xattrs
from netfs.overlay.disk.root import Root
from netfs.overlay.merge.tree import Directory

ODD = [b"line\nbreak", b"\x1b[2J\x1b[31mred", b"\xff\xfe no utf-8", b"n" * 255, b" ", b"-rf", b"..."]


@pytest.fixture(params=["openat2", "stepwise"], autouse=True)
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "stepwise":
        monkeypatch.setattr(openat2, "in_kernel", lambda: False)
        monkeypatch.setattr(xattrs, "_in_kernel", lambda: False)
    else:
        assert openat2.in_kernel()


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    (tmp_path / "layer").mkdir()
    (tmp_path / "secret").write_text("not of the layer")
    return tmp_path / "layer"


@pytest.fixture
def tree(layer: Path) -> Iterator[Directory]:
    with Root(str(layer.parent)) as root:
        yield root.tree("layer", userxattr=True).root


def code(call: Callable[[], object]) -> str:
    with pytest.raises(OSError) as raised:  # noqa: PT011 - the number is what the callers look at
        call()
    assert raised.value.errno is not None
    return errno.errorcode[raised.value.errno]


def open_files() -> int:
    gc.collect()  # what other tests left
    return len(os.listdir("/proc/self/fd"))


def test_a_scan_says_what_lstat_says_of_every_entry(layer: Path, tree: Directory) -> None:
    (layer / "file").write_bytes(b"12345")
    (layer / "directory").mkdir()
    (layer / "link").symlink_to("file")
    os.mkfifo(layer / "fifo")
    found = tree.scan()
    assert {name: (status.st_ino, status.st_mode, status.st_size) for name, status in found.items()} == {
        entry.name: (entry.lstat().st_ino, entry.lstat().st_mode, entry.lstat().st_size) for entry in layer.iterdir()
    }
    assert set(found) == {"file", "directory", "link", "fifo"}
    assert tree.scan() == found


def test_names_have_the_types_that_a_listing_tells(layer: Path, tree: Directory) -> None:
    (layer / "file").touch()
    (layer / "directory").mkdir()
    (layer / "link").symlink_to("directory")
    os.mkfifo(layer / "fifo")
    assert tree.names() == {"file": stat.S_IFREG, "directory": stat.S_IFDIR, "link": stat.S_IFLNK, "fifo": 0}


def test_an_entry_is_asked_by_its_name(layer: Path, tree: Directory) -> None:
    (layer / "file").write_bytes(b"0123456789")
    (layer / "link").symlink_to("../secret")
    status = tree.status("file")
    assert status is not None
    assert (stat.S_ISREG(status.st_mode), status.st_size) == (True, 10)
    assert tree.status("none") is None
    assert tree.link("link") == "../secret"
    assert code(lambda: tree.link("file")) == "EINVAL"
    assert tree.own_status().st_ino == layer.stat().st_ino
    assert tree.path == ""


def test_part_of_a_file_is_read(layer: Path, tree: Directory) -> None:
    (layer / "file").write_bytes(b"0123456789")
    (layer / "large").write_bytes(bytes(range(256)) * 10_000)
    assert tree.read("file", 2, 3) == b"234"
    assert tree.read("file", 8, 100) == b"89"
    assert tree.read("file", 10, 1) == b""
    assert tree.read("file", 0, 0) == b""
    assert tree.read("large", 1, 2_000_000) == (layer / "large").read_bytes()[1:2_000_001]
    assert tree.read("file", 0, 1 << 50) == b"0123456789"
    assert code(lambda: tree.read("file", -1, 1)) == "EINVAL"
    assert code(lambda: tree.read("file", 0, -1)) == "EINVAL"
    assert code(lambda: tree.read("file", 1 << 70, 1)) == "EINVAL"


def test_a_directory_is_entered_and_knows_its_path(layer: Path, tree: Directory) -> None:
    (layer / "a" / "b").mkdir(parents=True)
    (layer / "a" / "b" / "c").write_text("there")
    (layer / "file").touch()
    (layer / "link").symlink_to("a")
    below = tree.enter("a").enter("b")
    assert below.path == "a/b"
    assert below.read("c", 0, 9) == b"there"
    assert code(lambda: tree.enter("file")) == "ENOTDIR"
    assert code(lambda: tree.enter("link")) == "ENOTDIR"
    assert code(lambda: tree.enter("none")) == "ENOENT"


@pytest.mark.parametrize("name", ["..", ".", "a/b", "/", "../secret", "a/", "nul\0", "\ud800", ""])
def test_what_is_no_single_name_is_refused(layer: Path, tree: Directory, name: str) -> None:
    (layer / "a").mkdir()
    (layer / "a" / "b").mkdir()
    calls: list[Callable[[], object]] = [
        lambda: tree.enter(name),
        lambda: tree.status(name),
        lambda: tree.link(name),
        lambda: tree.read(name, 0, 1),
    ]
    if name:
        calls += [lambda: tree.mark(name, "opaque"), lambda: tree.xattrs(name)]
    assert [code(call) for call in calls] == ["EINVAL"] * len(calls)


def test_odd_names_are_names_like_others(layer: Path, tree: Directory) -> None:
    for name in ODD:
        (layer / os.fsdecode(name)).mkdir()
        (layer / os.fsdecode(name) / "in").write_bytes(name)
    assert sorted(os.fsencode(name) for name in tree.scan()) == sorted(ODD)
    assert sorted(os.fsencode(name) for name in tree.names()) == sorted(ODD)
    for name in ODD:
        below = tree.enter(os.fsdecode(name))
        assert (below.path, below.read("in", 0, 300)) == (os.fsdecode(name), name)
    assert code(lambda: tree.enter("n" * 256)) == "ENAMETOOLONG"


@pytest.mark.parametrize("target", ["/etc/passwd", "../secret", "../" * 40 + "etc/passwd", "loop", ".", "/"])
def test_no_symlink_is_followed(layer: Path, tree: Directory, target: str) -> None:
    (layer / "loop").symlink_to(target)
    assert code(lambda: tree.read("loop", 0, 1)) == "EINVAL"
    assert code(lambda: tree.enter("loop")) == "ENOTDIR"
    assert tree.link("loop") == target
    assert (tree.mark("loop", "opaque"), tree.xattrs("loop").keys() & {"user.overlay.opaque"}) == (None, set())
    assert stat.S_ISLNK(tree.scan()["loop"].st_mode)


def test_nothing_but_regular_files_is_opened(layer: Path, tree: Directory) -> None:
    os.mkfifo(layer / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(layer, os.O_PATH)
        listener.bind(f"/proc/self/fd/{here}/socket")
        os.close(here)
        # Whoever opens a FIFO for writing waits until somebody opens it for reading: we never do.
        writer = threading.Thread(target=lambda: os.close(os.open(layer / "fifo", os.O_WRONLY)), daemon=True)
        writer.start()
        for name in ("fifo", "socket"):
            assert code(lambda name=name: tree.read(name, 0, 1)) == "EINVAL"  # type: ignore[misc]  # a lambda's default has no type
            assert code(lambda name=name: tree.enter(name)) == "ENOTDIR"  # type: ignore[misc]  # as above
            assert tree.mark(name, "opaque") is None
            assert "user.overlay.opaque" not in tree.xattrs(name)
        writer.join(0.05)
        assert writer.is_alive()
        os.close(os.open(layer / "fifo", os.O_RDONLY))
        writer.join(10)
        assert not writer.is_alive()


def test_devices_are_seen_and_not_opened() -> None:
    with Root("/") as root:
        dev = root.tree("/dev").root
        assert stat.S_ISCHR(dev.scan()["zero"].st_mode)
        assert code(lambda: dev.read("zero", 0, 1)) == "EINVAL"
        assert code(lambda: root.read("/dev/zero")) == "EINVAL"


def test_a_directory_that_becomes_a_symlink_leads_nowhere(layer: Path, tree: Directory) -> None:
    (layer.parent / "outside").mkdir()
    (layer.parent / "outside" / "file").write_text("outside")
    (layer / "real").mkdir()
    (layer / "real" / "file").write_text("inside")
    (layer / "link").symlink_to("../outside")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for old, new in (("real", "parked"), ("link", "real"), ("real", "link"), ("parked", "real")):
                os.rename(layer / old, layer / new)

    swapper = threading.Thread(target=swap)
    swapper.start()
    read: list[bytes] = []
    refused: set[int | None] = set()
    try:
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            try:
                below = tree.enter("real")
                read.append(below.read("file", 0, 100))
                assert set(below.scan()) == {"file"}
            except OSError as error:
                refused.add(error.errno)
    finally:
        stop.set()
        swapper.join()
    assert set(read) == {b"inside"}
    assert refused <= {errno.ENOTDIR, errno.ENOENT, errno.ELOOP}
    assert refused


def test_a_directory_that_a_symlink_took_the_place_of_is_not_reopened_through_it(layer: Path) -> None:
    (layer / "a" / "b").mkdir(parents=True)
    (layer / "a" / "b" / "file").write_text("inside")
    (layer.parent / "outside" / "b").mkdir(parents=True)
    (layer.parent / "outside" / "b" / "file").write_text("outside")
    root = Root(str(layer.parent))
    below = root.tree("layer").root.enter("a").enter("b")
    root.close()  # gives every descriptor back but those of the trees' roots
    assert below.read("file", 0, 9) == b"inside"
    root.close()
    (layer / "a").rename(layer / "moved")
    (layer / "a").symlink_to("../outside")
    assert code(lambda: below.read("file", 0, 9)) in {"ELOOP", "ENOTDIR"}


def test_what_vanishes_during_a_scan_is_left_out(layer: Path, tree: Directory) -> None:
    stop = threading.Event()
    for number in range(50):
        (layer / f"stays{number}").touch()

    def come_and_go() -> None:
        while not stop.is_set():
            for number in range(20):
                (layer / f"goes{number}").touch()
            for number in range(20):
                (layer / f"goes{number}").unlink()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            assert sum(name.startswith("stays") for name in tree.scan()) == 50
    finally:
        stop.set()
        thread.join()


def test_a_file_that_grows_or_shrinks_is_read_as_far_as_it_goes(layer: Path, tree: Directory) -> None:
    path = layer / "file"
    path.write_bytes(b"a" * 3_000_000)
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            os.truncate(path, 100)
            os.truncate(path, 3_000_000)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(50):
            data = tree.read("file", 0, 4_000_000)
            assert len(data) <= 3_000_000
            assert set(data) <= {0, ord("a")}
    finally:
        stop.set()
        thread.join()


def test_a_handle_of_a_deep_tree_costs_little_more_than_its_path(layer: Path, tree: Directory) -> None:
    here = os.open(layer, os.O_RDONLY)
    for _ in range(1000):
        os.mkdir("n" * 50, dir_fd=here)
        here, above = os.open("n" * 50, os.O_RDONLY, dir_fd=here), here
        os.close(above)
    os.close(here)
    tracemalloc.start()
    try:
        directory = tree
        for _ in range(1000):
            directory = directory.enter("n" * 50)
        assert tracemalloc.get_traced_memory()[0] < 100_000
        assert len(directory.path) == 1000 * 51 - 1
    finally:
        tracemalloc.stop()
        subprocess.run(["rm", "-rf", layer], check=True)


def test_a_chain_of_500_layers_takes_one_descriptor_each(layer: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for number in range(500):
        (layer / f"{number}" / "etc").mkdir(parents=True)
    before = open_files()
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(before + 700, hard), hard))
    try:
        with Root(str(layer)) as root:
            trees = [root.tree(f"/{number}") for number in range(500)]
            assert open_files() - before == 501
            for tree in trees:
                assert tree.root.enter("etc").scan() == {}
            assert open_files() - before <= 501 + 64
        assert open_files() - before == 500
        del trees, tree
        assert open_files() == before
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_marks_are_read_in_the_namespace_of_the_mount(layer: Path) -> None:
    (layer / "directory").mkdir()
    (layer / "file").touch()
    for path in (layer, layer / "directory", layer / "file"):
        os.setxattr(path, "user.overlay.opaque", b"y")
        os.setxattr(path, "user.overlay.other", b"o")
    os.setxattr(layer / "file", "user.overlay.metacopy", b"")
    with Root(str(layer)) as root:
        tree = root.tree("/", userxattr=True)
        below = tree.root.enter("directory")
        assert (tree.unreadable, tree.mounted_over) == (False, ())
        assert [tree.root.mark(name, "opaque") for name in ("", "directory", "file")] == [b"y", b"y", b"y"]
        assert [below.mark("", mark) for mark in ("opaque", "redirect", "other")] == [b"y", None, None]
        assert (tree.root.mark("file", "metacopy"), tree.root.mark("none", "opaque")) == (b"", None)
        assert tree.root.xattrs("file").items() >= {("user.overlay.opaque", b"y"), ("user.overlay.metacopy", b"")}
        assert below.xattrs("")["user.overlay.opaque"] == b"y"
        assert root.tree("/").root.mark("", "opaque") is None


def test_an_xattr_is_read_to_its_end_and_all_of_them_to_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    value = bytes(3000)
    os.setxattr(tmp_path / "file", "user.overlay.redirect", value)
    with Root(str(tmp_path)) as root:
        tree = root.tree("/", userxattr=True).root
        assert tree.mark("file", "redirect") == value
        assert tree.xattrs("file")["user.overlay.redirect"] == value
        monkeypatch.setattr("netfs.overlay.disk.xattrs.TOTAL_BYTES", 2999)
        assert code(lambda: tree.xattrs("file")) == "E2BIG"
