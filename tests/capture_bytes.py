"""Capture files written out by hand: every field as its specification orders it."""

from __future__ import annotations

import struct

MICRO, NANO, MODIFIED = 0xA1B2C3D4, 0xA1B23C4D, 0xA1B2CD34
"""Magic numbers of pcap."""


def pcap_header(order: str = "<", magic: int = MICRO, snaplen: int = 65535, network: int = 1) -> bytes:
    return struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snaplen, network)


def record(
    data: bytes, seconds: int = 1000, ticks: int = 7, *, order: str = "<", length: int | None = None, more: bytes = b""
) -> bytes:
    wire = len(data) if length is None else length
    return struct.pack(order + "IIII", seconds, ticks, len(data), wire) + more + data


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: str = "<", options: bytes = b"") -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1) + options, order)


def interface(order: str = "<", linktype: int = 1, snaplen: int = 0, options: bytes = b"") -> bytes:
    return block(1, struct.pack(order + "HHI", linktype, 0, snaplen) + options, order)


def enhanced(
    data: bytes, number: int = 0, ticks: int = 0, *, order: str = "<", length: int | None = None, options: bytes = b""
) -> bytes:
    wire = len(data) if length is None else length
    head = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), wire)
    return block(6, head + data + bytes(-len(data) % 4) + options, order)


def obsolete(data: bytes, number: int = 0, ticks: int = 0, *, order: str = "<", drops: int = 0) -> bytes:
    head = struct.pack(order + "HHIIII", number, drops, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
    return block(2, head + data, order)


def simple(data: bytes, length: int | None = None, order: str = "<") -> bytes:
    return block(3, struct.pack(order + "I", len(data) if length is None else length) + data, order)


def statistics(number: int, dropped: int, order: str = "<") -> bytes:
    options = option(4, struct.pack(order + "Q", 1000), order) + option(5, struct.pack(order + "Q", dropped), order)
    return block(5, struct.pack(order + "III", number, 0, 0) + options, order)
