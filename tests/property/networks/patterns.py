"""Networks without tunnels: a LAN, a chain of routers, two routers side by side, proxy ARP, macvlan, one host alone.

Each function writes one network in working order on a draft and returns (source, target, address).
"""

from __future__ import annotations

from tests.property.networks.draft import Draft

Ends = tuple[str, str, str]


def lan(d: Draft) -> Ends:
    """Two or three hosts on a bridge; the switch may hold an address itself."""
    hosts = [d.ns(f"h{n}", "host") for n in range(1, d.rng.choice((3, 4)))]
    d.ns("sw", "switch")
    for n, host in enumerate(hosts, 1):
        d.wire(f"{host}/eth0", f"sw/p{n}")
        d.address(host, "eth0", 1, n)
    d.bridge("sw", "br0", *(f"p{n}" for n in range(1, len(hosts) + 1)))
    if d.rng.random() < 0.4:
        d.address("sw", "br0", 1, 99)
        if d.rng.random() < 0.5:
            return "h1", "sw", d.net(1, 99)
    _port_flags(d, "sw", len(hosts))
    return "h1", "h2", d.net(1, 2)


def _port_flags(d: Draft, switch: str, ports: int) -> None:
    """Flags of ports that leave the LAN working, mostly."""
    for n in range(1, ports + 1):
        if d.rng.random() < 0.25:
            flag = d.rng.choice(("hairpin on", "learning off", "mcast_flood off" if d.family == 4 else "hairpin on"))
            d.run(switch, f"ip link set p{n} type bridge_slave {flag}")
    if d.rng.random() < 0.2:
        d.run(switch, f"bridge fdb add {d.mac_of('h2/eth0')} dev p2 master static")


def two_bridges(d: Draft) -> Ends:
    """Two switches in a row, and a host on each."""
    for name in ("h1", "h2"):
        d.ns(name, "host")
    for n in (1, 2):
        d.ns(f"sw{n}", "switch")
        d.wire(f"h{n}/eth0", f"sw{n}/p1")
        d.address(f"h{n}", "eth0", 1, n)
    d.wire("sw1/trunk", "sw2/trunk")
    for n in (1, 2):
        d.bridge(f"sw{n}", "br0", "p1", "trunk")
    return "h1", "h2", d.net(1, 2)


def chain(d: Draft) -> Ends:
    """Two hosts and one to four routers between them."""
    count = d.rng.choice((1, 1, 2, 2, 3, 4))
    names = [d.ns("h1", "host")]
    names += [d.ns(f"r{n}", "router", forward=True) for n in range(1, count + 1)]
    names.append(d.ns("h2", "host"))
    for n in range(len(names) - 1):
        left, right = ("eth0" if n == 0 else "eth1"), "eth0"
        d.wire(f"{names[n]}/{left}", f"{names[n + 1]}/{right}")
        d.address(names[n], left, n + 1, 1)
        d.address(names[n + 1], right, n + 1, 2)
    last = len(names) - 1
    for n, name in enumerate(names):
        if n == 0:
            d.route(name, f"{d.any} via {d.net(1, 2)}")
        elif n == last:
            d.route(name, f"{d.any} via {d.net(last, 1)}")
        else:
            for far in range(n + 2, last + 1):
                _route(d, name, d.subnet(far), d.net(n + 1, 2), "eth1")
            for far in range(1, n):
                _route(d, name, d.subnet(far), d.net(n, 1), "eth0")
    return "h1", "h2", d.net(last, 2)


def _route(d: Draft, name: str, subnet: str, gateway: str, device: str) -> None:
    """A route to a subnet in one of the ways that come to the same."""
    form = d.rng.random()
    if form < 0.5:
        d.route(name, f"{subnet} via {gateway}")
    elif form < 0.65:
        d.route(name, f"{subnet} via {gateway} dev {device} metric 50")
        d.route(name, f"blackhole {subnet} metric 70")
    elif form < 0.8:
        d.route(name, f"{subnet} via {gateway} dev {device} onlink table 100")
        pref = d.rng.choice((100, 32000))
        what = d.rng.choice((f"from {d.any} to {subnet}", f"from {d.any}"))
        d.run(name, f"{d.ip} rule add {what} lookup 100 pref {pref}")
    elif form < 0.9:
        d.route(name, f"throw {subnet} table 120")
        d.run(name, f"{d.ip} rule add from {d.any} to {subnet} lookup 120 pref 50")
        d.route(name, f"{subnet} via {gateway}")
    else:
        d.route(name, f"{subnet} via {gateway} dev {device} onlink")


def dual(d: Draft) -> Ends:
    """Two routers side by side: there by one, back by the other, or both by ECMP."""
    d.ns("h1", "host")
    for n in (1, 2):
        d.ns(f"r{n}", "router", forward=True)
    d.ns("h2", "host")
    for n in (1, 2):
        d.wire(f"h1/eth{n}", f"r{n}/eth0")
        d.wire(f"r{n}/eth1", f"h2/eth{n}")
        d.address("h1", f"eth{n}", n, 1)
        d.address(f"r{n}", "eth0", n, 2)
        d.address(f"r{n}", "eth1", n + 2, 1)
        d.address("h2", f"eth{n}", n + 2, 2)
        for far in (1, 2):
            if far != n:
                d.route(f"r{n}", f"{d.subnet(far)} via {d.net(n, 1)}")
                d.route(f"r{n}", f"{d.subnet(far + 2)} via {d.net(n + 2, 2)}")
    ways = d.rng.choice(("same", "asymmetric", "ecmp", "policy"))
    back = 2 if ways == "asymmetric" else 1
    if ways == "ecmp":
        d.route("h1", f"{d.subnet(3)} nexthop via {d.net(1, 2)} dev eth1 nexthop via {d.net(2, 2)} dev eth2")
    elif ways == "policy":
        d.route("h1", f"{d.subnet(3)} via {d.net(2, 2)} metric 300")
        d.route("h1", f"{d.subnet(3)} via {d.net(1, 2)} table 77")
        d.run("h1", f"{d.ip} rule add from {d.any} to {d.subnet(3)} lookup 77")
    else:
        d.route("h1", f"{d.subnet(3)} via {d.net(1, 2)}")
    for n in (1, 2):
        d.route("h2", f"{d.subnet(n)} via {d.net(back + 2, 1)}")
    if ways in ("asymmetric", "ecmp") and d.rng.random() < 0.7:
        mode = d.rng.choice((0, 0, 2, 1))
        d.run(d.rng.choice(("h1", "h2")), f"sysctl net.ipv4.conf.all.rp_filter={mode}")
    return "h1", "h2", d.net(3, 2)


def proxy_arp(d: Draft) -> Ends:
    """Hosts that believe to be on one wide segment; the router between them answers for the far one."""
    for name in ("h1", "h2"):
        d.ns(name, "host")
    d.ns("r", "router", forward=True)
    for n in (1, 2):
        d.wire(f"h{n}/eth0", f"r/eth{n}")
        d.run(f"h{n}", f"ip addr add 10.1.{n}.1/16 dev eth0")
        d.run("r", f"ip addr add 10.1.{n}.254/24 dev eth{n}", f"sysctl net.ipv4.conf.eth{n}.proxy_arp=1")
    return "h1", "h2", "10.1.2.1"


def point_to_point(d: Draft) -> Ends:
    """Pods with /32 addresses and an on-link gateway that nobody has a subnet for, as Calico makes them."""
    for name in ("h1", "h2"):
        d.ns(name, "host")
    d.ns("r", "router", forward=True)
    d.ns("up", "host")
    d.wire("r/eth0", "up/eth0")
    d.address("r", "eth0", 9, 2)
    d.route("r", f"{d.any} via {d.net(9, 9)}")
    gateway = "fd00:90::1" if d.family == 6 else "169.254.1.1"
    proxy = d.rng.random() < 0.6
    for n in (1, 2):
        d.wire(f"h{n}/eth0", f"r/cali{n}")
        d.address(f"h{n}", "eth0", 1, n, d.host_bits)
        d.route(f"h{n}", f"{gateway} dev eth0{' scope link' if d.family == 4 else ''}")
        d.route(f"h{n}", f"{d.any} via {gateway} dev eth0")
        d.route("r", f"{d.net(1, n)}/{d.host_bits} dev cali{n}{' scope link' if d.family == 4 else ''}")
        if d.family == 4 and proxy:
            d.run("r", f"sysctl net.ipv4.conf.cali{n}.proxy_arp=1")
        else:
            d.run("r", f"ip addr add {gateway}/{d.host_bits} dev cali{n}{d.nodad}")
    return "h1", "h2", d.net(1, 2)


def macvlan(d: Draft) -> Ends:
    """Two macvlan devices on one parent, in hosts of their own; a third host on the wire."""
    d.ns("node", "node")
    d.ns("ext", "host")
    d.wire("node/eth0", "ext/eth0")
    d.address("ext", "eth0", 1, 9)
    d.address("node", "eth0", 1, 1)
    mode = d.rng.choice(("bridge", "bridge", "bridge", "private", "vepa"))
    for n in (1, 2):
        d.ns(f"h{n}", "host")
        d.run("node", f"ip link add mv{n} link eth0 address {d.mac()} netns @h{n} type macvlan mode {mode}")
        d.run(f"h{n}", f"ip link set mv{n} up")
        d.address(f"h{n}", f"mv{n}", 1, n + 1)
    goal = d.rng.choice(("h2", "h2", "ext", "node") if mode == "bridge" else ("ext", "ext", "h2"))
    return "h1", goal, d.net(1, {"h2": 3, "ext": 9, "node": 1}[goal])


def passthru(d: Draft) -> Ends:
    """A macvlan in mode passthru, which takes its parent whole."""
    d.ns("node", "node")
    d.ns("ext", "host")
    d.ns("h1", "host")
    d.wire("node/eth0", "ext/eth0")
    d.address("ext", "eth0", 1, 9)
    d.run("node", "ip link add mv1 link eth0 netns @h1 type macvlan mode passthru")
    d.run("h1", "ip link set mv1 up")
    d.address("h1", "mv1", 1, 2)
    return ("h1", "ext", d.net(1, 9)) if d.rng.random() < 0.5 else ("ext", "h1", d.net(1, 2))


def alone(d: Draft) -> Ends:
    """A host that speaks to itself, by its own address or one on loopback."""
    d.ns("h1", "host")
    d.ns("h2", "host")
    d.wire("h1/eth0", "h2/eth0")
    d.address("h1", "eth0", 1, 1)
    d.address("h2", "eth0", 1, 2)
    if d.rng.random() < 0.3:
        return "h1", "h1", d.net(1, 1)
    d.address("h2", "lo", 5, 5, d.host_bits)
    d.route("h1", f"{d.subnet(5)} via {d.net(1, 2)}")
    return "h1", "h2", d.net(5, 5)
