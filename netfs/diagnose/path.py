"""The findings of a trace: what is wrong with the namespaces it touches or ought to touch, and what it shows itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from netfs.cluster.netns import NetNsKey, NetNsView
from netfs.cluster.topology import Topology
from netfs.diagnose import dropped, traced
from netfs.diagnose.checks.sharing import shared_addresses
from netfs.diagnose.evidence import Evidence, evidence
from netfs.diagnose.examination import of_pair, of_view, told
from netfs.model.findings import Finding
from netfs.model.trace import Direction, Drop, EndpointRef, Hop, Trace

SHOWN_BY_DROPS = frozenset(
    {
        "accept-local-needed",
        "bridge-hairpin-off",
        "bridge-nf-off",
        "conntrack-full",
        "firewall-forward-drop",
        "firewall-rule-drops",
        "forwarding-off",
        "ipv6-forwarding-off",
        "martian-source",
        "mtu-mismatch-veth",
        "mtu-overlay-too-big",
        "mtu-underlay-mismatch",
        "pmtu-icmp-blocked",
        "rp-filter-strict",
        "underlay-drops-vxlan",
        "vxlan-df-too-big",
        "vxlan-outer-blocked",
    }
)
"""Faults that a drop proves by itself, whatever else is wrong; other drops may be consequences."""
SLUG_OF_REASON = {
    "BRIDGE_INGRESS_STP_STATE": "bridge-port-blocked",
    "IPV6DISABLED": "ipv6-disabled",
    "IP_INVALID_SOURCE": "martian-source",
    "IP_LOCAL_SOURCE": "accept-local-needed",
    "IP_RPFILTER": "rp-filter-strict",
    "NEIGH_FAILED": "neighbour-failed",
    "VXLAN_VNI_NOT_FOUND": "vxlan-vni-mismatch",
}
"""The fault that a kernel's reason names, where the drop itself names none."""
SAME_EVENT = {
    "accept-local-needed": "masquerade-missing",
    "rp-filter-strict": "route-asymmetric",
    "mtu-overlay-too-big": "mtu-underlay-mismatch",
    "mtu-mismatch-veth": "mtu-underlay-mismatch",
}
"""A drop's slug, and the deeper cause that makes it a repetition."""


def examine_path(topology: Topology, trace: Trace) -> tuple[Finding, ...]:
    """The findings that concern a trace: the one its drop is evidence of first, then causes before effects."""
    known = evidence(topology)
    views = _views(known, trace)
    state = [*_of_state(known, trace, views), *traced.shown(known, trace)]
    drops = [way.drop for way in trace.ways if way.drop is not None]
    shown = [finding for drop in drops if (finding := _of_drop(known, trace, drop, state)) is not None]
    unseen = [finding for each in (trace.forward, trace.reverse) for finding in _unseen(each)]
    first = shown[0].slug if shown else next((slug for drop in drops if (slug := _slug(drop))), None)
    return told([*shown, *state, *unseen], first)


def _views(known: Evidence, trace: Trace) -> list[NetNsView]:
    """The namespaces that the packet was in, and those of its endpoints and their nodes."""
    found: dict[NetNsKey, NetNsView] = {}
    spaces: set[tuple[str, int]] = set()
    kernels = known.kernels
    for direction in (trace.forward, trace.reverse):
        for way in direction.ways:
            spaces.update((hop.node, hop.netns_id) for hop in way.hops)
    for name, netns in spaces:
        kernel = kernels.get(name)
        view = known.topology.views.get(NetNsKey(kernel, netns)) if kernel else None
        if view is not None:
            found[view.key] = view
    for endpoint in (trace.source, trace.destination):
        for view in _endpoint(known, endpoint):
            found[view.key] = view
    for view in traced.behind(known, trace):
        found[view.key] = view
    return list(found.values())


def _endpoint(known: Evidence, endpoint: EndpointRef) -> Iterator[NetNsView]:
    space, _, name = endpoint.name.rpartition("/")
    owners = [port.view for port in known.topology.owners.get(endpoint.ip, ()) if port.view.node.role == "node"]
    for view in owners + known.topology.pods.get((space, name), []):
        yield view
        node = known.node_of(view)
        if node is not None:
            yield node
    if endpoint.node in known.topology.nodes:
        yield known.topology.nodes[endpoint.node]


def _of_state(known: Evidence, trace: Trace, views: list[NetNsView]) -> Iterator[Finding]:
    for view in views:
        yield from of_view(known, view)
    nodes = [view for view in views if view.is_node and view.node.role == "node"]
    for one in nodes:
        for other in nodes:
            if one is not other:
                yield from of_pair(known, one, other)
    yield from shared_addresses(known, dict.fromkeys((trace.source.ip, trace.destination.ip)))


def _slug(drop: Drop) -> str | None:
    return drop.slug or SLUG_OF_REASON.get(drop.reason)


def _of_drop(known: Evidence, trace: Trace, drop: Drop, state: list[Finding]) -> Finding | None:
    """The finding a drop is evidence of; None where state has found it, or something it may follow from."""
    slug = _slug(drop)
    if slug is None:
        return None
    if slug == "route-loop" and (shortened := dropped.shortened(trace, drop)) is not None:
        return shortened
    really = dropped.of_rule(known, trace, drop, state)
    if really is not None and not isinstance(really, str):
        return really
    if really == "":
        return None
    errors = {finding.slug for finding in state if finding.severity == "error"}
    if slug in errors or (SAME_EVENT.get(slug) in errors) or (errors and slug not in SHOWN_BY_DROPS):
        return None
    lesser = next((finding for finding in state if finding.slug == slug and finding.node == drop.node), None)
    if lesser is not None:
        return replace(lesser, severity="error", evidence=f"{lesser.evidence}; {drop.why}")
    fix = drop.fix or f"# netfs explain {slug}"
    where = f"{drop.netns}/{drop.device}" if drop.device else drop.netns
    why = f"{drop.why}; {really}" if really else drop.why
    return Finding(slug, "error", where, why, fix, node=drop.node, netns=drop.netns)


def _unseen(direction: Direction) -> Iterator[Finding]:
    """`underlay-drops-vxlan`: a tunnelled probe left one node's NIC and was not seen on the other's."""
    vanished = _vanished(direction)
    if vanished is None:
        return
    last, hop = vanished
    outer = hop.packet.outer
    assert outer is not None
    yield Finding(
        "underlay-drops-vxlan",
        "error",
        f"{last.netns}/{last.device}",
        f"the probe left {last.node}/{last.device} for {outer.dst} on UDP port {outer.dport}, "
        f"and never came to {hop.node}/{hop.device}",
        f"# let UDP port {outer.dport} pass between {outer.src} and {outer.dst}: security group, "
        "firewall, or another user of that port on the way",
        node=last.node,
        netns=last.netns,
    )


def _vanished(direction: Direction) -> tuple[Hop, Hop] | None:
    """The last hop at which a tunnelled probe was seen, and the next one, of another node, at which it was not."""
    last: Hop | None = None
    for hop in direction.hops:
        if hop.observed is None or hop.packet.outer is None:
            continue
        if hop.observed.seen:
            last = hop
        elif last is not None:
            return (last, hop) if last.node != hop.node else None
    return None


def lost_between(trace: Trace) -> tuple[str, str] | None:
    """The two nodes between which the tunnelled probe of a live trace vanished; None: it did not, or not there."""
    for direction in (trace.forward, trace.reverse):
        if (vanished := _vanished(direction)) is not None:
            return vanished[0].node, vanished[1].node
    return None
