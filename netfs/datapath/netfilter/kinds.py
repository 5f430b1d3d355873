"""The types of what nftables' expressions yield: which constants may stand beside them.

Sources: nftables ``src/proto.c``, ``src/meta.c``, ``src/ct.c``, ``src/fib.c``, ``src/exthdr.c``.
"""

from __future__ import annotations

from collections.abc import Mapping

PORTS = {"sport": "inet_service", "dport": "inet_service"}

PAYLOAD_KINDS: Mapping[str, Mapping[str, str]] = {
    "ip": {
        "saddr": "ipv4_addr",
        "daddr": "ipv4_addr",
        "protocol": "inet_proto",
        "dscp": "dscp",
        "ecn": "ecn",
        **dict.fromkeys(("ttl", "length", "id", "frag-off", "checksum", "version", "hdrlength"), "integer"),
    },
    "ip6": {
        "saddr": "ipv6_addr",
        "daddr": "ipv6_addr",
        "nexthdr": "inet_proto",
        "dscp": "dscp",
        "ecn": "ecn",
        **dict.fromkeys(("hoplimit", "length", "flowlabel", "version"), "integer"),
    },
    "tcp": {
        **PORTS,
        "flags": "tcp_flag",
        **dict.fromkeys(("sequence", "ackseq", "doff", "reserved", "window", "checksum", "urgptr"), "integer"),
    },
    "udp": {**PORTS, **dict.fromkeys(("length", "checksum"), "integer")},
    "th": PORTS,
    "icmp": {
        "type": "icmp_type",
        "code": "icmp_code",
        "gateway": "ipv4_addr",
        **dict.fromkeys(("checksum", "id", "sequence", "mtu"), "integer"),
    },
    "icmpv6": {
        "type": "icmpv6_type",
        "code": "icmpv6_code",
        "taddr": "ipv6_addr",
        "daddr": "ipv6_addr",
        **dict.fromkeys(("checksum", "id", "sequence", "mtu", "max-delay", "parameter-problem"), "integer"),
    },
    "ether": {"saddr": "ether_addr", "daddr": "ether_addr", "type": "ether_type"},
    "vlan": {"type": "ether_type", **dict.fromkeys(("id", "pcp", "dei", "cfi"), "integer")},
    "arp": {
        "ptype": "ether_type",
        "operation": "arp_op",
        "saddr ether": "ether_addr",
        "daddr ether": "ether_addr",
        "saddr ip": "ipv4_addr",
        "daddr ip": "ipv4_addr",
        **dict.fromkeys(("htype", "hlen", "plen"), "integer"),
    },
    "sctp": {**PORTS, **dict.fromkeys(("vtag", "checksum"), "integer")},
    "dccp": {**PORTS, "type": "dccp_pkttype"},
    "udplite": {**PORTS, **dict.fromkeys(("checksum", "csumcov"), "integer")},
    "igmp": {"type": "igmp_type", "group": "ipv4_addr", **dict.fromkeys(("checksum", "mrt"), "integer")},
    "ah": dict.fromkeys(("hdrlength", "reserved", "spi", "sequence"), "integer") | {"nexthdr": "inet_proto"},
    "esp": dict.fromkeys(("spi", "sequence"), "integer"),
    "comp": {"nexthdr": "inet_proto", "flags": "integer", "cpi": "integer"},
}

META_KINDS = {
    **dict.fromkeys(("iif", "oif", "sdif"), "ifindex"),
    **dict.fromkeys(("iifname", "oifname", "ibrname", "obrname", "sdifname", "iifkind", "oifkind"), "ifname"),
    **dict.fromkeys(("iiftype", "oiftype"), "iface_type"),
    **dict.fromkeys(("iifgroup", "oifgroup"), "devgroup"),
    "mark": "mark",
    "l4proto": "inet_proto",
    "nfproto": "nf_proto",
    "protocol": "ether_type",
    "ibrvproto": "ether_type",
    "pkttype": "pkt_type",
    **dict.fromkeys(("length", "skuid", "skgid", "cpu", "cgroup", "ibrpvid", "nftrace", "random"), "integer"),
}

CLOCK_KEYS = frozenset(("time", "day", "hour"))
"""Keys of meta that the clock answers, which no snapshot holds."""

CT_KINDS = {
    "state": "ct_state",
    "direction": "ct_dir",
    "status": "ct_status",
    "mark": "mark",
    "ip saddr": "ipv4_addr",
    "ip daddr": "ipv4_addr",
    "ip6 saddr": "ipv6_addr",
    "ip6 daddr": "ipv6_addr",
    "protocol": "inet_proto",
    "l3proto": "nf_proto",
    "proto-src": "inet_service",
    "proto-dst": "inet_service",
    **dict.fromkeys(("zone", "id", "bytes", "packets", "avgpkt", "expiration", "label"), "integer"),
}

FIB_KINDS = {"type": "fib_addrtype", "oif": "ifindex", "oifname": "ifname", "check": "ifindex"}

OPTION_KINDS = {"nexthdr": "inet_proto", "exthdr": "integer"}
"""Types of fields of options and extension headers, where they are no integers."""
