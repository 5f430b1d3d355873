"""Tables as kubectl draws them: upper-case heads, three blanks between columns, ``<none>`` for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import combining, east_asian_width

from netfs.model.text import printable
from netfs_cli.render.ink import Ink

GAP = "   "
NOTHING = "<none>"


def table(heads: Sequence[str], rows: Sequence[Sequence[str | int | None]], ink: Ink, *, headers: bool = True) -> str:
    """Every cell is made printable here. The last column is not padded."""
    cells = [[NOTHING if cell is None or cell == "" else printable(str(cell)) for cell in row] for row in rows]
    drawn = [list(heads), *cells] if headers else cells
    widths = [max((cells_wide(row[column]) for row in drawn), default=0) for column in range(len(heads))]
    lines = [GAP.join(pad(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in drawn]
    if headers:
        lines[0] = ink.bold(lines[0])
    return "\n".join(lines) + "\n"


def pad(text: str, width: int) -> str:
    """Text filled with blanks to a number of terminal cells."""
    return text + " " * (width - cells_wide(text))


def cells_wide(text: str) -> int:
    """Terminal cells that printable text takes: East Asian wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)
