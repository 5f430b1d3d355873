"""What a capture file calls the frames of a device (https://www.tcpdump.org/linktypes.html)."""

from __future__ import annotations

from netfs.capture.station.block import ETHERNET as WITH_MAC_HEADER

ETHERNET = 1
RAW = 101
"""They begin with IP."""


def of_device(arp_type: int) -> int:
    """The LINKTYPE_* of a device's frames, by its ARPHRD_*."""
    return ETHERNET if arp_type in WITH_MAC_HEADER else RAW
