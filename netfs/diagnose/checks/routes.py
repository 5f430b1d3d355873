"""Group R: routes that are missing, point astray, or shadow better ones."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from netfs.cluster.netns import NetNsView
from netfs.diagnose.commands import default_via, delete_route, finding, ip_tool, tunnel_route
from netfs.diagnose.evidence import Evidence
from netfs.diagnose.fib import is_default
from netfs.diagnose.site import Attachment, PodBridge, Tunnel, overlap, site
from netfs.model import ip
from netfs.model.findings import Finding
from netfs.model.route import RT_TABLE_LOCAL, RTNH_F_ONLINK, Route

DISCARDS = {
    "blackhole": "drops silently",
    "unreachable": "answers with host unreachable",
    "prohibit": "answers with administratively prohibited",
}


def pod_default(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`route-default-missing`."""
    for attached in evidence.attachments(view):
        bridge = attached.bridge
        if bridge is None or not attached.link.up:
            continue
        for family in (4, 6):
            if bridge.subnet(family) is None or site(view).fib.default(family) is not None:
                continue
            own = [a for a in view.addresses.get(attached.link.index, ()) if a.family == family and a.scope == 0]
            gateway = bridge.gateway(family)
            inside = any(bridge.holds(a.local) and a.prefixlen < ip.BITS[family] for a in own)
            if not inside or gateway is None:
                continue
            if not _expects_default(evidence, attached, bridge, family):
                continue
            yield finding(
                "route-default-missing",
                view,
                attached.link,
                f"{view.name} has no IPv{family} default route: it reaches nothing beyond {bridge.subnet(family)}",
                default_via(gateway, attached.link),
            )


def _expects_default(evidence: Evidence, attached: Attachment, bridge: PodBridge, family: int) -> bool:
    siblings = [pod for pod in bridge.pods if pod.view is not attached.view]
    if siblings and any(site(pod.view).fib.default(family) is not None for pod in siblings):
        return True
    return evidence.clustered(bridge.view)


def to_peer(evidence: Evidence, tunnel: Tunnel, peer: Tunnel) -> Iterator[Finding]:
    """A node's routes to the pod subnets behind a peer."""
    fib = site(tunnel.view).fib
    for subnet in evidence.subnets(peer):
        vtep = evidence.vtep(peer, ip.family_of(subnet))
        if vtep is None or overlapping(evidence, tunnel.view, subnet):
            continue
        route = fib.exact(subnet)
        if route is None:
            inner = fib.best(ip.to_text(ip.prefix(subnet)[0] + 1, ip.family_of(subnet)))
            route = None if inner is None or is_default(inner) else inner
        if route is None:
            yield _missing(tunnel, peer, subnet, vtep)
        elif route.type == "unicast":
            yield from _astray(evidence, tunnel, peer, route, vtep)


def _missing(tunnel: Tunnel, peer: Tunnel, subnet: str, vtep: str) -> Finding:
    default = site(tunnel.view).fib.default(ip.family_of(subnet))
    instead = f"it takes {site(tunnel.view).route(default)}" if default else "there is no default route either"
    return finding(
        "route-remote-subnet-missing",
        tunnel.view,
        tunnel.link,
        f"{tunnel.view.name} has no route to {subnet}, the pods of {peer.view.name}: {instead}",
        tunnel_route(tunnel, subnet, vtep),
    )


def _astray(evidence: Evidence, tunnel: Tunnel, peer: Tunnel, route: Route, vtep: str) -> Iterator[Finding]:
    """A unicast route to a peer's subnet: by the tunnel to its VTEP, or straight to one of the node's addresses."""
    view, subnet = tunnel.view, route.dst
    if len(route.nexthops) != 1:
        return
    hop = route.nexthops[0]
    if hop.gateway and hop.gateway in peer.view.owned:
        if (
            hop.index == tunnel.link.index
            and not hop.flags & RTNH_F_ONLINK
            and not on_link(view, hop.index, hop.gateway)
        ):
            yield finding(
                "route-onlink-missing",
                view,
                tunnel.link,
                f"{site(view).route(route)} lacks onlink, and no address or route makes {hop.gateway} a neighbour: "
                "the kernel takes such a route no second time",
                tunnel_route(tunnel, subnet, vtep),
                "warning",
            )
        if hop.gateway != vtep or hop.index == tunnel.link.index:
            return
    if hop.index == tunnel.link.index and hop.gateway == vtep:
        return
    slug = "route-wrong-device" if hop.gateway in (None, vtep) else "route-wrong-nexthop"
    if loops(evidence, view, route, subnet):
        slug = "route-loop"
    owner = _holder(evidence, hop.gateway)
    said = f"which is {owner.name}'s" if owner else "which no node holds"
    yield finding(
        slug,
        view,
        tunnel.link,
        f"{site(view).route(route)}: {subnet} is behind {vtep} of {peer.view.name}"
        + (f", not {hop.gateway}, {said}" if hop.gateway and hop.gateway != vtep else ""),
        tunnel_route(tunnel, subnet, vtep),
    )


def _holder(evidence: Evidence, address: str | None) -> NetNsView | None:
    return evidence.topology.node_of(address) if address else None


def loops(evidence: Evidence, view: NetNsView, route: Route, subnet: str) -> bool:
    """Whether the node behind a route sends the same subnet back."""
    gateway = route.nexthops[0].gateway
    other = _holder(evidence, gateway)
    if other is None or other is view:
        return False
    back = site(other).fib.best(ip.to_text(ip.prefix(subnet)[0] + (0 if is_host(subnet) else 1), ip.family_of(subnet)))
    return back is not None and any(hop.gateway in view.owned for hop in back.nexthops if hop.gateway)


def is_host(subnet: str) -> bool:
    """Whether a prefix is one address."""
    return subnet.endswith("/128" if ":" in subnet else "/32")


def on_link(view: NetNsView, index: int | None, gateway: str) -> bool:
    """Whether a gateway is a neighbour by an address or a link-scope route of the device (``fib_check_nh``)."""
    for route in view.netns.routes:
        if route.table == RT_TABLE_LOCAL or is_default(route) or not ip.contains(route.dst, gateway):
            continue
        if any(hop.index == index and hop.gateway is None for hop in route.nexthops):
            return True
    return ip.is_link_local(gateway)


def overlapping(evidence: Evidence, view: NetNsView, subnet: str) -> bool:
    """Whether a node serves a subnet that another's overlaps: then the assignment is the fault, not the route."""
    return any(overlap(own, subnet) for bridge in evidence.bridges(view) if bridge.pods for own in bridge.subnets)


def direct(evidence: Evidence, view: NetNsView, other: NetNsView) -> Iterator[Finding]:
    """host-gw: ``other`` routes this node's pods straight to it, and this node does not do the same in return."""
    if site(view).tunnels or site(other).tunnels:
        return
    for bridge in evidence.bridges(other):
        subnet = bridge.subnets[0] if bridge.subnets and bridge.pods else None
        if subnet is None or overlapping(evidence, view, subnet):
            continue
        back = [
            route
            for mine in evidence.bridges(view)
            for own in mine.subnets
            if mine.pods
            and (route := site(other).fib.exact(own)) is not None
            and any(hop.gateway in view.owned for hop in route.nexthops if hop.gateway)
        ]
        taken = site(view).fib.best(ip.to_text(ip.prefix(subnet)[0] + 1, ip.family_of(subnet)))
        if not back or (taken is not None and not is_default(taken)):
            continue
        gateway = _neighbouring_address(view, other, ip.family_of(subnet))
        yield finding(
            "route-remote-subnet-missing",
            view,
            None,
            f"{view.name} has no route to {subnet}, the pods of {other.name}, which has one in return",
            f"{ip_tool(subnet)} route replace {quote(subnet)} via {quote(gateway)}"
            if gateway
            else f"# add a route to {subnet} by way of {other.name}",
            "error" if taken is None else "warning",
        )


def _neighbouring_address(view: NetNsView, other: NetNsView, family: int) -> str | None:
    for own in other.netns.addresses:
        link = other.links.get(own.index)
        if own.family == family and own.scope == 0 and link is not None and link.kind in (None, "veth"):
            route = site(view).fib.best(own.local)
            if route is not None and any(hop.gateway is None and hop.index for hop in route.nexthops):
                return own.local
    return None


def discards(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`route-blackhole`: a route that throws away what is for pods."""
    node = view if view.is_node else evidence.node_of(view)
    for route in view.special_routes:
        if route.type not in DISCARDS or route.table == RT_TABLE_LOCAL or route.metric == 4294967295:
            continue
        whom = _discarded(evidence, node, view, route.dst)
        if whom is None:
            continue
        yield finding(
            "route-blackhole",
            view,
            None,
            f"{site(view).route(route)} {DISCARDS[route.type]} what is for {whom}",
            delete_route(route, site(view).names),
        )


def _discarded(evidence: Evidence, node: NetNsView | None, view: NetNsView, dst: str) -> str | None:
    """Whose packets a discarding prefix catches; None where it catches nobody's that is known."""
    fib = site(view).fib
    for other in evidence.topology.nodes.values():
        for bridge in evidence.bridges(other):
            if not bridge.pods:
                continue
            for subnet in bridge.subnets:
                if not overlap(dst, subnet):
                    continue
                if other is node and view.is_node:
                    pod = next((p for p in bridge.pods if any(ip.contains(dst, a) for a in p.view.owned)), None)
                    best = fib.best(next(a for a in pod.view.owned if ip.contains(dst, a))) if pod else None
                    if pod is not None and best is not None and best.type in DISCARDS:
                        return pod.view.name
                elif not _caught(fib.exact(dst), dst, subnet, fib.exact(subnet)):
                    continue
                elif (other is not node or not view.is_node) and _hits(bridge, dst, subnet):
                    return f"{subnet}, the pods of {other.name}"
    return None


def _hits(bridge: PodBridge, dst: str, subnet: str) -> bool:
    """Whether a prefix holds the whole subnet, or a pod of it."""
    if ip.prefix(dst)[1] <= ip.prefix(subnet)[1]:
        return True
    return any(ip.contains(dst, address) for pod in bridge.pods for address in pod.view.owned)


def _caught(route: Route | None, dst: str, subnet: str, better: Route | None) -> bool:
    """Whether a discarding route is the one that packets to ``subnet`` meet."""
    if route is None or route.type not in DISCARDS:
        return False
    return ip.prefix(dst)[1] >= ip.prefix(subnet)[1] or better is None
