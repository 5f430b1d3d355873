"""Random rule sets of nftables, and packets that often meet them.

A rule is made of matches that agree on a family and a protocol (nft refuses others), statements, and a verdict.
What a snapshot cannot decide (``limit``, the clock, sockets) stands only where nothing depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from netfs.model.packet import Packet
from tests.kernel.netfilter_compare import Sent

PORTS = (53, 80, 81, 443, 8080, 8472)
HOSTS = ("10.2.0.9", "10.2.0.10", "10.2.7.1", "10.1.0.1", "10.2.0.1")
HOSTS6 = ("fd02::9", "fd02::a", "fd01::1")
NAMES = ('"c0"', '"s0"', '"c*"', '{ "s0", "lo" }', '{ "c0", "lo" }')
HOOKS = ("prerouting", "input", "forward", "output", "postrouting")
PRIORITIES = (-300, -150, -101, -99, -10, 0, 0, 10, 99, 101)
STATES = ("new", "established,related", "invalid", "{ new, untracked }", "!= new", "untracked", "! invalid")

SETS = """
set ports {{ type inet_service; flags interval; elements = {{ {ports} }}; }}
set names {{ type ifname; elements = {{ "c0", "lo" }}; }}
set marks {{ typeof meta mark; elements = {{ 1, 2, 18 }}; }}
set pairs {{ typeof iifname . meta mark; elements = {{ "c0" . 0, "s0" . 1 }}; }}
map named {{ type inet_service : verdict; flags interval; elements = {{ 53 : drop, 80-443 : accept, * : continue }}; }}
map bits {{ typeof th dport : meta mark; elements = {{ 53 : 1, 80 : 2, 8080 : 0x12 }}; }}
counter hits {{ }}
quota much {{ over 25 mbytes }}
quota little {{ over 10 bytes used 3 bytes }}
"""

SETS4 = """
set nets {{ type ipv4_addr; flags interval; elements = {{ 10.2.0.8/30, 10.1.0.0/24, 10.2.7.0-10.2.7.9 }}; }}
set hosts {{ type ipv4_addr; flags timeout; elements = {{ 10.2.0.9 timeout 1h, 10.2.0.1 timeout 1d }}; }}
set flows {{ typeof ip saddr . th dport; flags interval; elements = {{ 10.1.0.0/16 . 50-90, 10.2.0.1 . 443 }}; }}
set seen {{ typeof ip saddr . th sport; size 65535; flags dynamic,timeout; timeout 1h; elements = {{ 10.9.0.1 . 9 }}; }}
map ways {{ type ipv4_addr . inet_proto : verdict; elements = {{ 10.2.0.9 . udp : drop, 10.2.0.10 . tcp : accept }}; }}
map kinds {{ type ipv4_addr : mark; flags interval; elements = {{ 10.2.0.0/29 : 3, 10.2.0.8/29 : 1 }}; }}
"""

SETS6 = """
set nets6 {{ type ipv6_addr; flags interval; elements = {{ fd02::8/125, fd01::1 }}; }}
set flows6 {{ typeof ip6 daddr . th dport; flags interval; elements = {{ fd02::/64 . 50-90 }}; }}
"""


@dataclass(frozen=True)
class Place:
    """Where rules are made: the family of their table, the chains they may jump to, what their set of rules holds."""

    family: str
    called: tuple[str, ...]
    chances: bool
    """Chance may decide."""
    rejects: bool = False
    """Nothing here is called from postrouting, where nft takes no reject."""

    @property
    def layered(self) -> bool:
        """Connection tracking and routing are there."""
        return self.family not in ("netdev", "bridge")

    @property
    def four(self) -> bool:
        return self.family in ("ip", "inet")

    @property
    def six(self) -> bool:
        return self.family in ("ip6", "inet")


def rule_set(seed: int) -> str:
    """One to three tables, each with a few chains to jump to and a few base chains."""
    random = Random(seed)
    chances = seed % 3 == 0
    text = "".join(_table(random, f"t{number}", chances) for number in range(random.randint(1, 3)))
    return text + (_netdev(random) if seed % 4 == 0 else "")


def _table(random: Random, name: str, chances: bool) -> str:
    family = random.choice(("ip", "inet", "inet", "ip6"))
    here = Place(family, (), chances, rejects=random.random() < 0.5)
    text = f"table {family} {name} {{\n{SETS.format(ports=_ports(random))}"
    text += SETS4.format() if here.four else ""
    text += SETS6.format() if here.six else ""
    for number in range(random.randint(0, 3)):
        text += f"chain c{number} {{ {_rules(random, here, 4)}}}\n"
        here = replace(here, called=(*here.called, f"c{number}"))
    for number in range(random.randint(1, 4)):
        hook, priority = random.choice(HOOKS[:4] if here.rejects else HOOKS), random.choice(PRIORITIES)
        kind = "route" if hook == "output" and random.random() < 0.3 else "filter"
        policy = random.choice(("accept", "accept", "accept", "drop"))
        rules = _rules(random, here, 6)
        text += f"chain b{number} {{ type {kind} hook {hook} priority {priority}; policy {policy};\n{rules}}}\n"
    if random.random() < 0.6:
        text += _nat(random, here)
    return text + "}\n"


def bridge_rules(seed: int) -> str:
    """A table of family bridge: chains on the way of a frame from port to port."""
    random = Random(seed)
    here = Place("bridge", (), chances=False)
    text = "table bridge b {\n"
    for number in range(random.randint(0, 2)):
        text += f"chain c{number} {{ {_bridge_rules(random, here)}}}\n"
        here = replace(here, called=(*here.called, f"c{number}"))
    for number, hook in enumerate(random.choices(("prerouting", "forward", "postrouting", "input", "output"), k=3)):
        priority, policy = random.choice((-300, -200, 0, 0, 5)), random.choice(("accept", "accept", "accept", "drop"))
        text += f"chain b{number} {{ type filter hook {hook} priority {priority}; policy {policy};\n"
        text += _bridge_rules(random, here) + "}\n"
    return text + "}\n"


def _bridge_rules(random: Random, here: Place) -> str:
    targets = [f"{word} {name}" for name in here.called for word in ("jump", "goto")]
    verdicts = (
        "accept",
        "drop",
        "drop",
        "return",
        "continue",
        "counter",
        "meta mark set 2",
        "meta mark set meta mark | 0x10",
    )
    rules = []
    for _ in range(random.randint(1, 5)):
        device = random.choice(("", "", 'iifname "c0"', 'oifname "s0"', 'iifname != "s*"', 'oif != "c0"', "iif s0"))
        verdict = random.choice((*verdicts, *targets))
        if random.random() < 0.1:
            rules.append(f"{device} ether type {random.choice(('ip', 'ip6', '!= ip', '{ ip, arp }'))} {verdict}")
        else:
            rules.append(" ".join([device, *_matches(random, here), verdict]))
    return "\n".join(rules) + "\n"


def _netdev(random: Random) -> str:
    """Chains on the devices themselves: before prerouting, and behind postrouting."""
    here = Place("netdev", (), chances=False)
    text = "table netdev n {\n"
    for name, hook in (("in", "ingress device c0"), ("out", "egress device s0")):
        matches = (" ".join(_matches(random, here)) for _ in range(random.randint(1, 3)))
        rules = "".join(f"{match} {random.choice(('drop', 'accept', 'counter'))}\n" for match in matches)
        text += (
            f"chain {name} {{ type filter hook {hook} priority {random.choice((-5, 0, 5))}; policy accept;\n{rules}}}\n"
        )
    return text + "}\n"


def _ports(random: Random) -> str:
    low = random.choice((50, 79, 400))
    return f"{low}-{low + random.randint(1, 3)}, {random.choice((8080, 8472))}"


def _rules(random: Random, here: Place, most: int) -> str:
    return "".join(_rule(random, here) + "\n" for _ in range(random.randint(1, most)))


def _rule(random: Random, here: Place) -> str:
    family, protocol = _context(random, here)
    words = _matches(random, here, family, protocol)
    if random.random() < 0.03:
        return " ".join(
            [*words, random.choice(("limit rate 5/second", "ct count over 9", 'meta hour < "12:00"')), "counter"]
        )
    for _ in range(random.choice((0, 0, 1, 2))):
        words.append(random.choice(_statements(random, here, family, protocol)))
    return " ".join([*words, _verdict(random, here, family, protocol)])


def _context(random: Random, here: Place) -> tuple[int, str]:
    """The family (0: either) and protocol ("": any; ``th``: with ports) that the matches of a rule agree on."""
    families = {"ip": (0, 4), "ip6": (0, 6), "inet": (0, 4, 6), "netdev": (0, 4, 6), "bridge": (0, 4, 6)}[here.family]
    family = random.choice(families)
    protocols = ["", "", "tcp", "udp", "th", "th"] + (["icmp"] if family else [])
    return family, random.choice(protocols)


def _matches(random: Random, here: Place, family: int | None = None, protocol: str = "") -> list[str]:
    if family is None:
        family, protocol = _context(random, here)
    pool = _of_packet(random, here) + (_of_hook(random, here, family, protocol) if here.layered else [])
    pool += {0: [], 4: _of_ip(random, here), 6: _of_ip6(random, here)}[family] * 2
    found = random.sample(pool, min(len(pool), random.randint(0, 2)))
    ported = {
        "tcp": "meta l4proto tcp",
        "udp": "meta l4proto udp",
        "th": "meta l4proto { tcp, udp }",
        "icmp": "",
        "": "",
    }
    of_protocol = _of_protocol(random, here, family, protocol)
    guard = [ported[protocol]] if protocol == "th" else []
    return (
        guard
        + found
        + (random.sample(of_protocol, 1) if of_protocol and (protocol != "th" or random.random() < 0.6) else [])
    )


def _of_packet(random: Random, here: Place) -> list[str]:
    return [
        f"meta mark {random.choice(('', '!= '))}{random.randint(0, 3)}",
        f"meta mark & 0x12 {random.choice(('==', '!='))} {random.choice((0, 2, 16))}",
        f"meta mark | 1 == {random.choice((1, 3))}",
        f"meta mark {random.choice(('1-3', '!= { 1, 2 }', '{ 1, 2-4 }'))}",
        f"meta length {random.choice(('> 40', '< 45', '38-39'))}",
        'iifname "c0"',
        'meta iifkind "veth"',
        "meta pkttype host" if here.family != "bridge" else "ether daddr & ff:00:00:00:00:00 == 02:00:00:00:00:00",
        f"ether saddr {random.choice(('', '!= '))}02:00:00:00:01:02",
        f"ether daddr {random.choice(('02:00:00:00:01:01', '!= 02:00:00:00:02:02', '{ 02:00:00:00:02:02 }'))}",
        "ether saddr & ff:ff:ff:ff:00:00 == 02:00:00:00:00:00",
        "@ll,40,16 0x0102",
    ]


def _of_hook(random: Random, here: Place, family: int, protocol: str) -> list[str]:
    op = random.choice(("", "", "!= "))
    found = [
        f"ct state {random.choice(STATES)}",
        f"iifname {op}{random.choice(NAMES)}",
        f"oifname {op}{random.choice(NAMES)}",
        f"iif {op}{random.choice(('c0', 's0', 'lo', '{ c0, lo }'))}",
        f"oif {op}{random.choice(('c0', 's0'))}",
        f'meta iifkind {op}"veth"',
        f'meta oifkind {op}{{ "veth", "vxlan" }}',
        f"meta iifgroup {op}default",
        f"meta oiftype {op}{{ ether, loopback }}",
        'iifname . oifname { "c0" . "s0", "s0" . "c0" }',
        f"iifname {op}@names",
        f"meta mark {op}@marks",
        "iifname . meta mark @pairs",
        f"ct mark {op}{random.randint(0, 2)}",
        f"ct mark & 0x3 == {random.randint(0, 2)}",
        f"ct direction {random.choice(('original', 'reply', '!= reply'))}",
        f"ct status {random.choice(('dnat', 'snat', 'snat,dnat', '! dnat', 'seen-reply'))}",
        f"ct zone {op}0",
        "quota over 25 mbytes",
        "quota 10 mbytes",
        "quota over 10 bytes used 3 bytes",
        'quota name "much"',
        'quota name "little"',
    ]
    if here.family == "inet" and not family:
        found.append(f"meta nfproto {random.choice(('ipv4', 'ipv6', '!= ipv4'))}")
    found += [f"ct protocol {op}udp"] if protocol == "" else []
    found += [f"meta protocol {op}ip"] if not family else []
    if here.chances:
        found += [
            f"numgen random mod 4 {random.choice(('0', '!= 0', '< 2', '1-3', '{ 0, 3 }'))}",
            "numgen inc mod 3 1",
        ]
    return found


def _of_protocol(random: Random, here: Place, family: int, protocol: str) -> list[str]:
    op = random.choice(("", "", "!= "))
    port = random.choice(PORTS)
    low = port + random.randint(0, 9)
    hook = here.layered
    if protocol == "icmp":
        return (
            [
                "icmp type echo-request",
                "icmp type { echo-reply, echo-request }",
                "icmp type . icmp code { echo-request . 0 }",
            ]
            if family == 4
            else ["icmpv6 type echo-request", "icmpv6 type != nd-neighbor-solicit", "icmpv6 code 0"]
        )
    if protocol == "":
        words = ("tcp", "udp", "{ tcp, udp }", "!= udp", "!= { icmp, tcp }")
        return [f"meta l4proto {random.choice(words)}", ""]
    found = [
        f"{protocol} dport {op}{port}",
        f"{protocol} dport {op}{{ 50-53, {port}-{low} }}",
        f"{protocol} sport > 1024",
    ]
    found += [f"{protocol} dport {random.choice(('> 79', '< 443', '<= 80', '>= 81', '53-81', '!= 79-90'))}"]
    found += (
        [f"meta l4proto {protocol} @th,16,16 & 0xff == {port & 0xFF}", f"meta l4proto {protocol} @th,20,4 5"]
        if protocol != "th"
        else [f"@th,16,16 {port}", "@th,20,4 5"]
    )
    if hook:
        found += (
            [f"{protocol} dport {op}@ports", f"meta l4proto {protocol} ct original proto-dst {op}{port}"]
            if protocol != "th"
            else [f"{protocol} dport {op}@ports"]
        )
    if protocol == "tcp":
        flags = ("syn / syn,ack", "syn", "!= syn", "{ syn, ack }", "& (fin|syn|rst|ack) == syn", "ack", "! ack")
        found += [f"tcp flags {random.choice(flags)}"]
    if protocol == "udp":
        found += ["udp length > 10", "udp length 18"]
    if family == 4:
        found += [
            f"ip saddr . {protocol} dport {{ 10.1.0.0/16 . 50-{port + 1} }}",
            f"ip daddr & 255.255.255.0 . {protocol} dport {{ 10.2.0.0 . {port} }}",
        ]
        found += (
            [f"ip daddr . meta l4proto . th dport {{ {random.choice(HOSTS)} . udp . {port} }}"]
            if protocol == "th"
            else []
        )
        found += (
            [f"ip saddr . th dport {op}@flows", f"ip saddr . th sport {op}@seen"] if hook and protocol == "th" else []
        )
    if family == 6:
        found += [f"ip6 daddr . {protocol} dport {{ fd02::/64 . 50-{port + 1} }}"]
        found += ["ip6 daddr . th dport @flows6"] if hook and protocol == "th" else []
    return found


def _of_ip(random: Random, here: Place) -> list[str]:
    op = random.choice(("", "", "!= "))
    host, other = random.sample(HOSTS, 2)
    found = [
        f"ip daddr {op}{host}",
        f"ip daddr {op}10.2.0.0/{random.choice((16, 24, 28))}",
        f"ip daddr {op}10.2.0.0-10.2.0.9",
        f"ip daddr {op}{{ {host}, 10.1.0.0/16 }}",
        f"ip daddr & 0.0.0.255 == {random.choice((1, 9))}",
        f"ip saddr . ip daddr {{ 10.1.0.0/16 . {host}, 10.2.0.1 . {other} }}",
        f"ip ttl {random.choice(('< 10', '64', '63', '!= 64'))}",
        f"ip dscp {random.choice(('cs1', '!= cs0', '{ cs0, cs1 }'))}",
        "ip ecn not-ect",
        f"ip length {random.choice(('< 40', '20-38', '!= 38'))}",
        f"ip frag-off & 0x1fff {random.choice(('==', '!='))} 0",
        f"ip option rr {random.choice(('exists', 'missing'))}",
        "@nh,0,4 4",
        f"@nh,64,16 & 0xff {random.choice(('==', '!='))} 17",
        "@nh,128,16 0x0a02",
    ]
    if here.layered:
        found += [
            f"ip daddr {op}@nets",
            f"ip daddr {op}@hosts",
            f"ct original ip saddr {op}10.1.0.0/16",
            f"ct original ip daddr {op}{host}",
            f"ct reply ip saddr {op}{host}",
        ]
        found += [
            f'ip daddr . iifname {{ {host} . "c0" }}',
            f"meta l4proto . ip daddr {{ udp . {host}, tcp . {other} }}",
        ]
        found += [f"fib daddr type {op}{random.choice(('local', 'unicast', '{ local, unicast }'))}"]
    return found


def _of_ip6(random: Random, here: Place) -> list[str]:
    op = random.choice(("", "", "!= "))
    found = [
        f"ip6 daddr {op}{random.choice(HOSTS6)}",
        f"ip6 daddr {op}fd02::/64",
        f"ip6 daddr {op}{{ fd02::9, fd01::/64 }}",
        f"ip6 saddr {op}fd01::/{random.choice((16, 64, 120))}",
        f"ip6 hoplimit {random.choice(('> 63', '9', '!= 64'))}",
        "ip6 length > 10",
        "ip6 dscp cs1",
        f"exthdr frag {random.choice(('exists', 'missing'))}",
        "ip6 hoplimit > 0 @nh,192,16 0xfd02",
    ]
    if here.layered:
        found += [f"ip6 daddr {op}@nets6", f"ct original ip6 daddr {op}fd02::9"]
    return found


def _statements(random: Random, here: Place, family: int, protocol: str) -> list[str]:
    found = [
        f"meta mark set {random.randint(1, 3)}",
        "meta mark set meta mark | 0x10",
        "meta mark set meta mark & 0x3",
        "meta mark set meta mark ^ 0x2",
        f"ct mark set {random.randint(1, 3)}",
        "ct mark set meta mark",
        "ct mark set ct mark | 2",
        "meta mark set ct mark",
        "meta mark set meta l4proto map { tcp : 1, udp : 2 }",
        "meta priority set 1:2",
        "counter",
        'counter name "hits"',
        'log prefix "x" level debug',
    ]
    if protocol in ("tcp", "udp", "th"):
        found += [f"meta mark set {protocol} dport map @bits", 'counter name th dport map { 80 : "hits", 53 : "hits" }']
        found += [f"meta mark set jhash {protocol} dport mod 4 seed {random.choice(('0x5', '0xdeadbeef'))} offset 1"]
    if protocol == "tcp":
        found.append("tcp option maxseg size set 500")
    if family == 4:
        found += ["ip dscp set cs2", "ip ecn set ect0", "ip ttl set 9", "meta mark set ip daddr map @kinds"]
        changes = (
            "add @seen {{ ip saddr . th {} }}",
            "update @seen {{ ip saddr . th {} timeout 30s }}",
            "delete @seen {{ ip saddr . th {} }}",
        )
        found += [change.format(random.choice(("sport", "sport", "dport"))) for change in changes if protocol == "th"]
        found += [
            "meta mark set jhash ip saddr . ip daddr mod 5 seed 0x99",
            "meta mark set ip dscp map { cs0 : 1, cs1 : 2 }",
        ]
        found += ["meta mark set jhash ip daddr . meta l4proto . ip saddr . meta mark mod 7 seed 3"]
    if family == 6:
        found += ["ip6 dscp set cs2", "ip6 hoplimit set 9", "meta mark set jhash ip6 saddr mod 5 seed 0x99"]
    if here.chances:
        found += ["meta mark set numgen random mod 3 offset 1", "meta mark set symhash mod 2 offset 1"]
    return found if random.random() < 0.95 else ["notrack"]


def _verdict(random: Random, here: Place, family: int, protocol: str) -> str:
    target = f"jump {random.choice(here.called)}" if here.called else "drop"
    found = ["accept", "drop", "drop", "return", "continue", "", ""] + [
        target,
        target.replace("jump", "goto"),
    ] * 2
    if here.rejects:
        found += ["reject", "reject with tcp reset" if protocol == "tcp" else "reject"]
    found.append("ct state vmap { invalid : drop, new : continue }")
    found.append(f'iifname vmap {{ "c0" : {target}, "lo" : accept }}')
    found.append(f"meta mark vmap {{ 1 : drop, 2-3 : {target} }}")
    if protocol == "":
        found.append(f"meta l4proto vmap {{ tcp : accept, udp : {target}, icmp : return }}")
    if protocol in ("tcp", "udp", "th"):
        found += [f"{protocol} dport vmap {{ 80 : drop, 443-8080 : {target} }}", f"{protocol} dport vmap @named"]
        found.append(f"jhash {protocol} sport mod 2 seed 0x1234 vmap {{ 0 : {target}, 1 : continue }}")
    if family == 4:
        found += [
            f"ip daddr vmap {{ 10.2.0.0/29 : accept, 10.2.0.8/29 : {target} }}",
            "ip daddr . meta l4proto vmap @ways",
        ]
    if here.chances:
        found += [
            f"numgen random mod 10 vmap {{ 0-2 : drop, 3-6 : {target} }}",
            f"numgen inc mod 2 vmap {{ 0 : {target} }}",
        ] * 4
    return random.choice(found)


def _nat(random: Random, here: Place) -> str:
    text = ""
    for name, hook, priority in (
        ("n1", "prerouting", random.choice((-100, -50, -100))),
        ("n2", "postrouting", 100),
        ("n3", "output", -100),
        ("n4", "input", 100),
    ):
        if name in ("n1", "n2") or random.random() < 0.4:
            rules = "".join(_nat_rule(random, here, hook) + "\n" for _ in range(random.randint(1, 3)))
            text += f"chain {name} {{ type nat hook {hook} priority {priority}; policy accept;\n{rules}}}\n"
    return text


def _nat_rule(random: Random, here: Place, hook: str) -> str:
    family = {"ip": 4, "ip6": 6}.get(here.family) or random.choice((4, 4, 6))
    protocol = random.choice(("udp", "udp", "tcp"))
    port = random.choice(PORTS)
    words = [f"meta nfproto ipv{family}"] if here.family == "inet" else []
    words += [
        *(_matches(random, here, family, protocol) if random.random() < 0.4 else ()),
        f"{protocol} dport {port}" if random.random() < 0.5 else f"meta l4proto {protocol}",
    ]
    of = {"ip": "", "ip6": "", "inet": f" ip{'' if family == 4 else '6'}"}[here.family]
    hosts = (
        ("10.2.0.77", "10.2.0.78", "10.2.1.64-10.2.1.95")
        if family == 4
        else ("fd02::77", "fd02::78", "fd02::100-fd02::11f")
    )
    one, two, many = (
        hosts if family == 6 or hook in ("prerouting", "output") else ("10.2.0.66", "10.2.0.67", "10.2.3.0-10.2.3.20")
    )
    ported = f"{one}:8080" if family == 4 else f"[{one}]:8080"
    if hook in ("prerouting", "output"):
        found = [
            f"dnat{of} to {one}",
            f"dnat{of} to {ported}",
            f"dnat{of} to {ported}-8090",
            f"dnat{of} to {many}",
            f"dnat{of} to {many} persistent",
            "dnat to :9090" if here.family != "inet" else f"dnat{of} to {one}",
            "redirect",
            "redirect to :9091",
            f"dnat{of} to {protocol} dport map {{ 53 : {one}, 80-443 : {two} }}",
            f"dnat{of} to {protocol} dport map {{ 53 : {one} . 5353, 80 : {two} . 8080, 8080 : {two} . 80 }}",
            f"dnat{of} to jhash ip{'' if family == 4 else '6'} saddr mod 2 seed 0x51 map {{ 0 : {one}, 1 : {two} }}",
            f"redirect to :{protocol} dport map {{ 53 : 5353, 80 : 8080 }}",
        ]
        if family == 4:
            found.append("dnat ip prefix to ip daddr map { 10.2.0.0/24 : 10.2.8.0/24, 10.2.7.0/24 : 10.2.9.0/24 }")
        if here.chances:
            found += [f"dnat{of} to numgen random mod 3 map {{ 0 : {one}, 1-2 : {two} }}"] * 4
            found += [f"dnat{of} to numgen inc mod 2 map {{ 0 : {one} . 8080, 1 : {two} . 81 }}"]
            found += [f"dnat{of} to symhash mod 2 map {{ 0 : {one}, 1 : {two} }}"]
    else:
        found = [f"snat{of} to {one}", f"snat{of} to {many}", f"snat{of} to {ported.replace('8080', '4000-5000')}"]
        found += ["masquerade", "masquerade to :2000-3000", "masquerade fully-random"] if hook == "postrouting" else []
        if family == 4:
            found.append("snat ip prefix to ip saddr map { 10.1.0.0/16 : 10.3.0.0/16 }")
    return " ".join([*words, random.choice(found)])


def sent_packets(seed: int) -> tuple[Sent, ...]:
    """Twelve packets of both families and three protocols, each a connection of its own.

    Where chance may decide, one is sent by many connections: all that is likely should be seen.
    """
    random = Random(seed)
    found = [_packet(random, seed, number) for number in range(12)]
    if seed % 3 == 0:
        often = next((one for one in found if one.packet.sport is not None), None)
        if often is not None:
            found.append(Sent(often.place, often.packet, times=60))
    return tuple(found)


def _packet(random: Random, seed: int, number: int) -> Sent:
    place = random.choice(("client", "client", "client", "router"))
    six = random.random() < 0.25
    dst = random.choice(HOSTS6 if six else HOSTS)
    if place == "router":
        src, dst = ("fd02::1", "fd02::9") if six else ("10.2.0.1", random.choice(HOSTS[:3]))
    else:
        src = f"fd01::{seed % 60000 + 16:x}:{number + 1:x}" if six else f"10.1.{seed % 200 + 50}.{number + 1}"
    proto, head = random.choice(("udp", "udp", "tcp", "icmp")), 40 if six else 20
    ttl, tos = random.choice((64, 64, 9)), random.choice((0, 0, 0x20))
    if proto == "icmp":
        return Sent(place, Packet(src, dst, "icmp", size=head + 18, ttl=ttl, tos=tos, icmp_type="echo-request"))
    size = head + (30 if proto == "tcp" else 18)
    flags = random.choice(("syn", "syn", "syn", "ack")) if proto == "tcp" else None
    ports = 10000 + (seed * 131 + number) % 50000, random.choice(PORTS)
    return Sent(place, Packet(src, dst, proto, *ports, size=size, ttl=ttl, tos=tos, tcp_flags=flags))
