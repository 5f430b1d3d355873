"""Group L across nodes: addresses and subnets that two of them claim; and `accept-local-needed`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from shlex import quote

from netfs.cluster.netns import NetNsView
from netfs.cluster.topology import Port
from netfs.diagnose.checks.addresses import duplicate_address
from netfs.diagnose.commands import finding, ip_tool, some
from netfs.diagnose.evidence import Evidence
from netfs.diagnose.site import PodBridge, network, overlap, site
from netfs.model import ip
from netfs.model.findings import Finding


def shared_addresses(evidence: Evidence, addresses: Iterable[str]) -> Iterator[Finding]:
    """`address-duplicate` and `accept-local-needed` for addresses that should have one owner in the cluster."""
    for address in addresses:
        owners = list(evidence.topology.owners.get(address, ()))
        if len({port.view.key for port in owners}) < 2 or ip.is_link_local(address):
            continue
        pods = [port for port in owners if port.view.pod is not None]
        nodes = [port for port in owners if port.view.is_node and port.view.node.role == "node"]
        if pods and nodes and any(_routed(evidence, pod, address) for pod in pods):
            for port in nodes:
                own = port.view.owned[address]
                yield finding(
                    "accept-local-needed",
                    port.view,
                    port.link,
                    f"{address} of {pods[0].view.name} is also on {port.view.name}/{port.link.name}: "
                    "the node takes the pod's packets for its own and drops them",
                    f"{ip_tool(address)} addr del {quote(address)}/{own.prefixlen} dev {quote(port.link.name)}",
                )
        elif len(pods) > 1:
            routed = [pod for pod in pods if _routed(evidence, pod, address)]
            same = len({pod.view.node.name for pod in pods}) < len(pods)
            if len(routed) > 1 or (routed and same):
                yield duplicate_address(evidence, address, pods)
        elif len(nodes) > 1 and _same_wire(nodes, address) and all(evidence.clustered(port.view) for port in nodes):
            names = some(sorted(f"{port.view.name}/{port.link.name}" for port in nodes))
            yield finding(
                "address-duplicate",
                nodes[-1].view,
                nodes[-1].link,
                f"{address} is held by {names}",
                f"# give one of them another address; on {nodes[-1].view.name}: ip addr del {quote(address)}/… "
                f"dev {quote(nodes[-1].link.name)}",
            )


def _routed(evidence: Evidence, pod: Port, address: str) -> bool:
    """Whether a pod's address is known beyond its node: its node is one of a cluster and serves its subnet."""
    node = evidence.node_of(pod.view)
    if node is None or not evidence.clustered(node):
        return False
    served = any(bridge.pods and _in_cluster(evidence, bridge) for bridge in evidence.bridges(node))
    return served and bool(evidence.attachments(pod.view)) and not ip.is_link_local(address)


def _in_cluster(evidence: Evidence, bridge: PodBridge) -> bool:
    """Whether other nodes route to a bridge's subnet: a bridge that is its node's own affair may repeat anywhere."""
    for other in evidence.sample(bridge.view):
        if any(site(other).fib.exact(subnet) is not None for subnet in bridge.subnets):
            mine = {network(*own) for b in evidence.bridges(other) for f in (4, 6) for own in b.addresses(f)}
            if not set(bridge.subnets) <= mine:
                return True
    tunnels = site(bridge.view).tunnels
    return any(bridge.holds(address) for tunnel in tunnels for address in tunnel.addresses)


def _same_wire(nodes: list[Port], address: str) -> bool:
    return all(port.link.kind in (None, "veth", "vxlan") and address in port.view.owned for port in nodes)


def overlapping_subnets(evidence: Evidence, one: NetNsView, other: NetNsView) -> Iterator[Finding]:
    """`pod-cidr-overlap` of two nodes."""
    for mine in evidence.bridges(one):
        for theirs in evidence.bridges(other):
            if not (mine.pods and theirs.pods and _in_cluster(evidence, mine) and _in_cluster(evidence, theirs)):
                continue
            for subnet in mine.subnets:
                for foreign in theirs.subnets:
                    if overlap(subnet, foreign):
                        yield _overlap(mine, subnet, theirs, foreign)


def _overlap(mine: PodBridge, subnet: str, theirs: PodBridge, foreign: str) -> Finding:
    """Who gives way: the bridge on which the subnet is one of several, and not the first."""
    bridge, wrong, against = (theirs, foreign, mine) if mine.subnets[0] == subnet else (mine, subnet, theirs)
    family = ip.family_of(wrong)
    extra = [own for own in bridge.addresses(family) if network(*own) == wrong]
    several = len(bridge.addresses(family)) > 1 and extra and bridge.subnet(family) != wrong
    address, length = extra[0] if extra else ("", 0)
    return finding(
        "pod-cidr-overlap",
        bridge.view,
        bridge.link,
        f"{wrong} of {bridge.view.name}/{bridge.link.name} overlaps {subnet if against is mine else foreign} "
        f"of {against.view.name}/{against.link.name}",
        f"{ip_tool(address)} addr del {quote(address)}/{length} dev {quote(bridge.link.name)}"
        if several
        else f"# assign {bridge.view.name} another subnet, and restart its pods",
    )


def overlaps_underlay(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`pod-cidr-overlap` of a node's pods and the network the nodes themselves are in."""
    for tunnel in site(view).tunnels:
        lower = tunnel.link.vxlan.lower if tunnel.link.vxlan else None
        for own in view.addresses.get(lower or 0, ()):
            if own.scope != 0 or (link := view.links.get(own.index)) is None or link.kind not in (None, "veth"):
                continue
            underlay = network(own.local, own.prefixlen)
            for bridge in evidence.bridges(view):
                for subnet in bridge.subnets:
                    if bridge.pods and overlap(subnet, underlay):
                        yield finding(
                            "pod-cidr-overlap",
                            view,
                            bridge.link,
                            f"{subnet} of {bridge.link.name} overlaps {underlay} of {link.name}, where the nodes are",
                            f"# assign {view.name} another pod subnet, and restart its pods",
                        )
