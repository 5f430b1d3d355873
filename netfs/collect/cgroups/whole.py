"""All hierarchies, walked by this process, or by this one and a copy of it that ends with its share.

Where a directory holds many groups, each process reads about half of them, chosen by their names: so both choose alike
without a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netfs.collect.cgroups.chosen import Chosen
from netfs.collect.cgroups.found import Found
from netfs.collect.cgroups.walk import Walk
from netfs.collect.copies import in_two, may_be_two
from netfs.model.cgroups import Hierarchy


class Whole:
    """What all hierarchies hold."""

    def __init__(self, opened: Sequence[tuple[Hierarchy, int]], chosen: Chosen, *, detail: bool) -> None:
        self.first, self.second = Found(), Found()
        """Of version 1, of version 2."""
        self.offered: dict[Hierarchy, tuple[str, ...]] = {}
        """The controllers of each hierarchy that was read."""
        self._opened = opened
        self._chosen = chosen
        self._detail = detail

    def run(self, share: int | None = None) -> None:
        """Walk them, version 2 last: it is asked for what version 1 does not tell."""
        for hierarchy, folder in sorted(self._opened, key=lambda each: each[0].version):
            found = self.first if hierarchy.version == 1 else self.second
            walk = Walk(hierarchy, found, detail=self._detail, chosen=self._chosen, known=self.first, share=share)
            walk.run(folder)
            self.offered[hierarchy] = walk.offered

    def run_in_two(self) -> None:
        """Walk them with another process, where there may be one."""
        if not may_be_two():
            self.run()
            return
        told = in_two(lambda: self.run(0), self._other)
        if told is None:
            self.run(1)
            return
        first, second = told
        self.first.take(first)
        self.second.take(second)

    def _other(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """What the other process tells."""
        self.run(1)
        return self.first.plain(), self.second.plain()
