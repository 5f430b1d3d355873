"""``netfs layers verify``: our merged view beside the kernel's."""

from __future__ import annotations

from collections.abc import Sequence

from netfs.model.layer_answers import Verified
from netfs.model.text import printable
from netfs_cli.render.ink import Ink
from netfs_cli.render.layers.words import brief, tail
from netfs_cli.render.table import table

SKIPPED = 5


def render(found: Sequence[Verified], ink: Ink, *, wide: bool) -> str:
    """A line for each mount, then what differs. ``wide``: everything that was skipped."""
    lines: list[str] = []
    for each in found:
        show = printable if wide else brief
        name, where = show(each.chain.name), show(each.chain.mountpoint)
        number = len(each.differences) + each.more
        sign = ink.good(ink.sign("✓")) if not number else ink.bad(ink.sign("✗"))
        sign = ink.doubtful("?") if each.gaps else sign
        told = f"{each.entries} {'entry' if each.entries == 1 else 'entries'}, "
        told += "as the kernel has it" if not number else f"{number} differ"
        told = "could not be compared" if each.gaps and not each.entries else told
        lines.append(f"{sign} {ink.bold(name)}  {told}" + (f"  {ink.dim(where)}" if where not in ("", name) else ""))
        if each.differences:
            rows = [[one.path, one.what, one.ours, one.kernel] for one in each.differences]
            lines += ["", table(["PATH", "WHAT", "OURS", "KERNEL"], rows, ink)]
        shown = each.skipped if wide else each.skipped[:SKIPPED]
        lines += [ink.dim(f"    not compared: {printable(one)}") for one in shown]
        if len(each.skipped) > len(shown):
            lines.append(ink.dim(f"    and {len(each.skipped) - len(shown)} more"))
        lines += tail((), each.gaps, ink)
    return "\n".join(lines)
