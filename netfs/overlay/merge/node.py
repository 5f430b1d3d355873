"""An object of the merged view, and the objects of the layers that it is made of."""

from __future__ import annotations

from dataclasses import dataclass

from netfs.overlay.merge.tree import Directory, Status


@dataclass(frozen=True, slots=True)
class Part:
    """An object in one layer."""

    layer: int
    """Its place in ``Stack.layers``; ``len(layers) + i`` for ``Stack.data[i]``."""
    directory: Directory
    """That holds it. Of a layer's root: the root itself."""
    name: str
    """Empty for a layer's root."""
    status: Status


@dataclass(frozen=True, slots=True)
class Node:
    """An object of the merged view."""

    name: str
    """Empty for the root."""
    parts: tuple[Part, ...]
    """Uppermost first. The first gives mode, owner, times, size, link target and xattrs. A directory: all that are
    merged; a metacopy: what it was found through, down to its bytes; anything else: one. Where ``error`` is set: what
    was found until then, perhaps nothing."""
    directories: tuple[tuple[int, Directory], ...] = ()
    """Of a directory: layer and directory of all that are merged, uppermost first."""
    data: Part | None = None
    """Of a regular file: whose bytes are read."""
    error: int = 0
    """errno that the kernel answers to a look-up instead (EPERM, EIO, EINVAL, …), or that reading the layer gave."""
    closed: int = 0
    """errno that open(2) answers where lstat(2) succeeds: no data-only layer has the bytes."""
