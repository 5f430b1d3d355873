"""Small files of engines: what is in them is taken as it is meant, and what is not is empty."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netfs.model.gaps import Gap
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import documents

DOCUMENT = {
    "State": {"Pid": 7, "Running": True},
    "Names": ["a", 3, None, "b"],
    "Labels": {"x": "y", "z": 1},
    "Half": 1.0,
    "Odd": "a\ud800b",
}


def test_values_of_the_type_asked_for_are_given() -> None:
    assert documents.number(DOCUMENT, "State", "Pid") == 7
    assert documents.flag(DOCUMENT, "State", "Running")
    assert documents.texts(DOCUMENT, "Names") == ("a", "b")
    assert documents.labels(DOCUMENT, "Labels") == {"x": "y"}
    assert documents.text(DOCUMENT, "Odd") == "a\ufffdb"


@pytest.mark.parametrize("keys", [("State",), ("State", "Pid", "More"), ("Nothing",), ("Names", "0"), ("Half",)])
def test_values_of_another_type_are_empty(keys: tuple[str, ...]) -> None:
    assert documents.text(DOCUMENT, *keys) == ""
    assert documents.number(DOCUMENT, *keys) is None
    assert not documents.flag(DOCUMENT, *keys)
    assert documents.texts(DOCUMENT, *keys) == ()


def test_a_truth_value_is_no_number() -> None:
    assert documents.number(DOCUMENT, "State", "Running") is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is no JSON"),
        (b'{"a": ', "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"9" * 10_000, "is no JSON"),
        (b" " * 200_000, "is too large to be believed"),
    ],
)
def test_a_document_that_is_none_is_a_gap(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with Root(str(tmp_path)) as root:
        found = documents.load(root, "/file", 150_000)
    assert isinstance(found, Gap)
    assert (found.where, found.reason) == ("/file", reason)


def test_bytes_that_are_no_text_are_read_as_go_reads_them(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b'{"a": "\xff"}')
    with Root(str(tmp_path)) as root:
        assert documents.text(documents.load(root, "/file"), "a") == "\ufffd"


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with Root(str(tmp_path)) as root:
        found = documents.load(root, "/fifo")
    assert isinstance(found, Gap)
    assert found.reason == "is no regular file"


def test_a_file_that_is_not_there_is_told_from_one_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with Root(str(tmp_path)) as root:
        missing, below = documents.load(root, "/none"), documents.load(root, "/file/below")
    assert isinstance(missing, Gap)
    assert isinstance(below, Gap)
    assert documents.absent(missing)
    assert not documents.absent(below)


def test_a_line_is_without_its_end(tmp_path: Path) -> None:
    (tmp_path / "line").write_text("abc\n")
    (tmp_path / "other").write_bytes(b"\xff")
    with Root(str(tmp_path)) as root:
        assert documents.line(root, "/line") == "abc"
        assert isinstance(documents.line(root, "/other"), Gap)
