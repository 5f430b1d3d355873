"""Settings that rtnetlink does not carry: files of /proc/sys/net, opened below a directory held open.

The path from /proc/sys/net to its children is compared with every namespace's entry of that name, so it is
walked once per namespace and directory.
"""

from __future__ import annotations

import os

IPV4 = (
    "conf/all/accept_local",
    "conf/all/arp_ignore",
    "conf/all/arp_announce",
    "conf/all/arp_filter",
    "conf/all/route_localnet",
    "conf/all/src_valid_mark",
    "ip_default_ttl",
    "ip_no_pmtu_disc",
    "icmp_echo_ignore_all",
)
NODE_IPV4 = (
    *IPV4,
    "fib_multipath_hash_policy",
    "fwmark_reflect",
    "conf/default/accept_local",
    "conf/default/arp_ignore",
    "conf/default/arp_announce",
    "conf/default/arp_filter",
    "conf/default/route_localnet",
    "conf/default/src_valid_mark",
    "ip_forward_use_pmtu",
)
IPV6 = ("conf/all/disable_ipv6",)
NODE_IPV6 = (
    *IPV6,
    "conf/default/disable_ipv6",
    "conf/all/use_oif_addrs_only",
    "fib_multipath_hash_policy",
    "fwmark_reflect",
    "icmp/echo_ignore_all",
)
BRIDGE = ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-call-arptables")
CONNTRACK = ("nf_conntrack_max", "nf_conntrack_count")
ROOT = "/proc/sys/net/"


def read_below(folder: str, names: tuple[str, ...], found: dict[str, int]) -> None:
    """Add ``net.FOLDER.NAME`` for every file that is there. Raises PermissionError."""
    try:
        directory = os.open(ROOT + folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    prefix = f"net.{folder}."
    try:
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
    finally:
        os.close(directory)
