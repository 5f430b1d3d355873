"""What a tree says of itself, asked as any program would ask: readdir, lstat, readlink, getxattr, open and read."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Collection, Iterable
from typing import Any

from tests.property.overlay_mount import resolved

Seen = dict[str, Any]
"""What one path answers: ``error`` of lstat, or its status, target, xattrs, and content or the ``open`` error."""
READ_LIMIT = 1 << 20


def observe(root: str, names: Iterable[str] = (), start: str = "", skip: Collection[str] = ()) -> dict[str, Seen]:
    """Every path of a mounted tree from ``start`` on, ``""`` being its root; ``skip`` and what is below it is left out.

    A name that readdir tells and lstat denies is left out. readdir may pass over a name whose look-up fails
    (ovl_cache_update): ``names`` are asked for in every directory, besides what it tells. Statuses are asked before any
    file is opened: the kernel looks for a metacopy's data when it is opened, and tells other blocks from then on.
    """
    seen: dict[str, Seen] = {}
    pending = [(start, True)]
    while pending:
        path, listed = pending.pop()
        if path in skip:
            continue
        try:
            found = os.lstat(root + path)
        except OSError as error:
            if error.errno != errno.ENOENT:
                seen[path] = {"error": name_of(error.errno)}
            continue
        seen[path] = status(found) if listed else {**status(found), "listed": False}
        if stat.S_ISDIR(found.st_mode):
            told, failure = _listed(root + path)
            if failure:
                seen[path]["open"] = failure
            above = f"{path}/" if path else ""
            pending += [(above + name, bool(failure) or name in told) for name in told.union(names)]
    _forgive(seen, skip)
    for path, what in seen.items():
        if "error" not in what:
            what.update(_inside(root + path, what["type"]))
        if "target" in what:
            what["leads"] = {asked: _leads(root, asked) for asked in beyond_link(path)}
    return seen


def beyond_link(path: str) -> tuple[str, ...]:
    """Paths through a symlink that are worth asking for."""
    return path, f"{path}/", f"{path}/a", f"{path}/../b"


def _leads(root: str, path: str) -> str:
    try:
        return resolved(root, path)
    except OSError as error:
        return name_of(error.errno)


def _forgive(seen: dict[str, Seen], skip: Iterable[str]) -> None:
    """Where one name's look-up fails, the kernel may refuse to list the whole directory, and may not: it is an upper
    one marked ``impure``, and all layers are on one file system (ovl_dir_read_impure). The name's failure is compared.
    """
    failures = {(path.rpartition("/")[0], what["error"]) for path, what in seen.items() if path and "error" in what}
    failures |= {(path.rpartition("/")[0], "ESTALE") for path in skip}
    for path, what in seen.items():
        if (path, what.get("open")) in failures:
            del what["open"]


def _listed(path: str) -> tuple[set[str], str]:
    """The names of a directory, or why there are none.

    A name that cannot be looked up makes readdir fail once, and is passed over from then on.
    """
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    failure = ""
    try:
        for _ in range(50):
            try:
                return set(os.listdir(directory)), ""
            except OSError as error:
                failure = name_of(error.errno)
        return set(), failure
    finally:
        os.close(directory)


def status(found: Any) -> Seen:
    """The parts of an lstat that an overlay decides. A directory's links depend on the file system below; its blocks on
    the marks that the mount itself writes to an upper while it is looked at (ovl_fix_origin).
    """
    seen = {
        "type": stat.S_IFMT(found.st_mode),
        "mode": oct(stat.S_IMODE(found.st_mode)),
        "uid": found.st_uid,
        "gid": found.st_gid,
        "size": found.st_size,
        "rdev": found.st_rdev,
        "mtime": found.st_mtime_ns,
    }
    if not stat.S_ISDIR(found.st_mode):
        seen["nlink"] = found.st_nlink
        seen["blocks"] = found.st_blocks
    return seen


def content(data: bytes) -> str:
    """Short content as it is, long content by its hash."""
    return repr(data) if len(data) < 80 else f"{len(data)} bytes {hashlib.sha256(data).hexdigest()[:16]}"


def in_words(seen: Seen) -> str:
    """For people: ``EPERM``, ``directory``, ``open ENOENT``, ``-> target``, a file's content, or the type."""
    if "error" in seen:
        return str(seen["error"])
    if "open" in seen:
        return f"open {seen['open']}"
    types = {stat.S_IFDIR: "directory", stat.S_IFIFO: "fifo", stat.S_IFCHR: "char", stat.S_IFBLK: "block"}
    return f"-> {seen['target']}" if "target" in seen else str(seen.get("content", types.get(seen["type"])))


def name_of(number: int | None) -> str:
    """``EPERM``."""
    return errno.errorcode.get(number or 0, str(number))


def _inside(path: str, kind: int) -> Seen:
    seen: Seen = {}
    try:
        names = os.listxattr(path, follow_symlinks=False)
        seen["xattrs"] = {name: os.getxattr(path, name, follow_symlinks=False) for name in sorted(names)}
    except OSError as error:
        seen["xattrs"] = name_of(error.errno)
    if kind == stat.S_IFLNK:
        seen["target"] = os.readlink(path)
    elif kind == stat.S_IFREG:
        try:
            file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        except OSError as error:
            return {**seen, "open": name_of(error.errno)}
        try:
            seen["content"] = content(os.pread(file, READ_LIMIT, 0))
        except OSError as error:
            seen["open"] = name_of(error.errno)
        finally:
            os.close(file)
    return seen
