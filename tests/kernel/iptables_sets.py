"""Random ipsets, each asked by one rule that sets a bit of the mark where the packet is in it."""

from __future__ import annotations

from random import Random

from netfs.model.packet import Packet
from tests.kernel.iptables_case import STATIONS, IptablesCase
from tests.kernel.netfilter_compare import Sent

HOSTS = ("10.2.0.1", "10.2.0.9", "10.2.0.130", "10.2.7.1", "10.2.200.9", "10.1.80.1", "10.1.80.9", "10.1.81.1")
SIX = ("fd02::9", "fd02::a", "fd02::7:1", "fd01::80:1", "fd01::80:9", "fd01::81:1")
PORTS = (53, 80, 81, 443, 8080)
LENGTHS = {4: (8, 15, 16, 17, 22, 24, 25, 30, 31, 32), 6: (16, 32, 63, 64, 96, 112, 120, 127, 128)}
BITS = 24
DIMENSIONS = {
    "hash:ip": ("ip",),
    "hash:net": ("net",),
    "hash:ip,port": ("ip", "port"),
    "hash:net,port": ("net", "port"),
    "hash:ip,port,ip": ("ip", "port", "ip"),
    "hash:ip,port,net": ("ip", "port", "net"),
    "hash:net,iface": ("net", "iface"),
    "bitmap:ip": ("ip",),
    "bitmap:port": ("bare",),
}


def sets_case(seed: int) -> IptablesCase:
    """Two dozen sets of one family, and packets whose mark tells in which they are."""
    random, family = Random(seed), Random(seed).choice((4, 4, 6))
    texts: list[str] = []
    rules: list[str] = []
    for number in range(BITS - 2):
        kind = random.choice([kind for kind in DIMENSIONS if family == 4 or kind != "bitmap:ip"])
        texts.append(_set(random, f"s{number}", kind, family))
        rules.append(_rule(random, number, kind))
    for number in (BITS - 2, BITS - 1):
        chosen = random.sample(range(BITS - 2), 3)
        texts.append(f"create s{number} list:set\n" + "".join(f"add s{number} s{each}\n" for each in chosen))
        rules.append(_rule(random, number, "hash:ip,port,ip"))
    program = f"{'ip6tables' if family == 6 else 'iptables'}-{random.choice(('nft', 'legacy'))}"
    text = "\n".join(["*mangle", *rules, "COMMIT", ""])
    sent = tuple(_sent(random, number, family) for number in range(24))
    return IptablesCase(((program, text),), sent, "".join(texts), answers=False)


def _rule(random: Random, number: int, kind: str) -> str:
    ways = ",".join(random.choice(("src", "dst")) for _ in DIMENSIONS[kind])
    negated = "! " if random.random() < 0.2 else ""
    bit = 1 << number + 8 if number + 8 != 8 else 1
    return f"-A FORWARD -m set {negated}--match-set s{number} {ways} -j MARK --set-xmark {bit:#x}/{bit:#x}"


def _set(random: Random, name: str, kind: str, family: int) -> str:
    options = "" if kind.startswith("bitmap") else f" family {'inet6' if family == 6 else 'inet'}"
    if kind == "bitmap:ip":
        options = " range 10.2.0.0/16"
    elif kind == "bitmap:port":
        options = " range 0-1023"
    elif kind == "hash:ip" and random.random() < 0.3:
        options += f" netmask {random.choice(LENGTHS[family][1:])}"
    if random.random() < 0.2:
        options += " timeout 3600"
    if random.random() < 0.2:
        options += " counters comment"
    lines = [f"create {name} {kind}{options}"]
    for _ in range(random.randint(1, 6)):
        element = ",".join(_part(random, part, kind, family) for part in DIMENSIONS[kind])
        nomatch = " nomatch" if "net" in DIMENSIONS[kind] and random.random() < 0.25 else ""
        if kind == "hash:net,iface" and random.random() < 0.2:
            element = f"{element[:-2]}{random.choice('cs')} wildcard"
        lines.append(f"add -exist {name} {element}{nomatch}")
    return "\n".join(lines) + "\n"


def _part(random: Random, part: str, kind: str, family: int) -> str:
    host = random.choice(SIX if family == 6 else HOSTS)
    if part == "ip":
        while kind == "bitmap:ip" and not host.startswith("10.2."):
            host = random.choice(HOSTS)
        return host
    if part == "net":
        return f"{host}/{random.choice(LENGTHS[family])}"
    if part == "iface":
        return random.choice(("c0", "s0"))
    port = random.choice(PORTS[:4])
    if part == "bare":
        return random.choice((f"{port}", f"{port}-{port + 20}"))
    echo = "icmpv6:echo-request" if family == 6 else "icmp:echo-request"
    return random.choice((f"{port}", f"tcp:{port}", f"udp:{port}", f"udp:{port}-{port + 5}", echo))


def _sent(random: Random, number: int, family: int) -> Sent:
    """Through the router, from a host that some set may name."""
    hosts = SIX if family == 6 else HOSTS
    src = random.choice([host for host in hosts if host.startswith(("10.1.", "fd01"))])
    dst = random.choice([host for host in hosts if host.startswith(("10.2.", "fd02")) and host != "10.2.0.1"])
    proto, head = random.choice(("udp", "udp", "tcp", "icmp")), 40 if family == 6 else 20
    mac = STATIONS["client"]
    if proto == "icmp":
        return Sent("client", Packet(src, dst, size=head + 18, icmp_type="echo-request", src_mac=mac))
    flags, size = ("syn", head + 30) if proto == "tcp" else (None, head + 18)
    ports = 20000 + number, random.choice(PORTS)
    return Sent("client", Packet(src, dst, proto, *ports, size=size, tcp_flags=flags, src_mac=mac))
