"""A chunk's packets read to their innermost header: level by level, all packets of a kind at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from netfs.capture.flows import link, network
from netfs.capture.flows.columns import Front, values, words
from netfs.capture.flows.dissection import Dissection

READ: dict[str, Callable[[Dissection, int, Front], None]] = {
    "ethernet": link.ethernet,
    "cooked": link.cooked,
    "cooked2": link.cooked2,
    "loopback": link.loopback,
    "raw": link.raw,
    "unknown": link.unknown,
    "ipv4": network.ipv4,
    "ipv6": network.ipv6,
}
LINKTYPES = {
    0: "loopback",
    1: "ethernet",
    12: "raw",
    14: "raw",
    101: "raw",
    108: "loopback",
    113: "cooked",
    228: "raw",
    229: "raw",
    276: "cooked2",
}
"""LINKTYPE_* (https://www.tcpdump.org/linktypes.html), and the numbers that raw IP has in files of BSD."""


def dissect(d: Dissection) -> None:
    """Reads all packets from their link layer on."""
    chunk = d.chunk
    rows = np.arange(d.count, dtype=np.int64)
    front = Front(rows, chunk.start, chunk.start + chunk.captured)
    if chunk.interface.any():
        d.tap(rows, words(chunk.interface) << np.uint64(32))
    kinds = d.linktypes[chunk.interface]
    for kind in values(kinds):
        d.later(LINKTYPES.get(kind, "unknown"), 0, front.where(kinds == kind))
    read_on(d)


def read_on(d: Dissection) -> None:
    """Reads what is left to read, until nothing is."""
    while d.todo:
        header, level, front = d.todo.popleft()
        READ[header](d, level, front)
