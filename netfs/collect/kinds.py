"""What each kind of device says of itself: ``IFLA_INFO_DATA`` (include/uapi/linux/if_link.h)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from netfs.collect.addresses import address_text, mac_text
from netfs.collect.netlink import listed, nested, number
from netfs.model.link import Bridge, BridgePort, Ipvlan, Macvlan, Tun, Vlan, Vxlan

Kind: TypeAlias = Bridge | Vxlan | Macvlan | Ipvlan | Vlan | Tun

MACVLAN_MODES = {1: "private", 2: "vepa", 4: "bridge", 8: "passthru", 16: "source"}
IPVLAN_MODES = {0: "l2", 1: "l3", 2: "l3s"}
TUN_TYPES = {1: "tun", 2: "tap"}
MACVLAN_MACADDR, MACVLAN_MACADDR_DATA = 4, 5


def describe(kind: str | None, data: bytes) -> Kind | None:
    """The record of a device's own attributes; None for a kind that has none here. Raises MalformedError."""
    decoder = DECODERS.get(kind or "")
    return None if decoder is None else decoder(data)


def big(value: bytes | None, default: int = 0) -> int:
    """An unsigned integer in network byte order."""
    return default if value is None else int.from_bytes(value, "big")


def flag(value: bytes | None, default: bool = False) -> bool:
    """A truth: an empty attribute says yes by being there."""
    if value is None:
        return default
    return any(value) if value else True


def bridge(data: bytes) -> Bridge:
    """``IFLA_BR_*``."""
    get = nested(data).get
    return Bridge(
        forward_delay=number(get(1), 1500),
        ageing_time=number(get(4), 30000),
        stp=flag(get(5)),
        vlan_filtering=flag(get(7)),
        vlan_protocol=big(get(8), 0x8100),
        group_fwd_mask=number(get(9)),
        mcast_snooping=flag(get(23)),
        nf_call_iptables=flag(get(36)),
        nf_call_ip6tables=flag(get(37)),
        nf_call_arptables=flag(get(38)),
        default_pvid=number(get(39)),
    )


def bridge_port(data: bytes) -> BridgePort:
    """``IFLA_BRPORT_*``."""
    get = nested(data).get
    return BridgePort(
        state=number(get(1)),
        priority=number(get(2)),
        cost=number(get(3)),
        hairpin=flag(get(4)),
        guard=flag(get(5)),
        protect=flag(get(6)),
        learning=flag(get(8), True),
        flood=flag(get(9), True),
        proxy_arp=flag(get(10)),
        proxy_arp_wifi=flag(get(12)),
        mcast_flood=flag(get(27), True),
        vlan_tunnel=flag(get(29)),
        bcast_flood=flag(get(30), True),
        neigh_suppress=flag(get(32)),
        isolated=flag(get(33)),
        locked=flag(get(39)),
    )


def vxlan(data: bytes) -> Vxlan:
    """``IFLA_VXLAN_*``."""
    attrs = nested(data)
    get = attrs.get
    local = get(4) or get(17)
    group = get(2) or get(16)
    ports = get(10, b"\0\0\0\0")
    return Vxlan(
        vni=number(get(1)),
        port=big(get(15)),
        local=None if local is None else address_text(local),
        group=None if group is None else address_text(group),
        lower=number(get(3)) or None,
        ttl=number(get(5)),
        ttl_inherit=flag(get(28)),
        tos=number(get(6)),
        learning=flag(get(7)),
        proxy=flag(get(11)),
        rsc=flag(get(12)),
        l2miss=flag(get(13)),
        l3miss=flag(get(14)),
        collect_metadata=flag(get(25)),
        port_low=big(ports[:2]),
        port_high=big(ports[2:4]),
        udp_csum=flag(get(18)),
        udp_zero_csum6_tx=flag(get(19)),
        udp_zero_csum6_rx=flag(get(20)),
        gbp=flag(get(23)),
        gpe=flag(get(27)),
        df=number(get(29)),
        ageing=number(get(8)),
        limit=number(get(9)),
        vnifilter=flag(get(30)),
        localbypass=flag(get(31), True),
    )


def macvlan(data: bytes) -> Macvlan:
    """``IFLA_MACVLAN_*``."""
    attrs = nested(data)
    mode = number(attrs.get(1))
    allowed = (mac_text(mac) for kind, mac in listed(attrs.get(MACVLAN_MACADDR_DATA, b"")) if kind == MACVLAN_MACADDR)
    return Macvlan(
        mode=MACVLAN_MODES.get(mode, f"mode-{mode}"),
        macaddrs=tuple(mac for mac in allowed if mac is not None),
        flags=number(attrs.get(2)),
    )


def ipvlan(data: bytes) -> Ipvlan:
    """``IFLA_IPVLAN_*``."""
    get = nested(data).get
    mode = number(get(1))
    return Ipvlan(mode=IPVLAN_MODES.get(mode, f"mode-{mode}"), flags=number(get(2)))


def vlan(data: bytes) -> Vlan:
    """``IFLA_VLAN_*``."""
    get = nested(data).get
    return Vlan(id=number(get(1)), protocol=big(get(5), 0x8100))


def tun(data: bytes) -> Tun:
    """``IFLA_TUN_*``."""
    attrs = nested(data)
    get = attrs.get
    kind = number(get(3))
    return Tun(
        type=TUN_TYPES.get(kind, f"type-{kind}"),
        owner=number(attrs[1]) if 1 in attrs else None,
        group=number(attrs[2]) if 2 in attrs else None,
        pi=flag(get(4)),
        vnet_hdr=flag(get(5)),
        persist=flag(get(6)),
        multi_queue=flag(get(7)),
    )


DECODERS: dict[str, Callable[[bytes], Kind]] = {
    "bridge": bridge,
    "vxlan": vxlan,
    "macvlan": macvlan,
    "macvtap": macvlan,
    "ipvlan": ipvlan,
    "ipvtap": ipvlan,
    "vlan": vlan,
    "tun": tun,
}
