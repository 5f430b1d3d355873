"""A table of control groups that a terminal has room for: names are shortened in the middle, then less is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from netfs_cli.render.table import GAP, cells_wide, shortened

NARROW_GAP = "  "
LEAST = {"GROUP": 28, "NAME": 18}
"""Cells that are left of names."""
UTMOST = {"GROUP": 14, "NAME": 10}
"""Where even that is too much."""
SPARED = ("CPU-TIME", "PRESSURE", "SWAP")
"""Left out where there is no room, the first one first; then names are shortened further."""
LAST = ("THROTTLED", "OOM", "CPU-LIMIT")
"""What is wrong is told by findings as well."""


class Stem(NamedTuple):
    """A group's name, and the branches of the tree before it."""

    branch: str
    name: str

    def within(self, room: int) -> str:
        """Both in so many cells."""
        return self.branch + shortened(self.name, max(room - len(self.branch), 5))


class Table(NamedTuple):
    """Columns that fit, what stands between them, and what was left out."""

    columns: list[list[str]]
    gap: str
    spared: tuple[str, ...]


def fitted(stems: Sequence[Stem], columns: Sequence[Sequence[str]], width: int) -> Table:
    """``columns``: head and cells of each, that of the groups first."""
    heads = {column[0] for column in columns}
    gap = GAP if _wide(columns, GAP) <= width else NARROW_GAP
    steps = [("", LEAST), *((head, LEAST) for head in SPARED), ("", UTMOST), *((head, UTMOST) for head in LAST)]
    spared: list[str] = []
    kept: list[list[str]] = []
    for head, least in steps:
        if head and head not in heads:
            continue
        spared += [head] if head else []
        kept = [list(column) for column in columns if column[0] not in spared]
        _shorten(stems, kept, width, gap, least)
        if _wide(kept, gap) <= width:
            break
    return Table(kept, gap, tuple(spared))


def _shorten(stems: Sequence[Stem], columns: list[list[str]], width: int, gap: str, least: Mapping[str, int]) -> None:
    """Take what is too much from the widest names, of either kind."""
    rooms = {column[0]: max(map(cells_wide, column)) for column in columns if column[0] in least}
    excess = _wide(columns, gap) - width
    while excess > 0:
        long = [head for head, room in rooms.items() if room > least[head]]
        if not long:
            break
        rooms[max(long, key=lambda head: rooms[head] - least[head])] -= 1
        excess -= 1
    for column in columns:
        room = rooms.get(column[0])
        if column[0] == "GROUP" and room is not None:
            column[1:] = [stem.within(room) for stem in stems]
        elif room is not None:
            column[1:] = [shortened(cell, room) for cell in column[1:]]


def _wide(columns: Sequence[Sequence[str]], gap: str) -> int:
    return sum(max(map(cells_wide, column)) for column in columns) + len(gap) * (len(columns) - 1)
