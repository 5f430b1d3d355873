"""Clusters made by hand: what a collector would have read from a flannel cluster, as records.

    two_nodes()                               a healthy lab: node1, node2, pods a to d, the fabric
    two_nodes(node2=down("flannel.1"))        the same with one thing changed
    two_nodes(pod_b=[no_route("0.0.0.0/0"), link("eth0", mtu=1500)])
    change(cluster(3, 1), "node2", …)         the same on a list of snapshots
    synthetic_snapshots(1000, 30)             a large cluster on hardware links, no fabric

A change is an edit of one namespace, named after the node or the pod. Edits do what they say and no
more, except ``down`` and ``no_link``: they take along the routes and entries that the kernel would.
Local, broadcast and connected routes are derived from the addresses as the kernel derives them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from netfs.cluster.topology import Topology
from netfs.model import ip
from netfs.model.address import NUD_PERMANENT, Address, FdbEntry, Neighbour
from netfs.model.link import (
    IFF_BROADCAST,
    IFF_LOOPBACK,
    IFF_LOWER_UP,
    IFF_MULTICAST,
    IFF_RUNNING,
    IFF_UP,
    Bridge,
    BridgePort,
    Link,
    Vxlan,
)
from netfs.model.route import RTNH_F_ONLINK, NextHop, Route, Rule
from netfs.model.snapshot import Listener, NetNs, NodeSnapshot, Pod

Edit = Callable[[NetNs], NetNs]

UP = IFF_UP | IFF_RUNNING | IFF_LOWER_UP
ETHERNET = UP | IFF_BROADCAST | IFF_MULTICAST
KERNEL = "5a1c3c8e-0000-4000-8000-000000000001"

RULES = (
    Rule(family=4, priority=0, table=255),
    Rule(family=4, priority=32766, table=254),
    Rule(family=4, priority=32767, table=253),
    Rule(family=6, priority=0, table=255),
    Rule(family=6, priority=32766, table=254),
)
CONF4 = {
    "forwarding": 0,
    "rp_filter": 0,
    "accept_local": 0,
    "route_localnet": 0,
    "proxy_arp": 0,
    "arp_ignore": 0,
    "arp_filter": 0,
    "arp_announce": 0,
    "src_valid_mark": 0,
    "ignore_routes_with_linkdown": 0,
    "log_martians": 0,
}
CONF4_ROUTER = {**CONF4, "forwarding": 1}
CONF6 = {"forwarding": 0, "disable_ipv6": 0, "accept_ra": 1, "proxy_ndp": 0}
CONF6_ROUTER = {**CONF6, "forwarding": 1}


def _sysctls(router: bool) -> dict[str, int]:
    forwarding = int(router)
    own = {
        "net.ipv4.ip_forward": forwarding,
        "net.ipv4.ip_default_ttl": 64,
        "net.ipv4.fib_multipath_hash_policy": 0,
        "net.ipv4.neigh.default.gc_thresh1": 128,
        "net.ipv4.neigh.default.gc_thresh2": 512,
        "net.ipv4.neigh.default.gc_thresh3": 1024,
        "net.ipv6.neigh.default.gc_thresh3": 1024,
        "net.bridge.bridge-nf-call-iptables": forwarding,
        "net.bridge.bridge-nf-call-ip6tables": forwarding,
    }
    for version, conf in ((4, CONF4), (6, CONF6)):
        for scope in ("all", "default"):
            for name, value in conf.items():
                own[f"net.ipv{version}.conf.{scope}.{name}"] = forwarding if name == "forwarding" else value
    return own


POD_SYSCTLS: Mapping[str, int] = _sysctls(router=False)
NODE_SYSCTLS: Mapping[str, int] = _sysctls(router=True)
FABRIC_SYSCTLS: Mapping[str, int] = {**POD_SYSCTLS, "net.bridge.bridge-nf-call-iptables": 0}


def mac(*parts: int) -> str:
    """A locally administered MAC whose last bytes are ``parts``."""
    return ":".join(f"{byte:02x}" for byte in (0x02, 0x42, *([0] * (4 - len(parts))), *parts))


def device(index: int, name: str, kind: str | None = None, *, router: bool = False, **fields: Any) -> Link:
    """A link that is up, with the sysctls of a host or of a router."""
    known: dict[str, Any] = {
        "flags": ETHERNET,
        "operstate": "up",
        "ipv4": CONF4_ROUTER if router else CONF4,
        "ipv6": CONF6_ROUTER if router else CONF6,
    }
    return Link(index=index, name=name, kind=kind, **(known | fields))


LO = device(1, "lo", flags=UP | IFF_LOOPBACK, operstate="unknown", mtu=65536, mac="00:00:00:00:00:00", arp_type=772)
LO_ROUTER = replace(LO, ipv4=CONF4_ROUTER, ipv6=CONF6_ROUTER)
LO_ADDRESS = Address(index=1, family=4, local="127.0.0.1", prefixlen=8, scope=254, label="lo")


def address(index: int, text: str, label: str | None = None) -> Address:
    """``10.244.1.2/24`` on a device."""
    local, _, length = text.partition("/")
    prefixlen = int(length)
    broadcast = None
    if ip.family_of(local) == 4 and prefixlen < 31:
        broadcast = ip.to_text(ip.prefix(text)[0] | (1 << 32 - prefixlen) - 1, 4)
    return Address(index, ip.family_of(local), local, prefixlen, broadcast=broadcast, flags=0x80, label=label)


def route(
    dst: str,
    dev: int | None = None,
    via: str | None = None,
    *,
    onlink: bool = False,
    type: str = "unicast",
    **fields: Any,
) -> Route:
    """A route of table main: ``route("10.244.2.0/24", 5, "10.244.2.0", onlink=True)``."""
    hops = () if dev is None else (NextHop(dev, via, flags=RTNH_F_ONLINK if onlink else 0),)
    known: dict[str, Any] = {"scope": 0 if via or dev is None else 253, "protocol": 3}
    return Route(ip.family_of(dst), dst, type=type, nexthops=hops, **(known | fields))


def kernel_routes(own: Address) -> list[Route]:
    """The routes the kernel makes for one address (``fib_add_ifaddr``, ``inet6_addr_add``)."""
    width = ip.BITS[own.family]
    network = f"{ip.to_text(ip.prefix(f'{own.local}/{own.prefixlen}')[0], own.family)}/{own.prefixlen}"
    hop = (NextHop(own.index),)
    host: dict[str, Any] = {"nexthops": hop, "protocol": 2}
    if own.family == 6:
        local = Route(6, f"{own.local}/{width}", 255, "local", **host)
        return [local] + ([Route(6, network, metric=256, **host)] if own.prefixlen < width else [])
    routes = [Route(4, f"{own.local}/{width}", 255, "local", scope=254, prefsrc=own.local, **host)]
    if own.index == 1:
        routes.append(Route(4, network, 255, "local", scope=254, prefsrc=own.local, **host))
    elif own.prefixlen < width:
        routes.append(Route(4, network, scope=253, prefsrc=own.local, **host))
    if own.broadcast:
        routes.append(Route(4, f"{own.broadcast}/{width}", 255, "broadcast", scope=253, prefsrc=own.local, **host))
    return routes


LO_ROUTES = tuple(kernel_routes(replace(LO_ADDRESS, broadcast="127.255.255.255")))


def namespace(
    id: int,
    name: str,
    links: Iterable[Link],
    addresses: Sequence[Address] = (),
    routes: Iterable[Route] = (),
    *,
    router: bool = False,
    **fields: Any,
) -> NetNs:
    """A namespace with loopback, the given devices and what the kernel adds by itself."""
    made = [r for own in addresses for r in kernel_routes(own)]
    known: dict[str, Any] = {"rules": RULES, "sysctls": NODE_SYSCTLS if router else POD_SYSCTLS}
    return NetNs(
        id=id,
        name=name,
        links=(LO_ROUTER if router else LO, *links),
        addresses=(LO_ADDRESS, *addresses),
        routes=(*LO_ROUTES, *made, *routes),
        **(known | fields),
    )


def pod_name(node: int, number: int, nodes: int) -> str:
    """Pods are dealt to the nodes in turn: pod-a on node1, pod-b on node2, …; numbers after z."""
    rank = (number - 1) * nodes + node - 1
    return f"pod-{chr(ord('a') + rank)}" if rank < 26 else f"pod-{rank + 1}"


def subnet(node: int, large: bool = False) -> str:
    """First three bytes of a node's pod subnet."""
    return f"10.{128 + (node >> 8)}.{node & 255}" if large else f"10.244.{node}"


def node_address(node: int, large: bool = False) -> str:
    """A node's address on the underlay."""
    return f"172.16.{node >> 8}.{node & 255}" if large else f"192.168.52.{10 + node}"


def vtep_mac(node: int) -> str:
    """The MAC of a node's flannel.1."""
    return mac(0xFF, node >> 8, node & 255)


def _pod(node: int, number: int, name: str, net: str, node_id: int, large: bool) -> NetNs:
    eth0 = device(
        2,
        "eth0",
        "veth",
        mtu=1450,
        mac=mac(node >> 8, node & 255, 1, number + 1),
        link_index=10 + number,
        link_netnsid=0,
        link_netns=node_id,
    )
    listeners = (Listener("tcp", 4, "0.0.0.0", 80), Listener("udp", 4, "0.0.0.0", 80))
    own = address(2, f"{net}.{number + 1}/24", "eth0")
    return namespace(
        node_id + number, name, [eth0], [own], [route("0.0.0.0/0", 2, f"{net}.1")], listeners=() if large else listeners
    )


def _node(node: int, pods: Sequence[NetNs], remote: Remote, large: bool) -> NetNs:
    id = _node_id(node)
    net, own = subnet(node, large), node_address(node, large)
    cni_mac = mac(node >> 8, node & 255, 1, 1)
    eth0 = device(2, "eth0", router=True, mac=mac(1, node >> 8, node & 255))
    if not large:
        eth0 = replace(eth0, kind="veth", link_index=10 + node, link_netnsid=0, link_netns=FABRIC_ID)
    vxlan = Vxlan(vni=1, port=8472, local=own, lower=2, learning=False)
    links = [
        eth0,
        device(3, "cni0", "bridge", router=True, mtu=1450, mac=cni_mac, bridge=Bridge()),
        device(
            4,
            "flannel.1",
            "vxlan",
            router=True,
            mtu=1450,
            mac=vtep_mac(node),
            vxlan=vxlan,
            link_index=2,
            operstate="unknown",
        ),
    ]
    fdb = [FdbEntry(3, cni_mac, state=NUD_PERMANENT, master=3)]
    for number, pod in enumerate(pods, 1):
        host_mac = mac(node >> 8, node & 255, 2, number + 1)
        links.append(
            device(
                10 + number,
                f"veth{node}x{number}",
                "veth",
                router=True,
                mtu=1450,
                mac=host_mac,
                master=3,
                port=BridgePort(),
                link_index=2,
                link_netnsid=number,
                link_netns=pod.id,
            )
        )
        fdb.append(FdbEntry(10 + number, host_mac, state=NUD_PERMANENT, master=3))
    addresses = [
        address(2, f"{own}/{'12' if large else '24'}", "eth0"),
        address(3, f"{net}.1/24", "cni0"),
        address(4, f"{net}.0/32", "flannel.1"),
    ]
    routes, neighbours, tunnel = remote.of(node)
    return namespace(
        id, f"node{node}", links, addresses, routes, router=True, neighbours=neighbours, fdb=(*tunnel, *fdb)
    )


FABRIC_ID = 4026531000


def _node_id(node: int) -> int:
    return 4026531000 + node * 100


class Remote:
    """What every node holds about every other; the records are shared, so a thousand nodes fit in memory."""

    def __init__(self, nodes: int, large: bool) -> None:
        self.routes = [
            route(f"{subnet(n, large)}.0/24", 4, f"{subnet(n, large)}.0", onlink=True) for n in range(1, nodes + 1)
        ]
        self.neighbours = [
            Neighbour(4, 4, f"{subnet(n, large)}.0", vtep_mac(n), NUD_PERMANENT) for n in range(1, nodes + 1)
        ]
        self.fdb = [
            FdbEntry(4, vtep_mac(n), NUD_PERMANENT, flags=2, dst=node_address(n, large)) for n in range(1, nodes + 1)
        ]

    def of(self, node: int) -> tuple[list[Route], tuple[Neighbour, ...], list[FdbEntry]]:
        """Routes, neighbours and FDB entries of one node: those of all others."""
        before, after = slice(0, node - 1), slice(node, None)
        return (
            self.routes[before] + self.routes[after],
            (*self.neighbours[before], *self.neighbours[after]),
            self.fdb[before] + self.fdb[after],
        )


def _snapshot(node: int, nodes: int, pods: int, remote: Remote, large: bool) -> NodeSnapshot:
    id = _node_id(node)
    own = [
        _pod(node, number, pod_name(node, number, nodes), subnet(node, large), id, large)
        for number in range(1, pods + 1)
    ]
    return NodeSnapshot(
        name=f"node{node}",
        kernel=f"{KERNEL}-{node}" if large else KERNEL,
        netns=id,
        namespaces=(_node(node, own, remote, large), *own),
        pods=tuple(Pod(pod.name, pod.id) for pod in own),
        source="lab:default",
    )


def _fabric(nodes: int) -> NodeSnapshot:
    links = [device(3, "br0", "bridge", mac=mac(9, 0, 0), bridge=Bridge())]
    fdb = [FdbEntry(3, mac(9, 0, 0), state=NUD_PERMANENT, master=3)]
    for node in range(1, nodes + 1):
        port_mac = mac(9, 0, node)
        links.append(
            device(
                10 + node,
                f"port{node}",
                "veth",
                mac=port_mac,
                master=3,
                port=BridgePort(),
                link_index=2,
                link_netnsid=node,
                link_netns=_node_id(node),
            )
        )
        fdb.append(FdbEntry(10 + node, port_mac, state=NUD_PERMANENT, master=3))
    own = namespace(FABRIC_ID, "fabric", links, fdb=tuple(fdb), sysctls=FABRIC_SYSCTLS)
    return NodeSnapshot(
        name="fabric", kernel=KERNEL, netns=FABRIC_ID, namespaces=(own,), role="fabric", source="lab:default"
    )


def cluster(nodes: int = 2, pods: int = 2) -> list[NodeSnapshot]:
    """A healthy lab of ``nodes`` nodes with ``pods`` pods each, on one kernel, with its fabric."""
    remote = Remote(nodes, large=False)
    return [_snapshot(n, nodes, pods, remote, large=False) for n in range(1, nodes + 1)] + [_fabric(nodes)]


def synthetic_snapshots(nodes: int, pods: int) -> list[NodeSnapshot]:
    """A healthy cluster of machines: hardware eth0 on one subnet, each node a kernel of its own."""
    remote = Remote(nodes, large=True)
    return [_snapshot(n, nodes, pods, remote, large=True) for n in range(1, nodes + 1)]


def two_nodes(**changes: Edit | Iterable[Edit]) -> Topology:
    """The lab of the documentation, with edits by namespace: ``two_nodes(pod_b=down("eth0"))``."""
    snapshots = cluster(2, 2)
    for name, edits in changes.items():
        snapshots = change(snapshots, name.replace("_", "-"), *([edits] if callable(edits) else edits))
    return Topology(snapshots)


def change(snapshots: Iterable[NodeSnapshot], name: str, *edits: Edit) -> list[NodeSnapshot]:
    """The snapshots with edits applied to the namespace of that name; it must exist."""
    changed: list[NodeSnapshot] = []
    found = False
    for snapshot in snapshots:
        spaces = []
        for netns in snapshot.namespaces:
            changed_netns = netns
            for edit in edits if netns.name == name else ():
                changed_netns = edit(changed_netns)
            found = found or netns.name == name
            spaces.append(changed_netns)
        changed.append(replace(snapshot, namespaces=tuple(spaces)))
    if not found:
        raise LookupError(f"no namespace {name}")
    return changed


def _index(netns: NetNs, name: str) -> int:
    return next(link.index for link in netns.links if link.name == name)


def link(name: str, /, **fields: Any) -> Edit:
    """Sets fields of a link: ``link("eth0", mtu=1500)``."""

    def edit(netns: NetNs) -> NetNs:
        _index(netns, name)
        links = tuple(replace(each, **fields) if each.name == name else each for each in netns.links)
        return replace(netns, links=links)

    return edit


def _part(name: str, part: str, fields: dict[str, Any]) -> Edit:
    def edit(netns: NetNs) -> NetNs:
        old = next(each for each in netns.links if each.name == name)
        value = getattr(old, part)
        new = {**value, **fields} if isinstance(value, Mapping) else replace(value, **fields)
        return link(name, **{part: new})(netns)

    return edit


def vxlan(name: str, /, **fields: Any) -> Edit:
    """Sets attributes of a VXLAN device: ``vxlan("flannel.1", vni=2)``."""
    return _part(name, "vxlan", fields)


def bridge(name: str, /, **fields: Any) -> Edit:
    """Sets attributes of a bridge."""
    return _part(name, "bridge", fields)


def port(name: str, /, **fields: Any) -> Edit:
    """Sets attributes of a bridge port: ``port("veth1x1", isolated=True)``."""
    return _part(name, "port", fields)


def conf4(name: str, /, **fields: int) -> Edit:
    """Sets ``net.ipv4.conf.NAME.*`` of a device."""
    return _part(name, "ipv4", fields)


def conf6(name: str, /, **fields: int) -> Edit:
    """Sets ``net.ipv6.conf.NAME.*`` of a device."""
    return _part(name, "ipv6", fields)


def sysctl(name: str, value: int) -> Edit:
    """Sets a sysctl of the namespace by its full name."""
    return lambda netns: replace(netns, sysctls={**netns.sysctls, name: value})


def add(**records: Any) -> Edit:
    """Appends records: ``add(routes=[route(…)], fdb=[FdbEntry(…)])``."""

    def edit(netns: NetNs) -> NetNs:
        more: dict[str, Any] = {part: (*getattr(netns, part), *new) for part, new in records.items()}
        return replace(netns, **more)

    return edit


def down(name: str) -> Edit:
    """``ip link set NAME down``: the routes over it go too, local ones stay (``fib_sync_down_dev``)."""

    def edit(netns: NetNs) -> NetNs:
        index = _index(netns, name)
        flags = next(each.flags for each in netns.links if each.name == name) & ~UP
        kept = tuple(r for r in netns.routes if r.type == "local" or all(hop.index != index for hop in r.nexthops))
        return link(name, flags=flags, operstate="down")(replace(netns, routes=kept))

    return edit


def no_carrier(name: str) -> Edit:
    """The device lost its carrier: its peer or its cable is down."""

    def edit(netns: NetNs) -> NetNs:
        flags = next(each.flags for each in netns.links if each.name == name) & ~(IFF_LOWER_UP | IFF_RUNNING)
        return link(name, flags=flags, operstate="lowerlayerdown")(netns)

    return edit


def no_link(name: str) -> Edit:
    """The device is gone, and everything that stood on it."""

    def edit(netns: NetNs) -> NetNs:
        index = _index(netns, name)
        return replace(
            netns,
            links=tuple(
                replace(each, master=None, port=None) if each.master == index else each
                for each in netns.links
                if each.index != index
            ),
            addresses=tuple(each for each in netns.addresses if each.index != index),
            routes=tuple(each for each in netns.routes if all(hop.index != index for hop in each.nexthops)),
            neighbours=tuple(each for each in netns.neighbours if each.index != index),
            fdb=tuple(each for each in netns.fdb if index not in (each.index, each.master)),
        )

    return edit


def no_route(dst: str, table: int = 254) -> Edit:
    """Removes the routes to a prefix from a table."""
    return lambda netns: replace(
        netns, routes=tuple(each for each in netns.routes if (each.dst, each.table) != (dst, table))
    )


def no_address(local: str) -> Edit:
    """Removes an address and the routes the kernel made for it, or that prefer it."""
    return lambda netns: replace(
        netns,
        addresses=tuple(each for each in netns.addresses if each.local != local),
        routes=tuple(each for each in netns.routes if each.prefsrc != local),
    )


def new_address(name: str, text: str) -> Edit:
    """Adds an address and the kernel's routes for it."""

    def edit(netns: NetNs) -> NetNs:
        own = address(_index(netns, name), text, name)
        return add(addresses=[own], routes=kernel_routes(own))(netns)

    return edit


def neighbour(text: str, **fields: Any) -> Edit:
    """Sets fields of the neighbour entries of an address: ``neighbour("10.244.2.0", mac=…)``."""
    return lambda netns: replace(
        netns, neighbours=tuple(replace(n, **fields) if n.address == text else n for n in netns.neighbours)
    )


def no_neighbour(text: str) -> Edit:
    """Removes the neighbour entries of an address."""
    return lambda netns: replace(netns, neighbours=tuple(n for n in netns.neighbours if n.address != text))


def fdb(text: str, **fields: Any) -> Edit:
    """Sets fields of the FDB entries of a MAC: ``fdb(vtep_mac(2), dst="192.168.52.99")``."""
    return lambda netns: replace(netns, fdb=tuple(replace(e, **fields) if e.mac == text else e for e in netns.fdb))


def no_fdb(text: str) -> Edit:
    """Removes the FDB entries of a MAC."""
    return lambda netns: replace(netns, fdb=tuple(e for e in netns.fdb if e.mac != text))
