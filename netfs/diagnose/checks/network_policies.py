"""Group F: NetworkPolicies held against what the datapath does.

Along a trace the datapath has spoken. From state alone, a pair of pods is taken that a policy parts, and the rules of
both nodes are asked: where none of them drops the packet, nothing enforces the policy.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice

from netfs.cluster.netns import NetNsView
from netfs.diagnose.checks.masquerade import sample
from netfs.diagnose.commands import advised
from netfs.diagnose.evidence import SAMPLE, Evidence
from netfs.diagnose.network_policy import (
    ALLOWED,
    DENIED,
    EGRESS,
    UNKNOWN,
    Judgement,
    Party,
    judge,
    named_ports,
)
from netfs.diagnose.rules import judged_elsewhere, met
from netfs.diagnose.selectors import Labels
from netfs.diagnose.site import site
from netfs.model import ip
from netfs.model.findings import Finding
from netfs.model.kubernetes import NetworkPolicy
from netfs.model.link import Link
from netfs.model.packet import Packet
from netfs.model.trace import DELIVERED, Direction, Drop, Trace

POLICIES = 100
"""So many policies are tried on a pair of pods each."""
CANDIDATES = 8
"""So many pods are tried as the other end of a policy."""
BY_RULES = frozenset({"firewall-rule-drops", "firewall-forward-drop"})


def judged(evidence: Evidence, trace: Trace, way: Direction) -> Judgement | None:
    """What the policies say of the connection that one way of a trace is; None: there are none, or nobody to ask of."""
    kubernetes = evidence.topology.kubernetes
    if kubernetes is None or not kubernetes.network_policies or not way.hops:
        return None
    packet = way.hops[-1].packet
    if not trace.source.ip:
        return None
    source, destination = party(evidence, trace.source.ip), party(evidence, packet.dst)
    seen = party(evidence, packet.src) if packet.src != trace.source.ip else None
    return judge(kubernetes, source, destination, packet.proto, packet.dport, seen)


def party(evidence: Evidence, address: str) -> Party:
    """Who has an address, as policies see it."""
    owners = evidence.topology.owners.get(address, ())
    holders = {port.view.key: port.view for port in owners}
    view = next(iter(holders.values())) if len(holders) == 1 else None
    if view is not None and view.pod is not None:
        return of_pod(evidence, view, address)
    if view is not None and view.is_node and view.node.role == "node":
        return Party(address, node=view.node.name)
    return Party(address, known=not holders and address not in _told_of(evidence))


def _told_of(evidence: Evidence) -> frozenset[str]:
    """The addresses that EndpointSlices say are pods'."""
    key, kubernetes = "diagnose.endpoints", evidence.topology.kubernetes
    if key not in evidence.topology.compiled:
        slices = kubernetes.endpoint_slices if kubernetes is not None else ()
        evidence.topology.compiled[key] = frozenset(
            end.address for each in slices for end in each.endpoints if end.pod is not None
        )
    known: frozenset[str] = evidence.topology.compiled[key]
    return known


def of_pod(evidence: Evidence, view: NetNsView, address: str) -> Party:
    """A pod that was read."""
    pod, kept, key = view.pod, evidence.topology.compiled, "diagnose.named-ports"
    assert pod is not None
    if key not in kept:
        kubernetes = evidence.topology.kubernetes
        kept[key] = named_ports(kubernetes) if kubernetes is not None else {}
    ports = kept[key].get((pod.namespace, pod.name), {})
    labels = pod.labels if evidence.labelled else None
    return Party(address, pod.name, pod.namespace, labels, view.node.name, ports=ports)


def of_trace(evidence: Evidence, trace: Trace) -> Iterator[Finding]:
    """`networkpolicy-unenforced`: delivered, against a policy."""
    for way in (trace.forward, *trace.forward.branches):
        judgement = judged(evidence, trace, way) if way.verdict == DELIVERED else None
        if judgement is not None and judgement.verdict == DENIED:
            yield _unenforced(judgement, "the packet is delivered all the same")


def of_drop(evidence: Evidence, trace: Trace, drop: Drop) -> Finding | str | None:
    """What policies say of a drop by a rule: `networkpolicy-drops`, or a word that none asks for it."""
    if drop.slug not in BY_RULES:
        return None
    for way in (trace.forward, *trace.forward.branches):
        if way.drop is not drop:
            continue
        judgement = judged(evidence, trace, way)
        if judgement is None:
            return None
        if judgement.verdict == UNKNOWN:
            return _doubtful(judgement, drop) if judgement.policies else None
        if judgement.verdict == ALLOWED:
            return f"no NetworkPolicy asks for this: {judgement.why}"
        return Finding(
            "networkpolicy-drops",
            "error",
            _object(judgement),
            f"{judgement.why}; {drop.why}",
            advised("# allow it: kubectl -n {} edit networkpolicy {}".format(*_names(judgement)[0])),
            node=drop.node,
            netns=drop.netns,
        )
    kubernetes = evidence.topology.kubernetes
    policies = kubernetes is not None and kubernetes.network_policies
    return "no NetworkPolicy asks for this: answers are always allowed" if policies else None


def _doubtful(judgement: Judgement, drop: Drop) -> Finding:
    """A drop by a rule that may be there for a policy: it is not for netfs to say that the rule should go."""
    policies = ", ".join(judgement.policies)
    namespace, name = _names(judgement)[0]
    return Finding(
        "firewall-rule-drops",
        "error",
        f"{drop.netns}/{drop.device}" if drop.device else drop.netns,
        f"{drop.why}; the rule may enforce NetworkPolicy {policies}: {judgement.why}",
        advised(
            f"# if the rule enforces {policies}, change that: kubectl -n {namespace} edit networkpolicy {name}; "
            "else delete the rule"
        ),
        node=drop.node,
        netns=drop.netns,
    )


def _names(judgement: Judgement) -> list[tuple[str, str]]:
    return [(namespace, name) for namespace, _, name in (each.partition("/") for each in judgement.policies)]


def _object(judgement: Judgement) -> str:
    namespace, name = _names(judgement)[0]
    return f"{namespace}/networkpolicy/{name}"


def _unenforced(judgement: Judgement, how: str) -> Finding:
    return Finding(
        "networkpolicy-unenforced",
        "warning",
        _object(judgement),
        f"{judgement.why}; {how}",
        "# run a network plugin that enforces NetworkPolicies, as Calico, Cilium or kube-router do",
    )


def unenforced(evidence: Evidence) -> Iterator[Finding]:
    """`networkpolicy-unenforced`: two pods that a policy parts, and no rule of their nodes that does."""
    kubernetes = evidence.topology.kubernetes
    if kubernetes is None:
        return
    pods = [view for views in evidence.topology.pods.values() for view in views if view.address_of(4)]
    told: set[tuple[str, ...]] = set()
    for policy in kubernetes.network_policies[:POLICIES]:
        name = f"{policy.namespace}/{policy.name}"
        for view in islice(_selected(pods, policy), SAMPLE):
            found = _parted(evidence, view, _others(view, pods), name)
            if found is None:
                continue
            judgement, source, destination, port = found
            if judgement.policies not in told and _passes(evidence, source, destination, port):
                told.add(judgement.policies)
                yield _unenforced(
                    judgement,
                    f"no rule of {' or '.join(dict.fromkeys((source.node.name, destination.node.name)))} drops it",
                )
            break


def _selected(pods: list[NetNsView], policy: NetworkPolicy) -> Iterator[NetNsView]:
    for view in pods:
        pod = view.pod
        if pod is not None and pod.namespace == policy.namespace and Labels(pod.labels).fulfil(policy.pods):
            yield view


def _others(view: NetNsView, pods: list[NetNsView]) -> list[NetNsView]:
    """Pods to try as the other end: first those of other nodes, whose packets certainly meet rules."""
    far = (other for other in pods if other.node.name != view.node.name)
    near = (other for other in pods if other.node.name == view.node.name and other is not view)
    return list(islice(chain(islice(far, CANDIDATES), near), CANDIDATES))


def _parted(
    evidence: Evidence, view: NetNsView, others: list[NetNsView], policy: str
) -> tuple[Judgement, NetNsView, NetNsView, int] | None:
    """A connection with this pod, either way, that the policy surely denies."""
    kubernetes = evidence.topology.kubernetes
    assert kubernetes is not None
    for other in others:
        for source, destination in ((other, view), (view, other)):
            port = _port(destination)
            ends = [of_pod(evidence, each, each.address_of(4) or "") for each in (source, destination)]
            judgement = judge(kubernetes, ends[0], ends[1], "tcp", port)
            limited = source if judgement.direction == EGRESS else destination
            if judgement.verdict == DENIED and policy in judgement.policies and limited is view:
                return judgement, source, destination, port
    return None


def _port(view: NetNsView) -> int:
    """A TCP port that somebody listens on; 80 where that is not known."""
    return next((each.port for each in view.netns.listeners or () if each.proto == "tcp"), 80)


def _passes(evidence: Evidence, source: NetNsView, destination: NetNsView, port: int) -> bool:
    """Whether no rule on the way may drop the packet."""
    packet = Packet(
        source.address_of(4) or "", destination.address_of(4) or "", "tcp", 40000, port, size=60, tcp_flags="syn"
    )
    here, there = evidence.node_of(source), evidence.node_of(destination)
    if here is None or there is None or (source.gaps and not source.netns.firewall):
        return False
    answers = [met(source, "output", packet), met(destination, "input", packet)]
    for node in dict.fromkeys((here, there)):
        iif = _towards(evidence, node, packet.src)
        oif = _towards(evidence, node, packet.dst)
        if (node.gaps and node.netns.firewall is None) or judged_elsewhere(node):
            return False
        answers += [
            met(node, "prerouting", packet, iif=iif),
            met(node, "forward", packet, iif=iif, oif=oif),
            met(node, "postrouting", packet, iif=iif, oif=oif),
        ]
    return all(answer is None or answer.verdict == "accept" for answer in answers)


def _towards(evidence: Evidence, node: NetNsView, address: str) -> Link | None:
    """The device by which a node reaches an address."""
    own = sample(evidence, node, ip.family_of(address))
    if own is not None and ip.contains(own.subnet, address):
        return own.bridge.link
    route = site(node).fib.best(address)
    return node.links.get(route.nexthops[0].index or 0) if route is not None and route.nexthops else None
