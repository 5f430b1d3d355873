"""containerd's ``meta.db``: what its clients asked for, by namespace (core/metadata/buckets.go).

::

    v1/NAMESPACE/containers/ID/{image,snapshotter,snapshotKey,spec,sandboxid,createdat,labels/,extensions/}
    v1/NAMESPACE/images/NAME/{target/{digest,mediatype,size},labels/}
    v1/NAMESPACE/snapshots/SNAPSHOTTER/KEY/{name,parent,labels/}     name: the key in the snapshotter's own database
    v1/NAMESPACE/content/blob/DIGEST/labels/
    v1/NAMESPACE/leases/ID/{labels/,snapshots/SNAPSHOTTER/KEY}
    v1/NAMESPACE/sandboxes/ID/{labels/,extensions/}                  or without v1
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from netfs.model.gaps import Gap
from netfs.overlay.stores import documents, oci
from netfs.overlay.stores.bolt import Bolt, Bucket
from netfs.overlay.stores.containerd.values import Fields, Records, any_document, moment, text

REFERENCE = "containerd.io/gc.ref.snapshot."
"""Begins a label by which something holds a snapshot: then the snapshotter, or it and ``/`` and anything."""
ANNOTATION = "io.kubernetes.cri."
"""Begins the CRI plugin's annotations (internal/cri/annotations/annotations.go)."""
_MOST_MOUNTS = 500


@dataclass(frozen=True, slots=True)
class SnapshotRecord:
    """A snapshot as its namespace knows it."""

    namespace: str
    snapshotter: str
    key: str
    name: str
    """Its key in the snapshotter's database."""
    labels: Mapping[str, str]
    created_at: str


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """An image's name, and what it stands for."""

    namespace: str
    name: str
    digest: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ContainerRecord:
    """A container, or a sandbox of the sandbox store."""

    namespace: str
    id: str
    image: str
    """An image's name."""
    snapshotter: str
    snapshot_key: str
    sandbox: str
    created_at: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    """Of the OCI runtime specification: those of the CRI plugin."""
    mounts: Mapping[str, str]
    """Of the specification: as ``Container.mounts``."""
    runtime: oci.Runtime
    """Of the specification: how it is to be run."""
    metadata: object
    """What the CRI plugin knows of a container or a sandbox (internal/cri/store/{container,sandbox}/metadata.go)."""


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """A lease: it keeps snapshots from being collected."""

    namespace: str
    id: str
    labels: Mapping[str, str]
    snapshots: tuple[tuple[str, str], ...]
    """Snapshotter and key."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """Everything of meta.db that tells who owns a snapshot."""

    snapshots: tuple[SnapshotRecord, ...] = ()
    images: tuple[ImageRecord, ...] = ()
    containers: tuple[ContainerRecord, ...] = ()
    sandboxes: tuple[ContainerRecord, ...] = ()
    leases: tuple[LeaseRecord, ...] = ()
    content: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    """Labels of a blob, by namespace and digest."""
    gaps: tuple[Gap, ...] = ()
    whole: bool = True
    """All of it could be read: what is not here is not there."""


def read(bolt: Bolt, path: str) -> Metadata:
    """Read the database that was loaded from ``path``."""
    records = Records(path)
    spaces = list(records.buckets(bolt.root, b"v1"))
    snapshots = tuple(one for name, bucket in spaces for one in _snapshots(records, name, bucket))
    images = tuple(one for name, bucket in spaces for one in _images(records, name, bucket))
    containers, sandboxes = _members(records, bolt, spaces)
    leases = tuple(one for name, bucket in spaces for one in _leases(records, name, bucket))
    content = {(name, digest): labels for name, bucket in spaces for digest, labels in _content(records, bucket)}
    gaps = tuple(records.gaps)
    return Metadata(snapshots, images, containers, sandboxes, leases, content, gaps, records.whole)


def read_containers(bolt: Bolt, path: str) -> Metadata:
    """Containers and sandboxes alone."""
    records = Records(path)
    containers, sandboxes = _members(records, bolt, list(records.buckets(bolt.root, b"v1")))
    return Metadata(containers=containers, sandboxes=sandboxes, gaps=tuple(records.gaps), whole=records.whole)


def _members(
    records: Records, bolt: Bolt, spaces: list[tuple[str, Bucket]]
) -> tuple[tuple[ContainerRecord, ...], tuple[ContainerRecord, ...]]:
    """The containers of all namespaces, and the sandboxes."""
    older = [(name, bucket) for name, bucket in records.buckets(bolt.root) if name != "v1"]
    return (
        tuple(one for name, bucket in spaces for one in _containers(records, name, bucket, b"containers")),
        tuple(one for name, bucket in spaces + older for one in _containers(records, name, bucket, b"sandboxes")),
    )


def _snapshots(records: Records, namespace: str, bucket: Bucket) -> Iterator[SnapshotRecord]:
    for snapshotter, keys in records.buckets(bucket, b"snapshots"):
        for key, snapshot in records.buckets(keys):
            fields = records.fields(snapshot, "snapshot")
            labels = records.texts(fields.get("labels"), "labels")
            created = moment(fields.get("createdat"))
            yield SnapshotRecord(namespace, snapshotter, key, text(fields.get("name")), labels, created)


def _images(records: Records, namespace: str, bucket: Bucket) -> Iterator[ImageRecord]:
    for name, image in records.buckets(bucket, b"images"):
        fields = records.fields(image, "image")
        target = records.texts(fields.get("target"), "target")
        labels = records.texts(fields.get("labels"), "labels")
        yield ImageRecord(namespace, name, target.get("digest", ""), labels)


def _containers(records: Records, namespace: str, bucket: Bucket, kind: bytes) -> Iterator[ContainerRecord]:
    for identity, container in records.buckets(bucket, kind):
        fields = records.fields(container, "container")
        yield ContainerRecord(
            namespace,
            identity,
            text(fields.get("image")),
            text(fields.get("snapshotter")),
            text(fields.get("snapshotKey")),
            text(fields.get("sandboxid")),
            moment(fields.get("createdat")),
            records.texts(fields.get("labels"), "labels"),
            *_specified(any_document(fields.get("spec"))),
            _cri(records, fields),
        )


def _specified(spec: object) -> tuple[dict[str, str], dict[str, str], oci.Runtime]:
    """What is kept of a specification."""
    annotations = documents.labels(spec, "annotations")
    return (
        {name: annotations[name] for name in annotations if name.startswith(ANNOTATION)},
        {
            place: _mounted(mount)
            for mount in documents.items(spec, "mounts")[:_MOST_MOUNTS]
            if (place := documents.text(mount, "destination"))
        },
        oci.runtime(spec),
    )


def _mounted(mount: object) -> str:
    """A path of the node where it is bound, else the file system."""
    kind, options = documents.text(mount, "type"), documents.texts(mount, "options")
    bound = kind == "bind" or not {"bind", "rbind"}.isdisjoint(options)
    return (documents.text(mount, "source") if bound else "") or kind


def _cri(records: Records, fields: Fields) -> object:
    """The CRI plugin's metadata: the extension's name tells of what, and all have one form."""
    bucket = fields.get("extensions")
    found = records.fields(bucket, "extensions") if isinstance(bucket, Bucket) else {}
    return next((one for value in found.values() if (one := documents.mapping(any_document(value), "Metadata"))), None)


def _content(records: Records, bucket: Bucket) -> Iterator[tuple[str, dict[str, str]]]:
    for digest, blob in records.buckets(bucket, b"content", b"blob"):
        yield digest, records.texts(records.fields(blob, "content").get("labels"), "labels")


def _leases(records: Records, namespace: str, bucket: Bucket) -> Iterator[LeaseRecord]:
    for identity, lease in records.buckets(bucket, b"leases"):
        labels = records.texts(records.fields(lease, "lease").get("labels"), "labels")
        held = tuple(
            (snapshotter, key)
            for snapshotter, keys in records.buckets(lease, b"snapshots")
            for key in records.fields(keys, "lease")
        )
        yield LeaseRecord(namespace, identity, labels, held)
