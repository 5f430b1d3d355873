"""The files of a machine below a root: every path leads where it leads on that machine, and never out of it.

Every test runs twice: with openat2(2), and with what takes its place where there is none.
"""

from __future__ import annotations

import errno
import fcntl
import gc
import os
import signal
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from netfs.disk import openat2
from netfs.errors import SourceError
from netfs.overlay.disk.root import Root


@pytest.fixture(params=["openat2", "stepwise"], autouse=True)
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "stepwise":
        monkeypatch.setattr(openat2, "in_kernel", lambda: False)
    else:
        assert openat2.in_kernel()


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine whose /var/lib/docker is a symlink to /data/docker, as administrators move it."""
    (tmp_path / "secret").write_text("of another machine")
    machine = tmp_path / "machine"
    (machine / "data" / "docker" / "image").mkdir(parents=True)
    (machine / "data" / "docker" / "image" / "repositories.json").write_text("{}")
    (machine / "var" / "lib").mkdir(parents=True)
    (machine / "var" / "lib" / "docker").symlink_to("/data/docker")
    return machine


@pytest.fixture
def root(machine: Path) -> Iterator[Root]:
    with Root(str(machine)) as root:
        yield root


def code(call: Callable[[], object]) -> str:
    with pytest.raises(OSError) as raised:  # noqa: PT011 - the number is what the callers look at
        call()
    assert raised.value.errno is not None
    return errno.errorcode[raised.value.errno]


def test_an_absolute_symlink_leads_to_the_root_that_was_given(root: Root) -> None:
    assert root.read("/var/lib/docker/image/repositories.json") == b"{}"
    assert root.read("var/lib/docker/image/repositories.json") == b"{}"
    assert root.names("/var/lib/docker") == ["image"]
    assert root.resolve("/var/lib/docker/image") == "/data/docker/image"
    assert root.tree("/var/lib/docker").root.names().keys() == {"image"}
    assert root.is_directory("/var/lib/docker")


@pytest.mark.parametrize("target", ["../../secret", "../" * 30 + "secret", "/../../secret", "/secret"])
def test_a_path_cannot_climb_out(machine: Path, root: Root, target: str) -> None:
    (machine / "data" / "up").symlink_to(target)
    (machine / "secret").write_text("its own")
    assert root.read("/data/up") == b"its own"
    assert root.resolve("/data/up") == "/secret"
    assert root.read("/../../../secret") == b"its own"
    assert root.resolve("/../..") == "/"


@pytest.mark.parametrize(
    ("path", "resolved"),
    [
        ("", "/"),
        (".", "/"),
        ("//data/./docker/", "/data/docker"),
        ("/var/lib/docker/../x", "/data/x"),
        ("/data/chain", "/data/docker/image"),
        ("/data/slash/", "/data/docker"),
        ("/data/file", "/data/file"),
    ],
)
def test_paths_resolve_as_the_kernel_resolves_them(machine: Path, root: Root, path: str, resolved: str) -> None:
    (machine / "data" / "x").mkdir()
    (machine / "data" / "file").touch()
    (machine / "data" / "slash").symlink_to("docker/")
    (machine / "data" / "chain").symlink_to("slash/image")
    assert root.resolve(path) == resolved
    assert root.status(path).st_ino == (machine / resolved.lstrip("/")).stat().st_ino


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/none", "ENOENT"),
        ("/none/..", "ENOENT"),
        ("/data/loop", "ELOOP"),
        ("/data/file/", "ENOTDIR"),
        ("/data/file/..", "ENOTDIR"),
        ("/data/file/x", "ENOTDIR"),
        ("/data/nowhere", "ENOENT"),
        ("/nul\0", "EINVAL"),
        ("/\ud800", "EINVAL"),
        ("/" + "n" * 256, "ENAMETOOLONG"),
        ("/" + "data/../" * 600, "ENAMETOOLONG"),
    ],
)
def test_what_leads_nowhere_is_an_error_of_the_kernel(machine: Path, root: Root, path: str, error: str) -> None:
    (machine / "data" / "loop").symlink_to("loop")
    (machine / "data" / "file").touch()
    (machine / "data" / "nowhere").symlink_to("/gone")
    assert code(lambda: root.status(path)) == error
    assert code(lambda: root.resolve(path)) == error
    assert code(lambda: root.tree(path)) == error
    assert not root.is_directory(path)


def test_forty_symlinks_are_followed_and_no_more(machine: Path, root: Root) -> None:
    (machine / "l0").mkdir()
    for number in range(1, 42):
        (machine / f"l{number}").symlink_to(f"l{number - 1}")
    assert root.resolve("/l40") == "/l0"
    assert root.is_directory("/l40")
    assert code(lambda: root.resolve("/l41")) == "ELOOP"
    assert not root.is_directory("/l41")


def test_a_symlink_itself_can_be_looked_at(root: Root) -> None:
    assert root.link("/var/lib/docker") == "/data/docker"
    assert root.status("/var/lib/docker", follow=False).st_mode & 0o170000 == 0o120000
    assert code(lambda: root.link("/data")) == "EINVAL"
    assert code(lambda: root.link("/none")) == "ENOENT"


def test_only_a_regular_file_is_read(machine: Path, root: Root) -> None:
    os.mkfifo(machine / "fifo")
    (machine / "link").symlink_to("fifo")
    assert [code(lambda path=path: root.read(path)) for path in ("/fifo", "/link", "/data")] == ["EINVAL"] * 3  # type: ignore[misc]  # a lambda's default has no type


def test_a_file_larger_than_the_limit_is_not_read(machine: Path, root: Root) -> None:
    (machine / "file").write_bytes(b"12345")
    with open(machine / "hole", "wb") as file:
        file.truncate(1 << 40)
    assert root.read("/file", 5) == b"12345"
    assert code(lambda: root.read("/file", 4)) == "EFBIG"
    tracemalloc.start()
    try:
        assert code(lambda: root.read("/hole")) == "EFBIG"
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_file_that_somebody_holds_a_lease_on_is_not_waited_for(machine: Path, root: Root) -> None:
    (machine / "file").write_text("text")
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)  # the kernel tells the holder so
    holder = os.open(machine / "file", os.O_RDWR)
    try:
        fcntl.fcntl(holder, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        began = time.monotonic()
        assert code(lambda: root.read("/file")) == "EAGAIN"
        assert time.monotonic() - began < 10  # /proc/sys/fs/lease-break-time is 45
    finally:
        os.close(holder)
        signal.signal(signal.SIGIO, before)
    assert root.read("/file") == b"text"


def test_a_file_that_does_not_tell_its_size_is_read_whole() -> None:
    with Root("/proc/self") as root:
        assert root.read("/mountinfo") != b""
        assert code(lambda: root.read("/mountinfo", 10)) == "EFBIG"


def test_magic_links_are_not_followed() -> None:
    with Root("/") as root:
        for path in (f"/proc/{os.getpid()}/root/etc", f"/proc/{os.getpid()}/cwd", f"/proc/{os.getpid()}/fd/0"):
            assert code(lambda path=path: root.status(path)) == "ELOOP"  # type: ignore[misc]  # a lambda's default has no type
            assert code(lambda path=path: root.resolve(path)) == "ELOOP"  # type: ignore[misc]  # as above
        assert root.link(f"/proc/{os.getpid()}/root") == "/"


def test_a_root_may_be_reached_through_a_magic_link() -> None:
    with Root(f"/proc/{os.getpid()}/root") as root:
        assert "proc" in root.names("/")


def test_renames_meanwhile_do_not_fail_a_path_with_dots(machine: Path, root: Root) -> None:
    stop = threading.Event()
    (machine / "one").mkdir()

    def rename() -> None:
        while not stop.is_set():
            os.rename(machine / "one", machine / "two")
            os.rename(machine / "two", machine / "one")

    thread = threading.Thread(target=rename)
    thread.start()
    try:
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            assert root.read("/data/docker/../../data/docker/image/../image/repositories.json") == b"{}"
    finally:
        stop.set()
        thread.join()


def test_a_directory_that_becomes_a_symlink_leads_nowhere_else(machine: Path, root: Root) -> None:
    (machine / "real").mkdir()
    (machine / "real" / "file").write_text("inside")
    (machine / "link").symlink_to("../")
    (machine.parent / "file").write_text("outside")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for old, new in (("real", "parked"), ("link", "real"), ("real", "link"), ("parked", "real")):
                os.rename(machine / old, machine / new)

    thread = threading.Thread(target=swap)
    thread.start()
    read = set()
    try:
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            try:
                read.add(root.read("/real/file"))
            except FileNotFoundError:
                read.add(b"")
    finally:
        stop.set()
        thread.join()
    assert read <= {b"inside", b""}
    assert b"inside" in read


def test_what_is_no_directory_is_no_root(machine: Path) -> None:
    (machine / "file").touch()
    for path in (str(machine / "file"), str(machine / "none"), "nul\0", ""):
        with pytest.raises(SourceError):
            Root(path)


def test_paths_are_named_for_people_as_the_host_has_them(machine: Path, root: Root) -> None:
    assert root.on_host("/var/lib") == f"{machine}/var/lib"
    assert root.on_host("var/lib") == f"{machine}/var/lib"
    with Root("/") as host:
        assert host.on_host("/var/lib") == "/var/lib"


def test_a_root_that_is_closed_says_so(machine: Path) -> None:
    gc.collect()  # what other tests left
    before = len(os.listdir("/proc/self/fd"))
    root = Root(str(machine))
    tree = root.tree("/data").root
    root.close()
    root.close()
    assert code(lambda: root.read("/x")) == "EBADF"
    assert set(tree.scan()) == {"docker"}
    del tree
    assert len(os.listdir("/proc/self/fd")) == before
