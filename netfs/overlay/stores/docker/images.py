"""Docker's images and their layers: ``image/overlay2/{layerdb,imagedb,repositories.json}``.

::

    layerdb/sha256/CHAIN/{cache-id,diff,parent,size}    a layer: its directory, DiffID, the ChainID below, bytes
    layerdb/sha256/CHAIN-RANDOM-removing/cache-id       one that was being deleted
    layerdb/tmp/write-set-*/cache-id                    one that was being made
    imagedb/content/sha256/IMAGE                        an image's configuration; its name is its SHA-256
    repositories.json                                   names of images

(moby ``daemon/internal/layer/filestore.go``, ``daemon/internal/image/fs.go``, ``daemon/internal/refstore/store.go``)
A ``cache-id`` is 64 hex digits, or 25 letters and digits where BuildKit made the directory.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from netfs.model.gaps import Gap
from netfs.model.layers import Image
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import documents, history
from netfs.overlay.stores.chain_id import chain_ids
from netfs.overlay.stores.overlay_directories import component

CONFIG_BYTES = 4 << 20
_HEX = re.compile(r"[0-9a-f]{64}")
_REMOVING = re.compile(r"[0-9a-f]{64}-[^/]*-removing")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ImageLayer:
    """A layer as layerdb has it."""

    directory: str
    """Its ``cache-id``."""
    chain_id: str
    diff_id: str = ""
    size: int | None = None


@dataclass(frozen=True, slots=True)
class LayerRecords:
    """What layerdb knows of image layers."""

    layers: Mapping[str, ImageLayer] = field(default_factory=dict)
    """By ChainID."""
    removing: tuple[str, ...] = ()
    """Directories that were being deleted."""
    temporary: tuple[str, ...] = ()
    """Directories that were being filled."""
    gaps: tuple[Gap, ...] = ()
    whole: bool = True
    """Every record was read: a directory that none of them names is no image layer."""
    present: bool = True
    """There are such records."""


def read_layers(root: Root, path: str) -> LayerRecords:
    """Read the layerdb at ``path``."""
    folder = posixpath.join(path, "sha256")
    names = documents.names(root, folder)
    if isinstance(names, Gap):
        return LayerRecords(present=False) if documents.absent(names) else LayerRecords(gaps=(names,), whole=False)
    gaps: list[Gap] = []
    whole = True
    layers, removing = {}, []
    for name in names:
        here = posixpath.join(folder, name)
        if _REMOVING.fullmatch(name):
            removing += _directory_of(root, here, gaps)
        elif _HEX.fullmatch(name):
            layer = _layer(root, here, f"sha256:{name}", gaps)
            if layer is None:
                whole = False
            else:
                layers[layer.chain_id] = layer
    temporary = _temporary(root, posixpath.join(path, "tmp"))
    return LayerRecords(layers, tuple(removing), temporary, tuple(gaps), whole)


def _layer(root: Root, path: str, chain_id: str, gaps: list[Gap]) -> ImageLayer | None:
    found = _directory_of(root, path, gaps)
    if not found:
        return None
    diff = documents.line(root, f"{path}/diff")
    if isinstance(diff, Gap):
        gaps.append(diff)
        diff = ""
    elif not _DIGEST.fullmatch(diff):
        gaps.append(Gap(f"{path}/diff", "DiffID", "is no digest"))
        diff = ""
    size = documents.line(root, f"{path}/size")
    digits = isinstance(size, str) and size.isdecimal() and len(size) < 20
    return ImageLayer(found[0], chain_id, diff, int(str(size)) if digits else None)


def _directory_of(root: Root, path: str, gaps: list[Gap]) -> list[str]:
    """What ``cache-id`` says: one name, or none."""
    name = documents.line(root, f"{path}/cache-id")
    if isinstance(name, Gap):
        gaps.append(name)
        return []
    if not component(name):
        gaps.append(Gap(f"{path}/cache-id", "directory", "is no name of a directory"))
        return []
    return [name]


def _temporary(root: Root, path: str) -> tuple[str, ...]:
    names = documents.names(root, path)
    if isinstance(names, Gap):
        return ()
    return tuple(found for name in names for found in _directory_of(root, posixpath.join(path, name), []))


@dataclass(frozen=True, slots=True)
class Images:
    """What imagedb knows."""

    images: tuple[Image, ...] = ()
    gaps: tuple[Gap, ...] = ()
    whole: bool = True
    """Every image was read: a layer that none of them has is no image's."""


def read_images(root: Root, path: str, layers: Mapping[str, ImageLayer]) -> Images:
    """The images of ``image/overlay2`` at ``path``."""
    gaps: list[Gap] = []
    named = _names(root, posixpath.join(path, "repositories.json"), gaps)
    folder = posixpath.join(path, "imagedb/content/sha256")
    entries = documents.names(root, folder)
    if isinstance(entries, Gap) and not documents.absent(entries):
        gaps.append(entries)
    images = []
    for entry in [] if isinstance(entries, Gap) else entries:
        if _HEX.fullmatch(entry):
            identity = f"sha256:{entry}"
            images.append(_image(root, posixpath.join(folder, entry), identity, named.pop(identity, ()), layers, gaps))
    whole = not isinstance(entries, Gap) and not any(image.id in image.missing for image in images)
    images += [Image(identity, names, missing=(identity,)) for identity, names in sorted(named.items())]
    return Images(tuple(images), tuple(gaps), whole)


def _image(
    root: Root, path: str, identity: str, names: tuple[str, ...], layers: Mapping[str, ImageLayer], gaps: list[Gap]
) -> Image:
    try:
        data = root.read(path, CONFIG_BYTES)
        config = documents.parse(data)
    except OSError as error:
        gaps.append(documents.refused(path, error, "image"))
        return Image(identity, names, missing=(identity,))
    except (ValueError, RecursionError):
        gaps.append(Gap(path, "image", "is no JSON"))
        return Image(identity, names, missing=(identity,))
    if hashlib.sha256(data).hexdigest() != identity.removeprefix("sha256:"):
        gaps.append(Gap(path, "image", "was changed: its SHA-256 is not its name"))
    chains = chain_ids(documents.texts(config, "rootfs", "diff_ids"))
    below = [layers[chain].directory if chain in layers else None for chain in chains]
    lines, reason = history.read(config, below)
    if reason:
        gaps.append(Gap(path, "history", reason))
    return Image(
        identity,
        names,
        layers=tuple(one for one in reversed(below) if one is not None),
        history=lines,
        created_at=documents.text(config, "created"),
        missing=tuple(chain for chain in chains if chain not in layers),
    )


def _names(root: Root, path: str, gaps: list[Gap]) -> dict[str, tuple[str, ...]]:
    """Names by image."""
    document = documents.load(root, path)
    if isinstance(document, Gap):
        gaps += [] if documents.absent(document) else [document]
        return {}
    named: dict[str, list[str]] = {}
    for repository in documents.mapping(document, "Repositories").values():
        for name, identity in documents.labels(repository).items():
            if _DIGEST.fullmatch(identity):
                named.setdefault(identity, []).append(name)
    return {identity: tuple(sorted(names)) for identity, names in named.items()}
