"""Group R: host routes and preferred sources that lead pods' packets, or their replies, astray."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from netfs.cluster.netns import NetNsView
from netfs.diagnose.checks.routes import is_host, loops
from netfs.diagnose.commands import delete_route, finding, ip_tool
from netfs.diagnose.evidence import Evidence
from netfs.diagnose.fib import is_default
from netfs.diagnose.site import Attachment, PodBridge, overlap, site
from netfs.model import ip
from netfs.model.address import NUD_PERMANENT, NUD_VALID, Neighbour
from netfs.model.findings import Finding
from netfs.model.route import RT_TABLE_LOCAL, RTNH_F_ONLINK, Route


def host_routes(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`route-stale-pod`, `route-loop`, `route-wrong-device`, `neighbour-failed`: a route to one pod's address."""
    bridges = {bridge.link.index: bridge for bridge in evidence.bridges(view) if bridge.pods}
    if not bridges or any(gap.what in ("netns", "namespaces", "links") for gap in view.node.gaps):
        return
    for route in site(view).fib.hosts():
        address = route.dst.partition("/")[0]
        if route.type == "unicast" and len(route.nexthops) == 1 and address not in view.owned:
            yield from _host_route(evidence, view, bridges, route, address)
    for bridge in bridges.values():
        for entry in view.neighbours.get(bridge.link.index, ()):
            if not entry.state & NUD_PERMANENT or evidence.topology.owners.get(entry.address):
                continue
            if bridge.holds(entry.address):
                yield _permanent(view, bridge, entry)


def _permanent(view: NetNsView, bridge: PodBridge, entry: Neighbour) -> Finding:
    return finding(
        "route-stale-pod",
        view,
        bridge.link,
        f"a permanent neighbour entry says {entry.address} is {entry.mac}, but no pod has that address",
        f"{ip_tool(entry.address)} neigh del {quote(entry.address)} dev {quote(bridge.link.name)}",
        "warning",
    )


def _host_route(
    evidence: Evidence, view: NetNsView, bridges: dict[int, PodBridge], route: Route, address: str
) -> Iterator[Finding]:
    known, hop = site(view), route.nexthops[0]
    device, fix = known.names.get(hop.index or 0), delete_route(route, known.names)
    home = next((bridge for bridge in bridges.values() if any(address in p.view.owned for p in bridge.pods)), None)
    local = bridges.get(hop.index or 0)
    if home is not None:
        if hop.index != home.link.index:
            slug = "route-loop" if loops(evidence, view, route, route.dst) else "route-wrong-device"
            text = f"{known.route(route)}: {address} is a pod on {home.link.name} of this very node"
            yield finding(slug, view, device, text, fix)
    elif local is not None and hop.gateway is None:
        owners = [port.view for port in evidence.topology.owners.get(address, ())]
        where = f"{owners[0].name} has it, on {owners[0].node.name}" if owners else "no pod has that address"
        text = f"{known.route(route)}: nobody on {local.link.name} has {address}, {where}"
        yield finding("route-stale-pod", view, device, text, fix, "error" if owners else "warning")
    elif hop.gateway and _unresolved(evidence, view, hop.index, hop.gateway):
        text = f"{known.route(route)}: {hop.gateway} could not be resolved on {device}, and no node has that address"
        yield finding("neighbour-failed", view, device, text, fix)


def next_hops(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`neighbour-failed`: the next hop of a wider route to pods does not answer, and is nobody's that was seen."""
    if all(state & NUD_VALID for state in {entry.state for entry in view.netns.neighbours}):
        return
    remote = [s for o in evidence.sample(view) for b in evidence.bridges(o) if b.pods for s in b.subnets]
    for route in view.netns.routes:
        if route.table == RT_TABLE_LOCAL or is_default(route) or is_host(route.dst) or len(route.nexthops) != 1:
            continue
        hop = route.nexthops[0]
        if not hop.gateway or not _unresolved(evidence, view, hop.index, hop.gateway):
            continue
        if any(overlap(route.dst, subnet) for subnet in remote):
            device = site(view).names.get(hop.index or 0, "")
            yield finding(
                "neighbour-failed",
                view,
                device,
                f"{site(view).route(route)}: {hop.gateway} could not be resolved, and no node has that address",
                f"# correct the route's next hop, then: ip neigh flush {quote(hop.gateway)} dev {quote(device)}",
            )


def _unresolved(evidence: Evidence, view: NetNsView, index: int | None, gateway: str) -> bool:
    entry = view.neighbour(index or 0, gateway)
    failed = entry is not None and not entry.state & NUD_VALID and entry.state != 0
    return failed and not evidence.topology.owners.get(gateway)


def pod_sources(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`source-address-wrong` and `martian-source` of a pod's routes."""
    for attached in evidence.attachments(view):
        bridge = attached.bridge
        if bridge is None or not bridge.subnets:
            continue
        for route in view.netns.routes:
            if route.table == RT_TABLE_LOCAL or route.prefsrc is None or len(route.nexthops) != 1:
                continue
            if route.nexthops[0].index == attached.link.index and not bridge.holds(route.prefsrc):
                yield from _pod_source(attached, bridge, route, route.prefsrc)


def _pod_source(attached: Attachment, bridge: PodBridge, route: Route, source: str) -> Iterator[Finding]:
    view, hop = attached.view, route.nexthops[0]
    own = [a.local for a in view.addresses.get(attached.link.index, ()) if a.family == route.family and a.scope == 0]
    right = next((address for address in own if bridge.holds(address)), None)
    if right is None:
        return
    words = [ip_tool(route.dst), "route replace", "default" if is_default(route) else quote(route.dst)]
    words += ["via", quote(hop.gateway)] if hop.gateway else []
    words += ["dev", quote(attached.link.name)]
    words += ["proto kernel scope link"] if route.protocol == 2 else []
    words += ["src", quote(right)]
    martian = ip.is_loopback(source)
    yield finding(
        "martian-source" if martian else "source-address-wrong",
        view,
        attached.link,
        f"{site(view).route(route)}: "
        + (
            f"{source} never leaves a host, the next one drops it"
            if martian
            else f"nobody knows the way back to {source}, the pod's address is {right}"
        ),
        " ".join(words),
    )


def node_sources(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`source-address-wrong` of a node's routes to other nodes' pods."""
    remote = [s for o in evidence.sample(view) for b in evidence.bridges(o) if b.pods for s in b.subnets]
    for route in [route for route in view.netns.routes if route.prefsrc is not None]:
        source = route.prefsrc
        if route.table == RT_TABLE_LOCAL or route.protocol == 2 or source is None or len(route.nexthops) != 1:
            continue
        if not any(overlap(route.dst, subnet) for subnet in remote) or is_default(route):
            continue
        if _known_elsewhere(evidence, view, source):
            continue
        hop = route.nexthops[0]
        words = [ip_tool(route.dst), "route replace", quote(route.dst)]
        words += ["via", quote(hop.gateway)] if hop.gateway else []
        words += ["dev", quote(site(view).names[hop.index])] if hop.index in site(view).names else []
        words += ["onlink"] if hop.flags & RTNH_F_ONLINK else []
        yield finding(
            "source-address-wrong",
            view,
            site(view).names.get(hop.index or 0),
            f"{site(view).route(route)}: no other node knows the way back to {source}",
            " ".join(words),
        )


def _known_elsewhere(evidence: Evidence, view: NetNsView, address: str) -> bool:
    """Whether other nodes route an address here: it is a tunnel's or bridge's, or in a subnet they are in."""
    own = view.owned.get(address)
    link = view.links.get(own.index) if own else None
    if link is not None and link.kind in ("vxlan", "bridge"):
        return True
    routes = [site(other).fib.best(address) for other in evidence.sample(view)]
    return any(route is not None and not is_default(route) for route in routes)
