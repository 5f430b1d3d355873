"""What a walk has counted so far: sums by layer, and the inodes that have more than one way to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from operator import add
from typing import Any

from netfs.model.layers import Account, Extent
from netfs.overlay.merge.tree import Status

_BLOCK = 512
"""Bytes of a unit of ``st_blocks``."""


class Sum:
    """An extent that grows."""

    __slots__ = ("blocks", "directories", "files", "size")

    def __init__(self) -> None:
        self.files = 0
        self.directories = 0
        self.blocks = 0
        self.size = 0

    def add(self, files: int, directories: int, blocks: int, size: int) -> None:
        """So much more; ``blocks`` in units of 512 bytes."""
        self.files += files
        self.directories += directories
        self.blocks += blocks
        self.size += size

    def told(self) -> list[int]:
        """What ``add`` takes."""
        return [self.files, self.directories, self.blocks, self.size]

    def extent(self) -> Extent:
        """As it is now."""
        return Extent(self.files, self.directories, self.blocks * _BLOCK, self.size)


class Inode:
    """A file of one layer that may be seen in several ways: by hard links, and through metacopies above it."""

    __slots__ = ("blocks", "changed", "hiders", "links", "read", "seen", "size")

    def __init__(self, blocks: int, size: int, links: int) -> None:
        self.blocks = blocks
        self.size = size
        self.links = links
        """``st_nlink``."""
        self.seen = False
        """Whether one of its names is visible, or the metacopy that reads it."""
        self.changed = False
        """Whether one of its names takes the place of something."""
        self.hiders: list[int] = []
        """Of each hidden name, the layer that is the first to hide it."""
        self.read: list[int] = []
        """Of each hidden metacopy that reads it, the layer that is the first to hide that."""


class Ledger:
    """Everything counted, by layer."""

    def __init__(self, layers: int) -> None:
        self.added = [Sum() for _ in range(layers)]
        self.changed = [Sum() for _ in range(layers)]
        self.hidden: defaultdict[tuple[int, int], Sum] = defaultdict(Sum)
        """By the layer that hides and the one that holds."""
        self.whiteouts = [0] * layers
        self.opaque = [0] * layers
        self.idle = [0] * layers
        self._inodes: dict[tuple[int, int, int], Inode] = {}
        """By layer, device and inode."""
        self._readers: list[tuple[tuple[int, int, int], int | None]] = []

    def inode(self, layer: int, status: Status, size: int) -> Inode:
        """The record of an inode, made where there is none yet."""
        place = (layer, status.st_dev, status.st_ino)
        found = self._inodes.get(place)
        if found is None:
            found = self._inodes[place] = Inode(status.st_blocks, size, status.st_nlink)
        return found

    def read_through(self, layer: int, status: Status, hider: int | None) -> None:
        """A metacopy reads that inode; the metacopy is hidden by ``hider``, or seen (None)."""
        self._readers.append(((layer, status.st_dev, status.st_ino), hider))

    def told(self) -> list[Any]:
        """Everything counted, for ``take`` of another ledger of the same layers: lists, numbers and truths."""
        return [
            [total.told() for total in self.added],
            [total.told() for total in self.changed],
            [[*place, *total.told()] for place, total in self.hidden.items()],
            [self.whiteouts, self.opaque, self.idle],
            [
                [*place, inode.blocks, inode.size, inode.links, inode.seen, inode.changed, inode.hiders, inode.read]
                for place, inode in self._inodes.items()
            ],
            [[*place, hider] for place, hider in self._readers],
        ]

    def take(self, told: Sequence[Any]) -> None:
        """Count what another ledger counted elsewhere as well: nothing may have been counted in both."""
        added, changed, hidden, marks, inodes, readers = told
        for here, there in ((self.added, added), (self.changed, changed)):
            for total, counted in zip(here, there, strict=True):
                total.add(*counted)
        for by, below, *counted in hidden:
            self.hidden[by, below].add(*counted)
        for numbers, counted in zip((self.whiteouts, self.opaque, self.idle), marks, strict=True):
            numbers[:] = map(add, numbers, counted)
        for layer, device, number, blocks, size, links, seen, is_changed, hiders, read in inodes:
            inode = self._inodes.setdefault((layer, device, number), Inode(blocks, size, links))
            inode.seen |= seen
            inode.changed |= is_changed
            inode.hiders += hiders
            inode.read += read
        self._readers += (((layer, device, number), hider) for layer, device, number, hider in readers)

    def settle(self, complete: Collection[int]) -> None:
        """Share out what the inodes hold. Of the layers ``complete`` all names have been met."""
        for place, hider in self._readers:
            inode = self._inodes.get(place)
            if inode is not None and hider is None:
                inode.seen, inode.hiders = True, []
            elif inode is not None and hider is not None:
                inode.read.append(hider)
        for (layer, _, _), inode in self._inodes.items():
            kind = self.changed if inode.changed else self.added
            kind[layer].add(0, 0, inode.blocks, inode.size)
            self._hide(layer, inode, names_known=layer in complete)
        self._readers.clear()
        self._inodes.clear()

    def _hide(self, layer: int, inode: Inode, *, names_known: bool) -> None:
        # The last way to it that is cut is the one that hides its bytes: that of the uppermost layer.
        last = min(inode.hiders + inode.read, default=0)
        for hider in inode.hiders:
            self.hidden[last if inode.read else hider, layer].files += 1
        if inode.hiders and not inode.seen and (names_known or len(inode.hiders) >= inode.links):
            self.hidden[last, layer].add(0, 0, inode.blocks, inode.size)

    def accounts(self, layers: Collection[int]) -> Iterator[Account]:
        """The accounts of those layers."""
        for layer in sorted(layers):
            added, changed = self.added[layer].extent(), self.changed[layer].extent()
            hidden = ((below, total.extent()) for (by, below), total in sorted(self.hidden.items()) if by == layer)
            yield Account(
                layer=layer,
                own=Extent(
                    added.files + changed.files,
                    added.directories + changed.directories,
                    added.bytes + changed.bytes,
                    added.size + changed.size,
                ),
                added=added,
                changed=changed,
                whiteouts=self.whiteouts[layer],
                opaque=self.opaque[layer],
                idle=self.idle[layer],
                hides={below: extent for below, extent in hidden if extent != Extent()},
            )
