"""The files of a layer, read where they lie: directories as handles, a directory above and a way down from it.

A directory is opened when something is asked of it, and may be closed again at any time: a tree keeps one descriptor
for its root, and shares a pool with the other trees of its machine. Mostly the directory above is the parent and the
way a name. Where the path would become longer than what one call takes (``_REACH``), a directory is a landmark: it
knows the whole way from the landmark above, and lets go of those between. So a tree may be as deep as its file system
allows, and costs no more than its path.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping

from netfs.disk.descriptor import Cell, Descriptor, Pool
from netfs.disk.names import component, refused
from netfs.disk.openat2 import open_beneath, open_directory
from netfs.disk.regular import read_regular
from netfs.overlay.disk import xattrs
from netfs.overlay.merge.tree import Directory

_REACH = 3500
"""Bytes from one landmark to the next; with one more name it stays below PATH_MAX."""
_SHORTEST = 32
"""Bytes that a name counts at least: so there are a hundred levels at most from one landmark to the next."""
_MARKS = ("opaque", "redirect", "metacopy", "whiteout")


class _Layer:
    """What all directories of a tree have in common."""

    __slots__ = ("marks", "mounted_over", "pool", "prefix")

    def __init__(self, pool: Pool, *, userxattr: bool) -> None:
        self.pool = pool
        self.prefix = "user.overlay." if userxattr else "trusted.overlay."
        self.marks = frozenset(self.prefix + mark for mark in _MARKS)
        self.mounted_over: dict[str, None] = {}


class DiskDirectory:
    """A directory of a layer (``merge.tree.Directory``).

    No symlink is followed, no mount entered, nothing but directories and regular files is opened. Their atimes stay as
    they are where the caller is root or the owner; readlink(2) has no such option. Methods raise OSError: EINVAL for a
    name that is no single component.
    """

    __slots__ = ("_above", "_cell", "_layer", "_marks", "_reach", "_way")

    def __init__(self, layer: _Layer, above: DiskDirectory | None, way: bytes, cell: Cell, reach: int = 0) -> None:
        self._layer = layer
        self._above = above
        self._way = way
        self._cell = cell
        self._reach = reach  # bytes from the last landmark; 0: it is one, as the root is
        self._marks: frozenset[str] | None = None

    @property
    def path(self) -> str:
        """From the layer's root, without a leading ``/``; empty for the root itself."""
        ways = []
        directory = self
        while directory._above is not None:
            ways.append(directory._way)
            directory = directory._above
        return os.fsdecode(b"/".join(reversed(ways)))

    def scan(self) -> dict[str, os.stat_result]:
        """Every entry with its status. What vanishes meanwhile is left out. Raises OSError, as ``names``: EACCES.

        Where something is mounted over an entry, that is what shows; ``enter`` and ``read`` notice it.
        """
        opened = self._listed()
        try:
            with os.scandir(opened.fd) as entries:
                return {entry.name: entry.stat(follow_symlinks=False) for entry in entries}
        except FileNotFoundError:
            return _scan_what_stays(opened)

    def names(self) -> dict[str, int]:
        """Every entry with its type; 0 for devices, FIFOs and sockets, which would have to be asked."""
        opened = self._listed()
        with os.scandir(opened.fd) as entries:
            return {entry.name: _type(entry) for entry in entries}

    def status(self, name: str) -> os.stat_result | None:
        """An entry's status; None: there is none of that name."""
        raw = component(name)
        opened = self._opened()
        try:
            return os.stat(raw, dir_fd=opened.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def own_status(self) -> os.stat_result:
        """The status of the directory itself."""
        opened = self._opened()
        return os.fstat(opened.fd)

    def mark(self, name: str, mark: str) -> bytes | None:
        """The value of an entry's xattr ``overlay.MARK``, as long as it is (at most 64 KiB); None: it has none.

        Which marks the directory itself has is asked once, so most questions about ``""`` cost nothing; of it, only
        those that overlayfs looks at are known (``opaque``, ``redirect``, ``metacopy``, ``whiteout``).
        """
        if name:
            return xattrs.value(self._opened(), component(name), self._layer.prefix + mark)
        if self._marks is None:
            self._marks = self._layer.marks.intersection(xattrs.names(self._opened(), b""))
        if not self._marks or (key := self._layer.prefix + mark) not in self._marks:
            return None
        return xattrs.value(self._opened(), b"", key)

    def xattrs(self, name: str) -> Mapping[str, bytes]:
        """All xattrs of an entry. Raises OSError (E2BIG) where they are larger than 1 MiB together."""
        return xattrs.every(self._opened(), component(name) if name else b"")

    def link(self, name: str) -> str:
        """The target of a symlink. Raises OSError (EINVAL) where it is none."""
        raw = component(name)
        opened = self._opened()
        return os.fsdecode(os.readlink(raw, dir_fd=opened.fd))

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Part of a regular file; fewer bytes than ``length`` only where it ends.

        Raises OSError: EINVAL for what is no regular file, EXDEV where something is mounted over it.
        """
        raw = component(name)
        opened = self._opened()
        try:
            with Descriptor(open_beneath(opened.fd, raw, os.O_PATH)) as found:
                return read_regular(found, offset, length)
        except OSError as error:
            raise self._noticed(error, raw) from None

    def enter(self, name: str) -> DiskDirectory:
        """The directory of that name.

        Raises OSError: ENOTDIR, ENOENT, EACCES where it may not be searched, EXDEV where something is mounted over it
        (``DiskTree.mounted_over`` remembers it).
        """
        raw = component(name)
        opened = self._opened()
        try:
            below = open_directory(open_beneath, opened.fd, raw)
        except OSError as error:
            raise self._noticed(error, raw) from None
        cell = Cell()
        self._layer.pool.keep(cell, below)
        reach = self._reach + max(len(raw), _SHORTEST) + 1
        return DiskDirectory(self._layer, self, raw, cell, reach) if reach <= _REACH else self._landmark(raw, cell)

    def _landmark(self, name: bytes, cell: Cell) -> DiskDirectory:
        ways = [name]
        directory = self
        while directory._reach and directory._above is not None:
            ways.append(directory._way)
            directory = directory._above
        return DiskDirectory(self._layer, directory, b"/".join(reversed(ways)), cell)

    def _opened(self) -> Descriptor:
        """An open descriptor of the directory; whoever uses its number holds it meanwhile."""
        return self._cell.held or self._opened_again()

    def _listed(self) -> Descriptor:
        """As ``_opened``. Raises OSError (EACCES) where the directory may be searched but not listed."""
        opened = self._opened()
        if not opened.readable:
            raise refused(errno.EACCES, self.path)
        return opened

    def _opened_again(self) -> Descriptor:
        """Open it from the nearest ancestor that is open; the root always is."""
        closed = []
        directory = self
        while (opened := directory._cell.held) is None:
            closed.append((directory._way, directory._cell, not directory._reach))
            assert directory._above is not None
            directory = directory._above
        ways = []
        for way, cell, is_landmark in reversed(closed):
            ways.append(way)
            if is_landmark or cell is self._cell:
                try:
                    opened = open_directory(open_beneath, opened.fd, b"/".join(ways))
                except OSError as error:
                    raise self._noticed(error) from None
                self._layer.pool.keep(cell, opened, ancestor=cell is not self._cell)
                ways.clear()
        return opened

    def _noticed(self, error: OSError, name: bytes = b"") -> OSError:
        """The error, once the tree remembers what it says of a mount."""
        if error.errno == errno.EXDEV:
            self._layer.mounted_over["/".join(filter(None, (self.path, os.fsdecode(name))))] = None
        return error


class DiskTree:
    """A layer on disk, for one thread at a time: two scans of one directory would share their place in it.

    ``root`` is its uppermost directory. ``unreadable``: its marks are ``trusted.*``, and this process cannot see those.
    """

    def __init__(self, opened: Descriptor, pool: Pool, *, userxattr: bool, trusted: bool) -> None:
        self._layer = _Layer(pool, userxattr=userxattr)
        self.root: Directory = DiskDirectory(self._layer, None, b"", Cell(opened))
        self.unreadable = not userxattr and not trusted

    @property
    def mounted_over(self) -> tuple[str, ...]:
        """Paths in the tree over which something else is mounted, as far as they were come upon: not entered."""
        return tuple(self._layer.mounted_over)


def _scan_what_stays(opened: Descriptor) -> dict[str, os.stat_result]:
    found = {}
    with os.scandir(opened.fd) as entries:
        for entry in entries:
            try:
                found[entry.name] = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
    return found


def _type(entry: os.DirEntry[str]) -> int:
    if entry.is_symlink():
        return stat.S_IFLNK
    if entry.is_dir(follow_symlinks=False):
        return stat.S_IFDIR
    return stat.S_IFREG if entry.is_file(follow_symlinks=False) else 0
