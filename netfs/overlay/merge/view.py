"""The merged view of a stack of layers, as a process sees it on the mount."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from netfs.overlay.merge.listing import entries
from netfs.overlay.merge.lookup import Lookup, rules
from netfs.overlay.merge.node import Node, Part
from netfs.overlay.merge.tree import Stack

__all__ = ["Merged", "Node", "Part", "Resolved", "View"]

MOST_LINKS = 40
"""MAXSYMLINKS of include/linux/namei.h: one more is ELOOP."""
LONGEST_NAME = 255
"""NAME_MAX; overlayfs takes the longest of its layers (``ovl_fs.namelen``), and theirs is this one."""
_PAGE = 4096


@dataclass(frozen=True, slots=True)
class Merged:
    """What lstat(2) says on the mount. Inode and device are the mount's own affair (xino)."""

    mode: int
    uid: int
    gid: int
    size: int
    blocks: int
    """Units of 512 bytes: of a metacopy, those of the file that has its bytes."""
    rdev: int
    mtime_ns: int
    nlink: int
    """Of a directory that is merged: 1, as overlayfs says (ovl_getattr)."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where a path leads."""

    path: str
    """Without symlinks, from the root: ``/usr/bin/sh``. Where nothing is there: as far as it is known, and the rest."""
    node: Node | None
    via: tuple[tuple[str, str], ...] = ()
    """The symlinks that were followed: (path of the link, its target)."""
    error: int = 0
    """errno of stat(2): ENOENT, ENOTDIR, ELOOP, …"""


class View:
    """The merged view. Nothing is kept between calls but the root."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._rules = rules(stack)
        self.root = _root(stack)

    def list(self, node: Node) -> dict[str, Node]:
        """A directory's names and what they are. Raises OSError where the directory, or a layer's part of it, cannot be
        read; what cannot be read of one entry is the ``error`` of its node.
        """
        _check(node)
        if not node.directories:
            raise _failure(errno.ENOTDIR)
        return entries(self._rules, node.directories)

    def lookup(self, node: Node, name: str) -> Node | None:
        """One name of a directory; None: it is not there. Raises OSError where ``node`` is no directory that can be
        read.
        """
        _check(node)
        if not node.directories:
            raise _failure(errno.ENOTDIR)
        error = _bad_name(name)
        if error:
            return Node(name, (), error=error)
        return Lookup(self._rules, node.directories, name).node()

    def resolve(self, path: str, *, follow: bool = True) -> Resolved:
        """Where a path leads for a process whose root the view is: ``..`` of the root is the root, an absolute symlink
        starts there. ``follow``: a symlink at the end is followed as well, as stat(2) does and lstat(2) does not.
        """
        return _Resolution(self, follow).resolve(path)

    def walk(self, node: Node | None = None) -> Iterator[tuple[str, Node]]:
        """Every object below a directory, and the directory itself as ``/``: its path from there and its node.

        Parents come first, the names of a directory sorted. A directory that cannot be listed has the reason in
        ``error``.
        """
        pending = [("/", node or self.root)]
        while pending:
            path, each = pending.pop()
            if each.directories and not each.error:
                try:
                    inside = entries(self._rules, each.directories)
                except OSError as error:
                    each, inside = replace(each, error=error.errno or errno.EIO), {}
                below = path if path == "/" else f"{path}/"
                pending += [(below + name, inside[name]) for name in sorted(inside, reverse=True)]
            yield path, each

    def status(self, node: Node) -> Merged:
        """What lstat(2) says (ovl_getattr). Raises OSError as the look-up did."""
        _check(node)
        status = node.parts[0].status
        blocks, nlink = status.st_blocks, status.st_nlink
        if node.closed or (node.data and node.data.layer >= len(self.stack.layers)):
            # What data-only layers have is not looked up before it is read: the kernel guesses.
            blocks = -(-status.st_size // _PAGE) * (_PAGE // 512)
        elif node.data:
            blocks = node.data.status.st_blocks
        elif len(node.directories) > 1:
            nlink = 1
        return Merged(
            mode=status.st_mode,
            uid=status.st_uid,
            gid=status.st_gid,
            size=status.st_size,
            blocks=blocks,
            rdev=status.st_rdev,
            mtime_ns=status.st_mtime_ns,
            nlink=nlink,
        )

    def xattrs(self, node: Node) -> Mapping[str, bytes]:
        """What listxattr(2) and getxattr(2) say (fs/overlayfs/xattrs.c): those of the uppermost part, without the marks
        of this mount; an escaped mark, ``overlay.overlay.…``, by the name it has for an overlay on top of this one.
        """
        _check(node)
        own = "user.overlay." if self.stack.options.userxattr else "trusted.overlay."
        escaped = own + "overlay."
        part = node.parts[0]
        return {
            own + name.removeprefix(escaped) if name.startswith(escaped) else name: value
            for name, value in part.directory.xattrs(part.name).items()
            if name.startswith(escaped) or not name.startswith(own)
        }

    def link(self, node: Node) -> str:
        """Where a symlink points, as it is written. Raises OSError (EINVAL) for anything else."""
        _check(node)
        part = node.parts[0]
        return part.directory.link(part.name)

    def read(self, node: Node, offset: int, length: int) -> bytes:
        """Part of a regular file. Raises OSError: EISDIR, EINVAL for what is no regular file; else as open(2) does."""
        _check(node)
        if node.closed:
            raise _failure(node.closed)
        if not node.data:
            raise _failure(errno.EISDIR if node.directories else errno.EINVAL)
        return node.data.directory.read(node.data.name, offset, length)


class _Resolution:
    """One path on its way through the view (fs/namei.c, link_path_walk)."""

    def __init__(self, view: View, follow: bool) -> None:
        self._view = view
        self._follow = follow
        self._way: list[Node] = [view.root]
        self._via: list[tuple[str, str]] = []

    def resolve(self, path: str) -> Resolved:
        pending = _components(path)
        while pending:
            name = pending.pop()
            here = self._way[-1]
            if here.error or not here.directories:
                return self._end(here.error or errno.ENOTDIR, name, pending)
            if name in (".", ".."):
                self._way = self._way[:-1] or self._way if name == ".." else self._way
                continue
            node = self._view.lookup(here, name)
            if not node or node.error:
                return self._end(node.error if node else errno.ENOENT, name, pending, node)
            if not stat.S_ISLNK(node.parts[0].status.st_mode) or not (pending or self._follow):
                self._way.append(node)
                continue
            failure = self._follow_link(node, pending)
            if failure:
                return self._end(failure, name, pending)
        return Resolved(_path(self._way), self._way[-1], tuple(self._via))

    def _follow_link(self, link: Node, pending: list[str]) -> int:
        """Go where a symlink points; errno where that cannot be."""
        try:
            target = self._view.link(link)
        except OSError as error:
            return error.errno or errno.EIO
        if len(self._via) == MOST_LINKS:
            return errno.ELOOP
        self._via.append((_path([*self._way, link]), target))
        if not target:
            return errno.ENOENT
        if target.startswith("/"):
            self._way = self._way[:1]
        pending += _components(target)
        return 0

    def _end(self, error: int, name: str, pending: list[str], node: Node | None = None) -> Resolved:
        rest = "/".join([name, *reversed(pending)])
        path = f"{_path(self._way).rstrip('/')}/{rest}"
        return Resolved(path, None if pending else node, tuple(self._via), error)


def _bad_name(name: str) -> int:
    """errno for what cannot be a name; 0: it can."""
    try:
        raw = os.fsencode(name)
    except UnicodeEncodeError:
        return errno.EINVAL
    if raw in (b"", b".", b"..") or b"/" in raw or b"\0" in raw:
        return errno.EINVAL
    return errno.ENAMETOOLONG if len(raw) > LONGEST_NAME else 0


def _components(path: str) -> list[str]:
    """The names of a path, the last first. A ``/`` at the end is a ``.``: there must be a directory."""
    names = [name for name in path.split("/") if name]
    return [*(["."] if names and path.endswith("/") else []), *reversed(names)]


def _path(way: list[Node]) -> str:
    return "/" + "/".join(node.name for node in way[1:])


def _root(stack: Stack) -> Node:
    """The roots of all layers, merged; marks on them count for nothing (ovl_get_root)."""
    parts, error = [], 0 if stack.layers else errno.ENOENT
    for layer, each in enumerate(stack.layers):
        try:
            parts.append(Part(layer, each, "", each.own_status()))
        except OSError as failure:
            error = error or failure.errno or errno.EIO
    return Node("", tuple(parts), tuple((part.layer, part.directory) for part in parts), error=error)


def _check(node: Node) -> None:
    if node.error:
        raise _failure(node.error)


def _failure(number: int) -> OSError:
    return OSError(number, os.strerror(number))
