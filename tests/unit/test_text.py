"""Text from a snapshot is safe for a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfs.model.text import printable


@pytest.mark.parametrize("clean", ["", "eth0", "veth1a2b@if3", "Zürich", "節点", "a b", "back\\slash"])
def test_plain_names_stay_the_same_object(clean: str) -> None:
    assert printable(clean) is clean


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x07\x7f\x00", "\\x07\\x7f\\x00"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("a\u200bb\u00adc", "a\\u200bb\\xadc"),
        ("a\u2028b", "a\\u2028b"),
        ("\udc80\udcff", "\\x80\\xff"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_what_could_speak_to_a_terminal_is_escaped(hostile: str, shown: str) -> None:
    assert printable(hostile) == shown


@given(st.text())
def test_nothing_invisible_comes_through_and_twice_is_once(text: str) -> None:
    once = printable(text)
    assert once.isprintable()
    assert printable(once) == once
