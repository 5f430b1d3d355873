"""What every layer has at a path: who provides it, who is hidden, by whom and why."""

from __future__ import annotations

from typing import Any

from netfs.model.layers import MountOptions
from netfs.overlay.merge.trail import trail
from netfs.overlay.merge.tree import Stack
from tests.unit.trees import WHITEOUT, Entries, directory, file, symlink, tree


def told(path: str, *layers: Entries, data: Entries | None = None, **options: Any) -> list[str]:
    """One line for each layer: ``LAYER PATH TYPE: FATE [by LAYER, WHY] [MARKS]``."""
    lower_data = [] if data is None else [tree(data)]
    chosen = MountOptions(**options)
    lines = []
    for held in trail(Stack([tree(each) for each in layers], lower_data, options=chosen), path):
        line = f"{held.layer} {held.path} {held.type}: {held.fate}"
        line += f" by {held.by}, {held.why}" if held.by is not None else f", {held.why}" if held.why else ""
        lines.append(line + "".join(f" [{mark}]" for mark in held.marks))
    return lines


def test_the_nearest_file_above_hides() -> None:
    assert told("/etc/hosts", {"etc": {"hosts": "0"}}, {}, {"etc": {"hosts": "2"}}, {"etc": {"hosts": "3"}}) == [
        "0 etc/hosts file: provides",
        "2 etc/hosts file: hidden by 0, a newer file",
        "3 etc/hosts file: hidden by 2, a newer file",
    ]


def test_a_whiteout_hides_and_the_view_has_nothing() -> None:
    assert told("/a", {"a": WHITEOUT}, {"a": "1"}, {"a": "2"}) == [
        "0 a whiteout: whiteout",
        "1 a file: hidden by 0, a whiteout",
        "2 a file: hidden by 1, a newer file",
    ]


def test_a_whiteout_that_nothing_sees_is_one() -> None:
    assert told("/a", {"a": "0"}, {"a": WHITEOUT}, {"a": "2"}) == [
        "0 a file: provides",
        "1 a whiteout: whiteout by 0, a newer file",
        "2 a file: hidden by 1, a whiteout",
    ]


def test_directories_merge_until_one_is_opaque() -> None:
    assert told("/d", {"d": {}}, {"d": directory(opaque="y")}, {"d": {}}, {"d": {}}) == [
        "0 d directory: provides",
        "1 d directory: merged [opaque]",
        "2 d directory: hidden by 1, an opaque directory",
        "3 d directory: hidden by 1, an opaque directory",
    ]


def test_a_directory_above_hides_what_is_in_those_below() -> None:
    layers: tuple[Entries, ...] = (
        {"d": directory(opaque="y")},
        {"d": {"a": "1"}},
        {"d": WHITEOUT},
        {"d": {"a": "3"}},
        {"d": "4"},
        {"d": {"a": "5"}},
    )
    assert told("/d/a", *layers) == [
        "1 d/a file: hidden by 0, an opaque directory at /d",
        "3 d/a file: hidden by 2, a whiteout at /d",
        "5 d/a file: hidden by 4, no directory at /d",
    ]


def test_the_nearer_of_two_reasons_is_told() -> None:
    layers: tuple[Entries, ...] = (
        {"d": directory(opaque="y")},
        {"d": {"e": {}}},
        {"d": {"e": {"a": "2"}}},
        {"d": {"e": WHITEOUT}},
        {"d": {"e": {"a": "4"}}},
    )
    assert told("/d/e/a", *layers) == [
        "2 d/e/a file: hidden by 0, an opaque directory at /d",
        "4 d/e/a file: hidden by 3, a whiteout at /d/e",
    ]


def test_a_directory_hides_a_file_and_a_file_a_directory() -> None:
    assert told("/a", {"a": {}}, {"a": "1"}, {"a": {}}, {"a": symlink("b")}) == [
        "0 a directory: provides",
        "1 a file: hidden by 0, a newer directory",
        "2 a directory: hidden by 1, a newer file",
        "3 a symlink: hidden by 2, a newer directory",
    ]


def test_a_redirect_leads_elsewhere_in_the_layers_below() -> None:
    layers: tuple[Entries, ...] = (
        {"n": directory({"a": "0"}, redirect="/x/o")},
        {"x": {"o": {"a": "1"}}, "n": {"a": "never"}},
        {"x": {"o": {"a": "2"}}},
    )
    assert told("/n/a", *layers) == [
        "0 n/a file: provides",
        "1 x/o/a file: hidden by 0, a newer file",
        "2 x/o/a file: hidden by 1, a newer file",
    ]
    assert told("/n", *layers) == [
        "0 n directory: provides [redirect /x/o]",
        "1 x/o directory: merged",
        "2 x/o directory: merged",
    ]


def test_a_redirect_beyond_an_opaque_directory_is_followed() -> None:
    layers: tuple[Entries, ...] = (
        {"d": directory({"n": directory(redirect="/o")}, opaque="y")},
        {"o": {"a": "1"}},
        {"o": {"a": "2"}},
    )
    assert told("/d/n/a", *layers) == ["1 o/a file: provides", "2 o/a file: hidden by 1, a newer file"]


def test_what_stands_in_the_way_of_a_redirect_is_told() -> None:
    for obstacle, why in (
        (WHITEOUT, "a whiteout"),
        ("1", "no directory"),
        (directory(opaque="y"), "an opaque directory"),
    ):
        layers: tuple[Entries, ...] = ({"n": directory(redirect="/x/o")}, {"x": obstacle}, {"x": {"o": {"a": "2"}}})
        assert told("/n", *layers)[1:] == [f"2 x/o directory: hidden by 1, {why} at /x"]
        assert told("/n/a", *layers) == [f"2 x/o/a file: hidden by 1, {why} at /x"]


def test_a_metacopy_has_its_bytes_below() -> None:
    layers: tuple[Entries, ...] = (
        {"a": file(metacopy="")},
        {"a": file(metacopy="", redirect="b")},
        {"b": "2"},
        {"b": "3"},
    )
    assert told("/a", *layers, metacopy=True) == [
        "0 a file: provides [metacopy]",
        "1 a file: hidden by 0, a newer file [metacopy] [redirect b]",
        "2 b file: data",
        "3 b file: hidden by 2, a newer file",
    ]


def test_or_in_a_data_only_layer() -> None:
    assert told("/a", {}, {"a": file(metacopy="", redirect="/o/1")}, data={"o": {"1": "x"}}) == [
        "1 a file: provides [metacopy] [redirect /o/1]",
        "2 o/1 file: data",
    ]


def test_or_in_none() -> None:
    assert told("/a", {}, {"a": file(metacopy="", redirect="/o/1")}, data={}) == [
        "1 a file: provides, no layer has its bytes [metacopy] [redirect /o/1]",
    ]


def test_what_the_kernel_refuses_is_hidden_and_its_answer_told() -> None:
    assert told("/a", {"a": file(metacopy="")}, {"a": "1"}) == [
        "0 a file: hidden, Operation not permitted [metacopy]",
        "1 a file: hidden by 0, a newer file",
    ]


def test_below_what_is_refused_too() -> None:
    layers: tuple[Entries, ...] = ({"d": directory({"a": ""}, redirect="/e")}, {"e": {"a": ""}})
    assert told("/d/a", *layers, redirect_dir="nofollow") == [
        "0 d/a file: hidden, Operation not permitted",
        "1 e/a file: hidden by 0, a newer file",
    ]
