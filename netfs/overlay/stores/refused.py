"""Stores that are there and may not be looked at."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator

from netfs.model.gaps import Gap
from netfs.overlay.disk.root import Root
from netfs.overlay.stores.find import Place

USUAL = {
    "docker": "/var/lib/docker",
    "containerd": "/var/lib/containerd",
    "containers-storage": "/var/lib/containers/storage",
}
"""Where an engine's store lies that only root may look into."""
READ_AS_ROOT = "run it as root"


def refused(root: Root, found: Iterable[Place]) -> Iterator[tuple[str, Gap]]:
    """By engine: that nothing was found there says nothing."""
    seen = {place.path for place in found}
    for engine, path in USUAL.items():
        if path in seen:
            continue
        try:
            root.names(path)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM):
                yield engine, Gap(root.on_host(path), f"{engine} store", f"it may not be read: {READ_AS_ROOT}")
            elif error.errno not in (errno.ENOENT, errno.ENOTDIR):
                yield engine, Gap(root.on_host(path), f"{engine} store", error.strerror or str(error))
