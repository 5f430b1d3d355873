"""Group P: what a node's rules do with a Service's packets, held against the Service's endpoints.

The rules are asked, not read: a packet as a client on the node would send it goes through prerouting, and the
addresses that come out are the backends this node knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from shlex import quote

from netfs.cluster import services
from netfs.cluster.netns import NetNsView
from netfs.cluster.services import Backend, Match, ServiceView
from netfs.datapath.netfilter import RuleRef
from netfs.diagnose.checks.masquerade import sample
from netfs.diagnose.checks.services import refused, usable
from netfs.diagnose.checks.serving import Client, Sent, asked, client_of, of_proxy, rejects, stops, translator
from netfs.diagnose.commands import finding, some
from netfs.diagnose.evidence import SAMPLE, Evidence
from netfs.diagnose.rules import remove, text_of
from netfs.model import ip
from netfs.model.findings import Finding
from netfs.model.kubernetes import ServicePort
from netfs.model.packet import Packet


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
        for address in view.service.cluster_ips:
            if backends:
                yield from _of_port(evidence, node, view, port, address, backends)
            elif view.source == services.RULES and not view.backends and rejects(evidence, node, address, port):
                yield refused(view)


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
            yield rules_missing(node, view, f"{address}:{port.port}", backends, sent.kept_by)
    elif sent.targets and port.node_port is not None and view.source == services.API:
        yield from _of_node_port(evidence, node, view, port, family, backends)


def _owed(node: NetNsView, view: ServiceView, address: str) -> bool:
    """Whether a node's rules are to translate an address: it does not hold it itself, as one with a cache of DNS does.

    Where only rules tell of the Service, nobody knows what it asks for: rules that name the address and do something
    else with it are then believed.
    """
    if address in view.service.cluster_ips and address in node.owned:
        return False
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
    names = sorted({each.node or each.address for each in backends})
    elsewhere = f"; endpoints are on {some(names)}" if names else ""
    return finding(
        "service-local-policy-no-endpoint",
        node,
        view.name,
        f"the traffic policy of {view.name} is Local, and {node.name} has no endpoint of it: what it gets for "
        f"{target} reaches nobody{elsewhere}",
        f"# set the traffic policy of {view.name} to Cluster, or run a pod of it on {node.name}",
        severity,
    )


def rules_missing(
    node: NetNsView, view: ServiceView, target: str, backends: list[Backend], kept_by: RuleRef | None = None
) -> Finding:
    """`service-rules-missing` of one node; ``kept_by`` is the rule that takes the packets before any that translates.

    ``backends`` are those of the target's family.
    """
    count = len({each.pod or each.address for each in backends})
    ready = f"which has {count} ready endpoint{'s' if count > 1 else ''}: its packets reach nobody"
    return finding(
        "service-rules-missing",
        node,
        view.name,
        f"no rule of {node.name} translates {target} of {view.name}, {ready}"
        + (f"; a rule takes them before: {kept_by}" if kept_by is not None else ""),
        remove([kept_by]) if kept_by is not None else restart(node),
    )


def unmasqueraded(node: NetNsView, sent: Packet, backend: str) -> Finding:
    """`masquerade-missing` of a node that sends a Service's packet on as it came, though kube-proxy marked it."""
    return finding(
        "masquerade-missing",
        node,
        None,
        f"kube-proxy marks the packet to {sent.dst} for masquerading, and no rule does it: {node.name} leaves it the "
        f"address {sent.src}, and the answer of {backend} does not come back the same way",
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
            foreign = [
                ref for each in found if (ref := translator(sent.targets[each])) is not None and not of_proxy(ref)
            ]
            by = f", by rules that are not kube-proxy's: {some([str(ref) for ref in foreign])}" if foreign else ""
            yield finding(
                "service-rules-stale",
                node,
                view.name,
                f"{node.name} sends {address}:{port.port} of {view.name} to {where}, {why}{by}",
                remove(foreign) if foreign else restart(node),
            )


def of_match(
    evidence: Evidence, node: NetNsView, match: Match, address: str, client: Client | None
) -> Iterator[Finding]:
    """What a client's packet that was not delivered shows of the node that got it for a Service.

    `service-rules-missing`, `service-rules-stale`, `service-local-policy-no-endpoint`, `nodeport-not-local-address`.
    """
    view, port = match.view, match.port
    if not proxied(view) or (client is not None and unwelcome(match, client.address)):
        return
    family = ip.family_of(address)
    backends = [each for each in usable(view) if _behind(port, each) and ip.family_of(each.address) == family]
    number = port.node_port if match.by == "node-port" and port.node_port is not None else port.port
    asking = ServicePort(number, port.protocol, port.name)
    sent = asked(evidence, node, address, asking, client)
    if not backends or sent is None or sent.unknown:
        return
    if sent.targets:
        if view.source == services.API:
            yield from _stale(evidence, node, view, asking, address, sent)
        return
    if not sent.left and (sent.lost_by is None or not of_proxy(sent.lost_by)):
        return
    if match.by == "node-port" and sent.left:
        elsewhere = _not_here(evidence, node, match, address, asking, client)
        if elsewhere is not None:
            yield elsewhere
            return
    policy = view.service.internal_traffic_policy if match.by == "cluster-ip" else view.service.external_traffic_policy
    if policy == "Local" and not _local(backends, node):
        yield no_local(node, view, f"{address}:{number}", backends, "error")
    elif sent.left and _owed(node, view, address):
        yield rules_missing(node, view, f"{address}:{number}", backends, sent.kept_by)


def _not_here(
    evidence: Evidence, node: NetNsView, match: Match, address: str, asking: ServicePort, client: Client | None
) -> Finding | None:
    """`nodeport-not-local-address`: kube-proxy does something for the port on another of the node's addresses only."""
    client = client or client_of(evidence, node, ip.family_of(address))
    if client is None or stops(node, client, address, asking):
        return None
    others = [each for each in _own(node, ip.family_of(address)) if each != address]
    served = [each for each in others if (there := asked(evidence, node, each, asking, client)) and there.targets]
    known = served or [each for each in others if stops(node, client, each, asking)]
    if not known:
        return None
    instead = f"use {served[0]}:{asking.port}, or " if served else ""
    return finding(
        "nodeport-not-local-address",
        node,
        match.view.name,
        f"{node.name} serves NodePort {asking.port} of {match.view.name} on {some(known)}, not on {address}",
        f"# {instead}widen kube-proxy's nodePortAddresses on {node.name}",
    )


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
