"""A container, as an answer to ``inspect`` has it: Docker's, and Podman's, which took over its words.

What it says is what config.v2.json and hostconfig.json say, by the same keys: one reader has both.
"""

from __future__ import annotations

from dataclasses import replace

from netfs.model.containers import Container
from netfs.overlay.stores import documents
from netfs.overlay.stores.docker import containers


def inspected(identity: str, document: object) -> Container:
    """The container of that id. Only mounts stand elsewhere than on disk, and the state has a word of its own."""
    points = {documents.text(mount, "Destination"): mount for mount in documents.items(document, "Mounts")}
    told = containers.described(identity, document)
    told = replace(told, state=documents.text(document, "State", "Status") or told.state)
    as_on_disk = documents.mapping(document) | {"MountPoints": points}
    return containers.hosted(told, as_on_disk, documents.value(document, "HostConfig"))
