"""Headers as numpy records: fields by offset, in network byte order.

Fields that are only ever read together are one wider field: IPv4's addresses are ``pair`` (source in the upper half),
ports are ``ports`` (likewise). A field of six bytes is read as eight that hold it.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def _header(size: int, **fields: tuple[str, int]) -> np.dtype[Any]:
    """A record of ``size`` bytes; a field is its format and its offset."""
    return np.dtype(
        {
            "names": list(fields),
            "formats": [form for form, _ in fields.values()],
            "offsets": [offset for _, offset in fields.values()],
            "itemsize": size,
        }
    )


ETHERNET = _header(14, dst_wide=(">u8", 0), src_wide=(">u8", 4), type=(">u2", 12))
"""IEEE 802.3 clause 3. ``dst_wide`` has two bytes of the source behind it, ``src_wide`` two of the destination."""

VLAN = _header(4, tci=(">u2", 0), type=(">u2", 2))
"""IEEE 802.1Q clause 9.6."""

COOKED = _header(16, way=(">u2", 0), address_length=(">u2", 4), address=(">u8", 6), type=(">u2", 14))
"""LINKTYPE_LINUX_SLL: packet type, ARPHRD, length of the address, 8 bytes of address, protocol."""

COOKED2 = _header(
    20, type=(">u2", 0), ifindex=(">u4", 4), way=("u1", 10), address_length=("u1", 11), address=(">u8", 12)
)
"""LINKTYPE_LINUX_SLL2: protocol, reserved, interface index, ARPHRD, packet type, length of the address, address."""

ARP = _header(28, formats=(">u8", 0), sender_mac_wide=(">u8", 6), sender=(">u4", 14), target=(">u4", 24))
"""RFC 826, with Ethernet and IPv4 addresses: ``formats`` is hardware, protocol, their lengths and the operation;
``sender_mac_wide`` begins with the operation."""

IPV4 = _header(
    20,
    version=("u1", 0),
    length=(">u2", 2),
    id=(">u2", 4),
    fragment=(">u2", 6),
    ttl=("u1", 8),
    proto=("u1", 9),
    pair=(">u8", 12),
)
"""RFC 791 section 3.1."""

IPV6 = _header(
    40,
    version=("u1", 0),
    length=(">u2", 4),
    next=("u1", 6),
    hops=("u1", 7),
    src_high=(">u8", 8),
    src_low=(">u8", 16),
    dst_high=(">u8", 24),
    dst_low=(">u8", 32),
)
"""RFC 8200 section 3."""

EXTENSION = _header(2, next=("u1", 0), length=("u1", 1))
"""RFC 8200 section 4.2: the length is in units of 8 bytes after the first 8; AH's (RFC 4302) in units of 4 after 8."""

FRAGMENT = _header(8, next=("u1", 0), offset=(">u2", 2), id=(">u4", 4))
"""RFC 8200 section 4.5: the lowest bit of ``offset`` says that more follow."""

PORTS = _header(4, ports=(">u4", 0))
"""Where TCP, UDP, UDP-Lite, DCCP and SCTP all have them."""

TCP = _header(14, sequence=(">u4", 4), offset=("u1", 12), flags=("u1", 13))
"""RFC 9293 section 3.1, up to its flags."""

UDP = _header(8, sport=(">u2", 0), dport=(">u2", 2), length=(">u2", 4))
"""RFC 768."""

ICMP = _header(8, type=("u1", 0), code=("u1", 1), rest=(">u4", 4))
"""RFC 792; RFC 4443 section 2.1. ``rest`` holds the MTU: its lower half in RFC 1191, the whole in RFC 4443."""

UDP_TUNNEL = _header(
    16,
    sport=(">u2", 0),
    dport=(">u2", 2),
    length=(">u2", 4),
    flags=("u1", 8),
    type=(">u2", 10),
    vni_wide=(">u4", 12),
)
"""UDP, and behind it VXLAN (RFC 7348 section 5) or Geneve (RFC 8926 section 3.4): the identifier is the upper 24 bits
of ``vni_wide``. Geneve has its version in the upper 2 bits of ``flags``, and below the length of its options in units
of 4 bytes."""

GRE = _header(4, flags=(">u2", 0), type=(">u2", 2))
"""RFC 2784 section 2.1, RFC 2890."""

GRE_KEY = _header(4, key=(">u4", 0))
