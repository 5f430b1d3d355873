"""Addresses, neighbours and forwarding entries: who is where, in layers 2 and 3."""

from __future__ import annotations

from dataclasses import dataclass

NUD_INCOMPLETE = 0x01
NUD_REACHABLE = 0x02
NUD_STALE = 0x04
NUD_DELAY = 0x08
NUD_PROBE = 0x10
NUD_FAILED = 0x20
NUD_NOARP = 0x40
NUD_PERMANENT = 0x80
NUD_VALID = NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY
"""States in which an entry is used as it stands (include/net/neighbour.h)."""

NTF_SELF = 0x02
NTF_MASTER = 0x04
NTF_PROXY = 0x08
NTF_EXT_LEARNED = 0x10
NTF_OFFLOADED = 0x20
NTF_STICKY = 0x40
NTF_ROUTER = 0x80

IFA_F_SECONDARY = 0x01
IFA_F_DADFAILED = 0x08
IFA_F_DEPRECATED = 0x20
IFA_F_TENTATIVE = 0x40
IFA_F_PERMANENT = 0x80


@dataclass(frozen=True, slots=True)
class Address:
    """One address of one device (``RTM_NEWADDR``)."""

    index: int
    """Index of the device."""
    family: int
    """4 or 6."""
    local: str
    prefixlen: int
    peer: str | None = None
    """The far end of a point-to-point address; None where there is none."""
    broadcast: str | None = None
    scope: int = 0
    """RT_SCOPE_*: 0 global, 200 site, 253 link, 254 host."""
    flags: int = 0
    label: str | None = None
    metric: int = 0


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One ARP or NDISC entry (``RTM_NEWNEIGH``)."""

    index: int
    family: int
    address: str
    mac: str | None = None
    state: int = NUD_REACHABLE
    flags: int = 0
    """NTF_*; NTF_PROXY marks an address answered for (``ip neigh add proxy``)."""


@dataclass(frozen=True, slots=True)
class FdbEntry:
    """One entry of a bridge's or VXLAN device's forwarding database (``PF_BRIDGE`` neighbour)."""

    index: int
    """Device the entry stands on: the port, the bridge itself or the VXLAN device."""
    mac: str
    state: int = NUD_REACHABLE
    flags: int = 0
    """NTF_SELF: the device's own table (VXLAN); NTF_MASTER: the table of the bridge it is a port of."""
    master: int | None = None
    """Index of the bridge whose table holds the entry (``NDA_MASTER``)."""
    dst: str | None = None
    """Remote tunnel end (``NDA_DST``)."""
    vlan: int | None = None
    port: int | None = None
    vni: int | None = None
    src_vni: int | None = None
    via: int | None = None
    """Outgoing device for the outer packet (``NDA_IFINDEX``)."""
    nh_id: int | None = None


@dataclass(frozen=True, slots=True)
class BridgeVlan:
    """One VLAN of one port of a VLAN-filtering bridge (``IFLA_BRIDGE_VLAN_INFO``)."""

    index: int
    vid: int
    pvid: bool = False
    untagged: bool = False
