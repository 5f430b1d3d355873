"""SQLite's write-ahead log, applied to a copy of its database (sqlite.org/fileformat2.html, "The Write-Ahead Log").

The log holds pages that are newer than those of the database. A frame counts if its salts are the log's and its
checksum follows from all frames before it, and only up to the last one that commits a transaction.
"""

from __future__ import annotations

import struct

HEADER, FRAME = 32, 24
_MAGIC = {0x377F0682: "<", 0x377F0683: ">"}
"""The byte order of the words that are summed; all numbers themselves are big-endian."""
_VERSION = 3007000
_LEGACY, _WAL = b"\1\1", b"\2\2"
"""Bytes 18 and 19 of a database: written with a rollback journal, or with a log."""


def is_written_with_log(database: bytes) -> bool:
    """Whether a database may have a write-ahead log."""
    return database[18:20] == _WAL


def applied(database: bytes, log: bytes) -> bytes:
    """The database as a reader sees it who has both files, in a form that needs no log any more.

    A log that is empty, foreign or torn adds what is whole of it: maybe nothing. One that makes the database longer
    than both files together is not believed.
    """
    order, page_size = _layout(log)
    pages, size = _committed(log, order, page_size) if order else ({}, 0)
    if pages and size * page_size <= len(database) + len(log):
        database = database[: size * page_size].ljust(size * page_size, b"\0")
        parts = [
            pages.get(number) or database[(number - 1) * page_size : number * page_size]
            for number in range(1, size + 1)
        ]
        database = b"".join(parts)
    return database[:18] + _LEGACY + database[20:]


def _layout(log: bytes) -> tuple[str, int]:
    """Byte order and page size that the log's header tells; no order: it is none."""
    if len(log) < HEADER:
        return "", 0
    magic, version, page_size = struct.unpack_from(">3I", log)
    order = _MAGIC.get(magic, "")
    power_of_two = 512 <= page_size <= 65536 and not page_size & (page_size - 1)
    if version != _VERSION or not power_of_two or not order:
        return "", 0
    return (order, page_size) if _sum(order, log[:24], (0, 0)) == struct.unpack_from(">2I", log, 24) else ("", 0)


def _committed(log: bytes, order: str, page_size: int) -> tuple[dict[int, bytes], int]:
    """The newest page of each number, and how many pages the database has, after the last commit."""
    salts = log[16:24]
    running = struct.unpack_from(">2I", log, 24)
    pages: dict[int, bytes] = {}
    pending: dict[int, bytes] = {}
    size = 0
    for at in range(HEADER, len(log) - FRAME - page_size + 1, FRAME + page_size):
        number, committed = struct.unpack_from(">2I", log, at)
        page = log[at + FRAME : at + FRAME + page_size]
        running = _sum(order, page, _sum(order, log[at : at + 8], running))
        whole = log[at + 8 : at + 16] == salts and running == struct.unpack_from(">2I", log, at + 16)
        if not whole or not number:
            break
        pending[number] = page
        if committed:
            pages |= pending
            pending, size = {}, committed
    return pages, size


def _sum(order: str, data: bytes, before: tuple[int, int]) -> tuple[int, int]:
    first, second = before
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second
