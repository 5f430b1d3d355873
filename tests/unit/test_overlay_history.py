"""Lines of an image's history, and the layers that they made."""

from __future__ import annotations

from netfs.model.layers import HistoryLine
from netfs.overlay.stores import history

RUN = {"created_by": "RUN a", "created": "2026-01-01T00:00:00Z", "comment": "buildkit", "author": "me"}
EMPTY = {"created_by": "CMD", "empty_layer": True}


def test_lines_that_made_a_layer_take_the_layers_in_order() -> None:
    lines, reason = history.read({"history": [RUN, EMPTY, {}, EMPTY]}, ["base", "app"])
    assert [line.layer for line in lines] == ["base", None, "app", None]
    assert lines[0] == HistoryLine("RUN a", "2026-01-01T00:00:00Z", "buildkit", "me", "base")
    assert reason == ""


def test_a_layer_that_is_not_there_still_takes_its_line() -> None:
    lines, reason = history.read({"history": [RUN, RUN]}, [None, "app"])
    assert [line.layer for line in lines] == [None, "app"]
    assert reason == ""


def test_no_line_is_tied_where_the_numbers_do_not_fit() -> None:
    lines, reason = history.read({"history": [RUN, EMPTY, RUN]}, ["base", "packages", "app"])
    assert [line.layer for line in lines] == [None, None, None]
    assert reason == "2 lines of its history made a layer, and it has 3 layers"


def test_an_image_need_not_have_a_history() -> None:
    assert history.read({}, ["base"]) == ((), "")


def test_what_is_no_line_is_passed_over() -> None:
    document = {"history": [None, "RUN", ["x"], {"created_by": 3, "empty_layer": "true"}]}
    assert history.read(document, ["base"]) == ((HistoryLine(layer="base"),), "")


def test_a_line_is_bounded() -> None:
    (line,), _ = history.read({"history": [{"created_by": "x" * (1 << 20)}]}, ["base"])
    assert len(line.created_by) == history.LINE_LETTERS
