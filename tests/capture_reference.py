"""The slowest and plainest reader of capture files: undamaged ones only. What the real one is compared with."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from netfs.capture.file.chunk import Chunk
from netfs.capture.file.reader import open_capture

Packet = tuple[int, int, bytes, int]
"""Interface over the whole file, nanoseconds, what was captured, bytes on the wire."""


def packets(data: bytes) -> list[Packet]:
    """All packets of a file's bytes."""
    return list(_pcapng(data) if data[:4] == b"\x0a\x0d\x0d\x0a" else _pcap(data))


def _pcap(data: bytes) -> Iterator[Packet]:
    order = "<" if data[:4] in {b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1", b"\x34\xcd\xb2\xa1"} else ">"
    (magic,) = struct.unpack_from(order + "I", data)
    at = 24
    while at < len(data):
        seconds, ticks, captured, length = struct.unpack_from(order + "IIII", data, at)
        at += 24 if magic == 0xA1B2CD34 else 16
        yield 0, seconds * 10**9 + ticks * (1 if magic == 0xA1B23C4D else 1000), data[at : at + captured], length
        at += captured


def _pcapng(data: bytes) -> Iterator[Packet]:
    at, first, order = 0, 0, "<"
    interfaces: list[tuple[int, Fraction, int]] = []  # snap length, seconds of a tick, seconds of offset
    while at < len(data):
        if data[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if data[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            first = len(interfaces)
        kind, size = struct.unpack_from(order + "II", data, at)
        body = data[at + 8 : at + size - 4]
        if kind == 1:
            interfaces.append(_interface(body, order))
        elif kind == 3:
            (length,) = struct.unpack_from(order + "I", body)
            captured = min(length, interfaces[first][0] or length)
            yield first, 0, body[4 : 4 + captured], length
        elif kind in {2, 6}:
            number, high, low, captured, length = struct.unpack_from(order + ("IIIII", "HxxIIII")[kind == 2], body)
            _, tick, offset = interfaces[first + number]
            at_ns = int(((high << 32 | low) * tick + offset) * 10**9 // 1)
            yield first + number, at_ns, body[20 : 20 + captured], length
        at += size


def _interface(body: bytes, order: str) -> tuple[int, Fraction, int]:
    snaplen = struct.unpack_from(order + "HHI", body)[2]
    tick, offset, at = Fraction(1, 10**6), 0, 8
    while at + 4 <= len(body):
        code, size = struct.unpack_from(order + "HH", body, at)
        value = body[at + 4 : at + 4 + size]
        if code == 0:
            break
        if code == 9:
            tick = Fraction(1, 2 ** (value[0] & 127) if value[0] & 128 else 10 ** value[0])
        if code == 14:
            (offset,) = struct.unpack(order + "q", value)
        at += 4 + (size + 3) // 4 * 4
    return snaplen, tick, offset


def of_chunk(chunk: Chunk) -> list[Packet]:
    """A chunk's columns as packets; what lies outside its data fails."""
    columns = (chunk.interface, chunk.at_ns, chunk.start, chunk.captured, chunk.length)
    assert len({len(column) for column in columns}) == 1
    assert len(chunk.start)
    assert all(str(column.dtype) == "int64" for column in columns)
    assert int(chunk.start.min()) >= 0
    assert int(chunk.captured.min()) >= 0
    assert int((chunk.start + chunk.captured).max()) <= len(chunk.data)
    whole = chunk.data.tobytes()
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [(number, at_ns, whole[start : start + size], length) for number, at_ns, start, size, length in rows]


def read(path: Path, chunk_bytes: int = 8 << 20) -> tuple[list[Packet], list[tuple[int, str]]]:
    """What the real reader says: packets, damage."""
    found: list[Packet] = []
    with open_capture(str(path), chunk_bytes=chunk_bytes) as capture:
        for chunk in capture.chunks():
            assert chunk.first == len(found)
            found += of_chunk(chunk)
        assert all(0 <= packet[0] < len(capture.interfaces) for packet in found)
        return found, [(damage.offset, damage.what) for damage in capture.damage]
