"""Small rule sets of iptables, each about one thing; every one is played with both backends."""

from __future__ import annotations

from dataclasses import dataclass

from netfs.model.packet import Packet
from tests.kernel.iptables_case import SETS, STATIONS, IptablesCase
from tests.kernel.iptables_writer import REJECTS
from tests.kernel.netfilter_compare import Sent

BACKENDS = ("nft", "legacy")
OWN = {
    ("client", 4): "10.1.7{}.{}",
    ("client", 6): "fd01::7{}:{}",
    ("server", 4): "10.2.7{}.{}",
    ("server", 6): "fd02::7{}:{}",
}


@dataclass(frozen=True)
class Scenario:
    """Rules of one program, and packets that meet them."""

    tables: str
    sent: tuple[Sent, ...]
    ipset: str = ""
    bridge: bool = False

    def case(self, backend: str) -> IptablesCase:
        """For one backend; the family is that of the packets."""
        name = "ip6tables" if self.sent[0].packet.family == 6 else "iptables"
        return IptablesCase(((f"{name}-{backend}", self.tables),), self.sent, self.ipset, bridge=self.bridge)


def packet(
    number: int, dst: str, dport: int = 80, place: str = "client", proto: str = "udp", bridged: bool = False
) -> Sent:
    """The first packet of a connection of its own."""
    six = ":" in dst
    src = ("fd02::1" if six else "10.2.0.1") if place == "router" else ""
    src = src or OWN[place, 6 if six else 4].format(number // 200, number % 200 + 1)
    head = 40 if six else 20
    to = STATIONS["server" if place == "client" else "client"] if bridged else None
    if proto == "icmp":
        made = Packet(src, dst, size=head + 18, icmp_type="echo-request", src_mac=STATIONS.get(place), dst_mac=to)
        return Sent(place, made)
    flags, size = ("syn", head + 30) if proto == "tcp" else (None, head + 18)
    ports, mac = (20000 + number, dport), STATIONS.get(place)
    return Sent(place, Packet(src, dst, proto, *ports, size=size, tcp_flags=flags, src_mac=mac, dst_mac=to))


def packets(*ways: tuple[str, int] | tuple[str, int, str] | tuple[str, int, str, str]) -> tuple[Sent, ...]:
    """A packet for each (destination, port, place, protocol)."""
    return tuple(packet(number, *way) for number, way in enumerate(ways, 1))


def table(name: str, *rules: str, chains: tuple[str, ...] = (), policies: str = "") -> str:
    """A table as ``iptables-restore`` reads it; ``policies``: built-in chains that drop."""
    heads = [*(f":{chain} DROP [0:0]" for chain in policies.split()), *(f":{chain} - [0:0]" for chain in chains)]
    return "\n".join([f"*{name}", *heads, *rules, "COMMIT", ""])


def refusals(family: int) -> Scenario:
    """Every way to refuse, one for each port."""
    dst = "fd02::9" if family == 6 else "10.2.0.9"
    rules = [
        f"-A FORWARD -p udp --dport {80 + at} -j REJECT --reject-with {kind}" for at, kind in enumerate(REJECTS[family])
    ]
    ways = [(dst, 80 + at) for at in range(len(rules))]
    return Scenario(
        table("filter", *rules, "-A FORWARD -p tcp -j REJECT --reject-with tcp-reset"),
        packets(*ways, (dst, 80, "client", "tcp")),
    )


SCENARIOS = {
    "the types of an IPv6 address are all asked of it": Scenario(
        table(
            "filter",
            "-A FORWARD -m addrtype --dst-type UNICAST,LOCAL -j DROP",
            "-A INPUT -p udp --dport 81 -m addrtype --dst-type UNICAST,LOCAL -j DROP",
            "-A INPUT -p udp --dport 82 -m addrtype ! --dst-type UNICAST,LOCAL -j DROP",
            "-A INPUT -p udp --dport 83 -m addrtype --dst-type UNICAST -j DROP",
        ),
        packets(("fd02::9", 80), *(("fd01::1", port) for port in range(80, 84))),
    ),
    "a local address of IPv4 is no unicast one": Scenario(
        table(
            "filter",
            "-A INPUT -p udp --dport 81 -m addrtype --dst-type UNICAST -j DROP",
            "-A INPUT -p udp --dport 82 -m addrtype --dst-type LOCAL --limit-iface-in -j DROP",
            "-A INPUT -p udp --dport 83 -m addrtype ! --src-type LOCAL,BROADCAST -j DROP",
        ),
        packets(*(("10.1.0.1", port) for port in range(80, 84)), ("10.2.0.1", 82)),
    ),
    "table security stands before nat, but behind it with iptables-nft": Scenario(
        table("nat", "-A INPUT -j MARK --set-xmark 0x2/0x2", "-A INPUT -j SNAT --to-source 10.2.0.66")
        + table("security", "-A INPUT -j MARK --set-xmark 0x2/0x0"),
        packets(("10.1.0.1", 80)),
    ),
    "a frame without a port of exit passes no test for one": Scenario(
        table(
            "filter",
            "-A INPUT -m physdev ! --physdev-out s0 -p udp --dport 80 -j DROP",
            "-A INPUT -m physdev --physdev-in c0 -p udp --dport 81 -j DROP",
            "-A INPUT -m physdev ! --physdev-in s+ -p udp --dport 82 -j DROP",
            "-A OUTPUT -m physdev ! --physdev-in c0 -p udp --dport 83 -j DROP",
            "-A FORWARD -m physdev --physdev-is-bridged --physdev-out s0 -p udp --dport 84 -j DROP",
            "-A FORWARD -m physdev ! --physdev-is-bridged -p udp --dport 85 -j DROP",
            "-A FORWARD -m physdev --physdev-out s+ -p udp --dport 86 -j DROP",
        ),
        (
            *packets(*(("10.1.0.1", port) for port in range(80, 83)), ("10.2.0.9", 83, "router")),
            *(packet(10 + port, "10.2.0.9", port) for port in range(83, 87)),
            *(packet(20 + port, "10.2.0.9", port, bridged=True) for port in range(83, 87)),
        ),
        bridge=True,
    ),
    "an answer taken out of tracking is not translated back": Scenario(
        table("raw", "-A PREROUTING -i s0 -p udp --sport 80 -j CT --notrack")
        + table("nat", "-A POSTROUTING -o s0 -j MASQUERADE"),
        packets(("10.2.0.9", 80), ("10.2.0.9", 81)),
    ),
    "rules before nat see an answer as it came": Scenario(
        table("mangle", "-A PREROUTING -i s0 -p udp --sport 80 -m addrtype --dst-type LOCAL -j DROP")
        + table("filter", "-A FORWARD -p udp --sport 81 ! -d 10.1.0.0/16 -j DROP")
        + table("nat", "-A POSTROUTING -o s0 -j MASQUERADE"),
        packets(("10.2.0.9", 80), ("10.2.0.9", 81), ("10.2.0.9", 82)),
    ),
    "a packet that comes back by lo is tracked before raw": Scenario(
        table(
            "raw",
            "-A PREROUTING -i lo -p udp --dport 80 -m conntrack --ctstate INVALID -j DROP",
            "-A PREROUTING -i lo -p udp --dport 81 -m conntrack --ctstate NEW -j MARK --set-mark 1",
            "-A PREROUTING -i lo -p udp --dport 82 -j CT --notrack",
        )
        + table("mangle", "-A PREROUTING -i lo -m conntrack --ctstate UNTRACKED -j DROP"),
        packets(*(("10.1.0.1", port, "router") for port in range(80, 83))),
    ),
    "translations by address, port, range and network": Scenario(
        table(
            "nat",
            "-A PREROUTING -p udp --dport 80 -j DNAT --to-destination 10.2.0.77:8080",
            "-A PREROUTING -p udp --dport 81 -j DNAT --to-destination 10.2.0.70-10.2.0.79",
            "-A PREROUTING -p udp --dport 82 -j DNAT --to-destination 10.2.0.77:8100-8199/2",
            "-A PREROUTING -p udp --dport 83 -j REDIRECT --to-ports 8083",
            "-A PREROUTING -p udp --dport 84 -j NETMAP --to 10.2.7.64/28",
            "-A PREROUTING -p udp --dport 85 -j DNAT --to-destination :8085",
            "-A POSTROUTING -p udp --dport 86 -j SNAT --to-source 10.2.0.60-10.2.0.67",
            "-A POSTROUTING -p udp --dport 87 -j SNAT --to-source 10.2.0.60-10.2.0.67 --persistent",
            "-A POSTROUTING -p udp --dport 88 -j MASQUERADE --to-ports 3000",
            "-A POSTROUTING -p udp --dport 89 -j NETMAP --to 10.2.9.0/24",
            "-A INPUT -p udp --dport 90 -j SNAT --to-source 10.2.0.66",
            "-A OUTPUT -p udp --dport 91 -j REDIRECT",
            "-A OUTPUT -p udp --dport 92 -j DNAT --to-destination 10.1.9.9",
        ),
        packets(
            *(("10.2.0.9", port) for port in range(80, 90)),
            ("10.1.0.1", 90),
            *(("10.2.0.9", port, "router") for port in (91, 92, 93)),
        ),
    ),
    "a changed mark is routed anew": Scenario(
        table(
            "mangle",
            "-A PREROUTING -p udp --dport 80 -j MARK --set-mark 0x100",
            "-A OUTPUT -p udp --dport 81 -j MARK --set-xmark 0x101/0x103",
            "-A FORWARD -p udp --dport 82 -j MARK --set-mark 0x100",
            "-A PREROUTING -p udp --dport 83 -j MARK --set-mark 0x100",
            "-A PREROUTING -p udp --dport 83 -j MARK --and-mark 0xff",
        ),
        packets(*(("10.2.0.9", port, place) for place in ("client", "router") for port in range(80, 84))),
    ),
    "a connection keeps its mark": Scenario(
        table(
            "mangle",
            "-A PREROUTING -j CONNMARK --restore-mark",
            "-A PREROUTING -m mark --mark 0x5 -p udp --sport 81 -j DROP",
            "-A FORWARD -m conntrack --ctstate NEW -j CONNMARK --set-mark 0x5",
            "-A FORWARD -p udp --dport 82 -m mark --mark 0x5 -j MARK --set-xmark 0x3/0x2",
            "-A POSTROUTING -p udp --dport 82 -j CONNMARK --save-mark --nfmask 0x2 --ctmask 0x3",
        ),
        packets(*(("10.2.0.9", port) for port in range(80, 83))),
    ),
    "a chain returns, a goto does not": Scenario(
        table(
            "filter",
            "-A FORWARD -p udp -j one",
            "-A FORWARD -p udp --dport 80 -j ACCEPT",
            "-A one -p udp --dport 81 -g two",
            "-A one -p udp --dport 82 -j RETURN",
            "-A one -j three",
            "-A one -p udp --dport 83 -j ACCEPT",
            "-A two -p udp --dport 80 -j ACCEPT",
            "-A three -p udp --dport 84 -j ACCEPT",
            "-A three -p udp --dport 83 -j RETURN",
            chains=("one", "two", "three"),
            policies="FORWARD",
        ),
        packets(*(("10.2.0.9", port) for port in range(80, 86))),
    ),
    "a set is as the packet itself has changed it": Scenario(
        table(
            "mangle",
            "-A PREROUTING -p udp --dport 80 -j SET --add-set hosts-v4 src",
            "-A PREROUTING -p udp --dport 81 -j SET --del-set hosts-v4 dst",
        )
        + table(
            "filter",
            "-A FORWARD -p udp --dport 80 -m set --match-set hosts-v4 src -j DROP",
            "-A FORWARD -p udp --dport 81 -m set --match-set hosts-v4 dst -j DROP",
            "-A FORWARD -p udp --dport 82 -m set ! --match-set nets-v4 dst -j DROP",
            "-A FORWARD -p udp --dport 83 -m set --match-set ifaces-v4 src,src -j DROP",
        ),
        packets(*(("10.2.0.10", port) for port in (80, 82, 83)), ("10.2.7.1", 81)),
        ipset=SETS["hosts-v4"] + SETS["nets-v4"] + SETS["ifaces-v4"],
    ),
    "without a connection only its state is asked": Scenario(
        table(
            "raw",
            "-A PREROUTING -p udp --dport 80 -m conntrack --ctstate INVALID --ctorigdst 10.9.9.9 -j DROP",
            "-A PREROUTING -p udp --dport 81 -m conntrack ! --ctorigdst 10.9.9.9 -j DROP",
            "-A PREROUTING -p udp --dport 82 -j NOTRACK",
        )
        + table(
            "filter",
            "-A FORWARD -p udp --dport 82 -m conntrack --ctstate UNTRACKED --ctdir REPLY -j DROP",
            "-A FORWARD -m conntrack --ctstate DNAT --ctstatus CONFIRMED -j DROP",
        ),
        packets(*(("10.2.0.9", port) for port in range(80, 84))),
    ),
    "what depends on more than the packet has every outcome": Scenario(
        table(
            "filter",
            "-A FORWARD -p udp --dport 80 -m limit --limit 1/hour --limit-burst 1 -j DROP",
            "-A FORWARD -p udp --dport 81 -m hashlimit --hashlimit-upto 1/hour --hashlimit-name h -j DROP",
            "-A FORWARD -p udp --dport 82 -m statistic --mode random --probability 0.5 -j DROP",
        ),
        packets(*(("10.2.0.9", 80 + number % 3) for number in range(12))),
    ),
}
"""By what they hold."""
