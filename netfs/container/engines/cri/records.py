"""CRI's answers as records: what is listed, what a status adds to it, and the JSON of a verbose one.

The interface leaves open what that JSON has ("could be arbitrary"). containerd's is its ContainerInfo and SandboxInfo
(internal/cri/server/container_status.go, internal/cri/types/sandbox_info.go; before 2.0 in pkg/cri/server), CRI-O's has
fewer keys of the same names (server/container_status.go, server/sandbox_status.go). A runtime without it leaves empty
what only it knows: pid, control group, namespace, command.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from netfs.model.containers import SANDBOX, Container, Limits
from netfs.overlay.calendar import calendar
from netfs.overlay.stores import documents, oci
from netfs.overlay.stores.containers_storage import userdata

if TYPE_CHECKING:
    from netfs.container.engines.cri import runtime_pb2 as cri

_STATES = {0: "created", 1: "running", 2: "exited"}
"""ContainerState; any other number: unknown."""
_SANDBOX_STATES = {0: "running", 1: "exited"}
_DRIVERS = {0: "systemd", 1: "cgroupfs"}
_UNKNOWN = "unknown"
_ENDED = "exited"
_POD = "io.kubernetes.pod."
"""Begins the labels that the kubelet gives (k8s.io/kubelet, pkg/types/labels.go)."""
_ROLE = "io.kubernetes.container.name"
_LARGEST_PID = 1 << 22
"""PID_MAX_LIMIT (include/linux/threads.h)."""
_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{64})")


def details(info: Mapping[str, str], key: str = "info") -> object:
    """The JSON of a verbose answer, decoded; None where there is none. Raises ValueError and RecursionError."""
    said = info.get(key, "")
    return documents.parse(said.encode()) if said else None


def listed_sandbox(listed: cri.PodSandbox, runtime: str) -> Container:
    """A pod's sandbox as a list tells of it."""
    return Container(
        listed.id,
        name=listed.metadata.name,
        state=_SANDBOX_STATES.get(listed.state, _UNKNOWN),
        pod=listed.labels.get(f"{_POD}name", "") or listed.metadata.name,
        namespace=listed.labels.get(f"{_POD}namespace", "") or listed.metadata.namespace,
        pod_uid=listed.labels.get(f"{_POD}uid", "") or listed.metadata.uid,
        role=SANDBOX,
        created_at=moment(listed.created_at),
        labels=dict(listed.labels),
        runtime=runtime,
    )


def sandbox(listed: Container, answer: cri.PodSandboxStatusResponse, info: object) -> Container:
    """The same with what its status adds. ``info``: the details of the answer."""
    if not answer.HasField("status"):
        return listed
    state = _SANDBOX_STATES.get(answer.status.state, _UNKNOWN)
    how = oci.runtime(documents.value(info, "runtimeSpec"))
    network = answer.status.network
    addresses = (network.ip, *(one.ip for one in network.additional_ips))
    return replace(
        listed,
        state=state,
        pid=_pid(info, state),
        image_name=documents.text(info, "image"),
        mounts=userdata.mounts(info, "runtimeSpec", "mounts"),
        command=how.command,
        cgroup=how.cgroup,
        limits=how.limits,
        netns="" if documents.flag(info, "netNamespaceClosed") else how.netns,
        addresses=tuple(dict.fromkeys(filter(None, addresses))),
    )


def listed_container(listed: cri.Container, runtime: str) -> Container:
    """A container as a list tells of it."""
    return Container(
        listed.id,
        name=listed.metadata.name,
        image=_image(listed.image_id, listed.image_ref, listed.image.image),
        image_name=_named(listed.image.user_specified_image, listed.image.image),
        state=_STATES.get(listed.state, _UNKNOWN),
        pod=listed.labels.get(f"{_POD}name", ""),
        namespace=listed.labels.get(f"{_POD}namespace", ""),
        pod_uid=listed.labels.get(f"{_POD}uid", ""),
        role=listed.labels.get(_ROLE, "") or listed.metadata.name,
        created_at=moment(listed.created_at),
        labels=dict(listed.labels),
        runtime=runtime,
        sandbox=listed.pod_sandbox_id,
    )


def container(listed: Container, answer: cri.ContainerStatusResponse, info: object) -> Container:
    """The same with what its status adds. ``info``: the details of the answer."""
    if not answer.HasField("status"):
        return listed
    status = answer.status
    state = _STATES.get(status.state, _UNKNOWN)
    spec = documents.value(info, "runtimeSpec")
    how = oci.runtime(spec)
    asked = documents.text(info, "config", "image", "user_specified_image")
    names = (status.image.user_specified_image, status.image.image, asked, listed.image_name)
    return replace(
        listed,
        image=listed.image or _image(status.image_id, status.image_ref),
        image_name=_named(*names) or status.image.image,
        state=state,
        pid=_pid(info, state),
        created_at=listed.created_at or moment(status.created_at),
        started_at=moment(status.started_at),
        mounts=userdata.mounts(spec, "mounts") or _mounts(status),
        sandbox=listed.sandbox or documents.text(info, "sandboxID"),
        command=how.command,
        cgroup=how.cgroup,
        limits=_limits(status, how.limits),
        netns=how.netns,
    )


def in_pod(container: Container, sandbox: Container | None) -> Container:
    """The same with what it has of its pod, where it does not say so itself: names, addresses, network namespace."""
    if sandbox is None:
        return container
    return replace(
        container,
        pod=container.pod or sandbox.pod,
        namespace=container.namespace or sandbox.namespace,
        pod_uid=container.pod_uid or sandbox.pod_uid,
        addresses=sandbox.addresses,
        netns=container.netns or sandbox.netns,
    )


def driver(answer: cri.RuntimeConfigResponse) -> str:
    """The driver of control groups; empty where the runtime does not tell."""
    return _DRIVERS.get(answer.linux.cgroup_driver, "") if answer.HasField("linux") else ""


def configured_driver(answer: cri.StatusResponse) -> str:
    """The same of the CRI plugin's configuration, as containerd tells it in its status; empty where it does not.

    runc is told to leave control groups to systemd, or writes to them itself (docs/cri/config.md, "Cgroup Driver").
    """
    try:
        containerd = documents.mapping(details(answer.info, "config"), "containerd")
    except (ValueError, RecursionError):
        return ""
    runtime = documents.mapping(containerd, "runtimes", documents.text(containerd, "defaultRuntimeName"))
    if not documents.text(runtime, "runtimeType").startswith("io.containerd.runc."):
        return ""
    return "systemd" if documents.flag(runtime, "options", "SystemdCgroup") else "cgroupfs"


def moment(nanoseconds: int) -> str:
    """Nanoseconds since the epoch as RFC 3339, its fraction without trailing zeros; empty for none, 0 and before."""
    whole = calendar(nanoseconds) if nanoseconds > 0 else ""
    fraction = f".{nanoseconds % 10**9:09}".rstrip("0").rstrip(".")
    return f"{whole[:-1]}{fraction}Z" if whole else ""


def _limits(status: cri.ContainerStatus, specified: Limits | None) -> Limits | None:
    """Those of the status, which knows when they were changed; what it does not say, as they were specified."""
    if not status.resources.HasField("linux"):
        return specified
    said, otherwise = status.resources.linux, specified or Limits()
    return Limits(
        cpu_quota_us=_limit(said.cpu_quota) or otherwise.cpu_quota_us,
        cpu_period_us=_limit(said.cpu_period) or otherwise.cpu_period_us,
        cpu_shares=_limit(said.cpu_shares) or otherwise.cpu_shares,
        cpuset=said.cpuset_cpus or otherwise.cpuset,
        memory=_limit(said.memory_limit_in_bytes) or otherwise.memory,
        memory_swap=_limit(said.memory_swap_limit_in_bytes) or otherwise.memory_swap,
        pids=otherwise.pids,
    )


def _limit(number: int) -> int | None:
    return number if number > 0 else None


def _pid(info: object, state: str) -> int | None:
    """Of one that ended, CRI-O still has the number: it may be another's by now."""
    pid = documents.number(info, "pid") or 0
    return pid if 0 < pid <= _LARGEST_PID and state != _ENDED else None


def _image(*references: str) -> str:
    """The digest of its configuration: containerd and CRI-O differ in where they say it, and how."""
    digests = (_DIGEST.fullmatch(reference) for reference in references)
    return next((f"sha256:{digest[1]}" for digest in digests if digest), "")


def _named(*names: str) -> str:
    """The first that a person would use: a runtime may name an image by its digest."""
    return next((name for name in names if name and not _DIGEST.fullmatch(name)), "")


def _mounts(status: cri.ContainerStatus) -> dict[str, str]:
    """What was asked for; the runtime adds some of its own."""
    return {
        posixpath.normpath(mount.container_path): mount.host_path
        for mount in status.mounts
        if mount.container_path.startswith("/")
    }
