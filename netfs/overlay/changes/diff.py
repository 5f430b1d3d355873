"""What a layer changed in those below it, as ``docker diff`` tells it.

Docker mounts the layer with all below it, and those below without it, and compares the two trees
(moby: daemon/graphdriver/fsdiff.go ``NaiveDiffDriver.Changes``, pkg/archive/changes.go ``ChangesDirs``). So it is not
the layer's files that are told, but what became different: a file that was copied up and is the same is not told. Here
the two merged views are compared, and only where the layer takes part in them.

- Different is another type, mode, owner, device or ``security.capability``; and for all but directories another size
  or time. Of times with no nanoseconds only the seconds count: tar has no more.
- A directory in which something is different is told as changed (C), whether or not it is itself different, and so are
  those that hold it. The root is never told.
- What is in a new directory is told one by one, what was in a deleted one not at all. A directory that became a file is
  one change; what is in a directory that was a file is all new.

Docker tells them in no order. Podman compares in another way (containers/storage pkg/archive ``OverlayChanges``): it
tells what is in the layer, the same or not.
"""

from __future__ import annotations

import errno
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from netfs.model.layers import Change
from netfs.overlay.changes.lockstep import Unread
from netfs.overlay.merge.lookup import Directories
from netfs.overlay.merge.node import Node
from netfs.overlay.merge.trail import TYPES
from netfs.overlay.merge.tree import Stack, Status
from netfs.overlay.merge.view import View

CAPABILITY = "security.capability"
PATH_MAX = 4096
"""Docker opens files by their paths: no directory that is deeper can be told."""
_SECOND = 1_000_000_000


def diff(stack: Stack, of: int = 0, unread: list[Unread] | None = None) -> Iterator[Change]:
    """What layer ``of`` changed in those below it; layers above it do not count.

    A directory comes before what is in it, and the names of one directory are sorted. A directory that cannot be read
    is appended to ``unread``, and nothing in it is told.
    """
    return _Comparison(stack, of, [] if unread is None else unread).changes()


@dataclass(slots=True)
class _Pair:
    """A place of both views, and what is still to be compared in it."""

    path: str
    told: bool
    """Whether it has been told that it changed."""
    now: Node | None = None
    """A directory, or None: it is no longer there."""
    then: Node | None = None
    names: list[str] = field(default_factory=list)
    """The last first."""


class _Comparison:
    def __init__(self, stack: Stack, of: int, unread: list[Unread]) -> None:
        self._of = of
        self._unread = unread
        upper = stack.upper and of == 0
        self._now = View(replace(stack, layers=stack.layers[of:], upper=upper))
        self._then = View(replace(stack, layers=stack.layers[of + 1 :], upper=False))

    def changes(self) -> Iterator[Change]:
        way = [self._open(_Pair("", True, self._now.root, self._then.root))]
        while way:
            here = way[-1]
            if not here.names:
                way.pop()
                continue
            name = here.names.pop()
            now, then = self._look(self._now, here.now, name), self._look(self._then, here.then, name)
            path = f"{here.path}/{name}"
            kind = self._kind(now, then, path)
            change = now or then
            if kind and change:
                yield from _parents(way)
                yield self._change(kind, path, change)
            if now and now.directories and not now.error and len(path) >= PATH_MAX:
                self._unread.append(Unread(self._of, path.lstrip("/"), errno.ENAMETOOLONG))
            elif now and now.directories and not now.error:
                inside = then if then and then.directories and not then.error else None
                way.append(self._open(_Pair(path, bool(kind), now, inside)))

    def _open(self, pair: _Pair) -> _Pair:
        """Find the names that may be different: where only the layer itself was added, those that it has."""
        now, then = pair.now, pair.then
        try:
            if now and then and _same(now.directories, then.directories):
                names: Iterable[str] = ()
            elif now and then and now.directories[0][0] == 0 and _same(now.directories[1:], then.directories):
                names = now.directories[0][1].names()
            else:
                names = self._listed(self._now, now) | self._listed(self._then, then)
        except OSError as error:
            self._unread.append(Unread(self._of, pair.path.lstrip("/"), error.errno or errno.EIO))
            names = ()
        pair.names = sorted(names, reverse=True)
        return pair

    def _listed(self, view: View, node: Node | None) -> set[str]:
        """The names of a directory; of one that only one layer has, some may turn out to be no names."""
        if not node or not node.directories:
            return set()
        if len(node.directories) == 1:
            return set(node.directories[0][1].names())
        return set(view.list(node))

    def _look(self, view: View, node: Node | None, name: str) -> Node | None:
        return view.lookup(node, name) if node and node.directories else None

    def _kind(self, now: Node | None, then: Node | None, path: str) -> str:
        """A, C or D; empty: nothing is different."""
        for error in (each.error for each in (now, then) if each and each.error):
            self._unread.append(Unread(self._of, path.lstrip("/"), error))
            return ""
        if not now or not then:
            return "A" if now else "D" if then else ""
        if _differ(now.parts[0].status, then.parts[0].status):
            return "C"
        return "C" if self._capability(self._now, now) != self._capability(self._then, then) else ""

    @staticmethod
    def _capability(view: View, node: Node) -> bytes | None:
        try:
            return view.xattrs(node).get(CAPABILITY)
        except OSError:
            return None

    def _change(self, kind: str, path: str, node: Node) -> Change:
        type = TYPES.get(stat.S_IFMT(node.parts[0].status.st_mode), "file")
        held = (each for _, each in self._then.walk(node)) if kind == "D" and node.directories else (node,)
        return Change(kind, path, type, _size(held))


def _parents(way: Iterable[_Pair]) -> Iterator[Change]:
    """The directories on the way that have not been told yet."""
    for pair in way:
        if not pair.told:
            pair.told = True
            yield Change("C", pair.path, "directory")


def _same(now: Directories, then: Directories) -> bool:
    """Whether a directory is merged of the same ones, counted from one layer above."""
    return len(now) == len(then) and all(
        above - 1 == below and one.path == other.path for (above, one), (below, other) in zip(now, then, strict=True)
    )


def _differ(now: Status, then: Status) -> bool:
    """``statDifferent`` of moby's pkg/archive/changes_unix.go."""
    if (now.st_mode, now.st_uid, now.st_gid, now.st_rdev) != (then.st_mode, then.st_uid, then.st_gid, then.st_rdev):
        return True
    if stat.S_ISDIR(now.st_mode):
        return False
    return now.st_size != then.st_size or not _same_time(now.st_mtime_ns, then.st_mtime_ns)


def _same_time(now: int, then: int) -> bool:
    """``sameFsTime``: seconds are enough where one of them has nothing else."""
    exact = now % _SECOND and then % _SECOND
    return now == then or (not exact and now // _SECOND == then // _SECOND)


def _size(nodes: Iterable[Node]) -> int:
    """Bytes of the regular files, a hard link once."""
    size = 0
    linked: set[tuple[int, int]] = set()
    for status in (node.parts[0].status for node in nodes if node.parts):
        inode = (status.st_dev, status.st_ino)
        if stat.S_ISREG(status.st_mode) and inode not in linked:
            size += status.st_size
            if status.st_nlink > 1:
                linked.add(inode)
    return size
