"""pcapng: sections, interfaces, clocks, and every block that holds packets."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfs.capture.file.chunk import Interface
from netfs.capture.file.pcapng_blocks import described
from netfs.capture.file.reader import open_capture
from tests.capture_bytes import block, enhanced, interface, obsolete, option, section, simple, statistics
from tests.capture_reference import packets, read

ORDERS = pytest.mark.parametrize("order", ["<", ">"])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a.pcapng"


def interfaces(file: Path) -> list[Interface]:
    with open_capture(str(file)) as capture:
        assert capture.format == "pcapng"
        for _ in capture.chunks():
            pass
        assert capture.damage == []
        return capture.interfaces


@ORDERS
def test_every_block_of_packets(file: Path, order: str) -> None:
    file.write_bytes(
        section(order)
        + interface(order, snaplen=6)
        + interface(order, linktype=101)
        + enhanced(b"abc", 1, 1_700_000_000_000_001, order=order, length=1500, options=option(1, b"a comment", order))
        + simple(b"abcdef", 9, order)
        + obsolete(b"obsolete", 1, 1_700_000_000_000_002, order=order, drops=3)
        + simple(b"", 0, order)
        + enhanced(b"", order=order)
    )
    assert read(file) == (
        [
            (1, 1_700_000_000_000_001_000, b"abc", 1500),
            (0, 0, b"abcdef", 9),
            (1, 1_700_000_000_000_002_000, b"obsolete", 8),
            (0, 0, b"", 0),
            (0, 0, b"", 0),
        ],
        [],
    )


def test_a_simple_packet_is_as_long_as_snap_length_and_block_allow(file: Path) -> None:
    file.write_bytes(section() + interface(snaplen=5) + simple(b"abcdefgh") + simple(b"abcd", 4000))
    assert [packet[2:] for packet in read(file)[0]] == [(b"abcde", 8), (b"abcd", 4000)]


def test_sections_of_both_byte_orders_count_their_own_interfaces(file: Path) -> None:
    file.write_bytes(
        section("<")
        + interface("<", options=option(2, b"a"))
        + interface("<", options=option(2, b"b"))
        + enhanced(b"1", 1)
        + section(">", option(1, b"second section", ">"))
        + interface(">", options=option(2, b"c", ">") + option(9, b"\x09", ">"))
        + enhanced(b"2", 0, 77, order=">")
        + simple(b"3", order=">")
        + section(">")
        + section("<")
        + interface("<", options=option(2, b"d"))
        + enhanced(b"4", 0, 5)
    )
    assert read(file) == ([(1, 0, b"1", 1), (2, 77, b"2", 1), (2, 0, b"3", 1), (3, 5000, b"4", 1)], [])
    assert [found.name for found in interfaces(file)] == ["a", "b", "c", "d"]
    with open_capture(str(file)) as capture:
        list(capture.chunks())
        assert capture.comments == ["second section"]


def test_what_an_interface_is_called(file: Path) -> None:
    file.write_bytes(
        section()
        + interface(options=option(3, b"described") + option(2, b"named") + option(1, "ü".encode()))
        + interface(linktype=113, snaplen=96, options=option(3, b"only described\0\0") + option(0, b""))
        + interface(options=option(0, b"") + option(2, b"behind the end"))
        + interface(options=option(2, b"\xff\xfe"))
        + interface(options=struct.pack("<HH", 2, 400) + b"cut")
    )
    assert interfaces(file) == [
        Interface("named", 1, 0, "ü"),
        Interface("only described", 113, 96),
        Interface("2", 1, 0),
        Interface("\\xff\\xfe", 1, 0),
        Interface("4", 1, 0),
    ]


def test_blocks_of_other_kinds_are_skipped(file: Path) -> None:
    others = [4, 5, 7, 8, 9, 10, 0xBAD, 0x40000BAD, 0x80000001, 0]
    file.write_bytes(
        section()
        + interface()
        + enhanced(b"1")
        + b"".join(block(kind, b"x" * (4 * number)) for number, kind in enumerate(others))
        + enhanced(b"2")
    )
    assert read(file) == ([(0, 0, b"1", 1), (0, 0, b"2", 1)], [])


def test_an_interface_that_comes_late(file: Path) -> None:
    file.write_bytes(
        section()
        + interface()
        + enhanced(b"1")
        + enhanced(b"too early", 1)
        + interface(options=option(9, b"\0"))
        + enhanced(b"2", 1, 3)
    )
    found, damage = read(file)
    assert found == [(0, 0, b"1", 1), (1, 3_000_000_000, b"2", 1)]
    assert damage == [(84, "interface 1 is not described: its packets are left out")]


def test_packets_before_any_interface(file: Path) -> None:
    file.write_bytes(section() + simple(b"1") + enhanced(b"2") * 5 + interface() + enhanced(b"3"))
    assert read(file) == (
        [(0, 0, b"3", 1)],
        [(28, "interface 0 is not described: its packets are left out")],
    )


def test_packets_that_were_dropped(file: Path) -> None:
    file.write_bytes(section() + interface() + interface())
    with open_capture(str(file)) as capture:
        list(capture.chunks())
        assert capture.dropped is None
    file.write_bytes(
        section()
        + interface()
        + interface()
        + b"".join(statistics(*told) for told in [(0, 5), (1, 2), (0, 9), (7, 1000)])
        + block(5, b"short")
        + section(">")
        + interface(">")
        + statistics(0, 100, ">")
    )
    with open_capture(str(file)) as capture:
        list(capture.chunks())
        assert capture.dropped == 9 + 2 + 100
        assert capture.damage == []


@given(
    resolution=st.integers(0, 255),
    offset=st.integers(-(2**63), 2**63 - 1) | st.integers(-(10**10), 10**10),
    ticks=st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 2**31), min_size=1),
)
def test_any_clock(resolution: int, offset: int, ticks: list[int]) -> None:
    body = struct.pack("<HHI", 1, 0, 0) + option(9, bytes([resolution])) + option(14, struct.pack("<q", offset))
    clock = described(body, "<", 0).clock
    high, low = (numpy.array([tick >> shift & 0xFFFFFFFF for tick in ticks], numpy.int64) for shift in (32, 0))
    tick = Fraction(1, 2 ** (resolution & 127) if resolution & 128 else 10**resolution)
    for count, found in zip(ticks, clock.nanoseconds(high, low).tolist(), strict=True):
        exact = (count * tick + offset) * 10**9 // 1
        if abs(offset) <= 10**10 and abs(exact) < 2**63 - 2 * 10**9:
            # What is finer than a quarter of a nanosecond is cut off twice.
            assert found in ({exact, exact - 1} if resolution > 128 + 33 else {exact})
        else:
            assert abs(found) < 2**63


@ORDERS
@pytest.mark.parametrize("resolution", [0, 3, 6, 9, 12, 0x80, 0x8A, 0x94, 0xA0])
def test_clocks_of_several_interfaces(file: Path, order: str, resolution: int) -> None:
    clock = option(9, bytes([resolution]), order) + option(14, struct.pack(order + "q", -3600), order)
    data = section(order) + interface(order) + interface(order, options=clock) + interface(order)
    data += b"".join(
        enhanced(b"x", number % 3, number * 0x1_2345_6789 % 9_000_000_000, order=order) for number in range(30)
    )
    file.write_bytes(data)
    assert read(file) == (packets(data), [])


@pytest.mark.parametrize("chunk_bytes", [1, 1000, 1 << 20])
def test_blocks_across_the_edges_of_chunks(file: Path, chunk_bytes: int) -> None:
    many = (enhanced(bytes([number % 251]) * (number * 7919 % 1400), number % 2, number) for number in range(2000))
    data = section() + interface() * 2 + b"".join(many) + section(">") + interface(">") + simple(b"end", order=">")
    file.write_bytes(data)
    assert read(file, chunk_bytes) == (packets(data), [])
