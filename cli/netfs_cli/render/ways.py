"""The ways of a direction that splits, in words: by equal-cost routes, or by a rule's chance."""

from __future__ import annotations

from netfs.model.text import printable
from netfs.model.trace import Direction, EndpointRef, Trace
from netfs_cli.render.ink import Ink


def backends(trace: Trace, ink: Ink) -> list[str]:
    """Who takes the packet, where that is not the endpoint named: a line for each, with its share."""
    arrow = ink.sign("→")
    return [
        f"  {arrow} {_end(way.reached)}{_share(way, '  ')}{_failed(way)}"
        for way in trace.forward.ways
        if way.reached is not None
    ]


def named(way: Direction, number: int) -> str:
    """What a way is called: ``equal-cost way 2``, ``way 2 (33.3 % of connections, to default/pod-b)``."""
    return f"equal-cost way {number}" if way.share is None else f"way {number} ({chance(way)})"


def chance(way: Direction) -> str:
    """How many connections go a way, and to whom: ``33.3 % of connections, to default/pod-b``."""
    return _share(way, "") + (f", to {printable(way.reached.name)}" if way.reached is not None else "")


def part(direction: Direction, verdict: str) -> str:
    """How many of the ways end so: `` (by 1 of 2 equal-cost ways)``; nothing where there is one way."""
    if not direction.branches:
        return ""
    ways = [direction, *direction.branches]
    same = [way for way in ways if way.verdict == verdict]
    if any(way.share is None for way in ways):
        return f" (by {len(same)} of {len(ways)} equal-cost ways)"
    return f" (by {len(same)} of {len(ways)} ways, {_percent(sum(way.share or 0 for way in same))} of connections)"


def _end(end: EndpointRef) -> str:
    return f"{printable(end.name)}{f' on {printable(end.node)}' if end.node else ''} ({printable(end.ip)})"


def _share(way: Direction, before: str) -> str:
    return "" if way.share is None else f"{before}{_percent(way.share)} of connections"


def _failed(way: Direction) -> str:
    return "" if way.verdict == "delivered" else f"  ({printable(way.verdict)})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}".removesuffix(".0") + " %"
