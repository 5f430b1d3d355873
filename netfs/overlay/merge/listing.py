"""What a merged directory holds: fs/overlayfs/readdir.c of Linux 6.18, and a look-up of every name.

ovl_dir_read_merged takes the names of all directories that are merged. The kernel also lists names that a look-up then
says are not there (a whiteout in a directory that is not merged, an xattr whiteout in one that is not marked ``x``):
those are left out here, so that a listing is what ``readdir`` and ``lstat`` give together. A name whose look-up fails
is here with its error; the kernel fails the whole listing, or drops the name, where the directory is marked ``x`` or
has files that were copied up (ovl_cache_update).

Most names carry no mark. They are decided here, all of a directory at once, by the rules that ovl_lookup has for a name
without redirect or metacopy; any other is given to ``Lookup``.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence

from netfs.overlay.merge import marks
from netfs.overlay.merge.lookup import Directories, Inside, Lookup, Rules, enter, merged
from netfs.overlay.merge.node import Node, Part
from netfs.overlay.merge.tree import Directory, Status


def entries(rules: Rules, directories: Directories) -> dict[str, Node]:
    """Every name of a merged directory and what it is. Raises OSError where one of the directories cannot be read."""
    listing = _Listing(rules, directories)
    for position, (layer, directory) in enumerate(directories):
        listing.take(position, layer, directory)
    return listing.nodes()


class _Listing:
    def __init__(self, rules: Rules, directories: Directories) -> None:
        self._rules = rules
        self._directories = directories
        self._decided: dict[str, Node | None] = {}
        self._open: dict[str, list[Inside]] = {}
        """Directories that a lower layer may still add to."""

    def take(self, position: int, layer: int, directory: Directory) -> None:
        """The names of one layer, below all that were taken before."""
        last = self._is_last(position, layer, found_above=False)
        last_of_merged = self._is_last(position, layer, found_above=True)
        for name, status in self._undecided(directory):
            if status is None:
                self._look_up(name)
                continue
            part = Part(layer, directory, name, status)
            if name in self._open:
                self._add(part, last=last_of_merged)
            elif stat.S_ISDIR(status.st_mode):
                self._open[name] = []
                self._add(part, last=last)
            else:
                self._decide(part)

    def nodes(self) -> dict[str, Node]:
        for name, inside in self._open.items():
            self._decided[name] = merged(name, inside)
        return {name: node for name, node in self._decided.items() if node}

    def _is_last(self, position: int, layer: int, *, found_above: bool) -> bool:
        """``ovl_lookup_data.last``: no layer below can matter, so that a directory's marks are not read."""
        if not self._rules.redirects:
            return position == len(self._directories) - 1
        is_upper = self._rules.upper and layer == 0
        return not is_upper and layer == self._rules.bottom and (found_above or not self._rules.data)

    def _undecided(self, directory: Directory) -> Iterator[tuple[str, Status | None]]:
        """Names that layers above left open, with their status; None: it could not be read."""
        if self._decided:
            names = directory.names()
            wanted = [name for name in names if name not in self._decided]
            if 2 * len(wanted) < len(names):
                yield from _one_by_one(directory, wanted)
                return
        try:
            statuses = directory.scan()
        except OSError:
            yield from _one_by_one(directory, [name for name in directory.names() if name not in self._decided])
            return
        for name, status in statuses.items():
            if name not in self._decided:
                yield name, status

    def _add(self, part: Part, *, last: bool) -> None:
        """A directory, or what takes part in none where one was found above."""
        if not stat.S_ISDIR(part.status.st_mode):
            self._close(part.name)
            return
        inside = enter(part)
        self._open[part.name].append(inside)
        if last:
            return
        try:
            if inside.opaque == "y":
                self._close(part.name)
            elif inside.redirect is not None:
                self._look_up(part.name)
        except OSError:
            self._look_up(part.name)

    def _decide(self, part: Part) -> None:
        """What is no directory: nothing below it matters, unless its bytes are there."""
        directory, name, status = part.directory, part.name, part.status
        if marks.is_whiteout(directory, name, status):
            self._decided[name] = None
        elif not stat.S_ISREG(status.st_mode):
            self._decided[name] = Node(name, (part,))
        else:
            try:
                metacopy = marks.is_metacopy(directory, name, userxattr=self._rules.userxattr)
            except OSError:
                metacopy = True
            if metacopy:
                self._look_up(name)
            else:
                self._decided[name] = Node(name, (part,), data=part)

    def _close(self, name: str) -> None:
        self._decided[name] = merged(name, self._open.pop(name))

    def _look_up(self, name: str) -> None:
        self._open.pop(name, None)
        self._decided[name] = Lookup(self._rules, self._directories, name).node()


def _one_by_one(directory: Directory, names: Sequence[str]) -> Iterator[tuple[str, Status | None]]:
    for name in names:
        try:
            status = directory.status(name)
        except OSError:
            yield name, None
        else:
            if status:
                yield name, status
