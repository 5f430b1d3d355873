"""The file format: ``netfs.snapshot/v1`` as JSON, plain or compressed with Zstandard.

What is read is checked twice: its types against the records, and its values by ``validate``, so that
nothing that reasons over a snapshot meets an address that is none.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import msgspec

from netfs.errors import SnapshotError
from netfs.model.snapshot import SCHEMA, Snapshots
from netfs.sources.validate import InvalidError, validate

SUFFIXES = (".json", ".json.zst")
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
LARGEST = 2 << 30
"""Bytes of JSON that a compressed file may unfold to."""
WINDOW = 128 << 20
LEVEL = 6
HINT = "netfs collect -w FILE writes a new one"


class _Head(msgspec.Struct):
    """What every document of ours begins with."""

    schema: str = ""


@cache
def _decoder() -> msgspec.json.Decoder[Snapshots]:
    return msgspec.json.Decoder(Snapshots)


def encode(snapshots: Snapshots, *, compress: bool = False) -> bytes:
    """The document. Equal snapshots give equal bytes."""
    data = msgspec.json.encode(snapshots)
    if not compress:
        return data
    import zstandard

    return zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(data)


def decode(data: bytes, *, where: str = "", largest: int = LARGEST) -> Snapshots:
    """The snapshots of a document, plain or compressed. Raises SnapshotError, and nothing else."""
    if data.startswith(ZSTD_MAGIC):
        data = _unfold(data, where, largest)
    if len(data) > largest:
        raise SnapshotError(f"larger than {largest} bytes", where=where)
    try:
        snapshots = _decoder().decode(data)
        _check_schema(snapshots.schema, where)
        validate(snapshots)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise _explained(data, wrong, where) from None
    except InvalidError as wrong:
        raise SnapshotError(f"not a sound snapshot: {wrong}", where=where, hint=HINT) from None
    return snapshots


def read(path: str) -> Snapshots:
    """The snapshots of a file. Raises SnapshotError."""
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as failure:
        raise SnapshotError(f"cannot be read: {failure.strerror}", where=path) from None
    return decode(data, where=path)


def write(snapshots: Snapshots, path: Path) -> None:
    """Write a file whole or not at all; ``.zst`` at its end says compressed. Raises OSError."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with open(draft, "wb") as file:
            file.write(encode(snapshots, compress=path.suffix == ".zst"))
        os.replace(draft, path)
    except OSError as failure:
        raise OSError(failure.errno, failure.strerror, str(path)) from None
    finally:
        if os.path.lexists(draft):
            os.unlink(draft)


def _unfold(data: bytes, where: str, largest: int) -> bytes:
    import zstandard

    try:
        with zstandard.ZstdDecompressor(max_window_size=WINDOW).stream_reader(data) as reader:
            chunks: list[bytes] = []
            size = 0
            while chunk := reader.read(1 << 20):
                size += len(chunk)
                if size > largest:
                    raise SnapshotError(f"unfolds to more than {largest} bytes", where=where)
                chunks.append(chunk)
    except zstandard.ZstdError:
        raise SnapshotError("damaged: not a sound Zstandard file", where=where, hint=HINT) from None
    return b"".join(chunks)


def _check_schema(schema: str, where: str) -> None:
    if schema == SCHEMA:
        return
    kind = SCHEMA.partition("/")[0]
    if schema.startswith(f"{kind}/"):
        raise SnapshotError(f"of version {schema[:60]!r}; this netfs reads {SCHEMA}", where=where, hint=HINT)
    raise SnapshotError(f"a document of another kind: {schema[:60]!r}", where=where, hint=HINT)


def _explained(data: bytes, wrong: Exception, where: str) -> SnapshotError:
    """Say what a document is that could not be decoded: cut off, foreign, of another version, or wrong."""
    try:
        head = msgspec.json.decode(data, type=_Head)
    except msgspec.ValidationError:
        return SnapshotError("JSON, but not a netfs snapshot", where=where, hint=HINT)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if "truncated" in str(wrong):
            return SnapshotError("truncated: the document ends early", where=where, hint=HINT)
        return SnapshotError("not a netfs snapshot (not JSON)", where=where, hint=HINT)
    if not head.schema:
        return SnapshotError("JSON, but not a netfs snapshot", where=where, hint=HINT)
    try:
        _check_schema(head.schema, where)
    except SnapshotError as other:
        return other
    return SnapshotError(f"not as {SCHEMA} says: {str(wrong)[:200]}", where=where, hint=HINT)
