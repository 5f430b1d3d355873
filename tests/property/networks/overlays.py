"""Networks of nodes and pods: flannel's VXLAN, host-gw, a stretched bridge, a tunnel in a tunnel.

Each function writes one network in working order on a draft and returns (source, target, address).
"""

from __future__ import annotations

from tests.property.networks.draft import Draft

Ends = tuple[str, str, str]


class Underlay:
    """Nodes on one switch, and their addresses."""

    def __init__(self, d: Draft, count: int, family: int) -> None:
        self.d = d
        self.family = family
        self.nodes = [d.ns(f"n{n}", "node", forward=True) for n in range(1, count + 1)]
        if count == 2 and d.rng.random() < 0.4:
            d.wire("n1/eth0", "n2/eth0")
        else:
            d.ns("wire", "switch")
            for node in self.nodes:
                d.wire(f"{node}/eth0", f"wire/{node}")
            d.bridge("wire", "br0", *self.nodes)
        for n, node in enumerate(self.nodes, 1):
            bits = "64 dev eth0 nodad" if family == 6 else "24 dev eth0"
            d.run(node, f"ip addr add {self.ip(n)}/{bits}")

    def ip(self, n: int) -> str:
        """The address of node ``n``."""
        return f"fd00:52::{10 + n}" if self.family == 6 else f"192.168.52.{10 + n}"


def _pods(d: Draft, bridged: bool) -> Ends:
    """One pod on node 1 and one on node 2, behind ``cni0`` or on a bare veth pair."""
    for n in (1, 2):
        pod, node = d.ns(f"pod{n}", "host"), f"n{n}"
        d.wire(f"{pod}/eth0", f"{node}/veth{n}", 1450)
        d.address(pod, "eth0", n, 2)
        device = f"veth{n}"
        if bridged:
            device = "cni0"
            d.bridge(node, device, f"veth{n}")
            d.run(node, f"ip link set veth{n} type bridge_slave hairpin on")
        d.address(node, device, n, 1)
        d.route(pod, f"{d.any} via {d.net(n, 1)}")
    return "pod1", "pod2", d.net(2, 2)


def _underlay_family(d: Draft) -> int:
    return 6 if d.rng.random() < 0.15 else 4


def host_gw(d: Draft) -> Ends:
    """Pod subnets are routed to the nodes themselves."""
    under = Underlay(d, d.rng.choice((2, 2, 3)), d.family)
    ends = _pods(d, d.rng.random() < 0.7)
    for n in (1, 2):
        d.route(f"n{n}", f"{d.subnet(3 - n)} via {under.ip(3 - n)} dev eth0")
    return ends


def flannel(d: Draft) -> Ends:
    """VXLAN without learning; each node has a route, a neighbour and an FDB entry for each other."""
    under = Underlay(d, d.rng.choice((2, 2, 3)), _underlay_family(d))
    ends = _pods(d, d.rng.random() < 0.7)
    macs = {n: d.mac() for n in (1, 2)}
    port = d.rng.choice((8472, 4789))
    for n in (1, 2):
        node, far = f"n{n}", 3 - n
        d.run(
            node,
            f"ip link add flannel.1 address {macs[n]} mtu 1430 type vxlan id 1 local {under.ip(n)} dev eth0 "
            f"dstport {port} nolearning",
            "ip link set flannel.1 up",
        )
        d.address(node, "flannel.1", n + 20, 1, d.host_bits)
        d.route(node, f"{d.subnet(far)} via {d.net(far + 20, 1)} dev flannel.1 onlink")
        if d.family == 6:
            d.route(node, f"{d.net(far + 20, 1)}/128 dev flannel.1")
        d.run(
            node,
            f"ip neigh replace {d.net(far + 20, 1)} lladdr {macs[far]} dev flannel.1 nud permanent",
            f"bridge fdb append {macs[far]} dev flannel.1 dst {under.ip(far)}",
        )
    return ends


def _way(d: Draft, under: Underlay) -> str:
    """How the tunnel's ends find each other: a remote, all-zero entries, or a multicast group."""
    return d.rng.choice(("remote", "default", "group") if len(under.nodes) == 2 else ("default", "group"))


def _tunnel(d: Draft, under: Underlay, name: str, n: int, vni: int, way: str) -> None:
    """A VXLAN device of node ``n``."""
    node = f"n{n}"
    others = [m for m in range(1, len(under.nodes) + 1) if m != n]
    learning = d.rng.choice(("", " nolearning"))
    head = f"ip link add {name} address {d.mac()} type vxlan id {vni} dstport 4789{learning}"
    local = f" local {under.ip(n)}" if way == "default" or d.rng.random() < 0.7 else ""
    if way == "remote":
        d.run(node, f"{head}{local} remote {under.ip(others[0])}")
    elif way == "group":
        group = "ff05::52" if under.family == 6 else "239.1.1.1"
        d.run(node, f"{head}{local} group {group} dev eth0")
    else:
        d.run(node, f"{head}{local}")
    d.run(node, f"ip link set {name} up")
    if way == "default":
        for m in others:
            d.run(node, f"bridge fdb append 00:00:00:00:00:00 dev {name} dst {under.ip(m)}")


def tunnel(d: Draft) -> Ends:
    """A routed VXLAN: the devices have addresses of one subnet and ask by ARP over the tunnel."""
    under = Underlay(d, d.rng.choice((2, 2, 3)), _underlay_family(d))
    ends = _pods(d, d.rng.random() < 0.5)
    way = _way(d, under)
    for n in (1, 2):
        _tunnel(d, under, "vx0", n, 42, way)
        d.address(f"n{n}", "vx0", 20, n)
    if len(under.nodes) == 3:
        _tunnel(d, under, "vx0", 3, 42, way)
        d.address("n3", "vx0", 20, 3)
    for n in (1, 2):
        d.route(f"n{n}", f"{d.subnet(3 - n)} via {d.net(20, 3 - n)}")
    return ends if d.rng.random() < 0.7 else ("n1", "n2", d.net(20, 2))


def stretched(d: Draft) -> Ends:
    """One layer 2 segment over two nodes: the VXLAN device is a port of each bridge."""
    under = Underlay(d, 2, _underlay_family(d))
    way = _way(d, under)
    for n in (1, 2):
        pod = d.ns(f"pod{n}", "host")
        d.wire(f"{pod}/eth0", f"n{n}/veth{n}", 1400)
        d.address(pod, "eth0", 1, n)
        _tunnel(d, under, "vx0", n, 7, way)
        d.bridge(f"n{n}", "br1", f"veth{n}", "vx0")
    return "pod1", "pod2", d.net(1, 2)


def nested(d: Draft) -> Ends:
    """A tunnel whose outer packets go through a tunnel."""
    under = Underlay(d, 2, 4)
    way = _way(d, under)
    for n in (1, 2):
        _tunnel(d, under, "vx0", n, 10, way)
        d.run(f"n{n}", f"ip addr add 172.16.0.{n}/24 dev vx0")
        d.run(
            f"n{n}",
            f"ip link add vx1 address {d.mac()} mtu 1350 type vxlan id 20 dstport 4789 "
            f"local 172.16.0.{n} remote 172.16.0.{3 - n}",
            "ip link set vx1 up",
        )
        d.address(f"n{n}", "vx1", 30, n)
    return "n1", "n2", d.net(30, 2)
