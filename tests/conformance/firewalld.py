"""firewalld, the firewall of Fedora and RHEL: zones and policies in nftables, sets, NAT and a reverse path check."""

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

STARTS = """
firewalld_starts() {
  mount -t tmpfs tmpfs /var/log
  mkdir -p /run/dbus /run/firewalld
  dbus-daemon --system --fork
  firewalld --nofork --nopid >firewalld.log 2>&1 &
  for turn in $(seq 300); do firewall-cmd --state >/dev/null 2>&1 && break; sleep 0.1; done
  firewall-cmd --state >&2 || { tail -n 20 firewalld.log >&2; exit 77; }
}
"""
BUILD = """
routed web 1
routed guest 2
routed thief 3
mkdir -p /etc/firewalld/zones /etc/firewalld/ipsets /etc/firewalld/policies
cat >/etc/firewalld/zones/external.xml <<XML
<zone>
  <interface name="eth0"/><masquerade/><port port="80" protocol="tcp"/><icmp-block name="echo-request"/>
  <forward-port port="8080" protocol="tcp" to-port="80" to-addr="10.9.1.2"/>
  <forward-port port="8053" protocol="udp" to-port="80"/>
  <rule family="ipv4"><source address="192.0.2.0/25" invert="True"/><port port="81" protocol="tcp"/><accept/></rule>
  <rule family="ipv4"><port port="80" protocol="udp"/><accept><limit value="1/m"/></accept></rule>
  <rule family="ipv6"><source address="2001:db8::/64"/><port port="80" protocol="tcp"/><reject/></rule>
</zone>
XML
cat >/etc/firewalld/zones/internal.xml <<XML
<zone>
  <interface name="vweb"/><interface name="vguest"/><forward/><protocol value="icmp"/>
  <rule family="ipv4"><source address="10.9.2.2"/><port port="80" protocol="tcp"/><reject type="tcp-reset"/></rule>
  <rule><port port="80" protocol="tcp"/><accept/></rule>
</zone>
XML
cat >/etc/firewalld/zones/drop.xml <<XML
<zone target="DROP"><source ipset="thieves"/></zone>
XML
cat >/etc/firewalld/ipsets/thieves.xml <<XML
<ipset type="hash:net"><entry>10.9.3.0/24</entry><entry>203.0.113.7</entry></ipset>
XML
cat >/etc/firewalld/policies/out.xml <<XML
<policy target="ACCEPT"><ingress-zone name="internal"/><egress-zone name="external"/>
  <rule family="ipv4"><destination address="192.0.2.0/24"/><port port="81" protocol="tcp"/><drop/></rule></policy>
XML
firewalld_starts
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
"""
WEB, GUEST, THIEF = "10.9.1.2", "10.9.2.2", "10.9.3.2"
WEB_6, GUEST_6 = "fd09:0:0:1::2", "fd09:0:0:2::2"

FIREWALLD = World(
    OWN_ETC + ROUTED + STARTS + BUILD,
    (
        Probe("client", NODE_ADDRESS, "tcp", 80),
        Probe("client", NODE_ADDRESS, "udp", 80, undecided=True),
        Probe("client", NODE_ADDRESS),
        Probe("client", NODE_ADDRESS, "tcp", 8080),
        Probe("client", NODE_ADDRESS, "udp", 8053),
        Probe("client", NODE_ADDRESS, "tcp", 81),
        Probe("client", WEB, "tcp", 80),
        Probe("client", THIEF),
        Probe("web", CLIENT_ADDRESS, "tcp", 80),
        Probe("web", CLIENT_ADDRESS, "tcp", 81),
        Probe("web", CLIENT_ADDRESS),
        Probe("web", NODE_ADDRESS, "tcp", 80),
        Probe("web", NODE_ADDRESS, "udp", 80),
        Probe("web", NODE_ADDRESS, "tcp", 8080),
        Probe("guest", NODE_ADDRESS, "tcp", 80),
        Probe("guest", NODE_ADDRESS),
        Probe("guest", WEB, "tcp", 80),
        Probe("web", GUEST),
        Probe("thief", NODE_ADDRESS),
        Probe("thief", WEB, "tcp", 80),
        Probe("thief", CLIENT_ADDRESS, "udp", 80),
        Probe("web", THIEF, "udp", 80),
        Probe("node", THIEF, "udp", 80),
        Probe("node", CLIENT_ADDRESS, "tcp", 80),
        Probe("node", NODE_ADDRESS, "tcp", 8080),
        Probe("node", "127.0.0.1", "udp", 80),
        Probe("client", NODE_ADDRESS_6, "tcp", 80),
        Probe("client", NODE_ADDRESS_6),
        Probe("client", WEB_6, "udp", 80),
        Probe("web", CLIENT_ADDRESS_6, "tcp", 80),
        Probe("web", GUEST_6),
        Probe("web", NODE_ADDRESS_6, "tcp", 80),
        Probe("guest", NODE_ADDRESS_6),
        Probe("node", CLIENT_ADDRESS_6, "udp", 80),
        Probe("node", NODE_ADDRESS_6, "udp", 80),
    ),
    ("ip", "nft", "ping", "unshare", "dbus-daemon", "firewalld"),
)
