"""The merged view beside the kernel's: the same tree, read twice."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from netfs.model.layer_answers import Difference
from netfs.overlay.merge.tree import Directory, Status
from netfs.overlay.merge.view import Node, View

BLOCK = 1 << 20


@dataclass(slots=True)
class Comparison:
    """What was compared, and how it went."""

    entries: int = 0
    differences: list[Difference] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def compare(view: View, kernel: Directory, *, content: bool, progress: Callable[[int], None]) -> Comparison:
    """Compare every entry below two roots; the bytes of files where ``content`` is wished for.

    What cannot be read on either side is skipped, and said. Where something else is mounted in the kernel's tree, its
    own entries are none of the overlay's.
    """
    found = Comparison()
    pending: list[tuple[str, Node, Directory]] = [("", view.root, kernel)]
    while pending:
        path, node, directory = pending.pop()
        try:
            theirs = directory.scan()
        except OSError as error:
            found.skipped.append(f"{path or '/'}: {os.strerror(error.errno or 0)}")
            continue
        ours = view.list(node)
        found.entries += len(ours)
        progress(found.entries)
        for name in sorted(ours.keys() | theirs.keys()):
            below = f"{path}/{name}"
            if not _both(found, below, ours, theirs, name):
                continue
            found.differences += _differences(view, below, ours[name], theirs[name])
            if stat.S_ISLNK(theirs[name].st_mode):
                found.differences += _targets(below, ours[name], directory, found.skipped)
            if content and stat.S_ISREG(theirs[name].st_mode):
                found.differences += _bytes(view, below, ours[name], directory, found.skipped)
            if ours[name].directories and stat.S_ISDIR(theirs[name].st_mode):
                _descend(found, below, pending, ours[name], directory)
    return found


def _both(found: Comparison, path: str, ours: Mapping[str, Node], theirs: Mapping[str, Status], name: str) -> bool:
    """Whether both have it; one alone is a difference, unless neither can be looked at."""
    node = ours.get(name)
    if node is not None and node.error:
        if name not in theirs:
            return False  # the kernel refuses it as well: its name is all that is seen
        found.differences.append(Difference(path, "name", errno.errorcode.get(node.error, str(node.error)), "there"))
        return False
    if node is None or name not in theirs:
        words = ("there", "not there")
        found.differences.append(Difference(path, "name", *(words if node is not None else words[::-1])))
        return False
    return True


def _differences(view: View, path: str, node: Node, theirs: Status) -> Iterator[Difference]:
    ours = view.status(node)
    pairs = {
        "type": (stat.S_IFMT(ours.mode), stat.S_IFMT(theirs.st_mode)),
        "mode": (oct(stat.S_IMODE(ours.mode)), oct(stat.S_IMODE(theirs.st_mode))),
        "owner": (f"{ours.uid}:{ours.gid}", f"{theirs.st_uid}:{theirs.st_gid}"),
        "device": (ours.rdev, theirs.st_rdev),
    }
    if not stat.S_ISDIR(theirs.st_mode):
        pairs["size"] = (ours.size, theirs.st_size)
    for what, (here, there) in pairs.items():
        if here != there:
            yield Difference(path, what, str(here), str(there))


def _targets(path: str, node: Node, directory: Directory, skipped: list[str]) -> Iterator[Difference]:
    held = node.parts[0]
    try:
        ours, theirs = held.directory.link(held.name), directory.link(path.rpartition("/")[2])
    except OSError as error:
        skipped.append(f"{path}: {os.strerror(error.errno or 0)}")
        return
    if ours != theirs:
        yield Difference(path, "target", ours, theirs)


def _bytes(view: View, path: str, node: Node, directory: Directory, skipped: list[str]) -> Iterator[Difference]:
    name, offset = path.rpartition("/")[2], 0
    try:
        while True:
            ours, theirs = view.read(node, offset, BLOCK), directory.read(name, offset, BLOCK)
            if ours != theirs:
                at = offset + next(
                    (at for at, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]), 0
                )
                yield Difference(path, "content", f"differs from byte {at}", f"{len(theirs)} bytes from {offset}")
                return
            if len(ours) < BLOCK:
                return
            offset += len(ours)
    except OSError as error:
        skipped.append(f"{path}: {os.strerror(error.errno or 0)}")


def _descend(
    found: Comparison, path: str, pending: list[tuple[str, Node, Directory]], node: Node, directory: Directory
) -> None:
    try:
        pending.append((path, node, directory.enter(path.rpartition("/")[2])))
    except OSError as error:
        why = "something else is mounted there" if error.errno == errno.EXDEV else os.strerror(error.errno or 0)
        found.skipped.append(f"{path}: {why}")
