"""What a case of iptables is made of: rules of every program, sets, packets; and the addresses that all of them use."""

from __future__ import annotations

from dataclasses import dataclass

from tests.kernel.netfilter_compare import Sent

PORTS = (53, 80, 81, 443, 8080)
HOSTS = {4: ("10.2.0.9", "10.2.0.10", "10.2.7.1", "10.1.0.1", "10.2.0.1"), 6: ("fd02::9", "fd02::a", "fd01::1")}
STATIONS = {"client": "02:00:00:00:01:02", "server": "02:00:00:00:02:02", "third": "02:00:00:00:02:02"}
"""The far end of every wire."""

SETS = {
    "hosts-v4": "create hosts-v4 hash:ip family inet\nadd hosts-v4 10.2.0.9\nadd hosts-v4 10.2.7.1\n",
    "nets-v4": "create nets-v4 hash:net family inet\nadd nets-v4 10.2.0.0/16\nadd nets-v4 10.2.0.8/29 nomatch\n"
    "add nets-v4 10.1.56.0/21\n",
    "pairs-v4": "create pairs-v4 hash:ip,port family inet\nadd pairs-v4 10.2.0.9,tcp:80\n"
    "add pairs-v4 10.2.0.9,udp:80-81\nadd pairs-v4 10.2.0.10,icmp:echo-request\n",
    "netpairs-v4": "create netpairs-v4 hash:net,port family inet\nadd netpairs-v4 10.2.0.0/24,udp:80\n"
    "add netpairs-v4 10.2.0.9,udp:80 nomatch\n",
    "bits-v4": "create bits-v4 bitmap:ip range 10.2.0.0/24\nadd bits-v4 10.2.0.8-10.2.0.9\n",
    "list-v4": "create list-v4 list:set\nadd list-v4 hosts-v4\nadd list-v4 bits-v4\n",
    "triples-v4": "create triples-v4 hash:ip,port,ip family inet\nadd triples-v4 10.2.0.9,udp:80,10.2.0.9\n"
    "add triples-v4 10.2.0.1,tcp:80,10.2.0.10\n",
    "triplenets-v4": "create triplenets-v4 hash:ip,port,net family inet\n"
    "add triplenets-v4 10.2.0.9,udp:80,10.1.0.0/16\nadd triplenets-v4 10.2.0.9,tcp:80-443,10.0.0.0/8\n",
    "ifaces-v4": "create ifaces-v4 hash:net,iface family inet\nadd ifaces-v4 10.1.0.0/16,c0\n"
    "add ifaces-v4 10.2.0.0/24,s0\nadd ifaces-v4 10.2.0.9,s0 nomatch\n",
    "hosts-v6": "create hosts-v6 hash:ip family inet6\nadd hosts-v6 fd02::9\n",
    "nets-v6": "create nets-v6 hash:net family inet6\nadd nets-v6 fd02::/64\nadd nets-v6 fd02::8/127 nomatch\n",
    "pairs-v6": "create pairs-v6 hash:ip,port family inet6\nadd pairs-v6 fd02::9,udp:80\n"
    "add pairs-v6 fd02::a,tcp:443\n",
    "ports": "create ports bitmap:port range 0-1023\nadd ports 80\nadd ports 443\n",
}
"""By name, what ``ipset restore`` reads."""


@dataclass(frozen=True)
class IptablesCase:
    """Rules of every program, and packets sent one after another."""

    restores: tuple[tuple[str, str], ...]
    """(``iptables-nft`` and its kin, what its ``-restore`` reads)."""
    sent: tuple[Sent, ...]
    ipset: str = ""
    nft: str = ""
    answers: bool = True
    """Packets are answered, and followed by the next of their connections."""
    counted: bool = False
    """Packets are sent one by one, and the counters read behind each."""
    bridge: bool = False
    """The wires are ports of one bridge."""
