"""The merged view beside the kernel's: the same tree, read twice."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

from netfs.model.layer_answers import Difference
from netfs.overlay.merge.tree import Directory, Status
from netfs.overlay.merge.view import Node, View

BLOCK = 1 << 20
MOST = 10_000_000
"""Entries that are compared: redirects can show one directory at many places, and each of those at more."""
TOLD = 100
"""Differences that are told one by one."""
COVERED = "something else is mounted there"
SKIPPED = 1000
"""Paths that are told to be skipped; the last line says how many more there are."""


@dataclass(slots=True)
class Comparison:
    """What was compared, and how it went."""

    entries: int = 0
    differences: list[Difference] = field(default_factory=list)
    more: int = 0
    """Differences beyond those."""
    skipped: list[str] = field(default_factory=list)
    passed_over: int = 0
    """Paths that were skipped beyond those."""

    def differ(self, differences: Iterable[Difference]) -> None:
        """Tell them, or count them."""
        for difference in differences:
            if len(self.differences) < TOLD:
                self.differences.append(difference)
            else:
                self.more += 1

    def skip(self, path: str, why: str | OSError) -> None:
        """Say what could not be compared."""
        if len(self.skipped) < SKIPPED:
            reason = os.strerror(why.errno or 0) if isinstance(why, OSError) else why
            self.skipped.append(f"{path or '/'}: {reason}")
        else:
            self.passed_over += 1


def started(view: View, path: str) -> Node:
    """Where the comparison begins: a bind mount shows a part of an overlay. Raises OSError where there is none."""
    resolved = view.resolve(path, follow=False)
    if resolved.node is None or resolved.error:
        raise OSError(resolved.error or errno.ENOENT, os.strerror(resolved.error or errno.ENOENT))
    return resolved.node


def compare(
    view: View,
    start: Node,
    kernel: Directory,
    *,
    content: bool,
    progress: Callable[[int], None],
    covered: Collection[str] = (),
    most: int = MOST,
) -> Comparison:
    """Compare every entry below two directories; the bytes of files where ``content`` is wished for.

    What cannot be read on either side is skipped, and said. So are the paths where something else is mounted in the
    kernel's tree: those that are ``covered``. After ``most`` entries it ends, and says so.
    """
    found = Comparison()
    pending: list[tuple[str, Node, Directory]] = [("", start, kernel)]
    while pending:
        path, node, directory = pending.pop()
        if found.entries >= most:
            found.skip(path, f"{len(pending)} more directories: {most} entries were enough")
            break
        try:
            ours, theirs = view.list(node), directory.scan()
        except OSError as error:
            found.skip(path, error)
            continue
        found.entries += len(ours)
        progress(found.entries)
        for name in sorted(ours.keys() | theirs.keys()):
            below = f"{path}/{name}"
            if below in covered:
                found.skip(below, COVERED)
                continue
            alone = _alone(below, ours.get(name), theirs.get(name))
            if alone is not None:
                found.differ(alone)
                continue
            _compare(found, view, below, ours[name], theirs[name], directory, content=content)
            if ours[name].directories and stat.S_ISDIR(theirs[name].st_mode):
                _descend(found, below, pending, ours[name], directory)
    if found.passed_over:
        found.skipped.append(f"and {found.passed_over} more")
    return found


def _alone(path: str, node: Node | None, theirs: Status | None) -> tuple[Difference, ...] | None:
    """What one side alone has is a difference, unless neither can be looked at. None: both have it."""
    if node is not None and node.error:
        # Where the kernel refuses it as well, its name is all that is seen.
        refused = errno.errorcode.get(node.error, str(node.error))
        return () if theirs is None else (Difference(path, "name", refused, "there"),)
    if node is None:
        return (Difference(path, "name", "not there", "there"),)
    return (Difference(path, "name", "there", "not there"),) if theirs is None else None


def _compare(
    found: Comparison, view: View, path: str, node: Node, theirs: Status, directory: Directory, *, content: bool
) -> None:
    try:
        found.differ(_differences(view, path, node, theirs))
        if stat.S_ISLNK(theirs.st_mode):
            found.differ(_targets(view, path, node, directory))
        if content and stat.S_ISREG(theirs.st_mode):
            found.differ(_bytes(view, path, node, directory))
    except OSError as error:
        found.skip(path, error)


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


def _targets(view: View, path: str, node: Node, directory: Directory) -> Iterator[Difference]:
    if stat.S_ISLNK(node.parts[0].status.st_mode):
        ours, theirs = view.link(node), directory.link(path.rpartition("/")[2])
        if ours != theirs:
            yield Difference(path, "target", ours, theirs)


def _bytes(view: View, path: str, node: Node, directory: Directory) -> Iterator[Difference]:
    """The first byte that differs; a file's end differs from any byte."""
    if node.data is None and not node.closed:
        return
    name, offset = path.rpartition("/")[2], 0
    while True:
        ours, theirs = view.read(node, offset, BLOCK), directory.read(name, offset, BLOCK)
        if ours != theirs:
            both = min(len(ours), len(theirs))
            at = next((at for at in range(both) if ours[at] != theirs[at]), both)
            told = (
                f"byte {offset + at} is {part[at]:#04x}" if at < len(part) else "its end" for part in (ours, theirs)
            )
            yield Difference(path, "content", *told)
            return
        if len(ours) < BLOCK:
            return
        offset += len(ours)


def _descend(
    found: Comparison, path: str, pending: list[tuple[str, Node, Directory]], node: Node, directory: Directory
) -> None:
    try:
        pending.append((path, node, directory.enter(path.rpartition("/")[2])))
    except OSError as error:
        found.skip(path, COVERED if error.errno == errno.EXDEV else error)
