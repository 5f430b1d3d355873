"""The kernel's trace buffer in its own form: pages of records, and where fields lie in a record.

A page is ``struct buffer_data_page`` (kernel/trace/ring_buffer.c), as ``per_cpu/cpuN/trace_pipe_raw`` hands it out;
``events/header_page`` and each event's ``format`` tell where things lie, since that differs between kernels.
"""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

_FIELD = re.compile(r"field: *([^;\n]*);\s*offset:(\d+);\s*size:(\d+);")
_SYMBOL = re.compile(r'\{ *(0x[0-9a-fA-F]+|\d+), *"(\w+)" *\}')
_IDENTITY = re.compile(r"^ID: (\d+)$", re.MULTILINE)

_LARGEST, _PADDING, _EXTEND, _STAMP = 28, 29, 30, 31
"""``enum ring_buffer_type`` (include/linux/ring_buffer.h): up to 28, the length of a record in words of 4 bytes."""
_LENGTH = (1 << 30) - 1
"""Of a page's ``commit``: above lie RB_MISSED_EVENTS and RB_MISSED_STORED."""
_SINCE = (1 << 59) - 1
"""Bits of a time that a record of type 31 holds."""
_LITTLE = sys.byteorder == "little"
_CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}


class Format(NamedTuple):
    """One event's ``format``."""

    identity: int
    fields: dict[str, tuple[int, int]]
    """By name: offset in the record, size."""
    symbols: dict[int, str]
    """What ``__print_symbolic`` calls the numbers."""


class Layout(NamedTuple):
    """Where things lie in a page."""

    commit: int
    commit_size: int
    data: int
    size: int
    """Of the whole page."""


def read_format(text: str) -> Format:
    """An event's ``format`` file. Raises ValueError where it is none."""
    found = _IDENTITY.search(text)
    if found is None:
        raise ValueError("no ID")
    fields = {}
    for declared, offset, size in _FIELD.findall(text):
        name = declared.replace("[", " [").split()
        fields[next((word for word in reversed(name) if not word.startswith("[")), "")] = int(offset), int(size)
    return Format(int(found[1]), fields, {int(number, 0): name for number, name in _SYMBOL.findall(text)})


def read_layout(text: str) -> Layout:
    """``events/header_page``. Raises ValueError where it is none."""
    fields = {declared.split()[-1]: (int(offset), int(size)) for declared, offset, size in _FIELD.findall(text)}
    try:
        (commit, commit_size), (data, size) = fields["commit"], fields["data"]
    except KeyError as missing:
        raise ValueError(f"no {missing}") from missing
    if commit_size not in _CODES:
        raise ValueError(f"a commit of {commit_size} bytes")
    return Layout(commit, commit_size, data, data + size)


def reader(layout: Format, names: tuple[str, ...]) -> Callable[[bytes, int], tuple[int, ...]]:
    """What reads these fields, unsigned, of a record that begins at an offset of a page. Raises ValueError where the
    event lacks one; the reader raises ``struct.error`` where the record is too short.
    """
    if missing := [name for name in names if layout.fields.get(name, (0, 0))[1] not in _CODES]:
        raise ValueError(f"no field {missing[0]} of event {layout.identity}")
    text, at = "=", 0
    ordered = sorted(names, key=lambda name: layout.fields[name][0])
    for name in ordered:
        offset, size = layout.fields[name]
        if offset < at:
            raise ValueError(f"field {name} of event {layout.identity} lies in another")
        text, at = f"{text}{offset - at}x{_CODES[size]}", offset + size
    unpack = struct.Struct(text).unpack_from
    if ordered == list(names):
        return unpack
    order = [ordered.index(name) for name in names]

    def reordered(page: bytes, offset: int) -> tuple[int, ...]:
        values = unpack(page, offset)
        return tuple(values[index] for index in order)

    return reordered


def filled(page: bytes, layout: Layout) -> int:
    """Bytes of a page that hold something, its header included; 0 where it is no page."""
    if len(page) < layout.data:
        return 0
    commit = int.from_bytes(page[layout.commit : layout.commit + layout.commit_size], sys.byteorder)
    return min(len(page), layout.data + (commit & _LENGTH))


def records(page: bytes, layout: Layout) -> Iterator[tuple[int, int, int]]:
    """(time, offset, length) of each record of a page, as ``rb_iter_peek`` walks it; a damaged rest is left out."""
    end = filled(page, layout)
    if end < layout.data:
        return
    (now,) = struct.unpack_from("=Q", page)
    words = memoryview(page)[: len(page) // 4 * 4].cast("I")
    at = layout.data
    while at + 4 <= end:
        head = words[at >> 2]
        kind, delta = (head & 31, head >> 5) if _LITTLE else (head >> 27, head & 0x7FFFFFF)
        at += 4
        if 0 < kind <= _LARGEST:
            now += delta
            length = kind * 4
            if at + length > end:
                return
            yield now, at, length
            at += length
            continue
        if at + 4 > end or (kind == _PADDING and not delta):
            return
        word = words[at >> 2]
        if kind == _EXTEND:
            now += (word << 27) + delta
            at += 4
        elif kind == _STAMP:
            now = (now & ~_SINCE) | (((word << 27) + delta) & _SINCE)
            at += 4
        elif kind == _PADDING:
            at += (word + 3) & ~3
        else:
            now += delta
            length = ((word - 4) + 3) & ~3
            if word < 4 or at + 4 + length > end:
                return
            yield now, at + 4, length
            at += 4 + length
