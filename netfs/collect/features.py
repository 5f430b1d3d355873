"""Offload features by ethtool's netlink family (include/uapi/linux/ethtool_netlink.h).

One dump answers for every device of a namespace. Bit sets are asked for in their compact form; the names
of the bits are the kernel's own and are asked for once.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from struct import Struct

from netfs.collect.netlink import (
    NETLINK_GENERIC,
    Netlink,
    attribute,
    attributes,
    listed,
    messages,
    nested,
    number,
    text,
)

GENL_ID_CTRL = 16
CTRL_CMD_GETFAMILY = 3
CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 1, 2
ETHTOOL_MSG_STRSET_GET, ETHTOOL_MSG_FEATURES_GET = 1, 11
ETH_SS_FEATURES = 4
NLA_F_NESTED = 0x8000
COMPACT_BITSETS = 1
GENLMSGHDR = Struct("=BBxx")

KEPT = (
    "rx-checksum",
    "rx-gro",
    "rx-gro-list",
    "rx-gro-hw",
    "rx-udp-gro-forwarding",
    "rx-lro",
    "rx-vlan-hw-parse",
    "rx-vlan-filter",
    "tx-checksum-ipv4",
    "tx-checksum-ip-generic",
    "tx-checksum-ipv6",
    "tx-checksum-sctp",
    "tx-generic-segmentation",
    "tx-tcp-segmentation",
    "tx-tcp6-segmentation",
    "tx-udp-segmentation",
    "tx-udp_tnl-segmentation",
    "tx-udp_tnl-csum-segmentation",
    "tx-vlan-hw-insert",
    "hw-tc-offload",
    "vlan-challenged",
    "netns-local",
)
"""Those that change a packet, or are known to corrupt one."""


class Names:
    """The ethtool family's number and the names of its feature bits, of this kernel."""

    def __init__(self, family: int, bits: tuple[tuple[int, str], ...]) -> None:
        self.family = family
        self.bits = bits


def ask_family(generic: Netlink) -> int | None:
    """The family's number; None where the kernel has none. Raises OSError, InterruptedDumpError, MalformedError.

    The list of families is dumped: a question for one by name may load a module.
    """
    families = generic.dump(GENL_ID_CTRL, GENLMSGHDR.pack(CTRL_CMD_GETFAMILY, 1))
    for _, start, end in messages(families):
        attrs = attributes(families, start + 4, end)
        if attrs.get(CTRL_ATTR_FAMILY_NAME) == b"ethtool\0":
            return number(attrs.get(CTRL_ATTR_FAMILY_ID))
    return None


def ask_names(buffer: bytearray) -> Names | None:
    """Ask the kernel; None where it has no ethtool family. Raises OSError, InterruptedDumpError, MalformedError."""
    with Netlink(NETLINK_GENERIC, buffer) as generic:
        family = ask_family(generic)
        if family is None:
            return None
        one = attribute(1 | NLA_F_NESTED, attribute(1, Struct("=I").pack(ETH_SS_FEATURES)))
        body = attribute(1 | NLA_F_NESTED, b"") + attribute(2 | NLA_F_NESTED, one)
        return Names(family, decode_names(generic.ask(family, GENLMSGHDR.pack(ETHTOOL_MSG_STRSET_GET, 1) + body)))


def request() -> bytes:
    """The body of the dump that ``decode_features`` reads."""
    header = attribute(1 | NLA_F_NESTED, attribute(3, Struct("=I").pack(COMPACT_BITSETS)))
    return GENLMSGHDR.pack(ETHTOOL_MSG_FEATURES_GET, 1) + header


def decode_names(data: bytes) -> tuple[tuple[int, str], ...]:
    """(bit, name) of the features kept. Raises MalformedError."""
    found: list[tuple[int, str]] = []
    for _, start, end in messages(data):
        for _, one in listed(attributes(data, start + 4, end).get(2, b"")):
            for _, each in listed(nested(one).get(3, b"")):
                entry = nested(each)
                name = text(entry.get(2))
                if name in KEPT:
                    found.append((number(entry.get(1)), name))
    return tuple(found)


def decode_features(data: bytes, names: Names) -> dict[int, Mapping[str, bool]]:
    """Active features by device index. Raises MalformedError."""
    found: dict[int, Mapping[str, bool]] = {}
    for kind, start, end in messages(data):
        if kind != names.family:
            continue
        attrs = attributes(data, start + 4, end)
        device = nested(attrs.get(1, b""))
        if 1 in device and 4 in attrs:
            found[number(device[1])] = _active(attrs[4], names)
    return found


@lru_cache(maxsize=4096)
def _active(value: bytes, names: Names) -> Mapping[str, bool]:
    """A compact bit set is an array of 32-bit words in host order."""
    words = nested(value).get(4, b"")
    found: dict[str, bool] = {}
    for bit, name in names.bits:
        at = bit // 32 * 4
        found[name] = bool(number(words[at : at + 4]) >> bit % 32 & 1)
    return found
