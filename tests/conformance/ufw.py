"""ufw, the firewall of Debian and Ubuntu: its own chains for both families, with state, limits and headers of IPv6."""

from __future__ import annotations

from tests.conformance.agreement import Probe
from tests.conformance.world import (
    CLIENT_ADDRESS,
    CLIENT_ADDRESS_6,
    NODE_ADDRESS,
    NODE_ADDRESS_6,
    OWN_ETC,
    ROUTED,
    World,
)

BUILD = """
routed web 1
{
  ufw reject from 10.9.1.2 to any port 80 proto tcp
  ufw allow 80/tcp
  ufw limit 80/udp
  ufw route allow in on eth0 to 10.9.1.0/24 port 80 proto tcp
  ufw route allow in on eth0 to fd09:0:0:1::/64 port 80 proto tcp
  ufw --force enable
} >&2
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
"""
WEB, WEB_6 = "10.9.1.2", "fd09:0:0:1::2"

UFW = World(
    OWN_ETC + ROUTED + BUILD,
    (
        Probe("client", NODE_ADDRESS, "tcp", 80),
        Probe("client", NODE_ADDRESS, "udp", 80, undecided=True),
        Probe("client", NODE_ADDRESS, "tcp", 81),
        Probe("client", NODE_ADDRESS),
        Probe("client", WEB, "tcp", 80),
        Probe("client", WEB, "udp", 80),
        Probe("client", WEB),
        Probe("web", NODE_ADDRESS, "tcp", 80),
        Probe("web", NODE_ADDRESS),
        Probe("web", CLIENT_ADDRESS, "tcp", 80),
        Probe("web", CLIENT_ADDRESS),
        Probe("node", CLIENT_ADDRESS, "udp", 80),
        Probe("node", "127.0.0.1", "udp", 80),
        Probe("node", WEB, "udp", 80),
        Probe("client", NODE_ADDRESS_6, "tcp", 80),
        Probe("client", NODE_ADDRESS_6, "tcp", 81),
        Probe("client", NODE_ADDRESS_6),
        Probe("client", WEB_6, "tcp", 80),
        Probe("client", WEB_6, "udp", 80),
        Probe("client", WEB_6),
        Probe("web", CLIENT_ADDRESS_6, "tcp", 80),
        Probe("node", CLIENT_ADDRESS_6, "udp", 80),
        Probe("node", "::1"),
    ),
    ("ip", "iptables", "iptables-nft-save", "nft", "ping", "unshare", "ufw"),
)
