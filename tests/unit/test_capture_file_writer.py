"""What is written is what is read."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netfs.capture.file.chunk import Interface
from netfs.capture.file.pcapng_blocks import options
from netfs.capture.file.reader import open_capture
from netfs.capture.file.writer import PcapngWriter
from netfs.model.text import printable
from tests.capture_reference import Packet, packets, read

TEXT = st.text(max_size=40) | st.text(st.characters(categories=["Cs", "Cc", "L"]), max_size=20)


Written = tuple[bytes, list[Packet], list[Interface]]


@st.composite
def written(draw: st.DrawFn) -> Written:
    stream = io.BytesIO()
    writer = PcapngWriter(stream, application=draw(TEXT), comment=draw(TEXT))
    wanted: list[Packet] = []
    interfaces: list[Interface] = []
    for _ in range(draw(st.integers(0, 20))):
        if not interfaces or draw(st.integers(0, 5)) == 0:
            name, description, comment, snaplen = draw(TEXT), draw(TEXT), draw(TEXT), draw(st.integers(0, 2**32 - 1))
            number = writer.add_interface(name, 113, snaplen, description, comment)
            assert number == len(interfaces)
            shown = printable(name) or printable(description) or str(number)
            interfaces.append(Interface(shown, 113, snaplen, "\n".join(map(printable, comment.split("\n")))))
        number, at_ns = draw(st.integers(0, len(interfaces) - 1)), draw(st.integers(0, 2**63 - 1))
        data, more = draw(st.binary(max_size=50)), draw(st.integers(0, 2**31))
        way = draw(st.sampled_from([None, "in", "out"]))
        writer.write(number, at_ns, data, len(data) + more, way=way, comment=draw(TEXT))
        wanted.append((number, at_ns, data, len(data) + more))
        if draw(st.booleans()):
            writer.statistics(number, 7, 3)
    return stream.getvalue(), wanted, interfaces


@given(case=written(), chunk_bytes=st.integers(1, 2000))
@settings(max_examples=100)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, case: Written, chunk_bytes: int) -> None:
    data, wanted, interfaces = case
    file = tmp_path_factory.mktemp("written") / "a.pcapng"
    file.write_bytes(data)
    assert packets(data) == wanted
    assert read(file, chunk_bytes) == (wanted, [])
    with open_capture(str(file)) as capture:
        list(capture.chunks())
        assert capture.interfaces == interfaces


def test_texts_are_cut_between_characters_and_made_visible() -> None:
    stream = io.BytesIO()
    writer = PcapngWriter(stream, application="n\0e\x1b[2Jtfs", comment="two\nlines\tand a tab")
    head = stream.tell()
    writer.add_interface("x" + "€" * 30_000, comment="\ud800\n\u202e")
    data = stream.getvalue()
    assert dict(options(data[24 : head - 4], "<")) == {1: b"two\nlines\\tand a tab", 4: b"n\\x00e\\x1b[2Jtfs"}
    told = dict(options(data[head + 16 : -4], "<"))
    assert told[2] == b"x" + "€".encode() * 21844
    assert told[1] == b"\\ud800\n\\u202e"
    assert told[9] == b"\x09"


def test_a_packet_longer_than_programs_take_is_cut(tmp_path: Path) -> None:
    file = tmp_path / "a.pcapng"
    with file.open("wb") as stream:
        writer = PcapngWriter(stream, application="netfs")
        writer.write(writer.add_interface("lo"), 1, bytes(300_000), 300_000)
    assert [(len(packet[2]), packet[3]) for packet in read(file)[0]] == [(262144, 300_000)]


def test_what_was_flushed_is_readable_while_it_is_written(tmp_path: Path) -> None:
    file = tmp_path / "a.pcapng"
    with file.open("wb") as stream:
        writer = PcapngWriter(stream, application="netfs")
        number = writer.add_interface("eth0")
        writer.write(number, 1, b"abc", 3)
        writer.flush()
        assert read(file) == ([(0, 1, b"abc", 3)], [])


def test_an_interface_that_was_not_added() -> None:
    writer = PcapngWriter(io.BytesIO(), application="netfs")
    for number in (0, -1):
        with pytest.raises(ValueError, match="was not added"):
            writer.write(number, 1, b"", 0)


def test_a_write_that_fails_is_told_to_the_caller() -> None:
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OSError, match="No space left"):
        PcapngWriter(full, application="netfs")


def test_writing_needs_the_standard_library_alone() -> None:
    program = "import sys, netfs.capture.file.writer; print({'numpy', 'zstandard'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", program]) == b"set()\n"
