"""Descriptors that close themselves, and a bound on how many are kept open."""

from __future__ import annotations

import os
from collections import deque

KEPT = 32
"""Descriptors of either sort that a pool keeps: with the roots of 500 layers they fit a soft RLIMIT_NOFILE of 1024."""


class Descriptor:
    """An open file descriptor, closed at the end of a ``with``, or when nobody refers to it any more.

    ``readable`` is False where it was opened with O_PATH. Whoever uses ``fd`` holds the object meanwhile: so what a
    pool gives up is not closed under a reader.
    """

    __slots__ = ("fd", "readable")

    def __init__(self, fd: int, *, readable: bool = False) -> None:
        self.fd = fd
        self.readable = readable

    def __enter__(self) -> int:
        return self.fd

    def __exit__(self, *_: object) -> None:
        fd, self.fd = self.fd, -1
        os.close(fd)

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)


class Cell:
    """Where the owner of a descriptor finds it, until a pool takes it away."""

    __slots__ = ("held",)

    def __init__(self, held: Descriptor | None = None) -> None:
        self.held = held


class Pool:
    """The newest of the descriptors that may be taken away, because their owners can open them again.

    Ancestors, from which others are opened, are kept apart: a deep tree that is climbed again needs the same few for
    many directories.
    """

    __slots__ = ("_ancestors", "_cells")

    def __init__(self) -> None:
        self._cells: deque[Cell] = deque()
        self._ancestors: deque[Cell] = deque()

    def keep(self, cell: Cell, descriptor: Descriptor, *, ancestor: bool = False) -> None:
        """Put a descriptor into its cell. Where they become too many, the oldest of its sort goes."""
        cells = self._ancestors if ancestor else self._cells
        cell.held = descriptor
        cells.append(cell)
        if len(cells) > KEPT:
            cells.popleft().held = None

    def release(self) -> None:
        """Take all of them away."""
        for cells in (self._cells, self._ancestors):
            while cells:
                cells.popleft().held = None
