"""The comparison in words, for a tired operator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from netfs.capture.compare.fate import Course, Fate
from netfs.model.live import AGREES, FURTHER, LOST, OTHER_PATH, STRAY, UNHEARD, KernelWord, Sighting
from netfs.model.packet import Packet
from netfs.model.trace import DELIVERED

Order: TypeAlias = Callable[[Iterable[Sighting]], list[Sighting]]
"""Sightings, oldest first."""

FEW = 6
"""Taps that are named one by one."""


def why(course: Course, one: Fate, word: KernelWord | None, where: str, order: Order) -> str:
    """What became of a packet. ``word``: what the kernel said of its drop, ``where`` that was: ``at node1/eth0``."""
    text = _TEXTS[one.verdict](course, one, order)
    if word is None:
        return text
    dropped = f"dropped {where}: {word.reason}{f' in {word.location}' if word.location else ''}"
    return f"{dropped}; {text}" if one.verdict in (LOST, AGREES) else f"{text}; {dropped}"


def _agrees(course: Course, one: Fate, _order: Order) -> str:
    seen = sum(sighting is not None for sighting in one.run.found)
    if course.way.verdict == DELIVERED:
        deaf = sum(point.sure and found is None for point, found in zip(course.points, one.run.found, strict=True))
        if not deaf:
            return f"seen at all {seen} taps of the way"
        return f"seen at {seen} taps of the way, {deaf} did not tell; it arrived"
    if not seen:
        return "seen nowhere: it left by no device"
    return f"seen up to {_last(course, one)}, and nowhere after"


def _lost(course: Course, one: Fate, _order: Order) -> str:
    if one.last is None:
        nowhere = "not seen" if one.run.reach >= 0 or one.off else "seen nowhere, not even"
        return f"{nowhere} at {_next(course, one)}" if one.next is not None else "seen nowhere"
    if one.next is None:
        seen = one.run.found[-1] if one.run.found else None
        if seen is not None and course.way.verdict == DELIVERED:
            return f"seen at {_last(course, one)} in a frame for {seen.packet.dst_mac}, which is not its own: ignored"
        return f"seen at {_last(course, one)}, nowhere after"
    return f"seen at {_last(course, one)}, not at {_next(course, one)}"


def _other_path(course: Course, one: Fate, order: Order) -> str:
    gap = len(course.points) if one.next is None else one.next
    went = [sighting for sighting in one.run.found[gap:] if sighting is not None]
    if one.next in one.run.altered and went:
        point = course.points[gap]
        return f"at {point.tap.name} it is {flow(went[0].packet)}, not {flow(point.packet)}; {_fate(one)}"
    other = order([*went, *one.off])
    changed = [sighting for index in one.run.altered if index > gap and (sighting := one.run.found[index]) is not None]
    as_what = f" as {flow(changed[0].packet)}" if changed else ""
    return f"{_lost(course, one, order)}; it went {path(other)}{as_what}, and {_fate(one)}"


def _stray(_course: Course, one: Fate, order: Order) -> str:
    return f"it arrived as predicted, and was seen at {path(order(one.off))} too"


def _further(course: Course, one: Fate, order: Order) -> str:
    drop = course.way.drop
    predicted = "not predicted further" if drop is None else f"predicted to be dropped there ({drop.reason})"
    start = f"seen at {_last(course, one)}, {predicted}" if one.last is not None else predicted
    went = f"; it went on: {path(order(one.off))}" if one.off else ""
    return f"{start}{went}; {_fate(one)}"


def _unheard(course: Course, one: Fate, _order: Order) -> str:
    deaf = next((point.tap.name for point in course.points[one.run.reach + 1 :] if point.sure), None)
    seen = "seen nowhere" if one.last is None else f"seen at {_last(course, one)}"
    if deaf is not None:
        return f"{seen}; nobody listens at {deaf}"
    return f"{seen}, which leads where nobody listens" if one.last is not None else "there is no tap on its way"


_TEXTS = {
    AGREES: _agrees,
    LOST: _lost,
    OTHER_PATH: _other_path,
    STRAY: _stray,
    FURTHER: _further,
    UNHEARD: _unheard,
}


def _fate(one: Fate) -> str:
    return "it arrived" if one.arrived else "it did not arrive"


def _last(course: Course, one: Fate) -> str:
    return "" if one.last is None else course.points[one.last].tap.name


def _next(course: Course, one: Fate) -> str:
    return "" if one.next is None else course.points[one.next].tap.name


def flow(packet: Packet) -> str:
    """``10.244.1.2 > 10.244.2.2``, and the tunnel around it."""
    text = f"{packet.src} > {packet.dst}"
    if packet.outer is None:
        return text
    return f"{text} in {packet.outer.kind} {packet.outer.vni} to {packet.outer.dst}"


def path(sightings: Sequence[Sighting]) -> str:
    """``node3/eth0 → node3/cni0``: where a packet was, in the order given."""
    return " → ".join(_few([one.tap.name for one in sightings]))


def listed(names: Iterable[str]) -> str:
    """The names, each once; the middle of a long list left out."""
    return ", ".join(_few(list(names)))


def _few(names: list[str]) -> list[str]:
    once = list(dict.fromkeys(names))
    return once if len(once) <= FEW else [*once[: FEW - 2], "…", once[-1]]


def strangers(course: Course, fates: Iterable[Fate]) -> Iterable[str]:
    """Answers that came home from somewhere else than they were predicted to: whoever asked does not know them."""
    if course.way.verdict != DELIVERED or not course.points:
        return
    known = _end(course.points[-1].packet)
    ends = {_end(seen.packet) for one in fates if (seen := one.run.found[-1]) is not None}
    for src, sport in sorted(end for end in ends - {known} if end[1] and known[1]):
        yield f"an answer came from {src} port {sport}, not {known[0]} port {known[1]}: a connected socket refuses it"


def _end(packet: Packet) -> tuple[str, int]:
    return packet.src, packet.sport or 0


def errors(sightings: Iterable[Sighting]) -> tuple[str, ...]:
    """The ICMP errors that came back, each once, with how often."""
    numbers: dict[str, set[int]] = {}
    for one in sightings:
        if one.role == "error":
            said = one.error or f"{one.packet.icmp_type or 'an error'} (from {one.packet.src})"
            numbers.setdefault(said, set()).add(one.number)
    return tuple(
        f"ICMP: {said}" + (f", {len(about)} times" if len(about) > 1 else "") for said, about in numbers.items()
    )
