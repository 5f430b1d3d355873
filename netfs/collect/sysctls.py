"""Settings that rtnetlink does not carry: files of /proc/sys/net, opened below directories held open.

The path from /proc/sys/net to its children is compared with every namespace's entry of that name, so it is
walked once per namespace and directory.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TypeAlias

Settings: TypeAlias = Mapping[str, tuple[str, ...]]
"""Names of files by folder, ``""`` being the folder itself."""

ROOT = "/proc/sys/net/"
EVERYWHERE: Mapping[str, Settings] = {
    "ipv4": {
        "": ("ip_default_ttl", "ip_no_pmtu_disc", "icmp_echo_ignore_all", "icmp_echo_ignore_broadcasts"),
        "conf/all": (
            "accept_local",
            "arp_ignore",
            "arp_announce",
            "arp_filter",
            "route_localnet",
            "src_valid_mark",
            "send_redirects",
        ),
    },
    "ipv6": {"conf/all": ("disable_ipv6", "use_oif_addrs_only")},
}
"""Read in every namespace."""
CARRIERS: Mapping[str, Settings] = {
    "ipv4": {
        "": ("fib_multipath_hash_policy", "fwmark_reflect", "ip_forward_use_pmtu", "vs/conntrack"),
        "conf/default": ("accept_local", "arp_ignore", "arp_announce", "arp_filter", "route_localnet"),
    },
    "ipv6": {
        "": ("fib_multipath_hash_policy", "fwmark_reflect", "icmp/echo_ignore_all"),
        "conf/default": ("disable_ipv6",),
    },
}
"""Read as well where packets are carried for others, or a firewall is."""
BRIDGE: Mapping[str, Settings] = {
    "bridge": {"": ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-call-arptables")}
}
CONNTRACK: Mapping[str, Settings] = {"netfilter": {"": ("nf_conntrack_max", "nf_conntrack_count")}}
TRACKING: Mapping[str, Settings] = {
    "netfilter": {
        "": (
            "nf_conntrack_tcp_be_liberal",
            "nf_conntrack_tcp_loose",
            "nf_conntrack_udp_timeout",
            "nf_conntrack_udp_timeout_stream",
        )
    }
}
"""Read as well where there are rules that may ask for a connection's state."""


def read_below(folder: str, settings: Settings, found: dict[str, int]) -> None:
    """Add ``net.FOLDER.NAME`` for every file that is there. Raises PermissionError."""
    try:
        top = _folder(ROOT + folder, None)
    except FileNotFoundError:
        return
    try:
        for below, names in settings.items():
            if not below:
                _read(top, f"net.{folder}.", names, found)
                continue
            directory = _folder(below, top)
            try:
                _read(directory, f"net.{folder}.{below.replace('/', '.')}.", names, found)
            finally:
                os.close(directory)
    finally:
        os.close(top)


def _folder(path: str, within: int | None) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=within)


def _read(directory: int, prefix: str, names: tuple[str, ...], found: dict[str, int]) -> None:
    for name in names:
        try:
            fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
        except FileNotFoundError:
            continue
        try:
            value = os.read(fd, 64)
        finally:
            os.close(fd)
        try:
            found[prefix + name.replace("/", ".")] = int(value)
        except ValueError:
            continue
