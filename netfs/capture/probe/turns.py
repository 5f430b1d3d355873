"""Which probe an answer is of that does not say so: who takes a datagram need not repeat it.

Whoever answers does so in turn. So where the first of such answers was seen, each is that of the oldest probe which
had come there by then and has none yet; one too many is that of the last probe. On their way the answers keep their
order: everywhere else the n-th is of the same probe as the n-th there, whatever clock that node has.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netfs.model.live import Sighting, TapRef


def numbers(nameless: Sequence[Sighting], probes: Iterable[Sighting]) -> list[int]:
    """The probe that each of these sightings is an answer to, or an error about; 0 where none came before."""
    order = sorted(range(len(nameless)), key=lambda index: nameless[index].at_ns)
    if not order:
        return []
    first = nameless[order[0]]
    came = _came(first.tap, probes)
    at_taps: dict[tuple[str, int, int, str], list[int]] = {}
    for index in order:
        one = nameless[index]
        at_taps.setdefault((one.tap.node, one.tap.netns_id, one.tap.index, one.way), []).append(index)
    known = _in_turn([nameless[index].at_ns for index in next(iter(at_taps.values()))], came)
    found = [0] * len(nameless)
    for indexes in at_taps.values():
        for turn, index in enumerate(indexes):
            found[index] = known[min(turn, len(known) - 1)]
    return found


def _came(tap: TapRef, probes: Iterable[Sighting]) -> list[tuple[int, int]]:
    """(When, number) of each probe in a tap's namespace, else on its node: once, by time."""
    here: dict[int, int] = {}
    near: dict[int, int] = {}
    for one in probes:
        if one.tap.node == tap.node:
            near[one.number] = min(one.at_ns, near.get(one.number, one.at_ns))
            if one.tap.netns_id == tap.netns_id:
                here[one.number] = min(one.at_ns, here.get(one.number, one.at_ns))
    return sorted((at_ns, number) for number, at_ns in (here or near).items())


def _in_turn(answers: Sequence[int], came: Sequence[tuple[int, int]]) -> list[int]:
    """The probe of each answer at one tap; ``answers`` are their times."""
    found: list[int] = []
    turn = there = 0
    for at_ns in answers:
        while there < len(came) and came[there][0] <= at_ns:
            there += 1
        found.append(came[min(turn, there - 1)][1] if there else 0)
        turn = min(turn + 1, there)
    return found
