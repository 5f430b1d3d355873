"""What a real packet did, beside what was predicted: a column of times, and the verdicts of ``--live``.

● LIVE there: agrees: 3 of 3 probes arrived, in 48.1 / 52.0 / 61.7 µs
✗ LIVE back: lost: seen at node2/flannel.1, not at node2/eth0
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from netfs.model.live import AGREES, FURTHER, LOST, OTHER_PATH, STRAY, UNHEARD, KernelWord, Live, LiveWay, Sighting
from netfs.model.packet import Encapsulation
from netfs.model.text import printable
from netfs.model.trace import Hop
from netfs_cli.render import headers
from netfs_cli.render.ink import Ink
from netfs_cli.render.prose import column, count

_WORDS = {
    AGREES: "as predicted",
    LOST: "lost",
    OTHER_PATH: "took another path",
    STRAY: "seen where it should not be",
    FURTHER: "went further than predicted",
}
_SIGNS = {AGREES: "✓", LOST: "✗", OTHER_PATH: "✗", STRAY: "!", FURTHER: "!"}
_ROLES = {"probe": "the probe", "answer": "the answer", "error": "the ICMP error", "reset": "the reset"}
_NOT_SEEN = "not seen"
_ELSEWHERE = 6
"""Taps off the way that are named in the text."""


def verdicts(live: Live, ink: Ink, width: int | None) -> list[str]:
    """A line for each direction, then what else was heard: at the head of the story."""
    lines = [*_way("there", live.forward, live, ink, width)]
    silent = live.reverse.verdict == UNHEARD and live.forward.arrived
    if live.reverse.sent or live.reverse.elsewhere or silent:
        lines += _way("back", live.reverse, live, ink, width)
    return lines


def _way(name: str, way: LiveWay, live: Live, ink: Ink, width: int | None) -> Iterator[str]:
    good = way.verdict == AGREES
    words = _WORDS.get(way.verdict, "not known")
    sign = ink.sign(_SIGNS.get(way.verdict, "?"))
    paint = ink.good if good else ink.bad if way.verdict == LOST else ink.doubtful
    head = f"{sign} LIVE {name}: {words}"
    tally = _tally(name, way, live)
    yield paint(head) + (f"  ({tally})" if tally else "")
    if way.why and not (good and way.arrived):
        yield "  " + column(way.why, 2, width)


def _tally(name: str, way: LiveWay, live: Live) -> str:
    noun = "probe" if name == "there" else "answer"
    of = way.sent
    if not of:
        return "not sent" if name == "there" else ""
    said = f"{way.arrived} of {count(of, noun)} arrived"
    if way.latency_us is None:
        return said
    least, median, most = way.latency_us
    if live.count == 1 or least == most:
        return f"{said} in {median:.1f} µs"
    return f"{said} in {least:.1f} / {median:.1f} / {most:.1f} µs (least / median / most)"


def heard(live: Live, ink: Ink, width: int | None) -> list[str]:
    """What was listened to, and what it told beside the ways: at the end of the story."""
    lines = [ink.bold("LIVE")]
    nodes = {tap.node for tap in live.taps}
    about = f"{count(live.count, 'probe')} marked {printable(live.marker)}; "
    about += f"{count(len(live.taps), 'tap')} on {count(len(nodes), 'node')}"
    lines.append(f"  {about}")
    lines += _drops(live.drops, ink)
    for clock in live.clocks:
        if clock.offset_us is None:
            lines.append(f"  clock of {printable(clock.node)}: not comparable, no packet came both ways")
        else:
            ahead = f"{clock.offset_us:+.1f} µs ± {clock.uncertainty_us:.1f} µs"
            lines.append(f"  clock of {printable(clock.node)}: {ahead} against the source's")
    for name, way in (("there", live.forward), ("back", live.reverse)):
        for one in way.elsewhere[:_ELSEWHERE]:
            lines.append("  " + column(f"also seen, on the way {name}: {_sighting(one, ink)}", 6, width))
        if len(way.elsewhere) > _ELSEWHERE:
            lines.append(f"  and at {count(len(way.elsewhere) - _ELSEWHERE, 'tap')} more (-o json has all)")
    lines += [f"  note: {column(note, 8, width)}" for note in live.notes]
    if live.unheard is not None:
        lines.append(ink.dim(f"  the kernel's own word on drops was not heard: {column(live.unheard, 2, width)}"))
    return [*lines, ""]


def _drops(words: Sequence[KernelWord], ink: Ink) -> Iterator[str]:
    """What the kernel told, each thing once, with how often."""
    told = Counter((_ROLES.get(word.role or "", "a packet"), word.place, word.reason, word.location) for word in words)
    for (what, place, reason, location), often in told.items():
        where = f" {printable(place)}" if place else ""
        times = f", {often} times" if often > 1 else ""
        yield ink.bad(f"  the kernel dropped {what}{where}: {printable(reason)} in {printable(location)}{times}")


def _sighting(one: Sighting, ink: Ink) -> str:
    return f"{printable(one.tap.name)} ({one.way}): {' in '.join(reversed(list(headers.packet(one.packet, ink))))}"


def times(hops: Sequence[Hop]) -> int:
    """Columns that the times of a way take; 0 where none was listened to."""
    return max((len(_when(hop)) for hop in hops), default=0)


def when(hop: Hop, columns: int, ink: Ink) -> str:
    """A hop's place in the column of times, and the gap behind it; nothing where there is no such column."""
    if not columns:
        return ""
    said = _when(hop).rjust(columns)
    seen = hop.observed is None or hop.observed.seen
    return (said if seen else ink.bad(said)) + "  "


def _when(hop: Hop) -> str:
    if hop.observed is None:
        return ""
    if not hop.observed.seen:
        return _NOT_SEEN
    return "seen" if hop.observed.at_us is None else f"+{hop.observed.at_us:.1f} µs"


def outers(hops: Sequence[Hop]) -> dict[int, Encapsulation]:
    """What each hop's packet was seen inside of, by the hop's index: there, or at the next tap in the same tunnel."""
    found: dict[int, Encapsulation] = {}
    seen: Encapsulation | None = None
    for hop in reversed(hops):
        if hop.packet.outer is None:
            seen = None
        elif hop.observed is not None and hop.observed.outer is not None:
            seen = hop.observed.outer
        if seen is not None:
            found[hop.index] = seen
    return found
