"""Paths for which the kernel's answer depends on what was asked before.

An overlay keeps its inodes by an inode of a layer (fs/overlayfs/inode.c, ovl_get_inode, ovl_hash_bylower): the first
lower one, also that which an upper file was copied up from; else the upper one. Marks that a mount itself would never
leave (a redirect whose origin is still seen by its own name) make one such inode the key of two objects. Whichever is
looked up first is kept; the other then answers ESTALE, or as if it were the first (ovl_verify_inode). So each of them
is asked for on a mount of its own. Where one of the two is on the way to the other, that does not help, and the lower
one is not compared.
"""

from __future__ import annotations

import stat
import struct
from collections import defaultdict

from netfs.overlay.merge.view import Node, Part, View

Inode = tuple[int, int]


def contested(view: View) -> tuple[set[str], set[str]]:
    """The paths of such objects, and those among them that have the other one above them."""
    holders: dict[Inode, dict[tuple[Inode, ...], list[str]]] = defaultdict(lambda: defaultdict(list))
    for path, node in view.walk():
        key = None if node.error else _key(view, node)
        if key:
            holders[key][_identity(node)].append(path.removeprefix("/"))
    found: set[str] = set()
    nested: set[str] = set()
    for sharers in holders.values():
        paths = {path for each in sharers.values() for path in each} if len(sharers) > 1 else set()
        found |= paths
        nested |= {path for path in paths if beyond(path, paths - {path})}
    return found, nested


def beyond(path: str, doubtful: set[str]) -> bool:
    """Whether a path is one of those, or lies below one."""
    return any(path == one or path.startswith(f"{one}/") for one in doubtful)


def _key(view: View, node: Node) -> Inode | None:
    """The inode of a layer by which the kernel keeps the object; None: it is kept by none."""
    upper = view.stack.upper
    own = node.parts[0] if upper and node.parts[0].layer == 0 else None
    lowers = [part.status for part in node.parts if part is not own]
    if lowers and (not upper or stat.S_ISDIR(lowers[0].st_mode) or lowers[0].st_nlink == 1):
        return lowers[0].st_dev, lowers[0].st_ino
    if not own:
        return None
    origin = 0 if lowers or node.directories else _origin(view, own)
    return own.status.st_dev, origin or own.status.st_ino


def _origin(view: View, part: Part) -> int:
    """The inode that a file was copied up from, by the handle in its mark (struct ovl_fb); 0: there is none.

    ext4 makes the handle of inode and generation, tmpfs of generation and inode.
    """
    prefix = "user" if view.stack.options.userxattr else "trusted"
    mark = part.directory.xattrs(part.name).get(f"{prefix}.overlay.origin", b"")
    words = struct.unpack_from(f"={len(mark[21:]) // 4}I", mark, 21) if len(mark) > 21 else ()
    return words[0] if len(words) == 2 else words[1] | words[2] << 32 if len(words) == 3 else 0


def _identity(node: Node) -> tuple[Inode, ...]:
    return tuple((part.status.st_dev, part.status.st_ino) for part in node.parts)
