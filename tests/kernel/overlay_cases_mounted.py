"""Mounts every stack of the table (tests/unit/overlay_cases.py) and prints what the kernel shows, as JSON.

    overlay_cases_mounted.py FOLDER PRIVILEGED

Run in a mount namespace of its own; FOLDER is empty and ours. Without the privilege for ``trusted.*`` only the stacks
that are mounted with ``userxattr`` are told.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from netfs.overlay.merge.trail import TYPES
from tests.property.overlay_mount import mounted
from tests.unit.overlay_cases import GROUPS, Case
from tests.unit.trees import Item, item


def lay(one: Item, path: Path, namespace: str) -> None:
    """An object of a layer, on disk."""
    if one.type == stat.S_IFDIR:
        path.mkdir()
        for name, each in one.entries.items():
            lay(each, path / name, namespace)
    elif one.type == stat.S_IFREG:
        path.write_bytes(one.content)
        os.truncate(path, one.status.st_size)
    elif one.type == stat.S_IFLNK:
        path.symlink_to(one.target)
    else:
        os.mknod(path, one.type | one.mode, one.rdev)
    marks = {f"{namespace}.overlay.{mark}": value for mark, value in one.marks.items()}
    for name, value in (marks | one.xattrs).items():
        os.setxattr(path, name, value, follow_symlinks=False)


def options(case: Case) -> Iterator[tuple[str, str | None]]:
    """How the stack of the working directory is mounted: layers ``0``, ``1``, …, the uppermost first."""
    count = len(case.layers)
    for number in range(1 if case.upper else 0, count + len(case.data)):
        yield "lowerdir+" if number < count else "datadir+", str(number)
    if case.upper:
        yield "upperdir", "0"
        yield "workdir", "work"
    chosen = case.stack.options
    if chosen.userxattr:
        yield "userxattr", None
    else:
        yield "redirect_dir", chosen.redirect_dir
        yield "metacopy", "on" if chosen.metacopy else "off"
    yield "index", "off"


def shown(root: str, path: str = "") -> Iterator[tuple[str, str]]:
    """Every path and what it is, in the words of the table; a name that readdir tells and lstat denies is left out."""
    for name in sorted(os.listdir(root + path)):
        each = f"{path}/{name}"
        try:
            type = stat.S_IFMT(os.lstat(root + each).st_mode)
            if type == stat.S_IFDIR:
                yield each, "/"
                yield from shown(root, each)
            elif type == stat.S_IFLNK:
                yield each, f"-> {os.readlink(root + each)}"
            else:
                yield each, Path(root + each).read_text() if type == stat.S_IFREG else TYPES[type]
        except OSError as error:
            there = error.errno != errno.ENOENT or os.path.lexists(root + each)
            if there:
                yield each, errno.errorcode[error.errno or 0]


def main(folder: str, privileged: str) -> None:
    told = {}
    for number, (group, case) in enumerate((group, case) for group, cases in GROUPS.items() for case in cases):
        if not (case.options.get("userxattr") or privileged == "1"):
            continue
        place = Path(folder, str(number))
        place.mkdir()
        os.chdir(place)
        Path("work").mkdir()
        namespace = "user" if case.stack.options.userxattr else "trusted"
        try:
            for layer, each in enumerate([*case.layers, *case.data]):
                lay(item(each), Path(str(layer)), namespace)
        except PermissionError:  # trusted.* in a stack with userxattr
            continue
        with mounted(options(case)) as root:
            told[f"{group}: {case.name}"] = dict(shown(root.rstrip("/")))
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
