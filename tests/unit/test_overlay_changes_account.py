"""What each layer adds, changes and hides (netfs.overlay.changes.account), case by case."""

from __future__ import annotations

import errno
import stat
from collections.abc import Mapping

from netfs.model.layers import Account, Extent, MountOptions
from netfs.overlay.changes.account import Unread, account
from netfs.overlay.merge.tree import Stack
from tests.unit.trees import WHITEOUT, Content, Item, directory, file, symlink, tree

BLOCK = 4096


def of(*layers: Mapping[str, Content]) -> tuple[Account, ...]:
    return account(Stack([tree(layer) for layer in layers]))


def some(files: int = 0, directories: int = 0, blocks: int = 0, size: int = 0) -> Extent:
    return Extent(files, directories, blocks * BLOCK, size)


def test_a_layer_over_nothing_only_adds() -> None:
    (found,) = of({"etc": {"hosts": "12345"}, "bin": symlink("usr/bin")})
    assert found == Account(0, own=some(2, 1, 1, 5), added=some(2, 1, 1, 5))


def test_a_file_over_a_file_changes_and_hides_it() -> None:
    upper, lower = of({"etc": {"hosts": "new"}}, {"etc": {"hosts": "older", "passwd": "root"}})
    assert upper.added == Extent()
    assert upper.changed == some(1, 1, 1, 3)
    assert upper.hides == {1: some(1, 0, 1, 5)}
    assert lower.hides == {}


def test_the_lowest_of_those_that_hide_a_thing_gets_it() -> None:
    top, middle, bottom = of({"a": "3"}, {"a": "22"}, {"a": "1"})
    assert top.hides == {1: some(1, 0, 1, 2)}
    assert middle.hides == {2: some(1, 0, 1, 1)}
    assert bottom.added == some(1, 0, 1, 1)


def test_a_whiteout_is_no_file_and_hides_a_whole_tree() -> None:
    upper, lower = of({"d": WHITEOUT}, {"d": {"a": "1", "sub": {"b": "22"}}})
    assert upper == Account(0, whiteouts=1, hides={1: some(2, 2, 2, 3)})
    assert lower.own == some(2, 2, 2, 3)


def test_a_whiteout_that_hides_nothing_is_idle() -> None:
    top, middle, _ = of({"a": WHITEOUT, "gone": WHITEOUT}, {"a": WHITEOUT}, {"a": "1"})
    assert (top.whiteouts, top.idle, top.hides) == (2, 2, {})
    assert (middle.whiteouts, middle.idle) == (1, 0)


def test_an_empty_file_with_the_mark_is_a_whiteout() -> None:
    upper, _ = of({"a": file(whiteout=""), "b": file("x", whiteout="")}, {"a": "1"})
    assert (upper.whiteouts, upper.idle) == (1, 0)
    assert upper.own == some(1, 0, 1, 1)
    assert upper.hides == {1: some(1, 0, 1, 1)}


def test_an_opaque_directory_hides_what_is_below_and_what_is_in_it_is_added() -> None:
    upper, lower = of({"d": directory({"a": "1"}, opaque="y")}, {"d": {"a": "22", "b": "333"}})
    assert upper.added == some(1, 0, 1, 1)
    assert upper.changed == some(0, 1)
    assert (upper.opaque, upper.idle) == (1, 0)
    assert upper.hides == {1: some(2, 1, 2, 5)}
    assert lower.hides == {}


def test_an_opaque_directory_over_nothing_is_idle() -> None:
    upper, _ = of({"d": directory(opaque="y"), "e": directory(opaque="y")}, {"d": "a file"})
    assert (upper.opaque, upper.idle) == (2, 1)
    assert upper.hides == {1: some(1, 0, 1, 6)}


def test_a_directory_over_a_file_over_a_directory_ends_the_merge() -> None:
    top, middle, _ = of({"d": {"a": "1"}}, {"d": "file"}, {"d": {"a": "22"}})
    assert top.hides == {1: some(1, 0, 1, 4)}
    assert middle.hides == {2: some(1, 1, 1, 2)}
    assert top.added == some(1, 0, 1, 1)


def test_what_a_lower_layer_hides_in_a_hidden_tree_is_not_hidden_twice() -> None:
    top, middle, _ = of({"d": WHITEOUT}, {"d": {"a": "22"}}, {"d": {"a": "1", "b": "333"}})
    assert top.hides == {1: some(1, 1, 1, 2), 2: some(1, 1, 1, 3)}
    assert middle.hides == {2: some(1, 0, 1, 1)}


def test_a_hard_link_is_one_file_by_each_name_and_its_bytes_are_there_once() -> None:
    inode = file("12345")
    (found,) = of({"a": inode, "d": {"b": inode}})
    assert found.own == some(2, 1, 1, 5)


def test_a_hard_link_is_not_hidden_while_another_name_is_seen() -> None:
    inode = file("12345")
    upper, _ = of({"a": WHITEOUT}, {"a": inode, "d": {"b": inode}})
    assert upper.hides == {1: some(1, 0, 0, 0)}


def test_a_hard_link_is_hidden_by_the_layer_that_hides_its_last_name() -> None:
    inode = file("12345")
    top, middle, _ = of({"d": WHITEOUT}, {"a": WHITEOUT}, {"a": inode, "d": {"b": inode}})
    assert middle.hides == {2: some(1, 0, 0, 0)}
    assert top.hides == {2: some(1, 1, 1, 5)}


def test_a_renamed_directory_is_moved_not_hidden() -> None:
    upper, lower = of(
        {"old": WHITEOUT, "new": directory({"a": "mine"}, redirect="/old")}, {"old": {"a": "1", "b": "22", "c": {}}}
    )
    assert upper.hides == {1: some(1, 0, 1, 1)}
    assert upper.changed == some(1, 0, 1, 4)
    assert lower.own == some(2, 2, 2, 3)


def test_a_redirect_that_is_not_followed_moves_nothing() -> None:
    layers = [
        tree({"old": WHITEOUT, "new": directory(redirect="/old")}),
        tree({"old": {"a": "1"}}),
    ]
    upper, _ = account(Stack(layers, options=MountOptions(redirect_dir="nofollow")))
    assert upper.hides == {1: some(1, 1, 1, 1)}


def test_a_metacopy_does_not_hide_what_it_reads() -> None:
    layers = [tree({"a": file(size=5, metacopy="")}), tree({"a": "12345"})]
    upper, _ = account(Stack(layers, options=MountOptions(metacopy=True)))
    assert upper.own == some(1, 0, 0, 5)
    assert upper.hides == {}
    upper, _ = account(Stack(layers))
    assert upper.hides == {1: some(1, 0, 1, 5)}


def test_a_renamed_metacopy_reads_what_a_whiteout_covers() -> None:
    layers = [tree({"a": WHITEOUT, "b": file(size=5, metacopy="", redirect="/a")}), tree({"a": "12345"})]
    upper, _ = account(Stack(layers, options=MountOptions(metacopy=True, redirect_dir="on")))
    assert upper.hides == {}


def test_a_data_only_layer_hides_what_nobody_reads() -> None:
    layers = [tree({}), tree({"a": file(size=5, metacopy="", redirect="/x/1")})]
    data = tree({"x": {"1": "12345", "2": "333"}})
    _, _, found = account(Stack(layers, [data], options=MountOptions(metacopy=True)))
    assert found.own == some(2, 1, 2, 8)
    assert found.hides == {2: some(1, 1, 1, 3)}


def test_only_directories_of_fresh_layers_are_visited() -> None:
    lower = tree({"etc": {"hosts": "1"}, "usr": {"lib": {"a": "1"}}})
    upper = tree({"etc": {"hosts": "22"}})
    (found,) = account(Stack([upper, lower]), fresh=[0])
    assert found.hides == {1: some(1, 0, 1, 1)}
    assert "scan usr" not in lower.calls
    assert "scan etc" in lower.calls


def test_a_hidden_tree_of_an_old_layer_is_counted_for_a_fresh_one() -> None:
    lower = tree({"usr": {"lib": {"a": "1"}}, "opt": {}})
    (found,) = account(Stack([tree({"usr": WHITEOUT}), lower]), fresh=[0])
    assert found.hides == {1: some(1, 2, 1, 1)}
    assert "scan opt" not in lower.calls


def test_every_directory_is_read_once() -> None:
    layers = [tree({"d": directory({"a": "1"}, opaque="y"), "e": {"a": "1"}}), tree({"d": {"a": {}}, "e": {}})]
    account(Stack(layers))
    for layer in layers:
        scans = [call for call in layer.calls if call.startswith("scan")]
        assert len(scans) == len(set(scans)), scans


def test_what_cannot_be_read_is_told_and_the_rest_is_counted() -> None:
    unread: list[Unread] = []
    broken = Item(stat.S_IFDIR, broken=errno.EACCES)
    (found,) = account(Stack([tree({"bad": broken, "good": {"a": "1"}})]), unread=unread)
    assert unread == [Unread(0, "bad", errno.EACCES)]
    assert found.own == some(1, 2, 1, 1)


def test_one_entry_that_cannot_be_looked_at_does_not_cost_the_others() -> None:
    unread: list[Unread] = []
    bad = Item(stat.S_IFREG, broken=errno.EIO)
    (found,) = account(Stack([tree({"d": {"bad": bad, "good": "1"}})]), unread=unread)
    assert unread == [Unread(0, "d/bad", errno.EIO)]
    assert found.own == some(1, 1, 1, 1)


def test_a_deep_tree_takes_no_recursion() -> None:
    deep: Content = {"leaf": "1"}
    for _ in range(3000):
        deep = directory({"d": deep})
    assert isinstance(deep, Item)
    (found,) = account(Stack([tree(deep)]))
    assert found.own == some(1, 3000, 1, 1)


def test_progress_is_told_in_strides_and_at_the_end() -> None:
    told: list[int] = []
    account(Stack([tree({"d": {str(number): "" for number in range(5000)}})]), progress=told.append)
    assert told == [5001, 5001]
