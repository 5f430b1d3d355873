"""Random expressions, as text, about what random frames hold."""

from __future__ import annotations

from random import Random

from tests.unit.filter_frames import HOSTS, MACS, PORTS, TAGS, VNIS

NETS = (
    "10.244.0.0/16",
    "10.244.1.0/24",
    "net 10.245",
    "0.0.0.0/0",
    "fd00:244::/32",
    "fd00:244:1::/48",
    "10.244.1.2/31",
)
WAYS = ("", "", "src ", "dst ", "src or dst ", "src and dst ")


def primitive(rng: Random, *, plain: bool = False) -> str:
    """One primitive; ``plain``: one that pcap-filter(7) understands in the same way."""
    makers = [_host, _net, _port, _range, _proto, _word, _ether, _length]
    return rng.choice(makers if plain else [*makers, _tunnel, _tag])(rng)


def expression(rng: Random, depth: int, *, plain: bool = False) -> str:
    """A whole expression."""
    if depth == 0 or rng.random() < 0.2:
        return primitive(rng, plain=plain)
    kind = rng.choice(("and", "or", "not", "several") if plain else ("and", "or", "not", "several", "outer", "inner"))
    parts = [expression(rng, depth - 1, plain=plain) for _ in range(rng.randrange(2, 4))]
    if kind == "not":
        return f"{rng.choice(('not ', '! ', '!'))}( {parts[0]} )"
    if kind in {"outer", "inner"}:
        return f"{kind} ( {parts[0]} )"
    if kind == "several":
        return f" {rng.choice(('and', 'or'))} ".join(_bound(part) for part in parts[:2])
    word = rng.choice((kind, "&&" if kind == "and" else "||"))
    return f" {word} ".join(f"({part})" for part in parts)


def _bound(part: str) -> str:
    return part if " and " not in part and " or " not in part else f"({part})"


def _host(rng: Random) -> str:
    family = rng.choice((4, 4, 6))
    way = rng.choice(WAYS)
    within = rng.choice(("", "", "ip ", "arp ")) if family == 4 else rng.choice(("", "ip6 "))
    hosts = rng.choices(HOSTS[family], k=rng.choice((1, 1, 2, 3)))
    return f"({within}{way}host {' or '.join(hosts)})"


def _net(rng: Random) -> str:
    net = rng.choice(NETS)
    return net if net.startswith("net") else f"{rng.choice(WAYS)}net {net}"


def _port(rng: Random) -> str:
    ports = " or ".join(str(port) for port in rng.choices(PORTS, k=rng.choice((1, 1, 2))))
    return f"({rng.choice(('', 'tcp ', 'udp ', 'sctp '))}{rng.choice(WAYS)}port {ports})"


def _range(rng: Random) -> str:
    first, last = rng.randrange(65536), rng.choice(PORTS)
    return f"{rng.choice(('', 'tcp ', 'udp '))}{rng.choice(WAYS)}portrange {first}-{last}"


def _proto(rng: Random) -> str:
    number = rng.choice(("1", "2", "4", "6", "17", "47", "58", "89", "132", r"\tcp", r"\udp"))
    return f"{rng.choice(('', 'ip ', 'ip6 '))}proto {number}"


def _word(rng: Random) -> str:
    return rng.choice(("tcp", "udp", "sctp", "icmp", "icmp6", "ip", "ip6", "arp"))


def _ether(rng: Random) -> str:
    if rng.random() < 0.2:
        return f"ether proto {rng.choice(('0x88cc', '2048', '0x86dd', '0x0806'))}"
    return f"ether {rng.choice(WAYS)}host {rng.choice(MACS)}"


def _length(rng: Random) -> str:
    return f"{rng.choice(('greater', 'less'))} {rng.choice((0, 60, 100, 150, 300))}"


def _tunnel(rng: Random) -> str:
    vni = rng.choice(VNIS)
    return rng.choice(("vxlan", "geneve", f"vni {vni}", f"vxlan {vni}", f"geneve {vni}"))


def _tag(rng: Random) -> str:
    return rng.choice(("vlan", f"vlan {rng.choice(TAGS)}"))
