"""``netfs namespaces``: a table or a tree, what leaked, what was not read."""

from __future__ import annotations

from netfs.model.namespaces import Namespaces
from netfs_cli.render import findings
from netfs_cli.render.ink import Ink
from netfs_cli.render.layers.words import tail


def render(
    answer: Namespaces, ink: Ink, *, width: int | None, wide: bool, tree: bool, columns: int | None = None
) -> str:
    """The namespaces, then findings, notes and gaps. ``wide``: all that is known of each, the node's own too."""
    from netfs_cli.render.namespaces import listing, nested

    if not answer.namespaces:
        lines = ["no namespace was found"]
    else:
        lines = (
            nested.lines(answer, ink) if tree else listing.lines(answer, ink, width=width, wide=wide, columns=columns)
        )
    if answer.findings:
        lines += ["", *findings.findings(answer.findings, ink, width)[:-1]]
    return "\n".join([*lines, *tail(answer.notes, answer.gaps, ink)])
