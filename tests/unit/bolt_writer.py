"""Writes bbolt databases, for tests: buckets as dictionaries, on pages of any size and of either byte order.

    database({b"v1": {b"default": {b"version": b"\\x06"}}})

Small buckets without buckets lie inline, as bbolt's do; values longer than a page get overflow pages; a bucket that
does not fit one page gets branch pages above its leaves.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Union

from netfs.overlay.stores.bolt import fnv1a

Tree = Mapping[bytes, Union[bytes, "Tree"]]
BRANCH, LEAF, META, FREELIST = 1, 2, 4, 16


def database(tree: Tree, *, page_size: int = 4096, order: str = "<", txid: int = 7, inline: bool = True) -> bytes:
    """The file: two metas (the older one knows an empty tree), a freelist, an empty leaf, and the tree."""
    writer = _Writer(page_size, order, inline)
    empty = writer.page(LEAF, [])
    root = writer.bucket(tree)
    older, newer = (_meta(writer, place, number) for place, number in ((empty, txid - 1), (root, txid)))
    metas = (older, newer) if txid % 2 else (newer, older)
    for number, meta in enumerate(metas):
        writer.pages[number] = writer.filled(writer.header(number, META, 0, 0) + meta)
    return b"".join(writer.pages)


def _meta(writer: _Writer, root: int, txid: int) -> bytes:
    summed = struct.pack(
        writer.order + "IIIIQQQQQ", 0xED0CDAED, 2, writer.page_size, 0, root, 0, 2, len(writer.pages), txid
    )
    return summed + struct.pack(writer.order + "Q", fnv1a(summed))


class _Writer:
    def __init__(self, page_size: int, order: str, inline: bool) -> None:
        self.page_size = page_size
        self.order = order
        self.inline = inline
        self.pages = [b"", b"", b""]
        self.pages[2] = self.filled(self.header(2, FREELIST, 0, 0))

    def header(self, number: int, flags: int, count: int, overflow: int) -> bytes:
        return struct.pack(self.order + "QHHI", number, flags, count, overflow)

    def filled(self, data: bytes) -> bytes:
        return data.ljust(-(-len(data) // self.page_size) * self.page_size, b"\0")

    def page(self, flags: int, elements: list[tuple[int, bytes, bytes]]) -> int:
        """Append a page with its overflow; its number. An element is flags or a child, key, value."""
        number = len(self.pages)
        body = self.body(flags, elements)
        overflow = (16 + len(body) - 1) // self.page_size
        data = self.filled(self.header(number, flags, len(elements), overflow) + body)
        self.pages += [data[at : at + self.page_size] for at in range(0, len(data), self.page_size)]
        return number

    def body(self, flags: int, elements: list[tuple[int, bytes, bytes]]) -> bytes:
        heads, data = b"", b""
        for index, (number, key, value) in enumerate(elements):
            offset = 16 * (len(elements) - index) + len(data)
            if flags == LEAF:
                heads += struct.pack(self.order + "IIII", number, offset, len(key), len(value))
            else:
                heads += struct.pack(self.order + "IIQ", offset, len(key), number)
            data += key + value
        return heads + data

    def bucket(self, tree: Tree) -> int:
        """Write a bucket's pages; the number of the first."""
        elements = [self.element(key, tree[key]) for key in sorted(tree)]
        level = [(key, self.page(LEAF, page)) for key, page in self.split(elements)] or [(b"", self.page(LEAF, []))]
        while len(level) > 1:
            above = [(number, key, b"") for key, number in level]
            level = [(key, self.page(BRANCH, page)) for key, page in self.split(above)]
        return level[0][1]

    def element(self, key: bytes, value: bytes | Tree) -> tuple[int, bytes, bytes]:
        if isinstance(value, bytes):
            return 0, key, value
        plain = [(0, name, held) for name, held in sorted(value.items()) if isinstance(held, bytes)]
        body = self.body(LEAF, plain)
        if self.inline and len(plain) == len(value) and 16 + len(body) <= self.page_size // 4:
            return 1, key, struct.pack(self.order + "QQ", 0, 0) + self.header(0, LEAF, len(plain), 0) + body
        return 1, key, struct.pack(self.order + "QQ", self.bucket(value), 0)

    def split(self, elements: list[tuple[int, bytes, bytes]]) -> list[tuple[bytes, list[tuple[int, bytes, bytes]]]]:
        """Elements by page, each page with its first key: as many as fit, and two at least."""
        pages: list[list[tuple[int, bytes, bytes]]] = []
        room = 0
        for element in elements:
            need = 16 + len(element[1]) + len(element[2])
            if not pages or (need > room and len(pages[-1]) > 1):
                pages.append([])
                room = self.page_size - 16
            pages[-1].append(element)
            room -= need
        return [(page[0][1], page) for page in pages]
