"""Per-device settings as rtnetlink carries them, so that no file of /proc/sys is opened per device.

``IFLA_INET_CONF`` is the array ``IPV4_DEVCONF_*`` (include/uapi/linux/ip.h, counting from 1),
``IFLA_INET6_CONF`` the array ``DEVCONF_*`` (include/uapi/linux/ipv6.h, counting from 0);
``RTM_NEWNETCONF`` has the settings of ``all`` and ``default`` that notify (include/uapi/linux/netconf.h).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from socket import AF_INET, AF_INET6
from struct import unpack

from netfs.collect.netlink import attributes, messages, number

RTM_NEWNETCONF = 80
NETCONFA_IFINDEX = 1
SCOPES = {0xFFFFFFFF: "all", 0xFFFFFFFE: "default"}

IPV4 = (
    "forwarding",
    "mc_forwarding",
    "proxy_arp",
    "accept_redirects",
    "secure_redirects",
    "send_redirects",
    "shared_media",
    "rp_filter",
    "accept_source_route",
    "bootp_relay",
    "log_martians",
    "tag",
    "arp_filter",
    "medium_id",
    "disable_xfrm",
    "disable_policy",
    "force_igmp_version",
    "arp_announce",
    "arp_ignore",
    "promote_secondaries",
    "arp_accept",
    "arp_notify",
    "accept_local",
    "src_valid_mark",
    "proxy_arp_pvlan",
    "route_localnet",
    "igmpv2_unsolicited_report_interval",
    "igmpv3_unsolicited_report_interval",
    "ignore_routes_with_linkdown",
    "drop_unicast_in_l2_multicast",
    "drop_gratuitous_arp",
    "bc_forwarding",
    "arp_evict_nocarrier",
)
IPV6 = {
    0: "forwarding",
    1: "hop_limit",
    2: "mtu",
    3: "accept_ra",
    4: "accept_redirects",
    5: "autoconf",
    10: "use_tempaddr",
    22: "proxy_ndp",
    24: "accept_source_route",
    25: "mc_forwarding",
    26: "disable_ipv6",
    27: "accept_dad",
    37: "use_oif_addrs_only",
    39: "ignore_routes_with_linkdown",
    40: "drop_unicast_in_l2_multicast",
    48: "disable_policy",
    59: "force_forwarding",
}
NETCONF4 = {2: "forwarding", 3: "rp_filter", 4: "mc_forwarding", 5: "proxy_arp", 6: "ignore_routes_with_linkdown"}
NETCONF6 = NETCONF4 | {5: "proxy_ndp", 9: "force_forwarding"}
NETCONF: dict[int, tuple[str, dict[int, str]]] = {AF_INET: ("ipv4", NETCONF4), AF_INET6: ("ipv6", NETCONF6)}
NDT_CONFIG_ENTRIES = 4
"""Offset of ``ndtc_entries`` in ``struct ndt_config``."""
NEIGHBOUR_TABLES = {b"arp_cache\0": "ipv4", b"ndisc_cache\0": "ipv6"}
RTM_NEWNEIGHTBL = 64


@lru_cache(maxsize=4096)
def devconf4(value: bytes) -> Mapping[str, int]:
    """``net.ipv4.conf.DEV.*`` by its last word."""
    count = min(len(value) // 4, len(IPV4))
    return dict(zip(IPV4, unpack(f"={count}i", value[: count * 4]), strict=False))


@lru_cache(maxsize=4096)
def devconf6(value: bytes) -> Mapping[str, int]:
    """``net.ipv6.conf.DEV.*`` by its last word, those that decide what becomes of a packet."""
    count = len(value) // 4
    values = unpack(f"={count}i", value[: count * 4])
    return {name: values[at] for at, name in IPV6.items() if at < count}


@lru_cache(maxsize=1024)
def decode_netconf(data: bytes) -> Mapping[str, int]:
    """``net.ipv4.conf.all.forwarding`` and its like, by full name. Raises MalformedError."""
    found: dict[str, int] = {}
    for kind, start, end in messages(data):
        if kind != RTM_NEWNETCONF or end - start < 4 or data[start] not in NETCONF:
            continue
        attrs = attributes(data, start + 4, end)
        scope = SCOPES.get(number(attrs.get(NETCONFA_IFINDEX)))
        if scope is None:
            continue
        family, names = NETCONF[data[start]]
        for code, name in names.items():
            if code in attrs:
                found[f"net.{family}.conf.{scope}.{name}"] = number(attrs[code])
    return found


def decode_neighbour_tables(data: bytes) -> tuple[dict[str, int], dict[str, int]]:
    """(limits as sysctls, entries as counters) of the kernel's neighbour tables. Raises MalformedError."""
    limits: dict[str, int] = {}
    entries: dict[str, int] = {}
    for kind, start, end in messages(data):
        if kind != RTM_NEWNEIGHTBL or end - start < 4:
            continue
        attrs = attributes(data, start + 4, end)
        family = NEIGHBOUR_TABLES.get(attrs.get(1, b""))
        if family is None or 5 not in attrs:
            continue
        for level in (1, 2, 3):
            if level + 1 in attrs:
                limits[f"net.{family}.neigh.default.gc_thresh{level}"] = number(attrs[level + 1])
        entries[f"neigh.{family}.entries"] = number(attrs[5][NDT_CONFIG_ENTRIES : NDT_CONFIG_ENTRIES + 4])
    return limits, entries
