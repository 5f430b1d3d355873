"""Engines that share one container: Docker's record of it, and containerd's of its layers.

Since 29 Docker keeps images and layers in containerd (namespace ``moby``), where a container's snapshot is called as
the container is. Before that, containerd only ran Docker's containers. Either way one engine knows the layers, and the
container belongs to that one's store, with everything that both say of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from netfs.model.containers import Container
from netfs.model.layers import Layer, Store

_INIT = "-init"


@dataclass(frozen=True, slots=True)
class _Side:
    """A store of containerd's, to look containers up in."""

    containers: Mapping[str, Container]
    layers: Mapping[str, Layer]
    """By the key of their snapshot."""

    def layer_of(self, container: str) -> str:
        """The container's own layer; empty: it is not here."""
        if container in self.containers and self.containers[container].layer:
            return self.containers[container].layer
        return self.layers[container].id if container in self.layers else ""


def join(stores: Sequence[Store]) -> tuple[Store, ...]:
    """The stores, with every container in one of them only: the one that has its layer. Pure.

    Only stores of one node and one root are joined: copies of a machine have containers of equal ids.
    """
    joined = list(stores)
    for one, docker in enumerate(stores):
        for other, containerd in enumerate(stores):
            pair = docker.engine == "docker" and containerd.engine == "containerd"
            if pair and (docker.node, docker.root) == (containerd.node, containerd.root):
                joined[one], joined[other] = _pair(joined[one], joined[other])
    return tuple(joined)


def _pair(docker: Store, containerd: Store) -> tuple[Store, Store]:
    side = _Side(
        {container.id: container for container in containerd.containers},
        {name.partition("/")[2]: layer for layer in containerd.layers for name in layer.names},
    )
    own = {container.id for container in docker.containers if container.layer}
    given = {
        container.id: _merged(container, side.layer_of(container.id), side, containerd)
        for container in docker.containers
        if not container.layer and side.layer_of(container.id)
    }
    ran = {container.id for container in containerd.containers if container.id in own and not container.layer}
    if not given and not ran:
        return docker, containerd
    shared = bool(given)
    listed = [given.pop(one.id, one) for one in containerd.containers if one.id not in ran]
    tops = {container.layer for container in (*listed, *given.values()) if container.layer}
    ids = {container.id for container in (*listed, *given.values()) if container.layer}
    kept = tuple(one for one in docker.containers if one.layer or not side.layer_of(one.id))
    return (
        replace(docker, containers=kept, others=_with(docker.others, containerd.engine) if shared else docker.others),
        replace(
            containerd,
            layers=tuple(_tied(layer, tops, ids) for layer in containerd.layers),
            containers=(*listed, *given.values()),
            others=_with(containerd.others, docker.engine) if shared else containerd.others,
        ),
    )


def _merged(container: Container, layer: str, side: _Side, containerd: Store) -> Container:
    """Docker's container with its layer, and its image by the ``Image.id`` of containerd's store.

    What Docker 29 calls the image's id is the digest of a manifest.
    """
    before = side.containers.get(container.id)
    image = before.image if before else ""
    if not image:
        name = full_name(container.image_name)
        image = next((one.id for one in containerd.images if container.image == one.id or name in one.names), "")
    pid = container.pid if container.pid is not None or before is None else before.pid
    return replace(container, layer=layer, image=image, pid=pid)


def _tied(layer: Layer, tops: set[str], ids: set[str]) -> Layer:
    """The layer with the role that its container gives it."""
    if layer.id in tops:
        return replace(layer, role="container")
    init = any(name.endswith(_INIT) and name.partition("/")[2].removesuffix(_INIT) in ids for name in layer.names)
    return replace(layer, role="init") if init else layer


def full_name(name: str) -> str:
    """What ``busybox`` stands for: ``docker.io/library/busybox:latest`` (distribution/reference, normalize.go)."""
    domain, slash, path = name.partition("/")
    if not slash or not (set(".:") & set(domain) or domain == "localhost"):
        domain, path = "docker.io", name if slash else f"library/{name}"
    tagged = ":" in path.rpartition("/")[2] or "@" in path
    return f"{domain}/{path}" if tagged else f"{domain}/{path}:latest"


def _with(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return names if name in names else (*names, name)
