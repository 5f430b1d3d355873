"""Group P over all nodes: which Services a node is asked about, and rules that lead to nobody.

Small clusters are asked everything. In large ones the text of the rules says where it is worth it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from netfs.cluster import services
from netfs.cluster.netns import NetNsView
from netfs.cluster.services import ServiceView
from netfs.diagnose.checks.proxies import of_node, proxied, restart
from netfs.diagnose.commands import finding
from netfs.diagnose.evidence import SAMPLE, Evidence
from netfs.diagnose.rules import text_of
from netfs.model.findings import Finding

BUDGET = 2_000
"""Up to so many pairs of node and Service all are asked; of more, those that the text of the rules makes doubtful."""
FEW = 12
"""Up to so many nodes are searched for Services that nobody but their rules tells of."""
PROXYS = ("KUBE-SVC-", '"kube-proxy"')
"""What the rules of kube-proxy are told by."""
_NAMED = re.compile(r" -d ([0-9a-f.:]+)"), re.compile(r'"([0-9a-f.:]{3,})"')
"""Addresses that packets are for, in iptables-save's text and in nft's. A pattern of both looks at every letter."""
_TARGETS = (
    re.compile(r"--to-destination \[?([0-9a-f.:]+?)\]?(?::\d+)?(?=\s|$)", re.MULTILINE),
    re.compile(r'"dnat": \{[^{}]*"addr": "([^"]+)"'),
)
"""Addresses that they are translated to."""


def every(evidence: Evidence) -> Iterator[Finding]:
    """The findings of all Services on all nodes, within the budget."""
    if evidence.topology.kubernetes is None and not _told_by_rules(evidence):
        return
    known = [view for view in services.of(evidence.topology).all if proxied(view)]
    nodes = list(evidence.topology.nodes.values())
    few = len(known) * len(nodes) <= BUDGET
    backends = frozenset() if few else frozenset(each.address for view in known for each in view.backends)
    for position, node in enumerate(nodes):
        for view in known if few else _doubtful(evidence, node, known, backends, position):
            yield from of_node(evidence, node, view)


def _told_by_rules(evidence: Evidence) -> bool:
    """Whether there are few nodes, and what kube-proxy wrote on them names Services."""
    nodes = evidence.topology.nodes
    return len(nodes) <= FEW and any(word in text_of(node) for node in nodes.values() for word in PROXYS)


def _doubtful(
    evidence: Evidence, node: NetNsView, known: list[ServiceView], backends: frozenset[str], position: int
) -> Iterable[ServiceView]:
    """The Services to ask a node about: a few in turn, and those that its rules do not name.

    All, where the rules translate to an address that nobody has.
    """
    text = text_of(node)
    if any(not evidence.topology.owners.get(each) for each in _addresses(_TARGETS, text) - backends):
        return known
    named = _addresses(_NAMED, text)
    turn = [known[(position * SAMPLE + step) % len(known)] for step in range(min(SAMPLE, len(known)))]
    return turn + [view for view in known if not named.issuperset(view.service.cluster_ips) and view not in turn]


def translating_to_nobody(evidence: Evidence, node: NetNsView) -> Iterator[Finding]:
    """`service-rules-stale` where nobody asked the API: a rule translates to a pod's address that no pod has."""
    if evidence.topology.kubernetes is not None:
        return
    for target in sorted(_addresses(_TARGETS, text_of(node))):
        if owner := evidence.nobodys(target):
            yield to_nobody(node, target, owner)


def to_nobody(node: NetNsView, target: str, owner: NetNsView) -> Finding:
    """`service-rules-stale` of an address in the pod network of another node, or this one."""
    return finding(
        "service-rules-stale",
        node,
        target,
        f"a rule of {node.name} translates to {target}, which no pod of {owner.name} has",
        restart(node),
    )


def _addresses(patterns: Iterable[re.Pattern[str]], text: str) -> set[str]:
    """What the patterns find in the text of rules."""
    return {address for pattern in patterns for address in pattern.findall(text)}
