"""Chains so long that netfs indexes them: rules that name addresses and ports in every form."""

from __future__ import annotations

from random import Random

from tests.kernel.iptables_case import HOSTS, PORTS, IptablesCase
from tests.kernel.iptables_random import packets

LENGTHS = {4: ("", "/24", "/16"), 6: ("", "/64", "/112")}
COMMENT = '-m comment --comment "a b -p tcp --dport 80"'


def long_case(seed: int) -> IptablesCase:
    """A chain of 80 rules and one of 30 beneath it, most of which mark."""
    random = Random(seed)
    family = random.choice((4, 6))
    sent = packets(random, seed, (family,), False)
    hosts = (*HOSTS[family], *(one.packet.src for one in sent if one.packet.family == family))
    chains = {"FORWARD": 80, "sub": 30}
    rules = [_rule(random, chain, family, hosts) for chain, count in chains.items() for _ in range(count)]
    program = f"{'ip6tables' if family == 6 else 'iptables'}-{random.choice(('nft', 'legacy'))}"
    return IptablesCase(((program, "\n".join(["*mangle", ":sub - [0:0]", *rules, "COMMIT", ""])),), sent)


def _rule(random: Random, chain: str, family: int, hosts: tuple[str, ...]) -> str:
    asked = [option for option in ("-s", "-d") if random.random() < 0.5]
    words = [f"{_not(random)}{option} {random.choice(hosts)}{random.choice(LENGTHS[family])}" for option in asked]
    if random.random() < 0.2:
        words.append(random.choice(("-i c0", "! -i s0", "-o s0", "-o s+")))
    proto = random.choice((None, "udp", "tcp", "icmpv6" if family == 6 else "icmp"))
    if proto:
        words.append(f"-p {proto}")
    if proto in ("udp", "tcp") and random.random() < 0.8:
        words += [COMMENT] if random.random() < 0.2 else []
        port = random.choice((*map(str, PORTS), "80:90", "53:"))
        words.append(f"-m {proto} {_not(random)}--dport {port}")
    return " ".join((f"-A {chain}", *words, _target(random, chain)))


def _not(random: Random) -> str:
    return "! " if random.random() < 0.15 else ""


def _target(random: Random, chain: str) -> str:
    if random.random() < 0.85:
        bit = 1 << random.randrange(5)
        return f"-j MARK --set-xmark {bit:#x}/{bit:#x}"
    below: tuple[str, ...] = ("-j sub", "-g sub") if chain != "sub" else ()
    return random.choice(("-j ACCEPT", "-j DROP", "-j RETURN", *below))
