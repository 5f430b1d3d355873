"""The reference CNI plugins, called as a container runtime calls them: bridge, host-local, portmap, firewall."""

from __future__ import annotations

from tests.conformance.agreement import Probe
from tests.conformance.world import CLIENT_ADDRESS, NODE_ADDRESS, World

BUILD = """
echo 1 >/proc/sys/net/ipv4/ip_forward
iptables -P FORWARD DROP
add() { # NAME PORT-MAPPINGS
  export CNI_COMMAND=ADD CNI_CONTAINERID=$1-1234 CNI_NETNS=/run/netns/$1 CNI_IFNAME=eth0 CNI_PATH=/usr/lib/cni
  ip netns add $1
  ip -n $1 link set lo up
  head='"cniVersion": "0.4.0", "name": "lab"'
  result=$(/usr/lib/cni/bridge <<CONF
{$head, "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
 "ipam": {"type": "host-local", "dataDir": "/run/world/ipam", "ranges": [[{"subnet": "10.22.0.0/16"}]],
          "routes": [{"dst": "0.0.0.0/0"}]}}
CONF
)
  result=$(/usr/lib/cni/portmap <<CONF
{$head, "type": "portmap", "capabilities": {"portMappings": true}, "snat": true,
 "runtimeConfig": {"portMappings": [$2]}, "prevResult": $result}
CONF
)
  /usr/lib/cni/firewall >/dev/null <<CONF
{$head, "type": "firewall", "backend": "iptables", "prevResult": $result}
CONF
  echo $1 /run/netns/$1 >>pods
}
add web '{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
         {"hostPort": 8053, "containerPort": 80, "protocol": "udp"}'
add peer '{"hostPort": 9090, "containerPort": 80, "protocol": "tcp", "hostIP": "192.0.2.1"},
          {"hostPort": 9091, "containerPort": 80, "protocol": "tcp", "hostIP": "127.0.0.1"}'
iptables -A CNI-ADMIN -p tcp -m conntrack --ctstate DNAT --ctorigdstport 8080 -j ACCEPT
iptables -A CNI-ADMIN -s 10.22.0.3 -d 192.0.2.0/24 -p udp -j DROP
"""
WEB, PEER = "10.22.0.2", "10.22.0.3"

CNI = World(
    BUILD,
    (
        Probe("client", NODE_ADDRESS, "tcp", 8080),
        Probe("client", NODE_ADDRESS, "udp", 8053),
        Probe("client", NODE_ADDRESS, "udp", 8080),
        Probe("client", NODE_ADDRESS, "tcp", 9090),
        Probe("client", NODE_ADDRESS, "tcp", 9091),
        Probe("client", WEB, "tcp", 80),
        Probe("client", PEER),
        Probe("web", PEER, "tcp", 80),
        Probe("peer", WEB),
        Probe("web", CLIENT_ADDRESS, "udp", 80),
        Probe("web", CLIENT_ADDRESS),
        Probe("peer", CLIENT_ADDRESS, "udp", 80),
        Probe("peer", CLIENT_ADDRESS, "tcp", 80),
        Probe("web", NODE_ADDRESS, "tcp", 8080),
        Probe("peer", NODE_ADDRESS, "tcp", 8080),
        Probe("peer", "10.22.0.1", "udp", 8053),
        Probe("node", NODE_ADDRESS, "tcp", 8080),
        Probe("node", "127.0.0.1", "tcp", 8080),
        Probe("node", "127.0.0.1", "udp", 8053),
        Probe("node", "127.0.0.1", "tcp", 9090),
        Probe("node", "127.0.0.1", "tcp", 9091),
        Probe("node", WEB, "tcp", 80),
    ),
    (
        "ip",
        "iptables",
        "iptables-nft-save",
        "nft",
        "ping",
        "unshare",
        *(f"/usr/lib/cni/{name}" for name in ("bridge", "host-local", "portmap", "firewall")),
    ),
    user=True,
)
