"""A trace as a story: verdict, the way there, the way back, what is wrong, verdict again.

    default/pod-a → default/pod-b  icmp, 84 bytes
    ✓ DELIVERED there and back  (19 hops there, 19 hops back)

    THERE  default/pod-a on node1 (10.244.1.2) → default/pod-b on node2 (10.244.2.2)
      node1
        pod-a
            1  eth0       output       default via 10.244.1.1 dev eth0
        node1
            7  flannel.1  encapsulate  VXLAN to 192.168.52.12 port 8472 VNI 1
               │ inside VXLAN vni 1: 192.168.52.11 → 192.168.52.12, UDP port 8472
            8  │ eth0     output       192.168.52.0/24 dev eth0

A bar stands before the device for every tunnel that the packet is inside of.
"""

from __future__ import annotations

from collections.abc import Iterator

from netfs.model.packet import Encapsulation, Packet
from netfs.model.text import printable
from netfs.model.trace import DELIVERED, DROPPED, Direction, Drop, Hop, Trace
from netfs_cli.render import findings, headers, live, rules, ways
from netfs_cli.render.ink import Ink
from netfs_cli.render.prose import column, commands, count, place
from netfs_cli.render.table import cells_wide, pad

_MARGIN = " " * 11
"""Columns before a device: the indentation and the hop's number."""


def render(trace: Trace, ink: Ink, *, width: int | None, wide: bool) -> str:
    """The whole story. ``wide`` adds each hop's packet headers and the entry that decided."""
    story = _Story(ink, width, wide)
    ends = f"{printable(trace.source.name)} {ink.sign('→')} {printable(trace.destination.name)}"
    verdict = _verdict(trace, ink, width)
    if trace.live is not None:
        verdict += live.verdicts(trace.live, ink, width)
    lines = [ink.bold(ends) + _request(trace, ink), *verdict, *ways.backends(trace, ink)]
    lines += [*(ink.dim(f"  note: {printable(note)}") for note in trace.notes), ""]
    lines += story.direction("THERE", trace.forward, _ends(trace, ink, back=False))
    if trace.reverse.hops or trace.reverse.verdict == DROPPED:
        lines += story.direction("BACK", trace.reverse, _ends(trace, ink, back=True))
    else:
        lines += [ink.bold("BACK") + "  " + column(_no_answer(trace), 6, width), ""]
    if not wide and any(rules.hidden(hop) for way in trace.ways for hop in way.hops):
        lines += [ink.dim("Hops whose rules decided nothing are left out; -o wide shows them."), ""]
    if trace.live is not None:
        lines += live.heard(trace.live, ink, width)
    if trace.findings:
        lines += [ink.bold("FINDINGS"), *findings.findings(trace.findings, ink, width)]
    if trace.gaps:
        lines += [ink.bold("NOT READ"), *findings.gaps(trace.gaps, ink, width), ""]
    return "\n".join([*lines, *verdict]) + "\n"


def _verdict(trace: Trace, ink: Ink, width: int | None) -> list[str]:
    there, back = trace.forward, trace.reverse
    if trace.verdict == DELIVERED:
        hops = f"{count(len(there.hops), 'hop')} there, {count(len(back.hops), 'hop')} back"
        note = f", but {findings.tally(trace.findings)} on the way" if trace.findings else ""
        return [ink.good(f"{ink.sign('✓')} DELIVERED there and back") + f"  ({hops}{note})"]
    way, direction = ("on the way there", there) if there.verdict == trace.verdict else ("on the way back", back)
    way += ways.part(direction, trace.verdict)
    if trace.verdict == DROPPED:
        return _dropped(way, direction, ink, width)
    head = f"{ink.sign('?')} UNDECIDED {way}"
    reason = direction.unknown or _first_unknown(direction) or "something that decides could not be read"
    return [ink.doubtful(head), "  " + column(reason, 2, width)]


def _dropped(way: str, direction: Direction, ink: Ink, width: int | None) -> list[str]:
    drop = direction.drop or _branch_drop(direction)
    if drop is None:
        return [ink.bad(f"{ink.sign('✗')} DROPPED {way}")]
    where = f"{_at(drop)}{printable(drop.device)} in {place(drop.node, drop.netns)}"
    head = ink.bad(f"{ink.sign('✗')} DROPPED {way}") + f", {where}: {printable(drop.reason)}"
    return [head, "  " + column(drop.why, 2, width)]


def _at(drop: Drop) -> str:
    """A packet that never set out was lost at no hop."""
    return f"hop {drop.index}, " if drop.index else ""


def _no_answer(trace: Trace) -> str:
    if trace.reverse.unknown:
        return trace.reverse.unknown
    if trace.forward.verdict == DELIVERED:
        return "the way of the answer is not known"
    return "there is no answer to follow, since the request does not arrive"


def _branch_drop(direction: Direction) -> Drop | None:
    return next((branch.drop for branch in direction.branches if branch.drop is not None), None)


def _first_unknown(direction: Direction) -> str | None:
    return next((branch.unknown for branch in direction.branches if branch.unknown), None)


def _request(trace: Trace, ink: Ink) -> str:
    if not trace.forward.hops:
        return ""
    return "  " + ink.dim(headers.request(trace.forward.hops[0].packet))


def _ends(trace: Trace, ink: Ink, *, back: bool) -> str:
    ends = [
        f"{printable(end.name)}{f' on {printable(end.node)}' if end.node else ''} ({printable(end.ip)})"
        for end in (trace.source, trace.destination)
    ]
    return f" {ink.sign('→')} ".join(reversed(ends) if back else ends)


class _Story:
    """The hops of a direction as lines."""

    def __init__(self, ink: Ink, width: int | None, wide: bool) -> None:
        self.ink = ink
        self.width = width
        self.wide = wide

    def direction(self, title: str, direction: Direction, ends: str) -> list[str]:
        """A heading, the hops, and the other ways that an equal-cost route or a rule's chance may take."""
        lines = [f"{self.ink.bold(title)}  {ends}", *self._way(direction), ""]
        if direction.share is not None:
            lines[0] += self.ink.dim(f"  {ways.chance(direction)}")
        for number, branch in enumerate(direction.branches, 2):
            shared = _shared(direction, branch)
            as_above = f", to hop {shared} as above" if shared else ""
            lines.append(f"{self.ink.bold(title)}, {ways.named(branch, number)}: {self._word(branch)}{as_above}")
            lines += [*self._way(branch, shared), ""]
        return lines

    def _word(self, direction: Direction) -> str:
        if direction.verdict == DELIVERED:
            return self.ink.good(f"{self.ink.sign('✓')} delivered")
        if direction.verdict == DROPPED:
            return self.ink.bad(f"{self.ink.sign('✗')} dropped")
        return self.ink.doubtful(f"{self.ink.sign('?')} undecided")

    def _way(self, direction: Direction, skipped: int = 0) -> list[str]:
        hops = [hop for hop in direction.hops[skipped:] if self.wide or not rules.hidden(hop)]
        devices = max((2 * _bars(hop) + cells_wide(printable(hop.device)) for hop in hops), default=0)
        stages = max((cells_wide(printable(hop.stage)) for hop in hops), default=0)
        times = live.times(hops)
        lines: list[str] = []
        before: Hop | None = None
        outers = live.outers(hops)
        for hop in hops:
            lines += self._tunnel(before, hop, outers.get(hop.index))
            lines += self._headings(before, hop)
            lines += self._hop(hop, before, devices, stages, times, direction.drop)
            before = hop
        drop = direction.drop
        if drop is not None:
            lines += self._drop(drop, told=before is not None and before.why == drop.why)
        elif direction.verdict not in (DELIVERED, DROPPED) and hops:
            reason = direction.unknown or "what decides here could not be read"
            lines.append(f"    {self.ink.doubtful('? NOT KNOWN beyond here')}")
            lines.append(f"      {column(reason, 6, self.width)}")
        return lines

    def _headings(self, before: Hop | None, hop: Hop) -> Iterator[str]:
        if before is None or before.node != hop.node:
            yield f"  {self.ink.bold(printable(hop.node))}"
        elif (before.netns, before.netns_id) == (hop.netns, hop.netns_id):
            return
        if (before is not None and before.node == hop.node) or hop.netns != hop.node:
            yield f"    {printable(hop.netns)}"

    def _hop(
        self, hop: Hop, before: Hop | None, devices: int, stages: int, times: int, drop: Drop | None
    ) -> Iterator[str]:
        lost = drop is not None and drop.index == hop.index
        bars = self.ink.tunnel(f"{self.ink.sign('│')} " * _bars(hop))
        device = bars + pad(printable(hop.device), devices - 2 * _bars(hop))
        sign = self.ink.bad(self.ink.sign("✗")) + " " * (2 - cells_wide(self.ink.sign("✗"))) if lost else "  "
        indent = len(_MARGIN) + devices + 2 + stages + 2 + (times + 2 if times else 0)
        when = live.when(hop, times, self.ink)
        yield (
            f"    {sign}{hop.index:>3}  {device}  {pad(printable(hop.stage), stages)}  {when}"
            f"{column(hop.why, indent, self.width)}"
        ).rstrip()
        yield from rules.rules(hop, self.ink, indent=len(_MARGIN) + devices + 2, width=self.width, wide=self.wide)
        if self.wide:
            yield from self._headers(hop, before)

    def _tunnel(self, before: Hop | None, hop: Hop, seen: Encapsulation | None) -> Iterator[str]:
        """What the packet is inside of now, where it was not before; as it was seen, if it was."""
        if before is not None and _bars(hop) > _bars(before):
            outer = headers.tunnel(seen or headers.layers(hop.packet)[-1], self.ink)
            yield _MARGIN + self.ink.tunnel(f"{self.ink.sign('│')} inside {outer}")

    def _headers(self, hop: Hop, before: Hop | None) -> Iterator[str]:
        if before is None or before.packet != hop.packet:
            yield from (_MARGIN + self.ink.dim(line) for line in headers.packet(hop.packet, self.ink))
        if hop.observed is not None and hop.observed.outer is not None:
            yield _MARGIN + self.ink.dim(f"seen in {headers.layer(hop.observed.outer, self.ink)}")
        if hop.evidence and hop.evidence not in hop.why and not hop.rules:
            yield _MARGIN + self.ink.dim(f"by: {printable(hop.evidence)}")

    def _drop(self, drop: Drop, *, told: bool) -> Iterator[str]:
        sign = self.ink.sign("✗")
        where = f"{_at(drop)}{printable(drop.device)} in {place(drop.node, drop.netns)}"
        reason = self.ink.bold(printable(drop.reason))
        yield f"    {self.ink.bad(f'{sign} DROPPED')} at {where}: {reason}"
        if not told:
            yield f"      why: {column(drop.why, 11, self.width)}"
        if drop.kernel is not None:
            yield f"      the kernel says: {printable(drop.kernel.reason)} at {printable(drop.kernel.location)}"
        if drop.fix:
            yield f"      fix, in {place(drop.node, drop.netns)}:"
            yield f"        {commands(drop.fix)}"
        if drop.slug:
            yield self.ink.dim(f"      more: netfs explain {printable(drop.slug)}")


def _shared(one: Direction, other: Direction) -> int:
    """How many hops two ways have in common at their beginning; the last one is always told."""
    same = 0
    while same < min(len(one.hops), len(other.hops) - 1) and one.hops[same] == other.hops[same]:
        same += 1
    return same


def _depth(packet: Packet) -> int:
    """How many tunnels the packet is inside of."""
    return len(headers.layers(packet))


def _bars(hop: Hop) -> int:
    """Bars before a hop's device: the tunnel device itself stands outside of its tunnel."""
    return max(_depth(hop.packet) - (hop.action == "encapsulate"), 0)
