"""Where a damaged pcapng goes on: at a block whose two lengths agree, and behind which another one begins."""

from __future__ import annotations

import struct

import numpy

from netfs.capture.file.pcapng_blocks import BYTE_ORDER, KNOWN, LEAST, SECTION
from netfs.capture.file.window import Window

LONGEST = 69632
"""Bytes of the longest block that is looked for: a packet of 64 KiB, and what is told of it."""
REACH = 3 * LONGEST
"""Bytes that must lie in the window behind what is judged."""
_STRIDE = 1 << 16


def next_block(window: Window, begin: int, order: str) -> int | None:
    """The first offset from ``begin`` on at which blocks make sense: two in a row, or one that ends the file.

    A section tells its own byte order. Only as much of the window is searched as allows to judge.
    """
    end = window.end - LEAST + 1 if window.ended else window.end - REACH
    for stride in range(begin, end, _STRIDE):
        for at in _candidates(window, stride, min(_STRIDE, end - stride), order):
            behind = _behind(window, at, order)
            if behind and (behind[0] == window.end or _behind(window, *behind)):
                return at
    return None


def _candidates(window: Window, begin: int, count: int, order: str) -> list[int]:
    """Offsets at which a block's header makes sense."""
    every = numpy.ndarray((count, 2), order + "u4", window.data, begin - window.base, (1, 4))
    kinds, sizes = every.T
    sized = numpy.flatnonzero((sizes & 3 == 0) & (sizes - LEAST < LONGEST) | (kinds == SECTION))
    found = sized[numpy.isin(kinds[sized], (*KNOWN, SECTION))]
    return (found + begin).tolist()  # type: ignore[no-any-return]  # numpy says: Any


def _behind(window: Window, at: int, order: str) -> tuple[int, str] | None:
    """The offset behind a block that makes sense, and the byte order there."""
    if at + LEAST > window.end:
        return None
    head = window.take(at, LEAST)
    if head[:4] == SECTION.to_bytes(4):
        own = BYTE_ORDER.get(head[8:])
        if own is None:
            return None
        order = own
    kind, size = struct.unpack_from(order + "II", head)
    if (kind not in KNOWN and kind != SECTION) or size % 4 or not LEAST <= size < LONGEST:
        return None
    if at + size > window.end or window.take(at + size - 4, 4) != struct.pack(order + "I", size):
        return None
    return at + size, order
