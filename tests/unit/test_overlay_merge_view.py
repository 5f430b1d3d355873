"""The merged view as a process sees it: paths, what lstat and listxattr say, bytes, walks, and layers that fail."""

from __future__ import annotations

import errno
import stat
from typing import Any

import pytest

from netfs.model.layers import MountOptions
from netfs.overlay.merge.tree import Stack
from netfs.overlay.merge.view import Node, View
from tests.unit.trees import WHITEOUT, Entries, MemoryTree, broken, directory, fifo, file, symlink, tree


def view(*layers: Entries, **options: Any) -> View:
    chosen = MountOptions(**options)
    return View(Stack([tree(each, userxattr=chosen.userxattr) for each in layers], options=chosen))


def at(view: View, path: str) -> Node:
    found = view.resolve(path, follow=False)
    assert found.node, found
    return found.node


LINKS: Entries = {
    "bin": symlink("usr/bin"),
    "usr": {"bin": {"sh": symlink("/usr/bin/dash"), "dash": "#!", "up": symlink("../../../../etc/passwd")}},
    "etc": {
        "passwd": "root",
        "loop": symlink("loop"),
        "empty": symlink(""),
        "gone": symlink("../none/x"),
        "d": symlink("/usr/"),
    },
}


@pytest.mark.parametrize(
    ("path", "leads_to", "error"),
    [
        ("/", "/", 0),
        ("/usr/bin", "/usr/bin", 0),
        ("usr//bin/./", "/usr/bin", 0),
        ("/bin/sh", "/usr/bin/dash", 0),
        ("/bin/up", "/etc/passwd", 0),
        ("/bin/../bin", "/usr/bin", 0),
        ("/../../etc/passwd", "/etc/passwd", 0),
        ("/etc/d/bin", "/usr/bin", 0),
        ("/etc/passwd/", "/etc/passwd/.", errno.ENOTDIR),
        ("/etc/passwd/..", "/etc/passwd/..", errno.ENOTDIR),
        ("/etc/loop", "/etc/loop", errno.ELOOP),
        ("/etc/empty", "/etc/empty", errno.ENOENT),
        ("/etc/gone/y", "/none/x/y", errno.ENOENT),
        ("/none", "/none", errno.ENOENT),
        ("/" + "n" * 256, "/" + "n" * 256, errno.ENAMETOOLONG),
    ],
)
def test_a_path_leads_where_a_chroot_would_lead(path: str, leads_to: str, error: int) -> None:
    found = view({}, LINKS).resolve(path)
    assert (found.path, found.error) == (leads_to, error)
    assert (found.node is None or bool(found.node.error)) == bool(error)


def test_the_links_that_were_followed_are_told() -> None:
    assert view(LINKS).resolve("/bin/sh").via == (("/bin", "usr/bin"), ("/usr/bin/sh", "/usr/bin/dash"))


def test_a_link_at_the_end_may_stay() -> None:
    found = view(LINKS).resolve("/bin/sh", follow=False)
    assert (found.path, found.via) == ("/usr/bin/sh", (("/bin", "usr/bin"),))


def test_forty_links_are_followed_and_no_more() -> None:
    chain: Entries = {f"l{i}": symlink(f"l{i + 1}") for i in range(41)} | {"l41": "end"}
    assert view(chain).resolve("/l1").path == "/l41"
    assert view(chain).resolve("/l0").error == errno.ELOOP


def test_a_link_of_one_layer_leads_through_all() -> None:
    merged = view({"link": symlink("/d/a"), "d": {"b": "0"}}, {"d": {"a": "1"}})
    assert merged.read(at(merged, "/d/a"), 0, 9) == b"1"
    assert merged.resolve("/link").path == "/d/a"


def test_the_uppermost_part_tells_owner_mode_and_time() -> None:
    merged = view(
        {"d": directory(mode=0o700, uid=5, gid=6, mtime_ns=7)}, {"d": directory({"a": ""}, mode=0o755, mtime_ns=9)}
    )
    status = merged.status(at(merged, "/d"))
    assert (status.mode, status.uid, status.gid, status.mtime_ns) == (stat.S_IFDIR | 0o700, 5, 6, 7)


def test_a_metacopy_has_its_own_size_and_the_blocks_of_its_bytes() -> None:
    merged = view({"a": file(size=9000, metacopy="", mode=0o600)}, {"a": "x" * 9000}, metacopy=True)
    node = at(merged, "/a")
    status = merged.status(node)
    assert (status.mode, status.size, status.blocks) == (stat.S_IFREG | 0o600, 9000, 24)
    assert [part.layer for part in node.parts] == [0, 1]
    assert node.data == node.parts[1]


def test_what_a_data_only_layer_has_is_guessed_from_the_size() -> None:
    layers: tuple[Entries, ...] = ({}, {"a": file(size=5000, metacopy="", redirect="/b")})
    found: tuple[tuple[Entries, int], ...] = (({"b": "x"}, 0), ({}, errno.ENOENT))
    for data, closed in found:
        merged = View(Stack([tree(each) for each in layers], [tree(data)]))
        assert merged.status(at(merged, "/a")).blocks == 16
        assert at(merged, "/a").closed == closed


def test_a_merged_directory_has_one_link_and_a_file_those_of_its_layer() -> None:
    shared = file("x")
    merged = view({"d": {}}, {"d": {}, "a": shared, "b": shared})
    assert merged.status(at(merged, "/d")).nlink == 1
    assert merged.status(at(merged, "/a")).nlink == 2


MARKED = {
    "trusted.overlay.origin": b"0",
    "trusted.overlay.overlay.opaque": b"1",
    "user.overlay.opaque": b"2",
    "user.overlay.overlay.redirect": b"3",
    "security.capability": b"4",
    "system.posix_acl_access": b"5",
}


def test_the_marks_of_the_mount_are_hidden_and_escaped_ones_lose_a_level() -> None:
    merged = view({"a": file(xattrs=MARKED)}, {})
    assert merged.xattrs(at(merged, "/a")) == {
        "trusted.overlay.opaque": b"1",
        "user.overlay.opaque": b"2",
        "user.overlay.overlay.redirect": b"3",
        "security.capability": b"4",
        "system.posix_acl_access": b"5",
    }


def test_with_userxattr_those_of_user_are() -> None:
    merged = view({"a": file(xattrs=MARKED)}, {}, userxattr=True)
    assert merged.xattrs(at(merged, "/a")) == {
        "trusted.overlay.origin": b"0",
        "trusted.overlay.overlay.opaque": b"1",
        "user.overlay.redirect": b"3",
        "security.capability": b"4",
        "system.posix_acl_access": b"5",
    }


def test_only_regular_files_have_bytes() -> None:
    merged = view({"d": {}, "p": fifo(), "a": "text"})
    assert merged.read(at(merged, "/a"), 1, 2) == b"ex"
    for path, number in (("/d", errno.EISDIR), ("/p", errno.EINVAL)):
        with pytest.raises(OSError, match=rf"\[Errno {number}\]"):
            merged.read(at(merged, path), 0, 1)


def test_a_walk_is_sorted_and_parents_come_first() -> None:
    merged = view({"b": {"x": "", "a": ""}}, {"b": {"k": ""}, "a": {"z": ""}, "b.": ""})
    assert [path for path, _ in merged.walk()] == ["/", "/a", "/a/z", "/b", "/b/a", "/b/k", "/b/x", "/b."]


def test_a_walk_may_begin_anywhere() -> None:
    merged = view({"b": {"x": ""}}, {})
    assert [path for path, _ in merged.walk(at(merged, "/b"))] == ["/", "/x"]


def test_a_deep_tree_is_walked() -> None:
    deep = directory()
    for _ in range(3000):
        deep = directory({"d": deep})
    assert sum(1 for _ in view({}, {"d": deep}).walk()) == 3002


def test_what_cannot_be_looked_at_is_told_and_the_rest_walked() -> None:
    merged = view({"a": broken(errno.EIO), "b": "", "d": directory(broken=errno.EACCES)}, {"d": {"x": ""}})
    assert {path: node.error for path, node in merged.walk()} == {
        "/": 0,
        "/a": errno.EIO,
        "/b": 0,
        "/d": errno.EACCES,
    }


def test_a_walk_of_a_root_that_cannot_be_listed_says_so() -> None:
    merged = View(Stack([tree(directory(broken=errno.EIO)), tree({"a": ""})]))
    assert [(path, node.error) for path, node in merged.walk()] == [("/", errno.EIO)]


def test_a_name_that_is_no_name_is_refused() -> None:
    merged = view({"a": ""})
    for name in ("", ".", "..", "a/b", "a\0", "\ud800"):
        found = merged.lookup(merged.root, name)
        assert found
        assert found.error == errno.EINVAL
    assert merged.resolve("/a\0/b").error == errno.EINVAL


def test_below_a_file_is_nothing() -> None:
    merged = view({"a": ""})
    for ask in (merged.list, lambda node: merged.lookup(node, "b")):
        with pytest.raises(NotADirectoryError):
            ask(at(merged, "/a"))


def test_what_the_kernel_refuses_raises_what_it_answers() -> None:
    merged = view({"d": directory(redirect="/e")}, {}, userxattr=True)
    found = merged.resolve("/d")
    assert found.error == errno.EPERM
    assert found.node
    for ask in (merged.list, merged.status, merged.xattrs, merged.link):
        with pytest.raises(PermissionError):
            ask(found.node)


def test_files_that_a_layer_above_has_are_not_looked_at_below() -> None:
    upper, lower = {f"n{i}": "0" for i in range(9)}, {f"n{i}": "1" for i in range(9)} | {"m": WHITEOUT}
    layers = [tree(upper), tree(lower)]
    View(Stack(layers)).list(View(Stack(layers)).root)
    assert "scan " not in layers[1].calls
    assert "status m" in layers[1].calls
    assert not [call for call in layers[1].calls if call.startswith(("status n", "mark n"))]


def test_a_stack_of_nothing_is_no_directory() -> None:
    nothing = View(Stack(()))
    assert nothing.root.error == errno.ENOENT
    assert nothing.resolve("/a").error == errno.ENOENT


class Unread(MemoryTree):
    """A layer whose xattrs may not be read."""

    def mark(self, name: str, mark: str) -> bytes | None:
        raise PermissionError(errno.EACCES, "Permission denied")


@pytest.mark.parametrize(("userxattr", "error"), [(True, 0), (False, errno.EACCES)])
def test_a_file_whose_xattrs_may_not_be_read_is_none_of_ours_with_userxattr(userxattr: bool, error: int) -> None:
    layer = Unread(directory({"a": "text"}), userxattr=userxattr)
    merged = View(Stack([layer, tree({})], options=MountOptions(userxattr=userxattr)))
    assert {path: node.error for path, node in merged.walk()} == {"/": 0, "/a": error}
    assert merged.resolve("/a").error == error


def test_a_long_redirect_costs_no_more_than_its_length() -> None:
    deep = directory({"end": "x"})
    for _ in range(5000):
        deep = directory({"d": deep})
    layers = tree({"n": directory(redirect="/d" * 5000)}), tree(deep)
    found = View(Stack(layers)).resolve("/n/end")
    assert found.node
    assert len(layers[1].calls) < 25_000
