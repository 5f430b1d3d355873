"""Tunnels beside what a source says of the nodes at their ends."""

from __future__ import annotations

from collections.abc import Iterator

from netfs.capture.flows.suspect.catalogue import suspicion
from netfs.capture.flows.suspect.evidence import Evidence, grouped, is_for_many
from netfs.capture.flows.words import end, tunnel
from netfs.cluster.netns import NetNsView
from netfs.cluster.topology import Topology
from netfs.model import ip
from netfs.model.flows import Suspicion, Tunnel
from netfs.model.link import Link, Vxlan


def receivers(evidence: Evidence, topology: Topology) -> Iterator[Suspicion]:
    """Tunnel packets that no device of the receiving node takes (vxlan_rcv, drivers/net/vxlan/vxlan_core.c)."""
    for one, indexes in _distinct(evidence):
        if one.kind != "vxlan" or one.vni is None or is_for_many(one.dst):
            continue
        node = topology.node_of(one.dst)
        devices = _devices(topology, node, ip.family_of(one.dst)) if node is not None else []
        if node is None or not devices:
            continue
        here = [(link, vxlan) for link, vxlan in devices if vxlan.port == one.dport]
        has = ", ".join(f"{link.name} has VNI {vxlan.vni} on port {vxlan.port}" for link, vxlan in devices[:4])
        what = f"{tunnel(one)} to port {one.dport}, while on {node.node.name} {has}"
        if not here:
            yield suspicion("tunnel-port-closed", f"{what}: nothing takes it", indexes, evidence.doctor)
        elif not any(vxlan.vni == one.vni or vxlan.collect_metadata or vxlan.vnifilter for _, vxlan in here):
            why = f"{what}: vxlan_rcv drops it (VXLAN_VNI_NOT_FOUND)"
            yield suspicion("vni-unknown", why, indexes, evidence.doctor)


def strangers(evidence: Evidence, topology: Topology) -> Iterator[Suspicion]:
    """Tunnel ends that nobody of the source knows."""
    known = {entry.dst for view in topology.nodes.values() for entry in view.netns.fdb if entry.dst is not None}
    for one, indexes in _distinct(evidence):
        if one.dst_node is not None and one.src not in topology.owners and one.src not in known:
            why = f"{tunnel(one)}: {one.src} is no address of a node, and no VXLAN device's FDB names it"
            yield suspicion("tunnel-end-unknown", why, indexes)


def forgers(evidence: Evidence, topology: Topology) -> Iterator[Suspicion]:
    """Inner sources that belong to another node than the one which sends the tunnel packet."""
    subnets = _pod_subnets(topology)
    flows = evidence.flows
    foreign: list[tuple[int, str]] = []
    for index, flow in enumerate(flows):
        sender = flow.tunnels[-1].src_node if flow.tunnels else None
        if sender is None:
            continue
        home = flow.src_node or _home(subnets, flow.src)
        if home is not None and home != sender and home in topology.nodes:
            foreign.append((index, home))
    homes = dict(foreign)
    for _, indexes in grouped(homes, lambda i: (flows[i].src, flows[i].tunnels[-1].src)):
        first = flows[indexes[0]]
        why = (
            f"{end(first.src_name, first.src)} belongs to {homes[indexes[0]]}, and comes out of"
            f" {first.tunnels[-1].src_node} ({tunnel(first.tunnels[-1])})"
        )
        yield suspicion("source-not-of-node", why, indexes)


def underlay_mtu(topology: Topology, address: str) -> tuple[str, int] | None:
    """(name, MTU) of the device that holds a tunnel end's address; None: several do, or none."""
    ports = [port for port in topology.owners.get(address, ()) if port.view.is_node]
    if len(ports) != 1:
        return None
    return f"{ports[0].view.node.name}/{ports[0].link.name}", ports[0].link.mtu


def _distinct(evidence: Evidence) -> Iterator[tuple[Tunnel, list[int]]]:
    """The tunnels of the capture, whatever their source ports, each with the flows inside."""
    found: dict[tuple[str, str, str, int | None, int | None], tuple[Tunnel, list[int]]] = {}
    for index, flow in enumerate(evidence.flows):
        for one in flow.tunnels:
            key = (one.kind, one.src, one.dst, one.vni, one.dport)
            found.setdefault(key, (one, []))[1].append(index)
    yield from found.values()


def _devices(topology: Topology, node: NetNsView, family: int) -> list[tuple[Link, Vxlan]]:
    """The VXLAN devices that take packets of a family: each listens in that of its own addresses (vxlan_sock_add)."""
    ports = topology.tunnels.get(node.key, ())
    return [
        (port.link, vxlan)
        for port in ports
        if (vxlan := port.link.vxlan) is not None
        and (vxlan.collect_metadata or ip.family_of(vxlan.local or vxlan.group or "") == family)
    ]


def _pod_subnets(topology: Topology) -> list[tuple[str, str]]:
    """(prefix, node) of the subnets that nodes have on bridges: the pods behind them."""
    found = []
    for name, view in topology.nodes.items():
        for address in view.netns.addresses:
            link = view.links.get(address.index)
            if link is not None and link.kind == "bridge" and address.prefixlen < ip.BITS[address.family]:
                found.append((f"{address.local}/{address.prefixlen}", name))
    return found


def _home(subnets: list[tuple[str, str]], address: str) -> str | None:
    """The one node whose pods an address is among."""
    try:
        nodes = {node for prefix, node in subnets if ip.contains(prefix, address)}
    except ValueError:
        return None
    return nodes.pop() if len(nodes) == 1 else None
