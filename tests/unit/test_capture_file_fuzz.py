"""Captures that were damaged at random: all before the damage is there, most behind it, and never a traceback."""

from __future__ import annotations

import gzip
import struct
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from netfs.errors import CaptureError
from tests.capture_bytes import (
    MICRO,
    MODIFIED,
    NANO,
    block,
    enhanced,
    interface,
    obsolete,
    option,
    pcap_header,
    record,
    section,
    simple,
)
from tests.capture_reference import Packet, packets, read
from tests.captures import vxlan_capture

FORMATS = pytest.mark.parametrize("format", ["pcap", "pcapng"])
DATA = st.binary(max_size=200)
ORDER = st.sampled_from("<>")


@st.composite
def pcaps(draw: st.DrawFn) -> bytes:
    order, magic = draw(ORDER), draw(st.sampled_from([MICRO, NANO, MODIFIED]))
    more = bytes(8 if magic == MODIFIED else 0)
    # Of one day, no more captured than was there: others are believed only where nothing around contradicts them.
    times = st.tuples(st.integers(1_700_000_000, 1_700_080_000), st.integers(0, 999_999))
    made = [
        record(data, *time, order=order, more=more, length=max(len(data), length))
        for data, time, length in draw(st.lists(st.tuples(DATA, times, st.integers(1, 2**32 - 1))))
    ]
    return pcap_header(order, magic) + b"".join(made)


@st.composite
def pcapngs(draw: st.DrawFn) -> bytes:
    made = b""
    for _ in range(draw(st.integers(1, 3))):
        order = draw(ORDER)
        made += section(order)
        count = draw(st.integers(0, 3))
        for _ in range(count):
            resolution = draw(st.sampled_from([b"\0", b"\6", b"\x09", b"\x8a", b"\x9f"]))
            made += interface(order, 1, draw(st.integers(0, 300)), option(9, resolution, order))
        for data in draw(st.lists(DATA)) if count else ():
            number, ticks = draw(st.integers(0, count - 1)), draw(st.integers(0, 2**32))
            kind = draw(st.integers(0, 3))
            if kind == 0:
                made += enhanced(data, number, ticks, order=order, options=draw(st.sampled_from([b"", bytes(4)])))
            elif kind == 1:
                made += obsolete(data, number, ticks, order=order)
            elif kind == 2:
                made += simple(data, order=order)
            else:
                made += block(draw(st.integers(7, 2**32 - 1).filter(lambda kind: kind != 0x0A0D0D0A)), data, order)
    return made


@given(data=pcaps() | pcapngs(), chunk_bytes=st.sampled_from([1, 100, 1 << 20]))
@settings(max_examples=300)
def test_undamaged_files_are_read_as_the_plain_reader_does(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, chunk_bytes: int
) -> None:
    file = tmp_path_factory.mktemp("any") / "a"
    file.write_bytes(data)
    found, damage = read(file, chunk_bytes)
    assert damage == []
    assert found == packets(data)


@given(head=st.sampled_from([pcap_header(), pcap_header(">"), section() + interface(), section(">")]), rest=st.binary())
@settings(max_examples=200)
def test_any_bytes_behind_a_header(tmp_path_factory: pytest.TempPathFactory, head: bytes, rest: bytes) -> None:
    file = tmp_path_factory.mktemp("any") / "a"
    file.write_bytes(head + rest)
    read(file)


def mutated(data: bytes, random: Random) -> tuple[int, bytes, int]:
    """Where, the result, how many bytes are touched."""
    at, size = random.randrange(28, len(data)), random.choice((1, 1, 1, 2, 4, 16, 100, 1000))
    piece = data[at : at + size]
    way = random.randrange(7)
    if way == 0:
        return at, data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :], 1
    if way == 1:
        return at, data[:at] + random.randbytes(size) + data[at + size :], size
    if way == 2:
        return at, data[:at] + bytes(len(piece)) + data[at + size :], size
    if way == 3:
        return at, data[:at] + data[at + size :], size
    if way == 4:
        return at, data[:at] + random.randbytes(size) + data[at:], size
    if way == 5:
        return at, data[:at] + piece + data[at:], size
    return at, data[:at], len(data)


def ends(data: bytes) -> list[int]:
    """Offsets behind each packet's record or block."""
    found, at = [], 24
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        at = 0
        while at < len(data):
            kind, size = struct.unpack_from("<II", data, at)
            at += size
            found += [at] * (kind == 6)
        return found
    while at < len(data):
        at += 16 + struct.unpack_from("<I", data, at + 8)[0]
        found.append(at)
    return found


def small(tmp_path: Path, format: str) -> bytes:
    file = tmp_path / "small"
    vxlan_capture(file, packets=60, flows=8, size=400, format=format, interfaces=("a", "b"), snaplen=900)
    return file.read_bytes()


def times(found: list[Packet]) -> Counter[int]:
    return Counter(packet[1] for packet in found)


@FORMATS
def test_one_damage_loses_what_it_touches_and_one_more(tmp_path: Path, format: str) -> None:
    data, random = small(tmp_path, format), Random(format)
    every, behind = packets(data), ends(data)
    describes = 28 + 40 * 2 if format == "pcapng" else 0
    file = tmp_path / "damaged"
    for number in range(800):
        at, damaged, size = mutated(data, random)
        file.write_bytes(damaged)
        found, _ = read(file)
        before = sum(end <= at for end in behind)
        assert found[:before] == every[:before], (number, at)
        if at + size <= len(data) and at >= describes:
            touched = sum(at < end and begin < at + size for begin, end in zip([24, *behind], behind, strict=False))
            lost = (times(every) - times(found)).total()
            assert lost <= touched + 1, (number, at, size)


@FORMATS
def test_many_damages(tmp_path: Path, format: str) -> None:
    data, random = small(tmp_path, format), Random(format)
    file = tmp_path / "damaged"
    for _ in range(200):
        damaged = data
        for _ in range(random.randrange(2, 30)):
            if len(damaged) > 28:
                _, damaged, _ = mutated(damaged, random)
        file.write_bytes(damaged)
        read(file)


@FORMATS
def test_damaged_headers(tmp_path: Path, format: str) -> None:
    data, random = small(tmp_path, format), Random(format)
    file = tmp_path / "damaged"
    for _ in range(300):
        damaged = bytearray(data[: random.randrange(len(data))])
        for _ in range(random.randrange(4)):
            if damaged:
                damaged[random.randrange(min(len(damaged), 108))] = random.randrange(256)
        file.write_bytes(damaged)
        with suppress(CaptureError):
            read(file)


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_damaged_streams(tmp_path: Path, compress: object) -> None:
    data, random = small(tmp_path, "pcap"), Random(1)
    stored = compress(data)  # type: ignore[operator]  # one of the two above
    file = tmp_path / "damaged"
    for _ in range(300):
        _, damaged, _ = mutated(stored, random)
        file.write_bytes(damaged)
        with suppress(CaptureError):
            read(file)


@FORMATS
def test_the_size_of_chunks_makes_no_difference(tmp_path: Path, format: str) -> None:
    file, random = tmp_path / "a", Random(format)
    vxlan_capture(file, packets=8000, flows=20, format=format)
    data = bytearray(file.read_bytes())
    for _ in range(60):
        at = random.randrange(108, len(data))
        data[at : at + 16] = random.randbytes(16)
    file.write_bytes(data)
    once = read(file)
    assert len(once[0]) > 7900
    assert once[1]
    for chunk_bytes in (1, 100_000, 1 << 20):
        assert read(file, chunk_bytes) == once


@pytest.mark.soak
@FORMATS
@pytest.mark.parametrize("seed", range(6))
def test_many_more_damages(tmp_path: Path, format: str, seed: int) -> None:
    data, random = small(tmp_path, format), Random(seed)
    every, behind = packets(data), ends(data)
    file = tmp_path / "damaged"
    for _ in range(5000):
        at, damaged, _ = mutated(data, random)
        for _ in range(random.choice((0, 0, 1, 5))):
            place, damaged, _ = mutated(damaged, random) if len(damaged) > 28 else (0, damaged, 0)
            at = min(at, place)
        file.write_bytes(damaged)
        before = sum(end <= at for end in behind)
        assert read(file)[0][:before] == every[:before]
