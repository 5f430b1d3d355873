"""Group L: devices that are down, gone or unplugged."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from netfs.cluster.netns import NetNsView
from netfs.diagnose.checks.addresses import remembered_address
from netfs.diagnose.commands import default_via, finding, ip_tool, restore_default
from netfs.diagnose.evidence import Evidence
from netfs.diagnose.site import Attachment, PodBridge, network, site
from netfs.model import ip
from netfs.model.findings import Finding
from netfs.model.link import Link


def pod_attachment(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`pod-link-down`, `veth-host-down`, `veth-peer-missing`."""
    if not any(not link.loopback for link in view.netns.links):
        node = evidence.node_of(view)
        if node is not None and evidence.clustered(node) and not view.gaps:
            bridge = next(iter(evidence.bridges(node)), None)
            on = f" on {bridge.link.name}" if bridge else ""
            yield finding(
                "veth-peer-missing",
                view,
                None,
                f"{view.name} has no device but lo: its veth pair is gone, no port{on} of {node.name} leads to it",
                "# delete the pod, so that its runtime makes a new sandbox with a new veth pair",
            )
    for attached in evidence.attachments(view):
        yield from _attachment(attached)


def _attachment(attached: Attachment) -> Iterator[Finding]:
    link, host = attached.link, attached.host
    if host is None:
        return
    bridge = attached.bridge or attached.wanted
    if not link.up and (bridge is not None or attached.view.addresses.get(link.index)):
        dev = quote(link.name)
        yield finding(
            "pod-link-down",
            attached.view,
            link,
            f"{link.name} is not up: it has no routes, and nothing enters or leaves the pod by it",
            f"ip link set {dev} up{_readdress(attached, bridge)}{restore_default(bridge, link)}",
        )
    if host.view.is_node and not host.link.up:
        yield finding(
            "veth-host-down",
            host.view,
            host.link,
            f"{host.link.name} is not up; it is the node's end of {attached.view.name}/{link.name}",
            f"ip link set {quote(host.link.name)} up",
        )


def _readdress(attached: Attachment, bridge: PodBridge | None) -> str:
    """A device that goes down loses its IPv6 addresses (``addrconf_ifdown``)."""
    if (
        bridge is None
        or not bridge.addresses(6)
        or any(own.family == 6 and own.index == attached.link.index for own in attached.view.netns.addresses)
    ):
        return ""
    address, _ = remembered_address(attached, bridge, 6)
    length = (bridge.subnet(6) or "").partition("/")[2]
    return f" && ip -6 addr replace {quote(address)}/{length} dev {quote(attached.link.name)} nodad" if address else ""


def _readdress_bridge(bridge: PodBridge) -> str:
    gateway, subnet = bridge.gateway(6), bridge.subnet(6)
    if gateway is None or subnet is None or bridge.addresses(6):
        return ""
    return f" && ip -6 addr replace {quote(gateway)}/{subnet.partition('/')[2]} dev {quote(bridge.link.name)} nodad"


def ports_without_peer(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`veth-peer-missing` from the node's side: a port of a pod bridge that leads into no namespace that was seen."""
    if any(gap.what in ("netns", "links", "namespaces") for gap in view.node.gaps):
        return
    for bridge in evidence.bridges(view):
        if not bridge.pods:
            continue
        for port in bridge.unseen:
            yield finding(
                "veth-peer-missing",
                view,
                port,
                f"{port.name} is a port of {bridge.link.name}, but its other end is in no namespace that was seen",
                f"# find who holds the other end; if nobody does: ip link del {quote(port.name)}",
                "warning",
            )


def bridges_down(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`bridge-down`."""
    for bridge in evidence.bridges(view):
        if bridge.pods and not bridge.link.up:
            yield finding(
                "bridge-down",
                view,
                bridge.link,
                f"{bridge.link.name} is not up: frames from its {len(bridge.pods)} pods are dropped",
                f"ip link set {quote(bridge.link.name)} up{_readdress_bridge(bridge)}",
            )


def underlay_nics(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`underlay-link-down`: a NIC that carries tunnels, or that leads to the other nodes."""
    for link in underlay_links(evidence, view):
        if link.up and link.carrier:
            continue
        peer = evidence.topology.peer(view, link)
        if link.up and peer is not None and not peer.link.up:
            yield finding(
                "underlay-link-down",
                peer.view,
                peer.link,
                f"{view.name}/{link.name} has no carrier: {peer.view.name}/{peer.link.name}, its other end, is not up",
                f"ip link set {quote(peer.link.name)} up",
            )
            continue
        state = "has no carrier" if link.up else "is not up"
        fix = "# check the cable, the switch port or the virtual NIC" if link.up else _bring_up(evidence, view, link)
        yield finding("underlay-link-down", view, link, f"{link.name} {state}: nothing leaves {view.name} by it", fix)


def _bring_up(evidence: Evidence, view: NetNsView, link: Link) -> str:
    """Up, and what the kernel forgot: IPv6 addresses that tunnels use, and the default routes other nodes have."""
    command = f"ip link set {quote(link.name)} up"
    subnets = [network(a.local, a.prefixlen) for a in view.addresses.get(link.index, ()) if a.scope == 0]
    for tunnel in site(view).tunnels:
        vxlan = tunnel.link.vxlan
        if vxlan is None or vxlan.lower != link.index or not vxlan.local or vxlan.local in view.owned:
            continue
        length = _length_elsewhere(evidence, view, vxlan.local)
        if length is not None:
            subnets.append(network(vxlan.local, length))
            nodad = " nodad" if ":" in vxlan.local else ""
            command += f" && {ip_tool(vxlan.local)} addr replace {quote(vxlan.local)}/{length}"
            command += f" dev {quote(link.name)}{nodad}"
    for family in (4, 6):
        for other in evidence.sample(view):
            route = site(other).fib.default(family)
            gateway = route.nexthops[0].gateway if route and route.nexthops else None
            if gateway and any(ip.contains(subnet, gateway) for subnet in subnets):
                command += f" && {default_via(gateway, link)}"
                break
    return command


def _length_elsewhere(evidence: Evidence, view: NetNsView, address: str) -> int | None:
    """The prefix length that another node has on the subnet an address belongs to."""
    for other in evidence.sample(view):
        for own in other.netns.addresses:
            if own.scope == 0 and own.prefixlen < ip.BITS[own.family]:
                if ip.contains(network(own.local, own.prefixlen), address):
                    return own.prefixlen
    return None


def underlay_links(evidence: Evidence, view: NetNsView) -> list[Link]:
    """The devices a node reaches the other nodes by: under its tunnels, else in a subnet shared with them."""
    found: dict[int, Link] = {}
    for tunnel in site(view).tunnels:
        vxlan = tunnel.link.vxlan
        lower = view.links.get(vxlan.lower) if vxlan and vxlan.lower else None
        if lower is not None and lower.kind in (None, "veth"):
            found[lower.index] = lower
    shared = {
        subnet
        for other in evidence.sample(view)
        for nic in site(other).nics
        if not nic.link.loopback
        for subnet in nic.wide
    }
    for nic in site(view).nics:
        if not nic.link.loopback and not shared.isdisjoint(nic.subnets):
            found[nic.link.index] = nic.link
    return list(found.values())
