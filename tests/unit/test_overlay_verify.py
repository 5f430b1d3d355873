"""The comparison of a merged view with the kernel's tree, which is a tree of dictionaries here as well."""

from __future__ import annotations

import errno
from collections.abc import Mapping

import pytest

from netfs.model.layers import MountOptions
from netfs.overlay import verify
from netfs.overlay.merge.node import Node
from netfs.overlay.merge.tree import Stack
from netfs.overlay.merge.view import View
from netfs.overlay.verify import Comparison, compare, started
from tests.unit.trees import WHITEOUT, Content, broken, device, directory, fifo, file, symlink, tree

LOWER: Mapping[str, Content] = {
    "etc": {"hosts": "localhost", "issue": "hello", "link": symlink("hosts")},
    "old": {"file": "x"},
    "dev": {"null": device(1, 3), "pipe": fifo()},
}
UPPER: Mapping[str, Content] = {"etc": {"hosts": "localhost web", "issue": WHITEOUT}, "old": WHITEOUT}
MERGED: Mapping[str, Content] = {
    "etc": {"hosts": "localhost web", "link": symlink("hosts")},
    "dev": {"null": device(1, 3), "pipe": fifo()},
}
VIEW = View(Stack((tree(UPPER), tree(LOWER))))


def compared(kernel: Mapping[str, Content], view: View = VIEW, content: bool = False, most: int = 1000) -> Comparison:
    return compare(view, view.root, tree(kernel), content=content, progress=lambda _: None, most=most)


def told(found: Comparison) -> list[tuple[str, str, str, str]]:
    return [(each.path, each.what, each.ours, each.kernel) for each in found.differences]


def test_the_same_tree_has_no_difference() -> None:
    found = compared(MERGED, content=True)
    assert (found.entries, found.differences, found.more, found.skipped) == (6, [], 0, [])


@pytest.mark.parametrize(
    ("kernel", "difference"),
    [
        ({"etc": {"link": symlink("hosts")}}, ("/etc/hosts", "name", "there", "not there")),
        ({"new": "x"}, ("/new", "name", "not there", "there")),
        ({"etc": file("x")}, ("/etc", "type", "16384", "32768")),
        ({"etc": directory(MERGED["etc"], mode=0o700)}, ("/etc", "mode", "0o755", "0o700")),  # type: ignore[arg-type]  # it is a mapping
        ({"dev": {"null": device(1, 5), "pipe": fifo()}}, ("/dev/null", "device", "259", "261")),
        (
            {"etc": {"hosts": "localhost wee", "link": symlink("hosts")}},
            ("/etc/hosts", "content", "byte 12 is 0x62", "byte 12 is 0x65"),
        ),
        ({"etc": {"hosts": "localhost web", "link": symlink("issue")}}, ("/etc/link", "target", "hosts", "issue")),
        (
            {"etc": {"hosts": file("localhost web", uid=5, gid=6), "link": symlink("hosts")}},
            ("/etc/hosts", "owner", "0:0", "5:6"),
        ),
    ],
)
def test_every_kind_of_difference_is_told(kernel: Mapping[str, Content], difference: tuple[str, str, str, str]) -> None:
    assert difference in told(compared({**MERGED, **kernel}, content=True))


def test_an_end_of_a_file_differs_from_any_byte() -> None:
    kernel: dict[str, Content] = {**MERGED, "etc": {"hosts": "localhost", "link": symlink("hosts")}}
    assert told(compared(kernel)) == [("/etc/hosts", "size", "13", "9")]
    assert told(compared(kernel, content=True))[1] == ("/etc/hosts", "content", "byte 9 is 0x20", "its end")


def test_what_differs_later_in_a_long_file_is_found() -> None:
    ours, theirs = bytes(verify.BLOCK + 10), bytes(verify.BLOCK + 5) + b"\1" + bytes(4)
    found = compared({"long": theirs}, View(Stack((tree({"long": ours}),))), content=True)
    assert told(found) == [("/long", "content", f"byte {verify.BLOCK + 5} is 0x00", f"byte {verify.BLOCK + 5} is 0x01")]


def test_a_type_that_differs_is_not_read_as_the_other() -> None:
    view = View(Stack((tree({"a": "text", "b": symlink("x"), "c": {"d": ""}}),)))
    found = compared({"a": symlink("x"), "b": {"d": ""}, "c": "text"}, view, content=True)
    assert {each.what for each in found.differences} >= {"type"}
    assert found.skipped == []


def test_what_neither_can_look_at_is_no_difference() -> None:
    lower, upper = tree({"moved": file("x", redirect="/" + "n" * 300)}), tree({"moved": broken()})
    view = View(Stack((upper, lower)))
    refused = [name for name, node in view.list(view.root).items() if node.error]
    assert refused == ["moved"]
    assert told(compared({}, view)) == []
    assert told(compared({"moved": "x"}, view)) == [("/moved", "name", "EIO", "there")]


def test_what_cannot_be_read_is_skipped_and_said() -> None:
    view = View(Stack((tree({"here": directory({"a": ""}, broken=errno.EIO), "there": {"b": ""}}),)))
    found = compared({"here": {"a": ""}, "there": directory({"b": ""}, broken=errno.EACCES)}, view)
    assert sorted(found.skipped) == ["/here: Input/output error", "/there: Permission denied"]
    assert found.differences == []


def test_bytes_that_cannot_be_had_are_skipped() -> None:
    layer = tree({"f": file("", size=5, metacopy="", redirect="/gone")})
    view = View(Stack((layer,), (tree({}),), upper=False, options=MountOptions(metacopy=True)))
    node = view.list(view.root)["f"]
    assert node.closed
    found = compared({"f": file("", size=5)}, view, content=True)
    assert [line.partition(":")[0] for line in found.skipped] == ["/f"]


def test_it_ends_after_so_many_entries_and_says_so() -> None:
    wide = {f"d{number}": {f"f{each}": "" for each in range(10)} for number in range(10)}
    found = compared(wide, View(Stack((tree(wide),))), most=25)
    assert found.entries == 30
    assert found.skipped == ["/d7: 7 more directories: 25 entries were enough"]


def test_differences_and_skipped_paths_beyond_a_number_are_counted() -> None:
    many = verify.TOLD + 7
    found = compared({f"f{number}": "" for number in range(many)}, View(Stack((tree({}),))))
    assert (len(found.differences), found.more) == (verify.TOLD, 7)
    many = verify.SKIPPED + 7
    closed: dict[str, Content] = {f"f{number}": directory({}, broken=errno.EACCES) for number in range(many)}
    found = compared(closed, View(Stack((tree(closed),))), most=10 * many)
    assert (len(found.skipped), found.skipped[-1]) == (verify.SKIPPED + 1, "and 7 more")


def test_a_part_of_an_overlay_is_compared_with_that_part() -> None:
    start = started(VIEW, "/etc")
    found = compare(VIEW, start, tree(MERGED).enter("etc"), content=True, progress=lambda _: None)
    assert (found.entries, found.differences) == (2, [])
    with pytest.raises(OSError, match="No such file"):
        started(VIEW, "/old")


def test_where_something_else_is_mounted_nothing_is_compared() -> None:
    kernel: dict[str, Content] = {**MERGED, "etc": {"hosts": "the node's", "link": symlink("hosts")}, "dev": {"x": ""}}
    found = compare(
        VIEW, VIEW.root, tree(kernel), content=True, progress=lambda _: None, covered={"/etc/hosts", "/dev"}
    )
    assert found.differences == []
    assert sorted(found.skipped) == [f"{path}: something else is mounted there" for path in ("/dev", "/etc/hosts")]


def test_progress_tells_entries() -> None:
    seen: list[int] = []
    compare(VIEW, VIEW.root, tree(MERGED), content=False, progress=seen.append)
    assert seen == [2, 4, 6]


def test_a_node_that_is_no_directory_to_us_is_not_entered() -> None:
    view = View(Stack((tree({"a": ""}),)))
    assert isinstance(view.root, Node)
    assert ("/a", "type", "32768", "16384") in told(compared({"a": {"b": ""}}, view))
