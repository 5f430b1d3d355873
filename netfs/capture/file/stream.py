"""The bytes of a capture file, decompressed on the way: gzip and zstd are told by their first bytes, not by a name.

A compressed file that is cut off or broken gives every byte before the break, and then says what is wrong with it.
"""

from __future__ import annotations

import io
import os
import stat
import sys
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, Protocol

from netfs.errors import CaptureError

if TYPE_CHECKING:
    import zstandard

STDIN = "-"
GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
_PIECE = 1 << 16
"""Bytes read at a time from a compressed file."""
_MOST = 1 << 20
"""Bytes taken at a time from what one piece becomes."""
_SKIPPABLE = range(0x184D2A50, 0x184D2A60)
"""Magic numbers of zstd frames that hold no data (RFC 8878 section 3.1.2)."""
_BLOCK_MOST = 1 << 17
"""Block_Maximum_Size (RFC 8878 section 3.1.1.2.4)."""
_RLE, _RESERVED = 1, 3


class Broken(Exception):  # noqa: N818  # it is no error of ours: the rest of the file cannot be had
    """The bytes end here, before their time."""


class Stream(Protocol):
    """Where bytes come from."""

    def readinto(self, view: memoryview, /) -> int | None:
        """Fill as much as there is; 0: nothing more will come. Raise ``Broken`` where the file is."""


class Raw:
    """An open file as it is stored."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._head = b""
        self.position = 0
        """Bytes read."""

    def readinto(self, view: memoryview, /) -> int:
        """As of ``Stream``."""
        if self._head:
            size = min(len(view), len(self._head))
            view[:size], self._head = self._head[:size], self._head[size:]
            return size
        try:
            size = self._file.readinto(view) or 0  # type: ignore[attr-defined]  # every binary file has it
        except OSError as error:
            raise Broken(f"reading failed: {os.strerror(error.errno or 0)}") from None
        self.position += size
        return size

    def read(self, size: int) -> bytes:
        """So many bytes; fewer where the file ends."""
        data = bytearray(size)
        view, have = memoryview(data), 0
        while have < size and (got := self.readinto(view[have:])):
            have += got
        return bytes(view[:have])

    def peek(self, size: int) -> bytes:
        """So many of the first bytes, which are read again."""
        self._head = self.read(size)
        return self._head


class Inflated:
    """What pieces of bytes make, one after the other."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")

    def readinto(self, view: memoryview, /) -> int:
        """As of ``Stream``."""
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        size = min(len(view), len(self._left))
        view[:size], self._left = self._left[:size], self._left[size:]
        return size


def open_file(path: str) -> BinaryIO:
    """The file, or standard input for ``-``. Raises CaptureError where it cannot be opened."""
    if path == STDIN:
        if sys.stdin is None:
            raise CaptureError("is closed", where="standard input", hint="pipe a capture to it, or give a file")
        return sys.stdin.buffer
    try:
        file = io.FileIO(path)
    except (OSError, ValueError) as error:
        why = os.strerror(error.errno or 0) if isinstance(error, OSError) else str(error)
        hint = "give the path of a pcap or pcapng file, or - for standard input"
        raise CaptureError(f"cannot be read: {why}", where=path, hint=hint) from None
    return file


def size(file: BinaryIO) -> int | None:
    """Bytes of the file as it is stored; None: not known, as for a pipe."""
    try:
        told = os.fstat(file.fileno())
    except (OSError, ValueError):
        return None
    return told.st_size if stat.S_ISREG(told.st_mode) else None


def decompressed(raw: Raw) -> tuple[Stream, str]:
    """The file's bytes, and what they were compressed with: ``gzip``, ``zstd`` or nothing. Raises Broken."""
    head = raw.peek(4)
    if head.startswith(GZIP):
        return Inflated(gunzipped(raw)), "gzip"
    if head == ZSTD or (len(head) == 4 and int.from_bytes(head, "little") in _SKIPPABLE):
        return Inflated(unzstd(raw)), "zstd"
    return raw, ""


def gunzipped(raw: Raw) -> Iterator[bytes]:
    """Members one after the other (RFC 1952 section 2.2); zeros after the last are padding, as for gzip(1)."""
    data = raw.read(_PIECE)
    while data:
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            if not data and not (data := raw.read(_PIECE)):
                raise Broken("the gzip stream is cut off")
            before = member.copy()
            try:
                yield member.decompress(data, _MOST)
            except zlib.error as error:
                yield from _up_to_error(before, data)
                raise Broken(f"the gzip stream is damaged ({_reason(error)})") from None
            data = member.unconsumed_tail
        data = member.unused_data
        while not data.strip(b"\0") and (more := raw.read(_PIECE)):
            data = more
        data = data.lstrip(b"\0")
        if len(data) == 1:
            data += raw.read(_PIECE)
        if data and not data.startswith(GZIP):
            raise Broken("what follows the gzip stream is no gzip")


def _up_to_error(inflater: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    """What zlib had made of the data before it came upon the error: it tells only of calls that went well."""
    for at in range(len(data)):
        try:
            yield inflater.decompress(data[at : at + 1])
        except zlib.error:
            return


def _reason(error: Exception) -> str:
    return str(error).rpartition(": ")[2]


def unzstd(raw: Raw) -> Iterator[bytes]:
    """Frames one after the other, block by block (RFC 8878 section 3.1): so each block before a damage is given, and
    no more than a block lies in memory.
    """
    import zstandard  # few captures need it

    decompressor = zstandard.ZstdDecompressor()
    while magic := raw.read(4):
        if int.from_bytes(magic, "little") in _SKIPPABLE and len(magic) == 4:
            size = int.from_bytes(_exactly(raw, 4), "little")
            while size:
                size -= len(_exactly(raw, min(size, _MOST)))
            continue
        if magic != ZSTD:
            raise Broken("what follows the zstd frame is no zstd")
        yield from _frame(raw, decompressor.decompressobj(), zstandard.ZstdError)


def _frame(raw: Raw, frame: zstandard.ZstdDecompressionObj, refusal: type[Exception]) -> Iterator[bytes]:
    try:
        descriptor = _exactly(raw, 1)
        single, checksum = descriptor[0] >> 5 & 1, descriptor[0] >> 2 & 1
        fields = (1 - single) + (0, 1, 2, 4)[descriptor[0] & 3] + (single, 2, 4, 8)[descriptor[0] >> 6]
        yield frame.decompress(ZSTD + descriptor + _exactly(raw, fields))
        last = 0
        while not last:
            header = _exactly(raw, 3)
            packed = int.from_bytes(header, "little")
            last, kind, size = packed & 1, packed >> 1 & 3, packed >> 3
            if kind == _RESERVED or size > _BLOCK_MOST:
                raise Broken("the zstd stream is damaged (no block)")
            yield frame.decompress(header + _exactly(raw, 1 if kind == _RLE else size))
        if checksum:
            yield frame.decompress(_exactly(raw, 4))
    except refusal as error:
        raise Broken(f"the zstd stream is damaged ({_reason(error)})") from None


def _exactly(raw: Raw, size: int) -> bytes:
    data = raw.read(size)
    if len(data) < size:
        raise Broken("the zstd stream is cut off")
    return data
