"""What identifies a flow, as a row of 64-bit words; and the words as text again.

Each level of a packet (its outermost IP packet is level 0, what that one's tunnel carries is level 1, …) has six words:
addresses in four, what the level is in one, VLAN tags in one. A tunnel's level says kind, network identifier and
destination port; the innermost one protocol and ports. One word before them is the tap.
A row is kept as bytes without the zeros at its end: few packets have many levels.

A tunnel's outer source port is no part of it. It is a hash of the inner packet (RFC 7348 section 5), so it would tell
nothing, but Linux chooses it anew when a connection has trouble (``sk_rethink_txhash``) and for fragments without
ports, so it would tear flows apart.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from netfs.capture.flows.columns import Words
from netfs.model.ip import to_text

LEVELS = 5
"""The innermost packet and four tunnels around it. What is tunnelled deeper is a flow of the tunnel's packets."""
SOURCE, SOURCE_LOW, TARGET, TARGET_LOW, WHAT, VLANS = range(6)
"""Words of a level. IPv4 has both addresses in the first: source in the upper half."""
WIDTH = 6
TAP = 0
"""The first word of a row. Interface in the upper half; in the lower what a cooked header says of the device."""
FIRST = 1
"""Where levels begin."""
ROW = FIRST + LEVELS * WIDTH

_ROW = struct.Struct(f"={ROW}Q")
_NO_TAP = bytes(8)

# The WHAT word: form in bits 56.., protocol in bits 48..55 or ethertype in 32..47, then source and destination port.
# Of a tunnel: form, network identifier in bits 16..47, destination port.
BARE = 1
"""IP without ports."""
PORTED = 2
ARP = 3
ETHERTYPE = 4
"""Not IP: addresses are MACs."""
LINKTYPE = 5
VXLAN = 8
GENEVE = 9
IPIP = 10
GRE = 11
GRE_KEYED = 12
IPV6 = 0x80
"""Beside a form: addresses are of four words."""

KINDS = {VXLAN: "vxlan", GENEVE: "geneve", IPIP: "ipip", GRE: "gre", GRE_KEYED: "gre"}
PROTOCOLS = {
    1: "icmp",
    2: "igmp",
    4: "ipip",
    6: "tcp",
    17: "udp",
    33: "dccp",
    41: "ipv6",
    47: "gre",
    50: "esp",
    51: "ah",
    58: "icmpv6",
    89: "ospf",
    103: "pim",
    112: "vrrp",
    132: "sctp",
    136: "udplite",
}
"""https://www.iana.org/assignments/protocol-numbers: those that are met in clusters."""


class Level(NamedTuple):
    """One level of a key, in words of people."""

    src: str
    dst: str
    form: int
    """Without IPV6."""
    proto: str = ""
    sport: int | None = None
    dport: int | None = None
    vni: int | None = None

    def mirrored(self) -> Level:
        """What the answer's level looks like; a tunnel keeps its destination port."""
        if self.form in KINDS:
            return Level(self.dst, self.src, self.form, dport=self.dport, vni=self.vni)
        return Level(self.dst, self.src, self.form, self.proto, self.dport, self.sport)


class Key(NamedTuple):
    """What identifies a flow."""

    levels: tuple[Level, ...]
    """Outermost first; all but the last are tunnels."""
    vlans: tuple[int, ...]

    def mirrored(self) -> Key:
        """The key of the flow that answers."""
        return Key(tuple(level.mirrored() for level in self.levels), self.vlans)


@lru_cache(maxsize=65536)
def mac_text(value: int) -> str:
    """``02:42:…`` of a number."""
    return value.to_bytes(6, "big").hex(":")


def vlan_ids(word: int) -> list[int]:
    """The tags of one frame, outermost first."""
    return [tag & 0xFFF for shift in (48, 32, 16, 0) if (tag := word >> shift & 0xFFFF)]


def _addresses(words: tuple[int, ...], form: int) -> tuple[str, str]:
    if form & IPV6:
        source = words[SOURCE] << 64 | words[SOURCE_LOW]
        return to_text(source, 6), to_text(words[TARGET] << 64 | words[TARGET_LOW], 6)
    if form == ETHERTYPE:
        return mac_text(words[SOURCE]) if words[SOURCE] else "", mac_text(words[TARGET]) if words[TARGET] else ""
    if form == LINKTYPE:
        return "", ""
    return to_text(words[SOURCE] >> 32, 4), to_text(words[SOURCE] & 0xFFFFFFFF, 4)


def level_of(words: list[int]) -> Level:
    """The level that its six words say; its VLAN tags are no part of it."""
    return _level(tuple(words[:VLANS]))


@lru_cache(maxsize=65536)
def _level(words: tuple[int, ...]) -> Level:
    what = words[WHAT]
    form = what >> 56
    src, dst = _addresses(words, form)
    form &= ~IPV6
    if form in KINDS:
        dport = what & 0xFFFF if form in {VXLAN, GENEVE} else None
        return Level(src, dst, form, vni=what >> 16 & 0xFFFFFFFF if form not in {IPIP, GRE} else None, dport=dport)
    if form == ARP:
        return Level(src, dst, form, "arp")
    if form == ETHERTYPE:
        return Level(src, dst, form, f"0x{what >> 32 & 0xFFFF:04x}")
    if form == LINKTYPE:
        return Level(src, dst, form, f"link{what >> 32 & 0xFFFF}")
    if not form:
        return Level("", "", form)
    number = what >> 48 & 0xFF
    proto = PROTOCOLS.get(number, str(number))
    if form == PORTED:
        return Level(src, dst, form, proto, what >> 16 & 0xFFFF, what & 0xFFFF)
    return Level(src, dst, form, proto)


def packed(rows: Words) -> list[bytes]:
    """Rows as bytes."""
    size = ROW * 8
    text = np.ascontiguousarray(rows).tobytes()
    return [text[at : at + size].rstrip(b"\0") for at in range(0, len(text), size)]


def unpacked(row: bytes) -> list[int]:
    """The words of a row."""
    return list(_ROW.unpack(row.ljust(_ROW.size, b"\0")))


def without_tap(row: bytes) -> bytes:
    """The row of the same flow at the first tap."""
    return _NO_TAP + row[8:]


def interface_of(row: bytes) -> int:
    """The tap's interface."""
    return unpacked(row)[TAP] >> 32


def key_of(words: list[int]) -> Key:
    """The key that a row of words says; the tap is no part of it."""
    levels: list[Level] = []
    vlans: list[int] = []
    for start in range(FIRST, ROW, WIDTH):
        level = words[start : start + WIDTH]
        if not level[WHAT]:
            break
        vlans += vlan_ids(level[VLANS])
        levels.append(level_of(level))
    return Key(tuple(levels), tuple(vlans))
