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
from netfs.model.trace import Finding

BUDGET = 2_000
"""Up to so many pairs of node and Service all are asked; of more, those that the text of the rules makes doubtful."""
_ADDRESS = re.compile(r"[0-9a-f.:]{3,}")
_TARGET = re.compile(
    r'--to-destination \[?([0-9a-f.:]+?)\]?(?::\d+)?(?=\s|$)|"dnat": \{[^{}]*"addr": "([^"]+)"', re.MULTILINE
)


def every(evidence: Evidence) -> Iterator[Finding]:
    """The findings of all Services on all nodes, within the budget."""
    if evidence.topology.kubernetes is None:
        return
    known = [view for view in services.of(evidence.topology).all if proxied(view)]
    nodes = list(evidence.topology.nodes.values())
    few = len(known) * len(nodes) <= BUDGET
    backends = frozenset() if few else frozenset(each.address for view in known for each in view.backends)
    for position, node in enumerate(nodes):
        for view in known if few else _doubtful(evidence, node, known, backends, position):
            yield from of_node(evidence, node, view)


def _doubtful(
    evidence: Evidence, node: NetNsView, known: list[ServiceView], backends: frozenset[str], position: int
) -> Iterable[ServiceView]:
    """The Services to ask a node about: a few in turn, and those that its rules do not name.

    All, where the rules translate to an address that nobody has.
    """
    text = _text(node)
    if any(not evidence.topology.owners.get(each) for each in _targets(text) - backends):
        return known
    named = set(_ADDRESS.findall(text))
    turn = [known[(position * SAMPLE + step) % len(known)] for step in range(min(SAMPLE, len(known)))]
    return turn + [view for view in known if not named.issuperset(view.service.cluster_ips) and view not in turn]


def translating_to_nobody(evidence: Evidence, node: NetNsView) -> Iterator[Finding]:
    """`service-rules-stale` where nobody asked the API: a rule translates to a pod's address that no pod has."""
    if evidence.topology.kubernetes is not None:
        return
    for target in sorted(_targets(_text(node))):
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


def _text(node: NetNsView) -> str:
    """All rules of a node, as their tools print them."""
    known = node.netns.firewall
    if known is None:
        return ""
    texts = (known.nft, known.iptables, known.ip6tables, known.iptables_legacy, known.ip6tables_legacy)
    return "\n".join(each for each in texts if each)


def _targets(text: str) -> set[str]:
    """The addresses that rules translate destinations to."""
    return {one or other for one, other in _TARGET.findall(text)}
