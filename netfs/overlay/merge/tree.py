"""What a layer is to those who reason about it: directories whose entries can be looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from netfs.model.layers import MountOptions


class Status(Protocol):
    """lstat(2) of an object; ``os.stat_result`` is one."""

    @property
    def st_mode(self) -> int:
        """Type and permissions."""
        ...

    @property
    def st_ino(self) -> int:
        """Inode."""
        ...

    @property
    def st_dev(self) -> int:
        """Device of the file system."""
        ...

    @property
    def st_nlink(self) -> int:
        """Names of the inode."""
        ...

    @property
    def st_uid(self) -> int:
        """Owner."""
        ...

    @property
    def st_gid(self) -> int:
        """Group."""
        ...

    @property
    def st_size(self) -> int:
        """Bytes, as a reader counts them."""
        ...

    @property
    def st_blocks(self) -> int:
        """Units of 512 bytes that are allocated."""
        ...

    @property
    def st_rdev(self) -> int:
        """Of a device: which."""
        ...

    @property
    def st_mtime_ns(self) -> int:
        """Last change of the content."""
        ...


class Directory(Protocol):
    """A directory of one layer. Its names are single components, never ``.`` or ``..``, and follow no symlink.

    Every method raises OSError for what cannot be read; where a name is not there, ``status`` and ``mark`` say None.
    A directory holds few or no file descriptors: a tree may be deep, and a chain may have 500 layers.
    """

    def scan(self) -> Mapping[str, Status]:
        """Every entry with its status, in one pass."""
        ...

    def names(self) -> Mapping[str, int]:
        """Every entry with its type (``stat.S_IFMT`` of its mode; 0: not known without asking)."""
        ...

    def status(self, name: str) -> Status | None:
        """An entry's status."""
        ...

    def own_status(self) -> Status:
        """The status of the directory itself."""
        ...

    def mark(self, name: str, mark: str) -> bytes | None:
        """The value of an entry's xattr ``overlay.MARK`` in the namespace that the mount uses; None: it has none.

        Name ``""`` means the directory itself. Marks: ``opaque``, ``whiteout``, ``redirect``, ``metacopy``. Where
        reading ``trusted.*`` takes a privilege that is not there, the tree remembers it (``DiskTree.unreadable``) and
        this says None.
        """
        ...

    def xattrs(self, name: str) -> Mapping[str, bytes]:
        """All xattrs of an entry, with their full names; ``""`` means the directory itself."""
        ...

    def link(self, name: str) -> str:
        """The target of a symlink, unresolved."""
        ...

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Part of a regular file. Raises OSError (EINVAL) for anything else.

        No device is opened, no FIFO waited for.
        """
        ...

    def enter(self, name: str) -> Directory:
        """The directory of that name. Raises OSError (ENOTDIR, ENOENT) where there is none."""
        ...

    @property
    def path(self) -> str:
        """From the layer's root, without a leading ``/``; empty for the root itself."""
        ...


@dataclass(frozen=True, slots=True)
class Stack:
    """What is mounted: layers, uppermost first."""

    layers: Sequence[Directory]
    data: Sequence[Directory] = ()
    """Data-only layers (``::``, ``datadir+=``): no name of theirs is seen."""
    upper: bool = True
    """Whether the first of ``layers`` is an upper; else all of them are lowers."""
    options: MountOptions = field(default_factory=MountOptions)
