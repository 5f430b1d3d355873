"""To whom namespaces belong: owner, parent, number. Each is open once, for as long as it is asked.

User and PID namespaces that hold no process appear here: as the owners and parents of others.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from enum import IntEnum
from errno import EPERM
from itertools import chain

from netfs.collect.namespaces import ioctls
from netfs.collect.namespaces.found import Found, Search
from netfs.collect.namespaces.numbers import Numbers
from netfs.collect.namespaces.pins import pin_ways, still_pinned
from netfs.collect.procfs import FOLDER

READ = os.O_RDONLY | os.O_CLOEXEC


class Came(IntEnum):
    """How far one came on the way to a namespace."""

    NOWHERE = 0
    REFUSED = 1
    THERE = 2


class _Folder:
    """/proc/PID/ns, open for as long as one asks there: most namespaces are found process by process."""

    def __init__(self) -> None:
        self._path = ""
        self._fd = -1

    def open(self, path: str) -> int:
        """Open a file for reading. Raises OSError."""
        folder, _, name = path.rpartition("/")
        if folder != self._path:
            self.close()
            self._fd = os.open(folder, FOLDER)
            self._path = folder
        return os.open(name, READ, dir_fd=self._fd)

    def close(self) -> None:
        """Give back the descriptor."""
        if self._path:
            os.close(self._fd)
            self._path = ""


class Relations:
    """What namespaces are to each other, asked of the kernel."""

    def __init__(self, search: Search, numbers: Numbers, own: int) -> None:
        self.search = search
        self.numbers = numbers
        self.own = own
        """The caller's mount namespace."""
        self._folder = _Folder()

    def learn_all(self) -> None:
        """Ask about every namespace found so far, and about those that come up by that."""
        try:
            for found in list(self.search.found.values()):
                if not found.known:
                    self._reach(found)
        finally:
            self._folder.close()

    def learn_some(self, some: Iterable[Found]) -> None:
        """Ask about these as far as a process leads to them: who is not reached is left as he is."""
        try:
            for found in some:
                if not found.known:
                    self._by_process(found)
        finally:
            self._folder.close()

    def learn(self, found: Found, fd: int) -> None:
        """Ask about the namespace that ``fd`` is open on."""
        found.known = True
        if found.type == "user":
            # The owner of a user namespace is its parent (kernel/user_namespace.c, ``userns_owner``).
            found.owner = found.parent = self._above(fd, ioctls.NS_GET_PARENT, "user", "child")
            found.owner_uid = self._owner_uid(fd)
            return
        found.owner = self._above(fd, ioctls.NS_GET_USERNS, "user", "owned")
        if found.type == "pid":
            found.parent = self._above(fd, ioctls.NS_GET_PARENT, "pid", "child")
        elif found.type == "net":
            found.nsid = self.numbers.of(fd)

    def _reach(self, found: Found) -> None:
        """Open it by the first way that still leads to it. What has ended is forgotten."""
        came = self._by_process(found)
        if came is not Came.THERE:
            came = max(came, self._by_file(found))
        if came is Came.REFUSED:
            self.search.refuse("relations", f"{found.type}:[{found.id}]")
        elif came is Came.NOWHERE:
            found.pins = still_pinned(found, self.search)
            if not found.pins:
                del self.search.found[found.type, found.id]

    def _by_process(self, found: Found) -> Came:
        came = Came.NOWHERE
        for path in found.ways(self.search.proc):
            try:
                fd = self._folder.open(path)
            except (FileNotFoundError, ProcessLookupError):
                continue
            except OSError:  # may not be, or for want of descriptors
                came = Came.REFUSED
                continue
            try:
                if os.fstat(fd).st_ino == found.id:
                    self.learn(found, fd)
                    return Came.THERE
            finally:
                os.close(fd)
        return came

    def _by_file(self, found: Found) -> Came:
        """By a descriptor of somebody or by a pin, where by now may be anything."""
        came = Came.NOWHERE
        proc = self.search.proc
        links = ((at_link, f"{proc}/{file.pid}/fd/{file.fd}") for file in found.open_files)
        pins = ((at_pin, path) for path in pin_ways(found, self.own, proc))
        for look, path in chain(links, pins):
            try:
                at = look(path)
            except PermissionError:
                came = Came.REFUSED
                continue
            except OSError:
                continue
            try:
                if self.learn_at(found, at):
                    return Came.THERE
            finally:
                os.close(at)
        return came

    def learn_at(self, found: Found, at: int) -> bool:
        """As ``learn``, by a descriptor that only looks; False: it is on something else."""
        fd = askable(at, found, self.search.device)
        if fd is None:
            return False
        try:
            self.learn(found, fd)
        finally:
            os.close(fd)
        return True

    def _above(self, fd: int, request: int, type: str, keeps: str) -> int | None:
        """The namespace that owns or holds the one at ``fd``; None: none that may be seen from here."""
        try:
            above = ioctls.related(fd, request)
        except OSError as failure:
            if failure.errno != EPERM:  # EPERM: there is none, or it is beyond the caller's own
                self.search.refuse("ioctl", failure.strerror or str(failure))
            return None
        try:
            id = os.fstat(above).st_ino
            found = self.search.get(type, id)
            found.keeps.add(keeps)
            if not found.known:
                self.learn(found, above)
            return id
        finally:
            os.close(above)

    def _owner_uid(self, fd: int) -> int | None:
        try:
            return ioctls.owner_uid(fd)
        except OSError as failure:
            self.search.refuse("ioctl", failure.strerror or str(failure))
            return None


def at_link(path: str) -> int:
    """Open what a link of /proc/PID/fd stands for, to look at it only (O_PATH). Raises OSError."""
    return os.open(path, os.O_PATH | os.O_CLOEXEC)


def at_pin(path: str | bytes) -> int:
    """Open what lies at a path, to look at it only: whatever it is by now, it is not woken. Raises OSError."""
    return os.open(path, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW)


def askable(at: int, found: Found, device: int) -> int | None:
    """The namespace that ``at`` was opened on, in a form that may be asked; None: that is something else.

    The caller closes both.
    """
    status = os.fstat(at)
    if (status.st_dev, status.st_ino) != (device, found.id):
        return None
    try:
        fd = os.open(f"/proc/self/fd/{at}", READ)
    except OSError:
        return None
    if _kind(fd) == found.type:
        return fd
    os.close(fd)
    return None


def _kind(fd: int) -> str:
    try:
        return ioctls.kind(fd)
    except OSError:
        return ""
