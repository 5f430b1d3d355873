"""Layers that hide one kind of mark: whoever merges them breaks one rule of overlayfs, and the oracle must notice."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from types import SimpleNamespace
from typing import cast

from netfs.overlay.merge.tree import Directory, Status

RULES = ("opaque", "whiteout", "redirect", "metacopy", "device")
"""``device``: a device 0:0 looks like any other."""
_FIELDS = (
    "st_mode",
    "st_ino",
    "st_dev",
    "st_nlink",
    "st_uid",
    "st_gid",
    "st_size",
    "st_blocks",
    "st_rdev",
    "st_mtime_ns",
)


class Blind:
    """A directory in which nobody sees the marks of one rule."""

    def __init__(self, inner: Directory, rule: str) -> None:
        self._inner = inner
        self._rule = rule

    def scan(self) -> Mapping[str, Status]:
        return {name: self._altered(status) for name, status in self._inner.scan().items()}

    def names(self) -> Mapping[str, int]:
        return self._inner.names()

    def status(self, name: str) -> Status | None:
        found = self._inner.status(name)
        return None if found is None else self._altered(found)

    def own_status(self) -> Status:
        return self._inner.own_status()

    def mark(self, name: str, mark: str) -> bytes | None:
        return None if mark == self._rule else self._inner.mark(name, mark)

    def xattrs(self, name: str) -> Mapping[str, bytes]:
        return self._inner.xattrs(name)

    def link(self, name: str) -> str:
        return self._inner.link(name)

    def read(self, name: str, offset: int, length: int) -> bytes:
        return self._inner.read(name, offset, length)

    def enter(self, name: str) -> Directory:
        return Blind(self._inner.enter(name), self._rule)

    @property
    def path(self) -> str:
        return self._inner.path

    def _altered(self, status: Status) -> Status:
        if self._rule != "device" or not stat.S_ISCHR(status.st_mode) or status.st_rdev:
            return status
        fields = {name: getattr(status, name) for name in _FIELDS}
        return cast("Status", SimpleNamespace(**{**fields, "st_rdev": 1}))
