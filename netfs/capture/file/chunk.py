"""What a reader of capture files yields: packets by the thousand, as columns over one buffer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy
from numpy.typing import NDArray

Column: TypeAlias = NDArray[numpy.int64]


@dataclass(frozen=True, slots=True)
class Interface:
    """Where packets were captured."""

    name: str
    """``if_name``, else ``if_description``, else its number; in pcap the empty string."""
    linktype: int
    """LINKTYPE_* (https://www.tcpdump.org/linktypes.html): 1 Ethernet, 101 raw IP, 113 and 276 Linux cooked, …"""
    snaplen: int
    """0: no limit."""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Damage:
    """A place from which a file could not be read as it should."""

    offset: int
    """Bytes from the beginning of the (decompressed) file."""
    what: str


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Consecutive packets. Each column has one entry a packet."""

    data: NDArray[numpy.uint8]
    """Bytes of the file; the packets lie in it. They are others once the next chunk is asked for."""
    start: Column
    """Offset in ``data`` of a packet's first byte."""
    captured: Column
    """Bytes captured; ``start + captured`` lies within ``data``."""
    length: Column
    """Bytes on the wire."""
    at_ns: Column
    """Nanoseconds since the epoch."""
    interface: Column
    """Index into the capture's interfaces."""
    first: int
    """Number of the first packet in its file, from 0."""
