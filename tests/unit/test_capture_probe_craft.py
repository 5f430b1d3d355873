"""Probes: any size, right checksums, and the mark wherever it may be cut."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netfs.capture.marker import MOST, WORD
from netfs.capture.probe import craft
from netfs.capture.station.checksum import moved
from netfs.datapath.request import DEFAULT_SIZE
from netfs.errors import UsageError
from netfs.model import ip
from tests.unit.probe_frames import POD_A, POD_A6, POD_B, POD_B6, kit, marker, outgoing, probe

CASES = [(proto, family) for proto in ("icmp", "tcp", "udp") for family in (4, 6)]
LEAST = {("icmp", 4): 36, ("udp", 4): 36, ("tcp", 4): 40, ("icmp", 6): 56, ("udp", 6): 56, ("tcp", 6): 60}
NUMBERS = {("icmp", 4): 1, ("icmp", 6): 58, ("tcp", 4): 6, ("tcp", 6): 6, ("udp", 4): 17, ("udp", 6): 17}

cases = st.sampled_from(CASES)


def internet_sum(data: bytes) -> int:
    """RFC 1071, over data that holds its own checksum: 0 where it is right."""
    total: int = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def pseudo_header(proto: str, family: int, length: int) -> bytes:
    if (proto, family) == ("icmp", 4):
        return b""
    ends = (POD_A, POD_B) if family == 4 else (POD_A6, POD_B6)
    addresses = b"".join(ip.to_int(one).to_bytes(4 if family == 4 else 16) for one in ends)
    tail = struct.pack("!BBH", 0, NUMBERS[proto, family], length)
    return addresses + (tail if family == 4 else struct.pack("!I3xB", length, NUMBERS[proto, family]))


@given(case=cases, over=st.integers(0, 3000), number=st.integers(0, 30))
@settings(max_examples=200, deadline=None)
def test_any_size_is_met_with_a_right_checksum(case: tuple[str, int], over: int, number: int) -> None:
    proto, family = case
    mark, size = marker(proto, family), LEAST[case] + over
    data = craft.datagrams(mark, packet=outgoing(mark, size), count=number + 1)[number].data
    assert len(data) == size - (20 if family == 4 else 40)
    assert internet_sum(pseudo_header(proto, family, len(data)) + data) == 0
    if proto == "udp":
        assert data[6:8] != b"\0\0"


@given(case=cases, size=st.integers(600, 9000), mtu=st.integers(576, 1500), number=st.integers(0, 30))
@settings(max_examples=100, deadline=None)
def test_every_fragment_begins_with_the_word(case: tuple[str, int], size: int, mtu: int, number: int) -> None:
    proto, family = case
    mark = marker(proto, family)
    data = craft.datagrams(mark, packet=outgoing(mark, size), count=number + 1)[number].data
    step = (mtu - (20 if family == 4 else 48)) // 8 * 8
    later = [data[at : at + step] for at in range(step, len(data), step)]
    assert all(fragment.startswith(mark.word(number)[: len(fragment)]) for fragment in later)


@pytest.mark.parametrize(("proto", "family"), CASES)
def test_the_least_size_is_named_and_is_enough(proto: str, family: int) -> None:
    mark, least = marker(proto, family), LEAST[proto, family]
    craft.datagrams(mark, packet=outgoing(mark, least), count=1)
    with pytest.raises(UsageError, match=f"size {least - 1} .*at least {least} bytes"):
        craft.datagrams(mark, packet=outgoing(mark, least - 1), count=1)


@pytest.mark.parametrize(("proto", "family"), CASES)
def test_default_and_largest_sizes_hold_the_mark(proto: str, family: int) -> None:
    mark = marker(proto, family)
    for size in (DEFAULT_SIZE[proto], 65535):
        (one,) = craft.datagrams(mark, packet=outgoing(mark, size), count=1)
        assert len(one.data) == size - (20 if family == 4 else 40)


@pytest.mark.parametrize("count", [0, -1, MOST + 1])
def test_a_count_out_of_range_is_refused(count: int) -> None:
    with pytest.raises(UsageError, match="out of range"):
        craft.datagrams(marker("icmp"), packet=outgoing(marker("icmp")), count=count)


def test_each_probe_bears_its_number() -> None:
    mark = marker("icmp")
    sent = craft.datagrams(mark, packet=outgoing(mark), count=MOST)
    assert [one.number for one in sent] == list(range(MOST))
    assert [one.data[8 : 8 + WORD] for one in sent] == [mark.word(number) for number in range(MOST)]
    assert [int.from_bytes(one.data[6:8]) for one in sent] == list(range(1, MOST + 1))


def test_a_syn_of_the_default_size_is_as_linux_makes_it() -> None:
    mark = marker("tcp")
    (one,) = craft.datagrams(mark, packet=outgoing(mark, 60), count=1)
    header = kit().TCP(one.data)
    assert [name for name, _ in header.options] == ["MSS", "SAckOK", "Timestamp", "NOP", "WScale"]
    assert (header.flags, header.seq, header.window, len(header.payload)) == ("S", mark.sequence(0), 64240, 0)


def test_a_zone_does_not_enter_the_checksum() -> None:
    mark = marker("icmp", 6)
    plain, zoned = outgoing(mark), outgoing(mark)
    object.__setattr__(plain, "dst", "fe80::1")
    object.__setattr__(zoned, "dst", "fe80::1%eth0")
    assert craft.datagrams(mark, packet=plain, count=1) == craft.datagrams(mark, packet=zoned, count=1)


def write_raw_ip(path: Path, packets: list[bytes]) -> None:
    """A pcap file of LINKTYPE_RAW."""
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 101)
    path.write_bytes(head + b"".join(struct.pack("<IIII", 1, 0, len(one), len(one)) + one for one in packets))


def test_tshark_reads_every_size_as_it_was_meant(require_program: Callable[[str], str], tmp_path: Path) -> None:
    tshark = require_program("tshark")
    sizes = [*range(90), 1400, 1401, 8000]
    sent = [(case, LEAST[case] + over) for case in CASES for over in sizes]
    write_raw_ip(tmp_path / "probes.pcap", [bytes(probe(marker(*case), size=size)) for case, size in sent])
    checks = [word for one in ("ip", "tcp", "udp") for word in ("-o", f"{one}.check_checksum:TRUE")]
    fields = "ip.checksum.status tcp.checksum.status udp.checksum.status icmp.checksum.status icmpv6.checksum.status"
    wanted = [word for one in ("frame.len", "_ws.malformed", *fields.split()) for word in ("-e", one)]
    command = [
        tshark,
        "-n",
        "-r",
        str(tmp_path / "probes.pcap"),
        *checks,
        "-T",
        "fields",
        "-E",
        "occurrence=f",
        *wanted,
    ]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    good = {("icmp", 4): "1\t\t\t1\t", ("icmp", 6): "\t\t\t\t1", ("tcp", 4): "1\t1\t\t\t", ("tcp", 6): "\t1\t\t\t"}
    good |= {("udp", 4): "1\t\t1\t\t", ("udp", 6): "\t\t1\t\t"}
    assert lines == [f"{size}\t\t{good[case]}" for case, size in sent]


@pytest.mark.parametrize(("proto", "family"), CASES)
def test_a_source_that_is_not_known_yet_is_mended_by_the_sender(proto: str, family: int) -> None:
    """The checksum for the unspecified address, moved to the kernel's choice, is that of a packet made for it."""
    mark = marker(proto, family)
    known = outgoing(mark)
    unknown = replace(known, src="")
    assert unknown.family == family
    (made,) = craft.datagrams(mark, packet=unknown, count=1)
    data = moved(made.data, NUMBERS[proto, family], craft.source(unknown), known.src)
    (right,) = craft.datagrams(mark, packet=known, count=1)
    assert data == right.data or (proto, family) == ("icmp", 6)  # of which the kernel makes the checksum


@given(case=cases, over=st.integers(0, 60), number=st.integers(0, 3), low=st.integers(1, 2**32 - 1))
@settings(max_examples=200, deadline=None)
def test_a_moved_checksum_is_right(case: tuple[str, int], over: int, number: int, low: int) -> None:
    proto, family = case
    mark, size = marker(proto, family), LEAST[case] + over
    known = outgoing(mark, size)
    from_elsewhere = replace(known, src=ip.to_text(low, family))
    data = craft.datagrams(mark, packet=from_elsewhere, count=number + 1)[number].data
    data = moved(data, NUMBERS[proto, family], from_elsewhere.src, known.src)
    assert (proto, family) == ("icmp", 6) or internet_sum(pseudo_header(proto, family, len(data)) + data) == 0


def test_what_has_no_checksum_is_left_alone() -> None:
    without = bytes(6) + b"\0\0" + b"netfs"
    assert moved(without, 17, POD_A, POD_B) == without
    assert moved(b"short", 6, POD_A, POD_B) == b"short"
