"""What we say of a store, in the words that engines use: to be compared with what they say themselves."""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
from collections.abc import Sequence

from netfs.model.layers import Layer, Mount, Store
from netfs.overlay.disk.root import Root
from netfs.overlay.merge.tree import Stack
from netfs.overlay.merge.view import Node, View
from netfs.overlay.stores import mounted
from tests.conformance.stores.machine import Machine
from tests.conformance.stores.seen import Seen

CHUNK = 1 << 20


def layer(store: Store, identity: str) -> Layer:
    """The layer of that id."""
    (found,) = (each for each in store.layers if each.id == identity)
    return found


def chain(stores: Sequence[Store], top: Layer) -> list[str]:
    """Directories that hold the files of a layer and of all below it, uppermost first."""
    every = {each.id: each for store in reversed(stores) for each in store.layers}
    assert top.lower is not None
    return [tree for each in (top, *(every[identity] for identity in top.lower)) for tree in each.trees]


def stacked(root: Root, trees: Sequence[str], *, upper: bool = True) -> Stack:
    """Directories of a store, as they are mounted."""
    return Stack([root.tree(tree).root for tree in trees], upper=upper)


def shown(view: View) -> dict[str, Seen]:
    """The merged view, in the words of ``seen.tree``."""
    return {path: _one(view, node) for path, node in view.walk()}


def _one(view: View, node: Node) -> Seen:
    status = view.status(node)
    folder = stat.S_ISDIR(status.mode)
    return Seen(
        status.mode,
        status.uid,
        status.gid,
        status.rdev,
        0 if folder else status.size,
        0 if folder else status.nlink,
        status.mtime_ns,
        view.link(node) if stat.S_ISLNK(status.mode) else "",
        hashlib.sha256(_content(view, node, status.size)).hexdigest() if stat.S_ISREG(status.mode) else "",
        tuple(sorted(view.xattrs(node).items())),
    )


def _content(view: View, node: Node, size: int) -> bytes:
    return b"".join(view.read(node, offset, CHUNK) for offset in range(0, size, CHUNK))


def mounted_in(machine: Machine, folder: str) -> list[Mount]:
    """The overlays that an engine has mounted below a folder. A machine inherits what is mounted elsewhere."""
    mounts, gaps = mounted.of(machine.pid)
    assert gaps == ()
    return [mount for mount in mounts if mount.mountpoint.startswith(f"{folder}/")]


def differences(ours: dict[str, Seen], theirs: dict[str, Seen]) -> dict[str, tuple[object, object]]:
    """Paths of which the two say different things, and what."""
    found: dict[str, tuple[object, object]] = {}
    for path in sorted(ours.keys() | theirs.keys()):
        one, other = ours.get(path), theirs.get(path)
        if one is None or other is None:
            found[path] = (one, other)
        elif one != other:
            names = [name for name in Seen._fields if getattr(one, name) != getattr(other, name)]
            found[path] = ({name: getattr(one, name) for name in names}, {name: getattr(other, name) for name in names})
    return found


def as_json_has_it(path: str) -> str:
    """A path as Go's JSON has it: every byte that is no UTF-8 is one U+FFFD."""
    return "".join("\ufffd" if 0xDC80 <= ord(letter) <= 0xDCFF else letter for letter in path)


def counted(folder: str) -> tuple[int, int]:
    """Bytes of the regular files below a directory, and of the targets of its symlinks; each inode once."""
    files: dict[int, int] = {}
    targets: dict[int, int] = {}
    for here, folders, names in os.walk(folder):
        for name in (*folders, *names):
            status = os.lstat(posixpath.join(here, name))
            if stat.S_ISREG(status.st_mode):
                files[status.st_ino] = status.st_size
            elif stat.S_ISLNK(status.st_mode):
                targets[status.st_ino] = status.st_size
    return sum(files.values()), sum(targets.values())
