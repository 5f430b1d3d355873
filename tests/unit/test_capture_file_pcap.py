"""pcap in all its variants."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from netfs.capture.file.chunk import Interface
from netfs.capture.file.reader import open_capture
from tests.capture_bytes import MICRO, MODIFIED, NANO, pcap_header, record
from tests.capture_reference import read


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a.pcap"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "tick_ns", "more"), [(MICRO, 1000, 0), (NANO, 1, 0), (MODIFIED, 1000, 8)])
def test_both_byte_orders_and_all_magic_numbers(file: Path, order: str, magic: int, tick_ns: int, more: int) -> None:
    file.write_bytes(
        pcap_header(order, magic)
        + record(b"first", 1_700_000_000, 123456, order=order, more=bytes(more))
        + record(b"second", 1_700_000_001, 999_999, order=order, length=1500, more=bytes(more))
    )
    assert read(file) == (
        [
            (0, 1_700_000_000_000_000_000 + 123456 * tick_ns, b"first", 5),
            (0, 1_700_000_001_000_000_000 + 999_999 * tick_ns, b"second", 1500),
        ],
        [],
    )


@pytest.mark.parametrize(
    ("network", "linktype"),
    [(1, 1), (113, 113), (276, 276), (101, 101), (12, 101), (14, 101), (0x1400_0001, 1), (0xFC00_0071, 113)],
)
def test_link_type_without_the_bits_above_it(file: Path, network: int, linktype: int) -> None:
    file.write_bytes(pcap_header(network=network, snaplen=96))
    with open_capture(str(file)) as capture:
        assert capture.interfaces == [Interface("", linktype, 96)]
        assert capture.format == "pcap"
        assert list(capture.chunks()) == []
        assert capture.damage == []


def test_a_packet_of_no_bytes_and_one_of_the_longest(file: Path) -> None:
    longest = bytes(range(256)) * 1024
    file.write_bytes(pcap_header() + record(b"", length=60) + record(longest) + record(b"", length=0) + record(b"end"))
    packets, damage = read(file)
    assert [packet[2:] for packet in packets] == [(b"", 60), (longest, 262144), (b"", 0), (b"end", 3)]
    assert damage == []


def test_a_longer_packet_where_the_snap_length_allows_it(file: Path) -> None:
    huge = bytes(1_000_000)
    file.write_bytes(pcap_header(snaplen=1 << 20) + record(huge) + record(b"end"))
    assert [len(packet[2]) for packet in read(file)[0]] == [1_000_000, 3]


def test_times_far_apart_and_odd_ticks_are_no_damage(file: Path) -> None:
    records = [record(b"x" * 40, seconds, ticks) for seconds, ticks in [(0, 0), (2**32 - 1, 5), (5, 10**6), (5, 2**31)]]
    file.write_bytes(pcap_header() + b"".join(records))
    packets, damage = read(file)
    assert [packet[1] for packet in packets] == [
        0,
        (2**32 - 1) * 10**9 + 5000,
        5 * 10**9 + 10**9,
        5 * 10**9 + 2**31 * 1000,
    ]
    assert damage == []


@pytest.mark.parametrize("chunk_bytes", [1, 1000, 1 << 20])
def test_records_across_the_edges_of_chunks(file: Path, chunk_bytes: int) -> None:
    sizes = [(number * 7919) % 1400 for number in range(4000)]
    file.write_bytes(pcap_header() + b"".join(record(bytes([size % 251]) * size, 1000 + size) for size in sizes))
    packets, damage = read(file, chunk_bytes)
    assert [len(packet[2]) for packet in packets] == sizes
    assert damage == []


def test_columns_may_be_kept_and_data_until_the_next_chunk(file: Path) -> None:
    file.write_bytes(pcap_header() + b"".join(record(number.to_bytes(4, "big") * 300) for number in range(4000)))
    kept = []
    with open_capture(str(file), chunk_bytes=1 << 16) as capture:
        for chunk in capture.chunks():
            first = int(chunk.start[0])
            assert int.from_bytes(chunk.data[first : first + 4].tobytes()) == chunk.first
            kept.append((chunk.first, chunk.start, chunk.start.tolist()))
    assert len(kept) > 2
    assert all(start.tolist() == then for _, start, then in kept)


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(pcap_header() + record(b"piped")))
    monkeypatch.setattr("sys.stdin", stdin)
    with open_capture("-") as capture:
        (chunk,) = capture.chunks()
        assert chunk.length.tolist() == [5]
        assert (capture.position, capture.total) == (45, None)
    assert not stdin.closed


def test_how_far_it_was_read(file: Path) -> None:
    file.write_bytes(pcap_header() + record(bytes(1000)) * 5000)
    with open_capture(str(file), chunk_bytes=1 << 20) as capture:
        positions = [capture.position for _ in capture.chunks()]
        assert positions == sorted(positions)
        assert positions[0] < positions[-1] == capture.total == file.stat().st_size
