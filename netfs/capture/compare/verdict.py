"""What was seen of one direction beside its prediction: a verdict, in words and in hops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from netfs.capture.compare import words
from netfs.capture.compare.fate import Course, Fate, Scene, fate, likeliest
from netfs.capture.compare.ground import Key, Place, key_of, place_of, tap_of
from netfs.capture.compare.points import IN
from netfs.capture.compare.times import Times
from netfs.model.live import (
    AGREES,
    FURTHER,
    LOST,
    OTHER_PATH,
    STRAY,
    UNHEARD,
    KernelWord,
    LiveWay,
    Sighting,
)
from netfs.model.trace import Direction, Hop

RANK = (LOST, OTHER_PATH, FURTHER, STRAY, UNHEARD, AGREES)
"""Of fates that as many packets had, which one is told."""

REFUSALS: Mapping[str, frozenset[str]] = {
    "IP_OUTNOROUTES": frozenset({"ENETUNREACH", "EHOSTUNREACH"}),
    "NETFILTER_DROP": frozenset({"EPERM"}),
    "NEIGH_FAILED": frozenset({"EHOSTUNREACH"}),
    "IPV6DISABLED": frozenset({"EADDRNOTAVAIL", "ENETUNREACH", "EACCES", "EAFNOSUPPORT"}),
    "EADDRNOTAVAIL": frozenset({"ENETUNREACH"}),
    "PKT_TOO_BIG": frozenset({"EMSGSIZE"}),
    "EHOSTUNREACH": frozenset({"ENETUNREACH"}),
}
"""The errno with which the kernel refuses a send that ends by a reason, where it is not the reason's own name
(``ip_route_output_key_hash``, ``nf_hook_slow``, ``arp_error_report``, ``skb_tunnel_check_pmtu``)."""


RESETTING = frozenset({"NO_SOCKET", "NETFILTER_DROP"})
"""Drops of a SYN that may be answered by a reset (``tcp_v4_send_reset``, ``nf_send_reset``)."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One direction."""

    way: LiveWay
    course: Course | None = None
    fates: tuple[Fate, ...] = ()
    word: KernelWord | None = None
    """What the kernel said of the drop, where it lies where the packet was lost."""
    notes: tuple[str, ...] = ()


def judge(scene: Scene, ways: Sequence[Course], numbers: Iterable[int], times: Times) -> Judged:
    """The verdict of a direction: what became of the packets of these numbers, of which there must be one.

    Where fates differ, the commonest that is not as predicted is told.
    """
    numbers = sorted(set(numbers))
    course = likeliest(ways)
    others = {number: _other(ways, course, number) for number in numbers}
    if None not in others.values():
        course = max((way for way in others.values() if way is not None), key=list(others.values()).count)
        others = {number: _other(ways, course, number) for number in numbers}
    fates = {number: fate(scene, other or course, number) for number, other in others.items()}
    own = tuple(one for number, one in fates.items() if others[number] is None)
    counted = Counter(one.verdict for one in own)
    verdict = max(RANK, key=lambda name: (name != AGREES and counted[name] > 0, counted[name]))
    told = next(one for one in own if one.verdict == verdict)
    same = frozenset(one.number for one in own if (one.verdict, one.last, one.next) == (verdict, told.last, told.next))
    hops = _interval(course, told)
    word = None if told.arrived else _word(course, told, hops, scene.drops, same)
    arrived = sum(one.arrived for one in fates.values())
    text = words.why(course, told, word, _where(course, told, word), times.order)
    if len(fates) > 1:
        text = f"{text} ({_share(len(same), len(fates))}; {arrived} arrived)"
    gone = verdict in (LOST, OTHER_PATH)
    placed = gone or (verdict == AGREES and course.way.drop is not None)
    way = LiveWay(
        verdict=verdict,
        why=text,
        sent=len(fates),
        arrived=arrived,
        last=course.points[told.last].tap if placed and told.last is not None else None,
        next=course.points[told.next].tap if gone and told.next is not None else None,
        hops=tuple(hop.index for hop in hops) if placed else (),
        elsewhere=_one_each(times.order(sighting for one in own for sighting in one.off)),
        branch=course.branch,
        latency_us=_latency(own, times),
    )
    return Judged(way, course, own, word, tuple(_notes(own, others, times)))


def _latency(fates: Sequence[Fate], times: Times) -> tuple[float, float, float] | None:
    """How long it took from the first tap of the way to the last: least, median, most."""
    taken = [
        took
        for one in fates
        if one.arrived and one.run.found
        if (first := one.run.found[0]) is not None and (last := one.run.found[-1]) is not None
        if (took := times.between(first, last)) is not None
    ]
    return (min(taken), median(taken), max(taken)) if taken else None


def _other(ways: Sequence[Course], chosen: Course, number: int) -> Course | None:
    """Another way that a packet took for sure."""
    best = max(ways, key=lambda course: course.score(number))
    return best if best.score(number)[0] > chosen.score(number)[0] else None


def _share(number: int, of: int) -> str:
    return f"all {of}" if number == of else f"{number} of {of}"


def _interval(course: Course, one: Fate) -> tuple[Hop, ...]:
    """The hops among which a packet was lost: a tap hands it on before the stage it is named after has run, so that of
    the last one seen is among them.
    """
    first = course.points[one.last].hops[0] if one.last is not None else 0
    after = course.points[one.next].hops[0] if one.next is not None else None
    return tuple(hop for hop in course.way.hops if first <= hop.index and (after is None or hop.index <= after))


def _word(
    course: Course, one: Fate, hops: Sequence[Hop], drops: Sequence[KernelWord], numbers: frozenset[int]
) -> KernelWord | None:
    """What the kernel said of a drop among these hops, or where the packet went instead."""
    on_way = {(hop.node, hop.netns_id, hop.device) for hop in hops}
    places = on_way | {(seen.tap.node, seen.tap.netns_id, seen.tap.device) for seen in (*one.off, *one.copies)}
    last = course.points[one.last] if one.last is not None else None
    predicted = course.way.drop.reason if course.way.drop is not None else None
    found = [
        word
        for word in drops
        if (word.number is None or word.number in numbers)
        and (
            word.number is not None
            if word.tap is None
            else (word.tap.node, word.tap.netns_id, word.tap.device) in places
            or (last is not None and key_of(word.tap) == last.key)
        )
    ]

    def rank(word: KernelWord) -> tuple[bool, bool, bool, bool, int]:
        """Before what a copy met elsewhere comes what the packet itself met."""
        own = word.tap is None or (word.tap.node, word.tap.netns_id, word.tap.device) in on_way
        own = own or (last is not None and word.tap is not None and key_of(word.tap) == last.key)
        return word.reason == predicted, own, word.number is not None, word.tap is not None, -word.at_ns

    return max(found, key=rank, default=None)


def _where(course: Course, one: Fate, word: KernelWord | None) -> str:
    """Where a drop is told to be: the predicted place, if that is what the kernel told."""
    drop, hops = course.way.drop, course.way.hops
    if word is None:
        return ""
    if drop is not None and hops and one.verdict == AGREES:  # the outer packet's device is its tunnel's, and the like
        return f"at {tap_of(hops[-1], None).name}"
    if word.tap is not None:
        return word.place
    return f"behind {course.points[one.last].tap.name}" if one.last is not None else "before any device"


def _one_each(sightings: Iterable[Sighting]) -> tuple[Sighting, ...]:
    """The first sighting of each tap."""
    found: dict[Key, Sighting] = {}
    for one in sightings:
        found.setdefault(key_of(one.tap), one)
    return tuple(found.values())


def _notes(fates: Sequence[Fate], others: Mapping[int, Course | None], times: Times) -> Iterable[str]:
    copies = _one_each(times.order(sighting for one in fates for sighting in one.copies))
    if copies:
        yield f"it was flooded: copies were seen at {words.listed(one.tap.name for one in copies)}"
    counted = Counter(course.branch for course in others.values() if course is not None)
    for branch, number in sorted(counted.items()):
        yield f"{number} of {len(others)} took way {branch + 1} of those predicted"


def refused(direction: Direction, errors: Sequence[str]) -> LiveWay:
    """The verdict where the kernel sent nothing."""
    if not errors:
        return LiveWay(UNHEARD, "nothing was sent")
    told = words.listed(errors)
    for branch, way in enumerate(direction.ways):
        drop = way.drop
        if drop is not None and all(error == drop.reason or error in REFUSALS.get(drop.reason, ()) for error in errors):
            return LiveWay(AGREES, f"the kernel refused to send it: {told}", branch=branch)
    return LiveWay(LOST, f"nothing was sent: the kernel refused with {told}")


def unpredicted(direction: Direction, sightings: Sequence[Sighting], home: Place | None, times: Times) -> LiveWay:
    """The verdict of answers that nobody predicted, because the probe was not to arrive.

    ``direction`` is the probe's, ``home`` the namespace that it was sent from.
    """
    if not sightings:
        return LiveWay(AGREES, "no answer was seen, and none was predicted")
    refusing = {way.drop.reason for way in direction.ways if way.drop is not None}
    if not refusing.isdisjoint(RESETTING) and all("rst" in (one.packet.tcp_flags or "") for one in sightings):
        return LiveWay(AGREES, "only a reset was seen: the port was refused")
    numbers = {one.number for one in sightings}
    arrived = {one.number for one in sightings if one.way == IN and place_of(one.tap) == home}
    where = _one_each(times.order(sightings))
    came = "it arrived" if arrived else "it did not arrive"
    text = f"answered, though no answer was predicted: {words.path(where)}; {came}"
    return LiveWay(FURTHER, text, sent=len(numbers), arrived=len(arrived), elsewhere=where)
