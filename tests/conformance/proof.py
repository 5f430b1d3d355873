"""What a live trace says in a world: netfs sends a marked packet and hears it; held against its own prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from netfs.capture.wish import Wish
from netfs.collect import nsfs
from netfs.model.live import AGREES, STRAY
from tests.conformance.agreement import Outcome, Probe

if TYPE_CHECKING:
    from netfs.api import Cluster
    from netfs.cluster.netns import NetNsView
    from netfs.model.live import LiveWay

SAMPLE = 8
"""Probes of a world whose traces are live in the short run."""
WAIT_S = 0.3
"""Seconds for which an answer is waited."""
BY_RULE = "NETFILTER_DROP"


@dataclass(frozen=True)
class Proof:
    """A live trace, as far as it is judged; JSON has it."""

    verdict: str
    """Predicted: of the whole."""
    there: str
    """Live: the verdict on the way there, and why."""
    back: str
    arrived: int
    answered: int
    """Probes and answers that were seen where they were to be delivered."""
    reason: str | None = None
    """Predicted: why it is dropped."""
    kernel: str | None = None
    """The kernel's word on that drop."""
    unheard: str | None = None
    """Why the kernel was not heard."""
    notes: tuple[str, ...] = ()


def sample(probes: tuple[Probe, ...]) -> list[int]:
    """Which probes are sent live: the first, the last, and some at even distances between."""
    last = len(probes) - 1
    return sorted({round(at * last / (SAMPLE - 1)) for at in range(SAMPLE)})


def proved(paths: dict[str, str], probes: list[Probe], numbers: list[int], sources: list[str]) -> dict[int, Proof]:
    """Send the packets of these probes, from wherever netfs finds their senders in its sources.

    ``paths`` are the namespaces by the names that probes call them by; what netfs calls them is its own affair.
    """
    import netfs

    cluster = netfs.load(*sources)
    names = {view.netns.id: _name(view) for view in cluster.topology.views.values()}
    senders = {name: names[nsfs.inode(path)] for name, path in paths.items()}
    return {number: _proof(cluster, probes[number], senders[probes[number].src]) for number in numbers}


def _name(view: NetNsView) -> str:
    """As a user names it; a namespace that is no pod's, by its address."""
    if view.is_node:
        return f"node/{view.node.name}"
    if view.pod is not None:
        return view.name
    return next((each.local for each in view.netns.addresses if each.scope == 0), view.name)


def _proof(cluster: Cluster, probe: Probe, sender: str) -> Proof:
    trace = cluster.trace(sender, probe.dst, proto=probe.proto, port=probe.port, live=Wish(wait_s=WAIT_S))
    live, drop = trace.live, trace.forward.drop or trace.reverse.drop
    assert live is not None
    return Proof(
        verdict=trace.verdict,
        there=_told(live.forward),
        back=_told(live.reverse),
        arrived=live.forward.arrived,
        answered=live.reverse.arrived,
        reason=drop.reason if drop is not None else None,
        kernel=drop.kernel.reason if drop is not None and drop.kernel is not None else None,
        unheard=live.unheard,
        notes=live.notes,
    )


def _told(way: LiveWay) -> str:
    return f"{way.verdict}: {way.why}"


def unproved(probe: Probe, outcome: Outcome, proof: Proof) -> str | None:
    """How what netfs saw differs from what it said, and from what became of a real packet; None: it does not."""
    text = str(proof)
    if probe.undecided or proof.verdict == "unknown":
        return None
    # the program sends UDP's payload on, and that is marked as well
    passed_on = probe.by_program and probe.proto == "udp" and proof.there.startswith(STRAY)
    if not (passed_on or proof.there.startswith(AGREES)) or not proof.back.startswith(AGREES):
        return f"not as predicted: {text}"
    if outcome.verdict == "delivered" and not (proof.arrived and proof.answered):
        return f"a real packet was answered, this one was not recognised: {text}"
    if proof.reason == BY_RULE and proof.unheard is None and proof.kernel != BY_RULE:
        return f"a rule drops it, and the kernel's word on it is missing: {text}"
    return None
