"""containerd's images: names in ``meta.db``, documents in the content store, layers in the snapshotter.

An image is unpacked where the ChainID of each of its layers is the key of a snapshot in the image's namespace; the same
image in two namespaces has two sets of directories, and is two Images of equal ``id`` here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from netfs.model.gaps import Gap
from netfs.model.layers import Image
from netfs.overlay.stores import documents, history
from netfs.overlay.stores.chain_id import chain_ids
from netfs.overlay.stores.containerd.content import Content, Manifest
from netfs.overlay.stores.containerd.metadata import REFERENCE, ImageRecord, Metadata
from netfs.overlay.stores.containerd.snapshots import Snapshot, Snapshots

Index = Mapping[tuple[str, str], Snapshot]
"""Snapshots by namespace and key."""


@dataclass(frozen=True, slots=True)
class Images:
    """The images, and what was learnt by reading them."""

    images: tuple[Image, ...]
    by_name: Mapping[tuple[str, str], Image]
    """By namespace and name; a name of several platforms' images stands for one that is unpacked."""
    by_namespace: Mapping[str, tuple[Image, ...]]
    diff_ids: Mapping[str, str]
    """DiffID by ChainID."""
    gaps: tuple[Gap, ...]


def read(metadata: Metadata, content: Content, snapshots: Snapshots, index: Index, driver: str) -> Images:
    """Read the images of all namespaces."""
    gaps: list[Gap] = []
    diff_ids: dict[str, str] = {}
    by_name: dict[tuple[str, str], Image] = {}
    by_namespace: dict[str, list[Image]] = {}
    unpacked = _Unpacked(metadata, snapshots, index, driver)
    for namespace, manifest, records in _grouped(metadata, content, unpacked):
        image, reason = _image(namespace, manifest, records, unpacked, diff_ids)
        if reason:
            gaps.append(Gap(manifest.config, "history", reason))
        by_namespace.setdefault(namespace, []).append(image)
        for record in records:
            before = by_name.get((namespace, record.name))
            if before is None or (before.missing and not image.missing):
                by_name[namespace, record.name] = image
    return Images(
        tuple(image for images in by_namespace.values() for image in images),
        by_name,
        {namespace: tuple(images) for namespace, images in by_namespace.items()},
        diff_ids,
        (*content.gaps, *gaps),
    )


@dataclass(frozen=True, slots=True)
class _Unpacked:
    metadata: Metadata
    snapshots: Snapshots
    index: Index
    driver: str

    def layers(self, namespace: str, chains: Sequence[str]) -> list[str | None]:
        """``Layer.id`` of each ChainID; None for one that has no snapshot."""
        return [found.id if (found := self.index.get((namespace, chain))) else None for chain in chains]

    def has(self, namespace: str, manifest: Manifest) -> bool:
        """Whether the uppermost layer of a manifest's image is there."""
        chains = chain_ids(documents.texts(manifest.document, "rootfs", "diff_ids"))
        return not chains or (namespace, chains[-1]) in self.index

    def labelled(self, namespace: str, config: str) -> tuple[str, ...]:
        """The layers that a configuration which cannot be read is said to have, uppermost first."""
        labels = self.metadata.content.get((namespace, config), {})
        top = self.index.get((namespace, labels.get(f"{REFERENCE}{self.driver}", "")))
        return () if top is None else (top.id, *(self.snapshots.below(top) or ()))


def _grouped(
    metadata: Metadata, content: Content, unpacked: _Unpacked
) -> list[tuple[str, Manifest, list[ImageRecord]]]:
    """Namespaces, manifests and all names that lead there: of manifests with one configuration only the first.

    Of an index with manifests of several platforms only those count that are unpacked, where any is.
    """
    groups: dict[tuple[str, str], tuple[Manifest, list[ImageRecord]]] = {}
    for record in metadata.images:
        manifests = content.manifests(record.digest)
        for manifest in [one for one in manifests if unpacked.has(record.namespace, one)] or manifests:
            identity = manifest.config or manifest.digest
            groups.setdefault((record.namespace, identity), (manifest, []))[1].append(record)
    return [(namespace, manifest, records) for (namespace, _), (manifest, records) in groups.items()]


def _image(
    namespace: str, manifest: Manifest, records: Sequence[ImageRecord], unpacked: _Unpacked, diff_ids: dict[str, str]
) -> tuple[Image, str]:
    """The image of a configuration, and why its history does not fit."""
    identity = manifest.config or manifest.digest
    names = tuple(sorted({record.name for record in records} - {identity}))
    if manifest.document is None:
        layers = unpacked.labelled(namespace, manifest.config) if manifest.config else ()
        return Image(identity, names, layers, missing=manifest.missing), ""
    diffs = documents.texts(manifest.document, "rootfs", "diff_ids")
    chains = chain_ids(diffs)
    diff_ids.update(zip(chains, diffs, strict=True))
    below = unpacked.layers(namespace, chains)
    lines, reason = history.read(manifest.document, below)
    image = Image(
        identity,
        names,
        layers=tuple(one for one in reversed(below) if one is not None),
        history=lines,
        created_at=documents.text(manifest.document, "created"),
        missing=tuple(chain for chain, layer in zip(chains, below, strict=True) if layer is None),
    )
    return image, reason
