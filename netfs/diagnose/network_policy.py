"""What NetworkPolicies (networking.k8s.io/v1) say of a connection, from the API's objects alone.

    judge(kubernetes, Party("10.244.1.2", pod="pod-a", …), Party("10.244.2.2", pod="web", …), "tcp", 80)

The rules, as the API's documentation gives them:

- A pod is isolated in a direction where a policy of its namespace selects it and has that direction among its types.
  A pod that nothing isolates may do everything.
- An isolated pod may do what any rule of any of those policies allows. There is no rule that denies, and no order.
- A connection needs the egress side of its source and the ingress side of its destination. Answers need nothing.
- ``podSelector`` beside ``namespaceSelector`` in one peer: both must hold.
- What comes from or goes to the node that a pod runs on is allowed, and so is a pod's connection to itself.
- A pod in its node's network is not a pod to policies: it is the node.
- Policies see a Service's backend, not the Service: give the addresses and the port after translation.
- Of protocols but TCP, UDP and SCTP nothing is promised: ``unknown`` where a pod is isolated.

What cannot be told (labels of a namespace that were not read, a named port of a pod) makes the answer ``unknown``,
unless something else decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from netfs.diagnose.selectors import NAMESPACE_NAME, Labels, every, some
from netfs.model import ip
from netfs.model.kubernetes import (
    EndpointSlice,
    Kubernetes,
    NetworkPolicy,
    PolicyPeer,
    PolicyPort,
    PolicyRule,
    Service,
)

ALLOWED = "allowed"
DENIED = "denied"
UNKNOWN = "unknown"

INGRESS = "Ingress"
EGRESS = "Egress"

PROTOCOLS = frozenset({"tcp", "udp", "sctp"})
"""What policies are defined for."""


@dataclass(frozen=True, slots=True)
class Party:
    """One end of a connection, as policies see it."""

    address: str
    pod: str | None = None
    """The pod's name; None: no pod, or one in its node's network."""
    namespace: str = ""
    labels: Mapping[str, str] | None = field(default_factory=dict)
    """None: not read."""
    node: str | None = None
    """The node the pod runs on, or that the party is; None: neither is known."""
    known: bool = True
    """False: the address may be a pod's of which nothing was read."""
    ports: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Numbers of the pod's named ports, by (name, protocol), as far as they are known."""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.pod}" if self.pod is not None else self.address


@dataclass(frozen=True, slots=True)
class Judgement:
    """The policies' verdict on one side of a connection, or on both."""

    verdict: str
    """``allowed``, ``denied`` or ``unknown``."""
    why: str
    policies: tuple[str, ...] = ()
    """``NAMESPACE/NAME`` of the policies that isolate the pod; of those that allow, where it is allowed by rules."""
    direction: str | None = None
    """``Egress`` or ``Ingress``: the side that decided; None where nothing isolates either."""


def judge(
    kubernetes: Kubernetes,
    source: Party,
    destination: Party,
    proto: str,
    port: int | None,
    seen: Party | None = None,
) -> Judgement:
    """Whether a connection is allowed by the policies of both its ends.

    ``port`` is the destination's; None only for protocols without ports. ``seen`` is the source as it arrives, where
    its address was translated on the way: whether policies then mean the one or the other is not defined.
    """
    sides = [
        judge_side(kubernetes, EGRESS, source, destination, proto, port),
        judge_side(kubernetes, INGRESS, destination, source, proto, port),
    ]
    if seen is not None:
        other = judge_side(kubernetes, INGRESS, destination, seen, proto, port)
        if other.verdict != sides[1].verdict:
            why = f"{source} arrives as {seen}, and policies may mean either: {sides[1].why}"
            sides[1] = Judgement(UNKNOWN, why, sides[1].policies or other.policies, INGRESS)
    for verdict in (DENIED, UNKNOWN):
        for side in sides:
            if side.verdict == verdict:
                return side
    isolated = [side for side in sides if side.policies]
    return isolated[0] if isolated else sides[0]


def judge_side(
    kubernetes: Kubernetes, direction: str, pod: Party, peer: Party, proto: str, port: int | None
) -> Judgement:
    """What the policies that select ``pod`` say of its connection with ``peer`` in a direction."""
    if pod.pod is None:
        return Judgement(ALLOWED, f"{pod} is no pod: no policy selects it")
    if (peer.pod, peer.namespace) == (pod.pod, pod.namespace) or peer.address == pod.address:
        return Judgement(ALLOWED, f"{pod} may always reach itself")
    if peer.pod is None and peer.node is not None and peer.node == pod.node:
        return Judgement(ALLOWED, f"{pod} runs on {peer.node}, whose traffic is always allowed")
    held = [(each, _isolates(each, direction, pod)) for each in kubernetes.network_policies]
    isolating, doubtful = [each for each, sure in held if sure], [each for each, sure in held if sure is None]
    if not isolating and not doubtful:
        return Judgement(ALLOWED, f"no policy isolates {pod} for {direction.lower()}")
    names = _names(isolating or doubtful)
    if proto not in PROTOCOLS:
        return Judgement(UNKNOWN, f"policies promise nothing of {proto}, and {pod} is isolated", names, direction)
    answers = [(each, _allows(kubernetes, each, direction, pod, peer, proto, port)) for each in isolating + doubtful]
    allowing = _names(each for each, answer in answers if answer and each in isolating)
    if allowing:
        return Judgement(ALLOWED, f"{direction.lower()} of {pod} is allowed by {allowing[0]}", allowing, direction)
    if not isolating and all(answer for _, answer in answers):
        return Judgement(ALLOWED, f"no policy that may isolate {pod} stops this", names, direction)
    unsure = _names(each for each, answer in answers if answer is None or (each in doubtful and answer is not False))
    if unsure or not isolating:
        what = f"whether {(unsure or names)[0]} allows {direction.lower()} of {pod} depends on what was not read"
        return Judgement(UNKNOWN, what, names, direction)
    word = "from" if direction == INGRESS else "to"
    what = f"{proto} port {port}" if port is not None else proto
    verb = "allow" if len(names) > 1 else "allows"
    why = f"{direction.lower()} of {pod} is limited by {', '.join(names)}, which {verb} no {what} {word} {peer}"
    return Judgement(DENIED, why, names, direction)


def _names(policies: Iterable[NetworkPolicy]) -> tuple[str, ...]:
    return tuple(f"{policy.namespace}/{policy.name}" for policy in policies)


def _isolates(policy: NetworkPolicy, direction: str, pod: Party) -> bool | None:
    if policy.namespace != pod.namespace or direction not in _types(policy):
        return False
    return _labels(pod).fulfil(policy.pods)


def _labels(party: Party) -> Labels:
    return Labels(party.labels or {}, complete=party.labels is not None)


def _types(policy: NetworkPolicy) -> tuple[str, ...]:
    """``policyTypes``, by default Ingress, and Egress where the policy has egress rules."""
    return policy.types or ((INGRESS, EGRESS) if policy.egress else (INGRESS,))


def _allows(
    kubernetes: Kubernetes,
    policy: NetworkPolicy,
    direction: str,
    pod: Party,
    peer: Party,
    proto: str,
    port: int | None,
) -> bool | None:
    rules = policy.ingress if direction == INGRESS else policy.egress
    target = pod if direction == INGRESS else peer
    return some(
        every(matches)
        for rule in rules
        for matches in [(_has_peer(kubernetes, policy, rule, peer), _has_port(rule, target, proto, port))]
    )


def _has_peer(kubernetes: Kubernetes, policy: NetworkPolicy, rule: PolicyRule, peer: Party) -> bool | None:
    if not rule.peers:
        return True
    return some(_is_peer(kubernetes, policy, each, peer) for each in rule.peers)


def _is_peer(kubernetes: Kubernetes, policy: NetworkPolicy, wanted: PolicyPeer, peer: Party) -> bool | None:
    if wanted.cidr is not None:
        return _in_block(wanted, peer.address)
    if wanted.pods is None and wanted.namespaces is None:
        return None
    if peer.pod is None:
        return False if peer.known else None
    terms: list[bool | None] = []
    if wanted.namespaces is None:
        terms.append(peer.namespace == policy.namespace)
    else:
        terms.append(_labels_of(kubernetes, peer.namespace).fulfil(wanted.namespaces))
    if wanted.pods is not None:
        terms.append(_labels(peer).fulfil(wanted.pods))
    return every(terms)


def _labels_of(kubernetes: Kubernetes, namespace: str) -> Labels:
    known = kubernetes.namespaces.get(namespace)
    return Labels({NAMESPACE_NAME: namespace, **(known or {})}, complete=known is not None)


def _in_block(block: PolicyPeer, address: str) -> bool | None:
    assert block.cidr is not None
    try:
        return ip.contains(block.cidr, address) and not any(ip.contains(each, address) for each in block.excluded)
    except ValueError:
        return None


def _has_port(rule: PolicyRule, target: Party, proto: str, port: int | None) -> bool | None:
    if not rule.ports:
        return True
    return some(_is_port(each, target, proto, port) for each in rule.ports)


def _is_port(wanted: PolicyPort, target: Party, proto: str, port: int | None) -> bool | None:
    """``target`` is the end that listens: a named port is a port of its containers."""
    if wanted.protocol != proto:
        return False
    if wanted.port is None:
        return True
    if isinstance(wanted.port, str):
        number = target.ports.get((wanted.port, proto))
        if number is None:
            return None if target.pod is not None or not target.known else False
        return number == port
    return port is not None and wanted.port <= port <= (wanted.end_port or wanted.port)


def named_ports(kubernetes: Kubernetes) -> dict[tuple[str, str], dict[tuple[str, str], int]]:
    """The named ports of pods that Services with such a ``targetPort`` tell.

    By the pod's (namespace, name), then by (name of the port, protocol).
    """
    services = {(service.namespace, service.name): service for service in kubernetes.services}
    found: dict[tuple[str, str], dict[tuple[str, str], int]] = {}
    for each in kubernetes.endpoint_slices:
        service = services.get((each.namespace, each.service))
        named = dict(_named(service, each)) if service is not None else {}
        for end in each.endpoints if named else ():
            if end.pod is not None:
                found.setdefault((each.namespace, end.pod), {}).update(named)
    return found


def _named(service: Service, part: EndpointSlice) -> Iterator[tuple[tuple[str, str], int]]:
    for wanted in service.ports:
        for port in part.ports:
            same = (port.name, port.protocol) == (wanted.name, wanted.protocol)
            if same and isinstance(wanted.target_port, str):
                yield (wanted.target_port, wanted.protocol), port.port
