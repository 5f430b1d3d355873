"""Findings that a trace alone shows: of the Service it asks for, of rules on its way, of the way back from outside."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from netfs.cluster import services
from netfs.cluster.netns import NetNsKey, NetNsView
from netfs.cluster.services import Match
from netfs.diagnose.checks import conntrack, network_policies, policy, proxies, survey
from netfs.diagnose.checks.masquerade import masquerades, sample, unmasqueraded
from netfs.diagnose.checks.services import of_service, port_missing
from netfs.diagnose.checks.serving import Client
from netfs.diagnose.evidence import SAMPLE, Evidence
from netfs.model import ip
from netfs.model.findings import Finding
from netfs.model.packet import Packet
from netfs.model.trace import DELIVERED, DROPPED, UNKNOWN, Hop, Trace

MASQUERADE_MARK = 0x4000
"""What kube-proxy marks packets with that it will masquerade (``--iptables-masquerade-bit`` 14)."""


def behind(known: Evidence, trace: Trace) -> Iterator[NetNsView]:
    """The first few pods that the Service of a trace may send it to, as far as they were read."""
    match, _ = asked_for(known, trace)
    if match is None:
        return
    for backend in match.view.behind(match.port)[:SAMPLE]:
        yield from known.topology.pods.get((match.view.service.namespace, backend.pod or ""), ())


def shown(known: Evidence, trace: Trace) -> Iterator[Finding]:
    """What a trace shows beside its drops."""
    yield from _service(known, trace)
    yield from _to_nobody(known, trace)
    yield from _tracked(known, trace)
    yield from _unknown_rules(trace)
    yield from _unmasqueraded(known, trace)
    yield from _marked(known, trace)
    yield from _by_mark(known, trace)
    yield from network_policies.of_trace(known, trace)


def _service(known: Evidence, trace: Trace) -> Iterator[Finding]:
    match, sent = asked_for(known, trace)
    if match is None and sent is not None and trace.forward.verdict != DELIVERED:
        yield from port_missing(known, sent)
    if match is None or sent is None:
        return
    yield from of_service(known, match.view)
    node = _entry(known, trace, match, sent)
    if node is None:
        return
    if trace.forward.verdict != DELIVERED or not _translated(trace, sent):
        yield from proxies.of_match(known, node, match, sent.dst, _client(trace, node, sent))
    if match.by == "cluster-ip":
        yield from proxies.of_node(known, node, match.view)


def _to_nobody(known: Evidence, trace: Trace) -> Iterator[Finding]:
    """`service-rules-stale` where nobody asked the API: the packet is translated to an address that no pod has."""
    if known.topology.kubernetes is not None:
        return
    for way in trace.forward.ways:
        for before, hop in pairwise(way.hops):
            view = _view(known, hop) if hop.packet.dst != before.packet.dst else None
            owner = known.nobodys(hop.packet.dst) if view is not None and view.is_node else None
            if view is not None and owner is not None:
                yield survey.to_nobody(view, hop.packet.dst, owner)


def asked_for(known: Evidence, trace: Trace) -> tuple[Match | None, Packet | None]:
    """The Service's port that the trace's packet is for, and the packet as it was sent."""
    told = known.topology.kubernetes is not None or "/svc/" in trace.destination.name
    if not told or not trace.forward.hops:
        return None, None
    sent = trace.forward.hops[0].packet
    return services.of(known.topology).match(sent.dst, sent.proto, sent.dport), sent


def _entry(known: Evidence, trace: Trace, match: Match, sent: Packet) -> NetNsView | None:
    """The node whose rules decide on the packet: the one that is addressed, else the sender's."""
    if match.by == "node-port":
        return known.topology.node_of(sent.dst)
    if trace.source.node is not None and trace.source.node in known.topology.nodes:
        return known.topology.nodes[trace.source.node]
    first = (hop.node for hop in trace.forward.hops if hop.node in known.topology.nodes)
    name = next(first, None)
    return known.topology.nodes[name] if name is not None else None


def _client(trace: Trace, node: NetNsView, sent: Packet) -> Client | None:
    """The sender as the node meets it; None: the packet never came there."""
    before = sent
    for hop in trace.forward.hops:
        if hop.netns_id == node.netns.id and hop.node == node.node.name and before.dst == sent.dst:
            link = node.links_by_name.get(hop.device)
            if before.src in node.owned or link is None:
                return Client(before.src, None)
            return Client(before.src, node.links.get(link.master or 0, link))
        before = hop.packet
    return None


def _translated(trace: Trace, sent: Packet) -> bool:
    return any(hop.packet.dst != sent.dst for way in trace.forward.ways for hop in way.hops)


def _tracked(known: Evidence, trace: Trace) -> Iterator[Finding]:
    """`conntrack-stale-nat`: an entry on the way that the packet would meet."""
    seen: set[NetNsKey] = set()
    for hop in trace.forward.hops:
        view = _view(known, hop)
        if view is not None and view.key not in seen and view.netns.connections:
            seen.add(view.key)
            before = trace.forward.hops[0].packet
            yield from conntrack.of_packet(known, view, before)


def _view(known: Evidence, hop: Hop) -> NetNsView | None:
    kernel = known.kernels.get(hop.node)
    return known.topology.views.get(NetNsKey(kernel, hop.netns_id)) if kernel is not None else None


def _unknown_rules(trace: Trace) -> Iterator[Finding]:
    """`firewall-unknown-match`: the verdict is unknown by a rule."""
    for direction in (trace.forward, trace.reverse):
        for way in direction.ways:
            last = way.hops[-1] if way.hops else None
            if way.verdict == UNKNOWN and way.unknown and last is not None and last.stage == "netfilter" and last.rules:
                yield Finding(
                    "firewall-unknown-match",
                    "info",
                    f"{last.netns}/{last.device}",
                    way.unknown,
                    "# nothing is broken by this: look at the rule",
                    node=last.node,
                    netns=last.netns,
                )


def _unmasqueraded(known: Evidence, trace: Trace) -> Iterator[Finding]:
    """`masquerade-missing`: a pod's own address leaves the cluster, and nothing comes back."""
    if trace.reverse.verdict == DELIVERED or trace.forward.verdict == DROPPED or not trace.forward.hops:
        return
    last = trace.forward.hops[-1].packet
    if last.src != trace.source.ip or _inside(known, last.dst):
        return
    family = last.family
    senders = [port.view for port in known.topology.owners.get(last.src, ()) if port.view.pod is not None]
    node = known.node_of(senders[0]) if len(senders) == 1 else None
    pod = sample(known, node, family) if node is not None else None
    if node is None or pod is None or not ip.contains(pod.subnet, last.src) or masquerades(known, node, family):
        return
    yield unmasqueraded(
        known,
        node,
        family,
        f"the packet leaves {node.name} for {last.dst} with the pod's own address {last.src}: "
        "no answer from outside the cluster finds the way back",
        "error" if trace.reverse.verdict == DROPPED else "warning",
    )


def _marked(known: Evidence, trace: Trace) -> Iterator[Finding]:
    """`masquerade-missing`: kube-proxy marked the packet for it, and its node sent it on from the client's address."""
    if trace.verdict == DELIVERED or asked_for(known, trace)[0] is None:
        return
    for way in trace.forward.ways:
        for before, hop in pairwise(way.hops):
            view = _view(known, hop) if hop.packet.dst != before.packet.dst else None
            if view is None or not view.is_node or not hop.packet.mark & MASQUERADE_MARK:
                continue
            here = [each.packet for each in way.hops if (each.node, each.netns_id) == (hop.node, hop.netns_id)]
            last = way.hops[-1]
            if (last.node, last.netns_id) == (hop.node, hop.netns_id):
                continue
            if here[-1].src == before.packet.src and here[-1].dst == hop.packet.dst:
                yield proxies.unmasqueraded(view, before.packet, hop.packet.dst)


def _by_mark(known: Evidence, trace: Trace) -> Iterator[Finding]:
    """`rule-shadows-main` of a lost packet that a rule of the firewall had marked for a table of its own."""
    for each in (trace.forward, trace.reverse):
        for way in each.ways if each.verdict != DELIVERED else ():
            bare = [hop for hop in way.hops if hop.packet.mark and hop.packet.outer is None]
            for hop in {(hop.node, hop.netns_id, hop.packet.mark, hop.packet.dst): hop for hop in bare}.values():
                view = _view(known, hop)
                if view is not None:
                    yield from policy.of_mark(view, hop.packet)


def _inside(known: Evidence, address: str) -> bool:
    """Whether an address is a node's, a pod's or a Service's."""
    owners = known.topology.owners.get(address, ())
    if any(port.view.pod is not None or port.view.node.role == "node" for port in owners):
        return True
    return known.topology.kubernetes is not None and bool(services.of(known.topology).holding(address))
