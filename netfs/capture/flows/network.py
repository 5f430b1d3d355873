"""IPv4 and IPv6 by column: addresses, fragments, extension headers, and what the packet's end says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netfs.capture.flows import headers, keys
from netfs.capture.flows.columns import Fields, Front, Mask, Offsets, gather, words
from netfs.capture.flows.dissection import Dissection, Pieces
from netfs.capture.flows.transport import Carried, bare, transport

FRAGMENT = 44
AH = 51
EXTENSIONS = np.zeros(256, np.bool_)
EXTENSIONS[[0, 43, FRAGMENT, AH, 60]] = True
"""Hop-by-hop, routing, fragment, AH, destination options: what may stand between an IPv6 header and its payload
(RFC 8200 section 4.1). IPv4 has AH alone."""
AH_ALONE = np.arange(256) == AH
MOST_EXTENSIONS = 8


def ipv4(d: Dissection, level: int, front: Front) -> None:
    """Addresses in one word; fragments by identification."""
    front = front.where(front.fits(20))
    if not len(front):
        return
    header = gather(d.data, front.at, headers.IPV4)
    d.put(level, keys.SOURCE, front.rows, words(header["pair"]))
    stop = _stop(d, level, front, header["length"].astype(np.int64), 0)
    d.set(d.ttl, front.rows, header["ttl"])
    proto = header["proto"].copy()
    packets = Carried(front.after((header["version"] & 15).astype(np.int64) * 4), proto, stop, 0)
    fragment = header["fragment"].astype(np.int64)
    if (fragment & 0x3FFF).any():
        identity = words(header["id"]) << np.uint64(8) | words(proto)
        packets = _fragments(d, level, packets, _Place(fragment & 0x1FFF, fragment & 0x2000 != 0, identity))
    if (packets.proto == AH).any():
        packets = _extensions(d, level, packets, AH_ALONE)
    transport(d, level, packets)


def ipv6(d: Dissection, level: int, front: Front) -> None:
    """Addresses in four words; fragments and options are headers of their own."""
    front = front.where(front.fits(40))
    if not len(front):
        return
    header = gather(d.data, front.at, headers.IPV6)
    for word, name in enumerate(("src_high", "src_low", "dst_high", "dst_low")):
        d.put(level, word, front.rows, words(header[name]))
    stop = _stop(d, level, front, header["length"].astype(np.int64), 40)
    d.set(d.ttl, front.rows, header["hops"])
    packets = Carried(front.after(40), header["next"].copy(), stop, keys.IPV6)
    transport(d, level, _extensions(d, level, packets, EXTENSIONS))


def _stop(d: Dissection, level: int, front: Front, stated: Offsets, header: int) -> Offsets:
    """Where the packets end by their own word; a length of 0 is that of a super-packet of more than 64 KiB.

    (``iph_totlen``, ``skb_gro_receive``: BIG TCP; what a tap sees before segmentation.)
    """
    stop: Offsets = front.at + stated + header
    unsaid = stated == 0
    if level == 0 or unsaid.any():
        wire = d.wire_end(front.rows)
        stop = np.where(unsaid, wire, stop)
        if level == 0:
            d.set(d.largest, front.rows, np.minimum(stop, wire) - front.at)
    return stop


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """Where fragments belong."""

    offset: Fields
    more: Mask
    identity: Fields


def _fragments(d: Dissection, level: int, packets: Carried, place: _Place) -> Carried:
    """Notes fragments; goes on with what has a transport header. Datagrams of one fragment are none (RFC 6946)."""
    rest = place.offset != 0
    piece = rest | place.more
    rows = packets.front.rows
    d.fragmented[rows[piece]] = np.minimum(d.fragmented[rows[piece]], level)
    first = place.more & ~rest
    for mask, pieces in ((first, d.firsts), (rest, d.rests)):
        if mask.any():
            pieces.append(Pieces(level, rows[mask], d.datagram(level, rows[mask], place.identity[mask])))
    bare(d, level, packets.where(rest))
    return packets.where(~rest)


def _extensions(d: Dissection, level: int, packets: Carried, known: Mask) -> Carried:
    """Behind the extension headers; with more than eight a packet is of the protocol of the ninth."""
    for _ in range(MOST_EXTENSIONS):
        extended = known[packets.proto]
        if not extended.any():
            break
        fragment = extended & (packets.proto == FRAGMENT)
        whole = packets.front.fits(8) | ~extended
        packets, extended, fragment = packets.where(whole), extended[whole], fragment[whole]
        at = packets.front.at[extended]
        header = gather(d.data, at, headers.EXTENSION)
        length = header["length"].astype(np.int64)
        before = packets.proto[extended]
        size = np.where(before == AH, (length + 2) * 4, (length + 1) * 8)
        size[before == FRAGMENT] = 8
        proto, sizes = packets.proto.copy(), np.zeros(len(packets.front), np.int64)
        proto[extended], sizes[extended] = header["next"], size
        head = packets.front
        packets = Carried(head.after(sizes), proto, packets.stop, packets.version)
        if fragment.any():
            chosen = gather(d.data, head.at[fragment], headers.FRAGMENT)
            offset, identity = np.zeros(len(head), np.int64), np.zeros(len(head), np.uint64)
            offset[fragment] = chosen["offset"]
            identity[fragment] = words(chosen["id"]) << np.uint64(8) | words(chosen["next"])
            packets = _fragments(d, level, packets, _Place(offset & ~7, offset & 1 != 0, identity))
    return packets
