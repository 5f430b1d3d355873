"""Writes random matches of iptables, as they go together in one rule of a chain."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from tests.kernel.iptables_case import HOSTS, PORTS

NETS = {4: ("10.2.0.0/24", "10.2.0.0/28", "10.1.0.0/16", "10.1.60.0/22"), 6: ("fd02::/64", "fd01::/64", "fd02::8/125")}
COMMENTS = ("plain", '"two words"', '"ns/web:http -j DROP"')
SHARES = ("0.00000000000", "1.00000000000", "0.50000000000", "0.33333333349")
STATES = ("NEW", "RELATED,ESTABLISHED", "INVALID", "NEW,UNTRACKED")
CHANCES = (
    "hashlimit --hashlimit-upto 5/min --hashlimit-name h",
    "recent --rcheck --seconds 60 --name r",
    "connbytes --connbytes 1: --connbytes-dir both --connbytes-mode packets",
    "connlimit --connlimit-above 2",
    "time --timestart 00:00 --timestop 23:00",
    "helper --helper ftp",
)
"""Matches that no snapshot decides."""
NO_IN = {"OUTPUT", "POSTROUTING"}
NO_OUT = {"PREROUTING", "INPUT"}


@dataclass
class Chain:
    """A chain that is being written, and the hooks from which it may be reached."""

    name: str
    hooks: frozenset[str]
    rules: list[str] = field(default_factory=list)


@dataclass
class MatchWriter:
    """Writes matches for the rules of one table of one program."""

    random: Random
    family: int
    table: str
    sets: tuple[str, ...]
    bridge: bool
    routed: bool
    """MARK may set the bit that sends a packet to the third wire."""

    def matches(self, chain: Chain, proto: str | None) -> list[str]:
        """The protocol, where one is wanted, and up to three other matches."""
        random = self.random
        found = [self.protocol(proto)] if proto else []
        heads = self.heads(chain)
        tails = self.tails(chain, proto)
        count = random.choice((0, 0, 1, 1, 2)) if proto else random.choice((0, 1, 1, 1, 2))
        chosen = [random.choice((heads, tails, tails)) for _ in range(count)]
        kinds: set[str] = set()
        for pool in chosen:
            match = random.choice(pool)
            kind = " ".join(match.removeprefix("! ").split()[: 1 if match.removeprefix("! ")[1] != "m" else 2])
            if kind not in kinds:
                kinds.add(kind)
                if pool is heads:
                    found.insert(0, match)
                else:
                    found.append(match)
        return found

    def not_(self, chance: float = 0.25) -> str:
        return "! " if self.random.random() < chance else ""

    def protocol(self, proto: str) -> str:
        random, six = self.random, self.family == 6
        if proto == "icmp":
            kind, module = ("icmpv6-type", "icmp6") if six else ("icmp-type", "icmp")
            numbers = ("128", "129", "128/0", "echo-request") if six else ("8", "0", "8/0", "echo-request", "any")
            name = random.choice(("ipv6-icmp", "icmpv6")) if six else "icmp"
            more = f" -m {module} {self.not_()}--{kind} {random.choice(numbers)}" if random.random() < 0.6 else ""
            return f"-p {name}{more}"
        low = random.choice(PORTS)
        port = random.choice((f"{low}", f"{low}", f"{low}:{low + 40}", f"{low}:", f":{low}"))
        more = ""
        if random.random() < 0.6:
            more = f" -m {proto} {self.not_()}--dport {port}"
            if random.random() < 0.2:
                more += f" {self.not_()}--sport 1024:65535"
        elif proto == "tcp":
            flags = random.choice(("SYN,ACK SYN", "FIN,SYN,RST,ACK SYN", "ACK ACK", "SYN,ACK SYN,ACK", "ALL NONE"))
            more = f" -m tcp {self.not_()}--tcp-flags {flags}"
        return f"-p {proto}{more}"

    def heads(self, chain: Chain) -> list[str]:
        """Matches of the header itself: ``-s``, ``-d``, ``-i``, ``-o``, ``-f``."""
        random = self.random
        host, net = random.choice(HOSTS[self.family]), random.choice(NETS[self.family])
        found = [f"{self.not_()}-d {host}", f"{self.not_()}-d {net}", f"{self.not_()}-s {net}"]
        ins, outs = ("br0", "br+", "c0") if self.bridge else ("c0", "c+", "s0", "lo"), ("s0", "s+", "m0", "lo")
        if not chain.hooks & NO_IN or (chain.name not in NO_IN and random.random() < 0.5):
            found.append(f"{self.not_()}-i {random.choice(ins)}")
        if not chain.hooks & NO_OUT or (chain.name not in NO_OUT and random.random() < 0.5):
            found.append(f"{self.not_()}-o {random.choice(ins[:2] if self.bridge else outs)}")
        return found

    def tails(self, chain: Chain, proto: str | None) -> list[str]:
        """Matches of the extensions."""
        random, six = self.random, self.family == 6
        found = [
            self.conntrack(),
            self.conntrack(),
            f"-m state {self.not_()}--state {random.choice(STATES)}",
            f"-m mark {self.not_()}--mark {random.choice(('0x0', '0x1', '0x1/0x1', '0x2/0x3', '0x0/0x3'))}",
            f"-m connmark {self.not_()}--mark {random.choice(('0x0', '0x1', '0x2/0x2'))}",
            f"-m comment --comment {random.choice(COMMENTS)}",
            f"-m statistic --mode random {self.not_()}--probability {random.choice(SHARES)}",
            f"-m statistic --mode nth {self.not_()}--every {random.choice((2, 3))} --packet {random.choice((0, 1))}",
            f"-m limit --limit {random.choice(('5/hour', '10/sec', '1/minute --limit-burst 2'))}",
            f"-m length {self.not_()}--length {random.choice(('38', '0:45', '46:', '58:60'))}",
            f"-m pkttype {self.not_()}--pkt-type {random.choice(('unicast', 'multicast'))}",
            f"-m {random.choice(('hl', 'hl')) if six else 'ttl'} {self.ttl()}",
            f"-m tos {self.not_()}--tos {random.choice(('0x20/0xff', '0x20/0x3f', '0x00/0xff'))}",
            f"-m dscp {self.not_()}{random.choice(('--dscp 0x08', '--dscp 0x00', '--dscp-class CS1'))}",
            f"-m addrtype {self.addrtype(chain)}",
            f"-m ecn {self.not_()}--ecn-ip-ect {random.choice((0, 1))}",
            f"-m {random.choice(CHANCES)}",
            f"-m iprange {self.iprange()}",
        ]
        if self.sets:
            found += [f"-m set {self.not_()}--match-set {self.set_()}" for _ in range(3)]
        if not chain.hooks & NO_IN:
            found.append(f"-m devgroup {self.not_()}--src-group {random.choice(('0x0', '0x1/0x1'))}")
            found.append("-m policy --dir in --pol none")
            found.append(
                f"-m mac {self.not_()}--mac-source {random.choice(('02:00:00:00:01:02', '02:00:00:00:02:02'))}"
            )
        if proto in ("tcp", "udp"):
            way = random.choice(("dports", "dports", "sports", "ports"))
            ports = random.choice(("80,443", "53,79:90", "8080", "1:100,8000:9000", "1024:65535"))
            found += [f"-m multiport {self.not_()}--{way} {ports}"] * 2
        found += self.physdev(chain)
        return found

    def conntrack(self) -> str:
        random = self.random
        net, host = random.choice(NETS[self.family]), random.choice(HOSTS[self.family])
        states = ("NEW", "RELATED,ESTABLISHED", "INVALID", "NEW,UNTRACKED", "DNAT", "SNAT", "ESTABLISHED,DNAT")
        status = ("SEEN_REPLY", "EXPECTED", "NONE", "CONFIRMED", "SEEN_REPLY,EXPECTED")
        pool = [
            f"{self.not_()}--ctstate {random.choice(states)}",
            f"{self.not_()}--ctstatus {random.choice(status)}",
            f"{self.not_()}--ctorigdst {random.choice((net, host))}",
            f"{self.not_()}--ctorigsrc {net}",
            f"{self.not_()}--ctreplsrc {random.choice((net, host))}",
            f"{self.not_()}--ctorigdstport {random.choice(('80', '53:443'))}",
            f"--ctdir {random.choice(('ORIGINAL', 'REPLY'))}",
            f"{self.not_()}--ctproto {random.choice(('tcp', 'udp', '17'))}",
        ]
        chosen = random.sample(pool, random.choice((1, 1, 1, 2)))
        if any("dstport" in each for each in chosen):
            chosen = [*(each for each in chosen if "ctproto" not in each), f"--ctproto {random.choice((6, 17))}"]
        return "-m conntrack " + " ".join(chosen)

    def ttl(self) -> str:
        way = "hl" if self.family == 6 else "ttl"
        return self.random.choice((f"{self.not_()}--{way}-eq 64", f"--{way}-gt 10", f"--{way}-lt 64", f"--{way}-eq 63"))

    def addrtype(self, chain: Chain) -> str:
        random = self.random
        kinds = ("LOCAL", "UNICAST", "LOCAL,UNICAST", "BROADCAST" if self.family == 4 else "MULTICAST", "LOCAL")
        words = [f"{self.not_()}--{random.choice(('dst', 'dst', 'src'))}-type {random.choice(kinds)}"]
        if random.random() < 0.2:
            if chain.hooks <= {"PREROUTING", "INPUT", "FORWARD"}:
                words.append("--limit-iface-in")
            elif chain.hooks <= {"POSTROUTING", "OUTPUT", "FORWARD"}:
                words.append("--limit-iface-out")
        return " ".join(words)

    def iprange(self) -> str:
        ranges = (
            ("fd02::8-fd02::f", "fd01::-fd01::ffff:ffff:ffff:ffff")
            if self.family == 6
            else ("10.2.0.1-10.2.0.9", "10.1.55.0-10.1.65.255", "10.1.0.0-10.2.0.5")
        )
        return f"{self.not_()}--{self.random.choice(('src', 'dst'))}-range {self.random.choice(ranges)}"

    def set_(self) -> str:
        random = self.random
        name = random.choice(self.sets)
        way = random.choice(("src", "dst"))
        if "triple" in name:
            return f"{name} {random.choice(('dst,dst,src', 'dst,dst,dst', 'src,dst,dst'))}"
        if name.startswith(("pairs", "netpairs", "ifaces")):
            return f"{name} {random.choice(('dst,dst', 'src,dst', 'src,src', 'dst,src'))}"
        if name == "ports":
            return f"{name} {random.choice(('dst', 'dst', 'src'))}"
        return f"{name} {way}"

    def physdev(self, chain: Chain) -> list[str]:
        random = self.random
        found = [f"-m physdev {self.not_()}--physdev-in {random.choice(('c0', 'c+', 's0'))}"]
        found.append(f"-m physdev {self.not_()}--physdev-is-in")
        if "OUTPUT" not in chain.hooks:
            found.append(f"-m physdev {self.not_()}--physdev-is-bridged")
            found.append(f"-m physdev {self.not_()}--physdev-out {random.choice(('s0', 's+', 'c0'))}")
        return found * (2 if self.bridge else 1)
