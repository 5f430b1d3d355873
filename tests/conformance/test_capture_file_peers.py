"""Capture files as Wireshark's own programs write and read them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from netfs.capture.file.reader import open_capture
from netfs.capture.file.writer import PcapngWriter
from tests.capture_bytes import enhanced, interface, option, section
from tests.capture_reference import Packet, packets, read
from tests.captures import vxlan_capture

Require = Callable[[str], str]
FORMATS = ("pcap", "nsecpcap", "modpcap", "pcapng")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a.pcapng"


def run(*arguments: str | Path) -> str:
    return subprocess.run(list(map(str, arguments)), capture_output=True, text=True, check=True).stdout


def without_interfaces(found: list[Packet]) -> list[tuple[int, bytes, int]]:
    return [packet[1:] for packet in found]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("snaplen", [None, 60])
def test_conversions_of_one_capture_are_the_same_packets(
    require_program: Require, file: Path, format: str, snaplen: int | None
) -> None:
    editcap = require_program("editcap")
    vxlan_capture(file, packets=2000, flows=50, format="pcapng", interfaces=("node1/eth0", "node2/eth0"))
    other = file.with_name("other")
    run(editcap, "-F", format, *(("-s", str(snaplen)) if snaplen else ()), file, other)
    every, _ = read(file)
    found, damage = read(other)
    assert damage == []
    assert without_interfaces(found) == [(at_ns, data[:snaplen], length) for _, at_ns, data, length in every]
    if format == "pcapng":
        assert [packet[0] for packet in found] == [packet[0] for packet in every]


def test_nanoseconds_survive_and_become_microseconds(require_program: Require, file: Path) -> None:
    editcap = require_program("editcap")
    with file.open("wb") as stream:
        writer = PcapngWriter(stream, application="netfs")
        number = writer.add_interface("eth0")
        for count in range(50):
            writer.write(number, 1_700_000_000_123_456_789 + count * 1_234_567_891, bytes(60 + count), 60 + count)
    every, _ = read(file)
    for format, unit in (("nsecpcap", 1), ("pcapng", 1), ("pcap", 1000)):
        other = file.with_name(format)
        run(editcap, "-F", format, file, other)
        assert [packet[1] for packet in read(other)[0]] == [packet[1] // unit * unit for packet in every]


def test_mergecap_keeps_the_interfaces_apart(require_program: Require, tmp_path: Path) -> None:
    mergecap = require_program("mergecap")
    files = [tmp_path / "one.pcapng", tmp_path / "two.pcapng"]
    for number, part in enumerate(files):
        vxlan_capture(part, 300, 8, format="pcapng", seed=number, interfaces=(f"node{number}/eth0",))
    merged = tmp_path / "merged"
    run(mergecap, "-w", merged, *files)
    found, damage = read(merged)
    assert damage == []
    names = {0: "node0/eth0", 1: "node1/eth0"}
    with open_capture(str(merged)) as capture:
        list(capture.chunks())
        assert {number: interface.name for number, interface in enumerate(capture.interfaces)} == names
    for number, part in enumerate(files):
        assert [packet[1:] for packet in found if packet[0] == number] == without_interfaces(read(part)[0])


def test_one_file_behind_the_other_is_several_sections(require_program: Require, tmp_path: Path) -> None:
    tshark = require_program("tshark")
    parts = []
    for number in range(3):
        vxlan_capture(tmp_path / "part", 100, 4, format="pcapng", seed=number, interfaces=(f"tap{number}",))
        parts.append((tmp_path / "part").read_bytes())
    both = tmp_path / "both"
    both.write_bytes(b"".join(parts))
    # Not the interface's name: tshark 4.0 takes it from the first section.
    told = run(tshark, "-r", both, "-T", "fields", "-e", "frame.time_epoch", "-e", "frame.len")
    found, damage = read(both)
    assert damage == []
    assert [f"{at_ns // 10**9}.{at_ns % 10**9:09d}\t{length}" for _, at_ns, _, length in found] == told.splitlines()
    assert [packet[0] for packet in found] == [0] * 100 + [1] * 100 + [2] * 100


@pytest.mark.parametrize("format", ["pcap", "pcapng"])
@pytest.mark.parametrize("size", [0, 569, 1400])
def test_capinfos_counts_as_much(require_program: Require, file: Path, format: str, size: int) -> None:
    capinfos = require_program("capinfos")
    vxlan_capture(file, packets=5000, flows=100, size=size, format=format, snaplen=200)
    count, data_size = run(capinfos, "-T", "-r", "-c", "-d", "-M", file).split("\t")[1:3]
    found, _ = read(file)
    assert (len(found), sum(packet[3] for packet in found)) == (int(count), int(data_size))


@pytest.mark.parametrize("resolution", [3, 6, 9, 0x8A, 0x94])
def test_times_are_as_tshark_tells_them(require_program: Require, file: Path, resolution: int) -> None:
    tshark = require_program("tshark")
    clock = option(9, bytes([resolution])) + option(14, (1_600_000_000).to_bytes(8, "little"))
    ticks = [0, 1, 7, 999, 123_456, 2**31 + 5, 77 << 30]
    file.write_bytes(section() + interface(options=clock) + b"".join(enhanced(bytes(60), 0, tick) for tick in ticks))
    told = run(tshark, "-r", file, "-T", "fields", "-e", "frame.time_epoch").split()
    found = [packet[1] for packet in read(file)[0]]
    digits = max(len(text.partition(".")[2]) for text in told)
    assert [f"{at_ns // 10**9}.{at_ns % 10**9:09d}"[: 11 + digits] for at_ns in found] == [
        text.partition(".")[0] + "." + text.partition(".")[2].ljust(digits, "0") for text in told
    ]


def test_wireshark_shows_what_was_written(require_program: Require, file: Path) -> None:
    tshark, capinfos = require_program("tshark"), require_program("capinfos")
    with file.open("wb") as stream:
        writer = PcapngWriter(stream, application="netfs 1.2", comment="a trace\nof two nodes")
        first = writer.add_interface("node1/cni0", comment="netns node1")
        writer.write(first, 1_700_000_000_000_000_001, bytes(60), 60, way="in", comment="probe 1 → seen")
        second = writer.add_interface("node1/pod-a/eth0\x1b[2J", 113, 96, description="of a pod")
        writer.write(second, 1_700_000_001_999_999_999, bytes(61), 1500, way="out")
        writer.write(first, 1_700_000_002_000_000_000, bytes(62), 62, comment="x" * 70_000)
        writer.write(first, 1_700_000_002_000_000_000, bytes(63), 63, way="in")
        writer.statistics(first, 1000, 7)
    names = ("interface_name", "interface_description", "time_epoch", "packet_flags_direction", "cap_len", "len")
    fields = [part for name in names for part in ("-e", f"frame.{name}")]
    assert [line.split("\t") for line in run(tshark, "-r", file, "-T", "fields", *fields).splitlines()] == [
        ["node1/cni0", "", "1700000000.000000001", "0x00000001", "60", "60"],
        ["node1/pod-a/eth0\\x1b[2J", "of a pod", "1700000001.999999999", "0x00000002", "61", "1500"],
        ["node1/cni0", "", "1700000002.000000000", "", "62", "62"],
        ["node1/cni0", "", "1700000002.000000000", "0x00000001", "63", "63"],
    ]
    comments = run(tshark, "-r", file, "-T", "fields", "-e", "frame.comment").splitlines()
    assert (comments[0], len(comments[2])) == ("probe 1 → seen", 65535)
    told = run(capinfos, file)
    for part in ("netfs 1.2", "netns node1", "Number of stat entries = 1", "nanoseconds (9)", "of two nodes"):
        assert part in told


def test_cut_files_hold_as_many_packets_as_tshark_reads(require_program: Require, file: Path) -> None:
    tshark = require_program("tshark")
    for format in ("pcap", "pcapng"):
        vxlan_capture(file, packets=500, flows=20, format=format)
        data = file.read_bytes()
        for cut in (len(data) // 2, len(data) // 3, len(data) - 1):
            file.write_bytes(data[:cut])
            done = subprocess.run(
                [tshark, "-r", file, "-T", "fields", "-e", "frame.len"], capture_output=True, check=False
            )
            found, damage = read(file)
            assert [packet[3] for packet in found] == list(map(int, done.stdout.split()))
            assert (len(damage), done.returncode != 0) == (1, True)
            assert found == packets(data)[: len(found)]
