"""Random rule sets of iptables and ip6tables, sometimes with tables of nft, and packets that often meet them."""

from __future__ import annotations

import re
from dataclasses import replace
from random import Random

from netfs.model.packet import Packet
from tests.kernel.iptables_case import HOSTS, PORTS, SETS, STATIONS, IptablesCase
from tests.kernel.iptables_matches import Chain
from tests.kernel.iptables_writer import HOOKS, Writer
from tests.kernel.netfilter_compare import Sent

UNCERTAIN = re.compile(r" -m (statistic|limit|hashlimit|recent|connbytes|connlimit|time|helper) ")
BACK = {4: ("10.1.9.9", "10.1.0.1", "10.2.0.1"), 6: ("fd01::99", "fd01::1")}
"""Where the server sends to."""


def iptables_case(seed: int, *, bridge: bool | None = None) -> IptablesCase:
    """Tables of one or two families and backends, sets, now and then nft beside them, and packets.

    ``bridge``: the wires are ports of a bridge, and what crosses it is translated too. None: some are, without that.
    """
    random = Random(seed)
    translated = bridge is not None
    bridge = random.random() < 0.15 if bridge is None else bridge
    beside = random.random() < 0.2
    families = random.choice(((4,), (4,), (6,), (4, 6)))
    restores: list[tuple[str, str]] = []
    sets = SETS if random.random() < 0.5 else {}
    for family in families:
        names = [name for name in HOOKS if random.random() < (0.75 if name == "nat" else 0.5)]
        names = [name for name in names if translated or not bridge or name != "nat"]
        mode = random.choice(("legacy", "nft", "both"))
        for table in names or ["filter"]:
            backend = random.choice(("legacy", "nft")) if mode == "both" else mode
            usable = tuple(name for name in sets if name == "ports" or name.endswith(f"v{family}"))
            text = Writer(random, family, table, usable, bridge, not beside).text()
            restores.append((f"{'ip6tables' if family == 6 else 'iptables'}-{backend}", text))
    nft = beside_nft(random) if beside else ""
    return IptablesCase(
        joined(restores), packets(random, seed, families, bridge), "".join(sets.values()), nft, bridge=bridge
    )


def counted_case(seed: int) -> IptablesCase:
    """Rules that leave nothing to chance, so that it is known which of them count a packet."""
    case = iptables_case(seed)
    restores = tuple(
        (program, "".join(line for line in text.splitlines(keepends=True) if not UNCERTAIN.search(line)))
        for program, text in case.restores
    )
    return replace(case, restores=restores, counted=True)


def dense_case(seed: int) -> IptablesCase:
    """Two dozen rules of matches alone, each with a bit of the mark that tells whether it was fulfilled."""
    random, bridge = Random(seed), seed % 5 == 4
    family, hook = random.choice((4, 4, 6)), random.choice(("PREROUTING", "INPUT", "FORWARD", "FORWARD", "POSTROUTING"))
    sets = tuple(name for name in SETS if name == "ports" or name.endswith(f"v{family}"))
    writer = Writer(random, family, "mangle", sets, bridge, False)
    chain = Chain(hook, frozenset((hook,)))
    rules: list[str] = []
    while len(rules) < 24:
        proto = random.choice((None, None, "udp", "tcp", "icmp"))
        rule = f"-A {hook} {' '.join(writer.matches(chain, proto))} -j MARK --set-xmark"
        if not UNCERTAIN.search(rule):
            bit = 1 << (len(rules) if len(rules) < 8 else len(rules) + 1)
            rules.append(f"{rule} {bit:#x}/{bit:#x}")
    program = f"{'ip6tables' if family == 6 else 'iptables'}-{random.choice(('nft', 'legacy'))}"
    text = "\n".join(["*mangle", *rules, "COMMIT", ""])
    return IptablesCase(
        ((program, text),), packets(random, seed, (family,), bridge), "".join(SETS.values()), bridge=bridge
    )


def joined(restores: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """One text for each program, legacy first."""
    texts: dict[str, str] = {}
    for program, text in restores:
        texts[program] = texts.get(program, "") + text
    return tuple(sorted(texts.items()))


def beside_nft(random: Random) -> str:
    """A table of nft, at priorities that iptables does not use: of equal ones the order is not known."""
    headers = (
        "",
        "udp dport 80-443",
        "tcp dport { 80, 443 }",
        "meta l4proto { icmp, icmpv6, tcp }",
        "ip daddr 10.2.0.0/24",
        "ip6 daddr fd02::/64",
    )
    states = (
        "",
        "ct state new",
        "ct state established,related",
        "meta mark 1",
        "meta mark & 0x2 == 0",
        "ct mark != 0",
        'iifname "c0"',
        'oifname { "s0", "lo" }',
    )
    actions = ("accept", "drop", "meta mark set 2", "ct mark set meta mark", "jump deeper", "return", "counter")
    text = "table inet beside {\nchain deeper { udp dport 53 drop\n meta mark set meta mark | 1\n }\n"
    for number in range(random.randint(1, 3)):
        hook = random.choice(("prerouting", "input", "forward", "output", "postrouting"))
        place = random.choice((-310, -145, -95, -5, 5, 45, 105, 160))
        rules = "".join(
            f"{random.choice(headers)} {random.choice(states)} {random.choice(actions)}\n"
            for _ in range(random.randint(1, 4))
        )
        text += f"chain b{number} {{ type filter hook {hook} priority {place}; policy accept;\n{rules}}}\n"
    return text + "}\n"


def packets(random: Random, seed: int, families: tuple[int, ...], bridge: bool) -> tuple[Sent, ...]:
    """Twelve packets, each of a connection of its own."""
    return tuple(
        _packet(random, seed, number, random.choice((*families, *families, 4, 6)), bridge) for number in range(12)
    )


def _packet(random: Random, seed: int, number: int, family: int, bridge: bool) -> Sent:
    place = random.choice(("client", "client", "client", "client", "server", "router", "router"))
    src, dst = _ends(random, place, seed, number, family, bridge)
    proto, head = random.choice(("udp", "udp", "tcp", "icmp")), 40 if family == 6 else 20
    ttl, tos = random.choice((64, 64, 9)), random.choice((0, 0, 0x20))
    if proto == "icmp":
        echo = "echo-reply" if random.random() < 0.15 else "echo-request"
        packet = Packet(src, dst, "icmp", size=head + 18, ttl=ttl, tos=tos, icmp_type=echo)
        return Sent(place, _framed(random, place, packet, bridge))
    size = head + (30 if proto == "tcp" else 18)
    flags = random.choice(("syn", "syn", "syn", "syn", "ack", "syn-ack", "rst")) if proto == "tcp" else None
    ports = 10000 + (seed * 12 + number) % 50000, random.choice(PORTS)
    packet = Packet(src, dst, proto, *ports, size=size, ttl=ttl, tos=tos, tcp_flags=flags)
    return Sent(place, _framed(random, place, packet, bridge))


def _framed(random: Random, place: str, packet: Packet, bridge: bool) -> Packet:
    """In a frame of its station; over a bridge it is often for the station at the other port."""
    if place == "router":
        return packet
    packet = replace(packet, src_mac=STATIONS[place])
    other = STATIONS["server" if place == "client" else "client"]
    return replace(packet, dst_mac=other) if bridge and random.random() < 0.6 else packet


def _ends(random: Random, place: str, seed: int, number: int, family: int, bridge: bool) -> tuple[str, str]:
    """Source and destination; a source on a wire is a host of its own."""
    if place == "router":
        own = 1 if bridge else 2
        return (f"fd0{own}::1", "fd02::9") if family == 6 else (f"10.{own}.0.1", random.choice(HOSTS[4][:4]))
    wire = 1 if place == "client" else 2
    six = f"fd0{wire}::{seed % 60000 + 16:x}:{number + 1:x}"
    src = six if family == 6 else f"10.{wire}.{seed % 200 + 50}.{number + 1}"
    return src, random.choice(HOSTS[family] if wire == 1 else BACK[family])
