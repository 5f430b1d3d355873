"""``netfs layers diff``: what a container changed, as ``docker diff`` prints it."""

from __future__ import annotations

from netfs.model.layer_answers import Diff
from netfs.model.text import printable
from netfs_cli.render.ink import Ink
from netfs_cli.render.layers.words import size, tail


def render(answer: Diff, ink: Ink, *, wide: bool) -> str:
    """A line for each change: its letter and the path. ``wide``: type and size as well."""
    paint = {"A": ink.good, "D": ink.bad, "C": ink.doubtful}
    lines = []
    for change in answer.changes:
        facts = f" {printable(change.type):<9}  {size(change.size):>9} " if wide else ""
        lines.append(f"{paint[change.kind](change.kind)}{facts} {printable(change.path)}")
    if not lines:
        lines = [ink.dim("nothing was changed")]
    return "\n".join([*lines, *tail((), answer.gaps, ink)])
