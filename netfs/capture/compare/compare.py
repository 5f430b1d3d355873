"""A prediction and what was seen of a real packet: the same trace, with what was observed on its hops."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from netfs.capture.compare import verdict, words
from netfs.capture.compare.align import Heard, heard
from netfs.capture.compare.fate import Course, Scene, courses, likeliest
from netfs.capture.compare.ground import Place, key_of, place_of, views
from netfs.capture.compare.observe import observed
from netfs.capture.compare.points import IN
from netfs.capture.compare.times import Times, times
from netfs.capture.compare.verdict import Judged
from netfs.capture.seen import Seen
from netfs.cluster.netns import NetNsView
from netfs.cluster.topology import Topology
from netfs.model.live import UNHEARD, KernelWord, Live, LiveWay, Sighting
from netfs.model.trace import DELIVERED, Trace

PROBE, ANSWER = "probe", "answer"


def compare(topology: Topology, trace: Trace, seen: Seen, marker: str = "") -> Trace:
    """The trace with ``Hop.observed`` on the hops that a tap can see, ``Drop.kernel``, and ``Trace.live``.

    ``marker``: what the probes were recognised by, in hex. Never raises, whatever was seen.
    """
    nodes = {tap.node for tap in (*seen.taps, *(one.tap for one in seen.sightings))}
    listening = frozenset(key_of(tap) for tap in (*seen.taps, *(one.tap for one in seen.sightings)))
    sent = {one.number for one in seen.sent if one.error is None}
    there = courses(topology, trace.forward, _packets(seen, PROBE, sent), listening)
    back = courses(topology, trace.reverse, _packets(seen, ANSWER, there[0].runs), listening, nameless=True)
    taken = [likeliest(ways).runs for ways in (there, back)]
    numbers = sorted({number for runs in taken for number in runs})
    clock = times(topology, _origin(trace), [runs[number] for number in numbers for runs in taken if number in runs])
    forward = _forward(topology, trace, seen, there, clock)
    reverse = _reverse(topology, trace, seen, back, forward, clock)
    return replace(
        trace,
        forward=observed(trace.forward, forward, forward, listening, clock),
        reverse=observed(trace.reverse, reverse, forward, listening, clock),
        live=Live(
            forward=forward.way,
            reverse=reverse.way,
            count=len(seen.sent),
            marker=marker,
            taps=seen.taps,
            drops=seen.drops,
            unheard=seen.unheard,
            clocks=clock.clocks(nodes),
            notes=tuple(_notes(trace, seen, forward, reverse)),
        ),
    )


def _packets(seen: Seen, role: str, numbers: Iterable[int]) -> Mapping[int, Heard]:
    """What was heard of each packet of a role: those of these numbers, and those that were seen."""
    ones: dict[int, list[Sighting]] = {number: [] for number in numbers}
    for one in seen.sightings:
        if one.role == role:
            ones.setdefault(one.number, []).append(one)
    return {number: heard(found) for number, found in ones.items()}


def _forward(topology: Topology, trace: Trace, seen: Seen, ways: Sequence[Course], clock: Times) -> Judged:
    errors = [one.error for one in seen.sent if one.error is not None]
    numbers = ways[0].runs.keys()
    if not numbers:
        return Judged(verdict.refused(trace.forward, errors))
    answered = frozenset(one.number for one in seen.sightings if one.role == ANSWER and not _is_reset(one))
    goals = _goals(topology, trace)
    scene = Scene(topology, answered, seen.lost > 0, goals, _of_role(seen.drops, PROBE))
    judged = verdict.judge(scene, ways, numbers, clock)
    if errors:
        note = f"the kernel refused to send {len(errors)} of {len(seen.sent)}: {words.listed(errors)}"
        judged = replace(judged, notes=(*judged.notes, note))
    return judged


def _reverse(
    topology: Topology, trace: Trace, seen: Seen, ways: Sequence[Course], there: Judged, clock: Times
) -> Judged:
    answers = [one for one in seen.sightings if one.role == ANSWER]
    source = _source(topology, trace)
    home = (source.node.name, source.netns.id) if source is not None else None
    if not trace.reverse.hops:
        return Judged(verdict.unpredicted(trace.forward, answers, home, clock))
    answered = {one.number for one in answers}
    arrived = {one.number for one in there.fates if one.arrived}
    if not answered and not arrived:
        return Judged(LiveWay(UNHEARD, "no answer was seen: the probe did not arrive"))
    if not answered and trace.forward.hops[0].packet.proto == "udp":
        return Judged(LiveWay(UNHEARD, "no answer was seen: who takes a datagram need not answer"))
    goals = {home: source} if home is not None and source is not None else {}
    scene = Scene(topology, frozenset(), seen.lost > 0, goals, _of_role(seen.drops, ANSWER))
    judged = verdict.judge(scene, ways, answered | arrived, clock)
    return replace(judged, way=replace(judged.way, sent=len(answered)))


def _of_role(drops: Sequence[KernelWord], role: str) -> tuple[KernelWord, ...]:
    return tuple(word for word in drops if word.role in (None, role))


def _is_reset(one: Sighting) -> bool:
    return "rst" in (one.packet.tcp_flags or "")


def _origin(trace: Trace) -> str:
    """The node the probe was sent from."""
    return trace.forward.hops[0].node if trace.forward.hops else trace.source.node or ""


def _source(topology: Topology, trace: Trace) -> NetNsView | None:
    """The namespace the probe was sent from."""
    hops = trace.forward.hops
    return views(topology).get((hops[0].node, hops[0].netns_id)) if hops else None


def _goals(topology: Topology, trace: Trace) -> Mapping[Place, NetNsView]:
    """The namespaces that the packet is for: where the predicted ways end, else whoever holds the address."""
    places = {
        (way.hops[-1].node, way.hops[-1].netns_id)
        for way in (trace.forward, *trace.forward.branches)
        if way.verdict == DELIVERED and way.hops
    }
    if not places:
        owners = topology.owners.get(trace.destination.ip, ())
        places = {(port.view.node.name, port.view.netns.id) for port in owners}
    known = views(topology)
    return {place: known[place] for place in places if place in known}


def _notes(trace: Trace, seen: Seen, there: Judged, back: Judged) -> Iterable[str]:
    yield from seen.deaf
    yield from words.errors(seen.sightings)
    first = next((hop for hop in trace.forward.hops), None)
    home = (first.node, first.netns_id) if first is not None else None
    answers = [one for one in seen.sightings if one.role == ANSWER]
    came = [one for one in answers if one.way == IN and place_of(one.tap) == home]
    resets = [one for one in answers if _is_reset(one)]
    if resets:
        numbers = {one.number for one in resets}
        which = f", for {len(numbers)} of {len(seen.sent)} probes" if len(numbers) < len(seen.sent) else ""
        how = "came back" if any(_is_reset(one) for one in came) else "was sent"
        yield f"a reset {how}, not an answer (from {resets[0].packet.src}{which})"
    if back.course is not None:
        yield from words.strangers(back.course, back.fates)
    yield from (f"there: {note}" for note in there.notes)
    yield from (f"back: {note}" for note in back.notes)
    if seen.lost:
        yield f"the taps had no room for {seen.lost} packets: what was not seen may have passed"
