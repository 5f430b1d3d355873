"""Damaged captures give all that can be read, and say from where to where nothing could."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from netfs.capture.file.window import MOST_DAMAGES
from tests.capture_bytes import block, enhanced, interface, option, pcap_header, record, section
from tests.capture_reference import packets, read

ORDERS = pytest.mark.parametrize("order", ["<", ">"])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "capture"


def told(file: Path, data: bytes) -> tuple[list[int], list[tuple[int, str]]]:
    """Lengths of the packets found: each test's packets have lengths of their own."""
    file.write_bytes(data)
    found, damage = read(file)
    return [len(packet[2]) for packet in found], damage


def pcap_records(order: str, count: int = 8) -> list[bytes]:
    return [record(bytes(range(100 + number)), 1_700_000_000 + number, 7, order=order) for number in range(count)]


@ORDERS
@pytest.mark.parametrize("cut", [1, 15, 16, 17, 100])
def test_a_pcap_that_is_cut_off(file: Path, order: str, cut: int) -> None:
    records = pcap_records(order)
    data = pcap_header(order) + b"".join(records)
    lengths, damage = told(file, data + record(bytes(100), 1_700_000_009, order=order)[:cut])
    assert lengths == list(range(100, 108))
    what = f"{cut} bytes of a record's header" if cut < 16 else f"{cut - 16} of a packet's 100 bytes are there"
    assert damage == [(len(data), f"the file is cut off: {what}")]


@ORDERS
def test_a_record_that_tells_an_absurd_length(file: Path, order: str) -> None:
    records = pcap_records(order)
    records[3] = records[3][:8] + struct.pack(order + "I", 0x7FFFFFFF) + records[3][12:]
    begin = 24 + sum(map(len, records[:3]))
    lengths, damage = told(file, pcap_header(order) + b"".join(records))
    assert lengths == [100, 101, 102, 104, 105, 106, 107]
    assert damage == [
        (begin, f"a record is damaged: it tells of 2147483647 bytes; passed over up to {begin + len(records[3])}")
    ]


@ORDERS
@pytest.mark.parametrize("wrong", [50, 150, 1000, 60000])
def test_a_record_that_tells_a_wrong_length(file: Path, order: str, wrong: int) -> None:
    records = pcap_records(order)
    records[3] = records[3][:8] + struct.pack(order + "I", wrong) + records[3][12:]
    lengths, damage = told(file, pcap_header(order) + b"".join(records))
    begin = 24 + sum(map(len, records[:3]))
    if wrong < 103:  # the next record is looked for behind what it tells
        assert lengths == [100, 101, 102, wrong, 104, 105, 106, 107]
        assert damage[0][0] == begin + 16 + wrong
    else:
        assert lengths == [100, 101, 102, 104, 105, 106, 107]
        assert damage[0][0] == begin
    assert [what.rpartition(" ")[2] for _, what in damage] == [str(begin + len(records[3]))]


def test_a_hole_of_zeros_over_many_records_and_chunks(file: Path) -> None:
    data = bytearray(pcap_header() + b"".join(record(b"x" * 1000, 5000 + number) for number in range(20_000)))
    begin, end = 24 + 1016 * 5000 + 10, 24 + 1016 * 15_000 - 5
    data[begin:end] = bytes(end - begin)
    file.write_bytes(data)
    every = packets(pcap_header() + b"".join(record(b"x" * 1000, 5000 + number) for number in range(20_000)))
    found, damage = read(file, 1 << 20)
    assert found[:5000] == every[:5000]
    assert found[-5000:] == every[-5000:]
    assert len(found) <= 10_001  # the header that is half zeros may still be one
    assert damage == [(begin - 10 + 1016, f"zeros, and no record; passed over up to {24 + 1016 * 15_000}")]


def test_zeros_at_the_end(file: Path) -> None:
    data = pcap_header() + b"".join(pcap_records("<"))
    lengths, damage = told(file, data + bytes(1 << 20))
    assert lengths == list(range(100, 108))
    assert damage == [(len(data), f"zeros, and no record; passed over up to {len(data) + (1 << 20)}")]


def test_bytes_put_between_two_records(file: Path) -> None:
    records = pcap_records("<")
    begin = 24 + sum(map(len, records[:4]))
    lengths, damage = told(file, pcap_header() + b"".join(records[:4]) + b"intruder" * 9 + b"".join(records[4:]))
    assert lengths == list(range(100, 108))
    assert [(offset, what.rpartition(" ")[2]) for offset, what in damage] == [(begin, str(begin + 72))]


def test_two_pcaps_one_behind_the_other(file: Path) -> None:
    one = pcap_header() + b"".join(pcap_records("<"))
    lengths, damage = told(file, one + one)
    assert lengths == [*range(100, 108), *range(100, 108)]
    assert [offset for offset, _ in damage] == [len(one)]


def test_nothing_but_noise_behind_a_header(file: Path) -> None:
    for noise in (bytes(100_000), b"\xff" * 100_000, bytes(range(256)) * 400, b"\1\0\0\0" * 25_000):
        for header in (pcap_header(), section() + interface()):
            file.write_bytes(header + noise)
            for number, _, data, length in read(file)[0]:
                assert (number, len(data) <= 262144, length < 1 << 32) == (0, True, True)


def test_a_capture_within_a_packet_is_not_mistaken_for_records(file: Path) -> None:
    inner = pcap_header() + b"".join(pcap_records("<"))
    records = pcap_records("<")
    records[4] = record(inner, 1_700_000_004)
    data = pcap_header() + b"".join(records)
    assert told(file, data) == ([100, 101, 102, 103, len(inner), 105, 106, 107], [])
    cut = data[: 24 + sum(map(len, records[:4])) + 16 + len(inner) - 10]
    assert told(file, cut)[0] == [100, 101, 102, 103]


@pytest.mark.parametrize("size", [100, 700, 1000])
def test_bytes_that_are_missing_over_several_records(file: Path, size: int) -> None:
    records = [record(bytes([number]) * 300, 1_700_000_000 + number) for number in range(20)]
    data = pcap_header() + b"".join(records)
    for at in range(24 + 316 * 3 + 20, 24 + 316 * 4 + 20, 5):
        file.write_bytes(data[:at] + data[at + size :])
        found, damage = read(file)
        touched = (at + size - 24) // 316 - (at - 24) // 316 + 1
        assert len(found) >= 20 - touched
        assert [packet[1] for packet in found[:3]] == [(1_700_000_000 + number) * 10**9 + 7000 for number in range(3)]
        assert len(damage) == 1


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_bytes_that_are_missing_in_a_header_do_not_cost_the_packet_before_it(file: Path, missing: int) -> None:
    records = [record(b"\x2c" * 300, 0x2C2C2C2C + number) for number in range(8)]
    at = 24 + 316 * 4
    data = pcap_header() + b"".join(records)
    file.write_bytes(data[:at] + data[at + missing :])
    found, damage = read(file)
    assert found[:4] == packets(data)[:4]
    assert len(found) == 7
    assert [offset for offset, _ in damage] == [at]


def blocks(order: str) -> list[bytes]:
    first = [section(order), interface(order, options=option(2, b"eth0", order) + option(9, b"\x09", order))]
    return first + [
        enhanced(bytes(range(100 + number)), 0, 1_700_000_000_000_000_000 + number, order=order) for number in range(8)
    ]


@ORDERS
@pytest.mark.parametrize("cut", [1, 8, 11, 12, 60, 131])
def test_a_pcapng_that_is_cut_off(file: Path, order: str, cut: int) -> None:
    data = b"".join(blocks(order))
    lengths, damage = told(file, data + enhanced(bytes(100), order=order)[:cut])
    assert lengths == list(range(100, 108))
    what = f"{cut} bytes of a block's header" if cut < 12 else f"{cut} of a block's 132 bytes are there"
    assert damage == [(len(data), f"the file is cut off: {what}")]


@ORDERS
@pytest.mark.parametrize("wrong", [0, 11, 13, 64, 133, 140, 264, 1 << 20, 0xFFFFFFFF])
@pytest.mark.parametrize("which", ["length before", "length behind"])
def test_a_block_one_of_whose_lengths_is_wrong_is_read_all_the_same(
    file: Path, order: str, wrong: int, which: str
) -> None:
    parts = blocks(order)
    begin, size = sum(map(len, parts[:5])), len(parts[5])
    at = 4 if which == "length before" else size - 4
    parts[5] = parts[5][:at] + struct.pack(order + "I", wrong) + parts[5][at + 4 :]
    lengths, damage = told(file, b"".join(parts))
    assert lengths == list(range(100, 108))
    both = (wrong, size) if which == "length before" else (size, wrong)
    assert damage == [(begin, f"a block tells two lengths, {both[0]} and {both[1]}: it has {size} bytes")]


@ORDERS
def test_a_damaged_last_block(file: Path, order: str) -> None:
    parts = blocks(order)
    parts[-1] = parts[-1][:-4] + b"\xff\xff\xff\xff"
    assert told(file, b"".join(parts))[0] == list(range(100, 108))


@ORDERS
def test_a_block_both_of_whose_lengths_are_wrong(file: Path, order: str) -> None:
    parts = blocks(order)
    begin, size = sum(map(len, parts[:5])), len(parts[5])
    parts[5] = parts[5][:4] + b"\xff\xff\xff\xff" + parts[5][8:-4] + b"\xee\xee\xee\xee"
    lengths, damage = told(file, b"".join(parts))
    assert lengths == [100, 101, 102, 104, 105, 106, 107]
    assert damage == [
        (begin, f"a block is damaged: it tells of 4294967295 bytes; passed over up to {begin + size}"),
    ]


@ORDERS
def test_a_packet_longer_than_its_block(file: Path, order: str) -> None:
    parts = blocks(order)
    begin = sum(map(len, parts[:5]))
    parts[5] = parts[5][:20] + struct.pack(order + "I", 105) + parts[5][24:]
    lengths, damage = told(file, b"".join(parts))
    assert lengths == [100, 101, 102, 104, 105, 106, 107]
    assert damage == [(begin, "a packet tells of 105 bytes, and its block has room for 104")]


def test_blocks_too_short_for_what_they_are(file: Path) -> None:
    parts = [section(), interface(), block(6, bytes(16)), block(2, b""), block(3, b""), enhanced(b"end")]
    lengths, damage = told(file, b"".join(parts))
    assert lengths == [3]
    assert damage == [(at, "a packet's block is too short") for at in (48, 76, 88)]
    lengths, damage = told(file, section() + block(1, b"\1\0\0\0") + enhanced(b"end"))
    assert lengths == [3]
    assert damage == [(28, "an interface's description is too short")]


def test_an_interface_keeps_its_number_though_its_description_is_damaged(file: Path) -> None:
    names = [interface(options=option(2, name)) for name in (b"eth0", b"eth1", b"eth2")]
    names[1] = names[1][:4] + b"\xff\xff\xff\x7f" + names[1][8:-4] + b"\xff\xff\xff\xff"
    file.write_bytes(section() + b"".join(names) + enhanced(b"1", 1) + enhanced(b"22", 2))
    found, damage = read(file)
    assert [packet[0] for packet in found] == [1, 2]
    assert damage == [(56, "an interface's description is damaged: its name and its times may be wrong")]


def test_bytes_between_two_blocks_and_a_section_behind_a_damage(file: Path) -> None:
    parts = blocks("<")
    behind = section(">") + interface(">") + enhanced(b"x" * 50, order=">")
    lengths, damage = told(file, b"".join(parts[:5]) + b"x" * 33 + b"".join(parts[5:]) + b"y" * 21 + behind)
    assert lengths == [*range(100, 108), 50]
    assert [(offset, what.rpartition(" ")[2]) for offset, what in damage] == [
        (sum(map(len, parts[:5])), str(sum(map(len, parts[:5])) + 33)),
        (sum(map(len, parts)) + 33, str(sum(map(len, parts)) + 33 + 21)),
    ]


def test_a_first_section_whose_length_is_damaged(file: Path) -> None:
    parts = blocks(">")
    for at in (4, 24):
        data = b"".join([parts[0][:at] + b"\xff\0\xff\0" + parts[0][at + 4 :], *parts[1:]])
        lengths, damage = told(file, data)
        assert lengths == list(range(100, 108))
        assert [offset for offset, _ in damage] == [0]


def test_a_hole_over_many_blocks_and_chunks(file: Path) -> None:
    parts = [section(), interface(), *(enhanced(b"x" * 1000, 0, number) for number in range(20_000))]
    data = b"".join(parts)
    begin, end = 48 + 1032 * 5000 + 10, 48 + 1032 * 15_000 - 5
    file.write_bytes(data[:begin] + b"\xaa" * (end - begin) + data[end:])
    every = packets(data)
    found, damage = read(file, 1 << 20)
    assert found == every[:5000] + every[15_000:]
    assert [(offset, what.rpartition(" ")[2]) for offset, what in damage] == [
        (48 + 1032 * 5000, str(48 + 1032 * 15_000))
    ]


def test_a_file_of_nothing_but_damages_is_given_up(file: Path) -> None:
    wrong = block(6, bytes(16))
    file.write_bytes(section() + interface() + enhanced(b"1") + (wrong * 3 + b"xxxx") * 5000)
    found, damage = read(file)
    assert len(found) == 1
    assert len(damage) == MOST_DAMAGES + 1
    assert damage[-1][1] == "damaged in too many places: nothing was read from here on"


def test_more_interfaces_than_anybody_has(file: Path) -> None:
    file.write_bytes(section() + interface() * 70_000 + enhanced(b"1"))
    found, damage = read(file)
    assert found == []
    assert damage == [(28 + 20 * 65536, "more than 65536 interfaces: nothing was read from here on")]


@pytest.mark.timeout(20)
def test_a_packet_full_of_records_that_lead_nowhere(file: Path) -> None:
    """Each of them leads to the next, and none to where it should: following every one of them takes minutes."""
    trap = record(record(b"x", 1000) * 15_000, 1000, length=300_000) + b"\xff" * 16
    for count in (1, 20):
        file.write_bytes(pcap_header() + trap * count)
        found, damage = read(file)
        assert len(found) >= 1
        assert damage
