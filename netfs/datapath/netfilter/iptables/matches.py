"""The matches of iptables (``-m NAME``): those that are evaluated, and those that no simulation can know."""

from __future__ import annotations

from collections.abc import Mapping

from netfs.datapath.netfilter.iptables.connections import CONNECTIONS
from netfs.datapath.netfilter.iptables.headers import HEADERS
from netfs.datapath.netfilter.iptables.lists import LISTS
from netfs.datapath.netfilter.iptables.options import Extension
from netfs.datapath.netfilter.iptables.surroundings import SURROUNDINGS

MATCHES: Mapping[str, Extension] = {**HEADERS, **CONNECTIONS, **LISTS, **SURROUNDINGS}
"""By the name behind ``-m``."""

IMPLICIT = {name: name for name in ("tcp", "udp", "sctp", "dccp", "udplite", "icmp")} | {
    "6": "tcp",
    "17": "udp",
    "132": "sctp",
    "1": "icmp",
    "icmpv6": "icmp6",
    "ipv6-icmp": "icmp6",
    "58": "icmp6",
}
"""The match that a protocol brings along, where a rule was written by hand."""

_BEFORE = "depends on the traffic before"
_BYTES = "looks at bytes that a simulated packet does not have"

CHANCES: Mapping[str, str] = {
    **dict.fromkeys(("limit", "hashlimit", "connlimit", "connbytes", "quota", "quota2", "rateest", "nfacct"), _BEFORE),
    **dict.fromkeys(("string", "bpf", "u32", "tcpmss", "osf", "frag", "srh", "mh"), _BYTES),
    **dict.fromkeys(("ipv6header", "eui64", "ah", "esp", "ipcomp", "l2tp"), _BYTES),
    "time": "depends on the time of day",
    "socket": "depends on the sockets that are open",
    "cpu": "depends on the CPU that handles the packet",
    "realm": "asks for the realm of a route, which is not evaluated",
    "cgroup": "depends on the process that sent the packet",
    "helper": "depends on the connection's helper",
    "connlabel": "depends on labels that are not known",
    "cluster": "is a hash that is not known",
    "ipvs": "depends on connections of IPVS",
}
"""Matches that are known and not evaluated, and why."""
