"""Faults of the catalogue, one at length or all in a list."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING

from netfs.model.text import printable
from netfs_cli.render.ink import Ink
from netfs_cli.render.prose import column

if TYPE_CHECKING:
    from netfs_cli.commands.explain import Explanation


def fault(told: Explanation, ink: Ink, *, width: int | None) -> str:
    """One fault: how it shows, what becomes of packets, how it is repaired, how to try it."""
    lines = [
        f"{ink.bold(printable(told.slug))}  ({printable(told.severity)}, {printable(told.group_title)})",
        "",
    ]
    paragraphs = [("shows as", told.evidence), ("effect", told.effect), ("repair", told.repair), ("seen", told.seen)]
    lines += [f"  {ink.dim(f'{head:<9}')} {column(text, 12, width)}" for head, text in paragraphs if text]
    if told.found_by is not None:
        lines += [f"  {ink.dim('found by ')} {printable(told.found_by)}"]
    if not told.found:
        lines += ["", f"  {ink.dim('This version does not look for it.')}"]
    heads = ["try it", *[""] * len(told.try_it)]
    lines += [""] if told.try_it else []
    lines += [f"  {ink.dim(f'{head:<9}')} {printable(text)}" for head, text in zip(heads, told.try_it, strict=False)]
    return "\n".join(lines) + "\n"


def catalogue(items: Iterable[Explanation], ink: Ink, *, width: int | None) -> str:
    """Every fault by group; signs mark what the lab can break and what this version does not look for."""
    lines: list[str] = []
    told = list(items)
    slugs = max((len(fault.slug) for fault in told), default=0)
    for (group, title), members in groupby(told, key=lambda fault: (fault.group, fault.group_title)):
        lines.append(f"{ink.bold(printable(title))} ({printable(group)})")
        for fault in members:
            mark = "*" if fault.in_lab else " " if fault.found else "-"
            evidence = column(fault.evidence, slugs + 6, width)
            lines.append(f"  {mark} {printable(fault.slug):<{slugs}}  {evidence}")
        lines.append("")
    lines.append(f"{len(told)} faults. More on one: netfs explain SLUG")
    lines.append("  *  can be tried: netfs lab break SLUG")
    if not all(fault.found for fault in told):
        lines.append("  -  this version does not look for it")
    return "\n".join(lines) + "\n"
