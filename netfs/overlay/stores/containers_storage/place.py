"""Whether a folder of layers is one of containers-storage, from what is in it."""

from __future__ import annotations

from netfs.model.gaps import Gap
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import documents

_OF_THE_DRIVER = frozenset((".has-mount-program", "staging", "tempdirs"))


def is_folder(root: Root, path: str) -> bool:
    """Whether a folder of layers that stands alone is this driver's, and not Docker's, which looks much the same.

    Its driver leaves files of its own there; and a base layer has ``empty``, to be mounted above (``overlay.go``).
    """
    names = documents.names(root, path)
    if isinstance(names, Gap) or "l" not in names:
        return False
    return not _OF_THE_DRIVER.isdisjoint(names) or any(root.is_directory(f"{path}/{name}/empty") for name in names)
