"""Values as containerd writes them into its databases, and its buckets read with doubt.

Numbers are varints of Go's ``encoding/binary``, moments are ``time.Time.MarshalBinary``, a specification or an
extension is a protobuf ``Any`` (core/metadata/boltutil/helpers.go). What does not decode is empty: nothing is raised.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from netfs.model.gaps import Gap
from netfs.overlay.stores import documents
from netfs.overlay.stores.bolt import BoltError, Bucket

Fields = dict[str, bytes | Bucket]
"""What a record's bucket holds."""
_MOST_GAPS = 50
_MOST_FIELDS = 1_000_000
_DOCUMENT_BYTES = 4 << 20
_LONGEST_VARINT = 10
_LATEST_YEAR_S = 315537897600
"""Seconds from year 1 to year 10000."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def text(value: bytes | Bucket | None) -> str:
    """A string; empty for what is none."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def unsigned(value: bytes | Bucket | None) -> int | None:
    """An unsigned varint that is the whole value; None for anything else."""
    if not isinstance(value, bytes):
        return None
    number, end = _varint(value, 0)
    return number if end == len(value) else None


def signed(value: bytes | Bucket | None) -> int | None:
    """A signed (zig-zag) varint that is the whole value; None for anything else."""
    number = unsigned(value)
    return None if number is None else number >> 1 ^ -(number & 1)


def moment(value: bytes | Bucket | None) -> str:
    """A moment as RFC 3339 in UTC, its fraction without trailing zeros; empty for what is none.

    MarshalBinary: a version (1, or 2 with another byte for seconds of the offset), seconds since year 1, nanoseconds,
    minutes of the zone's offset, all big endian. The zone changes nothing about the moment.
    """
    if not isinstance(value, bytes) or (value[:1], len(value)) not in {(b"\1", 15), (b"\2", 16)}:
        return ""
    seconds = int.from_bytes(value[1:9], "big", signed=True)
    nanoseconds = int.from_bytes(value[9:13], "big")
    if not 0 <= seconds < _LATEST_YEAR_S or nanoseconds >= 1_000_000_000:
        return ""
    whole = datetime(1, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    fraction = f".{nanoseconds:09}".rstrip("0").rstrip(".")
    return f"{whole.replace(tzinfo=None).isoformat()}{fraction}Z"


def any_value(message: bytes) -> tuple[str, bytes]:
    """The ``type_url`` and ``value`` of a protobuf ``Any`` (google/protobuf/any.proto); empty where they are not there.

    As decoders do, the last field of a number counts, and fields of other numbers are skipped.
    """
    fields = {1: b"", 2: b""}
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            _, at = _varint(message, at)
        elif kind in {_FIXED64, _FIXED32}:
            at += 8 if kind == _FIXED64 else 4
        elif kind == _BYTES:
            length, at = _varint(message, at)
            if number in fields:
                fields[number] = message[at : at + length]
            at += length
        else:
            at = len(message) + 1
    if at != len(message):
        return "", b""
    return text(fields[1]), fields[2]


def any_document(value: bytes | Bucket | None) -> object:
    """The JSON in a protobuf ``Any``; None where there is none, or it is longer than is believed.

    containerd marshals specifications and extensions so (typeurl, types.go).
    """
    if not isinstance(value, bytes) or len(value) > _DOCUMENT_BYTES:
        return None
    try:
        return documents.parse(any_value(value)[1])
    except (ValueError, RecursionError):
        return None


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of 64 bits, and where it ends; beyond the end of the data where it is none."""
    number = 0
    for index, byte in enumerate(data[at : at + _LONGEST_VARINT]):
        number |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return (number, at + index + 1) if number < 1 << 64 else (0, len(data) + 1)
    return 0, len(data) + 1


class Records:
    """The buckets of one database. What is damaged becomes a gap, and the rest is read, up to any likely size."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.gaps: list[Gap] = []
        self._left = _MOST_FIELDS

    @property
    def whole(self) -> bool:
        """Whether everything that was asked for could be read."""
        return not self.gaps

    def buckets(self, parent: Bucket | None, *names: bytes) -> Iterator[tuple[str, Bucket]]:
        """The buckets in the bucket at the end of a path, by name; none where there is no such bucket."""
        try:
            bucket = parent.bucket(*names) if parent else None
            for key, value in self._items(bucket) if bucket else ():
                if isinstance(value, Bucket):
                    yield text(key), value
        except BoltError as error:
            self.damaged(names[-1].decode() if names else "records", error)

    def fields(self, bucket: Bucket, what: str) -> Fields:
        """What a record's bucket holds, by name; empty where it cannot be read."""
        try:
            return {text(key): value for key, value in self._items(bucket)}
        except BoltError as error:
            self.damaged(what, error)
            return {}

    def texts(self, value: bytes | Bucket | None, what: str) -> dict[str, str]:
        """A bucket of strings: labels; empty for what is none."""
        if not isinstance(value, Bucket):
            return {}
        return {key: text(found) for key, found in self.fields(value, what).items() if isinstance(found, bytes)}

    def _items(self, bucket: Bucket) -> Iterator[tuple[bytes, bytes | Bucket]]:
        for item in bucket.items():
            self._left -= 1
            if self._left < 0:
                self.refused("records", f"holds more than {_MOST_FIELDS}")
                return
            yield item

    def damaged(self, what: str, error: BoltError) -> None:
        """Write down that something could not be read."""
        self.refused(what, str(error))

    def refused(self, what: str, reason: str) -> None:
        """Write down that something makes no sense."""
        if len(self.gaps) < _MOST_GAPS:
            self.gaps.append(Gap(self.path, what, reason))
