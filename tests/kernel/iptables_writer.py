"""Writes random tables of iptables as ``…-restore`` reads them.

What a table, a hook or a family does not take is never written.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.kernel.iptables_case import PORTS
from tests.kernel.iptables_matches import Chain, MatchWriter

TARGETS = {4: ("10.2.0.77", "10.2.0.10", "10.3.0.5", "10.1.0.1"), 6: ("fd02::77", "fd02::a", "fd03::5", "fd01::1")}
SOURCES = {4: ("10.2.0.66", "10.2.0.67"), 6: ("fd02::66", "fd02::67")}
HOOKS = {
    "raw": ("PREROUTING", "OUTPUT"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "security": ("INPUT", "FORWARD", "OUTPUT"),
}
REJECTS = {
    4: (
        "icmp-net-unreachable",
        "icmp-host-unreachable",
        "icmp-port-unreachable",
        "icmp-proto-unreachable",
        "icmp-net-prohibited",
        "icmp-host-prohibited",
        "icmp-admin-prohibited",
    ),
    6: (
        "icmp6-no-route",
        "icmp6-adm-prohibited",
        "icmp6-addr-unreachable",
        "icmp6-port-unreachable",
        "icmp6-policy-fail",
        "icmp6-reject-route",
    ),
}


@dataclass
class Writer(MatchWriter):
    """Writes the rules of one table of one program."""

    def text(self) -> str:
        """The table."""
        random = self.random
        hooks = HOOKS[self.table]
        made: list[Chain] = []
        for number in range(random.choice((0, 1, 1, 2, 3))):
            reach = frozenset(hooks) if random.random() < 0.5 else frozenset(random.sample(hooks, 1))
            chain = Chain(f"{random.choice(('c', 'KUBE-SVC-', 'a_b.'))}{number}", reach)
            chain.rules = [self.rule(chain, made) for _ in range(random.randint(1, 4))]
            made.append(chain)
        base = [Chain(hook, frozenset((hook,))) for hook in hooks]
        for chain in random.sample(base, random.randint(1, len(base))):
            chain.rules = [self.rule(chain, made) for _ in range(random.randint(1, 6))]
        drop = self.table != "nat" and random.random() < 0.2
        lines = [f"*{self.table}"]
        lines += [f":{chain.name} {'DROP' if drop and random.random() < 0.4 else 'ACCEPT'} [0:0]" for chain in base]
        lines += [f":{chain.name} - [0:0]" for chain in made]
        lines += [f"-A {chain.name} {rule}" for chain in (*made, *base) for rule in chain.rules]
        if self.table == "nat":
            # Without anything that needs conntrack there is none, and nobody asks the nat chains.
            lines.append(f"-A POSTROUTING -s {'fd09::9' if self.family == 6 else '10.9.9.9'} -j MASQUERADE")
        return "\n".join((*lines, "COMMIT", ""))

    def rule(self, chain: Chain, made: list[Chain]) -> str:
        """Matches and a target that go together in this chain."""
        called = [each.name for each in made if chain.hooks <= each.hooks]
        proto = self.random.choice((None, None, "udp", "udp", "tcp", "icmp"))
        target, needed = self.target(chain, called, proto)
        proto = needed or proto
        return " ".join(part for part in (*self.matches(chain, proto), target) if part)

    def target(self, chain: Chain, called: list[str], proto: str | None) -> tuple[str, str | None]:
        """``-j …`` and the protocol it needs; the empty text is a rule without target."""
        random = self.random
        pool: list[tuple[str, str | None]] = [("-j ACCEPT", None), ("-j ACCEPT", None), ("-j RETURN", None), ("", None)]
        pool += [(f"{random.choice(('-j', '-j', '-g'))} {name}", None) for name in called] * 3
        pool += [(target, None) for target in self.marks(chain)]
        pool += [(f"-j LOG --log-prefix {chr(34)}a b {chr(34)} --log-level 6", None)]
        if self.table == "nat":
            pool += [self.nat(chain, proto) for _ in range(8)]
        else:
            pool += [("-j DROP", None)] * 3
        if self.table == "filter":
            pool += [(f"-j REJECT --reject-with {random.choice(REJECTS[self.family])}", None)] * 4
            pool += [("-j REJECT --reject-with tcp-reset", "tcp")]
        if self.table == "raw":
            pool += [("-j CT --notrack", None), ("-j NOTRACK", None)]
        if self.table == "mangle":
            pool += [(target, None) for target in (*self.mangling(chain), *self.marks(chain))]
            if chain.hooks <= {"FORWARD", "POSTROUTING", "OUTPUT"}:
                pool.append(("--tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu", "tcp"))
        chosen, needed = random.choice(pool)
        if chosen.startswith("--tcp-flags"):
            chosen = f"-m tcp {chosen}"
        return chosen, needed

    def marks(self, chain: Chain) -> list[str]:
        """MARK and CONNMARK; the routing's bit is set only where a changed mark is routed again."""
        random = self.random
        where = self.table == "mangle" or (self.table == "raw" and chain.hooks == {"PREROUTING"})
        bits = ("0x1", "0x100/0x100", "0x100", "0x101/0x103") if self.routed and where else ("0x1/0x3", "0x2/0x2")
        low = "" if where else " --nfmask 0x3 --ctmask 0x3"
        return [
            f"-j MARK --set-xmark {random.choice(bits)}",
            f"-j MARK {random.choice(('--or-mark 0x1', '--xor-mark 0x2', '--and-mark 0xfffffffe'))}",
            f"-j CONNMARK --save-mark{random.choice(('', ' --nfmask 0x3 --ctmask 0x3'))}",
            f"-j CONNMARK --restore-mark{low or random.choice(('', ' --nfmask 0x1 --ctmask 0x1'))}",
            f"-j CONNMARK --set-xmark {random.choice(('0x1/0x1', '0x2', '0x3/0x7'))}",
        ]

    def mangling(self, chain: Chain) -> list[str]:
        random = self.random
        name, way = ("HL", "hl") if self.family == 6 else ("TTL", "ttl")
        return [
            f"-j {name} --{way}-{random.choice(('set 30', 'inc 2', 'dec 1'))}",
            f"-j DSCP {random.choice(('--set-dscp 0x0a', '--set-dscp-class CS2'))}",
            f"-j TOS --set-tos {random.choice(('0x10/0x3f', '0x20/0xff'))}",
        ]

    def nat(self, chain: Chain, proto: str | None) -> tuple[str, str | None]:
        random, six = self.random, self.family == 6
        with_ports = proto if proto in ("tcp", "udp") else random.choice(("tcp", "udp"))
        to, source = random.choice(TARGETS[self.family]), random.choice(SOURCES[self.family])
        wrapped = f"[{to}]" if six else to
        persistent = random.choice(("", " --persistent"))
        found: list[tuple[str, str | None]] = []
        if chain.hooks <= {"PREROUTING", "OUTPUT"}:
            net = "fd02::40/124" if six else "10.2.0.64/28"
            found = [
                (f"-j DNAT --to-destination {to}", None),
                (f"-j DNAT --to-destination {wrapped}:{random.choice(PORTS)}", with_ports),
                (f"-j DNAT --to-destination {wrapped}:8100-8103", with_ports),
                (f"-j DNAT --to-destination {wrapped}:8100-9100/50", with_ports),
                (f"-j DNAT --to-destination {'fd02::70-fd02::79' if six else '10.2.0.70-10.2.0.79'}", None),
                ("-j REDIRECT", None),
                (f"-j REDIRECT --to-ports {random.choice(PORTS)}", with_ports),
                (f"-j NETMAP --to {net}", None),
            ]
        elif chain.hooks <= {"POSTROUTING"}:
            found = [
                ("-j MASQUERADE", None),
                ("-j MASQUERADE --random-fully", None),
                ("-j MASQUERADE --to-ports 3000-3100", with_ports),
                (f"-j SNAT --to-source {source}", None),
                (f"-j SNAT --to-source {f'[{source}]' if six else source}:4000-4100", with_ports),
                (f"-j SNAT --to-source {'fd02::60-fd02::67' if six else '10.2.0.60-10.2.0.67'}{persistent}", None),
                (f"-j NETMAP --to {'fd02::40/124' if six else '10.2.0.64/28'}", None),
            ]
        elif chain.hooks <= {"INPUT"}:
            found = [(f"-j SNAT --to-source {source}", None)]
        return random.choice(found) if found else ("-j ACCEPT", None)
