"""`rp-filter-strict` and `route-asymmetric`: packets arrive by one device, the way back is another.

``__fib_validate_source`` (net/ipv4/fib_frontend.c): with rp_filter 1 (the larger of conf/all and the ingress
device's) the best route back to the source must leave by the device the packet came in on.
"""

from __future__ import annotations

from collections.abc import Iterator

from netfs.cluster.netns import NetNsView
from netfs.diagnose.commands import finding, sysctl, tunnel_route
from netfs.diagnose.evidence import Evidence
from netfs.diagnose.fib import is_default
from netfs.diagnose.site import Tunnel, site
from netfs.model import ip
from netfs.model.findings import Finding
from netfs.model.link import Link
from netfs.model.route import Route


def reverse_path(evidence: Evidence, tunnel: Tunnel, peer: Tunnel) -> Iterator[Finding]:
    """What ``peer``'s pods send to ``tunnel``'s node: by which device it arrives, and by which the answer leaves."""
    view = tunnel.view
    for subnet in evidence.subnets(peer):
        for own in evidence.subnets(tunnel):
            if ip.family_of(subnet) != 4 or ip.family_of(own) != 4:
                continue
            sent, back = _best(peer.view, own), _best(view, subnet)
            if sent is None or back is None:
                continue
            arrives = _arrival(tunnel, peer, sent)
            if arrives is None or any(hop.index == arrives.index for hop in back.nexthops):
                continue
            if max(view.sysctl("net.ipv4.conf.all.rp_filter") or 0, arrives.ipv4.get("rp_filter", 0)) != 1:
                continue
            yield _strict(evidence, tunnel, peer, subnet, own, arrives, sent, back)


def _best(view: NetNsView, subnet: str) -> Route | None:
    route = site(view).fib.best(ip.to_text(ip.prefix(subnet)[0] + 1, 4))
    known = route is not None and route.type == "unicast" and len(route.nexthops) == 1 and not is_default(route)
    return route if known else None


def _arrival(tunnel: Tunnel, peer: Tunnel, sent: Route) -> Link | None:
    """The device of ``tunnel``'s node by which the peer's packets come: its tunnel, or the owner of the next hop."""
    hop = sent.nexthops[0]
    if hop.index == peer.link.index:
        return tunnel.link
    own = tunnel.view.owned.get(hop.gateway or "")
    link = tunnel.view.links.get(own.index) if own else None
    return link if link is not None and link.kind in (None, "veth") else None


def _strict(
    evidence: Evidence,
    tunnel: Tunnel,
    peer: Tunnel,
    subnet: str,
    own: str,
    arrives: Link,
    sent: Route,
    back: Route,
) -> Finding:
    text = (
        f"packets of {peer.view.name} ({subnet}) arrive on {tunnel.view.name}/{arrives.name}, where rp_filter = 1, "
        f"but the way back is {site(tunnel.view).route(back)}"
    )
    vtep = evidence.vtep(tunnel, 4)
    if arrives.index != tunnel.link.index and back.nexthops[0].index == tunnel.link.index and vtep:
        return finding(
            "route-asymmetric",
            peer.view,
            site(peer.view).names.get(sent.nexthops[0].index or 0),
            f"{text}; {peer.view.name} sends by {site(peer.view).route(sent)}",
            tunnel_route(peer, own, vtep),
        )
    return finding("rp-filter-strict", tunnel.view, arrives, text, sysctl(4, arrives.name, "rp_filter", 2))
