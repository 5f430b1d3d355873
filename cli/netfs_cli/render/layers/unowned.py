"""``netfs layers orphans``: what nobody owns, and what is broken."""

from __future__ import annotations

from netfs.model.layer_answers import Orphans
from netfs.model.text import printable
from netfs_cli.render import findings
from netfs_cli.render.ink import Ink
from netfs_cli.render.layers.words import directories, size, tail
from netfs_cli.render.table import table

ORPHAN = "layer-orphan"


def render(answer: Orphans, ink: Ink, *, wide: bool) -> str:
    """A table of directories, then the other findings. ``wide``: files and directories in each."""
    lines: list[str] = []
    if answer.orphans:
        heads = ["SIZE", "MODIFIED", "PATH", "WHY"] + (["FILES", "DIRECTORIES", "NODE"] if wide else [])
        rows: list[list[str | int | None]] = []
        for each in sorted(answer.orphans, key=lambda each: (-each.own.bytes, each.path)):
            more: list[str | int | None] = [each.own.files, each.own.directories, each.node] if wide else []
            rows.append([size(each.own.bytes), each.modified_at, each.path, each.why, *more])
        lines += [table(heads, rows, ink), ink.bold(f"{directories(len(rows))}, {size(answer.bytes)}")]
        fixes = dict.fromkeys(finding.fix for finding in answer.findings if finding.slug == ORPHAN and finding.fix)
        lines += [ink.dim(f"  {printable(fix)}") for fix in fixes]
    elif answer.gaps and not answer.undecided:
        lines.append("nobody's directory was found, as far as could be read")
    elif not answer.undecided:
        lines.append(f"{ink.good(ink.sign('✓'))} every directory is some image's, container's or snapshot's")
    others = [finding for finding in answer.findings if finding.slug != ORPHAN]
    if others:
        lines += ["", *findings.findings(others, ink, None)]
    for doubtful in answer.undecided:
        lines.append(ink.doubtful(f"  ?  it cannot be told who owns what in {printable(doubtful)}"))
    return "\n".join([*lines, *tail(answer.notes, answer.gaps, ink)])
