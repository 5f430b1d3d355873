"""Values as containerd encodes them: varints, moments of Go, protobuf's Any; and buckets that are damaged."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from netfs.overlay.stores.bolt import Bolt
from netfs.overlay.stores.containerd import values
from netfs.overlay.stores.containerd.values import Records
from tests.unit.bolt_writer import database
from tests.unit.containerd_store import moment, packed, signed, unsigned


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 1 << 32, (1 << 64) - 1])
def test_an_unsigned_varint_is_the_number_that_was_written(number: int) -> None:
    assert values.unsigned(unsigned(number)) == number


@pytest.mark.parametrize(
    ("data", "number"), [(b"\x00", 0), (b"\x02", 1), (b"\x01", -1), (b"\x80\x80\xe6\x03", 3981312)]
)
def test_a_signed_varint_is_zig_zag(data: bytes, number: int) -> None:
    assert values.signed(data) == number
    assert number < 0 or signed(number) == data


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x01\x01", b"\xff" * 10, b"\xff" * 9 + b"\x02", None])
def test_what_is_no_varint_is_none(data: bytes | None) -> None:
    assert values.unsigned(data) is None
    assert values.signed(data) is None


@pytest.mark.parametrize(
    ("data", "text"),
    [
        # As containerd 1.6.20 wrote it, and what its `ctr snapshots info` said of it.
        (bytes.fromhex("010000000ee293c1861d0fcdd1ffff")[:9] + bytes.fromhex("110fcdd1ffff"), "2026-11-21T16:44:54"),
        (moment(datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)), "1969-12-31T23:59:59Z"),
        (moment(nanoseconds=120_000_000), "2026-01-02T03:04:05.12Z"),
        (moment(nanoseconds=1), "2026-01-02T03:04:05.000000001Z"),
        (b"\1" + bytes(12) + b"\xff\xff", "0001-01-01T00:00:00Z"),
        (b"\2" + moment()[1:13] + b"\x00\x3c\x00", "2026-01-02T03:04:05Z"),
        (moment()[:13] + b"\x00\x3c", "2026-01-02T03:04:05Z"),
    ],
)
def test_a_moment_is_told_as_rfc_3339_in_utc(data: bytes, text: str) -> None:
    assert values.moment(data).startswith(text)


@pytest.mark.parametrize(
    "data",
    [
        None,
        b"",
        moment()[:14],
        moment() + b"\0",
        b"\3" + moment()[1:],
        b"\1" + b"\x7f" + bytes(11) + b"\xff\xff",
        b"\1" + b"\xff" * 14,
        moment()[:9] + b"\xff\xff\xff\xff\xff\xff",
    ],
)
def test_what_is_no_moment_is_empty(data: bytes | None) -> None:
    assert values.moment(data) == ""


def test_any_is_its_kind_and_its_value() -> None:
    assert values.any_value(packed({"a": 1}, "kind")) == ("kind", b'{"a": 1}')
    assert values.any_document(packed({"a": 1})) == {"a": 1}


def test_fields_that_any_does_not_have_are_skipped() -> None:
    more = b"\x18\x96\x01" + b"\x21" + bytes(8) + b"\x2d" + bytes(4) + b"\x32\x02xx"
    assert values.any_value(more + packed([1], "kind") + more) == ("kind", b"[1]")


@pytest.mark.parametrize(
    "data", [None, b"", b"\x0a", b"\x12\x05{}", b"\x0b\x00", b"\x12\x04nope", b"\x12\x02{}\x21\x00", b"\xff" * 12]
)
def test_what_is_no_any_with_a_document_is_none(data: bytes | None) -> None:
    assert values.any_document(data) is None


def test_a_damaged_record_is_a_gap_and_the_others_are_read() -> None:
    data = bytearray(database({b"v1": {b"a": {b"k": b"v"}, b"b": {b"k": b"w"}}}))
    inline = data.index(b"kv") - 16 - 16 + 8
    data[inline] = 0xFF
    records = Records("/meta.db")
    found = {name: records.fields(bucket, "thing") for name, bucket in records.buckets(Bolt(bytes(data)).root, b"v1")}
    assert found == {"a": {}, "b": {"k": b"w"}}
    assert not records.whole
    assert [(gap.where, gap.what) for gap in records.gaps] == [("/meta.db", "thing")]


def test_gaps_are_not_without_end() -> None:
    records = Records("/meta.db")
    for number in range(1000):
        records.refused("thing", str(number))
    assert len(records.gaps) == 50
