"""Frames as the kernel lays them into a block of a packet ring (``struct tpacket3_hdr``, linux/if_packet.h).

The station hands blocks up as they are, so that a frame costs it next to nothing; here they are read, by whoever
started it, in the byte order of the node. Every offset is checked: a block may come from another machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from netfs.capture.station.wire import WireError

HEADERS = {order: Struct(sign + "6I2H 4xIH2x 8x" + "4xiHB") for order, sign in (("little", "<"), ("big", ">"))}
"""``tpacket3_hdr``: tp_next_offset, tp_sec, tp_nsec, tp_snaplen, tp_len, tp_status, tp_mac, tp_net, tp_vlan_tci,
tp_vlan_tpid; behind it ``sockaddr_ll``: sll_ifindex, sll_hatype, sll_pkttype."""
VLAN_VALID = 1 << 4
"""TP_STATUS_VLAN_VALID: the kernel took a tag out of the frame."""
TPID_VALID = 1 << 6
ETH_P_8021Q = 0x8100
ADDRESSES = 12
"""Bytes of Ethernet's two addresses; a tag stands behind them (IEEE 802.1Q section 9.3)."""
ETHERNET = frozenset({1, 772})
"""ARPHRD_ETHER, ARPHRD_LOOPBACK."""


class Frame(NamedTuple):
    """One frame at one device."""

    node: str
    netns: int
    """``NetNs.id``."""
    ifindex: int
    """``sll_ifindex``."""
    pkttype: int
    """PACKET_*: 0 to this host, 1 broadcast, 2 multicast, 3 to another host, 4 outgoing."""
    hatype: int
    """ARPHRD_* of the device: 1 Ethernet, 772 loopback, 768 IPIP, 65534 none, …"""
    at_ns: int
    """Nanoseconds since the epoch, by the node's clock."""
    length: int
    """Bytes on the wire."""
    data: bytes


def frames(block: bytes, count: int, byteorder: str, node: str, netns: int) -> Iterator[Frame]:
    """The frames of a block of one post, VLAN tags put back. Raises WireError where it is damaged."""
    header = HEADERS[byteorder]
    read, room = header.unpack_from, len(block) - header.size
    at = 0
    for _ in range(count):
        if not 0 <= at <= room:
            raise WireError(f"a frame at {at} of {len(block)} bytes")
        step, seconds, ns, kept, length, status, mac, _net, tci, tpid, index, hatype, pkttype = read(block, at)
        start = at + mac
        if start + kept > len(block):
            raise WireError(f"a frame of {kept} bytes at {start} of {len(block)}")
        data = block[start : start + kept]
        if status & VLAN_VALID and kept >= ADDRESSES and hatype in ETHERNET:
            tag = (tpid if status & TPID_VALID else ETH_P_8021Q) << 16 | tci
            data = data[:ADDRESSES] + tag.to_bytes(4) + data[ADDRESSES:]
            length += 4
        yield Frame(node, netns, index, pkttype, hatype, seconds * 1_000_000_000 + ns, length, data)
        at += step
