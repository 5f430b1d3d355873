"""The root of a machine's files, live or copied: every path leads where it leads on that machine, never out of it."""

from __future__ import annotations

import errno
import functools
import os
import stat
from types import TracebackType
from typing import TYPE_CHECKING, Self

from netfs.disk.descriptor import Descriptor, Pool
from netfs.disk.names import encoded, refused
from netfs.disk.openat2 import open_directory, open_in_root, walk
from netfs.disk.regular import read_regular
from netfs.errors import SourceError

if TYPE_CHECKING:
    from netfs.overlay.disk.tree import DiskTree


class Root:
    """Files below a directory. Paths count from it, with a leading ``/`` or not; symlinks are resolved inside it.

    Methods raise OSError: ELOOP where a path leads through more than 40 symlinks or a magic link of /proc, EINVAL where
    it is none (a NUL byte). Raises SourceError where ``path`` is no directory or cannot be entered.
    """

    def __init__(self, path: str = "/") -> None:
        self.path = path
        self._pool = Pool()
        try:
            self._root: Descriptor | None = Descriptor(
                os.open(encoded(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            )
            os.stat(".", dir_fd=self._root.fd)  # what may not be searched can be opened with O_PATH
        except OSError as error:
            raise SourceError(error.strerror or str(error), where=path) from error
        _require_proc(self._root.fd)

    def read(self, path: str, limit: int = 64 << 20) -> bytes:
        """The whole of a regular file. Raises OSError: EFBIG beyond ``limit`` bytes, EINVAL for anything else.

        Never waits for a FIFO, never opens a device, and leaves the atime alone where that is allowed.
        """
        with self._open(path) as found:
            status = os.fstat(found)
            # A file of /proc does not tell its size, and one that is written to has another by now.
            if stat.S_ISREG(status.st_mode) and status.st_size > limit:
                raise refused(errno.EFBIG, path)
            data = read_regular(found, 0, limit + 1)
        if len(data) > limit:
            raise refused(errno.EFBIG, path)
        return data

    def names(self, path: str) -> list[str]:
        """The entries of a directory, sorted. Raises OSError."""
        opened = self._directory(path)
        with opened as fd:
            if not opened.readable:
                raise refused(errno.EACCES, path)
            return sorted(os.listdir(fd))

    def status(self, path: str, *, follow: bool = True) -> os.stat_result:
        """The status of what is there; ``follow``: of what a symlink at its end leads to. Raises OSError."""
        with self._open(path, follow=follow) as found:
            return os.fstat(found)

    def link(self, path: str) -> str:
        """The target of a symlink, as it is written. Raises OSError: EINVAL where it is none."""
        with self._open(path, follow=False) as found:
            if not stat.S_ISLNK(os.fstat(found).st_mode):
                raise refused(errno.EINVAL, path)
            return os.fsdecode(os.readlink(b"", dir_fd=found))

    def resolve(self, path: str) -> str:
        """The path without any symlink, ``.`` or ``..``, from this root, with a leading ``/``. Raises OSError."""
        names, fd = walk(self._fd, encoded(path))
        os.close(fd)
        return "/" + os.fsdecode(b"/".join(names))

    def is_directory(self, path: str) -> bool:
        """Whether a directory is there, at the end of all symlinks. False where that cannot be told."""
        try:
            return stat.S_ISDIR(self.status(path).st_mode)
        except OSError:
            return False

    def tree(self, path: str, *, userxattr: bool = False) -> DiskTree:
        """The directory as a layer. ``userxattr``: its marks are ``user.overlay.*``. Raises OSError.

        It keeps one descriptor and shares 64 with the other trees of this root, until that is closed; it stays usable
        then. Meanwhile a file system that is read cannot be unmounted.
        """
        from netfs.overlay.disk.tree import DiskTree  # who reads an engine's files needs nothing of layers

        return DiskTree(self._directory(path), self._pool, userxattr=userxattr, trusted=self._trusted)

    def on_host(self, path: str) -> str:
        """The path as this host names it, for people: a symlink in it may lead elsewhere here."""
        return os.path.join(self.path, path.lstrip("/"))

    def close(self) -> None:
        """Give back the descriptors. Closing twice is allowed; anything else then raises OSError (EBADF)."""
        self._root = None
        self._pool.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @functools.cached_property
    def _trusted(self) -> bool:
        from netfs.overlay.disk.xattrs import trusted_is_readable

        return trusted_is_readable()

    @property
    def _fd(self) -> int:
        if self._root is None:
            raise refused(errno.EBADF, self.path)
        return self._root.fd

    def _open(self, path: str, *, follow: bool = True) -> Descriptor:
        flags = os.O_PATH if follow else os.O_PATH | os.O_NOFOLLOW
        return Descriptor(open_in_root(self._fd, encoded(path), flags))

    def _directory(self, path: str) -> Descriptor:
        return open_directory(open_in_root, self._fd, encoded(path))


def _require_proc(fd: int) -> None:
    """Raise SourceError where descriptors have no names: files are opened, and their xattrs read, by those."""
    try:
        if os.path.samestat(os.stat(f"/proc/self/fd/{fd}"), os.fstat(fd)):
            return
    except OSError:
        pass
    raise SourceError("it is not mounted, or of another PID namespace", where="/proc", hint="mount -t proc proc /proc")
