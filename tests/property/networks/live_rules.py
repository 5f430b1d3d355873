"""Whether what a live trace says of a network fits its prediction, the kernel's counters, and itself.

Every run must agree with its prediction, both ways; the packet must be lost between the taps that the prediction says,
in time that grows hop by hop; and the kernel must give the reason that was predicted, or the one that
``netfs.datapath.reasons`` says it gives instead. ``unknown`` predicts nothing:
there it is only asked that no packet went another way than the part that is known.
"""

from __future__ import annotations

from collections.abc import Iterator

from netfs.datapath.reasons import documented
from netfs.model.live import AGREES, FURTHER, LOST, UNHEARD, LiveWay
from netfs.model.trace import DELIVERED, DROPPED, UNKNOWN, Direction
from tests.property.networks.spec import Probe
from tests.property.networks.watch import Played, Run

UNTOLD = frozenset({"WRONG_ENDPOINT"})
"""No drops at all: what is predicted is lost for the one who asked."""


def disagreement(probe: Probe, played: Played) -> str | None:
    """What does not fit, in words; None: all does."""
    if played.error is not None:
        return f"it broke: {played.error}"
    for number, run in enumerate(played.runs):
        if number and any(map(_taught_a_size, played.runs)):
            break
        wrong = next(_wrong(probe, run), None)
        if wrong is not None:
            return f"run {number + 1}: {wrong}"
    return None


def _taught_a_size(run: Run) -> bool:
    """Whether a packet was too large for some device: routes then keep a path MTU of their own (``ip_rt_update_pmtu``,
    ``rt6_do_update_pmtu``, ``skb_tunnel_check_pmtu``), which no snapshot shows.
    """
    live = run.trace.live
    assert live is not None
    told = " ".join((live.forward.why, *live.notes))
    return "EMSGSIZE" in told or "fragmentation needed" in told or "too big" in told


def _wrong(probe: Probe, run: Run) -> Iterator[str]:
    live = run.trace.live
    assert live is not None
    there, back = _taken(run.trace.forward, live.forward), _taken(run.trace.reverse, live.reverse)
    yield from (f"there: {wrong}" for wrong in _way(there, live.forward, run.last[0]))
    yield from (f"back: {wrong}" for wrong in _answer(probe, run, there, back, live.reverse))
    yield from (f"there: {wrong}" for wrong in _times(there, live.forward))
    yield from (f"back: {wrong}" for wrong in _times(back, live.reverse))
    if live.unheard is None:
        yield from (f"there: {wrong}" for wrong in _word(there, live.forward))
        yield from (f"back: {wrong}" for wrong in _word(back, live.reverse))
    yield from _counters(probe, run, there)


def _taken(direction: Direction, way: LiveWay) -> Direction:
    return direction if way.branch == 0 else direction.branches[way.branch - 1]


def _way(direction: Direction, way: LiveWay, last: str | None) -> Iterator[str]:
    """One direction that has a prediction."""
    reason = f" ({direction.drop.reason})" if direction.drop else ""
    told = f"{direction.verdict}{reason}, live {way.verdict}: {way.why}"
    if direction.verdict == UNKNOWN:
        if way.verdict not in (AGREES, FURTHER, LOST, UNHEARD):
            yield f"predicted {told}"
        return
    if way.verdict != AGREES:
        yield f"predicted {told}"
    if direction.verdict == DELIVERED and way.arrived != way.sent:
        yield f"{way.arrived} of {way.sent} arrived, though {told}"
    if direction.verdict == DROPPED and way.arrived:
        yield f"{way.arrived} arrived, though {told}"
    if direction.verdict == DROPPED and way.sent and direction.drop is not None:
        if (way.last.name if way.last else None) != last:
            yield f"seen last at {way.last and way.last.name}, predicted {last}"
        if direction.drop.index not in way.hops:
            yield f"lost at hops {way.hops}, predicted {direction.drop.index}"


def _answer(probe: Probe, run: Run, there: Direction, back: Direction, way: LiveWay) -> Iterator[str]:
    """The answer, of which there may be none."""
    reasons = {one.drop.reason for one in (run.trace.forward, there) if one.drop is not None}
    if not back.hops:
        if way.verdict != AGREES and not (way.verdict == FURTHER and UNTOLD & reasons):
            yield f"no answer is predicted, live {way.verdict}: {way.why}"
    elif there.verdict != DELIVERED:
        if way.verdict not in (UNHEARD, AGREES):
            yield f"the probe is lost, and its answer {way.verdict}: {way.why}"
    elif probe.proto == "udp" and way.verdict == UNHEARD and run.silent:
        return  # who takes a datagram need not answer
    else:
        yield from _way(back, way, run.last[1])


def _times(direction: Direction, way: LiveWay) -> Iterator[str]:
    """All by one clock: no time is negative, or before that of the hop before."""
    before = 0.0
    for hop in direction.hops:
        at_us = None if hop.observed is None else hop.observed.at_us
        if at_us is not None:
            if at_us < before:
                yield f"hop {hop.index} at {at_us} µs, after one at {before} µs"
            before = at_us
        elif hop.observed is not None and hop.observed.seen:
            yield f"hop {hop.index} was seen at no time"
    if way.latency_us is not None and not 0 <= way.latency_us[0] <= way.latency_us[1] <= way.latency_us[2]:
        yield f"latencies {way.latency_us}"
    if direction.verdict == DELIVERED and way.arrived and way.verdict == AGREES and way.latency_us is None:
        yield "it arrived, and took no time that is known"


def _word(direction: Direction, way: LiveWay) -> Iterator[str]:
    """The kernel's own reason."""
    drop = direction.drop
    if drop is None or way.verdict != AGREES or drop.reason in UNTOLD:
        return
    word = drop.kernel
    if word is not None and word.reason != drop.reason:
        if not documented(drop.reason, word.reason, word.location):
            yield f"predicted {drop.reason}, the kernel says {word.reason} in {word.location}"


def _counters(probe: Probe, run: Run, there: Direction) -> Iterator[str]:
    """What the kernel counted. Of TCP also resets count, so no answer is to be told from one by that."""
    live = run.trace.live
    assert live is not None
    if probe.proto == "udp" or (probe.proto == "tcp" and not probe.listening):
        return
    if live.forward.arrived > run.took[0]:
        yield f"{live.forward.arrived} arrived, {probe.target} counted {run.took[0]}"
    if run.took[0] and not live.forward.arrived and there.verdict == DELIVERED:
        yield f"none arrived, {probe.target} counted {run.took[0]}"
    if probe.proto == "icmp" and probe.source != probe.target and live.reverse.arrived != run.took[1]:
        yield f"{live.reverse.arrived} answers arrived, {probe.source} counted {run.took[1]}"
