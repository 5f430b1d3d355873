"""What the path of a control group says of a container. Nothing else takes such a path apart. Pure.

The forms are those that runtimes write: the kubelet (pkg/kubelet/cm: cgroup_manager_linux.go, pod_container_manager),
runc and crun (``SLICE:PREFIX:NAME`` of the OCI's cgroupsPath becomes ``SLICE/PREFIX-NAME.scope``), containerd
(getCgroupsPath), CRI-O (``crio``, ``crio-conmon``), moby (daemon/oci_linux.go), libpod (container_internal, pod). An
ordinary word is never taken for a container: an id is hexadecimal, or stands where only one runtime puts it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple


class Recognised(NamedTuple):
    """What a path says of the processes in it. A monitor is none of the container that it names."""

    kind: str
    """``container`` (its group, or one inside it), ``pod``, ``monitor`` (conmon, which waits for a container)."""
    container: str = ""
    """Its id as the path has it, also of a monitor; a pod's group has none."""
    runtime: str = ""
    """``docker``, ``containerd``, ``cri-o``, ``podman``, ``lab``; empty: the path does not tell it."""
    pod_uid: str = ""
    """8-4-4-4-12 with dashes; a static pod's 32 digits without; Podman's pods have an id of 64 digits."""
    qos: str = ""
    """``guaranteed``, ``burstable``, ``besteffort``."""
    driver: str = ""
    """``systemd`` or ``cgroupfs``: who made the group."""
    node_container: str = ""
    """The first container in the path, where another is inside it: the one that plays a node."""
    group: str = ""
    """The group of the container, pod or monitor itself; what the path has behind it is inside."""


RUNTIMES = {
    "docker": "docker",
    "cri-containerd": "containerd",
    "containerd": "containerd",
    "nerdctl": "containerd",
    "crio": "cri-o",
    "crio-conmon": "cri-o",
    "libpod": "podman",
    "libpod-payload": "podman",
    "libpod-conmon": "podman",
}
"""Who writes which prefix before an id."""
_IN_PODMAN_PODS = ("libpod", "libpod-conmon")
_MONITORS = ("crio-conmon", "libpod-conmon")
_LAB = "netfs-lab-"
_LIBPOD = "libpod_parent"

# `docker-ID.scope`, `crio-ID` (its cgroupfs driver), `kata_ID`, or an id alone. What stands before it is free; with
# another ending it is a unit's name that has an id in it: an overlay's .mount, the .service of Podman's health checks.
_WITH_ID = re.compile(r"(?:(.*)[-_.:@])?([0-9a-f]{64})(\.scope)?")
_BARE = re.compile(r"[0-9a-f]{64}")
_SYSTEMD_POD = re.compile(r"(?:.*-)?kubepods(?:-(burstable|besteffort))?-pod([0-9A-Za-z_-]+)\.slice")
_PODMAN_POD = re.compile(r"(?:.*-)?libpod_pod_([0-9a-f]{64})\.slice")
_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}")
_NAMESPACES = ("default", "k8s.io")
"""containerd's own namespaces: ctr makes ``/NAMESPACE/ID``, where an id is what its user says."""
_FOLDERS = {"docker": "docker"} | dict.fromkeys(_NAMESPACES, "containerd")
"""Who puts ids alone below which folder."""
_NAMED = re.compile(r"[0-9A-Za-z]+(?:[._-][0-9A-Za-z]+)*")
"""containerd's identifiers (pkg/identifiers): of at most 76 characters."""
_BUILD = re.compile(r"[0-9a-z]{25}")
"""BuildKit's identifiers (identity.NewID)."""
_REMOVED = " (deleted)"
"""What the kernel puts behind the path of a group that was removed while a process was in it (cgroups(7))."""


class _Part(NamedTuple):
    """What one part of a path says."""

    kind: str
    id: str
    runtime: str = ""
    driver: str = ""
    qos: str = ""
    pod_uid: str = ""
    """Of ``SLICE:PREFIX:ID``, which names both."""


@lru_cache(maxsize=16_384)
def recognise(path: str) -> Recognised | None:
    """What the path of a group says; None: it is no pod's and no container's.

    Of several containers the last is meant: a node that is a container (kind, k3s) has its pods' groups below its own.
    One answer is asked for by several: for processes, for groups, for findings; so it is kept.
    """
    parts = path.removesuffix(_REMOVED).split("/")
    pod: _Part | None = None
    pod_at = at = -1
    first = ""
    held: _Part | None = None
    for index, text in enumerate(parts):
        # Most parts are short names, and only these forms can be one of ours.
        if len(text) < 64 and not text.startswith("pod") and not text.endswith(".slice") and ":" not in text:
            part = _short(text, parts, index, at) if index else None
        else:
            part = _part(text, parts, index)
        if part is None:
            continue
        if part.kind == "pod":
            pod, pod_at = part, index
        elif held is None or part.id != held.id:
            if held is not None:
                first = first or held.id
                pod, pod_at = (pod, pod_at) if pod_at > at else (None, -1)
            held, at = part, index
    if held is None and pod is None:
        return None
    return _told(parts, pod, pod_at, held, at, first)


def _told(parts: list[str], pod: _Part | None, pod_at: int, held: _Part | None, at: int, first: str) -> Recognised:
    if held is None or pod_at > at:
        assert pod is not None
        outer = first or (held.id if held is not None else "")
        group = "/".join(parts[: pod_at + 1])
        return Recognised("pod", "", pod.runtime, pod.id, pod.qos, pod.driver, outer, group)
    runtime, uid, qos = held.runtime, held.pod_uid, held.qos
    if pod is not None:
        runtime, uid, qos = runtime or pod.runtime, pod.id, pod.qos
    if not runtime and any(part.startswith(_LAB) for part in parts[:at]):
        runtime = "lab"
    return Recognised(held.kind, held.id, runtime, uid, qos, held.driver, first, "/".join(parts[: at + 1]))


def _part(text: str, parts: list[str], index: int) -> _Part | None:
    if "\\x2d" in text:
        text = text.replace("\\x2d", "-")  # systemd.unit(5), "string escaping for inclusion in unit names"
    if text.endswith(".slice"):
        return _slice(text)
    if text.startswith("pod"):
        return _pod(text, parts, index)
    if ":" in text and (part := _unsplit(text)) is not None:
        return part
    return _identified(text, parts, index)


def _slice(text: str) -> _Part | None:
    found = _SYSTEMD_POD.fullmatch(text)
    if found is not None:
        return _Part("pod", found[2].replace("_", "-"), "", "systemd", found[1] or "guaranteed")
    found = _PODMAN_POD.fullmatch(text)
    return _Part("pod", found[1], "podman", "systemd") if found is not None else None


def _pod(text: str, parts: list[str], index: int) -> _Part | None:
    """``pod<uid>``. Below kubepods whatever follows is a UID: the API lets them be any text."""
    above, further = ("", "", *parts[:index])[-1:-3:-1]
    uid, qos = text[3:], ""
    if above == "kubepods":
        qos = "guaranteed"
    elif further == "kubepods" and above in ("burstable", "besteffort"):
        qos = above
    if (qos and uid) or _UID.fullmatch(uid):
        return _Part("pod", uid, "", "cgroupfs", qos)
    return None


def _unsplit(text: str) -> _Part | None:
    """``SLICE:PREFIX:ID``, systemd's form in the hands of a runtime that makes directories."""
    words = text.split(":")
    runtime = RUNTIMES.get(words[1]) if len(words) == 3 else None
    if runtime is None or not words[2]:
        return None
    pod = _slice(words[0])
    kind = "monitor" if words[1] in _MONITORS else "container"
    return _Part(kind, words[2], runtime, "cgroupfs", pod.qos if pod else "", pod.id if pod else "")


def _identified(text: str, parts: list[str], index: int) -> _Part | None:
    found = _WITH_ID.fullmatch(text)
    if found is None:
        return None
    prefix, identity, scope = found.groups()
    above = parts[index - 1] if index else ""
    if prefix is None and (above == _LIBPOD or _is_podman_pod(parts, index)):
        return _Part("pod", identity, "podman", "cgroupfs")
    kind = "monitor" if prefix in _MONITORS else "container"
    runtime = _FOLDERS.get(above, "") if prefix is None else RUNTIMES.get(prefix, "")
    return _Part(kind, identity, runtime, "systemd" if scope else "cgroupfs")


def _is_podman_pod(parts: list[str], index: int) -> bool:
    """Whether an id alone is that of a pod below a parent of its own (``podman pod create --cgroup-parent``).

    What Podman makes right below tells it, where nobody else puts an id alone. (Podman in a container that may see all
    of the groups has ``libpod_parent`` between the two.)
    """
    if index + 1 >= len(parts) or not _BARE.fullmatch(parts[index]):
        return False
    above = parts[index - 1] if index else ""
    if above in _FOLDERS or above.startswith("pod") or above.endswith(".slice"):
        return False
    below = _WITH_ID.fullmatch(parts[index + 1])
    return parts[index + 1] == "conmon" or (below is not None and below[1] in _IN_PODMAN_PODS and not below[3])


def _short(text: str, parts: list[str], index: int, at: int) -> _Part | None:
    """A part that holds no id of 64 digits, where only one runtime puts one."""
    above = parts[index - 1]
    if above in _NAMESPACES and index - 2 in (0, at) and _NAMED.fullmatch(text):
        return _Part("container", text, "containerd", "cgroupfs")
    if above == "buildkit" and _BUILD.fullmatch(text):
        return _Part("container", text, "", "cgroupfs")
    if text == "conmon" and (_LIBPOD in parts[max(index - 2, 0) : index] or _is_podman_pod(parts, index - 1)):
        return _Part("monitor", "", "podman", "cgroupfs")
    return None
