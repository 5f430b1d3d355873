"""Link layers by column: Ethernet and its tags, Linux cooked, raw IP, loopback; ARP, and what is not IP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from netfs.capture.flows import headers, keys
from netfs.capture.flows.columns import Fields, Front, Mask, Offsets, Words, gather, versions, words
from netfs.capture.flows.dissection import Dissection

MOST_TAGS = 4
"""Of one frame; what is tagged more often is not looked into."""
ETH_P_802_2 = 0x0004
"""What Linux says of a frame whose type field is a length (``eth_type_trans``)."""
MAC = np.uint64(0xFFFFFFFFFFFF)
ETHERNET_AND_IPV4 = 0x0001080006040000
"""ARP's ``formats`` without the operation."""


@dataclass(frozen=True, slots=True, eq=False)
class Typed:
    """Packets behind an ethertype."""

    front: Front
    types: Fields
    head: Offsets
    """Where the link-layer header began."""

    def where(self, mask: Mask) -> Typed:
        """Those of a mask."""
        if mask.all():
            return self
        places = mask.nonzero()[0]
        return Typed(self.front.take(places), self.types.take(places), self.head.take(places))


def ethernet(d: Dissection, level: int, front: Front) -> None:
    """A frame with MACs and an ethertype."""
    front = front.where(front.fits(14))
    types = gather(d.data, front.at, headers.ETHERNET)["type"].astype(np.uint16)
    types[types < 0x600] = ETH_P_802_2
    _typed(d, level, Typed(front.after(14), types, front.at), headers.ETHERNET)


def cooked(d: Dissection, level: int, front: Front) -> None:
    """LINKTYPE_LINUX_SLL: what a tap on all devices writes; each direction is a tap of its own."""
    front = front.where(front.fits(16))
    header = gather(d.data, front.at, headers.COOKED)
    _tap(d, front, words(header["way"] & 7))
    d.cooked.append(front.after(16))
    _typed(d, level, Typed(front.after(16), header["type"].astype(np.uint16), front.at), headers.COOKED)


def cooked2(d: Dissection, level: int, front: Front) -> None:
    """LINKTYPE_LINUX_SLL2: it says which device as well, so each device and direction is a tap of its own."""
    front = front.where(front.fits(20))
    header = gather(d.data, front.at, headers.COOKED2)
    _tap(d, front, words(header["ifindex"]) << np.uint64(3) | words(header["way"] & 7))
    d.cooked.append(front.after(20))
    _typed(d, level, Typed(front.after(20), header["type"].astype(np.uint16), front.at), headers.COOKED2)


def _tap(d: Dissection, front: Front, device: Words) -> None:
    """One packet is seen by a tap on all devices at each of them: that is no retransmission."""
    interface = words(d.chunk.interface[front.rows]) << np.uint64(32)
    d.tap(front.rows, interface | device & np.uint64(0xFFFFFFFF))


def loopback(d: Dissection, level: int, front: Front) -> None:
    """LINKTYPE_NULL and LINKTYPE_LOOP: four bytes of address family, whose numbers differ by system."""
    raw(d, level, front.where(front.fits(4)).after(4))


def raw(d: Dissection, level: int, front: Front) -> None:
    """IP without a link layer; its version says which."""
    front, four, six = versions(d.data, front)
    d.later("ipv4", level, front.where(four))
    d.later("ipv6", level, front.where(six))
    unknown(d, level, front.where(~(four | six)))


def unknown(d: Dissection, level: int, front: Front) -> None:
    """A link layer that is not read: all its packets are one flow."""
    kind = d.linktypes[d.chunk.interface[front.rows]].astype(np.uint64)
    d.put(level, keys.WHAT, front.rows, kind << np.uint64(32) | np.uint64(keys.LINKTYPE << 56))
    d.finish(level, front.rows)


def _typed(d: Dissection, level: int, packets: Typed, header: np.dtype[Any]) -> None:
    packets = _tags(d, level, packets)
    types = packets.types
    arp = types == 0x0806
    if arp.any():
        _arp(d, level, packets.where(arp), header)
        packets = packets.where(~arp)
        types = packets.types
    # Of what says that it is IP, a byte more has to be there.
    packets = packets.where(packets.front.fits(1) | ~((types == 0x0800) | (types == 0x86DD)))
    types = packets.types
    four, six = types == 0x0800, types == 0x86DD
    for name, mask, which in (("ipv4", four, 0), ("ipv6", six, 1)):
        if mask.any():
            front, *found = versions(d.data, packets.front.where(mask))
            mask[mask] = found[which]
            d.later(name, level, front.where(found[which]))
    _other(d, level, packets.where(~(four | six)), header)


def _tags(d: Dissection, level: int, packets: Typed) -> Typed:
    """Behind the tags of each frame."""
    for _ in range(MOST_TAGS):
        tagged = _tagged(packets.types)
        if not tagged.any():
            break
        whole = packets.front.fits(4) | ~tagged
        packets, tagged = packets.where(whole), tagged[whole]
        front = packets.front
        rows = front.rows[tagged]
        tag = gather(d.data, front.at[tagged], headers.VLAN)
        column = d.words.get(keys.FIRST + level * keys.WIDTH + keys.VLANS)
        before = np.zeros(len(rows), np.uint64) if column is None else column[rows]
        # Bit 12 tells a tag of VLAN 0 from no tag.
        d.put(level, keys.VLANS, rows, before << np.uint64(16) | words(tag["tci"] & 0xFFF | 0x1000))
        types = packets.types.copy()
        types[tagged] = tag["type"]
        packets = Typed(front.after(np.where(tagged, 4, 0)), types, packets.head)
    return packets


def _tagged(types: Fields) -> Mask:
    """IEEE 802.1Q, 802.1ad, and what was before it."""
    tagged: Mask = (types == 0x8100) | (types == 0x88A8) | (types == 0x9100)
    return tagged


def _arp(d: Dissection, level: int, packets: Typed, header: np.dtype[Any]) -> None:
    """Sender and target as its addresses; ARP of other networks is as any ethertype."""
    packets = packets.where(packets.front.fits(28))
    arp = gather(d.data, packets.front.at, headers.ARP)
    known = (arp["formats"].astype(np.uint64) & np.uint64(0xFFFFFFFFFFFF0000)) == np.uint64(ETHERNET_AND_IPV4)
    _other(d, level, packets.where(~known), header)
    arp, rows = arp[known], packets.front.rows[known]
    d.put(level, keys.SOURCE, rows, words(arp["sender"]) << np.uint64(32) | words(arp["target"]))
    d.put(level, keys.WHAT, rows, np.full(len(rows), keys.ARP << 56, np.uint64))
    d.macs.append((rows, words(arp["sender_mac_wide"]) & MAC))
    d.finish(level, rows)


def _other(d: Dissection, level: int, packets: Typed, header: np.dtype[Any]) -> None:
    """Neither IP nor ARP: link-layer addresses and the ethertype tell the flow."""
    rows = packets.front.rows
    if not len(rows):
        return
    source, target = _macs(gather(d.data, packets.head, header), header)
    d.put(level, keys.SOURCE, rows, source)
    d.put(level, keys.TARGET, rows, target)
    d.put(level, keys.WHAT, rows, words(packets.types) << np.uint64(32) | np.uint64(keys.ETHERTYPE << 56))
    d.finish(level, rows)


def _macs(head: Fields, header: np.dtype[Any]) -> tuple[Words, Words]:
    if header is headers.ETHERNET:
        return words(head["src_wide"]) & MAC, words(head["dst_wide"]) >> np.uint64(16)
    # Cooked headers have the sender's address alone.
    mac = np.where(head["address_length"] == 6, words(head["address"]) >> np.uint64(16), np.uint64(0))
    return mac, np.zeros(len(head), np.uint64)
