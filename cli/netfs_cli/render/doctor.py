"""An examination: verdict, findings, what was not read, verdict again where the list is long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from netfs.model.gaps import Gap
from netfs.model.text import printable
from netfs_cli.render import findings
from netfs_cli.render.ink import Ink
from netfs_cli.render.prose import count

if TYPE_CHECKING:
    from netfs_cli.commands.doctor import Examination

_LONG = 20
"""Lines after which the verdict is repeated at the end."""


def render(answer: Examination, ink: Ink, *, width: int | None, wide: bool) -> str:
    """``wide`` names every gap; otherwise gaps of one kind are counted."""
    verdict = _verdict(answer, ink)
    lines = [verdict, ""]
    if answer.findings:
        lines += findings.findings(answer.findings, ink, width)
    if answer.gaps:
        lines.append(ink.bold("NOT READ"))
        lines += findings.gaps(answer.gaps, ink, width) if wide else _summary(answer.gaps, ink)
        lines.append("")
    if len(lines) > _LONG:
        lines.append(verdict)
    return "\n".join(lines).rstrip("\n") + "\n"


def _verdict(answer: Examination, ink: Ink) -> str:
    seen = f"{count(answer.nodes, 'node')}, {count(answer.pods, 'pod')}"
    tally = findings.tally(answer.findings)
    if answer.verdict == "defective":
        return ink.bad(f"{ink.sign('✗')} DEFECTIVE: {tally}") + f"  ({seen})"
    also = f", {tally}" if tally else ""
    if answer.verdict == "healthy":
        return ink.good(f"{ink.sign('✓')} HEALTHY: no errors{also}") + f"  ({seen})"
    what = "no node was found" if answer.nodes == 0 else f"no errors in what was read{also}, but not all was read"
    return ink.doubtful(f"{ink.sign('?')} UNDECIDED: {what}") + f"  ({seen})"


def _summary(gaps: Sequence[Gap], ink: Ink) -> list[str]:
    kinds = Counter((gap.what, gap.reason) for gap in gaps)
    first = {(gap.what, gap.reason): gap.where for gap in reversed(gaps)}
    lines = []
    for (what, reason), number in kinds.items():
        where = printable(first[what, reason])
        more = f" and {number - 1} more" if number > 1 else ""
        lines.append(f"  {ink.doubtful('?')}  {printable(what)} of {where}{more}: {printable(reason)}")
    if len(kinds) < len(gaps):
        lines.append(ink.dim("  netfs doctor -o wide names them all"))
    return lines
