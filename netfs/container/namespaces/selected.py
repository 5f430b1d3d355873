"""What a user names: a namespace by its number, or by a path."""

from __future__ import annotations

import re
from collections.abc import Sequence

from netfs.container.namespaces.pins import paths, plain
from netfs.model.namespaces import Namespace

_LINK = r"(?:([a-z]+):\[)?([0-9]+)\]?"
_PROC = r"/proc/([0-9]+)/ns/([a-z]+?)(_for_children)?"


def selected(namespaces: Sequence[Namespace], target: str) -> tuple[Namespace, ...] | None:
    """Those that ``target`` names: an inode, ``net:[INODE]``, /proc/PID/ns/TYPE, or a path that it is pinned at.

    None: it has none of these forms, so it names something else.
    """
    link = re.fullmatch(_LINK, target)
    if link is not None and target.endswith("]") == bool(link[1]):
        return tuple(each for each in namespaces if each.id == int(link[2]) and link[1] in (None, each.type))
    process = re.fullmatch(_PROC, target)
    if process is not None:
        pid, kind, children = int(process[1]), process[2], bool(process[3])
        of_kind = [each for each in namespaces if each.type == kind]
        changed = [each for each in of_kind if children and pid in each.children_of]
        return tuple(changed or [each for each in of_kind if pid in each.pids])
    if target.startswith("/"):
        return tuple(each for each in namespaces if plain(target) in paths(each))
    return None
