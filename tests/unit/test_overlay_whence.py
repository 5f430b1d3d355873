"""Where a path comes from: versions of it as people are told them."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from netfs.errors import UsageError
from netfs.model.containers import Container
from netfs.model.layer_answers import Which
from netfs.model.layers import Layer, MountOptions, Store
from netfs.overlay.calendar import calendar
from netfs.overlay.chains import Chain
from netfs.overlay.disk.root import Root
from netfs.overlay.merge.tree import Stack
from netfs.overlay.stack import Opened
from netfs.overlay.whence import whence
from tests.unit.trees import WHITEOUT, MemoryTree, broken, directory, file, symlink, tree

STORE = Store("docker", "/var/lib/docker")


@pytest.fixture
def root() -> Iterator[Root]:
    with Root("/") as found:
        yield found


def layer(name: str, *trees: str) -> Layer:
    return Layer(name, f"/store/{name}", trees or (f"/store/{name}/diff",), role="image")


def ask(
    root: Root,
    path: str,
    *trees: MemoryTree,
    mounts: dict[str, str] | None = None,
    options: MountOptions | None = None,
    data: tuple[MemoryTree, ...] = (),
    layers: tuple[Layer, ...] | None = None,
) -> Which:
    held = layers or tuple(layer(name) for name, _ in zip("abc", (*trees, *data), strict=False))
    chain = Chain("container", STORE, held, container=Container("1" * 64, "web", mounts=mounts or {}))
    stack = Stack(trees, data, options=options or MountOptions())
    return whence(chain, Opened(stack, held, ()), path, root, lambda each: (f"RUN {each.id}", (each.id.upper(),)))


def test_versions_say_everything_of_the_file(root: Root) -> None:
    upper = tree({"f": file("new", mode=0o4755, uid=1, gid=2, mtime_ns=86400 * 10**9)})
    answer = ask(root, "/f", upper, tree({"f": WHITEOUT}), tree({"f": "old"}))
    provider = answer.provider
    assert provider is not None
    assert (provider.id, provider.path, provider.fate, provider.type) == ("a", "/store/a/diff/f", "provides", "file")
    assert (provider.size, provider.mode, provider.uid, provider.gid) == (3, "-rwsr-xr-x", 1, 2)
    assert provider.modified_at == "1970-01-02T00:00:00Z"
    assert (provider.role, provider.created_by, provider.used_by) == ("image", "RUN a", ("A",))
    assert [(each.id, each.fate, each.by) for each in answer.shadowed] == [("b", "whiteout", "a"), ("c", "hidden", "b")]


def test_a_layer_of_several_trees_names_the_right_one(root: Root) -> None:
    both = layer("both", "/store/both/diff", "/store/both/diff1")
    answer = ask(root, "/f", tree({}), tree({"f": "x"}), layers=(both, both))
    assert answer.provider is not None
    assert answer.provider.path == "/store/both/diff1/f"


@pytest.mark.parametrize(
    ("path", "at", "by"),
    [
        ("/srv", "/srv", "/mnt/pages"),
        ("/srv/a", "/srv", "/mnt/pages"),
        ("/srv/deep/a", "/srv/deep", "tmpfs"),
        ("/www/a", "/srv", "/mnt/pages"),
        ("/srv2", "", ""),
        ("/", "", ""),
    ],
)
def test_the_nearest_mount_above_covers_it(root: Root, path: str, at: str, by: str) -> None:
    below = tree({"srv": {"a": "", "deep": {"a": ""}}, "srv2": {}, "www": symlink("srv")})
    answer = ask(root, path, below, mounts={"/srv": "/mnt/pages", "/srv/deep": "tmpfs", "/": "/elsewhere"})
    assert (answer.covered_at, answer.covered_by) == (at, by)


@pytest.mark.parametrize(("path", "by"), [("/proc/1", "proc"), ("/dev/shm/x", "tmpfs"), ("/sys", "sysfs")])
def test_every_container_has_these_mounted(root: Root, path: str, by: str) -> None:
    assert ask(root, path, tree({})).covered_by == by
    assert ask(root, path, tree({}), mounts={path: "/mine"}).covered_by == "/mine"


def test_symlinks_on_the_way_are_told_and_the_last_one_is_the_answer(root: Root) -> None:
    answer = ask(root, "/www/link", tree({"srv": {"link": symlink("a")}, "www": symlink("/srv")}))
    assert (answer.resolved, answer.via) == ("/srv/link", (("/www", "/srv"),))
    assert answer.provider is not None
    assert answer.provider.type == "symlink"


@pytest.mark.parametrize(
    ("path", "error"),
    [("/f/", "ENOTDIR"), ("/f/x", "ENOTDIR"), ("/loop/x", "ELOOP"), ("/nowhere", ""), ("/nowhere/x", ""), ("/f", "")],
)
def test_errors_are_the_kernels(root: Root, path: str, error: str) -> None:
    answer = ask(root, path, tree({"f": "x", "loop": symlink("loop")}))
    assert answer.error == error
    assert not answer.resolved.endswith("/.")


def test_what_cannot_be_looked_at_is_an_error(root: Root) -> None:
    assert ask(root, "/f", tree({"f": broken(errno.EIO)})).error == "EIO"


def test_what_can_be_looked_at_and_not_opened_is_an_error(root: Root) -> None:
    """A metacopy whose bytes no data-only layer has: lstat succeeds, open does not."""
    layer_of_it = tree({"f": file("", size=5, metacopy="", redirect="/gone")})
    options = MountOptions(metacopy=True, redirect_dir="on")
    answer = ask(root, "/f", tree({}), layer_of_it, data=(tree({}),), options=options)
    assert answer.provider is not None
    assert answer.error == "ENOENT"


def test_bytes_of_a_metacopy_are_told(root: Root) -> None:
    options = MountOptions(metacopy=True, redirect_dir="on")
    answer = ask(root, "/f", tree({"f": file("", size=3, metacopy="")}), tree({"f": "abc"}), options=options)
    assert answer.provider is not None
    assert answer.data is not None
    assert (answer.provider.id, answer.data.id) == ("a", "b")


def test_a_merged_directory_names_those_below(root: Root) -> None:
    answer = ask(root, "/d/", tree({"d": directory({})}), tree({"d": {"x": ""}}))
    assert [each.id for each in answer.merged] == ["b"]
    assert answer.shadowed == ()


@pytest.mark.parametrize("path", ["", "/etc\0"])
def test_what_is_no_path_is_wrong_usage(root: Root, path: str) -> None:
    with pytest.raises(UsageError):
        ask(root, path, tree({}))


def test_a_chain_without_any_layer_has_nothing(root: Root) -> None:
    answer = ask(root, "/etc/hosts", layers=())
    assert answer.provider is None


def test_times_that_no_calendar_has_are_left_out() -> None:
    assert calendar(0) == "1970-01-01T00:00:00Z"
    assert calendar(-(10**9)) == "1969-12-31T23:59:59Z"
    assert calendar(2**63 - 1) == "2262-04-11T23:47:16Z"
    assert calendar(2**90) == ""
