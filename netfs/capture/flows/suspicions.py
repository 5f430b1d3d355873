"""What is suspicious about a decoded capture: every rule is asked, the gravest answer comes first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from netfs.capture.flows.suspect import answers, icmp, losses, sizes, tunnels
from netfs.capture.flows.suspect.catalogue import suspicion
from netfs.capture.flows.suspect.evidence import Evidence
from netfs.model.flows import Decoded, Suspicion

if TYPE_CHECKING:
    from netfs.cluster.topology import Topology

RULES: tuple[Callable[[Evidence], Iterator[Suspicion]], ...] = (
    tunnels.vnis,
    tunnels.ports,
    tunnels.answers_outside,
    tunnels.moved,
    tunnels.claims,
    sizes.fragments,
    sizes.joined,
    answers.unanswered,
    answers.refused,
    answers.answers_lost,
    answers.echo_loss,
    answers.one_direction,
    icmp.errors,
    losses.retransmissions,
    losses.late,
    losses.gaps,
    losses.recording,
)
"""In the order in which equally grave suspicions are told: causes before what they lead to."""
SEVERITIES = ("error", "warning", "info")
SAME = {
    "vni-mismatch": "vni-unknown",
    "tunnel-port-mismatch": "tunnel-port-closed",
    "address-of-two-tunnel-ends": "source-not-of-node",
}
"""Told from packets alone, and told from what a source says: one of them is enough."""
CAUSES = frozenset({"vni-mismatch", "vni-unknown", "tunnel-port-mismatch", "tunnel-port-closed"})
EFFECTS = frozenset({"unanswered-at-the-end", "syn-unanswered", "echo-unanswered", "dns-unanswered", "udp-unanswered"})
MANY = 5
"""So many suspicions of one kind are told one by one; the rest is one more."""


def suspicions(decoded: Decoded, topology: Topology | None = None) -> tuple[Suspicion, ...]:
    """Everything suspicious, errors first. With a topology the tunnels are also compared with the nodes' devices."""
    evidence = Evidence(decoded, topology)
    found = [*_placed(evidence, topology), *(each for rule in RULES for each in rule(evidence))]
    told = _bounded(_distinct(_unexplained(evidence, found)))
    return tuple(sorted(told, key=lambda each: SEVERITIES.index(each.severity)))


def _placed(evidence: Evidence, topology: Topology | None) -> Iterator[Suspicion]:
    if topology is None:
        return
    from netfs.capture.flows.suspect import places

    yield from places.receivers(evidence, topology)
    yield from places.strangers(evidence, topology)
    yield from places.forgers(evidence, topology)
    ends = {address for flow in evidence.flows for each in flow.tunnels[:1] for address in (each.src, each.dst)}
    known = {address: places.underlay_mtu(topology, address) for address in sorted(ends)}
    yield from sizes.exceeded(evidence, {address: device for address, device in known.items() if device is not None})


def _distinct(found: Iterable[Suspicion]) -> Iterator[Suspicion]:
    """Without those that say the same of flows of which it was said before, from other evidence."""
    told: dict[str, set[int]] = defaultdict(set)
    for each in found:
        is_new = not each.flows or not told[each.slug].issuperset(each.flows)
        if is_new and told[SAME.get(each.slug, "")].isdisjoint(each.flows):
            yield each
        told[each.slug].update(each.flows)


def _unexplained(evidence: Evidence, found: list[Suspicion]) -> list[Suspicion]:
    """Without silences that a tunnel explains which takes nothing: one fault is told once."""
    causes = {index for each in found if each.slug in CAUSES for index in each.flows}
    explained = {same for index in causes for same in evidence.same(evidence.flows[index])}
    return [each for each in found if each.slug not in EFFECTS or not explained.issuperset(each.flows)]


def _bounded(found: Iterable[Suspicion]) -> Iterator[Suspicion]:
    """The first few of each kind; what is left of it in one, which names how many and holds their flows."""
    by_slug: dict[str, list[Suspicion]] = {}
    for each in found:
        by_slug.setdefault(each.slug, []).append(each)
    for slug, alike in by_slug.items():
        told = alike if len(alike) <= MANY + 1 else alike[:MANY]
        yield from told
        if rest := alike[len(told) :]:
            flows = sorted({index for each in rest for index in each.flows})
            yield suspicion(slug, f"and {len(rest)} more of this kind, in {len(flows)} flows", flows)
