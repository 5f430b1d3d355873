"""Overlay file systems: where a file of a container comes from, and who owns a layer's directory.

Nothing is mounted, nothing is written. ``stores`` reads what an engine wrote about its layers, ``disk`` the layers
themselves, ``merge`` says what the kernel makes of them, ``changes`` what each adds, changes and hides.

    with netfs.overlay.open("/mnt/disk") as stores:
        stores.which("web", "/etc/hosts").provider
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netfs.overlay.layer_stores import LayerStores


def open(root: str = "/", *, progress: Callable[[int], None] | None = None) -> LayerStores:
    """The layer stores below a root: this host's own (``/``, with what is mounted), a disk image that is mounted
    somewhere, a store that was copied off a machine, or an engine's folder itself.

    ``progress`` is called with the number of directory entries read so far. Raises SourceError where the root is no
    directory, or holds no store.
    """
    from netfs.overlay.reading import whole

    return whole(root, progress)


__all__ = ["open"]
