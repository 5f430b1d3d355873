"""Tables as kubectl draws them: upper-case heads, three blanks between columns, ``<none>`` for nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def shortened(name: str, room: int) -> str:
    """Printable text in so many cells: of a longer one its beginning and its end."""
    if cells_wide(name) <= room:
        return name
    end = name[len(name) - (room + 1) // 3 :]
    begin = name
    while begin and cells_wide(begin) + 1 + cells_wide(end) > room:
        begin = begin[:-1]
    return f"{begin.rstrip('…')}…{end.lstrip('…')}"


def narrowed(
    heads: Sequence[str], rows: Sequence[Sequence[str | int | None]], width: int, least: Mapping[str, int]
) -> list[list[str | int | None]]:
    """The rows of a table that is to take so many cells: text in columns of ``least`` is shortened, down to that."""
    clean = [[NOTHING if cell is None or cell == "" else printable(str(cell)) for cell in row] for row in rows]
    rooms = [max(map(cells_wide, (head, *cells))) for head, *cells in zip(heads, *clean, strict=True)]
    excess = sum(rooms) + len(GAP) * (len(heads) - 1) - width
    while excess > 0:
        long = [at for at, head in enumerate(heads) if head in least and rooms[at] > least[head]]
        if not long:
            break
        rooms[max(long, key=lambda at: rooms[at] - least[heads[at]])] -= 1
        excess -= 1
    return [
        [
            shortened(printable(cell), room) if isinstance(cell, str) and cell else cell
            for cell, room in zip(row, rooms, strict=True)
        ]
        for row in rows
    ]
