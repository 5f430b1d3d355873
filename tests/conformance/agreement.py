"""What a real packet met, held against the trace of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netfs.api import Cluster
    from netfs.model.trace import Trace

NODE, CLIENT = "node", "client"
"""Where the software runs, and a machine outside. Both are nodes; what else is named is a pod of the first."""


@dataclass(frozen=True)
class Probe:
    """One question: does a packet from ``src`` to ``dst`` get an answer?"""

    src: str
    dst: str
    proto: str = "icmp"
    port: int | None = None
    by_program: bool = False
    """A program on the node takes the packet and sends another on: netfs follows the first alone."""
    undecided: bool = False
    """A rule asks for more than the packet: a trace does not know."""


@dataclass(frozen=True)
class Outcome:
    """What became of it."""

    verdict: str
    """``delivered`` where an answer came back, else ``dropped``."""
    reached: str | None = None
    """Who answered; None for an echo."""
    seen_as: str | None = None
    """The sender's address as the one who answered saw it."""
    met: tuple[str, ...] | None = None
    """By the counters of iptables: the rules that the packet and its answer met on the node, sorted, ``TABLE -A …``.
    None: not counted, as there was more than one packet each way."""


def traced(cluster: Cluster, probe: Probe) -> Trace:
    """netfs's answer to the same question."""
    src = f"node/{probe.src}" if probe.src in (NODE, CLIENT) else probe.src
    return cluster.trace(src, probe.dst, proto=probe.proto, port=probe.port)


def _met(trace: Trace) -> tuple[str, ...]:
    """The rules of iptables that the trace names on the node, as ``Outcome.met`` has them."""
    hops = [hop for hop in (*trace.forward.hops, *trace.reverse.hops) if hop.netns == NODE]
    rules = [rule for hop in hops for rule in hop.rules if rule.rule.startswith("-A ")]
    return tuple(sorted(f"{rule.chain.split()[-2]} {rule.rule}" for rule in rules))


def disagreement(cluster: Cluster, probe: Probe, outcome: Outcome) -> str | None:
    """How the trace differs from what happened; None: it does not."""
    trace = traced(cluster, probe)
    if probe.undecided:
        return None if trace.verdict == "unknown" else f"a rule depends on more, but the trace says {trace.verdict}"
    if trace.verdict != outcome.verdict:
        drop = trace.forward.drop or trace.reverse.drop
        reason = f"{drop.reason} at {drop.netns}/{drop.device}: {drop.why}" if drop else trace.forward.unknown
        return f"the packet was {outcome.verdict}, the trace says {trace.verdict}: {reason or trace.reverse.unknown}"
    if outcome.met is not None and (said := _met(trace)) != outcome.met:
        missing, more = Counter(outcome.met) - Counter(said), Counter(said) - Counter(outcome.met)
        return f"rules met and not told: {sorted(missing)}; told and not met: {sorted(more)}"
    if trace.forward.branches:
        return "the trace has several ways"
    if outcome.reached is None:
        return None
    last = trace.forward.hops[-1]
    if probe.by_program:
        return None if last.netns == NODE else f"a program of the node took it, the trace ends in {last.netns}"
    said, happened = (last.netns, last.packet.src), (outcome.reached, outcome.seen_as)
    return None if said == happened else f"(who was reached, as whom): {happened}; the trace says {said}"
