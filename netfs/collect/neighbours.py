"""``RTM_NEWNEIGH`` to neighbours and forwarding entries, and a bridge's VLANs
(include/uapi/linux/neighbour.h, net/bridge/br_fdb.c, drivers/net/vxlan/vxlan_core.c).
"""

from __future__ import annotations

from functools import lru_cache
from socket import AF_INET, AF_INET6
from struct import Struct

from netfs.collect.addresses import address_text, mac_text
from netfs.collect.netlink import attributes, listed, messages, number
from netfs.model.address import BridgeVlan, FdbEntry, Neighbour

RTM_NEWLINK, RTM_NEWNEIGH = 16, 28
AF_BRIDGE = 7
NDA_DST, NDA_LLADDR, NDA_VLAN, NDA_PORT, NDA_VNI, NDA_IFINDEX = 1, 2, 5, 6, 7, 8
NDA_MASTER, NDA_SRC_VNI, NDA_NH_ID = 9, 11, 13
IFLA_AF_SPEC, IFLA_BRIDGE_VLAN_INFO = 26, 2
VLAN_PVID, VLAN_UNTAGGED, VLAN_RANGE_BEGIN, VLAN_RANGE_END = 2, 4, 8, 16

NDMSG = Struct("=BxxxIHBB")
VLAN_INFO = Struct("=HH")


@lru_cache(maxsize=4096)
def decode_neighbours(data: bytes) -> tuple[Neighbour, ...]:
    """The ARP and NDISC entries of a dump, proxies among them. Raises MalformedError."""
    found: list[Neighbour] = []
    for kind, start, end in messages(data):
        if kind != RTM_NEWNEIGH or end - start < 12:
            continue
        family, index, state, flags, _ = NDMSG.unpack_from(data, start)
        if family not in (AF_INET, AF_INET6):
            continue
        attrs = attributes(data, start + 12, end)
        if NDA_DST in attrs:
            found.append(
                Neighbour(
                    index=index,
                    family=4 if family == AF_INET else 6,
                    address=address_text(attrs[NDA_DST]),
                    mac=mac_text(attrs.get(NDA_LLADDR)),
                    state=state,
                    flags=flags,
                )
            )
    return tuple(found)


def decode_fdb(data: bytes) -> tuple[FdbEntry, ...]:
    """The entries of bridges' and VXLAN devices' forwarding databases. Raises MalformedError."""
    found: list[FdbEntry] = []
    for kind, start, end in messages(data):
        if kind != RTM_NEWNEIGH or end - start < 12:
            continue
        family, index, state, flags, _ = NDMSG.unpack_from(data, start)
        attrs = attributes(data, start + 12, end)
        mac = mac_text(attrs.get(NDA_LLADDR))
        if family != AF_BRIDGE or mac is None:
            continue
        dst = attrs.get(NDA_DST)
        port = attrs.get(NDA_PORT)
        found.append(
            FdbEntry(
                index=index,
                mac=mac,
                state=state,
                flags=flags,
                master=_optional(attrs, NDA_MASTER),
                dst=None if dst is None else address_text(dst),
                vlan=_optional(attrs, NDA_VLAN),
                port=None if port is None else int.from_bytes(port, "big"),
                vni=_optional(attrs, NDA_VNI),
                src_vni=_optional(attrs, NDA_SRC_VNI),
                via=_optional(attrs, NDA_IFINDEX),
                nh_id=_optional(attrs, NDA_NH_ID),
            )
        )
    return tuple(found)


def decode_bridge_vlans(data: bytes) -> tuple[BridgeVlan, ...]:
    """The VLANs of bridge ports, ranges unrolled (``RTEXT_FILTER_BRVLAN_COMPRESSED``). Raises MalformedError."""
    found: list[BridgeVlan] = []
    for kind, start, end in messages(data):
        if kind != RTM_NEWLINK or end - start < 16:
            continue
        index = number(data[start + 4 : start + 8])
        first = 0
        for code, value in listed(attributes(data, start + 16, end).get(IFLA_AF_SPEC, b"")):
            if code != IFLA_BRIDGE_VLAN_INFO or len(value) < 4:
                continue
            flags, vid = VLAN_INFO.unpack_from(value)
            if flags & VLAN_RANGE_BEGIN:
                first = vid
                continue
            vids = range(first if flags & VLAN_RANGE_END else vid, vid + 1)
            pvid, untagged = bool(flags & VLAN_PVID), bool(flags & VLAN_UNTAGGED)
            found.extend(BridgeVlan(index, each, pvid, untagged) for each in vids)
    return tuple(found)


def _optional(attrs: dict[int, bytes], kind: int) -> int | None:
    return number(attrs[kind]) if kind in attrs else None
