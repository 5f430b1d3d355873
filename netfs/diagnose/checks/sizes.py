"""Group M: sizes that do not fit into one another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from shlex import quote

from netfs.cluster.netns import NetNsView
from netfs.diagnose.checks.links import underlay_links
from netfs.diagnose.checks.vxlan import lower_device
from netfs.diagnose.commands import finding
from netfs.diagnose.evidence import Evidence
from netfs.diagnose.site import PodBridge, Tunnel, network, site
from netfs.model.findings import Finding
from netfs.model.link import Link

OVERHEAD = {4: 50, 6: 70}
"""What VXLAN adds, by the family of the outer packet: Ethernet 14, VXLAN 8, UDP 8, IP 20 or 40 (RFC 7348)."""


def room(view: NetNsView, tunnel: Tunnel) -> int | None:
    """The largest inner packet that fits under a tunnel's lower device; None where that is not known."""
    vxlan = tunnel.link.vxlan
    lower = view.links.get(vxlan.lower) if vxlan and vxlan.lower else None
    return None if lower is None else lower.mtu - OVERHEAD[tunnel.outer]


def nodes(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`mtu-overlay-too-big` and `vxlan-df-too-big` of a node's tunnels and pod bridges."""
    for tunnel in site(view).tunnels:
        fits, vxlan = room(view, tunnel), tunnel.link.vxlan
        if fits is None or vxlan is None or tunnel.link.mtu <= fits:
            continue
        if vxlan.df:
            yield _too_big_with_df(evidence, tunnel, fits)
        elif not _unfit(evidence, tunnel):
            yield finding(
                "mtu-overlay-too-big",
                view,
                tunnel.link,
                f"{tunnel.link.name} has MTU {tunnel.link.mtu}, but only {fits} bytes fit into a tunnel under MTU "
                f"{fits + OVERHEAD[tunnel.outer]}",
                f"ip link set {quote(tunnel.link.name)} mtu {fits}",
            )
    limit = _limit(evidence, view)
    for bridge in evidence.bridges(view) if limit is not None and evidence.clustered(view) else ():
        if not bridge.pods or limit is None or bridge.link.mtu <= limit:
            continue
        ports = [port for port in view.ports.get(bridge.link.index, ()) if port.mtu > limit]
        yield finding(
            "mtu-overlay-too-big",
            view,
            bridge.link,
            f"{bridge.link.name} has MTU {bridge.link.mtu}, but only {limit} bytes fit into the tunnels",
            " && ".join(f"ip link set {quote(link.name)} mtu {limit}" for link in [bridge.link, *ports]),
            "warning",
        )


def _too_big_with_df(evidence: Evidence, tunnel: Tunnel, fits: int) -> Finding:
    """Where the NIC itself is smaller than its segment, that is mended; else the tunnel's MTU is."""
    view, vxlan = tunnel.view, tunnel.link.vxlan
    lower = view.links.get(vxlan.lower) if vxlan and vxlan.lower else None
    segment = segment_mtu(evidence, view, lower) if lower is not None else None
    if lower is not None and segment is not None and segment - OVERHEAD[tunnel.outer] >= tunnel.link.mtu:
        fix = f"ip link set {quote(lower.name)} mtu {segment}"
    else:
        big = [b.link for b in evidence.bridges(view) if b.pods and b.link.mtu > fits]
        fix = " && ".join(f"ip link set {quote(link.name)} mtu {fits}" for link in [tunnel.link, *big])
    return finding(
        "vxlan-df-too-big",
        view,
        tunnel.link,
        f"{tunnel.link.name} has MTU {tunnel.link.mtu} and sets Don't Fragment, but only {fits} bytes fit into a "
        f"tunnel under MTU {fits + OVERHEAD[tunnel.outer]}",
        fix,
    )


def pods(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`mtu-mismatch-veth`, and `mtu-overlay-too-big` of a pod whose node knows better."""
    for attached in evidence.attachments(view):
        link, host = attached.link, attached.host
        if host is None:
            continue
        if link.mtu != host.link.mtu:
            bridge = attached.bridge
            right = bridge.link.mtu if bridge and bridge.link.mtu in (link.mtu, host.link.mtu) else None
            right = right or min(link.mtu, host.link.mtu)
            where, wrong = (host.view, host.link) if link.mtu == right else (view, link)
            yield finding(
                "mtu-mismatch-veth",
                where,
                wrong,
                f"{view.name}/{link.name} has MTU {link.mtu}, {host.view.name}/{host.link.name}, its other end, "
                f"{host.link.mtu}: frames above the smaller are dropped",
                f"ip link set {quote(wrong.name)} mtu {right}",
                "error" if link.mtu > host.link.mtu or _fed_more(attached.bridge, link.mtu) else "warning",
            )
            continue
        if attached.bridge is None or not evidence.clustered(host.view):
            continue
        limit = _limit(evidence, host.view)
        if limit is not None and link.mtu > limit:
            yield finding(
                "mtu-overlay-too-big",
                view,
                link,
                f"{link.name} has MTU {link.mtu}, but {limit} bytes fit into the tunnels of {host.view.name}",
                f"ip link set {quote(link.name)} mtu {limit}",
            )


def underlay(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    """`mtu-underlay-mismatch`."""
    for link in underlay_links(evidence, view):
        right = segment_mtu(evidence, view, link)
        if right is None or right == link.mtu:
            continue
        needed = [t.link.mtu + OVERHEAD[t.outer] for t in site(view).tunnels if t.link.vxlan]
        lossy = link.mtu < right and any(size > link.mtu for size in needed)
        yield finding(
            "mtu-underlay-mismatch",
            view,
            link,
            f"{link.name} has MTU {link.mtu}, the other devices of its segment {right}",
            f"ip link set {quote(link.name)} mtu {right}",
            "error" if lossy else "warning",
        )


def segment_mtu(evidence: Evidence, view: NetNsView, link: Link) -> int | None:
    """The MTU of a NIC's segment: the majority's; with one against one, what this node's tunnels were made for."""
    subnets = {network(a.local, a.prefixlen) for a in view.addresses.get(link.index, ()) if a.scope == 0}
    votes: list[int] = []
    for neighbour in evidence.sample(view):
        votes += [nic.link.mtu for nic in site(neighbour).nics if not subnets.isdisjoint(nic.subnets)]
    peer = evidence.topology.peer(view, link)
    if peer is not None:
        votes.append(peer.link.mtu)
    others = [mtu for mtu in votes if mtu != link.mtu]
    if not others:
        return link.mtu if votes else None
    other, count = Counter(others).most_common(1)[0]
    mine = 1 + votes.count(link.mtu)
    if count != mine:
        return other if count > mine else link.mtu
    tunnels = [tunnel for tunnel in site(view).tunnels if tunnel.link.vxlan and tunnel.link.vxlan.lower == link.index]
    return link.mtu if any(t.link.mtu + OVERHEAD[t.outer] == link.mtu for t in tunnels) else other


def _limit(evidence: Evidence, view: NetNsView) -> int | None:
    """The largest packet that fits into every tunnel of a node; None where none says, or one is itself too big."""
    if "diagnose.limit" not in view.compiled:
        fits = [
            size
            for tunnel in site(view).tunnels
            if (size := room(view, tunnel)) is not None and evidence.some_peers(tunnel) and not _unfit(evidence, tunnel)
        ]
        own = (tunnel.link.mtu > (room(view, tunnel) or tunnel.link.mtu) for tunnel in site(view).tunnels)
        view.compiled["diagnose.limit"] = None if any(own) else min(fits, default=None)
    limit: int | None = view.compiled["diagnose.limit"]
    return limit


def _unfit(evidence: Evidence, tunnel: Tunnel) -> bool:
    """Whether a tunnel's lower device is itself at fault: then its MTU says nothing about the tunnel's."""
    view, vxlan = tunnel.view, tunnel.link.vxlan
    lower = view.links.get(vxlan.lower) if vxlan and vxlan.lower else None
    if lower is None or next(lower_device(evidence, tunnel), None) is not None:
        return True
    return segment_mtu(evidence, view, lower) not in (None, lower.mtu)


def _fed_more(bridge: PodBridge | None, mtu: int) -> bool:
    """Whether a pod's bridge lets frames through that are larger than the pod takes."""
    return bridge is None or bridge.link.mtu > mtu
