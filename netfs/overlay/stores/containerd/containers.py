"""containerd's containers: those of Kubernetes with their pods, of ``ctr``, of nerdctl, and of Docker.

A container names the key of its snapshot. Docker's names none: there the key is the container's id, and while the
container is stopped, that snapshot and its lease are all that containerd has of it (moby
``daemon/containerd/image_snapshot.go``).

What a pod is, is written down three times: in the labels that the kubelet gives, in the CRI plugin's extension
(internal/cri/store/{container,sandbox}/metadata.go) and in the annotations of the specification
(internal/cri/annotations/annotations.go).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from netfs.model.containers import Container
from netfs.model.layers import Image
from netfs.model.snapshot import Gap
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import documents
from netfs.overlay.stores.containerd.images import Images, Index
from netfs.overlay.stores.containerd.layers import INIT
from netfs.overlay.stores.containerd.metadata import ANNOTATION, ContainerRecord, Metadata
from netfs.overlay.stores.containerd.snapshots import ACTIVE, Snapshots
from netfs.overlay.stores.overlay_directories import component

_KIND = "io.cri-containerd.kind"
_NERDCTL = "nerdctl/name"
_DOCKER = re.compile(r"[0-9a-f]{64}")
_BETWEEN = re.compile(rf"[0-9a-f]{{64}}{INIT}(-[0-9]+-[0-9]+)?|sha256:[0-9a-f]{{64}}-[0-9]+-[0-9]+")
"""Keys of what may lie between a container's layer and its image's: Docker's init layer, and either of them with other
owners, for a user namespace (client/snapshotter_opts_unix.go; moby ``daemon/containerd/image_snapshot_unix.go``)."""
_CRI = "io.containerd.grpc.v1.cri"
_TASKS = "io.containerd.runtime.v2.task"
_STATUS_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Places:
    """Where a container's state is written down."""

    root: str
    """containerd's folder, with the CRI plugin's ``containers/ID/status``."""
    states: tuple[str, ...]
    """Folders of which one may be its state folder, with ``NAMESPACE/ID/init.pid`` below that of tasks."""


@dataclass(frozen=True, slots=True)
class _Pod:
    name: str = ""
    namespace: str = ""
    uid: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """What containers are looked up in."""

    driver: str
    snapshots: Snapshots
    index: Index
    images: Images


def read(root: Root, places: Places, metadata: Metadata, known: Known) -> tuple[Container, ...]:
    """The containers of all namespaces."""
    pods: dict[tuple[str, str], _Pod] = {}
    for record in (*metadata.sandboxes, *filter(_is_sandbox, metadata.containers)):
        sandbox = (record.namespace, record.id)
        pods[sandbox] = _pod(record, pods.get(sandbox, _named(record)))
    containers = [_container(record, _state(root, places, record), known, pods) for record in metadata.containers]
    named = {(record.namespace, record.id) for record in metadata.containers}
    containers += [
        Container(key, image=_image_of(namespace, layer, known), layer=layer)
        for namespace, key, layer in _stopped(metadata, known)
        if (namespace, key) not in named
    ]
    return tuple(containers)


def _container(
    record: ContainerRecord, state: tuple[str, int | None], known: Known, pods: Mapping[tuple[str, str], _Pod]
) -> Container:
    cri, sandbox = record.metadata, _is_sandbox(record)
    holder = (record.namespace, record.id if sandbox else _sandbox_of(record))
    pod = _pod(record, pods.get(holder, _Pod()))
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
        state=state[0],
        pid=state[1],
        pod=pod.name,
        namespace=pod.namespace,
        pod_uid=pod.uid,
        role="sandbox" if sandbox else role or _annotation(record, "container-name"),
        created_at=record.created_at,
        labels=record.labels,
        mounts=record.mounts,
    )


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


def _state(root: Root, places: Places, record: ContainerRecord) -> tuple[str, int | None]:
    """State and process, as the CRI plugin or a shim wrote them down."""
    if not component(record.id) or not component(record.namespace):
        return "", None
    for folder in places.states:
        line = documents.line(root, posixpath.join(folder, _TASKS, record.namespace, record.id, "init.pid"))
        if isinstance(line, str) and (pid := _pid(line)) is not None:
            return "running", pid
    status = documents.load(root, posixpath.join(places.root, _CRI, "containers", record.id, "status"), _STATUS_BYTES)
    if isinstance(status, Gap):
        return "", None
    for key, state in (("FinishedAt", "exited"), ("StartedAt", "running"), ("CreatedAt", "created")):
        if documents.number(status, key):
            return state, None
    return "", None


def _pid(line: str) -> int | None:
    digits = line.isascii() and line.isdecimal() and len(line) <= len("4194304")
    return int(line) if digits and int(line) else None
