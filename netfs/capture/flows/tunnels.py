"""Tunnels by column: VXLAN, Geneve, GRE, IP in IP. Each is one more level, if what it carries is Ethernet or IP.

A function here says of which packets the tunnel was entered; the others are of the flow that the tunnel's own
headers tell. Packets that end before that is known count as entered, and nobody finishes them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np

from netfs.capture.flows import headers, keys
from netfs.capture.flows.columns import Fields, Front, Mask, Words, gather, versions, words
from netfs.capture.flows.dissection import Dissection

VXLAN_PORTS = (4789, 8472)
"""IANA's, and Linux's and flannel's own (``IANA_VXLAN_UDP_PORT``, ``vxlan_port`` in drivers/net/vxlan)."""
GENEVE_PORT = 6081
TEB = 0x6558
"""Transparent Ethernet bridging: what is carried is a frame (``ETH_P_TEB``)."""


def by_port(extra: Collection[int]) -> Mask:
    """Of each UDP port, whether a tunnel may be behind it."""
    table = np.zeros(65536, np.bool_)
    table[[*VXLAN_PORTS, GENEVE_PORT, *extra]] = True
    return table


def udp(d: Dissection, level: int, front: Front, version: int) -> Mask:
    """VXLAN and Geneve. Without its own flag or in a datagram too short for a frame, it is plain UDP."""
    entered = np.ones(len(front), np.bool_)
    whole = front.fits(16)
    if not whole.all():
        _cut_udp(d, front, whole, entered)
        front = front.where(whole)
    header = gather(d.data, front.at, headers.UDP_TUNNEL)
    geneve = header["dport"] == GENEVE_PORT
    inside = _has_room(header["length"])
    for kind, form in ((geneve, keys.GENEVE), (~geneve, keys.VXLAN)):
        if kind.any():
            mask = kind & inside
            size, types = (_geneve if form == keys.GENEVE else _vxlan)(header[mask])
            what = words(header["vni_wide"][mask]) >> np.uint64(8) << np.uint64(16) | words(header["dport"][mask])
            chosen = front.where(mask)
            d.sport(level, chosen.rows, header["sport"][mask])
            inside[mask] = _carry(d, level, chosen.after(size), what | np.uint64((form | version) << 56), types)
    entered[whole] = inside
    return entered


def _cut_udp(d: Dissection, front: Front, whole: Mask, entered: Mask) -> None:
    """Of datagrams that were cut within the tunnel's header some can be told to have no room for a tunnel."""
    known = ~whole & front.fits(8)
    entered[known] = _has_room(gather(d.data, front.at[known], headers.UDP)["length"])


def _has_room(length: Fields) -> Mask:
    """For 8 bytes of UDP, 8 of the tunnel, 20 of the least that it carries; 0 is a super-packet's length."""
    room: Mask = (length >= 36) | (length == 0)
    return room


def _vxlan(header: Fields) -> tuple[int, Fields]:
    """Size of UDP's and the tunnel's header, and the ethertype of what is carried; 0: nothing known."""
    return 16, np.where(header["flags"] & 0x08 != 0, np.uint16(TEB), np.uint16(0))


def _geneve(header: Fields) -> tuple[Fields, Fields]:
    """As ``_vxlan``. The version is in the upper two bits of the byte that VXLAN has its flags in."""
    size = (header["flags"] & 0x3F).astype(np.int64) * 4 + 16
    return size, np.where(header["flags"] >> 6 == 0, header["type"], 0)


def _gre(d: Dissection, level: int, front: Front, version: int) -> Mask:
    """Checksum, key and sequence number are four bytes each; routing (RFC 1701) and PPTP's version are not read."""
    entered = np.ones(len(front), np.bool_)
    known = front.fits(4)
    front = front.where(known)
    header = gather(d.data, front.at, headers.GRE)
    flags = header["flags"].astype(np.int64)
    summed, keyed, counted = ((flags & bit != 0).astype(np.int64) * 4 for bit in (0x8000, 0x2000, 0x1000))
    types = np.where(flags & 0x4007 == 0, header["type"], 0)
    key = np.zeros(len(front), np.uint64)
    at = front.at + 4 + summed
    has_key = (keyed != 0) & (at + 4 <= front.end)
    key[has_key] = gather(d.data, at[has_key], headers.GRE_KEY)["key"]
    form = np.where(keyed != 0, keys.GRE_KEYED | version, keys.GRE | version).astype(np.uint64)
    what = form << np.uint64(56) | key << np.uint64(16)
    entered[known] = _carry(d, level, front.after(4 + summed + keyed + counted), what, types)
    return entered


def _ipip(d: Dissection, level: int, front: Front, version: int) -> Mask:
    what = np.full(len(front), (keys.IPIP | version) << 56, np.uint64)
    return _carry(d, level, front, what, np.full(len(front), 0x0800))


def _sit(d: Dissection, level: int, front: Front, version: int) -> Mask:
    what = np.full(len(front), (keys.IPIP | version) << 56, np.uint64)
    return _carry(d, level, front, what, np.full(len(front), 0x86DD))


def _carry(d: Dissection, level: int, front: Front, what: Words, types: Fields) -> Mask:
    """What is carried goes to the next level, by its ethertype; the tunnel's words are written for it."""
    carried: Mask = types == TEB
    if carried.any():
        _enter(d, level, front.where(carried), what[carried], "ethernet")
    for ethertype, header, which in ((0x0800, "ipv4", 0), (0x86DD, "ipv6", 1)):
        mask = types == ethertype
        if mask.any():
            carried |= mask
            mask &= front.fits(1)
            readable, *found = versions(d.data, front.where(mask))
            good = found[which]
            _enter(d, level, readable.where(good), what[mask][good], header)
            carried[mask] = good
    return carried


def _enter(d: Dissection, level: int, front: Front, what: Words, header: str) -> None:
    d.put(level, keys.WHAT, front.rows, what)
    d.later(header, level + 1, front)


PROTOCOLS: dict[int, Callable[[Dissection, int, Front, int], Mask]] = {4: _ipip, 41: _sit, 47: _gre}
"""By IP protocol number."""
