"""Group N: neighbour entries that are missing, wrong, or left over."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from netfs.cluster.netns import NetNsView
from netfs.diagnose.checks.vxlan import mac_changed
from netfs.diagnose.commands import finding, ip_tool, tunnel_neighbour
from netfs.diagnose.evidence import Evidence
from netfs.diagnose.site import PodBridge, Tunnel, network, site
from netfs.model import ip
from netfs.model.address import NUD_PERMANENT, NUD_VALID, Neighbour
from netfs.model.findings import Finding
from netfs.model.link import Link


def of_peer(evidence: Evidence, tunnel: Tunnel, peer: Tunnel) -> Iterator[Finding]:
    """`neighbour-missing-vtep`, `neighbour-wrong-mac` for the VTEP addresses of a peer that are next hops here."""
    vxlan = tunnel.link.vxlan
    mac = peer.link.mac
    if vxlan is None or mac is None or vxlan.l3miss or tunnel.link.noarp:
        return
    vteps = {
        vtep: subnet
        for subnet in evidence.subnets(peer)
        if (vtep := evidence.vtep(peer, ip.family_of(subnet))) is not None
    }
    for vtep, subnet in vteps.items():
        entry = tunnel.view.neighbour(tunnel.link.index, vtep)
        if entry is None or not entry.state & NUD_VALID:
            if not tunnel.floods:
                state = "has no neighbour entry" if entry is None else "could not resolve the neighbour"
                yield finding(
                    "neighbour-missing-vtep",
                    tunnel.view,
                    tunnel.link,
                    f"{tunnel.link.name} {state} {vtep}, the VTEP of {peer.view.name} ({subnet}): "
                    "nothing answers ARP in this tunnel, the entry must be programmed",
                    tunnel_neighbour(tunnel, vtep, mac),
                )
        elif entry.mac != mac and not mac_changed(evidence, tunnel, peer):
            yield finding(
                "neighbour-wrong-mac",
                tunnel.view,
                tunnel.link,
                f"{tunnel.link.name} holds {entry.mac} for {vtep}, but {peer.name} has {mac}",
                tunnel_neighbour(tunnel, vtep, mac),
            )


def of_node(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`neighbour-stale-pod-mac` and `neighbour-failed` on pod bridges, `neighbour-wrong-mac` on the underlay."""
    by_index: dict[int, PodBridge] = {bridge.link.index: bridge for bridge in evidence.bridges(view)}
    tunnels = {tunnel.link.index for tunnel in site(view).tunnels}
    for index, entries in view.neighbours.items():
        bridge, link = by_index.get(index), view.links.get(index)
        for entry in entries if index not in tunnels else ():
            if bridge is not None:
                yield from _of_bridge(bridge, entry)
            elif link is not None and entry.mac and entry.state & NUD_VALID:
                yield from _of_wire(evidence, view, link, entry)


def _of_bridge(bridge: PodBridge, entry: Neighbour) -> Iterator[Finding]:
    owners = [pod for pod in bridge.pods if entry.address in pod.view.owned]
    if len(owners) != 1:
        return
    pod, dev = owners[0], quote(bridge.link.name)
    if entry.mac and entry.state & NUD_VALID and entry.mac != pod.link.mac:
        yield finding(
            "neighbour-wrong-mac" if entry.state & NUD_PERMANENT else "neighbour-stale-pod-mac",
            bridge.view,
            bridge.link,
            f"{bridge.link.name} holds {entry.mac} for {entry.address}, but {pod.view.name} has {pod.link.mac}",
            f"{ip_tool(entry.address)} neigh del {quote(entry.address)} dev {dev}",
        )
    elif not entry.state & NUD_VALID and pod.link.noarp:
        yield finding(
            "neighbour-failed",
            bridge.view,
            bridge.link,
            f"{entry.address} of {pod.view.name} could not be resolved on {bridge.link.name}",
            f"{ip_tool(entry.address)} neigh flush {quote(entry.address)} dev {dev}",
            "warning",
        )


def _of_wire(evidence: Evidence, view: NetNsView, link: Link, entry: Neighbour) -> Iterator[Finding]:
    """An entry for another node's address: one node owns it, and not with this MAC."""
    if not view.is_node or link.kind not in (None, "veth") or ip.is_link_local(entry.address):
        return
    other = evidence.topology.node_of(entry.address)
    if other is None or other is view:
        return
    if any(each.mac == entry.mac for each in other.netns.links):
        return
    owner = other.links.get(other.owned[entry.address].index)
    near = network(entry.address, other.owned[entry.address].prefixlen)
    if owner is None or not any(
        network(own.local, own.prefixlen) == near for own in view.addresses.get(link.index, ()) if own.scope == 0
    ):
        return
    yield finding(
        "neighbour-wrong-mac",
        view,
        link,
        f"{link.name} holds {entry.mac} for {entry.address}, but {other.name}/{owner.name} has {owner.mac}",
        f"{ip_tool(entry.address)} neigh del {quote(entry.address)} dev {quote(link.name)}",
    )


def of_pod(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`neighbour-wrong-mac` in a pod: its gateway or a sibling has another MAC."""
    for attached in evidence.attachments(view):
        bridge = attached.bridge
        if bridge is None:
            continue
        for entry in view.netns.neighbours:
            if entry.index != attached.link.index or not entry.mac or not entry.state & NUD_VALID:
                continue
            right = _owner_mac(bridge, entry.address)
            if right is None or right == entry.mac:
                continue
            yield finding(
                "neighbour-wrong-mac",
                view,
                attached.link,
                f"{attached.link.name} holds {entry.mac} for {entry.address}, whose MAC is {right}",
                f"{ip_tool(entry.address)} neigh del {quote(entry.address)} dev {quote(attached.link.name)}",
            )


def _owner_mac(bridge: PodBridge, address: str) -> str | None:
    if any(own == address for own, _ in bridge.addresses(ip.family_of(address))):
        return bridge.link.mac
    owners = [pod.link.mac for pod in bridge.pods if address in pod.view.owned]
    return owners[0] if len(owners) == 1 else None


def table(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`neighbour-table-full`: the table and its limit are the kernel's, not the namespace's (``neigh_alloc``)."""
    for family in (4, 6):
        limit = view.sysctl(f"net.ipv{family}.neigh.default.gc_thresh3")
        if not limit:
            continue
        spaces = evidence.spaces(view.node.kernel)
        if spaces.neighbours * 10 < limit * 9:
            continue
        count = spaces.limited.get(family, 0)
        if count * 10 >= limit * 9:
            yield finding(
                "neighbour-table-full",
                view,
                None,
                f"{count} of at most {limit} IPv{family} neighbours are in the kernel's table",
                f"sysctl -w net.ipv{family}.neigh.default.gc_thresh3={limit * 4}",
                "error" if count >= limit else "warning",
            )
