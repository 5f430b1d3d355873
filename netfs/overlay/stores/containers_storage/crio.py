"""What CRI-O writes of its containers: to the store's own record, and to the container's ``userdata``.

The record's metadata are enough for pod and container (cri-o ``internal/storage/runtime.go``,
``RuntimeContainerMetadata``): a container names its sandbox by ``pod-id``, and the sandbox's own metadata name the pod.
``config.json`` (the OCI runtime's, with annotations) and ``state.json`` tell the same and the state; they are read
where they are there (cri-o ``internal/oci/container.go``, ``pkg/annotations``). Podman writes annotations of the same
names for ``podman kube play``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netfs.model.containers import Container
from netfs.model.gaps import Gap
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import documents, oci
from netfs.overlay.stores.containers_storage import userdata
from netfs.overlay.stores.containers_storage.records import ContainerRecord

ENGINE = "cri-o"
SANDBOX = "sandbox"
_CRIO = "io.kubernetes.cri-o."
_POD = "io.kubernetes.pod."
_MOST_ADDRESSES = 8


def is_crio(record: ContainerRecord) -> bool:
    """Whether CRI-O made a container: every one of its containers names a pod."""
    return bool(documents.text(record.metadata, "pod-id"))


def container(
    root: Root, record: ContainerRecord, records: Mapping[str, ContainerRecord], places: Sequence[str], gaps: list[Gap]
) -> Container:
    """A container of CRI-O, without what the store knows of it. ``places``: folders its ``userdata`` may be in."""
    metadata = record.metadata
    sandbox_id = documents.text(metadata, "pod-id")
    sandbox = records[sandbox_id].metadata if sandbox_id in records else None
    config = userdata.document(root, record.id, places, "config.json", gaps)
    state = userdata.document(root, record.id, places, "state.json", gaps)
    annotations = documents.labels(config, "annotations")
    labels = documents.labels(_parsed(annotations.get(f"{_CRIO}Labels", "")))
    told = {**labels, **annotations}
    is_sandbox = sandbox_id == record.id or told.get(f"{_CRIO}ContainerType") == SANDBOX
    name = told.get("io.kubernetes.container.name") or documents.text(metadata, "metadata-name")
    pid = documents.number(state, "pid")
    ran = oci.runtime(config)
    return Container(
        id=record.id,
        name=documents.text(metadata, "name"),
        image_name=told.get(f"{_CRIO}ImageName") or documents.text(metadata, "image-name"),
        state=documents.text(state, "status"),
        pid=pid if pid is not None and pid > 0 else None,
        pod=told.get(f"{_POD}name") or told.get(f"{_CRIO}KubeName") or documents.text(sandbox, "metadata-name"),
        namespace=told.get(f"{_POD}namespace") or told.get(f"{_CRIO}Namespace") or documents.text(sandbox, "namespace"),
        pod_uid=told.get(f"{_POD}uid") or documents.text(sandbox, "uid"),
        role=SANDBOX if is_sandbox else name,
        labels=labels,
        mounts=userdata.mounts(config, "mounts"),
        runtime=ENGINE,
        sandbox="" if is_sandbox else sandbox_id,
        started_at=documents.moment(state, "started"),
        command=ran.command,
        cgroup=ran.cgroup,
        limits=ran.limits,
        addresses=_addresses(told),
        netns=ran.netns,
    )


def _addresses(annotations: Mapping[str, str]) -> tuple[str, ...]:
    """Those of a sandbox: ``…IP.0``, ``…IP.1`` (cri-o ``pkg/annotations``, ``IP``)."""
    found = (annotations.get(f"{_CRIO}IP.{number}", "") for number in range(_MOST_ADDRESSES))
    return tuple(filter(None, found))


def _parsed(text: str) -> object:
    try:
        return documents.parse(text.encode())
    except (ValueError, RecursionError):
        return None
