"""Chains: layers that are, or would be, mounted above each other, and whose they are."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from netfs.model.containers import Container
from netfs.model.layer_answers import ChainRef
from netfs.model.layers import Image, Layer, Mount, MountOptions, Store

DIGITS = 12
"""Of an id, as people write it."""
INIT = "-init"
"""How the id of Docker's layer between a container's and its image's ends."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Layers above each other."""

    kind: str
    """``container``, ``image``, ``build``, ``snapshot``, ``mount``, ``layer`` (nobody's)."""
    store: Store
    layers: tuple[Layer, ...]
    """Uppermost first; a layer that its store does not have is there with ``missing`` set."""
    image: Image | None = None
    container: Container | None = None
    mount: Mount | None = None
    complete: bool = True
    """Whether all that lies below the uppermost could be told."""

    @property
    def id(self) -> str:
        """Of the container or the image, else of the uppermost layer."""
        if self.container is not None:
            return self.container.id
        if self.kind == "image" and self.image is not None:
            return self.image.id
        return self.layers[0].id if self.layers else ""

    @property
    def name(self) -> str:
        """What people call it."""
        if self.container is not None:
            return self.container.called
        if self.kind == "image" and self.image is not None:
            return next(iter(self.image.names), short(self.image.id))
        if self.mount is not None and self.kind == "mount":
            return self.mount.mountpoint
        return next(iter(self.layers[0].names), short(self.id)) if self.layers else short(self.id)

    @property
    def options(self) -> MountOptions:
        """As it is mounted, else as its engine would mount it."""
        return self.store.options if self.mount is None else self.mount.options

    @property
    def missing(self) -> tuple[str, ...]:
        """Layers that are not there, by id."""
        gone = tuple(layer.id for layer in self.layers if layer.missing)
        return gone + (self.image.missing if self.image is not None and self.kind == "image" else ())

    def ref(self, own: int | None = None, shared: int | None = None) -> ChainRef:
        """The chain as answers name it."""
        container, image = self.container, self.image
        return ChainRef(
            kind=self.kind,
            name=self.name,
            id=self.id,
            engine=self.store.engine,
            store=folder(self.store),
            node=self.store.node,
            layers=tuple(layer.id for layer in self.layers),
            pod=container.pod if container else "",
            namespace=container.namespace if container else "",
            container=(container.role or container.name) if container else "",
            state=container.state if container else "",
            image=image.id if image else container.image if container else "",
            image_names=image.names if image else (container.image_name,) if container and container.image_name else (),
            mountpoint=self.mount.mountpoint if self.mount else "",
            missing=self.missing,
            own=own,
            shared=shared,
        )


def folder(store: Store) -> str:
    """An engine's folder, as this host names it."""
    if store.engine == "mounts":
        return store.path
    return posixpath.join(store.root, store.path.lstrip("/")).rstrip("/") or "/"


def short(identity: str) -> str:
    """An id as people write it: 12 digits, without the name of the digest's algorithm; a path stays whole."""
    if "/" in identity:
        return identity
    digits = identity.removeprefix("sha256:").removesuffix(INIT)
    return digits[:DIGITS] + (INIT if identity.endswith(INIT) else "")


def chains(store: Store, mounts: Mapping[str, Mount]) -> tuple[Chain, ...]:
    """The chains of a store: containers, images, then what only a builder, a snapshot or nobody has.

    ``mounts``: what is mounted, by ``Layer.id`` of its uppermost layer.
    """
    layers = {layer.id: layer for layer in store.layers}
    images = {image.id: image for image in store.images}
    found: list[Chain] = []
    for container in store.containers:
        if container.layer:
            chain = _from(store, layers, container.layer, "container", mounts)
            found.append(replace(chain, container=container, image=images.get(container.image)))
    for image in store.images:
        stacked = tuple(_layer(layers, identity) for identity in image.layers)
        found.append(Chain("image", store, stacked, image=image))
    below = {identity for layer in store.layers for identity in layer.lower or ()}
    tops = {chain.layers[0].id for chain in found if chain.layers}
    covered = {layer.id for chain in found for layer in chain.layers}
    for layer in store.layers:
        if layer.id not in below | tops | covered and (not layer.missing or layer.id in mounts):
            kind = (
                layer.role if layer.role in ("build", "snapshot") else "mount" if store.engine == "mounts" else "layer"
            )
            found.append(_from(store, layers, layer.id, kind, mounts))
    return tuple(found)


def chain_of(store: Store, layer: Layer, mounts: Mapping[str, Mount]) -> Chain:
    """A layer and all that lies below it, whoever's it is."""
    return _from(store, {each.id: each for each in store.layers}, layer.id, "layer", mounts)


def users(found: Iterable[Chain]) -> dict[tuple[str, str, str], tuple[str, ...]]:
    """The name of every chain that a layer is part of, by ``key`` of store and layer; two may be called the same."""
    using: dict[tuple[str, str, str], list[str]] = {}
    for chain in found:
        if chain.kind in ("layer", "mount"):
            continue
        for layer in chain.layers:
            using.setdefault(key(chain.store, layer), []).append(chain.name)
    return {place: tuple(names) for place, names in using.items()}


def key(store: Store, layer: Layer) -> tuple[str, str, str]:
    """What identifies a layer among several stores: the folder that it lies in, which several of them may share."""
    return store.root, posixpath.dirname(layer.path) or store.path, layer.id


def _from(store: Store, layers: Mapping[str, Layer], top: str, kind: str, mounts: Mapping[str, Mount]) -> Chain:
    uppermost = _layer(layers, top)
    below = uppermost.lower
    stacked = (uppermost, *(_layer(layers, identity) for identity in below or ()))
    return Chain(kind, store, stacked, mount=mounts.get(top), complete=below is not None)


def _layer(layers: Mapping[str, Layer], identity: str) -> Layer:
    return layers.get(identity) or Layer(identity, "", missing=True)
