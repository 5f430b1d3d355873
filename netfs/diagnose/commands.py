"""Findings, and the commands that repair: every word that came from a node is quoted for a shell."""

from __future__ import annotations

from shlex import quote

from netfs.cluster.netns import NetNsView
from netfs.diagnose.evidence import Evidence
from netfs.diagnose.site import PodBridge, Tunnel, site
from netfs.model import ip
from netfs.model.findings import Finding
from netfs.model.link import Link
from netfs.model.route import Route
from netfs.model.text import printable

MANY = 8
"""With more peers than this a daemon's restart is the better repair, and a fix says so."""

SHOWN = 5
"""So many names a sentence tells; of more it says the number."""


def finding(
    slug: str, view: NetNsView, device: Link | str | None, evidence: str, fix: str, severity: str = "error"
) -> Finding:
    """A finding about a device of a namespace, repaired in that namespace."""
    name = device.name if isinstance(device, Link) else device
    where = view.name if name is None else f"{view.name}/{name}"
    return Finding(slug, severity, where, evidence, advised(fix), node=view.node.name, netns=view.name)


def advised(fix: str) -> str:
    """A fix that is a comment stays one, whatever the names in it hold; a command is left as it is."""
    return printable(fix) if fix.startswith("#") else fix


def some(names: list[str]) -> str:
    """The first few of many names, and how many more there are."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def ip_tool(address: str) -> str:
    """``ip`` or ``ip -6``, by the family of an address or prefix."""
    return "ip -6" if ":" in address else "ip"


def sysctl(version: int, device: str, name: str, value: int) -> str:
    """``sysctl -w`` for one device; with slashes, since device names hold dots."""
    return f"sysctl -w {quote(f'net/ipv{version}/conf/{device}/{name}={value}')}"


def default_via(gateway: str, link: Link) -> str:
    """The command for a default route."""
    return f"{ip_tool(gateway)} route replace default via {quote(gateway)} dev {quote(link.name)}"


def restore_default(bridge: PodBridge | None, link: Link) -> str:
    """What follows a command that made the kernel forget a pod's default routes."""
    gateways = [gateway for family in (4, 6) if bridge and (gateway := bridge.gateway(family))]
    return "".join(f" && {default_via(gateway, link)}" for gateway in gateways)


def delete_route(route: Route, names: dict[int, str]) -> str:
    """``ip route del`` for exactly this route."""
    words = [ip_tool(route.dst), "route del"]
    words += [] if route.type == "unicast" else [route.type]
    words.append("default" if route.dst.endswith("/0") else quote(route.dst))
    if route.type == "unicast" and len(route.nexthops) == 1:
        hop = route.nexthops[0]
        words += ["via", quote(hop.gateway)] if hop.gateway else []
        words += ["dev", quote(names[hop.index])] if hop.index in names else []
    words += ["table", str(route.table)] if route.table != 254 else []
    words += ["metric", str(route.metric)] if route.metric and ":" not in route.dst else []
    return " ".join(words)


def tunnel_route(tunnel: Tunnel, subnet: str, vtep: str) -> str:
    """The route to a peer's pods, as flannel programs it."""
    return f"{ip_tool(subnet)} route replace {quote(subnet)} via {quote(vtep)} dev {quote(tunnel.link.name)} onlink"


def tunnel_neighbour(tunnel: Tunnel, vtep: str, mac: str) -> str:
    """The permanent neighbour entry for a peer's VTEP."""
    dev = quote(tunnel.link.name)
    return f"{ip_tool(vtep)} neigh replace {quote(vtep)} lladdr {quote(mac)} dev {dev} nud permanent"


def tunnel_fdb(tunnel: Tunnel, mac: str, dst: str) -> str:
    """The FDB entry for a peer's MAC."""
    return f"bridge fdb replace {quote(mac)} dev {quote(tunnel.link.name)} dst {quote(dst)} self permanent"


def towards(evidence: Evidence, tunnel: Tunnel, peers: list[Tunnel]) -> str:
    """What follows a command that emptied a tunnel device: routes, neighbours and FDB entries for its peers."""
    if len(peers) > MANY:
        return f"  # then restart the daemon that programs the routes, neighbours and FDB of {len(peers)} peers"
    commands: list[str] = []
    for peer in peers:
        mac, local = peer.link.mac, peer.local
        if mac is None or local is None:
            continue
        commands.append(tunnel_fdb(tunnel, mac, local))
        for subnet in evidence.subnets(peer):
            if vtep := evidence.vtep(peer, ip.family_of(subnet)):
                commands += [tunnel_neighbour(tunnel, vtep, mac), tunnel_route(tunnel, subnet, vtep)]
    return "".join(f" && {command}" for command in commands)


def recreate(
    evidence: Evidence, tunnel: Tunnel, vni: int, port: int, peers: list[Tunnel], lower: str | None = None
) -> str:
    """Delete a VXLAN device and make it again with this VNI and port, with everything else as it was."""
    delete = f"ip link del {quote(tunnel.link.name)} && "
    if lower is None and tunnel.link.vxlan is not None:
        lower = site(tunnel.view).names.get(tunnel.link.vxlan.lower or 0)
    return delete + create(
        evidence, tunnel, vni, port, lower=lower, local=tunnel.local, addresses=tunnel.addresses, peers=peers
    )


def create(
    evidence: Evidence,
    tunnel: Tunnel,
    vni: int,
    port: int,
    *,
    lower: str | None,
    local: str | None,
    addresses: tuple[str, ...],
    peers: list[Tunnel],
) -> str:
    """Make a VXLAN device like ``tunnel`` and program it for its peers."""
    link, vxlan = tunnel.link, tunnel.link.vxlan
    assert vxlan is not None
    dev = quote(link.name)
    words = [f"ip link add {dev} type vxlan id {vni} dstport {port}"]
    words += [f"local {quote(local)}"] if local else []
    words += [f"dev {quote(lower)}"] if lower else []
    words += [] if vxlan.learning else ["nolearning"]
    commands = [" ".join(words)]
    commands.append(f"ip link set {dev}{f' address {quote(link.mac)}' if link.mac else ''} mtu {link.mtu} up")
    commands += [
        f"{ip_tool(address)} addr add {quote(address)}/{ip.BITS[ip.family_of(address)]} dev {dev}"
        for address in addresses
    ]
    return " && ".join(commands) + towards(evidence, tunnel, peers)


def free_address(bridge: PodBridge, family: int) -> str | None:
    """The lowest address of a bridge's subnet that nobody on it holds."""
    subnet = bridge.subnet(family)
    if subnet is None:
        return None
    start, length = ip.prefix(subnet)
    taken = {own.local for pod in bridge.pods for own in pod.view.netns.addresses}
    taken.update(address for address, _ in bridge.addresses(family))
    for number in range(2, min(1 << ip.BITS[family] - length, 4096) - 1):
        address = ip.to_text(start + number, family)
        if address not in taken:
            return address
    return None
