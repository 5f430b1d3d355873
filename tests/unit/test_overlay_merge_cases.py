"""Every rule of fs/overlayfs holds: the table of stacks (overlay_cases.py), merged here."""

from __future__ import annotations

import errno
import stat

import pytest

from netfs.overlay.merge.trail import TYPES, trail
from netfs.overlay.merge.view import Node, View
from tests.unit.overlay_cases import GROUPS, Case

CASES = [pytest.param(case, id=f"{group}: {case.name}") for group, cases in GROUPS.items() for case in cases]


def shown(view: View, node: Node) -> str:
    if node.error:
        return errno.errorcode[node.error]
    type = stat.S_IFMT(node.parts[0].status.st_mode)
    if type == stat.S_IFDIR:
        return "/"
    if type == stat.S_IFLNK:
        return f"-> {view.link(node)}"
    if type != stat.S_IFREG:
        return TYPES[type]
    try:
        return view.read(node, 0, 100).decode()
    except OSError as error:
        return errno.errorcode[error.errno or 0]


@pytest.mark.parametrize("case", CASES)
def test_the_merged_view_is_the_kernels(case: Case) -> None:
    view = View(case.stack)
    assert {path: shown(view, node) for path, node in view.walk() if path != "/"} == case.seen


@pytest.mark.parametrize("case", CASES)
def test_a_look_up_says_what_the_listing_says(case: Case) -> None:
    view = View(case.stack)
    for path, node in view.walk():
        if path == "/":
            continue
        parent = view.resolve(path.rpartition("/")[0] or "/").node
        assert parent
        assert view.lookup(parent, node.name) == node


@pytest.mark.parametrize("case", CASES)
def test_the_trail_of_a_path_ends_where_the_look_up_ends(case: Case) -> None:
    for path, node in View(case.stack).walk():
        held = trail(case.stack, path)
        provides = [each.layer for each in held if each.fate == "provides"]
        assert provides == ([] if node.error else [node.parts[0].layer])
        assert all(each.why for each in held if each.fate == "hidden")
