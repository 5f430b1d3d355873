"""A decoded capture: what the file is, its flows, what is suspicious, what could not be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from shlex import quote

from netfs.capture.flows.words import short
from netfs.model.flows import Decoded, Flow, Suspicion
from netfs.model.text import printable
from netfs_cli.render import conversations
from netfs_cli.render.conversations import Conversation, size
from netfs_cli.render.ink import Ink
from netfs_cli.render.prose import column, count
from netfs_cli.render.table import GAP, cells_wide, table

SEVERITIES = ("error", "warning", "info")
INTERFACES = 60
"""So many letters of names of interfaces are shown; of more, how many interfaces there are."""
NOTES = 24
"""Less room than this is too little for notes."""
NUMBERS = frozenset({"PACKETS", "BACK", "BYTES", "BEGINS", "SECONDS", "LARGEST"})
"""Columns that are read from the right."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How much is shown, and what is to be said about it."""

    wide: bool = False
    """Every flow in a line of its own, with all that is known of it."""
    limit: int | None = None
    sort: str = "bytes"
    left_out: int = 0
    """Flows that the user did not ask for."""
    sources: tuple[str, ...] = ()
    """Sources that the user named, as URIs: the commands that are shown ask the same ones."""


def render(answer: Decoded, ink: Ink, *, width: int | None, wish: Wish) -> str:
    """The file and the verdict first; what is to be done about it last, where a terminal leaves the eye."""
    lines = [*_file(answer, ink, width), _verdict(answer.suspicions, ink), ""]
    lines += _wide(answer, ink, wish) if wish.wide else _flows(answer, ink, width, wish)
    asked = "".join(f" --source {quote(each)}" for each in wish.sources)
    if answer.suspicions:
        lines += ["", ink.bold("SUSPICIOUS")]
        lines += [line for each in answer.suspicions for line in _told(each, ink, width, asked)]
    if answer.warnings:
        lines += ["", ink.bold("WARNINGS")]
        for each in answer.warnings:
            head = f"  byte {each.offset}: "
            lines.append(ink.doubtful(head) + column(each.what, len(head), width))
    return "\n".join(lines) + "\n"


def _file(answer: Decoded, ink: Ink, width: int | None) -> list[str]:
    name = "stdin" if answer.file == "-" else printable(answer.file)
    facts = [answer.format, count(answer.packets, "packet"), size(answer.bytes)]
    if answer.first_ns is not None and answer.last_ns is not None:
        facts.append(f"{(answer.last_ns - answer.first_ns) / 1e9:.3f} s from {_moment(answer.first_ns)}")
    named = ", ".join(each for each in answer.interfaces if each)
    facts += [] if not named else [named if len(named) <= INTERFACES else count(len(answer.interfaces), "interface")]
    return [ink.bold(name), "  " + column(", ".join(facts), 2, width)]


def _verdict(suspicions: Sequence[Suspicion], ink: Ink) -> str:
    numbers = [(sum(each.severity == severity for each in suspicions), severity) for severity in SEVERITIES]
    tally = ", ".join(count(number, {"info": "note"}.get(severity, severity)) for number, severity in numbers if number)
    if numbers[0][0]:
        return ink.bad(f"{ink.sign('✗')} SUSPICIOUS: {tally}")
    if numbers[1][0]:
        return ink.doubtful(f"{ink.sign('!')} SUSPICIOUS: {tally}")
    return ink.good(f"{ink.sign('✓')} nothing suspicious") + (f"  ({tally})" if tally else "")


def _flows(answer: Decoded, ink: Ink, width: int | None, wish: Wish) -> list[str]:
    """Conversations: both directions in a line, under the tunnel that they are in."""
    every = conversations.of(answer.flows)
    rows = every if wish.limit is None else every[: wish.limit]
    head = _heading("CONVERSATIONS", len(rows), len(every), wish, ink)
    if not rows:
        return [head]
    groups: dict[str, list[Conversation]] = {}
    for row in rows:
        groups.setdefault(row.place, []).append(row)
    ordered = [row for group in groups.values() for row in group]
    drawn = _fitting(ordered, ink, width)
    lines = [head]
    if set(groups) == {""}:
        return [*lines, *drawn]
    lines.append(drawn[0])
    at = 1
    for place, group in groups.items():
        lines.append("  " + (ink.tunnel(column(place, 4, width)) if place else "in no tunnel"))
        lines += drawn[at : at + len(group)]
        at += len(group)
    return lines


def _fitting(rows: Sequence[Conversation], ink: Ink, width: int | None) -> list[str]:
    """The table, head first. Where a terminal is too narrow it has fewer notes, then no bytes of the way back, then no
    bytes.
    """
    drawn: list[str] = []
    needed = min(NOTES, max(len(", ".join(row.notes)) for row in rows))
    for left_out in ((), (6,), (5, 6)):
        bare = _table(rows, ink, left_out, [""] * len(rows))
        room = None if width is None else width - max(map(cells_wide, bare)) - (len(GAP) if needed else 0)
        drawn = _table(rows, ink, left_out, [_notes(row.notes, room) for row in rows])
        if room is None or room >= needed:
            break
    return drawn


def _table(rows: Sequence[Conversation], ink: Ink, left_out: Sequence[int], notes: Sequence[str]) -> list[str]:
    every = [
        (
            _end(row.first.src_name, row.first.src, row.first.sport),
            _end(row.first.dst_name, row.first.dst, row.first.dport),
            row.first.proto,
            str(row.packets),
            str(row.packets_back),
            size(row.bytes),
            size(row.bytes_back),
            said or " ",
        )
        for row, said in zip(rows, notes, strict=True)
    ]
    heads = ("FROM", "TO", "PROTO", "PACKETS", "BACK", "BYTES", "BACK", "NOTES" if any(notes) else " ")
    kept = [number for number in range(len(heads)) if number not in left_out]
    return _drawn([heads[number] for number in kept], [[row[number] for number in kept] for row in every], ink)


def _notes(notes: Sequence[str], room: int | None) -> str:
    """As many notes as there is room for, whole ones."""
    said = ""
    for note in notes:
        longer = f"{said}, {note}" if said else note
        whole = longer == ", ".join(notes)
        if room is not None and len(longer) + (0 if whole else len(", …")) > room:
            return f"{said}, …" if said else "…"
        said = longer
    return said


def _drawn(heads: list[str], rows: list[list[str]], ink: Ink) -> list[str]:
    """The lines of a table, its numbers moved to the right of their columns."""
    every = [heads, *rows]
    for at, head in enumerate(heads):
        if head in NUMBERS:
            room = max(len(row[at]) for row in every)
            for row in every:
                row[at] = row[at].rjust(room)
    return [f"    {line}" for line in table(heads, rows, ink).splitlines()]


def _wide(answer: Decoded, ink: Ink, wish: Wish) -> list[str]:
    """One direction in a line, with every tunnel around it and all that was counted."""
    flows = answer.flows if wish.limit is None else answer.flows[: wish.limit]
    head = _heading("FLOWS", len(flows), len(answer.flows), wish, ink)
    if not flows:
        return [head]
    heads = [
        "FROM",
        "TO",
        "PROTO",
        "TUNNELS",
        "PACKETS",
        "BYTES",
        "BEGINS",
        "SECONDS",
        "LARGEST",
        "TTL",
        "NOTES",
        "SEEN AT",
    ]
    start = answer.first_ns or 0
    rows = [
        [
            _end(flow.src_name, flow.src, flow.sport, address_too=True),
            _end(flow.dst_name, flow.dst, flow.dport, address_too=True),
            flow.proto,
            conversations.tunnels(flow),
            str(flow.packets),
            str(flow.bytes),
            f"{(flow.first_ns - start) / 1e9:.6f}",
            f"{(flow.last_ns - flow.first_ns) / 1e9:.6f}",
            str(flow.largest),
            _ttl(flow),
            ", ".join(conversations.notes((flow,))),
            ", ".join(f"{name}: {packets}" for name, packets in flow.taps),
        ]
        for flow in flows
    ]
    return [head, *_drawn(heads, rows, ink)]


def _heading(what: str, shown: int, every: int, wish: Wish, ink: Ink) -> str:
    aside = f"; {count(wish.left_out, 'flow')} of the file not asked for" if wish.left_out else ""
    order = {"bytes": "most bytes first", "packets": "most packets first", "time": "earliest first"}[wish.sort]
    if not every:
        return f"{ink.bold(what)}  none{aside}"
    part = f"{shown} of {every}, {order}; --all shows them all" if shown < every else f"{every}, {order}"
    return f"{ink.bold(what)}  {part}{aside}"


def _told(suspicion: Suspicion, ink: Ink, width: int | None, asked: str) -> list[str]:
    sign, paint = {"error": ("✗", ink.bad), "warning": ("!", ink.doubtful)}.get(suspicion.severity, ("•", ink.dim))
    head = f"  {paint(f'{ink.sign(sign)} {printable(suspicion.severity):<7}')}  {ink.bold(printable(suspicion.slug))}"
    look = [f"      {ink.dim('look: ')}{printable(suspicion.look + asked)}"] if suspicion.look else []
    return [head, "      " + column(suspicion.why, 6, width), *look]


def _end(name: str | None, address: str, port: int | None, *, address_too: bool = False) -> str:
    tail = f":{port}" if port is not None else ""
    if name is not None:
        return f"{short(name)}{tail}" + (f" ({address})" if address_too else "")
    return f"[{address}]{tail}" if tail and ":" in address else f"{address}{tail}"


def _ttl(flow: Flow) -> str:
    if flow.ttl_least is None:
        return ""
    return str(flow.ttl_least) if flow.ttl_least == flow.ttl_most else f"{flow.ttl_least}-{flow.ttl_most}"


def _moment(at_ns: int) -> str:
    """A time of day, in UTC. What lies beyond all calendars is told in seconds since the epoch."""
    try:
        return datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{at_ns / 1e9:.0f} s after 1970"
