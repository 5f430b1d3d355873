"""Who is behind a bridge's ports, so that a flood walks only the copies that can matter.

Most ports lead to a plain host: a veth whose other end has an address and no bridge, macvlan or proxy.
A copy for somebody else dies there at once, so it is not walked; a node may have hundreds of such ports.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from netfs.cluster.netns import NetNsView
from netfs.cluster.topology import Port, Topology
from netfs.model.link import Link


@dataclass(slots=True)
class Ports:
    """The ports of one bridge, sorted by what is behind them."""

    macs: frozenset[str]
    """The bridge's own MACs: its device's and its ports'."""
    open: list[Link] = field(default_factory=list)
    """Ports behind which anything may be: copies out of them are always walked."""
    by_mac: dict[str, list[Link]] = field(default_factory=dict)
    """Ports to plain hosts by the host's MAC."""
    by_address: dict[str, list[Link]] = field(default_factory=dict)
    """Ports to plain hosts by every address the host holds."""

    def for_mac(self, mac: str) -> list[Link]:
        """The ports a unicast frame may matter to."""
        return [*self.open, *self.by_mac.get(mac, ())]

    def for_address(self, address: str) -> list[Link]:
        """The ports a question for an address may matter to."""
        return [*self.open, *self.by_address.get(address, ())]


def ports_of(topology: Topology, view: NetNsView, bridge: Link) -> Ports:
    """The ports of a bridge; sorted once, kept with the namespace."""
    name = f"ports of {bridge.index}"
    known = view.compiled.get(name)
    if not isinstance(known, Ports):
        known = _sorted(topology, view, bridge)
        view.compiled[name] = known
    return known


def _sorted(topology: Topology, view: NetNsView, bridge: Link) -> Ports:
    links = view.ports.get(bridge.index, ())
    found = Ports(frozenset(link.mac for link in (bridge, *links) if link.mac is not None))
    for link in links:
        host = _plain_host(topology, view, link)
        if host is None:
            found.open.append(link)
            continue
        found.by_mac.setdefault(host.link.mac or "", []).append(link)
        for address in {address.local for address in host.view.netns.addresses}:
            found.by_address.setdefault(address, []).append(link)
    return found


def _plain_host(topology: Topology, view: NetNsView, link: Link) -> Port | None:
    peer = topology.peer(view, link)
    if peer is None or peer.link.master is not None or peer.link.xdp:
        return None
    if (peer.view.key, peer.link.index) in topology.macvlans or _may_answer_for_others(peer.view):
        return None
    return peer


def _may_answer_for_others(view: NetNsView) -> bool:
    """Whether a namespace may answer for addresses it does not hold: proxies, or whole local prefixes."""
    netns = view.netns
    if netns.sysctls.get("net.ipv4.conf.all.proxy_arp") or netns.sysctls.get("net.ipv6.conf.all.proxy_ndp"):
        return True
    for link in netns.links:
        if link.ipv4.get("proxy_arp") or link.ipv4.get("proxy_arp_pvlan") or link.ipv6.get("proxy_ndp"):
            return True
    for route in netns.routes:
        if route.type == "local" and not route.dst.endswith(("/32", "/128", "127.0.0.0/8")):
            return True
    return bool(netns.neighbours) and view.has_proxies
