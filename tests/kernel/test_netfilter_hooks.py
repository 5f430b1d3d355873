"""The evaluator against the kernel: rule sets as operators have them, real packets, equal fates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count

import pytest

from netfs.model.packet import Packet
from tests.kernel.netfilter_compare import Case, Sent, check
from tests.kernel.netfilter_random import bridge_rules, rule_set, sent_packets

pytestmark = pytest.mark.kernel

_numbers: Iterator[int] = count(1)


def client(dst: str = "10.2.0.9", proto: str = "udp", dport: int = 80, **more: object) -> Sent:
    """A packet of a connection of its own, from the client's wire."""
    number = next(_numbers)
    src = f"fd01::5:{number:x}" if ":" in dst else f"10.1.{5 + number // 250}.{1 + number % 250}"
    return _sent("client", src, dst, proto, dport, number, more)


def router(dst: str = "10.2.0.9", proto: str = "udp", dport: int = 80, **more: object) -> Sent:
    """A packet that the router makes itself."""
    src = "fd02::1" if ":" in dst else "10.2.0.1"
    return _sent("router", src, dst, proto, dport, next(_numbers), more)


def _sent(place: str, src: str, dst: str, proto: str, dport: int, number: int, more: dict[str, object]) -> Sent:
    head = {name: value for name, value in more.items() if name in ("ttl", "tos", "icmp_type", "tcp_flags", "src")}
    rest = {name: value for name, value in more.items() if name not in head}
    base: dict[str, object] = {"src": src, "dst": dst, "proto": proto}
    size = 20 if ":" not in dst else 40
    if proto == "icmp":
        base |= {"icmp_type": "echo-request", "size": size + 8 + 10}
    else:
        base |= {"sport": 1024 + number, "dport": dport, "size": size + (20 if proto == "tcp" else 8) + 10}
    if proto == "tcp":
        base["tcp_flags"] = "syn"
    return Sent(place, Packet(**(base | head)), **rest)  # type: ignore[arg-type]


def reply(to: Sent, **more: object) -> Sent:
    """The answer to a packet that reached the server untranslated."""
    packet = to.packet
    back = Packet(packet.dst, packet.src, packet.proto, packet.dport, packet.sport, size=packet.size)
    return Sent("server", back, ct_state="established", ct_direction="reply", ct_status=frozenset(("seen-reply",)))


FORWARD = "type filter hook forward priority filter; policy accept;"
INPUT = "type filter hook input priority filter; policy accept;"
OUTPUT = "type filter hook output priority filter; policy accept;"
DSTNAT = "type nat hook prerouting priority dstnat; policy accept;"
SRCNAT = "type nat hook postrouting priority srcnat; policy accept;"
PREROUTING = "type filter hook prerouting priority mangle; policy accept;"

FLANNEL = """
table ip flannel-ipv4 {
  comment "rules for flannel-ipv4"
  chain forward {
    comment "chain to accept flannel traffic"
    type filter hook forward priority filter; policy accept;
    ip saddr 10.1.0.0/16 accept
    ip daddr 10.1.0.0/16 accept
  }
  chain postrtg {
    comment "chain to manage traffic masquerading by flannel"
    type nat hook postrouting priority srcnat; policy accept;
    meta mark 0x4000 return
    ip saddr 10.1.5.0/24 ip daddr 10.1.0.0/16 return
    ip saddr 10.1.0.0/16 ip daddr 10.1.5.0/24 return
    ip saddr != 10.1.5.0/24 ip daddr 10.1.5.0/24 return
    ip saddr 10.1.0.0/16 ip daddr != 224.0.0.0/4 masquerade fully-random
    ip saddr != 10.1.0.0/16 ip daddr 10.1.0.0/16 masquerade fully-random
  }
}
"""

KUBE_PROXY = """
table ip kube-proxy {
  set cluster-ips { type ipv4_addr; elements = { 10.96.0.1, 10.96.0.10, 10.96.0.99 } }
  set nodeport-ips { type ipv4_addr; elements = { 10.1.0.1 } }
  map no-endpoint-services {
    type ipv4_addr . inet_proto . inet_service : verdict
    elements = { 10.96.0.10 . tcp . 81 comment "ns/none:http" : goto reject-chain }
  }
  map no-endpoint-nodeports { type inet_proto . inet_service : verdict; elements = { tcp . 30099 : drop } }
  map firewall-ips { type ipv4_addr . inet_proto . inet_service : verdict; }
  map service-ips {
    type ipv4_addr . inet_proto . inet_service : verdict
    elements = { 10.96.0.1 . tcp . 80 comment "ns/web" : goto service-web,
                 10.96.0.99 . udp . 53 : goto service-two }
  }
  map service-nodeports {
    type inet_proto . inet_service : verdict
    elements = { tcp . 30080 : goto external-web }
  }
  chain filter-prerouting { type filter hook prerouting priority dstnat - 10; policy accept;
    ct state new jump firewall-check
  }
  chain filter-input { type filter hook input priority -110; policy accept;
    ct state new jump nodeport-endpoints-check
    ct state new jump service-endpoints-check
  }
  chain filter-forward { type filter hook forward priority -110; policy accept;
    ct state new jump service-endpoints-check
    ct state new jump cluster-ips-check
  }
  chain filter-output { type filter hook output priority -110; policy accept;
    ct state new jump service-endpoints-check
    ct state new jump firewall-check
  }
  chain filter-output-post-dnat { type filter hook output priority -90; policy accept;
    ct state new jump cluster-ips-check
  }
  chain nat-prerouting { type nat hook prerouting priority dstnat; policy accept;
    jump services
  }
  chain nat-output { type nat hook output priority -100; policy accept;
    jump services
  }
  chain nat-postrouting { type nat hook postrouting priority srcnat; policy accept;
    jump masquerading
  }
  chain masquerading {
    meta mark & 0x4000 == 0 return
    meta mark set meta mark ^ 0x4000
    masquerade fully-random
  }
  chain mark-for-masquerade { meta mark set meta mark | 0x4000
  }
  chain services {
    ip daddr . meta l4proto . th dport vmap @service-ips
    ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
  }
  chain cluster-ips-check { ip daddr @cluster-ips reject comment "Reject traffic to invalid ports of ClusterIPs"
  }
  chain firewall-check { ip daddr . meta l4proto . th dport vmap @firewall-ips
  }
  chain nodeport-endpoints-check { ip daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports
  }
  chain service-endpoints-check { ip daddr . meta l4proto . th dport vmap @no-endpoint-services
  }
  chain reject-chain { reject comment "helper for @no-endpoint-services / @no-endpoint-nodeports"
  }
  chain service-web {
    ip daddr 10.96.0.1 tcp dport 80 ip saddr != 10.1.0.0/16 jump mark-for-masquerade
    numgen random mod 1 vmap { 0 : goto endpoint-web }
  }
  chain service-two {
    numgen random mod 2 vmap { 0 : goto endpoint-one, 1 : goto endpoint-two }
  }
  chain external-web {
    jump mark-for-masquerade
    goto service-web
  }
  chain endpoint-web {
    ip saddr 10.2.0.9 jump mark-for-masquerade
    meta l4proto tcp dnat to 10.2.0.9:8080
  }
  chain endpoint-one { meta l4proto udp dnat to 10.2.0.11:53
  }
  chain endpoint-two { meta l4proto udp dnat to 10.2.0.12:53
  }
}
"""


def table(*chains: str, family: str = "inet", before: str = "") -> str:
    """One table; each chain is ``NAME: BODY`` with a rule a line."""
    text = "".join(f"chain {name} {{ {body}\n}}\n" for name, _, body in (chain.partition(": ") for chain in chains))
    return f"table {family} t {{\n{before}\n{text}}}\n"


SCENARIOS: dict[str, tuple[str, Callable[[], tuple[Sent, ...]]]] = {
    "flannel": (
        FLANNEL,
        lambda: (client(), client("10.2.0.9", "tcp"), client(proto="icmp"), router("10.1.5.7"), router()),
    ),
    "flannel behind a forward policy of drop": (
        FLANNEL + table("f: type filter hook forward priority 5; policy drop;", family="ip"),
        lambda: (client(), router()),
    ),
    "kube-proxy": (
        KUBE_PROXY,
        lambda: (
            client("10.96.0.1", "tcp", 80),
            client("10.96.0.1", "tcp", 443),
            client("10.96.0.1", "icmp"),
            client("10.96.0.10", "tcp", 81),
            client("10.1.0.1", "tcp", 30080),
            client("10.1.0.1", "tcp", 30099),
            client("10.1.0.1", "tcp", 30001),
            client("10.2.0.9", "tcp", 80),
            router("10.96.0.1", "tcp", 80),
        ),
    ),
    "vxlan-outer-blocked": (
        table(f"i: {INPUT}\n udp dport 8472 drop", f"o: {OUTPUT}\n udp dport 8472 drop"),
        lambda: (client("10.1.0.1", dport=8472), client("10.1.0.1", dport=8473), router(dport=8472), router()),
    ),
    "pmtu-icmp-blocked": (
        table(f"f: {FORWARD}\n icmp type destination-unreachable icmp code frag-needed drop", family="ip"),
        lambda: (client(proto="icmp"), client(proto="icmp", icmp_type="frag-needed", ct_state="invalid")),
    ),
    "accept goes on with the next base chain, drop does not": (
        table(
            "a: type filter hook forward priority -5; policy accept;\n udp dport 80 accept\n udp dport 81 drop",
            "b: type filter hook forward priority 5; policy drop;\n udp dport { 81, 82 } accept",
        ),
        lambda: tuple(client(dport=port) for port in (80, 81, 82, 83)),
    ),
    "families merge by priority": (
        table("a: type filter hook forward priority 1; policy accept;\n meta mark 7 drop", family="ip")
        + table("a: type filter hook forward priority 0; policy accept;\n udp dport 80 meta mark set 7")
        + "table ip u {\n chain b { type filter hook forward priority -1; policy accept;\n meta mark 7 accept\n}\n}\n",
        lambda: (client(), client(dport=81), client("fd02::9")),
    ),
    "of equal priorities the chain made last comes first": (
        table(f"a: {FORWARD}\n meta mark 7 drop", f"b: {FORWARD}\n meta mark set 7", family="ip")
        + "table ip u { chain c { type filter hook forward priority 0; policy accept;\n udp dport 81 meta mark set 8\n"
        "udp dport 82 meta mark 7 drop\n}\n}\n",
        lambda: tuple(client(dport=port) for port in (80, 81, 82)),
    ),
    "jump comes back, goto does not, return leaves": (
        table(
            "one: udp dport 80 return\n udp dport 81 drop\n udp dport 82 goto two",
            "two: udp dport 83 drop",
            f"f: {FORWARD}\n jump one\n udp dport 84 goto two\n udp dport 82 drop\n udp dport 84 drop\n"
            "udp dport 80 return\n udp dport 80 drop",
        ),
        lambda: tuple(client(dport=port) for port in range(80, 86)),
    ),
    "sets, intervals, concatenations, maps": (
        table(
            "c: drop",
            f"f: {FORWARD}\n ip saddr @nets udp dport 80 drop\n ip saddr . udp dport @pairs drop\n"
            "udp dport vmap @ports\n udp dport != { 90-99, 104 } udp dport > 88 drop\n"
            "ip daddr . udp dport { 10.2.0.0/24 . 90-92, 10.2.1.1 . 93 } drop\n"
            "meta mark set udp dport map { 94 : 5, 95 : 6 }\n meta mark { 5, 7-9 } drop",
            before="set nets { type ipv4_addr; flags interval; elements = { 10.1.5.0/28, 10.1.5.40-10.1.5.60 } }\n"
            "set pairs { type ipv4_addr . inet_service; flags interval; elements = { 10.1.0.0/16 . 81-82 } }\n"
            "map ports { type inet_service : verdict; elements = { 83 : drop, 84 : accept, 85 : jump c } }",
        ),
        lambda: tuple(client(dport=port) for port in (*range(80, 106), 80, 80, 80)),
    ),
    "device names": (
        table(
            f'f: {FORWARD}\n iifname "c*" udp dport 80 drop\n oifname "s0" udp dport 81 drop\n'
            'iif c0 udp dport 82 drop\n oif != "s0" drop\n iifname { "x*", "c0" } udp dport 83 drop',
            f'o: {OUTPUT}\n iifname != "c0" udp dport 80 drop\n iif 0 udp dport 81 drop\n iiftype ether drop',
            'p: type filter hook postrouting priority 0; policy accept;\n iifname "c0" udp dport 84 drop',
            family="ip",
        ),
        lambda: tuple(make(dport=port) for make in (client, router) for port in range(80, 87)),
    ),
    "headers": (
        table(
            f"f: {FORWARD}\n ip ttl < 5 drop\n ip dscp cs1 drop\n ip length > 60 drop\n tcp flags syn / syn,ack drop\n"
            "tcp flags ack tcp dport 81 drop\n ip protocol icmp icmp type echo-reply drop\n"
            "meta l4proto udp th dport 82 drop\n ip frag-off & 0x4000 == 0 drop\n meta length 39 drop\n"
            "ip6 hoplimit 9 drop\n ip6 nexthdr tcp drop"
        ),
        lambda: (
            client(ttl=5),
            client(ttl=6),
            client(ttl=7),
            client(tos=0x20),
            client(tos=0x40),
            client(proto="tcp"),
            client(proto="tcp", tcp_flags="syn-ack", ct_state="invalid"),
            client(proto="tcp", tcp_flags="ack", dport=81),
            client(proto="tcp", tcp_flags="ack", dport=82),
            client(proto="icmp"),
            client(proto="icmp", icmp_type="echo-reply", ct_state="invalid"),
            client(dport=82),
            client("fd02::9"),
            client("fd02::9", ttl=10),
            client("fd02::9", "tcp"),
            client("fd02::9", "icmp"),
        ),
    ),
    "dnat, redirect and snat": (
        table(
            "pre: type nat hook prerouting priority dstnat; policy accept;\n udp dport 80 dnat ip to 10.2.0.77:8080\n"
            "udp dport 81 redirect to :9081\n udp dport 82 dnat ip to udp dport map { 82 : 10.2.0.78 }\n"
            "udp dport 80 dnat ip to 10.2.0.99\n tcp dport 83 dnat ip to tcp dport map { 83 : 10.2.0.79 . 99 }\n"
            "meta nfproto ipv6 udp dport 84 dnat ip6 to [fd02::77]:99",
            "post: type nat hook postrouting priority srcnat; policy accept;\n udp dport 8080 snat ip to 10.2.0.50\n"
            'oifname "s0" udp dport 85 masquerade\n udp dport 86 snat ip to 10.2.0.51:4000',
            "out: type nat hook output priority -100; policy accept;\n udp dport 87 dnat ip to 10.1.9.9:88",
        ),
        lambda: (
            *(client(dport=port) for port in (80, 81, 82, 85, 86, 87)),
            client(proto="tcp", dport=83),
            client("fd02::9", dport=84),
            client("fd02::9", dport=85),
            router(dport=87),
            router(dport=80),
        ),
    ),
    "nat stands at its own place, whatever the chain's priority": (
        table(
            "n: type nat hook prerouting priority 0; policy accept;\n udp dport 80 dnat to 10.2.0.77:8080",
            "a: type filter hook prerouting priority -95; policy accept;\n udp dport 8080 drop",
            "b: type filter hook prerouting priority -105; policy accept;\n udp dport 8081 drop",
            family="ip",
        ),
        lambda: (client(), client(dport=8081), client(dport=79)),
    ),
    "conntrack begins after raw": (
        table(
            "r: type filter hook prerouting priority raw; policy accept;\n udp dport 80 ct state != invalid drop\n"
            "udp dport 81 notrack\n udp dport 83 ct mark set 5\n udp dport 84 ct direction original drop",
            f"f: {FORWARD}\n ct state untracked drop\n udp dport 82 ct state new drop\n ct mark 5 drop\n"
            "udp dport 85 ct direction original drop\n udp dport 86 ct state { established, related } drop\n"
            "udp dport 87 ct state ! new drop\n udp dport 88 ct state != established,related drop\n"
            "udp dport 89 ct mark set 6\n ct mark 6 drop\n udp dport 90 ct status != dnat drop",
            family="ip",
        ),
        lambda: tuple(client(dport=port) for port in range(80, 90)),
    ),
    "rejects": (
        table(
            f"f: {FORWARD}\n udp dport 80 reject\n udp dport 81 reject with icmp type admin-prohibited\n"
            "tcp dport 82 reject with tcp reset\n tcp dport 83 reject with icmp type host-unreachable",
            f"i: {INPUT}\n udp dport 80 reject with icmp type net-unreachable",
            family="ip",
        ),
        lambda: (
            client(),
            client(dport=81),
            client(proto="tcp", dport=82),
            client(proto="tcp", dport=83),
            client("10.1.0.1"),
        ),
    ),
    "fib and verdict by protocol": (
        table(
            "p: type filter hook prerouting priority -150; policy accept;\n fib daddr type local udp dport 80 drop\n"
            "fib daddr type { unicast, broadcast } udp dport 81 drop\n"
            "meta l4proto vmap { tcp : jump t, icmp : drop }",
            "x: accept",
            family="ip",
        ).replace("jump t", "jump x"),
        lambda: (
            client("10.1.0.1"),
            client(),
            client("10.1.0.1", dport=81),
            client(dport=81),
            client(proto="tcp"),
            client(proto="icmp"),
        ),
    ),
    "marks are arithmetic": (
        table(
            f"f: {FORWARD}\n meta mark set 0x4000\n udp dport 80 meta mark & 0x4000 == 0x4000 drop\n"
            "meta mark set meta mark ^ 0x4001\n udp dport 81 meta mark 1 drop\n"
            "meta mark set meta mark << 4\n udp dport 82 meta mark & 0xff == 0x10 drop\n meta mark set meta mark | 3\n"
            "udp dport 83 meta mark 0x13 drop\n"
            "meta mark set meta mark & 0x3\n udp dport 84 meta mark 3-9 drop\n ct mark set meta mark\n"
            "meta mark set 0\n udp dport 85 ct mark & 1 == 1 drop\n ip ttl set 9\n ip dscp set cs2\n"
            "udp dport set 99\n udp dport 99 ip ttl 9 accept"
        ),
        lambda: tuple(client(dport=port) for port in range(80, 87)),
    ),
    "a statement about another protocol ends its rule": (
        table(
            f"f: {FORWARD}\n tcp option maxseg size set 500 meta mark set 7\n meta l4proto udp meta mark 7 drop\n"
            "ip ttl set 9 meta mark set 8\n ip6 hoplimit > 0 meta mark 8 drop\n"
            'udp dport 81-82 counter name udp dport map { 81 : "hits" } drop',
            before="counter hits { }",
        ),
        lambda: (client(), client(proto="tcp"), client("fd02::9"), client(dport=81), client(dport=82)),
    ),
    "intervals of marks, which nft prints as prefixes": (
        table(
            f"f: {FORWARD}\n meta mark set udp dport map {{ 80 : 2, 81 : 3, 82 : 4, 83 : 12, 84 : 16 }}\n"
            "meta mark { 2-3, 8-15 } drop\n meta mark vmap { 4-5 : drop }"
        ),
        lambda: tuple(client(dport=port) for port in range(80, 86)),
    ),
    "an egress chain counts the Ethernet header and knows no device of entry": (
        (
            "table netdev n {\nchain out { type filter hook egress device s0 priority 0; policy accept;\n"
            "meta length 52 udp dport 80 drop\n meta length 38 udp dport 81 drop\n iifname c0 udp dport 82 drop\n"
            "meta iiftype { ether, loopback } udp dport 83 drop\n oifname s0 udp dport 84 drop\n"
            "ether daddr 02:00:00:00:02:02 udp dport 85 drop\n ether saddr 02:00:00:00:01:02 udp dport 86 drop\n}\n}\n"
        ),
        lambda: tuple(client(dport=port) for port in range(80, 87)),
    ),
    "a packet made here has no Ethernet header yet": (
        table(
            f"o: {OUTPUT}\n ether saddr != 02:00:00:00:00:99 udp dport 80 drop",
            f"p: {PREROUTING}\n ether saddr 02:00:00:00:01:02 udp dport 81 drop\n"
            "@ll,0,48 0x20000000101 udp dport 82 drop",
            family="ip",
        ),
        lambda: tuple(make(dport=port) for make in (client, router) for port in (80, 81, 82)),
    ),
    "a port outside a range of destination ports becomes the first of it": (
        table(
            f"pre: {DSTNAT}\n udp dport 80 dnat ip to 10.2.0.9:8080-8090\n udp dport 8085 redirect to :8080-8090\n"
            "udp dport 81 dnat ip to 10.2.0.9:udp dport map { 81 : 99 }"
        ),
        lambda: (client(), client(dport=8085), client(dport=81)),
    ),
    "a network for a network": (
        table(
            f"pre: {DSTNAT}\n dnat ip prefix to ip daddr map {{ 10.2.0.0/24 : 10.2.8.0/24 }}",
            f"post: {SRCNAT}\n snat ip prefix to ip saddr map {{ 10.1.0.0/16 : 10.3.0.0/16 }}",
            family="ip",
        ),
        lambda: (client(), client("10.2.0.77"), client("10.2.1.9", "icmp"), router()),
    ),
    "what comes back by the loopback device meets no nat chain again": (
        table(
            "out: type nat hook output priority -100; policy accept;\n udp dport 80 redirect to :81",
            f"pre: {DSTNAT}\n udp dport 81 redirect to :82",
            "in: type nat hook input priority 100; policy accept;\n udp dport 81 snat to 10.2.0.50",
            family="ip",
        ),
        lambda: (router(), client("10.2.0.1", dport=81)),
    ),
    "elements that a packet adds and takes away are there and gone": (
        table(
            f"p: {PREROUTING}\n udp dport 80-82 add @seen {{ ip saddr . udp sport }}",
            f"f: {FORWARD}\n udp dport 82 delete @seen {{ ip saddr . udp sport }}\n"
            "udp dport 80-83 ip saddr . udp sport @seen drop",
            family="ip",
            before="set seen { typeof ip saddr . udp sport; size 999; flags dynamic,timeout; timeout 1h; }",
        ),
        lambda: tuple(client(dport=port) for port in range(80, 84)),
    ),
    "fib by device and by source": (
        table(
            f"p: {PREROUTING}\n fib saddr . iif oif missing udp dport 80 drop\n fib saddr oif c0 udp dport 81 drop\n"
            "fib daddr oifname s0 udp dport 82 drop\n fib daddr . iif type local udp dport 83 drop\n"
            "fib daddr . iif type != local fib daddr type local udp dport 84 drop\n"
            "fib saddr . iif oif exists udp dport 85 drop\n fib daddr oif 0 udp dport 86 drop",
            family="ip",
        ),
        lambda: (
            *(client(dport=port) for port in range(80, 87)),
            client(src="10.2.0.177"),
            client(src="10.2.0.178", dport=85),
            *(client(own, dport=port) for own in ("10.1.0.1", "10.2.0.1") for port in (83, 84, 86)),
        ),
    ),
    "tuples of a connection": (
        table(
            f"pre: {DSTNAT}\n udp dport 80 dnat ip to 10.2.0.77:8080",
            f"f: {FORWARD}\n ct original ip daddr 10.2.0.9 meta l4proto udp ct original proto-dst 80 drop\n"
            "ct reply ip saddr 10.2.0.10 meta l4proto udp ct reply proto-src 81 drop\n"
            "ct reply ip daddr 10.2.0.9 drop\n ct original ip6 saddr fd01::/16 udp dport 82 drop",
        ),
        lambda: (client(), client("10.2.0.10", dport=81), client(dport=81), client("fd02::9", dport=82)),
    ),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_kernel_does_what_the_evaluator_says(name: str, require_program: Callable[[str], str]) -> None:
    require_program("nft")
    rules, packets = SCENARIOS[name]
    check([Case(rules, packets())], require_program("unshare"))


def test_replies_are_established_and_meet_no_nat_chain(require_program: Callable[[str], str]) -> None:
    require_program("nft")
    rules = table(
        f"f: {FORWARD}\n ct state established ct direction reply udp sport 80 accept\n"
        "ct state established ct status seen-reply udp sport 81 drop\n ct state new accept\n drop",
        "n: type nat hook prerouting priority dstnat; policy accept;\n udp sport { 80, 81, 82 } drop",
        family="ip",
    )
    asked = [client(dport=port) for port in (80, 81, 82)]
    sent = tuple(packet for one in asked for packet in (one, reply(one)))
    check([Case(rules, sent)], require_program("unshare"))


def test_two_equal_backends_are_branches_of_which_the_kernel_takes_both(require_program: Callable[[str], str]) -> None:
    require_program("nft")
    asked = replace(client("10.96.0.99", "udp", 53), times=60)
    report = check([Case(KUBE_PROXY, (asked,))], require_program("unshare"))
    assert report.branched == report.packets == 60


CHANCES = {
    "numgen random in a verdict map": "numgen random mod 10 vmap { 0-4 : drop, 5-9 : accept }",
    "numgen inc in a verdict map": "numgen inc mod 3 vmap { 0 : drop, 1-2 : accept }",
    "numgen as a match": "numgen random mod 2 0 drop",
    "a chain of matches, as kube-proxy's": "numgen random mod 3 0 drop\n numgen random mod 2 0 reject",
    "symhash": "symhash mod 2 vmap { 0 : drop, 1 : accept }",
    "symhash, asked for twice": "symhash mod 2 0 drop\n symhash mod 2 1 reject\n accept",
    "jhash with a secret seed": "jhash ip saddr . udp sport mod 2 vmap { 0 : drop, 1 : accept }",
    "a mark by chance, matched afterwards": "meta mark set numgen random mod 4\n meta mark 0-1 drop",
}


@pytest.mark.parametrize("name", CHANCES)
def test_every_likely_branch_is_seen(name: str, require_program: Callable[[str], str]) -> None:
    require_program("nft")
    rules = table(f"f: {FORWARD}\n {CHANCES[name]}", family="ip")
    report = check([Case(rules, (replace(client(), times=60),), answers=False)], require_program("unshare"))
    assert report.branched == report.packets


HASHES = (
    "ip saddr",
    "udp sport",
    "ip saddr . udp sport",
    "ip saddr . ip daddr . meta l4proto",
    "ip daddr . meta mark . udp dport",
    "meta mark",
    "iifname",
    "iifname . udp sport . ip saddr . ip daddr",
)


@pytest.mark.parametrize("key", HASHES)
def test_a_hash_with_a_known_seed_is_one_value(key: str, require_program: Callable[[str], str]) -> None:
    require_program("nft")
    rules = table(
        f"f: {FORWARD}\n jhash {key} mod 7 seed 0xdeadbeef offset 2 vmap {{ 2-4 : drop, 5-8 : accept }}", family="ip"
    )
    report = check([Case(rules, tuple(client() for _ in range(20)))], require_program("unshare"))
    assert report.branched == 0


@pytest.mark.parametrize("flags", ["", " persistent"])
def test_the_address_taken_from_a_range_is_the_kernels(flags: str, require_program: Callable[[str], str]) -> None:
    require_program("nft")
    destination = (
        f"udp dport 80 dnat ip to 10.2.3.7-10.2.9.9{flags}\n udp dport 82 dnat ip6 to fd02::5:1-fd02::7:3{flags}"
    )
    source = f"udp dport 81 snat ip to 10.5.0.3-10.6.0.200{flags}"
    rules = table(f"pre: {DSTNAT}\n {destination}", f"post: {SRCNAT}\n {source}")
    sent = [client(dport=port) for port in (80, 81)] * 8 + [client("fd02::9", dport=82) for _ in range(8)]
    assert check([Case(rules, tuple(sent))], require_program("unshare")).packets == 24


SHORT = range(60)
"""Seeds of rule sets that every run plays."""


def random_cases(seeds: range) -> list[Case]:
    return [Case(rule_set(seed), sent_packets(seed), answers=False) for seed in seeds]


def test_random_rule_sets(require_program: Callable[[str], str]) -> None:
    require_program("nft")
    report = check(random_cases(SHORT), require_program("unshare"), unknowns=len(SHORT) // 10)
    assert report.delivered > 500
    assert report.translated > 50
    assert report.branched > 50


def bridged_cases(seeds: range) -> list[Case]:
    wired = [tuple(sent for sent in sent_packets(seed) if sent.place != "router" and sent.times == 1) for seed in seeds]
    return [Case(bridge_rules(seed), sent, bridged=True) for seed, sent in zip(seeds, wired, strict=True)]


def test_random_rules_of_a_bridge(require_program: Callable[[str], str]) -> None:
    require_program("nft")
    report = check(bridged_cases(range(30)), require_program("unshare"))
    assert 50 < report.delivered < report.packets


@pytest.mark.soak
def test_random_rules_of_a_bridge_by_the_hundred(require_program: Callable[[str], str]) -> None:
    require_program("nft")
    check(bridged_cases(range(1000, 1500)), require_program("unshare"))


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("start", range(1000, 3000, 500))
def test_random_rule_sets_by_the_thousand(start: int, require_program: Callable[[str], str]) -> None:
    require_program("nft")
    report = check(random_cases(range(start, start + 500)), require_program("unshare"), unknowns=25)
    print(f"{report.packets} packets, {report.delivered} delivered, {report.translated} with another destination")
