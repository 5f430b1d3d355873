"""The groups of one hierarchy, and the contents of their files.

Everything is opened below a descriptor of the hierarchy's root, a level at a time: neither a symbolic link nor another
mount is followed, and no path is too long. A group that is removed meanwhile is left out, or has what was read of it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from zlib import crc32

from netfs.collect.cgroups import names
from netfs.collect.cgroups.chosen import Chosen
from netfs.collect.cgroups.found import Found
from netfs.model.cgroups import Hierarchy

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
LEAF = 2
"""Links of a directory that has no others in it (fs/kernfs/inode.c)."""
DEEPEST = 200
"""A descriptor is open for each level."""
SMALL, LARGE = 1 << 13, 1 << 16
PIECE = 1 << 11
"""A list of processes comes in pieces, each nearly a page (fs/seq_file.c); what is shorter is whole."""
WIDE = 64
"""Groups in one directory that two processes share."""
ABSENT = frozenset({errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP, errno.EINVAL})
"""ENODEV: the group was removed after the file was opened. EOPNOTSUPP: the file has nothing to say of such a group, as
cgroup.procs of a threaded one, or pressure where nobody accounts for it."""


class Group(NamedTuple):
    """One that is being read."""

    path: str
    controllers: tuple[str, ...]
    depth: int
    whole: bool
    """All below it are wanted."""
    shared: bool
    """Another process reads it as well: the two share what is below."""


class Walk:
    """One hierarchy's part of the groups."""

    def __init__(
        self, hierarchy: Hierarchy, found: Found, *, detail: bool, chosen: Chosen, known: Found, share: int | None
    ) -> None:
        """``known``: what version 1 tells already. ``share``: 0 or 1 in two processes that walk together."""
        self.offered = hierarchy.controllers
        """Those that the whole hierarchy has."""
        self._hierarchy = hierarchy
        self._version = hierarchy.version
        self._found = found
        self._detail = detail
        self._chosen = chosen
        self._known = known
        self._share = share
        self._device = 0

    def run(self, root: int) -> None:
        """Read the group that this descriptor stands for, and everything below it."""
        there, path = os.fstat(root), self._hierarchy.root
        self._device = there.st_dev
        if self._version == 2:
            self.offered = self._words(root, "cgroup.controllers", path)
        self._found.group(path, there.st_ino, self.offered)
        group = Group(path, self._hierarchy.controllers, 0, self._chosen.covers(path), self._share is not None)
        try:
            folder = os.open(".", FOLDER, dir_fd=root)  # a copied descriptor shares its place in the directory
        except OSError as failure:
            self._found.refused.add(self._hierarchy.path, "control groups", failure.strerror or str(failure))
            return
        try:
            self._folder(folder, group)  # of version 2 without controllers: the root has no files of theirs
        finally:
            os.close(folder)

    def _folder(self, folder: int, group: Group) -> None:
        """A group whose directory is open, and those below it."""
        below, files = self._listed(folder, group.path)
        self._read(folder, "", group.path, self._wanted(group, files))
        if not group.whole:
            below = self._chosen.below(group.path, below)
        if below and group.depth == DEEPEST:
            reason = f"those more than {DEEPEST} levels deep are not read"
            self._found.refused.add(self._hierarchy.path, "control groups", reason)
        elif below:
            self._below(folder, group, below)

    def _below(self, folder: int, group: Group, below: Sequence[str]) -> None:
        path, controllers, depth, whole, shared = group
        if shared and len(below) >= WIDE:
            shared, below = False, [name for name in below if crc32(os.fsencode(name)) & 1 == self._share]
        if self._version == 2:
            controllers = self._words(folder, "cgroup.subtree_control", path)
        start = path if path != "/" else ""
        for name in below:
            child = f"{start}/{name}"
            self._group(folder, name, Group(child, controllers, depth + 1, whole or self._chosen.has(child), shared))

    def _group(self, at: int, name: str, group: Group) -> None:
        """A group in an open directory. It is opened itself where there are others below it."""
        try:
            there = os.stat(name, dir_fd=at, follow_symlinks=False)
            if there.st_dev != self._device or not stat.S_ISDIR(there.st_mode):
                return
            self._found.group(group.path, there.st_ino, group.controllers)
            if there.st_nlink == LEAF and not self._detail:
                self._read(at, f"{name}/", group.path, self._wanted(group, ()))
                return
            folder = os.open(name, FOLDER, dir_fd=at)
        except OSError as error:
            self._failed(error, group.path)
            return
        try:
            self._folder(folder, group)
        finally:
            os.close(folder)

    def _listed(self, folder: int, path: str) -> tuple[list[str], list[str]]:
        """(groups, files) in an open directory."""
        groups: list[str] = []
        files: list[str] = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    (groups if entry.is_dir(follow_symlinks=False) else files).append(entry.name)
        except OSError as error:
            self._failed(error, path)
        return groups, files

    def _wanted(self, group: Group, files: Iterable[str]) -> list[str]:
        """The names of the files to read; ``files`` are those that are there, where all are read."""
        if self._detail:
            return names.whole(self._version, files)
        used = self._version == 1 or names.USE_V1 in self._known.files.get(group.path, ())
        return names.table(self._version, group.controllers, used=used)

    def _words(self, folder: int, name: str, path: str) -> tuple[str, ...]:
        """The controllers that a file lists."""
        return tuple(os.fsdecode(self._content(folder, name, path) or b"").split())

    def _read(self, at: int, prefix: str, path: str, wanted: Iterable[str]) -> None:
        for name in wanted:
            content = self._content(at, prefix + name, path)
            if content is None:
                continue
            self._found.put(path, name, content)
            if not self._detail and name in names.WHERE_LIMITED and names.limited(content):
                self._read(at, prefix, path, names.WHERE_LIMITED[name])

    def _content(self, at: int, name: str, path: str) -> bytes | None:
        """What a file holds; None: it is not there, or may not be read."""
        try:
            file = os.open(name, FILE, dir_fd=at)
            try:
                content = os.read(file, SMALL)
                return content if len(content) < PIECE else content + _rest(file)
            finally:
                os.close(file)
        except OSError as error:
            self._failed(error, path)
            return None

    def _failed(self, error: OSError, path: str) -> None:
        if error.errno not in ABSENT:
            self._found.refused.add(self._hierarchy.path + path, "control groups", os.strerror(error.errno or 0))


def _rest(file: int) -> bytes:
    return b"".join(iter(lambda: os.read(file, LARGE), b""))
