"""What is no capture is refused in words; what is compressed is looked through."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zstandard

import netfs
from netfs.capture.file.reader import open_capture
from netfs.errors import CaptureError
from tests.capture_bytes import enhanced, interface, pcap_header, record, section
from tests.capture_reference import packets, read
from tests.captures import vxlan_capture

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PCAP = pcap_header() + b"".join(record(bytes([number]) * 100, 1000 + number) for number in range(100))
PCAPNG = section() + interface() + b"".join(enhanced(bytes([number]) * 100, 0, number) for number in range(100))
BOTH = pytest.mark.parametrize(("data", "format"), [(PCAP, "pcap"), (PCAPNG, "pcapng")])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "capture"


@pytest.mark.parametrize(
    ("data", "what", "hint"),
    [
        (b"", "is empty", "first write"),
        (gzip.compress(b"", mtime=0), "is empty within its gzip", "first write"),
        (b"{}\n", "is no capture", "pcap and pcapng"),
        (b"\xff" * 1000, "is no capture", "editcap"),
        (lzma.compress(PCAP), "is no capture", "xz"),
        (bz2.compress(PCAP), "is no capture", "bzip2"),
        (b"snoop\0\0\0" + bytes(100), "is no capture", "editcap -F pcapng"),
        (zstandard.compress(b"text" * 100), "is no capture within its zstd", "pcap and pcapng"),
        (PCAP[:23], "is cut off within its first header", ""),
        (PCAPNG[:27], "is cut off within its first header", ""),
        (PCAPNG[:8] + b"\1\2\3\4" + PCAPNG[12:], "is no capture", "pcap"),
        (gzip.compress(PCAP, mtime=0)[:5], "the gzip stream is cut off; nothing of it can be read", ""),
        (b"\x1f\x8b" + b"\xff" * 100, "the gzip stream is damaged", ""),
        (b"\x28\xb5\x2f\xfd" + b"\xff" * 100, "the zstd stream is", ""),
    ],
)
def test_no_capture(file: Path, data: bytes, what: str, hint: str) -> None:
    file.write_bytes(data)
    with pytest.raises(CaptureError) as caught:
        open_capture(str(file))
    assert caught.value.what.startswith(what)
    assert hint in caught.value.hint
    assert caught.value.where == str(file)
    assert caught.value.exit_status == 3


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="No such file"):
        open_capture(str(tmp_path / "missing"))
    with pytest.raises(CaptureError, match="Is a directory"):
        open_capture(str(tmp_path))
    with pytest.raises(netfs.CaptureError, match="null"):
        open_capture("nul\0l")


def test_standard_input_that_is_empty_or_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    program = "from netfs.capture.file.reader import open_capture; open_capture('-')"
    done = subprocess.run([sys.executable, "-c", program], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert b"standard input: is empty" in done.stderr
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(CaptureError, match="is closed"):
        open_capture("-")


def test_a_pipe_that_gives_few_bytes_at_a_time(file: Path) -> None:
    os.mkfifo(file)
    program = "import sys, time\nfor at in range(0, len(data), 999): file.write(data[at:at+999]); file.flush()"
    with subprocess.Popen([sys.executable, "-c", f"data={PCAP!r}; file=open({str(file)!r}, 'wb')\n{program}"]):
        assert read(file) == (packets(PCAP), [])


@BOTH
def test_gzip_of_any_number_of_members(file: Path, data: bytes, format: str) -> None:
    for stored in (
        gzip.compress(data, mtime=0),
        gzip.compress(data[:1001], mtime=0)
        + gzip.compress(data[1001:1001], mtime=0)
        + gzip.compress(data[1001:], mtime=0),
        gzip.compress(data, mtime=0) + bytes(70000),
    ):
        file.write_bytes(stored)
        with open_capture(str(file)) as capture:
            assert capture.format == format + "+gzip"
            assert sum(len(chunk.start) for chunk in capture.chunks()) == 100
            assert capture.damage == []
            assert capture.position == capture.total == len(stored)


@BOTH
@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize("checked", [True, False])
def test_zstd_of_any_number_of_frames(file: Path, data: bytes, format: str, sized: bool, checked: bool) -> None:
    compressor = zstandard.ZstdCompressor(write_content_size=sized, write_checksum=checked)
    skippable = b"\x5f\x2a\x4d\x18\5\0\0\0hello"
    for stored in (
        compressor.compress(data),
        skippable + compressor.compress(data[:1001]) + skippable + compressor.compress(data[1001:]) + skippable,
    ):
        file.write_bytes(stored)
        with open_capture(str(file)) as capture:
            assert capture.format == format + "+zstd"
            assert sum(len(chunk.start) for chunk in capture.chunks()) == 100
            assert capture.damage == []
            assert capture.position == capture.total == len(stored)


@pytest.fixture(scope="module")
def megabyte(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    file = tmp_path_factory.mktemp("captures") / "a.pcap"
    vxlan_capture(file, packets=2000, flows=50)
    return file.read_bytes()


def test_all_that_comes_before_the_end_of_a_cut_stream(file: Path, megabyte: bytes) -> None:
    every = packets(megabyte)
    for stored, least in ((gzip.compress(megabyte, mtime=0), 0.9), (zstandard.compress(megabyte), 0.5)):
        file.write_bytes(stored[: len(stored) * 95 // 100])
        found, damage = read(file)
        assert found == every[: len(found)]
        assert len(found) > least * len(every)
        assert damage[0][1].endswith("stream is cut off")
        assert "of a packet's" in damage[1][1] or "record's header" in damage[1][1]
        assert damage[0][0] <= len(megabyte)


def test_all_that_comes_before_a_damage_of_a_stream(file: Path, megabyte: bytes) -> None:
    every = packets(megabyte)
    for stored, least in ((gzip.compress(megabyte, mtime=0), 0.7), (zstandard.compress(megabyte), 0.4)):
        damaged = bytearray(stored)
        at = len(stored) * 3 // 4
        damaged[at : at + 64] = b"\xff" * 64
        file.write_bytes(damaged)
        found, damage = read(file)
        # A stream may make something of what is wrong before it notices.
        assert found[: int(least * len(every))] == every[: int(least * len(every))]
        assert "stream is damaged" in damage[0][1]


def test_what_lies_behind_the_last_member(file: Path) -> None:
    for stored, what in ((gzip.compress(PCAP, mtime=0), "no gzip"), (zstandard.compress(PCAP), "no zstd")):
        file.write_bytes(stored + b"junk and more junk")
        found, damage = read(file)
        assert found == packets(PCAP)
        assert [(offset, what in text) for offset, text in damage] == [(len(PCAP), True)]


def test_a_gzip_bomb_is_read_bit_by_bit(file: Path) -> None:
    file.write_bytes(gzip.compress(PCAP + record(b"", 2000, length=0) * 4_000_000, 9, mtime=0))
    program = (
        "import sys; from netfs.capture.file.reader import open_capture\n"
        "with open_capture(sys.argv[1]) as capture: print(sum(len(chunk.start) for chunk in capture.chunks()))\n"
        "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])"
    )
    told = subprocess.run([sys.executable, "-c", program, str(file)], capture_output=True, check=True, text=True).stdout
    count, kilobytes = map(int, told.split())
    assert count == 4_000_100
    assert kilobytes < 150_000


def test_an_error_of_reading_is_a_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bad(io.BytesIO):
        def readinto(self, view: WriteableBuffer, /) -> int:
            if self.tell() >= 1000:
                raise OSError(5, "Input/output error")
            return super().readinto(memoryview(view)[:100])

    monkeypatch.setattr("netfs.capture.file.stream.open_file", lambda path: Bad(PCAP))
    with open_capture("a file") as capture:
        assert sum(len(chunk.start) for chunk in capture.chunks()) == 8
        assert [damage.what for damage in capture.damage] == [
            "reading failed: Input/output error",
            "the file is cut off: 36 of a packet's 100 bytes are there",
        ]
