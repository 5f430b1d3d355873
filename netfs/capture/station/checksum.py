"""The checksum of a datagram that leaves from another address than it was made for.

TCP and UDP sum up the addresses of the packet around them as well (RFC 9293 section 3.1, RFC 768). Which source a
packet has is the kernel's choice, of equal-cost routes by the lot of a hash, so it may be known only in the namespace.
"""

from __future__ import annotations

import socket
import struct

SUMMED = {socket.IPPROTO_TCP: 16, socket.IPPROTO_UDP: 6}
"""Protocols whose checksum takes in the addresses, and where it stands in the header. ICMPv6's is the kernel's work."""


def moved(data: bytes, protocol: int, old: str, new: str) -> bytes:
    """The datagram with the checksum that it has from source ``new``, instead of ``old``.

    What has no checksum of its addresses stays as it is: ICMP, and UDP that was made without one. Raises OSError for
    what is no address.
    """
    at = SUMMED.get(protocol)
    if at is None or old == new or len(data) < at + 2:
        return data
    before = int.from_bytes(data[at : at + 2], "big")
    if before == 0 and protocol == socket.IPPROTO_UDP:
        return data
    total = ~before & 0xFFFF  # RFC 1624 section 3: ~(~HC + ~m + m')
    total += sum(~word & 0xFFFF for word in _words(old)) + sum(_words(new))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    after = ~total & 0xFFFF
    if after == 0 and protocol == socket.IPPROTO_UDP:
        after = 0xFFFF
    return data[:at] + after.to_bytes(2, "big") + data[at + 2 :]


def _words(address: str) -> tuple[int, ...]:
    raw = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    return struct.unpack(f"!{len(raw) // 2}H", raw)
