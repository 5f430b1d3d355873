"""Writes the layers of a plan into a folder, and mounts them."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from tests.property.overlay_mount import mounted
from tests.property.overlay_plan import Entry, Layer, Operation, Plan

_DIRECTORY = os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY


def write(plan: Plan) -> None:
    """Makes the layers ``0``, ``1``, … and ``d0``, ``d1``, … in the working directory, the lowest first.

    Raises OSError where the plan asks for what cannot be: a hard link to nothing, a file in no directory.
    """
    data = [f"d{i}" for i in range(len(plan.data))]
    for name, layer in zip(data, plan.data, strict=True):
        _write_layer(name, layer, plan.prefix)
    for i in reversed(range(len(plan.layers))):
        _write_layer(str(i), plan.layers[i], plan.prefix)
        if plan.layers[i].operations:
            below = [str(j) for j in range(i + 1, len(plan.layers))]
            _operate(str(i), below, data, plan.layers[i].operations, userxattr=plan.userxattr)


@contextmanager
def mount(plan: Plan) -> Iterator[str]:
    """The path of the kernel's merged tree. Raises OSError where it refuses the mount."""
    data = [f"d{i}" for i in range(len(plan.data))]
    lowers = [str(i) for i in range(len(plan.layers))]
    upper = lowers.pop(0) if plan.upper else None
    with mounted([*_layers(upper, lowers, data), *plan.mounted_with]) as path:
        yield path


def _layers(upper: str | None, lowers: Sequence[str], data: Sequence[str]) -> Iterator[tuple[str, str]]:
    for lower in lowers:
        yield "lowerdir+", lower
    for layer in data:
        yield "datadir+", layer
    if upper is not None:
        os.makedirs(f"work{upper}", exist_ok=True)
        yield "upperdir", upper
        yield "workdir", f"work{upper}"


def _write_layer(folder: str, layer: Layer, prefix: str) -> None:
    os.mkdir(folder)
    directories = []
    for entry in layer.entries:
        path = os.path.join(folder, entry.path) if entry.path else folder
        _create(path, folder, entry)
        _dress(path, entry, prefix)
        if entry.kind == "directory":
            directories.append((path, entry))
    for path, entry in reversed(directories):  # what is put into a directory changes its time
        os.utime(path, (entry.mtime, entry.mtime))


def _create(path: str, folder: str, entry: Entry) -> None:
    if entry.kind == "directory":
        if entry.path:
            os.mkdir(path)
    elif entry.kind == "symlink":
        os.symlink(entry.target, path)
    elif entry.kind == "hardlink":
        other = str(int(folder) + entry.below) if entry.below else folder
        os.link(os.path.join(other, entry.target), path, follow_symlinks=False)
    elif entry.kind == "file":
        with open(path, "xb") as file:
            file.write(os.fsencode(entry.text))
            if entry.size is not None:
                file.truncate(entry.size)
    else:
        types = {"fifo": stat.S_IFIFO, "char": stat.S_IFCHR, "block": stat.S_IFBLK, "whiteout": stat.S_IFCHR}
        os.mknod(path, types[entry.kind] | 0o600, os.makedev(*entry.device))


def _dress(path: str, entry: Entry, prefix: str) -> None:
    """Owner, mode, marks, times: in an order in which none undoes another."""
    if entry.kind == "hardlink":
        return
    if entry.owner != (0, 0):
        os.chown(path, *entry.owner, follow_symlinks=False)
    if entry.kind not in ("symlink", "whiteout"):
        os.chmod(path, entry.mode)
    for name, value in entry.xattrs.items():
        os.setxattr(path, name, os.fsencode(value), follow_symlinks=False)
    for name, value in entry.marks.items():
        os.setxattr(path, prefix + name, os.fsencode(value), follow_symlinks=False)
    os.utime(path, (entry.mtime, entry.mtime), follow_symlinks=False)


def _operate(
    upper: str, lowers: Sequence[str], data: Sequence[str], operations: Sequence[Operation], *, userxattr: bool
) -> None:
    """Lets the kernel leave its own marks in a layer. What it refuses is left undone."""
    how: list[tuple[str, str | None]] = [("userxattr", None)]
    if not userxattr:
        how = [("redirect_dir", "on"), ("metacopy", "on")]
    with suppress(OSError), mounted([*_layers(upper, lowers, data), ("index", "off"), *how]) as root:
        for name, path, *rest in operations:
            with suppress(OSError):
                _do(root, name, path, rest)
    shutil.rmtree(f"work{upper}", ignore_errors=True)


def _do(root: str, name: str, path: str, rest: Sequence[str]) -> None:
    with _parent(root, path) as (folder, last):
        here = f"/proc/self/fd/{folder}/{last}"
        if name in ("rename", "link"):
            with _parent(root, rest[0]) as (other, new):
                if name == "rename":
                    os.rename(last, new, src_dir_fd=folder, dst_dir_fd=other)
                else:
                    os.link(last, new, src_dir_fd=folder, dst_dir_fd=other, follow_symlinks=False)
        elif name == "unlink":
            os.unlink(last, dir_fd=folder)
        elif name == "rmtree":
            if stat.S_ISDIR(os.lstat(here).st_mode):  # it would wait for a FIFO's writer
                shutil.rmtree(last, dir_fd=folder)
        elif name == "mkdir":
            os.mkdir(last, dir_fd=folder)
        elif name == "symlink":
            os.symlink(rest[0], last, dir_fd=folder)
        elif name == "setxattr":
            os.setxattr(here, rest[0], os.fsencode(rest[1]), follow_symlinks=False)
        elif name == "chmod":
            if not stat.S_ISLNK(os.lstat(here).st_mode):
                os.chmod(here, int(rest[0]))
        elif name in ("write", "create"):
            flags = os.O_CREAT | os.O_EXCL if name == "create" else 0
            if name == "create" or stat.S_ISREG(os.lstat(here).st_mode):
                _append(here, flags, rest[0])


def _append(path: str, flags: int, text: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | flags, 0o640)
    try:
        os.write(file, os.fsencode(text))
    finally:
        os.close(file)


@contextmanager
def _parent(root: str, path: str) -> Iterator[tuple[int, str]]:
    """The directory that holds a path, and the last name. No symlink is followed on the way: it might lead outside."""
    *names, last = path.split("/")
    folder = os.open(root, _DIRECTORY & ~os.O_NOFOLLOW)
    try:
        for name in names:
            inner = os.open(name, _DIRECTORY, dir_fd=folder)
            os.close(folder)
            folder = inner
        yield folder, last
    finally:
        os.close(folder)
