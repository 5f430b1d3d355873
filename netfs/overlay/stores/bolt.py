"""bbolt: the database in which containerd, BuildKit and Podman 4 write what they know. Read from bytes, never locked.

A file is pages; pages make B+ trees; a tree is a bucket, and a value may be a bucket in turn (bbolt,
``internal/common/{page,meta,bucket,inode}.go``). Two pages, the metas, take turns in saying where the newest tree
begins. Numbers are in the byte order of the machine that wrote them, pages as large as its own.

The engine holds an exclusive lock on its database as long as it runs, and waits for nobody who would take it: so it is
not taken here. bbolt writes a new tree beside the old one and then a meta; pages of the old tree are written over only
after that. A file whose metas are the same after it was read as before was read whole (``load``).
"""

from __future__ import annotations

import struct
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from netfs.overlay.disk.root import Root

LIMIT = 128 << 20
"""Bytes of the largest database that is read."""
_MAGIC, _VERSION = 0xED0CDAED, 2
_BRANCH, _LEAF, _META = 0x01, 0x02, 0x04
_BUCKET = 0x01
_HEADER, _ELEMENT, _BUCKET_HEADER = 16, 16, 16
_META_BYTES, _SUMMED = 64, 56
_SMALLEST_PAGE, _LARGEST_PAGE = 512, 1 << 24
_SECOND_META = tuple(1024 << shift for shift in range(15))
"""Where the second meta may begin when the first is damaged (bbolt, ``getPageSizeFromSecondMeta``)."""
_DEEPEST = 64
"""Pages from a bucket's root to a leaf. Each has two children at least: no file is deeper."""
_TRIES = 12
_PAUSE_S = 0.005


class BoltError(ValueError):
    """The file is no bbolt database, or damaged, or was being written.

    ``offset`` is the byte of the file where that was seen.
    """

    def __init__(self, what: str, offset: int) -> None:
        super().__init__(f"{what} (at byte {offset})")
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Meta:
    """What a meta page says."""

    order: str
    """``<`` or ``>``."""
    page_size: int
    root: int
    """The page at which the topmost bucket begins."""
    pages: int
    """The first page that was never used."""
    txid: int
    at: int
    """Its offset in the file."""


class _Page(NamedTuple):
    at: int
    end: int
    leaf: bool
    elements: int
    inline: bool


class _Element(NamedTuple):
    key: bytes
    at: int
    """Of a leaf: where its value begins. Of a branch: where the element itself is."""
    end: int
    child: int
    """Of a branch: the page below it. Of a leaf: 1 for a bucket, 0 for a value."""


class _Visit(NamedTuple):
    page: _Page
    depth: int
    first: bytes
    """The smallest key that it may hold."""
    end: bytes | None
    """The first key that it may not hold; None: it may hold any."""

    def holds(self, first: bytes, last: bytes) -> bool:
        """Whether it may hold keys from one to another."""
        return self.first <= first and (self.end is None or last < self.end)


class Bolt:
    """A database, from the bytes of its file. Raises BoltError where neither meta is whole.

    Everything else is looked at when it is asked for, and every method may raise BoltError then. What is given is
    checked: page numbers and lengths lie in the file, no page is reached by two ways, elements do not overlap, keys
    ascend. So reading everything takes no longer than the file is long, however it was made.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.meta = newest_meta(data)
        order = self.meta.order
        self._page_header = struct.Struct(order + "QHHI").unpack_from
        self._leaf_element = struct.Struct(order + "IIII").unpack_from
        self._branch_element = struct.Struct(order + "IIQ").unpack_from
        self._bucket_header = struct.Struct(order + "QQ").unpack_from
        self._claims: dict[int, int] = {}
        """Which reference, by its offset, leads to a page. The metas are claimed by nobody."""

    @property
    def root(self) -> Bucket:
        """The topmost bucket: all it holds are buckets."""
        return Bucket(self, self.meta.root, self.meta.at)

    def page(self, number: int, reference: int) -> _Page:
        """The page that the bytes at ``reference`` lead to."""
        meta = self.meta
        if not 2 <= number < meta.pages:
            raise BoltError(f"no page {number}", reference)
        at = number * meta.page_size
        if at + _HEADER > len(self._data):
            raise BoltError(f"the file ends before page {number}", len(self._data))
        own, flags, count, overflow = self._page_header(self._data, at)
        if own != number or flags not in {_BRANCH, _LEAF}:
            raise BoltError(f"page {number} is no page of a tree", at)
        end = at + (overflow + 1) * meta.page_size
        if end > len(self._data) or number + overflow >= meta.pages:
            raise BoltError(f"page {number} is longer than the file", at)
        if self._claims.get(number) != reference:
            for each in range(number, number + overflow + 1):
                if self._claims.setdefault(each, reference) != reference:
                    raise BoltError(f"page {each} is in two places of the tree", reference)
        return self._checked(_Page(at, end, flags == _LEAF, count, False))

    def inline_page(self, at: int, end: int) -> _Page:
        """The page of a small bucket, which lies in the value itself."""
        if at + _HEADER > end:
            raise BoltError("a bucket has no room for its page", at)
        _, flags, count, _ = self._page_header(self._data, at)
        if flags != _LEAF:
            raise BoltError("a bucket's own page is no leaf", at)
        return self._checked(_Page(at, end, True, count, True))

    def bucket(self, at: int, end: int) -> Bucket:
        """The bucket whose value lies there."""
        if at + _BUCKET_HEADER > end:
            raise BoltError("a bucket is shorter than its header", at)
        root, _ = self._bucket_header(self._data, at)
        return Bucket(self, root, at, end)

    def elements(self, page: _Page) -> list[_Element]:
        """What a page holds, in order."""
        data, read = self._data, self._leaf_element if page.leaf else self._branch_element
        first = page.at + _HEADER
        free, before = first + page.elements * _ELEMENT, b""
        found: list[_Element] = []
        for at in range(first, free, _ELEMENT):
            if page.leaf:
                flags, offset, key_bytes, value_bytes = read(data, at)
            else:
                offset, key_bytes, flags = read(data, at)
                value_bytes = 0
            begin = at + offset
            value = begin + key_bytes
            if begin < free or value + value_bytes > page.end:
                raise BoltError("an element lies outside of its page, or in another", at)
            free = value + value_bytes
            key = data[begin:value]
            if found and key <= before:
                raise BoltError("keys are not in order", at)
            before = key
            if page.leaf:
                found.append(_Element(key, value, free, flags & _BUCKET))
            else:
                found.append(_Element(key, at, free, flags))
        return found

    def value(self, element: _Element) -> bytes:
        """The bytes of a leaf's element."""
        return self._data[element.at : element.end]

    def _checked(self, page: _Page) -> _Page:
        if page.at + _HEADER + page.elements * _ELEMENT > page.end:
            raise BoltError("a page has more elements than room", page.at)
        if not page.leaf and not page.elements:
            raise BoltError("a branch has no children", page.at)
        return page


class Bucket:
    """A bucket: keys in order, each with a value or with another bucket. Its methods may raise BoltError."""

    def __init__(self, bolt: Bolt, root: int, at: int, end: int = 0) -> None:
        self._bolt = bolt
        self._root = root
        """The page of its tree; 0: the page follows its header."""
        self._at = at
        self._end = end

    def bucket(self, *names: bytes) -> Bucket | None:
        """The bucket at the end of a path of buckets; None: there is none."""
        here = self
        for name in names:
            element = here._find(name)
            if element is None or not element.child:
                return None
            here = here._bolt.bucket(element.at, element.end)
        return here

    def get(self, key: bytes) -> bytes | None:
        """The value of a key; None: there is none, or it is a bucket."""
        element = self._find(key)
        return None if element is None or element.child else self._bolt.value(element)

    def items(self) -> Iterator[tuple[bytes, bytes | Bucket]]:
        """Everything in it, in the order of its keys."""
        bolt = self._bolt
        waiting = [_Visit(self._first(), 1, b"", None)]
        while waiting:
            visit = waiting.pop()
            page = visit.page
            elements = bolt.elements(page)
            if elements and not visit.holds(elements[0].key, elements[-1].key):
                raise BoltError("keys are not those that the branch above tells", page.at)
            if not page.leaf:
                waiting.extend(reversed(self._below(visit, elements)))
                continue
            for element in elements:
                yield element.key, self._nested(page, element) if element.child else bolt.value(element)

    def _below(self, visit: _Visit, elements: list[_Element]) -> list[_Visit]:
        """The children of a branch, with the keys that each may hold: the first may hold smaller ones than it tells."""
        starts = [visit.first, *(element.key for element in elements[1:])]
        ends = [*starts[1:], visit.end]
        return [
            _Visit(self._child(element, visit.depth), visit.depth + 1, first, end)
            for element, first, end in zip(elements, starts, ends, strict=True)
        ]

    def _first(self) -> _Page:
        if self._root:
            return self._bolt.page(self._root, self._at)
        return self._bolt.inline_page(self._at + _BUCKET_HEADER, self._end)

    def _child(self, element: _Element, depth: int) -> _Page:
        if depth >= _DEEPEST:
            raise BoltError("a tree is too deep", element.at)
        return self._bolt.page(element.child, element.at)

    def _nested(self, page: _Page, element: _Element) -> Bucket:
        if page.inline:
            raise BoltError("a bucket lies in an inline bucket", element.at)
        return self._bolt.bucket(element.at, element.end)

    def _find(self, key: bytes) -> _Element | None:
        page, depth = self._first(), 1
        while not page.leaf:
            elements = self._bolt.elements(page)
            place = max(bisect_right(elements, key, key=_key) - 1, 0)
            page, depth = self._child(elements[place], depth), depth + 1
        elements = self._bolt.elements(page)
        place = bisect_left(elements, key, key=_key)
        if place == len(elements) or elements[place].key != key:
            return None
        if elements[place].child:
            self._nested(page, elements[place])
        return elements[place]


def load(root: Root, path: str) -> Bolt:
    """The database of that path, as it was at one moment, while its engine may be writing.

    Raises OSError where the file cannot be read, BoltError where it is no database or does not stand still.
    """
    data = root.read(path, LIMIT)
    for attempt in range(_TRIES):
        again = root.read(path, LIMIT)
        if _txids(data) == _txids(again):
            return Bolt(data)
        data = again
        time.sleep(_PAUSE_S * attempt)
    raise BoltError("it is written faster than it can be read", 0)


def newest_meta(data: bytes) -> Meta:
    """The meta that counts: of those that are whole, the one written last. Raises BoltError where neither is."""
    metas = _metas(data)
    if not metas:
        raise BoltError("no bbolt database, or both of its metas are damaged", 0)
    return max(metas, key=lambda meta: meta.txid)


def _metas(data: bytes) -> list[Meta]:
    first = _meta(data, 0)
    places = _SECOND_META if first is None else (first.page_size,)
    second = next((meta for at in places if (meta := _meta(data, at)) and meta.page_size == at), None)
    return [meta for meta in (first, second) if meta is not None]


def _txids(data: bytes) -> list[int]:
    return [meta.txid for meta in _metas(data)]


def _meta(data: bytes, page_at: int) -> Meta | None:
    at = page_at + _HEADER
    if at + _META_BYTES > len(data):
        return None
    for order in "<>":
        _, flags, _, _ = struct.unpack_from(order + "QHHI", data, page_at)
        magic, version, page_size, _, root, _, _, pages, txid, checksum = struct.unpack_from(
            order + "IIIIQQQQQQ", data, at
        )
        if magic != _MAGIC:
            continue
        whole = flags == _META and version == _VERSION and checksum == fnv1a(data[at : at + _SUMMED])
        if whole and _SMALLEST_PAGE <= page_size <= _LARGEST_PAGE:
            return Meta(order, page_size, root, pages, txid, at)
    return None


def fnv1a(data: bytes) -> int:
    """The 64 bit FNV-1a hash (draft-eastlake-fnv) by which a meta knows that it is whole."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def _key(element: _Element) -> bytes:
    return element.key
