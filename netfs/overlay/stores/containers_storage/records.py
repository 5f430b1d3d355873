"""The lists that containers-storage keeps: of layers, images, containers (containers/storage ``layers.go``,
``images.go``, ``containers.go``).

::

    overlay-layers/{layers.json,volatile-layers.json}
    overlay-images/images.json
    overlay-containers/{containers.json,volatile-containers.json}

What is volatile need not survive a restart of the machine; a transient store keeps it below its ``runroot``. CRI-O's
containers are all volatile.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from netfs.model.gaps import Gap
from netfs.model.layers import OWNERS
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import documents
from netfs.overlay.stores.overlay_directories import component

MOST = 20_000
"""Entries of a list that are told: each may have 500 layers below it."""


@dataclass(frozen=True, slots=True)
class LayerRecord:
    """A layer, as its engine wrote it down."""

    id: str
    names: tuple[str, ...] = ()
    parent: str = ""
    diff_id: str = ""
    size: int | None = None
    """Bytes of its uncompressed tar."""
    created_at: str = ""
    incomplete: bool = False
    """It was being made, or being deleted."""


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """An image, as its engine wrote it down."""

    id: str
    """Hex digits, without ``sha256:``."""
    names: tuple[str, ...] = ()
    layer: str = ""
    """The topmost; empty for a list of manifests."""
    mapped: tuple[str, ...] = ()
    """Other topmost layers, of the same files with other owners."""
    big_data: tuple[str, ...] = ()
    """Names of the documents that are kept with it."""
    created_at: str = ""


@dataclass(frozen=True, slots=True)
class ContainerRecord:
    """A container, as its engine wrote it down."""

    id: str
    names: tuple[str, ...] = ()
    image: str = ""
    layer: str = ""
    metadata: object = None
    """What the engine above (Podman, CRI-O) wrote to it, decoded."""
    created_at: str = ""


_Record = TypeVar("_Record", LayerRecord, ImageRecord, ContainerRecord)


@dataclass(slots=True)
class Records:
    """All of them, by id."""

    layers: dict[str, LayerRecord] = field(default_factory=dict)
    images: dict[str, ImageRecord] = field(default_factory=dict)
    containers: dict[str, ContainerRecord] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)


def read(root: Root, path: str, runroots: Sequence[str] = ()) -> Records:
    """The records of the store at ``path``, with what is volatile in one of ``runroots``. Files may be absent."""
    found = Records()
    for place in (path, *runroots):
        for name in ("layers.json", "volatile-layers.json"):
            for entry in _entries(root, posixpath.join(place, "overlay-layers", name), found.gaps):
                _keep(found.layers, _layer(entry))
        _add_containers(root, place, found)
    for entry in _entries(root, posixpath.join(path, "overlay-images", "images.json"), found.gaps):
        _keep(found.images, _image(entry))
    return found


def read_containers(root: Root, path: str, runroots: Sequence[str] = ()) -> Records:
    """The containers alone."""
    found = Records()
    for place in (path, *runroots):
        _add_containers(root, place, found)
    return found


def _add_containers(root: Root, place: str, found: Records) -> None:
    for name in ("containers.json", "volatile-containers.json"):
        for entry in _entries(root, posixpath.join(place, "overlay-containers", name), found.gaps):
            _keep(found.containers, _container(entry))


def _entries(root: Root, path: str, gaps: list[Gap]) -> list[object]:
    """The objects of a list that have an id."""
    document = documents.load(root, path)
    if isinstance(document, Gap):
        if not documents.absent(document):
            gaps.append(Gap(document.where, OWNERS, document.reason))
        return []
    if not isinstance(document, list):
        gaps.append(Gap(path, OWNERS, "is no list"))
        return []
    named = [entry for entry in document if component(documents.text(entry, "id"))]
    if len(named) < len(document):
        gaps.append(Gap(path, OWNERS, f"{len(document) - len(named)} of its entries have no id that can be one"))
    if len(named) > MOST:
        gaps.append(Gap(path, OWNERS, f"only {MOST} of its {len(named)} entries are told"))
    return named[:MOST]


def _keep(known: dict[str, _Record], record: _Record) -> None:
    known.setdefault(record.id, record)


def _layer(entry: object) -> LayerRecord:
    size = documents.number(entry, "diff-size")
    return LayerRecord(
        id=documents.text(entry, "id"),
        names=documents.texts(entry, "names"),
        parent=documents.text(entry, "parent"),
        diff_id=documents.text(entry, "diff-digest"),
        size=size if size is not None and size >= 0 else None,
        created_at=documents.text(entry, "created"),
        incomplete=documents.flag(entry, "flags", "incomplete"),
    )


def _image(entry: object) -> ImageRecord:
    return ImageRecord(
        id=documents.text(entry, "id"),
        names=documents.texts(entry, "names"),
        layer=documents.text(entry, "layer"),
        mapped=documents.texts(entry, "mapped-layers"),
        big_data=documents.texts(entry, "big-data-names"),
        created_at=documents.text(entry, "created"),
    )


def _container(entry: object) -> ContainerRecord:
    try:
        metadata = documents.parse(documents.text(entry, "metadata").encode())
    except (ValueError, RecursionError):
        metadata = None
    return ContainerRecord(
        id=documents.text(entry, "id"),
        names=documents.texts(entry, "names"),
        image=documents.text(entry, "image"),
        layer=documents.text(entry, "layer"),
        metadata=metadata,
        created_at=documents.text(entry, "created"),
    )
