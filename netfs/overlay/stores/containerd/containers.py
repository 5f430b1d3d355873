"""containerd's containers: those of Kubernetes with their pods, of ``ctr``, of nerdctl, and of Docker.

A container names the key of its snapshot. Docker's names none: there the key is the container's id, and while the
container is stopped, that snapshot and its lease are all that containerd has of it (moby
``daemon/containerd/image_snapshot.go``).

What a pod is, is written down three times: in the labels that the kubelet gives, in the CRI plugin's extension
(internal/cri/store/{container,sandbox}/metadata.go) and in the annotations of the specification
(internal/cri/annotations/annotations.go).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from netfs.model.containers import Container
from netfs.model.layers import Image
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import documents
from netfs.overlay.stores.containerd import states
from netfs.overlay.stores.containerd.images import Images, Index
from netfs.overlay.stores.containerd.layers import INIT
from netfs.overlay.stores.containerd.metadata import ANNOTATION, ContainerRecord, Metadata
from netfs.overlay.stores.containerd.snapshots import ACTIVE, Snapshots
from netfs.overlay.stores.containerd.states import Places, State

ENGINE = "containerd"
_KIND = "io.cri-containerd.kind"
_OF_DOCKER = "com.docker/"
"""Begins what dockerd notes for itself (moby ``libcontainerd/remote/client.go``): a container's own labels it keeps."""
_NERDCTL = "nerdctl/name"
_DOCKER = re.compile(r"[0-9a-f]{64}")
_BETWEEN = re.compile(rf"[0-9a-f]{{64}}{INIT}(-[0-9]+-[0-9]+)?|sha256:[0-9a-f]{{64}}-[0-9]+-[0-9]+")
"""Keys of what may lie between a container's layer and its image's: Docker's init layer, and either of them with other
owners, for a user namespace (client/snapshotter_opts_unix.go; moby ``daemon/containerd/image_snapshot_unix.go``)."""
_DOCKERS = frozenset({"moby", "plugins.moby"})
"""Namespaces in which Docker has containerd run its containers (moby ``daemon/config/config_linux.go``)."""


@dataclass(frozen=True, slots=True)
class _Pod:
    name: str = ""
    namespace: str = ""
    uid: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """What containers are looked up in."""

    driver: str = ""
    snapshots: Snapshots = field(default_factory=Snapshots)
    index: Index = field(default_factory=dict)
    images: Images = field(default_factory=lambda: Images((), {}, {}, {}, ()))


@dataclass(frozen=True, slots=True)
class _Sandboxes:
    """What the sandbox store, and containers that are sandboxes, say; by namespace and id."""

    pods: Mapping[tuple[str, str], _Pod]
    metadata: Mapping[tuple[str, str], object]
    """The CRI plugin's, of those that it has a sandbox store for."""


def read(root: Root, places: Places, metadata: Metadata, known: Known) -> tuple[Container, ...]:
    """The containers of all namespaces."""
    pods: dict[tuple[str, str], _Pod] = {}
    for record in (*metadata.sandboxes, *filter(_is_sandbox, metadata.containers)):
        sandbox = (record.namespace, record.id)
        pods[sandbox] = _pod(record, pods.get(sandbox, _named(record)))
    held = _Sandboxes(pods, {(record.namespace, record.id): record.metadata for record in metadata.sandboxes})
    containers = [
        _container(record, states.read(root, places, record.namespace, record.id), known, held)
        for record in metadata.containers
    ]
    named = {(record.namespace, record.id) for record in metadata.containers}
    containers += [
        Container(key, image=_image_of(namespace, layer, known), layer=layer, runtime=_runtime(namespace))
        for namespace, key, layer in _stopped(metadata, known)
        if (namespace, key) not in named
    ]
    return tuple(containers)


def _container(record: ContainerRecord, state: State, known: Known, sandboxes: _Sandboxes) -> Container:
    cri, sandbox = record.metadata, _is_sandbox(record)
    holder = (record.namespace, record.id if sandbox else _sandbox_of(record))
    pod = _pod(record, sandboxes.pods.get(holder, _Pod()))
    network = (cri or sandboxes.metadata.get(holder)) if sandbox else None
    snapshot = known.index.get((record.namespace, record.snapshot_key or record.id))
    layer = snapshot.id if snapshot and record.snapshotter in {"", known.driver} else ""
    image = known.images.by_name.get((record.namespace, record.image))
    asked = documents.text(cri, "Config", "image", "user_specified_image")
    name = documents.text(cri, "Name") or record.labels.get(_NERDCTL, "")
    role = record.labels.get("io.kubernetes.container.name", "") or documents.text(cri, "Config", "metadata", "name")
    return Container(
        record.id,
        name=name,
        image=image.id if image else _image_of(record.namespace, layer, known),
        image_name=_image_name(record.image, asked, image),
        layer=layer,
        state=state.word,
        pid=state.pid,
        pod=pod.name,
        namespace=pod.namespace,
        pod_uid=pod.uid,
        role="sandbox" if sandbox else role or _annotation(record, "container-name"),
        created_at=record.created_at,
        labels={key: value for key, value in record.labels.items() if not key.startswith(_OF_DOCKER)},
        mounts=record.mounts,
        runtime=_runtime(record.namespace),
        sandbox="" if sandbox else holder[1],
        started_at=state.started_at,
        command=record.runtime.command,
        cgroup=record.runtime.cgroup,
        limits=record.runtime.limits,
        addresses=tuple(filter(None, (documents.text(network, "IP"), *documents.texts(network, "AdditionalIPs")))),
        netns=documents.text(network, "NetNSPath") or record.runtime.netns,
    )


def _runtime(namespace: str) -> str:
    return "docker" if namespace in _DOCKERS else ENGINE


def _image_name(recorded: str, asked: str, image: Image | None) -> str:
    """The name that a person would use: the CRI plugin may have written down the image's id."""
    if not recorded.startswith("sha256:"):
        return recorded
    return asked or next(iter(image.names if image else ()), recorded)


def _image_of(namespace: str, layer: str, known: Known) -> str:
    """The image that a container's layer was made from, where only one has exactly the layers below it."""
    snapshot = known.snapshots.by_id.get(layer)
    lower = known.snapshots.below(snapshot) if snapshot else None
    if not lower:
        return ""
    while lower and _BETWEEN.fullmatch(known.snapshots.by_id[lower[0]].key):
        lower = lower[1:]
    fitting = [image.id for image in known.images.by_namespace.get(namespace, ()) if image.layers == lower]
    return fitting[0] if len(fitting) == 1 else ""


def _stopped(metadata: Metadata, known: Known) -> Iterator[tuple[str, str, str]]:
    """Docker's containers by their snapshots: namespace, id, layer. Each has a lease of its name, and an init layer."""
    for lease in metadata.leases:
        snapshot = known.index.get((lease.namespace, lease.id))
        if snapshot is None or snapshot.kind != ACTIVE or not _DOCKER.fullmatch(lease.id):
            continue
        parent = known.snapshots.by_name.get(snapshot.parent)
        if parent and parent.key.startswith(f"{lease.id}{INIT}"):
            yield lease.namespace, lease.id, snapshot.id


def _is_sandbox(record: ContainerRecord) -> bool:
    return record.labels.get(_KIND) == "sandbox" or _annotation(record, "container-type") == "sandbox"


def _sandbox_of(record: ContainerRecord) -> str:
    return record.sandbox or documents.text(record.metadata, "SandboxID") or _annotation(record, "sandbox-id")


def _annotation(record: ContainerRecord, name: str) -> str:
    return record.annotations.get(f"{ANNOTATION}{name}", "")


def _pod(record: ContainerRecord, sandbox: _Pod) -> _Pod:
    """The pod of a container, whose sandbox is of the pod ``sandbox``; or that of a sandbox.

    In the CRI plugin's metadata a sandbox is called as its pod, a container as itself.
    """

    def told(what: str, otherwise: str) -> str:
        said = record.labels.get(f"io.kubernetes.pod.{what}", "") or otherwise
        return said or _annotation(record, f"sandbox-{what}")

    return _Pod(told("name", sandbox.name), told("namespace", sandbox.namespace), told("uid", sandbox.uid))


def _named(record: ContainerRecord) -> _Pod:
    """The pod that a sandbox is called as, in the CRI plugin's metadata."""
    own = documents.mapping(record.metadata, "Config", "metadata")
    return _Pod(documents.text(own, "name"), documents.text(own, "namespace"), documents.text(own, "uid"))
