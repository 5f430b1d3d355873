"""A column of labels, as ``kubectl describe`` has it, and what stands beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from netfs.model.text import printable
from netfs_cli.render.ink import Ink
from netfs_cli.render.prose import column
from netfs_cli.render.table import cells_wide, pad

LABEL = 14
"""Where values begin: two blanks, the longest label, its colon, a blank."""


@dataclass(frozen=True, slots=True)
class Style:
    """How a page is drawn."""

    ink: Ink
    width: int | None
    """Columns that a line may take; None: as long as it is."""
    wide: bool
    """Nothing is left out."""

    @property
    def room(self) -> int | None:
        """Columns of a value."""
        return None if self.width is None else max(self.width - LABEL, 24)

    def told(self, text: str) -> str:
        """Untrusted text in the value's column, on as many lines as it needs."""
        return column(text, LABEL, self.width)

    def cut(self, text: str, room: int | None) -> str:
        """Untrusted text on one line of so many cells; on one of any length where nothing is left out."""
        clean = printable(text)
        if self.wide or room is None or cells_wide(clean) <= room:
            return clean
        while cells_wide(clean) > max(room - 1, 0):
            clean = clean[:-1]
        return f"{clean}…"

    def ending(self, text: str, room: int | None) -> str:
        """A path on one line of so many cells: its end says more than its beginning."""
        clean = printable(text)
        if self.wide or room is None or cells_wide(clean) <= room:
            return clean
        while cells_wide(clean) > max(room - 1, 0):
            clean = clean[1:]
        return f"…{clean}"


def labelled(label: str, values: Iterable[str], style: Style) -> list[str]:
    """A label and its lines, which are drawn already; nothing where there are none."""
    blank = " " * LABEL
    lines: list[str] = []
    for value in values:
        if value:
            lines.append((style.ink.dim(f"  {label + ':':<{LABEL - 2}}") if not lines else blank) + value)
    return lines


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of untrusted cells, two blanks between columns; a column that is empty throughout takes no room."""
    clean = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(cells_wide, cells)) for cells in zip(*clean, strict=True)]
    return [
        "  ".join(pad(cell, width) for cell, width in zip(row, widths, strict=True) if width).rstrip() for row in clean
    ]
