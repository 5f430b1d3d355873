"""bbolt databases: what is read of whole ones, of any page size and byte order, and of damaged ones."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from netfs.overlay.disk.root import Root
from netfs.overlay.stores import bolt
from netfs.overlay.stores.bolt import Bolt, BoltError, Bucket, fnv1a
from tests.unit.bolt_writer import Tree, database

SMALL: Tree = {b"v1": {b"one": b"1", b"two": {b"three": b"3"}, b"empty": {}}}
WIDE: Tree = {
    b"wide": {b"key%05d" % number: b"value %d" % number for number in range(3000)},
    b"long": {b"text": b"x" * 30_000, b"after": b"y"},
    b"deep": {b"a": {b"b": {b"c": {b"d": b"e"}}}},
    b"many": {b"bucket%03d" % number: {b"id": b"%d" % number} for number in range(300)},
}


def tree(bucket: Bucket) -> dict[bytes, object]:
    return {key: tree(value) if isinstance(value, Bucket) else value for key, value in bucket.items()}


def everything(bucket: Bucket) -> Iterator[bytes]:
    for key, value in bucket.items():
        if isinstance(value, Bucket):
            yield from everything(value)
        else:
            assert bucket.get(key) == value
            yield value


@pytest.mark.parametrize("page_size", [512, 1024, 4096, 16384, 65536])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("inline", [True, False])
def test_what_was_written_is_read_with_every_page_size_and_byte_order(page_size: int, order: str, inline: bool) -> None:
    data = database(WIDE, page_size=page_size, order=order, inline=inline)
    assert tree(Bolt(data).root) == WIDE


def test_a_key_is_found_without_reading_the_others() -> None:
    read = Bolt(database(WIDE)).root
    wide = read.bucket(b"wide")
    assert wide is not None
    assert [wide.get(b"key%05d" % number) for number in (0, 1499, 2999)] == [b"value 0", b"value 1499", b"value 2999"]
    assert wide.get(b"key") is None
    assert wide.get(b"zzz") is None
    found = read.bucket(b"deep", b"a", b"b", b"c")
    assert found is not None
    assert found.get(b"d") == b"e"


def test_a_value_is_no_bucket_and_a_bucket_no_value() -> None:
    read = Bolt(database(SMALL)).root
    assert read.get(b"v1") is None
    assert read.bucket(b"v1", b"one") is None
    assert read.bucket(b"v1", b"nothing", b"below") is None
    assert read.bucket() is read


def test_the_meta_that_was_written_last_counts() -> None:
    for txid in (6, 7):
        assert Bolt(database(SMALL, txid=txid)).meta.txid == txid


@pytest.mark.parametrize("txid", [6, 7])
def test_where_the_newer_meta_is_torn_the_older_counts(txid: int) -> None:
    data = bytearray(database(SMALL, txid=txid))
    data[txid % 2 * 4096 + 16 + 40] ^= 1
    assert Bolt(bytes(data)).meta.txid == txid - 1
    assert tree(Bolt(bytes(data)).root) == {}


def test_without_the_first_meta_the_second_is_found_at_its_page_size() -> None:
    data = bytearray(database(SMALL, page_size=16384))
    data[:4096] = bytes(4096)
    assert tree(Bolt(bytes(data)).root) == SMALL


def test_the_checksum_is_fnv_1a() -> None:
    assert fnv1a(b"") == 0xCBF29CE484222325
    assert fnv1a(b"foobar") == 0x85944171F73967E8


@pytest.mark.parametrize("data", [b"", b"\0" * 16, b"SQLite format 3\0" * 1000, bytes(8192)])
def test_what_is_no_database_is_refused(data: bytes) -> None:
    with pytest.raises(BoltError, match="no bbolt database"):
        Bolt(data)


def page(data: bytes, number: int) -> tuple[int, int, int, int]:
    found: tuple[int, int, int, int] = struct.unpack_from("<QHHI", data, number * 4096)
    return found


def change(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def test_a_page_that_is_reached_by_two_ways_is_refused() -> None:
    data = database({b"a": {b"x": {}}, b"b": {b"y": {}}}, inline=False)
    root = Bolt(data).meta.root
    leaf = root * 4096 + 16
    first, second = (at + struct.unpack_from("<I", data, at + 4)[0] + 1 for at in (leaf, leaf + 16))
    with pytest.raises(BoltError, match="in two places"):
        tree(Bolt(change(data, second, data[first : first + 8])).root)


def test_a_bucket_that_holds_itself_is_refused() -> None:
    data = database({b"a": {b"x": {}}}, inline=False)
    root = Bolt(data).meta.root
    leaf = root * 4096 + 16
    at = leaf + struct.unpack_from("<I", data, leaf + 4)[0] + 1
    with pytest.raises(BoltError, match="in two places"):
        tree(Bolt(change(data, at, struct.pack("<Q", root))).root)


@pytest.mark.parametrize(
    ("at", "new", "reason"),
    [
        (0, struct.pack("<Q", 99), "no page of a tree"),
        (8, struct.pack("<H", 16), "no page of a tree"),
        (8, struct.pack("<H", 3), "no page of a tree"),
        (10, struct.pack("<H", 60000), "more elements than room"),
        (12, struct.pack("<I", 1 << 31), "longer than the file"),
        (16 + 4, struct.pack("<I", 0), "lies outside"),
        (16 + 4, struct.pack("<I", 1 << 31), "lies outside"),
        (16 + 8, struct.pack("<I", 1 << 31), "lies outside"),
        (16 + 12, struct.pack("<I", 1 << 31), "lies outside"),
        (32 + 8, struct.pack("<I", 0), "not in order"),
    ],
)
def test_damage_of_a_leaf_is_told_with_its_place(at: int, new: bytes, reason: str) -> None:
    data = database({b"a": {b"k%d" % number: b"v" for number in range(9)}}, inline=False)
    number = next(n for n in range(2, len(data) // 4096) if page(data, n)[1:3] == (2, 9))
    with pytest.raises(BoltError, match=reason) as refused:
        tree(Bolt(change(data, number * 4096 + at, new)).root)
    assert number * 4096 <= refused.value.offset < (number + 1) * 4096


def test_a_bucket_in_an_inline_bucket_is_refused() -> None:
    data = database({b"a": {b"inner": b"x" * 16}})
    at = data.index(b"inner" + b"x" * 16) - 16
    with pytest.raises(BoltError, match="inline bucket"):
        tree(Bolt(change(data, at, struct.pack("<I", 1))).root)


def test_a_file_that_was_cut_off_says_where() -> None:
    data = database(WIDE)
    with pytest.raises(BoltError, match="the file ends before page") as refused:
        tree(Bolt(data[: 3 * 4096]).root)
    assert refused.value.offset == 3 * 4096


@pytest.mark.parametrize("seed", range(60))
def test_damage_gives_an_answer_or_a_bolt_error(seed: int) -> None:
    choose = random.Random(seed)
    data = bytearray(database(WIDE if seed % 2 else SMALL, page_size=choose.choice([512, 4096])))
    for _ in range(choose.choice([1, 3, 30])):
        data[choose.randrange(len(data))] = choose.choice([0, 1, 0xFF, choose.randrange(256)])
    damaged = bytes(data[: choose.randrange(len(data))] if seed % 5 == 0 else data)
    try:
        values = list(everything(Bolt(damaged).root))
    except BoltError as error:
        assert 0 <= error.offset <= len(damaged)  # noqa: PT017  both ways are right
    else:
        assert sum(map(len, values)) <= len(damaged)


class Writing(Root):
    """A root whose database is written to between two looks at it."""

    def __init__(self, path: Path, versions: list[bytes]) -> None:
        super().__init__(str(path))
        self.versions = versions

    def read(self, path: str, limit: int = 64 << 20) -> bytes:
        return self.versions.pop(0) if len(self.versions) > 1 else self.versions[0]


def test_a_database_that_changes_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    versions = [database({b"v%d" % txid: {}}, txid=txid) for txid in (5, 6, 7)]
    assert bolt.load(Writing(tmp_path, versions), "db").meta.txid == 7


def test_a_database_that_never_stands_still_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bolt, "_PAUSE_S", 0)
    versions = [database(SMALL, txid=txid) for txid in range(5, 60)]
    with pytest.raises(BoltError, match="written faster"):
        bolt.load(Writing(tmp_path, versions), "db")


def test_a_database_is_found_below_the_root(tmp_path: Path) -> None:
    (tmp_path / "meta.db").write_bytes(database(SMALL))
    with Root(str(tmp_path)) as root:
        assert tree(bolt.load(root, "/meta.db").root) == SMALL
        with pytest.raises(FileNotFoundError):
            bolt.load(root, "/other.db")
