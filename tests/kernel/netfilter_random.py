"""Random rule sets and packets that often meet them."""

from __future__ import annotations

from random import Random

from netfs.model.packet import Packet
from tests.kernel.netfilter_compare import Sent

PORTS = (53, 80, 81, 443, 8080, 8472)
HOSTS = ("10.2.0.9", "10.2.0.10", "10.2.7.1", "10.1.0.1", "10.2.0.1")
HOSTS6 = ("fd02::9", "fd02::a", "fd01::1")
NAMES = ('"c0"', '"s0"', '"c*"', '{ "s*", "lo" }', '{ "c0", "lo" }')
HOOKS = ("prerouting", "input", "forward", "output", "postrouting")


def rule_set(seed: int) -> str:
    """One to three tables, each with a few chains to jump to and a few base chains."""
    random = Random(seed)
    return "".join(_table(random, f"t{number}") for number in range(random.randint(1, 3)))


def _table(random: Random, name: str) -> str:
    family = random.choice(("ip", "inet", "inet", "ip6"))
    text = f"table {family} {name} {{\n"
    text += f"set ports {{ type inet_service; flags interval; elements = {{ {_ports(random)} }}; }}\n"
    called: list[str] = []
    for number in range(random.randint(0, 3)):
        rules = "".join(_rule(random, family, called) + "\n" for _ in range(random.randint(1, 4)))
        text += f"chain c{number} {{ {rules}}}\n"
        called.append(f"c{number}")
    for number in range(random.randint(1, 4)):
        hook, priority = random.choice(HOOKS), random.choice((-300, -150, -101, -99, -10, 0, 10, 99, 101))
        policy = random.choice(("accept", "accept", "accept", "drop"))
        rules = "".join(_rule(random, family, called) + "\n" for _ in range(random.randint(1, 6)))
        text += f"chain b{number} {{ type filter hook {hook} priority {priority}; policy {policy};\n{rules}}}\n"
    if random.random() < 0.5:
        text += _nat(random, family)
    return text + "}\n"


def _ports(random: Random) -> str:
    low = random.choice((50, 79, 400))
    return f"{low}-{low + random.randint(1, 3)}, {random.choice((8080, 8472))}"


def _nat(random: Random, family: str) -> str:
    dnat = {"ip": "dnat to 10.2.0.77", "inet": "dnat ip to 10.2.0.77", "ip6": "dnat to fd02::77"}[family]
    snat = {"ip": "snat to 10.2.0.66", "inet": "snat ip to 10.2.0.66", "ip6": "snat to fd02::66"}[family]
    port = random.choice(PORTS)
    return (
        f"chain n1 {{ type nat hook prerouting priority {random.choice((-100, -50))}; policy accept;\n"
        f"{_matches(random, family, {'protocol', 'family'})} udp dport {port} {dnat}\n }}\n"
        f"chain n2 {{ type nat hook postrouting priority 100; policy accept;\n"
        f"{_matches(random, family, {'family'})} {random.choice((snat, 'masquerade'))}\n }}\n"
    )


def _rule(random: Random, family: str, called: list[str]) -> str:
    verdicts = ["accept", "drop", "drop", "return", "continue", "counter", f"meta mark set {random.randint(1, 3)}"]
    verdicts += ["meta mark set meta mark | 0x10", f"ct mark set {random.randint(1, 3)}"]
    verdicts += [f"{random.choice(('jump', 'goto'))} {name}" for name in called] * 2
    target = f"jump {random.choice(called)}" if called else "drop"
    verdicts.append(f"meta l4proto vmap {{ tcp : accept, udp : {target}, icmp : return }}")
    verdicts.append(f"th dport vmap {{ 80 : drop, 443-8080 : {target} }}")
    found = random.choice(verdicts)
    guard = "meta l4proto { tcp, udp } " if found.startswith("th dport") else ""
    return f"{_matches(random, family, {'protocol'} if 'vmap' in found else None)} {guard}{found}"


def _matches(random: Random, family: str, settled: set[str] | None = None) -> str:
    """Up to three matches; nft takes only one that settles the protocol, and one that settles the family."""
    found: list[str] = []
    settled = set(settled or ())
    for match in random.sample(_choices(random, family), random.randint(0, 3)):
        settles = _settles(match)
        if not settles & settled:
            found.append(match)
            settled |= settles
    return " ".join(found)


def _settles(match: str) -> set[str]:
    first, second = match.split()[:2]
    protocol = first in ("tcp", "udp", "icmp", "icmpv6") or second in ("l4proto", "protocol", "nexthdr")
    family = first in ("ip", "ip6", "icmp", "icmpv6", "fib") or second == "nfproto"
    return ({"protocol"} if protocol or "dport" in match else set()) | ({"family"} if family else set())


def _choices(random: Random, family: str) -> list[str]:
    op = random.choice(("", "", "!= "))
    port = random.choice(PORTS)
    found = [
        f"udp dport {op}{port}",
        f"tcp dport {random.choice(('> 79', '< 443', '<= 80', '>= 81', '53-81'))}",
        f"meta l4proto {random.choice(('tcp', 'udp', '{ tcp, udp }', '!= udp'))}",
        f"meta mark {op}{random.randint(0, 3)}",
        f"meta mark & 0x12 {random.choice(('==', '!='))} {random.choice((0, 2, 16))}",
        f"ct state {random.choice(('new', 'established,related', 'invalid', '{ new, untracked }', '!= new'))}",
        f"iifname {op}{random.choice(NAMES)}",
        f"oifname {op}{random.choice(NAMES)}",
        f"meta length {random.choice(('> 40', '< 45', '38-39'))}",
        f"udp dport {op}@ports",
        f"ct mark {op}{random.randint(0, 2)}",
        "ct direction original",
        "tcp flags syn / syn,ack",
    ]
    if family != "ip6":
        host = random.choice(HOSTS)
        found += [
            f"ip daddr {op}{host}",
            f"ip daddr {op}10.2.0.0/{random.choice((16, 24, 28))}",
            f"ip saddr . udp dport {{ 10.1.0.0/16 . 50-{port + 1} }}",
            f"ip daddr . meta l4proto . th dport {{ {host} . tcp . {port}, {host} . udp . {port} }}",
            f"ip ttl {random.choice(('< 10', '64', '63', '!= 64'))}",
            f"ip protocol {random.choice(('icmp', 'tcp', '!= udp'))}",
            f"ip dscp {random.choice(('cs1', '!= cs0', '{ cs0, cs1 }'))}",
            "icmp type echo-request",
            f"fib daddr type {random.choice(('local', 'unicast'))}",
        ]
    if family != "ip":
        found += [
            f"ip6 daddr {op}{random.choice(HOSTS6)}",
            f"ip6 daddr {op}fd02::/64",
            "ip6 nexthdr udp",
            "icmpv6 type echo-request",
            "ip6 hoplimit > 63",
        ]
    if family == "inet":
        found.append(f"meta nfproto {random.choice(('ipv4', 'ipv6'))}")
    return found


def sent_packets(seed: int) -> tuple[Sent, ...]:
    """Twelve packets of both families and three protocols, each a connection of its own."""
    random = Random(seed)
    return tuple(_packet(random, seed, number) for number in range(12))


def _packet(random: Random, seed: int, number: int) -> Sent:
    place = random.choice(("client", "client", "client", "router"))
    six = random.random() < 0.25
    dst = random.choice(HOSTS6 if six else HOSTS)
    if place == "router":
        src, dst = ("fd02::1", "fd02::9") if six else ("10.2.0.1", random.choice(HOSTS[:3]))
    else:
        src = f"fd01::{seed + 16:x}:{number + 1:x}" if six else f"10.1.{seed % 200 + 50}.{number + 1}"
    proto, head = random.choice(("udp", "udp", "tcp", "icmp")), 40 if six else 20
    ttl, tos = random.choice((64, 64, 9)), random.choice((0, 0, 0x20))
    if proto == "icmp":
        return Sent(place, Packet(src, dst, "icmp", size=head + 18, ttl=ttl, tos=tos, icmp_type="echo-request"))
    size = head + (30 if proto == "tcp" else 18)
    flags = "syn" if proto == "tcp" else None
    ports = 10000 + (seed * 12 + number) % 50000, random.choice(PORTS)
    return Sent(place, Packet(src, dst, proto, *ports, size=size, ttl=ttl, tos=tos, tcp_flags=flags))
