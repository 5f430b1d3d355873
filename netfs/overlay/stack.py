"""A chain, opened: the directories of its layers, ready to be merged."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from netfs.model.gaps import Gap
from netfs.model.layers import Layer
from netfs.overlay.chains import Chain, short
from netfs.overlay.disk.root import Root
from netfs.overlay.disk.tree import DiskTree
from netfs.overlay.merge.tree import Stack

MARKS = "trusted.overlay.*"
"""``Gap.what`` where marks could not be read: what they hide or move is shown as if there were none."""

LOWER = "lower"
"""``Gap.what`` where a chain ends early."""


@dataclass(slots=True)
class Opened:
    """The trees of a chain."""

    stack: Stack
    layers: tuple[Layer, ...]
    """Of each tree of the stack, those with data alone at the end: the layer that it belongs to."""
    trees: tuple[DiskTree, ...]
    gaps: list[Gap] = field(default_factory=list)


def opened(root: Root, chain: Chain, layers: Iterable[Layer] | None = None) -> Opened:
    """The trees of a chain, or of some of its layers. What is missing is left out, and a gap says so."""
    gaps: list[Gap] = []
    trees: list[DiskTree] = []
    owners: list[Layer] = []
    for layer in chain.layers if layers is None else layers:
        if layer.missing:
            gaps.append(Gap(short(layer.id), "layer", "it is not there: what it held is not seen"))
            continue
        for path in layer.trees:
            tree = _tree(root, chain, path, gaps)
            if tree is not None:
                trees.append(tree)
                owners.append(layer)
    if any(tree.unreadable for tree in trees):
        why = "opaque directories and redirects are not seen without CAP_SYS_ADMIN in the initial user namespace"
        gaps.append(Gap(root.on_host(chain.store.path), MARKS, f"{why}: run it as root"))
    if not chain.complete:
        gaps.append(Gap(short(chain.layers[0].id), LOWER, "what lies below it could not be told"))
    data: list[DiskTree] = []
    for path in chain.mount.data if chain.mount is not None else ():
        tree = _tree(root, chain, path, gaps)
        if tree is not None:
            data.append(tree)
            owners.append(Layer(path, path, (path,), role="data"))
    upper = chain.kind in ("container", "mount", "layer") and (chain.mount is None or chain.mount.upper is not None)
    stack = Stack(
        tuple(tree.root for tree in trees), tuple(tree.root for tree in data), upper=upper, options=chain.options
    )
    return Opened(stack, tuple(owners), (*trees, *data), gaps)


def _tree(root: Root, chain: Chain, path: str, gaps: list[Gap]) -> DiskTree | None:
    try:
        return root.tree(path, userxattr=chain.options.userxattr)
    except OSError as error:
        gaps.append(Gap(root.on_host(path), "layer", os.strerror(error.errno or 0)))
        return None
