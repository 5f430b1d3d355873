"""Findings and gaps: what is wrong, and what could not be read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netfs.model.findings import Finding
from netfs.model.gaps import Gap
from netfs.model.text import printable
from netfs_cli.render.ink import Ink
from netfs_cli.render.prose import column, commands, count, place

SEVERITIES = ("error", "warning", "info")


def findings(found: Iterable[Finding], ink: Ink, width: int | None) -> list[str]:
    """One block of lines per finding, the severe ones first."""
    ordered = sorted(found, key=lambda f: (_rank(f.severity), f.node, f.object, f.slug))
    return [line for finding in ordered for line in [*_finding(finding, ink, width), ""]]


def gaps(missing: Sequence[Gap], ink: Ink, width: int | None) -> list[str]:
    """What was not read, one line each."""
    lines = []
    for gap in dict.fromkeys(missing):
        head = f"  ?  {printable(gap.where)}  {printable(gap.what)}: "
        lines.append(ink.doubtful(head) + column(gap.reason, len(head), width))
    return lines


def tally(found: Sequence[Finding]) -> str:
    """``2 errors, 1 warning, 1 note``."""
    numbers = [(sum(f.severity == severity for f in found), severity) for severity in SEVERITIES]
    nouns = {"info": "note"}
    return ", ".join(count(number, nouns.get(severity, severity)) for number, severity in numbers if number)


def _finding(finding: Finding, ink: Ink, width: int | None) -> list[str]:
    slug, severity = printable(finding.slug), printable(finding.severity)
    sign, paint = {
        "error": ("✗", ink.bad),
        "warning": ("!", ink.doubtful),
    }.get(finding.severity, ("•", ink.dim))
    lines = [f"  {paint(f'{ink.sign(sign)} {severity:<7}')}  {ink.bold(slug)}  {printable(finding.object)}"]
    lines.append("      " + column(finding.evidence, 6, width))
    if finding.fix:
        where = place(finding.node, finding.netns)
        lines.append("      " + ink.dim(f"fix, in {where}:" if where else "fix:"))
        lines.append("        " + commands(finding.fix))
    return lines


def _rank(severity: str) -> int:
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)
