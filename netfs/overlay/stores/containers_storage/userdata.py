"""``overlay-containers/ID/userdata``: what an engine keeps of a container beside the store's own lists."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from netfs.model.gaps import Gap
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import documents

_DOCUMENT_BYTES = 4 << 20


def document(root: Root, container: str, places: Sequence[str], name: str, gaps: list[Gap]) -> object:
    """A document of a container, decoded; None where there is none. ``places``: folders with ``overlay-containers``."""
    for place in places:
        path = posixpath.join(place, "overlay-containers", container, "userdata", name)
        found = documents.load(root, path, _DOCUMENT_BYTES)
        if not isinstance(found, Gap):
            return found
        if not documents.absent(found):
            gaps.append(found)
    return None


def mounts(config: object, *keys: str) -> dict[str, str]:
    """What an OCI runtime's configuration mounts, by the path in the container: what is bound there, else what kind.

    ``keys`` lead to the list (OCI runtime-spec, config.md, ``mounts``).
    """
    found = {}
    for mount in documents.items(config, *keys):
        destination = documents.text(mount, "destination")
        kind, source = documents.text(mount, "type"), documents.text(mount, "source")
        bound = kind in {"bind", "none", ""} or {"bind", "rbind"} & set(documents.texts(mount, "options"))
        if destination.startswith("/"):
            found[posixpath.normpath(destination)] = source if bound else kind
    return found
