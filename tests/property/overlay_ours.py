"""What our own merge says of a plan's layers, in the same words as ``overlay_observe``."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from netfs.overlay.disk.root import Root
from netfs.overlay.merge.tree import Directory, Stack
from netfs.overlay.merge.view import Node, View
from tests.property.overlay_observe import READ_LIMIT, Seen, beyond_link, content, name_of
from tests.property.overlay_plan import Plan

Wrap = Callable[[Directory], Directory]


@contextmanager
def stack(plan: Plan, wrap: Wrap = lambda directory: directory) -> Iterator[Stack]:
    """The layers that ``overlay_build.write`` made in the working directory. ``wrap`` may falsify them."""
    with Root(os.getcwd()) as root:

        def tree(name: str) -> Directory:
            return wrap(root.tree(f"/{name}", userxattr=plan.userxattr).root)

        layers = [tree(str(i)) for i in range(len(plan.layers))]
        data = [tree(f"d{i}") for i in range(len(plan.data))]
        yield Stack(layers, data, plan.upper, plan.options)


def tell(view: View) -> dict[str, Seen]:
    """Every path of the merged view; ``""`` is the root."""
    return {path.removeprefix("/"): _seen(view, path, node) for path, node in view.walk()}


def _seen(view: View, path: str, node: Node) -> Seen:
    if node.error and not node.directories:
        return {"error": name_of(node.error)}
    try:
        merged = view.status(node)
    except OSError as error:
        return {"error": name_of(error.errno)}
    kind = stat.S_IFMT(merged.mode)
    seen: Seen = {
        "type": kind,
        "mode": oct(stat.S_IMODE(merged.mode)),
        "uid": merged.uid,
        "gid": merged.gid,
        "size": merged.size,
        "rdev": merged.rdev,
        "mtime": merged.mtime_ns,
        "xattrs": dict(sorted(view.xattrs(node).items())),
    }
    if kind != stat.S_IFDIR:
        seen["nlink"] = merged.nlink
        seen["blocks"] = merged.blocks
    if kind == stat.S_IFLNK:
        seen["target"] = view.link(node)
        seen["leads"] = {asked: _leads(view, asked) for asked in beyond_link(path.removeprefix("/"))}
    if kind == stat.S_IFREG:
        try:
            seen["content"] = content(view.read(node, 0, READ_LIMIT))
        except OSError as error:
            seen["open"] = name_of(error.errno)
    return seen


def _leads(view: View, path: str) -> str:
    found = view.resolve(path)
    return name_of(found.error) if found.error else found.path
