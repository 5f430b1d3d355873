"""What is hidden and what the merged view shows is together all there is, layer by layer: random stacks in memory.

The oracle is the merged view of the upper layers left out one by one: what is seen without a layer and not with it,
that layer hides.
"""

from __future__ import annotations

import random
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import astuple, replace
from itertools import pairwise

import pytest

from netfs.model.layers import Account, Extent, MountOptions
from netfs.overlay.changes.account import account
from netfs.overlay.changes.lockstep import Unread
from netfs.overlay.merge import marks
from netfs.overlay.merge.lookup import Lookup, rules
from netfs.overlay.merge.tree import Directory, Stack, Status
from netfs.overlay.merge.view import Node, View
from tests.unit.trees import WHITEOUT, Item, MemoryTree, device, directory, file, symlink, tree

SEEDS = 600
NAMES = ("a", "b", "c", "d")

Thing = tuple[int, str]
"""A layer and a path in it."""


class Growth:
    """Random layers of few names, so that they meet."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.metacopy = self._random.random() < 0.4
        self.redirects = self._random.random() < 0.5
        self._files: list[Item] = []

    def stack(self) -> Stack:
        pick = self._random
        layers = [self._layer() for _ in range(pick.randint(1, 5))]
        for number, (layer, under) in enumerate(pairwise(layers)):
            for turn in range(pick.choice((0, 1, 3))):
                self._rename(layer.item, under.item, f"moved{number}.{turn}")
        data = [self._layer() for _ in range(pick.choice((0, 0, 1, 2)))] if self.metacopy and len(layers) > 1 else []
        options = MountOptions(metacopy=self.metacopy, redirect_dir="on")
        return Stack(layers, data, upper=pick.random() < 0.7, options=options)

    def _layer(self) -> MemoryTree:
        self._files = []
        return tree(self._directory(0, marked=False))

    def _rename(self, layer: Item, under: Item, name: str) -> None:
        """Move something of the layer below, as rename(2) does: a redirect, and a whiteout where it was. Or change
        the mode of a file, as chmod(2) does."""
        pick, path, top = self._random, "", layer
        while under.entries:
            step = pick.choice(list(under.entries))
            path += f"/{step}"
            under = under.entries[step]
            if under.type == stat.S_IFREG and self.metacopy and not under.marks:
                stays = pick.random() < 0.5
                moved = file(size=5, metacopy="", **({} if stays else {"redirect": path}))
                layer.entries[step] = moved if stays else WHITEOUT
                top.entries.update({} if stays else {name: moved})
                moved.names = 1
                return
            if under.type != stat.S_IFDIR:
                return
            above, layer = layer, layer.entries.setdefault(step, directory(blocks=8))
            if layer.type != stat.S_IFDIR or layer.marks or pick.random() < 0.4:
                above.entries[step] = WHITEOUT
                pick.choice((above, top)).entries[name] = directory({"a": self._entry(3)}, blocks=8, redirect=path)
                return

    def _directory(self, depth: int, *, marked: bool = True) -> Item:
        pick = self._random
        entries = {name: self._entry(depth + 1) for name in NAMES if pick.random() < 0.6}
        of = {}
        if marked and pick.random() < 0.2:
            of["opaque"] = pick.choice("yyx")
        if marked and self.redirects and pick.random() < 0.25:
            of["redirect"] = self._target(depth)
        return directory(entries, blocks=8, **of)

    def _target(self, depth: int) -> str:
        pick = self._random
        if pick.random() < 0.5:
            return pick.choice(NAMES)
        return "".join(f"/{pick.choice(NAMES)}" for _ in range(pick.randint(1, depth + 1)))

    def _entry(self, depth: int) -> Item:
        pick = self._random
        kind = pick.random()
        if kind < 0.4 and depth < 4:
            return self._directory(depth)
        if kind < 0.55:
            return WHITEOUT
        if kind < 0.6:
            return file(whiteout="")
        if kind < 0.65:
            return symlink("elsewhere", blocks=pick.choice((0, 8)))
        if kind < 0.68:
            return device(1, 3)
        if kind < 0.78 and self._files and not self.metacopy:
            return pick.choice(self._files)
        if kind < 0.783 and self.metacopy:
            of = {"redirect": self._target(depth)} if pick.random() < 0.5 else {}
            return file(size=pick.randint(1, 9), metacopy="", **of)
        self._files.append(file("x" * pick.randint(0, 9000)))
        return self._files[-1]


def contents(layer: Directory) -> Iterator[tuple[str, Status]]:
    """Everything in a layer but marks."""
    pending = [layer]
    while pending:
        here = pending.pop()
        for name, status in here.scan().items():
            if marks.is_whiteout(here, name, status):
                continue
            yield path_of(here, name), status
            if stat.S_ISDIR(status.st_mode):
                pending.append(here.enter(name))


def path_of(directory: Directory, name: str) -> str:
    return f"{directory.path}/{name}".lstrip("/")


def shown(stack: Stack) -> set[Thing] | None:
    """What the merged view shows of each layer; None: it answers some look-up with an error."""
    found: set[Thing] = set()
    for path, node in View(stack).walk():
        if node.error or node.closed:
            return None
        if path == "/":
            continue
        if node.directories:
            found |= {(layer, directory.path) for layer, directory in node.directories}
        else:
            found |= {(part.layer, path_of(part.directory, part.name)) for part in (node.parts[0], node.data) if part}
    return found


def seen_twice(stack: Stack) -> bool:
    """Whether a redirect leads to a directory that is seen at its own place as well, which no rename leaves behind."""
    places = Counter((layer, each.path) for _, node in View(stack).walk() for layer, each in node.directories)
    return max(places.values(), default=0) > 1


def below(stack: Stack, layer: int) -> Stack:
    """The stack without the layers above one."""
    return replace(stack, layers=stack.layers[layer:], upper=False)


def moved(things: set[Thing] | None, layer: int) -> set[Thing] | None:
    """Layers counted from the whole stack's uppermost."""
    return None if things is None else {(number + layer, path) for number, path in things}


def extent(stack: Stack, things: set[Thing], bytes_of: set[Thing]) -> dict[int, Extent]:
    """How much things are, by layer; the bytes of inodes of which all names are in ``bytes_of``."""
    trees = [*stack.layers, *stack.data]
    result = {}
    for layer in {layer for layer, _ in things}:
        held = dict(contents(trees[layer]))
        mine = {path: status for path, status in held.items() if (layer, path) in things}
        cut = {status.st_ino for path, status in held.items() if (layer, path) not in bytes_of}
        whole = {status.st_ino: status for status in mine.values() if status.st_ino not in cut}
        result[layer] = Extent(
            files=sum(not stat.S_ISDIR(status.st_mode) for status in mine.values()),
            directories=sum(stat.S_ISDIR(status.st_mode) for status in mine.values()),
            bytes=512 * sum(status.st_blocks for status in whole.values()),
            size=sum(status.st_size for status in whole.values() if stat.S_ISREG(status.st_mode)),
        )
    return result


def changed(stack: Stack, layer: int) -> set[Thing]:
    """What of the uppermost layer of ``stack`` stands over something in the directories that are merged there."""
    view = View(stack)
    found = set()
    pending: list[tuple[str, Node]] = [("", view.root)]
    while pending:
        path, node = pending.pop()
        lower = [each for each in node.directories if each[0] > 0]
        for name, inside in view.list(node).items():
            if not inside.parts or inside.parts[0].layer > 0:
                continue
            place = f"{path}/{name}".lstrip("/")
            if lower and Lookup(rules(stack), lower, name).node():
                found.add((layer, place))
            if inside.directories:
                pending.append((place, inside))
    return found


def plus(extents: list[Extent]) -> Extent:
    return Extent(*(sum(column) for column in zip(*map(astuple, extents), strict=True))) if extents else Extent()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_every_layer_hides_what_is_seen_without_it_and_not_with_it(seed: int) -> None:
    stack = Growth(seed).stack()
    unread: list[Unread] = []
    accounts = account(stack, unread=unread)
    assert unread == []
    check_own(stack, accounts)
    count = len(stack.layers)
    views = [moved(shown(below(stack, layer)), layer) for layer in range(count)] + [set()]
    if None in views or any(seen_twice(below(stack, layer)) for layer in range(count)):
        return
    seen = [each or set() for each in views]
    trees = [*stack.layers, *stack.data]
    everything = {(layer, path) for layer, each in enumerate(trees) for path, _ in contents(each)}
    hidden: set[Thing] = set()
    read: set[Thing] = set()
    for layer in reversed(range(count)):
        read |= seen[layer]
        over = {thing for thing in everything if layer <= thing[0] < count or thing in read}
        new = over - seen[layer] - hidden
        hidden |= new
        assert accounts[layer].hides == extent(stack, new, hidden), layer
        mine = {thing for thing in everything if thing[0] == layer}
        over_something = changed(below(stack, layer), layer)
        assert names(accounts[layer].changed) == names(plus([*extent(stack, over_something, set()).values()]))
        assert names(accounts[layer].added) == names(plus([*extent(stack, mine - over_something, set()).values()]))
    for layer in range(count, len(trees)):
        unread_things = {thing for thing in everything - read if thing[0] == layer}
        assert accounts[layer].hides == extent(stack, unread_things, unread_things)


def names(extent: Extent) -> tuple[int, int]:
    return extent.files, extent.directories


def check_own(stack: Stack, accounts: tuple[Account, ...]) -> None:
    """What is in a layer is told whole, whatever becomes of it."""
    for each, layer in zip(accounts, [*stack.layers, *stack.data], strict=True):
        held = dict(contents(layer))
        inodes = {status.st_ino: status for status in held.values()}
        kinds = Counter(stat.S_ISDIR(status.st_mode) for status in held.values())
        size = sum(status.st_size for status in inodes.values() if stat.S_ISREG(status.st_mode))
        used = 512 * sum(status.st_blocks for status in inodes.values())
        assert each.own == Extent(kinds[False], kinds[True], used, size)
        assert each.own == plus([each.added, each.changed])
