"""Layers without a disk: a tree written as nested dictionaries, and the ``Directory`` that the merge reads.

    lower = tree({"etc": {"hosts": "127.0.0.1", "old": WHITEOUT}, "bin": symlink("usr/bin")})
    upper = tree({"etc": directory({"new": file("x", uid=1000)}, opaque="y")})
    Stack((upper, lower))

A dictionary is a directory, text or bytes a regular file. One ``Item`` at two places is a hard link. Marks
(``opaque``, ``redirect``, ``metacopy``, ``whiteout``) are keywords; their xattrs are ``trusted.overlay.…`` or, in a
tree made with ``userxattr``, ``user.overlay.…``. Any other xattr goes by its full name:
``xattrs={"user.note": b"1"}``.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeAlias

MARKS = ("opaque", "redirect", "metacopy", "whiteout")
_numbers = count(1000)


@dataclass(frozen=True, slots=True)
class Stat:
    """What lstat(2) says."""

    st_mode: int
    st_ino: int
    st_dev: int
    st_nlink: int
    st_uid: int
    st_gid: int
    st_size: int
    st_blocks: int
    st_rdev: int
    st_mtime_ns: int


@dataclass(eq=False)
class Item:
    """An inode: of a directory the entries, of a file the bytes, of a symlink the target."""

    type: int
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    rdev: int = 0
    content: bytes = b""
    size: int | None = None
    """Of a file with a hole at its end."""
    blocks: int | None = None
    entries: dict[str, Item] = field(default_factory=dict)
    target: str = ""
    marks: dict[str, bytes] = field(default_factory=dict)
    xattrs: dict[str, bytes] = field(default_factory=dict)
    broken: int = 0
    """errno of every attempt to look into it (a directory), or at it (anything else)."""
    device: int = 64
    number: int = field(default_factory=lambda: next(_numbers))
    names: int = 0

    @property
    def status(self) -> Stat:
        size = len(self.target) if self.type == stat.S_IFLNK else len(self.content)
        blocks = -(-len(self.content) // 4096) * 8
        return Stat(
            st_mode=self.type | self.mode,
            st_ino=self.number,
            st_dev=self.device,
            st_nlink=max(1, self.names),
            st_uid=self.uid,
            st_gid=self.gid,
            st_size=size if self.size is None else self.size,
            st_blocks=blocks if self.blocks is None else self.blocks,
            st_rdev=self.rdev,
            st_mtime_ns=self.mtime_ns,
        )


Content: TypeAlias = "Item | str | bytes | Mapping[str, Content]"
Entries: TypeAlias = Mapping[str, Content]


def item(content: Content) -> Item:
    """What the notation means."""
    if isinstance(content, Item):
        return content
    return directory(content) if isinstance(content, Mapping) else file(content)


def _made(type: int, given: dict[str, Any], **more: Any) -> Item:
    marks = {mark: given.pop(mark) for mark in MARKS if mark in given}
    coded = {mark: value.encode() if isinstance(value, str) else value for mark, value in marks.items()}
    return Item(type, **({"marks": coded} | more | given))


def file(content: str | bytes = b"", **of: Any) -> Item:
    """A regular file; ``of``: any field of ``Item`` and any mark."""
    return _made(stat.S_IFREG, of, content=content.encode() if isinstance(content, str) else content)


def directory(entries: Mapping[str, Content] | None = None, **of: Any) -> Item:
    """A directory; ``of``: any field of ``Item`` and any mark."""
    inside = {name: item(content) for name, content in (entries or {}).items()}
    for each in inside.values():
        each.names += 1
    return _made(stat.S_IFDIR, of, mode=0o755, entries=inside)


def symlink(target: str, **of: Any) -> Item:
    return _made(stat.S_IFLNK, of, mode=0o777, target=target)


def device(major: int, minor: int, type: int = stat.S_IFCHR, **of: Any) -> Item:
    return _made(type, of, rdev=os.makedev(major, minor))


def fifo(**of: Any) -> Item:
    return _made(stat.S_IFIFO, of)


def socket(**of: Any) -> Item:
    return _made(stat.S_IFSOCK, of)


def broken(number: int = errno.EIO) -> Item:
    """An entry that cannot be looked at."""
    return Item(0, broken=number)


WHITEOUT = Item(stat.S_IFCHR, 0)
"""Character device 0:0. One inode for all of them, as the kernel makes them."""


@dataclass(frozen=True)
class MemoryTree:
    """A ``Directory`` (netfs/overlay/merge/tree.py) of such a tree."""

    item: Item = field(repr=False)
    path: str = ""
    userxattr: bool = False
    calls: list[str] = field(default_factory=list, compare=False, repr=False)
    """What was asked, oldest first: ``names etc``, ``mark etc/hosts metacopy``. One list for the whole tree."""

    def scan(self) -> dict[str, Stat]:
        self._asked("scan")
        return {name: self._status(each) for name, each in self._entries().items()}

    def names(self) -> dict[str, int]:
        self._asked("names")
        return {name: each.type for name, each in self._entries().items()}

    def status(self, name: str) -> Stat | None:
        self._asked("status", name)
        each = self._entries().get(self._single(name))
        return self._status(each) if each else None

    def own_status(self) -> Stat:
        self._asked("status")
        return self.item.status

    def mark(self, name: str, mark: str) -> bytes | None:
        assert mark in MARKS
        self._asked("mark", name, mark)
        each = self._entries().get(self._single(name)) if name else self.item
        return self._xattrs(each).get(f"{self._space}.overlay.{mark}") if each else None

    def xattrs(self, name: str) -> dict[str, bytes]:
        self._asked("xattrs", name)
        return self._xattrs(self._get(name) if name else self.item)

    def link(self, name: str) -> str:
        self._asked("link", name)
        each = self._get(name)
        if each.type != stat.S_IFLNK:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return each.target

    def read(self, name: str, offset: int, length: int) -> bytes:
        self._asked("read", name)
        each = self._get(name)
        if each.type != stat.S_IFREG:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return each.content.ljust(each.size or 0, b"\0")[offset : offset + length]

    def enter(self, name: str) -> MemoryTree:
        self._asked("enter", name)
        each = self._get(name)
        if each.type != stat.S_IFDIR:
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        return MemoryTree(each, f"{self.path}/{name}" if self.path else name, self.userxattr, self.calls)

    @property
    def _space(self) -> str:
        return "user" if self.userxattr else "trusted"

    def _asked(self, what: str, name: str = "", *more: str) -> None:
        path = "/".join(part for part in (self.path, name) if part)
        self.calls.append(" ".join((what, path, *more)))

    def _entries(self) -> dict[str, Item]:
        if self.item.broken:
            raise OSError(self.item.broken, os.strerror(self.item.broken))
        return self.item.entries

    def _single(self, name: str) -> str:
        if name in (".", "..", "") or "/" in name or "\0" in name:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        if len(os.fsencode(name)) > 255:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        return name

    def _get(self, name: str) -> Item:
        each = self._entries().get(self._single(name))
        if each is None:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        self._status(each)
        return each

    def _status(self, each: Item) -> Stat:
        if each.broken and each.type != stat.S_IFDIR:
            raise OSError(each.broken, os.strerror(each.broken))
        return each.status

    def _xattrs(self, each: Item) -> dict[str, bytes]:
        self._status(each)
        return {f"{self._space}.overlay.{mark}": value for mark, value in each.marks.items()} | each.xattrs


def tree(entries: Mapping[str, Content] | Item, *, userxattr: bool = False) -> MemoryTree:
    """A layer. What the root itself is goes by ``tree(directory({…}, mode=0o700))``."""
    return MemoryTree(item(entries), userxattr=userxattr)
