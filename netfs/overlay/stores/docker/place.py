"""Whether something is a store of Docker's, from the names of its folders."""

from __future__ import annotations

import posixpath

from netfs.model.gaps import Gap
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import documents

DRIVER = "overlay2"
LINKS = "l"
"""The folder of short links (``overlay_directories``)."""
_FAMILIAR = frozenset({"buildkit", "engine-id", "image", "network", DRIVER, "rootfs", "swarm", "volumes"})
"""Names in a data root, beside ``containers``."""


def is_root(root: Root, path: str) -> bool:
    """Whether there is a data root of Docker's at ``path``, or a copy of the parts that matter."""
    names = documents.names(root, path)
    if isinstance(names, Gap):
        return False
    return (
        ("containers" in names and len(_FAMILIAR.intersection(names)) > 1)
        or root.is_directory(posixpath.join(path, DRIVER, LINKS))
        or root.is_directory(posixpath.join(path, "image", DRIVER, "layerdb"))
    )


def is_folder(root: Root, path: str) -> bool:
    """Whether the folder ``overlay2`` itself is at ``path``: links, and a directory that holds a layer."""
    names = documents.names(root, path)
    if isinstance(names, Gap) or LINKS not in names:
        return False
    return any(root.is_directory(posixpath.join(path, name, "diff")) for name in names)
