"""Captures as other libraries write and read them."""

from __future__ import annotations

from pathlib import Path

import dpkt
import pytest

from netfs.capture.file.writer import PcapngWriter
from tests.capture_reference import read

SENT = [
    (1_700_000_000_000_000_000 + number * 1_500_001_000, bytes([number]) * (number * 37 % 400)) for number in range(50)
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "capture"


@pytest.mark.parametrize("nano", [False, True])
def test_dpkt_pcap(file: Path, nano: bool) -> None:
    with file.open("wb") as stream:
        writer = dpkt.pcap.Writer(stream, nano=nano)
        for at_ns, data in SENT:
            writer.writepkt(data, at_ns / 10**9)
    found, damage = read(file)
    assert [(data, length) for _, _, data, length in found] == [(data, len(data)) for _, data in SENT]
    # dpkt is given a float.
    assert all(abs(at_ns - then) < 2000 for (_, at_ns, _, _), (then, _) in zip(found, SENT, strict=True))
    assert damage == []


def test_dpkt_pcapng(file: Path) -> None:
    with file.open("wb") as stream:
        writer = dpkt.pcapng.Writer(stream)
        for at_ns, data in SENT:
            writer.writepkt(data, at_ns / 10**9)
    found, damage = read(file)
    assert [data for _, _, data, _ in found] == [data for _, data in SENT]
    assert all(abs(at_ns - then) < 2000 for (_, at_ns, _, _), (then, _) in zip(found, SENT, strict=True))
    assert damage == []


@pytest.mark.parametrize("options", [{}, {"nano": True}, {"endianness": ">"}, {"gz": True}])
def test_scapy_pcap(file: Path, options: dict[str, object]) -> None:
    from scapy.layers.l2 import Ether
    from scapy.utils import wrpcap

    sent = [Ether(b"\2" * 12 + b"\x88\xb5" + data) for _, data in SENT]
    for (at_ns, _), packet in zip(SENT, sent, strict=True):
        packet.time = at_ns // 10**9
    wrpcap(str(file), sent, **options)
    assert read(file) == (
        [
            (0, at_ns // 10**9 * 10**9, bytes(packet), len(packet))
            for (at_ns, _), packet in zip(SENT, sent, strict=True)
        ],
        [],
    )


def test_scapy_pcapng(file: Path) -> None:
    from scapy.layers.l2 import Ether
    from scapy.utils import wrpcapng

    sent = [Ether(b"\2" * 12 + b"\x88\xb5" + data) for _, data in SENT]
    wrpcapng(str(file), sent)
    found, damage = read(file)
    assert [packet[2] for packet in found] == [bytes(packet) for packet in sent]
    assert damage == []


def test_dpkt_and_scapy_read_what_is_written(file: Path) -> None:
    from scapy.utils import RawPcapNgReader

    with file.open("wb") as stream:
        writer = PcapngWriter(stream, application="netfs", comment="for others")
        number = writer.add_interface("node1/eth0", description="a device", comment="a remark")
        for at_ns, data in SENT:
            writer.write(number, at_ns, data, len(data), way="in", comment="seen")
        writer.statistics(number, 50, 0)
    with file.open("rb") as stream:
        told = list(dpkt.pcapng.Reader(stream))
    assert [data for _, data in told] == [data for _, data in SENT]
    assert all(abs(at * 10**9 - at_ns) < 2000 for (at, _), (at_ns, _) in zip(told, SENT, strict=True))
    with RawPcapNgReader(str(file)) as reader:
        assert [data for data, _ in reader] == [data for _, data in SENT]
