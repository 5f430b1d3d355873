"""Which checks are made of what, in which order findings are told, and which are only consequences.

a node   its devices, bridges, tunnels, switches, filters
a pod    its device and the way to its node's bridge
a pair   what one node holds of another, both ways
a path   what the trace itself shows
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from netfs.cluster.netns import NetNsView
from netfs.diagnose.checks import (
    addresses,
    asymmetry,
    bridge,
    conntrack,
    filters,
    firewalls,
    links,
    masquerade,
    neighbours,
    policy,
    routes,
    sharing,
    sizes,
    strays,
    sysctls,
    vxlan,
)
from netfs.diagnose.evidence import Evidence
from netfs.diagnose.site import Tunnel, site
from netfs.model.findings import Finding

Check = Callable[[Evidence, NetNsView], Iterator[Finding]]
PairCheck = Callable[[Evidence, Tunnel, Tunnel], Iterator[Finding]]

OF_NODE: tuple[Check, ...] = (
    links.underlay_nics,
    links.bridges_down,
    links.ports_without_peer,
    addresses.node_addresses,
    sharing.overlaps_underlay,
    bridge.gateway,
    bridge.stale_entries,
    bridge.hairpins,
    vxlan.devices,
    routes.discards,
    strays.host_routes,
    strays.next_hops,
    strays.node_sources,
    policy.rules,
    neighbours.of_node,
    neighbours.table,
    sysctls.forwarding,
    sysctls.forwarding6,
    sysctls.ipv6_disabled_node,
    sysctls.bridge_netfilter,
    sysctls.arp_of_node,
    filters.sizes,
    firewalls.forward_policy,
    firewalls.two_backends,
    masquerade.missing,
    masquerade.between_pods,
    conntrack.table,
    sizes.underlay,
    sizes.nodes,
)
OF_POD: tuple[Check, ...] = (
    links.pod_attachment,
    addresses.pod_addresses,
    bridge.pod_port,
    bridge.reachable_gateway,
    routes.pod_default,
    routes.discards,
    strays.pod_sources,
    policy.rules,
    neighbours.of_pod,
    sysctls.ipv6_disabled_pod,
    sysctls.arp_of_pod,
    conntrack.table,
    sizes.pods,
)
OF_TUNNELS: tuple[PairCheck, ...] = (
    vxlan.headers,
    vxlan.macs,
    vxlan.entries,
    neighbours.of_peer,
    routes.to_peer,
    asymmetry.reverse_path,
    filters.outer,
)

CAUSES: tuple[str, ...] = (
    "veth-peer-missing",
    "pod-link-down",
    "veth-host-down",
    "underlay-link-down",
    "bridge-down",
    "vxlan-device-missing",
    "vxlan-device-down",
    "mac-duplicate",
    "address-duplicate",
    "accept-local-needed",
    "pod-cidr-overlap",
    "ipv6-disabled",
    "bridge-port-detached",
    "bridge-port-wrong",
    "bridge-gateway-missing",
    "address-missing",
    "address-outside-pod-cidr",
    "prefix-wrong",
    "vxlan-vni-mismatch",
    "vxlan-port-mismatch",
    "vxlan-lower-device-wrong",
    "vxlan-local-wrong",
    "vxlan-vtep-mac-changed",
    "vxlan-learning-poisoned",
    "vxlan-fdb-wrong-dst",
    "vxlan-fdb-missing",
    "rule-shadows-main",
    "route-loop",
    "route-blackhole",
    "route-stale-pod",
    "route-wrong-device",
    "route-wrong-nexthop",
    "route-remote-subnet-missing",
    "route-default-missing",
    "route-asymmetric",
    "martian-source",
    "source-address-wrong",
    "vxlan-outer-blocked",
    "service-selector-mismatch",
    "service-no-endpoints",
    "service-port-missing",
    "service-rules-missing",
    "service-rules-stale",
    "service-local-policy-no-endpoint",
    "nodeport-not-local-address",
    "conntrack-full",
    "conntrack-stale-nat",
    "conntrack-invalid-drop",
    "networkpolicy-drops",
    "firewall-forward-drop",
    "firewall-rule-drops",
    "masquerade-missing",
    "bridge-nf-off",
    "service-target-port-closed",
    "pmtu-icmp-blocked",
    "vxlan-df-too-big",
    "mtu-underlay-mismatch",
    "mtu-overlay-too-big",
    "mtu-mismatch-veth",
)
"""What is told first among findings of one severity: causes before what follows from them."""
_RANK = {slug: rank for rank, slug in enumerate(CAUSES)}
_SEVERITY = {"error": 0, "warning": 1, "info": 2}

SILENCED: dict[str, frozenset[str]] = {
    "underlay-link-down": frozenset({"vxlan-lower-device-wrong", "vxlan-local-wrong", "neighbour-failed"}),
    "bridge-down": frozenset(
        {"bridge-port-blocked", "route-wrong-device", "address-missing", "ipv6-disabled", "bridge-gateway-missing"}
    ),
    "pod-link-down": frozenset({"route-default-missing", "address-missing", "arp-ignored"}),
    "address-missing": frozenset({"route-default-missing"}),
    "address-outside-pod-cidr": frozenset({"route-default-missing"}),
    "ipv6-disabled": frozenset({"bridge-gateway-missing", "address-missing"}),
    "vxlan-df-too-big": frozenset({"mtu-overlay-too-big", "mtu-underlay-mismatch"}),
    "mtu-underlay-mismatch": frozenset({"mtu-overlay-too-big"}),
    "firewall-forward-drop": frozenset({"pmtu-icmp-blocked"}),
}
"""Consequences, by their cause: not told of the same namespace when the cause is."""


def of_view(evidence: Evidence, view: NetNsView) -> tuple[Finding, ...]:
    """The findings of one node or pod alone; found once."""
    known = site(view)
    if known.findings is None:
        known.findings = tuple(_of_view(evidence, view))
    return known.findings


def _of_view(evidence: Evidence, view: NetNsView) -> Iterator[Finding]:
    if view.node.role == "fabric":
        yield from filters.between_nodes(evidence, view)
    elif view.is_node:
        for check in OF_NODE:
            yield from check(evidence, view)
        for each in evidence.bridges(view):
            yield from addresses.duplicates(evidence, each)
    elif view.pod is not None:
        for check in OF_POD:
            yield from check(evidence, view)


def of_pair(evidence: Evidence, one: NetNsView, other: NetNsView) -> tuple[Finding, ...]:
    """What node ``one`` holds of node ``other``; found once."""
    pairs = site(one).pairs
    found = pairs.get(other.key)
    if found is None:
        found = pairs[other.key] = tuple(_of_pair(evidence, one, other))
    return found


def _of_pair(evidence: Evidence, one: NetNsView, other: NetNsView) -> Iterator[Finding]:
    for tunnel in site(one).tunnels:
        peer = evidence.counterpart(tunnel, other)
        if peer is None:
            yield from vxlan.missing(evidence, tunnel, other)
        elif tunnel.stands and peer.stands and evidence.paired(tunnel, peer):
            for check in OF_TUNNELS:
                yield from check(evidence, tunnel, peer)
    yield from routes.direct(evidence, one, other)
    yield from sharing.overlapping_subnets(evidence, one, other)


def told(findings: Iterable[Finding], first: str | None = None) -> tuple[Finding, ...]:
    """Findings without repetitions and consequences; errors first, ``first`` before all, causes before effects."""
    once: dict[tuple[str, str, str], Finding] = {}
    for finding in findings:
        once.setdefault((finding.slug, finding.node, finding.object), finding)
    silent = {
        (slug, finding.node, finding.netns) for finding in once.values() for slug in SILENCED.get(finding.slug, ())
    }
    kept = [f for f in once.values() if (f.slug, f.node, f.netns) not in silent]
    kept.sort(
        key=lambda f: (_SEVERITY[f.severity], f.slug != first, _RANK.get(f.slug, len(_RANK)), f.node, f.object, f.slug)
    )
    return tuple(kept)
