"""Group P: what a node's rules do with a Service's packets, held against the Service's endpoints.

The rules are asked, not read: a packet as a client on the node would send it goes through prerouting, and the
addresses that come out are the backends this node knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from shlex import quote
from typing import NamedTuple

from netfs.cluster import services
from netfs.cluster.netns import NetNsView
from netfs.cluster.services import Backend, Match, ServiceView
from netfs.datapath.ipvs import Table, table
from netfs.diagnose.checks.masquerade import sample
from netfs.diagnose.checks.services import usable
from netfs.diagnose.commands import finding, some
from netfs.diagnose.evidence import SAMPLE, Evidence
from netfs.diagnose.rules import LOST, judged_elsewhere, met, text_of, ways
from netfs.model import ip
from netfs.model.kubernetes import ServicePort
from netfs.model.link import Link
from netfs.model.packet import Packet
from netfs.model.trace import Finding


@dataclass(frozen=True, slots=True)
class Sent:
    """What becomes of a packet to a Service's address on a node."""

    targets: frozenset[tuple[str, int | None]]
    """Where it may be sent to."""
    left: bool
    """It may leave prerouting as it came."""
    unknown: bool


class Client(NamedTuple):
    """Who sends a packet to a Service, as the node meets it."""

    address: str
    iif: Link | None
    """None: the node itself."""


def asked(
    evidence: Evidence, view: NetNsView, address: str, port: ServicePort, client: Client | None = None
) -> Sent | None:
    """What a node's rules do with a packet for an address and port; None: its rules are not all known.

    Without a client it is one of the node's pods that sends it, else the node.
    """
    firewall = view.netns.firewall
    if (firewall is None and view.gaps) or judged_elsewhere(view):
        return None
    if firewall is not None and firewall.ipvs:
        return _by_ipvs(view, address, port)
    if firewall is None:
        return Sent(frozenset(), left=True, unknown=False)
    client = client or _client(evidence, view, ip.family_of(address))
    if client is None:
        return None
    flags = "syn" if port.protocol == "tcp" else None
    packet = Packet(client.address, address, port.protocol, 40000, port.port, size=60, tcp_flags=flags)
    answer = met(view, "prerouting" if client.iif is not None else "output", packet, iif=client.iif)
    if answer is None:
        return None
    possible = ways(answer)
    changed = {(way.packet.dst, way.packet.dport) for way in possible if way.verdict not in LOST}
    before = (packet.dst, packet.dport)
    unknown = any(way.verdict == "unknown" for way in possible)
    return Sent(frozenset(changed - {before}), before in changed and not unknown, unknown)


def _client(evidence: Evidence, view: NetNsView, family: int) -> Client | None:
    pod = sample(evidence, view, family)
    if pod is not None:
        return Client(pod.address, pod.bridge.link)
    address = view.address_of(family)
    return Client(address, None) if address is not None else None


def _by_ipvs(view: NetNsView, address: str, port: ServicePort) -> Sent | None:
    """The same of a node whose kube-proxy runs in IPVS mode."""
    known = table(view)
    if not isinstance(known, Table):
        return None
    service = known.find(port.protocol, address, port.port, 0)
    servers = service.shares() if service is not None else []
    return Sent(frozenset((server.address, server.port) for server, _ in servers), service is None, False)


def proxied(view: ServiceView) -> bool:
    """Whether kube-proxy is to serve it."""
    return not view.headless and view.service.type != "ExternalName"


def of_node(evidence: Evidence, node: NetNsView, view: ServiceView) -> tuple[Finding, ...]:
    """What is wrong with a node's rules for one Service; found once."""
    known: dict[tuple[str, str], tuple[Finding, ...]] = node.compiled.setdefault("diagnose.proxies", {})
    if view.key not in known:
        known[view.key] = tuple(_of_node(evidence, node, view)) if proxied(view) else ()
    return known[view.key]


def _of_node(evidence: Evidence, node: NetNsView, view: ServiceView) -> Iterator[Finding]:
    for port in view.service.ports:
        backends = [each for each in usable(view) if _behind(port, each)]
        for address in view.service.cluster_ips if backends else ():
            yield from _of_port(evidence, node, view, port, address, backends)


def _behind(port: ServicePort, backend: Backend) -> bool:
    return (backend.port_name, backend.protocol) == (port.name, port.protocol)


def _of_port(
    evidence: Evidence, node: NetNsView, view: ServiceView, port: ServicePort, address: str, backends: list[Backend]
) -> Iterator[Finding]:
    family = ip.family_of(address)
    backends = [each for each in backends if ip.family_of(each.address) == family]
    sent = asked(evidence, node, address, port)
    if sent is None or not backends:
        return
    if view.source == services.API:
        yield from _stale(evidence, node, view, port, address, sent)
    if view.service.internal_traffic_policy == "Local" and not _local(backends, node):
        if sample(evidence, node, family) is not None:
            yield no_local(node, view, f"{address}:{port.port}", backends, "warning")
    elif sent.left and not sent.targets and _expected(evidence, node, view, address, port):
        if _owed(node, view, address):
            yield rules_missing(node, view, f"{address}:{port.port}", backends)
    elif sent.targets and port.node_port is not None and view.source == services.API:
        yield from _of_node_port(evidence, node, view, port, family, backends)


def _owed(node: NetNsView, view: ServiceView, address: str) -> bool:
    """Whether a node's rules are to translate an address. Where only rules tell of the Service, nobody knows what it
    asks for: rules that name the address and do something else with it are then believed.
    """
    return view.source == services.API or address not in text_of(node)


def _of_node_port(
    evidence: Evidence, node: NetNsView, view: ServiceView, port: ServicePort, family: int, backends: list[Backend]
) -> Iterator[Finding]:
    """A NodePort that none of the node's addresses serves, though its cluster IP is served."""
    assert port.node_port is not None
    if view.service.external_traffic_policy == "Local" and not _local(backends, node):
        return
    asking = ServicePort(port.node_port, port.protocol, port.name)
    answers = [asked(evidence, node, address, asking) for address in _own(node, family)]
    if answers and all(answer is not None and answer.left and not answer.targets for answer in answers):
        yield rules_missing(node, view, f"NodePort {port.node_port}", backends)


def _local(backends: list[Backend], node: NetNsView) -> bool:
    return any(each.node == node.node.name for each in backends)


def no_local(node: NetNsView, view: ServiceView, target: str, backends: list[Backend], severity: str) -> Finding:
    """`service-local-policy-no-endpoint` of one node."""
    elsewhere = sorted({each.node or each.address for each in backends})
    return finding(
        "service-local-policy-no-endpoint",
        node,
        view.name,
        f"the traffic policy of {view.name} is Local, and {node.name} has no endpoint of it: what it gets for "
        f"{target} is dropped; endpoints are on {some(elsewhere)}",
        f"# set the traffic policy of {view.name} to Cluster, or run a pod of it on {node.name}",
        severity,
    )


def rules_missing(node: NetNsView, view: ServiceView, target: str, backends: list[Backend]) -> Finding:
    """`service-rules-missing` of one node."""
    count = len({each.address for each in backends})
    return finding(
        "service-rules-missing",
        node,
        view.name,
        f"no rule of {node.name} translates {target} of {view.name}, which has {count} ready "
        f"endpoint{'s' if count > 1 else ''}: its packets are routed like any other",
        restart(node),
    )


def restart(node: NetNsView) -> str:
    """How kube-proxy is made to write its rules anew."""
    name = quote(node.node.name)
    return (
        f"# restart kube-proxy on {node.node.name}: "
        f"kubectl -n kube-system delete pod -l k8s-app=kube-proxy --field-selector spec.nodeName={name}"
    )


def _expected(evidence: Evidence, node: NetNsView, view: ServiceView, address: str, port: ServicePort) -> bool:
    """Whether rules are what serves Services here: another node has them for this one, or this node for another."""
    for other in evidence.sample(node):
        there = asked(evidence, other, address, port)
        if there is not None and there.targets:
            return True
    known = (each for each in services.of(evidence.topology).all if proxied(each) and each is not view)
    for other_view in islice(known, SAMPLE):
        for other_port in other_view.service.ports[:1]:
            here = asked(evidence, node, other_view.service.cluster_ips[0], other_port)
            if here is not None and here.targets:
                return True
    return False


def _stale(
    evidence: Evidence, node: NetNsView, view: ServiceView, port: ServicePort, address: str, sent: Sent
) -> Iterator[Finding]:
    behind = [each for each in view.backends if _behind(port, each)]
    known = {(each.address, each.port) for each in behind}
    anywhere = {each for each, number in known if number is None}
    living = {each.address for each in behind if (view.service.namespace, each.pod) in evidence.topology.pods}
    targets = sorted(sent.targets, key=str)
    wrong = [each for each in targets if each not in known and each[0] not in anywhere]
    gone = [each for each in targets if each not in wrong and each[0] not in living and evidence.nobodys(each[0])]
    for found, why in ((wrong, "which is none of its endpoints"), (gone, "which no pod has")):
        if found:
            where = some([f"{target}:{number}" for target, number in found])
            yield finding(
                "service-rules-stale",
                node,
                view.name,
                f"{node.name} sends {address}:{port.port} of {view.name} to {where}, {why}",
                restart(node),
            )


def of_match(
    evidence: Evidence, node: NetNsView, match: Match, address: str, client: Client | None
) -> Iterator[Finding]:
    """What a client's packet that was not delivered shows of the node that got it for a Service.

    `service-rules-missing`, `service-local-policy-no-endpoint`, `nodeport-not-local-address`.
    """
    view, port = match.view, match.port
    if not proxied(view) or (client is not None and unwelcome(match, client.address)):
        return
    backends = [each for each in usable(view) if _behind(port, each)]
    number = port.node_port if match.by == "node-port" and port.node_port is not None else port.port
    asking = ServicePort(number, port.protocol, port.name)
    sent = asked(evidence, node, address, asking, client)
    if not backends or sent is None or sent.targets or sent.unknown:
        return
    policy = view.service.internal_traffic_policy if match.by == "cluster-ip" else view.service.external_traffic_policy
    if policy == "Local" and not _local(backends, node):
        yield no_local(node, view, f"{address}:{number}", backends, "error")
        return
    if match.by == "node-port":
        others = [each for each in _own(node, ip.family_of(address)) if each != address]
        served = [each for each in others if (there := asked(evidence, node, each, asking, client)) and there.targets]
        if served:
            yield finding(
                "nodeport-not-local-address",
                node,
                view.name,
                f"{node.name} serves NodePort {number} of {view.name} on {some(served)}, not on {address}",
                f"# use {served[0]}:{number}, or widen kube-proxy's nodePortAddresses on {node.name}",
            )
            return
    if _owed(node, view, address):
        yield rules_missing(node, view, f"{address}:{number}", backends)


def unwelcome(match: Match, source: str) -> bool:
    """Whether ``loadBalancerSourceRanges`` keep a client out."""
    ranges = match.view.service.load_balancer_source_ranges
    return match.by == "load-balancer-ip" and bool(ranges) and not any(_holds(each, source) for each in ranges)


def _holds(prefix: str, address: str) -> bool:
    """Whether a prefix that somebody entered holds an address; what is none holds all."""
    try:
        return ip.contains(prefix, address)
    except ValueError:
        return True


def _own(node: NetNsView, family: int) -> list[str]:
    return [
        own.local
        for own in node.netns.addresses
        if own.family == family and own.scope == 0 and not ip.is_loopback(own.local)
    ]
