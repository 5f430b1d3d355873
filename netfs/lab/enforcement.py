"""What a small agent that enforces NetworkPolicies would program on a node: one nftables table.

Rules of the API (networking.k8s.io/v1): a pod that a policy selects is isolated in the policy's directions, and may do
there what a rule of any such policy allows. Answers pass, and so do a pod's connections to itself and with its own
node, which do not cross the hook ``forward``. A lab's pods are all in one namespace, and have no named ports.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from netfs.lab.plan import NodePlan, Plan, PodPlan
from netfs.lab.services import NAMESPACE
from netfs.model.kubernetes import Kubernetes, LabelSelector, NetworkPolicy, PolicyPeer, PolicyPort, PolicyRule

TABLE = "netfs-policy"
_DIRECTIONS = (("Egress", "egress", "saddr"), ("Ingress", "ingress", "daddr"))
"""(type of a policy, first word of a chain, which address is the pod's)."""


def text(whole: Plan, this: NodePlan, objects: Kubernetes, labels: Mapping[str, Mapping[str, str]]) -> str:
    """The table for the pods of one node, made anew where it is there; ``labels`` are those of every pod."""
    agent = _Agent(whole, objects, labels)
    pods = whole.pods_of[this.name]
    jumps = [line for pod in pods for line in agent.jumps(pod)]
    chains = [chain for pod in pods for chain in agent.chains(pod)]
    forward = [
        "type filter hook forward priority filter; policy accept;",
        "ct state established,related accept",
        "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept",
        *jumps,
    ]
    body = "".join(chains) + _block("forward", forward)
    return removal() + f"table inet {TABLE} {{\n{body}}}\n"


def removal() -> str:
    """The input of ``nft -f`` that removes the table, whether it is there or not."""
    return f"table inet {TABLE}\ndelete table inet {TABLE}\n"


def selects(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Whether a selector selects an object with these labels."""
    if any(labels.get(key) != value for key, value in selector.match_labels.items()):
        return False
    for one in selector.match_expressions:
        value = labels.get(one.key)
        holds = {
            "In": value is not None and value in one.values,
            "NotIn": value is None or value not in one.values,
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }
        if not holds[one.operator]:
            return False
    return True


class _Agent:
    """The objects of a lab, and who they speak of."""

    def __init__(self, whole: Plan, objects: Kubernetes, labels: Mapping[str, Mapping[str, str]]) -> None:
        self._whole = whole
        self._objects = objects
        self._labels = labels

    def jumps(self, pod: PodPlan) -> Iterator[str]:
        """From the hook to a pod's chains."""
        for kind, word, end in _DIRECTIONS:
            if self._isolating(pod, kind):
                yield from (f"{ip} {end} {address} jump {word}-{pod.name}" for ip, address in self._addresses(pod))

    def chains(self, pod: PodPlan) -> Iterator[str]:
        """A pod's chain for each direction in which it is isolated: what is allowed returns, the rest is dropped."""
        for kind, word, end in _DIRECTIONS:
            policies = self._isolating(pod, kind)
            if policies:
                far = "saddr" if end == "daddr" else "daddr"
                lines = [f"{ip} {far} {address} return" for ip, address in self._addresses(pod)]
                for policy in policies:
                    for rule in policy.ingress if kind == "Ingress" else policy.egress:
                        lines += [f"{match} return".strip() for match in self._matches(policy, rule, far)]
                yield _block(f"{word}-{pod.name}", [*lines, "drop"])

    def _isolating(self, pod: PodPlan, kind: str) -> list[NetworkPolicy]:
        return [
            policy
            for policy in self._objects.network_policies
            if policy.namespace == NAMESPACE and kind in policy.types and selects(policy.pods, self._of(pod))
        ]

    def _matches(self, policy: NetworkPolicy, rule: PolicyRule, end: str) -> Iterator[str]:
        """Every pair of a peer and a port that a rule allows, as a match."""
        peers = [match for peer in rule.peers for match in self._peer(policy, peer, end)] if rule.peers else [""]
        ports = [match for port in rule.ports for match in _port(port)] if rule.ports else [""]
        for peer in peers:
            yield from (f"{peer} {port}".strip() for port in ports)

    def _peer(self, policy: NetworkPolicy, peer: PolicyPeer, end: str) -> Iterator[str]:
        if peer.cidr is not None:
            ip = "ip6" if ":" in peer.cidr else "ip"
            yield " ".join([f"{ip} {end} {peer.cidr}", *(f"{ip} {end} != {one}" for one in peer.excluded)])
        elif self._here(policy, peer):
            selector = peer.pods or LabelSelector()
            found = [pod for pod in self._whole.pods if selects(selector, self._of(pod))]
            for family in ("ip", "ip6"):
                addresses = [address for pod in found for ip, address in self._addresses(pod) if ip == family]
                if addresses:
                    yield f"{family} {end} {{ {', '.join(addresses)} }}"

    def _here(self, policy: NetworkPolicy, peer: PolicyPeer) -> bool:
        """Whether a peer speaks of the namespace that the lab's pods are in."""
        if peer.namespaces is None:
            return policy.namespace == NAMESPACE
        return selects(peer.namespaces, self._objects.namespaces.get(NAMESPACE, {}))

    def _of(self, pod: PodPlan) -> Mapping[str, str]:
        return self._labels[pod.name]

    def _addresses(self, pod: PodPlan) -> tuple[tuple[str, str], ...]:
        return (("ip", pod.ip), ("ip6", pod.ip6)) if self._whole.ipv6 else (("ip", pod.ip),)


def _port(port: PolicyPort) -> Iterator[str]:
    """A port's match; a name fits no port of a lab's pods."""
    if port.port is None:
        yield f"meta l4proto {port.protocol}"
    elif isinstance(port.port, int):
        last = f"-{port.end_port}" if port.end_port is not None else ""
        yield f"{port.protocol} dport {port.port}{last}"


def _block(name: str, lines: list[str]) -> str:
    return f"  chain {name} {{\n" + "".join(f"    {line}\n" for line in lines) + "  }\n"
