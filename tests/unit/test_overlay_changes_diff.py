"""What a layer changed, as ``docker diff`` tells it (netfs.overlay.changes.diff), case by case."""

from __future__ import annotations

import errno
import stat
from collections.abc import Mapping

import pytest

from netfs.model.layers import Change
from netfs.overlay.changes.diff import diff
from netfs.overlay.changes.lockstep import Unread
from netfs.overlay.merge.tree import Stack
from tests.unit.trees import WHITEOUT, Content, Item, device, directory, fifo, file, symlink, tree

SECOND = 1_000_000_000


def of(*layers: Mapping[str, Content]) -> list[str]:
    """``A /path`` for each change, as the command prints them."""
    return [f"{each.kind} {each.path}" for each in diff(Stack([tree(layer) for layer in layers]))]


def test_a_new_file_is_added_and_those_that_hold_it_changed() -> None:
    assert of({"etc": {"x": {"new": "1"}}}, {"etc": {"x": {"old": "1"}}}) == ["C /etc", "C /etc/x", "A /etc/x/new"]


def test_everything_in_a_new_directory_is_told() -> None:
    assert of({"d": {"b": {"c": "1"}, "a": "1"}}, {}) == ["A /d", "A /d/a", "A /d/b", "A /d/b/c"]


def test_of_a_deleted_directory_only_itself_is_told() -> None:
    assert of({"d": WHITEOUT}, {"d": {"a": {"b": "1"}}}) == ["D /d"]


def test_a_deletion_says_how_much_there_was() -> None:
    inode = file("12345")
    stack = Stack([tree({"d": WHITEOUT, "f": WHITEOUT}), tree({"d": {"a": inode, "b": {"c": inode}}, "f": "22"})])
    assert list(diff(stack)) == [Change("D", "/d", "directory", 5), Change("D", "/f", "file", 2)]


def test_a_copy_that_is_the_same_is_not_told() -> None:
    same = {"mode": 0o600, "uid": 5, "mtime_ns": 7 * SECOND}
    assert of({"etc": {"hosts": file("1", **same)}}, {"etc": {"hosts": file("2", **same)}}) == []


@pytest.mark.parametrize(
    "other",
    [
        file("1", mode=0o600),
        file("1", uid=1),
        file("1", gid=1),
        file("22"),
        file("1", mtime_ns=SECOND),
        file("1", xattrs={"security.capability": b"\1"}),
        symlink("1"),
        fifo(),
        directory(),
    ],
)
def test_what_is_different_is_changed(other: Item) -> None:
    assert of({"a": other}, {"a": file("1")}) == ["C /a"]


def test_an_xattr_that_is_no_capability_makes_no_difference() -> None:
    assert of({"a": file("1", xattrs={"user.x": b"1"})}, {"a": file("1")}) == []


def test_another_device_is_a_change() -> None:
    assert of({"a": device(1, 3)}, {"a": device(1, 5)}) == ["C /a"]


@pytest.mark.parametrize(("now", "then", "told"), [(5, 0, []), (0, 5, []), (5, 6, ["C /a"]), (SECOND, 0, ["C /a"])])
def test_a_time_without_nanoseconds_is_compared_by_seconds(now: int, then: int, told: list[str]) -> None:
    assert of({"a": file(mtime_ns=now)}, {"a": file(mtime_ns=then)}) == told


def test_time_and_size_of_a_directory_make_no_difference_but_its_mode_does() -> None:
    assert of({"d": directory(mtime_ns=5, size=9)}, {"d": directory()}) == []
    assert of({"d": directory(uid=9)}, {"d": directory()}) == ["C /d"]


def test_a_directory_made_anew_is_compared_with_the_old_one() -> None:
    upper = {"d": directory({"same": "1", "new": "1"}, opaque="y")}
    assert of(upper, {"d": {"same": "1", "old": {"x": "1"}}}) == ["C /d", "A /d/new", "D /d/old"]


def test_of_a_directory_that_became_a_file_only_itself_is_told() -> None:
    assert of({"d": "file"}, {"d": {"a": "1"}}) == ["C /d"]


def test_in_a_directory_that_was_a_file_everything_is_new() -> None:
    assert of({"d": {"a": {"b": "1"}}}, {"d": "file"}) == ["C /d", "A /d/a", "A /d/a/b"]


def test_a_renamed_directory_is_deleted_here_and_added_there() -> None:
    upper = {"old": WHITEOUT, "new": directory({"mine": "1"}, redirect="/old")}
    assert of(upper, {"old": {"a": "1"}}) == ["A /new", "A /new/a", "A /new/mine", "D /old"]


def test_a_whiteout_over_nothing_is_not_told() -> None:
    assert of({"gone": WHITEOUT, "d": {"gone": WHITEOUT}}, {"d": {}}) == []


def test_a_layer_over_nothing_is_all_new() -> None:
    assert of({"a": "1", "d": {}}) == ["A /a", "A /d"]


def test_layers_above_the_one_that_is_asked_for_do_not_count() -> None:
    layers = [tree({"a": WHITEOUT}), tree({"a": "22"}), tree({"a": "1"})]
    assert list(diff(Stack(layers), of=1)) == [Change("C", "/a", "file", 2)]


def test_directories_without_a_part_of_the_layer_are_not_read() -> None:
    lower = tree({"usr": {"lib": {"a": "1"}}, "etc": {"hosts": "1"}})
    assert [each.path for each in diff(Stack([tree({"etc": {"x": "1"}}), lower]))] == ["/etc", "/etc/x"]
    assert not [call for call in lower.calls if call.startswith(("scan", "names"))]


def test_types_are_told() -> None:
    upper = tree({"a": symlink("x"), "b": fifo(), "c": device(1, 3), "d": device(1, 3, stat.S_IFBLK)})
    assert [each.type for each in diff(Stack([upper]))] == ["symlink", "fifo", "char", "block"]


def test_a_directory_that_cannot_be_read_is_told_apart() -> None:
    unread: list[Unread] = []
    upper = tree({"bad": Item(stat.S_IFDIR, 0o755, broken=errno.EIO), "good": "1"})
    found = list(diff(Stack([upper, tree({"bad": {"a": "1"}})]), unread=unread))
    assert [each.path for each in found] == ["/good"]
    assert unread == [Unread(0, "bad", errno.EIO)]


def test_what_is_deeper_than_a_path_may_be_is_told_apart() -> None:
    unread: list[Unread] = []
    deep: Content = {"leaf": "1"}
    for _ in range(3000):
        deep = directory({"d": deep})
    found = list(diff(Stack([tree({"top": deep})]), unread=unread))
    assert len(found) < 3000
    assert [each.errno for each in unread] == [errno.ENAMETOOLONG]
