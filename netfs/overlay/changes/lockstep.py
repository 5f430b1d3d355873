"""All layers of a chain, walked together."""

from __future__ import annotations

import errno
import stat
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from netfs.overlay.changes.ledger import Ledger
from netfs.overlay.merge import marks
from netfs.overlay.merge.lookup import Directories, Lookup, rules
from netfs.overlay.merge.node import Part
from netfs.overlay.merge.tree import Directory, Stack, Status

_TYPE, _REGULAR, _DIRECTORY = 0o170000, stat.S_IFREG, stat.S_IFDIR
_PLACES = 256
"""So many directories wait before a walk is shared: with fewer, one process is as quick."""
_STRIDE = 4096
"""Entries between two calls of ``progress``."""


@dataclass(frozen=True, slots=True)
class Unread:
    """What could not be read of a layer: a directory, or how it is with one entry."""

    layer: int
    path: str
    """From the layer's root, without a leading ``/``."""
    errno: int


class _Found(NamedTuple):
    """A directory that a layer has at a place."""

    layer: int
    above: Directory
    """The directory that holds it."""
    blocks: int
    device: int
    inode: int


class _Place(NamedTuple):
    """A place still to be visited: directories of one name."""

    parents: Directories
    """The merged directory that holds it."""
    name: str
    found: Sequence[_Found]
    """Uppermost first."""
    hider: int | None
    """The first layer that hides all of it."""
    over: bool
    """Whether something that is no directory lies right below them."""


class _Read(NamedTuple):
    """A directory of a layer with all its entries."""

    layer: int
    directory: Directory
    entries: Mapping[str, Status]
    blocks: int | None
    """Its own; None: it is not counted here: a layer's root, or a directory that was moved."""


class MovedError(Exception):
    """A directory was moved by a redirect, and the walk is shared: who counts it cannot be told apart."""


class Apart(Protocol):
    """Somebody who visits places in two processes: ``forked.Apart``."""

    def __call__(self, places: int, walk: Lockstep) -> None:
        """Have ``walk.visit`` called for every number below ``places`` in one of two processes; what the other one
        found (``begin``, ``found``) is taken by this one (``take``).
        """


class Lockstep:
    """One walk; what it finds goes into the ledger, and what cannot be read into ``unread``."""

    def __init__(
        self,
        stack: Stack,
        fresh: Collection[int],
        ledger: Ledger,
        progress: Callable[[int], None] | None,
        unread: list[Unread],
    ) -> None:
        self._stack = stack
        self._rules = rules(stack)
        self._fresh = fresh
        self._ledger = ledger
        self._progress = progress
        self._unread = unread
        self._metacopies = self._rules.metacopy or bool(stack.data)
        """Whether a file may have its bytes elsewhere."""
        self._waiting: list[list[_Place]] = [[] for _ in range(1 + len(stack.layers) + len(stack.data))]
        """First what is seen, then what each layer hides. What a layer hides may turn out to be moved by it: then it is
        seen at another place, or hidden there by a layer above."""
        self._visited: set[tuple[int, int, int]] = set()
        """Directories (layer, device, inode), once there is one that was moved: nothing is counted at two places."""
        self._entries = 0
        self._told = 0
        self._shared = False
        self._places: list[_Place] = []
        """Those that are shared out between two processes."""

    def walk(self, apart: Apart | None = None) -> None:
        """Visit everything; with ``apart``, in two processes where there is much, or raise MovedError."""
        self._roots()
        if apart is not None:
            self._share(apart)
        self._rest()
        if self._progress:
            self._progress(self._entries)

    def _rest(self) -> None:
        for places in self._waiting:
            while places:
                self._visit(places.pop())

    def _share(self, apart: Apart) -> None:
        """Visit what lies above, until what waits is enough to be shared."""
        self._shared = True
        seen = self._waiting[0]
        while 0 < len(seen) < _PLACES:
            self._visit(seen.pop(0))
        self._places, self._waiting[0] = seen, []
        apart(len(self._places), self)

    def begin(self) -> None:
        """In the other process: count from nothing."""
        self._ledger = Ledger(len(self._stack.layers) + len(self._stack.data))
        self._unread, self._progress, self._entries = [], None, 0
        self._waiting = [[] for _ in self._waiting]

    def visit(self, number: int) -> None:
        """Visit one of the places that are shared, and all that lies below it."""
        self._waiting[0].append(self._places[number])
        self._rest()

    def found(self) -> list[Any]:
        """What was found since ``begin``: lists, numbers, texts and truths."""
        return [self._ledger.told(), [[each.layer, each.path, each.errno] for each in self._unread], self._entries]

    def take(self, found: Sequence[Any]) -> None:
        """Count what the other process found as well."""
        ledger, unread, entries = found
        self._ledger.take(ledger)
        self._unread += (Unread(*each) for each in unread)
        self._entries += entries

    def _roots(self) -> None:
        # The marks of a layer's root are not looked at (ovl_get_root): roots are always merged.
        self._merge([self._read(layer, root, None) for layer, root in enumerate(self._stack.layers)], None)
        for layer, root in enumerate(self._stack.data, len(self._stack.layers)):
            if layer in self._fresh:
                self._merge([self._read(layer, root, None)], layer)

    def _read(self, layer: int, directory: Directory, blocks: int | None) -> _Read:
        try:
            entries: Mapping[str, Status] = directory.scan()
        except OSError:
            entries = self._one_by_one(layer, directory)
        self._entries += len(entries)
        if self._progress and self._entries - self._told >= _STRIDE:
            self._told = self._entries
            self._progress(self._entries)
        return _Read(layer, directory, entries, blocks)

    def _one_by_one(self, layer: int, directory: Directory) -> Mapping[str, Status]:
        """The entries of a directory that cannot be read in one pass."""
        entries = {}
        try:
            names = directory.names()
        except OSError as error:
            self._unreadable(layer, directory.path, error)
            return {}
        for name in names:
            try:
                status = directory.status(name)
            except OSError as error:
                self._unreadable(layer, _joined(directory, name), error)
                continue
            if status is not None:
                entries[name] = status
        return entries

    def _unreadable(self, layer: int, path: str, error: OSError) -> None:
        if error.errno != errno.ENOENT:
            self._unread.append(Unread(layer, path, error.errno or errno.EIO))

    def _visit(self, place: _Place) -> None:
        """Read the directories of a place, until an opaque or a redirected one ends the merge."""
        merged = list[_Read]()
        for position, found in enumerate(place.found, 1):
            read = self._enter(found, place.name)
            if read is None:
                continue
            merged.append(read)
            rest = place.found[position:]
            opaque = marks.opaque(read.directory, "") == "y"
            if opaque:
                self._ledger.opaque[read.layer] += 1
                self._ledger.idle[read.layer] += not (rest or place.over)
            elif read.layer >= self._rules.bottom or not _is_redirected(read.directory):
                continue
            else:
                merged += self._redirected(place, read.layer, rest)
            self._wait(place.parents, place.name, rest, read.layer, over=place.over)
            break
        if merged:
            self._merge(merged, place.hider)

    def _enter(self, found: _Found, name: str) -> _Read | None:
        try:
            directory = found.above.enter(name)
        except OSError as error:
            self._unreadable(found.layer, _joined(found.above, name), error)
            return None
        if self._visited:
            if (key := (found.layer, found.device, found.inode)) in self._visited:
                return _Read(found.layer, directory, {}, None)  # an opaque one parts what is below it all the same
            self._visited.add(key)
        return self._read(found.layer, directory, found.blocks)

    def _redirected(self, place: _Place, layer: int, rest: Sequence[_Found]) -> list[_Read]:
        """What a redirect merges with the directory of ``layer``, but for what is seen at its own place as well."""
        if self._shared:
            raise MovedError
        node = Lookup(self._rules, [each for each in place.parents if each[0] >= layer], place.name).node()
        here = {(each.layer, each.device, each.inode) for each in rest}
        taken: list[_Read] = []
        if not node or node.error:
            return taken
        for part, (below, directory) in list(zip(node.parts, node.directories, strict=True))[1:]:
            key = _key(part)
            if key not in self._visited and (key in here or not self._in_view(place.hider, key, directory.path)):
                self._visited.add(key)
                taken.append(self._read(below, directory, part.status.st_blocks))
        return taken

    def _in_view(self, hider: int | None, key: tuple[int, int, int], path: str) -> bool:
        """Whether a directory is seen at its own path below the layer ``hider``: then it is counted there."""
        node = None
        directories: Directories = tuple(enumerate(self._stack.layers))[_rank(hider) :]
        for name in path.split("/"):
            node = Lookup(self._rules, directories, name).node()
            directories = node.directories if node else ()
        return node is not None and bool(node.directories) and key in map(_key, node.parts)

    def _merge(self, merged: Sequence[_Read], hider: int | None) -> None:
        """Count what the merged directory holds, and remember its directories to be visited."""
        parents = tuple((each.layer, each.directory) for each in merged)
        common = _common([each.entries for each in merged]) if len(merged) > 1 else ()
        for layer, directory, entries, blocks in merged:
            if hider is not None and blocks is not None:
                self._ledger.hidden[hider, layer].add(0, 1, blocks, 0)
            if layer in self._fresh or hider in self._fresh:
                alone = {name: entries[name] for name in entries if name not in common} if common else entries
                self._sum(parents, layer, directory, alone, hider)
        for name in common:
            present = [(each.layer, each.directory, each.entries[name]) for each in merged if name in each.entries]
            self._stacked(parents, name, present, hider)

    def _sum(
        self, parents: Directories, layer: int, directory: Directory, entries: Mapping[str, Status], hider: int | None
    ) -> None:
        """Count entries that no other layer has at their place."""
        ledger, one_by_one = self._ledger, self._metacopies
        type_bits, regular = _TYPE, _REGULAR
        blocks = size = 0
        others: list[tuple[str, Status]] = []
        for name, status in entries.items():
            if (
                status.st_mode & type_bits == regular
                and status.st_nlink == 1
                and (length := status.st_size)
                and not one_by_one
            ):
                blocks += status.st_blocks
                size += length
            else:
                others.append((name, status))
        waiting = self._waiting[_rank(hider)]
        directories = directory_blocks = 0
        for name, status in others:
            if status.st_mode & _TYPE == _DIRECTORY:
                directories += 1
                directory_blocks += (held := status.st_blocks)
                waiting.append(
                    _Place(parents, name, (_Found(layer, directory, held, status.st_dev, status.st_ino),), hider, False)
                )
            else:
                self._stacked(parents, name, [(layer, directory, status)], hider)
        files = len(entries) - len(others)
        ledger.added[layer].add(files, directories, blocks + directory_blocks, size)
        if hider is not None:
            ledger.hidden[hider, layer].add(files, 0, blocks, size)

    def _stacked(
        self, parents: Directories, name: str, present: Sequence[tuple[int, Directory, Status]], hider: int | None
    ) -> None:
        """Count what the layers have at one place, uppermost first."""
        run: list[_Found] = []
        gone = [marks.is_whiteout(directory, name, status) for _, directory, status in present]
        for (layer, directory, status), white, nothing in zip(present, gone, [*gone[1:], True], strict=True):
            if stat.S_ISDIR(status.st_mode):
                (self._ledger.added if nothing else self._ledger.changed)[layer].add(0, 1, status.st_blocks, 0)
                run.append(_Found(layer, directory, status.st_blocks, status.st_dev, status.st_ino))
                continue
            if run:
                self._wait(parents, name, run, hider, over=not white)
                hider, run = run[-1].layer, []
            if white:
                self._ledger.whiteouts[layer] += 1
                self._ledger.idle[layer] += nothing
            else:
                self._file(layer, status, hider, changed=not nothing)
                if self._metacopies and stat.S_ISREG(status.st_mode):
                    self._reads(parents, name, layer, directory, hider)
            hider = layer
        if run:
            self._wait(parents, name, run, hider, over=False)

    def _wait(self, parents: Directories, name: str, found: Sequence[_Found], hider: int | None, *, over: bool) -> None:
        if found and (hider in self._fresh or any(each.layer in self._fresh for each in found)):
            self._waiting[_rank(hider)].append(_Place(parents, name, tuple(found), hider, over))

    def _file(self, layer: int, status: Status, hider: int | None, *, changed: bool) -> None:
        """Count one non-directory."""
        ledger, regular = self._ledger, stat.S_ISREG(status.st_mode)
        blocks, size = status.st_blocks, status.st_size if regular else 0
        kind = ledger.changed if changed else ledger.added
        if status.st_nlink == 1 and not (regular and self._metacopies):
            kind[layer].add(1, 0, blocks, size)
            if hider is not None:
                ledger.hidden[hider, layer].add(1, 0, blocks, size)
            return
        kind[layer].files += 1
        inode = ledger.inode(layer, status, size)
        inode.changed |= changed
        if hider is None:
            inode.seen = True
        else:
            inode.hiders.append(hider)

    def _reads(self, parents: Directories, name: str, layer: int, directory: Directory, hider: int | None) -> None:
        """If a file is a metacopy, note whose bytes it reads."""
        try:
            if directory.mark(name, "metacopy") is None:
                return
        except OSError:
            return
        node = Lookup(self._rules, [each for each in parents if each[0] >= layer], name).node()
        if node and node.data and node.data.layer != layer:
            self._ledger.read_through(node.data.layer, node.data.status, hider)


def _key(part: Part) -> tuple[int, int, int]:
    return part.layer, part.status.st_dev, part.status.st_ino


def _rank(hider: int | None) -> int:
    return 0 if hider is None else hider + 1


def _common(layers: Sequence[Mapping[str, Status]]) -> set[str]:
    """The names that several layers have."""
    common: set[str] = set()
    names = set(layers[0])
    for entries in layers[1:]:
        common |= entries.keys() & names
        names.update(entries)
    return common


def _is_redirected(directory: Directory) -> bool:
    try:
        return directory.mark("", "redirect") is not None
    except OSError:
        return False


def _joined(directory: Directory, name: str) -> str:
    return f"{directory.path}/{name}".lstrip("/")
