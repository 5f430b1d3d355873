"""One packet that a tap on all devices saw more than once: at each device that it passed.

A cooked capture (``tcpdump -i any``) has one interface for all devices. So a packet of a bridge's port is there three
times, and that is no retransmission, nor are there three questions. A copy is told by what no device changes: its
headers from the outermost IP header on, without TTL and checksums (one is made at the last moment, by the first device
that cannot). Linux gives a segment that is sent again another identification (``__ip_queue_xmit``); where there is
none, as in a SYN-ACK and in IPv6, what is equal is a copy only shortly after it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netfs.capture.flows.columns import Front, Mask, Rows, Words, mix, words
from netfs.capture.flows.dissection import Counter, Dissection

NEAR_NS = 100_000_000
"""What comes later is sent again: TCP waits for 200 ms at least (TCP_RTO_MIN, include/net/tcp.h)."""
MOST = 1 << 16
"""Packets that are remembered for the next chunk."""
LOOKED_AT = 12
"""Words of eight bytes: outer headers, and inner ones up to TCP's timestamps."""
TCP, UDP = 6, 17
ALL = 0xFFFFFFFFFFFFFFFF
WITHOUT: tuple[tuple[int, int, int | None, int], ...] = (
    (4, 1, None, 0x00FF0000FFFFFFFF),
    (4, 4, TCP, 0xFFFFFFFF0000FFFF),
    (4, 3, UDP, 0xFFFF0000FFFFFFFF),
    (6, 0, None, 0xFFFFFFFFFFFFFF00),
    (6, 7, TCP, 0x0000FFFFFFFFFFFF),
    (6, 5, UDP, 0xFFFFFFFFFFFF0000),
)
"""(version, word, protocol or any, what of the word is looked at)."""


class Copies:
    """Packets of cooked captures of all chunks so far."""

    def __init__(self) -> None:
        self._known: Words = np.zeros(0, np.uint64)
        self._at: Counter = np.zeros(0, np.int64)

    def of(self, d: Dissection) -> Rows:
        """The packets of a chunk that were there before, at another device."""
        if not d.cooked:
            return np.zeros(0, np.int64)
        rows = np.concatenate([front.rows for front in d.cooked])
        found = np.concatenate([_identity(d, front) for front in d.cooked])
        order = np.argsort(rows)
        rows, found = rows[order], found[order]
        known = len(self._known)
        found = np.concatenate([self._known, found])
        at = np.concatenate([self._at, d.chunk.at_ns[rows]])
        self._known, self._at = found[-MOST:], at[-MOST:]
        order = np.argsort(found, kind="stable")
        found, at = found[order], at[order]
        again = np.zeros(len(found), np.bool_)
        again[1:] = (found[1:] == found[:-1]) & (np.abs(at[1:] - at[:-1]) < NEAR_NS)
        places = order[again]
        return rows[places[places >= known] - known]


def _identity(d: Dissection, front: Front) -> Words:
    """A hash of what is the same at every device."""
    at, end = front.at, front.end
    columns: dict[int, Words] = {LOOKED_AT: words(d.chunk.interface[front.rows])}
    for number in range(LOOKED_AT):
        column = columns[number] = np.zeros(len(front), np.uint64)
        whole = at + 8 * (number + 1) <= end
        column[whole] = _words(d.data, at[whole] + 8 * number)
    first, second = columns[0], columns[1]
    four: Mask = first >> np.uint64(60) == 4
    proto = np.where(four, second >> np.uint64(48) & np.uint64(0xFF), first >> np.uint64(8) & np.uint64(0xFF))
    for version, number, wanted, kept in WITHOUT:
        chosen = four if version == 4 else ~four
        chosen = chosen if wanted is None else chosen & (proto == wanted)
        columns[number] &= np.where(chosen, np.uint64(kept), np.uint64(ALL))
    return mix(columns, len(front))


def _words(data: NDArray[np.uint8], at: Counter) -> Words:
    every = np.ndarray((max(len(data) - 7, 0),), ">u8", data, strides=(1,))
    return every[at].astype(np.uint64)
