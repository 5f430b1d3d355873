"""Links: network devices as rtnetlink reports them (``RTM_NEWLINK``, include/uapi/linux/if_link.h)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

IFF_UP = 0x1
IFF_BROADCAST = 0x2
IFF_LOOPBACK = 0x8
IFF_POINTOPOINT = 0x10
IFF_RUNNING = 0x40
IFF_NOARP = 0x80
IFF_PROMISC = 0x100
IFF_MULTICAST = 0x1000
IFF_LOWER_UP = 0x10000


@dataclass(frozen=True, slots=True)
class Bridge:
    """What ``IFLA_INFO_DATA`` says of a bridge."""

    stp: bool = False
    vlan_filtering: bool = False
    default_pvid: int = 1
    ageing_time: int = 30000
    """Centiseconds (USER_HZ), as the kernel reports it."""
    mcast_snooping: bool = True
    nf_call_iptables: bool = False
    nf_call_ip6tables: bool = False
    nf_call_arptables: bool = False
    group_fwd_mask: int = 0
    vlan_protocol: int = 0x8100
    forward_delay: int = 1500
    """Centiseconds."""


@dataclass(frozen=True, slots=True)
class BridgePort:
    """What ``IFLA_INFO_SLAVE_DATA`` says of a bridge's port."""

    state: int = 3
    """BR_STATE_*: 0 disabled, 1 listening, 2 learning, 3 forwarding, 4 blocking."""
    hairpin: bool = False
    isolated: bool = False
    learning: bool = True
    flood: bool = True
    """Unknown unicast is flooded to this port (``IFLA_BRPORT_UNICAST_FLOOD``)."""
    bcast_flood: bool = True
    mcast_flood: bool = True
    proxy_arp: bool = False
    proxy_arp_wifi: bool = False
    neigh_suppress: bool = False
    guard: bool = False
    """Drops received BPDUs (``IFLA_BRPORT_GUARD``)."""
    protect: bool = False
    """Root port guard (``IFLA_BRPORT_PROTECT``)."""
    locked: bool = False
    vlan_tunnel: bool = False
    priority: int = 32
    cost: int = 2


@dataclass(frozen=True, slots=True)
class Vxlan:
    """What ``IFLA_INFO_DATA`` says of a VXLAN device."""

    vni: int
    port: int
    """UDP destination port, host byte order."""
    local: str | None = None
    group: str | None = None
    """Default destination, unicast or multicast: ``remote`` or ``group`` of ip-link(8)."""
    lower: int | None = None
    """Index of the lower device (``IFLA_VXLAN_LINK``), in ``Link.link_netns``."""
    ttl: int = 0
    ttl_inherit: bool = False
    tos: int = 0
    learning: bool = True
    proxy: bool = False
    rsc: bool = False
    l2miss: bool = False
    l3miss: bool = False
    collect_metadata: bool = False
    port_low: int = 0
    port_high: int = 0
    udp_csum: bool = True
    udp_zero_csum6_tx: bool = False
    udp_zero_csum6_rx: bool = False
    gbp: bool = False
    gpe: bool = False
    df: int = 0
    """VXLAN_DF_*: 0 unset, 1 set, 2 inherit."""
    ageing: int = 300
    limit: int = 0
    vnifilter: bool = False
    localbypass: bool = True


@dataclass(frozen=True, slots=True)
class Macvlan:
    """What ``IFLA_INFO_DATA`` says of a macvlan or macvtap device."""

    mode: str
    """``private``, ``vepa``, ``bridge``, ``passthru`` or ``source``."""
    macaddrs: tuple[str, ...] = ()
    """Allowed source addresses in mode ``source``."""
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Tun:
    """What ``IFLA_INFO_DATA`` says of a TUN or TAP device."""

    type: str
    """``tun`` or ``tap``."""
    owner: int | None = None
    group: int | None = None
    persist: bool = False
    pi: bool = False
    vnet_hdr: bool = False
    multi_queue: bool = False


@dataclass(frozen=True, slots=True)
class Vlan:
    """What ``IFLA_INFO_DATA`` says of an 802.1Q device."""

    id: int
    protocol: int = 0x8100


@dataclass(frozen=True, slots=True)
class Ipvlan:
    """What ``IFLA_INFO_DATA`` says of an ipvlan device."""

    mode: str
    """``l2``, ``l3`` or ``l3s``."""
    flags: int = 0


@dataclass(frozen=True, slots=True)
class LinkStats:
    """Counters of a device (``IFLA_STATS64``)."""

    rx_packets: int = 0
    tx_packets: int = 0
    rx_bytes: int = 0
    tx_bytes: int = 0
    rx_errors: int = 0
    tx_errors: int = 0
    rx_dropped: int = 0
    tx_dropped: int = 0
    tx_carrier_errors: int = 0
    rx_nohandler: int = 0


@dataclass(frozen=True, slots=True)
class Link:
    """One network device of one network namespace."""

    index: int
    name: str
    kind: str | None = None
    """``IFLA_INFO_KIND``: ``veth``, ``bridge``, ``vxlan``, …; None for loopback and hardware."""
    flags: int = 0
    """IFF_* bits."""
    operstate: str = "unknown"
    """RFC 2863 operational state in lower case: ``up``, ``down``, ``lowerlayerdown``, ``unknown``, …"""
    mtu: int = 1500
    mac: str | None = None
    """``IFLA_ADDRESS`` where it is a 48-bit address."""
    arp_type: int = 1
    """ARPHRD_*: 1 Ethernet, 772 loopback, 65534 none."""
    master: int | None = None
    """Index of the bridge, bond or VRF this device is enslaved to."""
    link_index: int | None = None
    """``IFLA_LINK``: a veth's peer, or the lower device of a macvlan, VLAN or tunnel."""
    link_netnsid: int | None = None
    """``IFLA_LINK_NETNSID`` in the numbering of the namespace that was asked; None: the same one."""
    link_netns: int | None = None
    """The namespace of ``link_index`` (``NetNs.id``), once it could be identified."""
    group: int = 0
    txqlen: int = 1000
    gso_max_size: int = 65536
    carrier_changes: int = 0
    promiscuity: int = 0
    alias: str | None = None
    altnames: tuple[str, ...] = ()
    bridge: Bridge | None = None
    port: BridgePort | None = None
    vxlan: Vxlan | None = None
    macvlan: Macvlan | None = None
    ipvlan: Ipvlan | None = None
    vlan: Vlan | None = None
    tun: Tun | None = None
    xdp: bool = False
    """An XDP program is attached: what it does to a packet is not known."""
    qdisc: str | None = None
    ipv4: Mapping[str, int] = field(default_factory=dict)
    """``net.ipv4.conf.DEV.*`` by its last word: ``forwarding``, ``rp_filter``, ``accept_local``, …"""
    ipv6: Mapping[str, int] = field(default_factory=dict)
    """``net.ipv6.conf.DEV.*``: ``forwarding``, ``disable_ipv6``, ``accept_ra``, …"""
    features: Mapping[str, bool] = field(default_factory=dict)
    """Offload features by their ethtool names: ``tx-checksum-ip-generic``, …"""
    stats: LinkStats | None = None

    @property
    def up(self) -> bool:
        """The device is administratively up."""
        return bool(self.flags & IFF_UP)

    @property
    def carrier(self) -> bool:
        """The device has its carrier (``IFF_LOWER_UP``)."""
        return bool(self.flags & IFF_LOWER_UP)

    @property
    def noarp(self) -> bool:
        """The device neither asks nor answers ARP."""
        return bool(self.flags & IFF_NOARP)

    @property
    def loopback(self) -> bool:
        """The device is the loopback device."""
        return bool(self.flags & IFF_LOOPBACK)
