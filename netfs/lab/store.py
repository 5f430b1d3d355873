"""A node's Docker: its data root, as a dockerd with the ``overlay2`` graph driver would have written it.

::

    overlay2/l/LINK -> ../ID/diff    overlay2/ID/{link,lower,diff,work,merged,committed}
    image/overlay2/layerdb/sha256/CHAIN/{cache-id,diff,parent,size}
    image/overlay2/layerdb/mounts/CONTAINER/{mount-id,init-id,parent}
    image/overlay2/imagedb/{content,metadata}/sha256/    image/overlay2/{repositories.json,distribution/}
    containers/CONTAINER/{config.v2.json,hostconfig.json}

All containers are of one image, which was built here: ``distribution``, where layers were pulled from, is empty. Each
has an init layer, with the empty files that Docker mounts its own over, and a writable one, with what it has written.
(moby ``daemon/graphdriver/overlay2/overlay.go``, ``daemon/internal/layer/filestore.go``,
``daemon/initlayer/setup_unix.go``)

Deleted files and replaced directories are left out where this host makes no such marks.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass

from netfs.lab import cgroups
from netfs.lab.image import COMMAND, LABELS, LAYERS, NAME, TAG, Entry, Image, directories, image
from netfs.lab.plan import PodPlan

NAMESPACE = "default"
CONTAINER_NAME = "app"
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_INIT = (
    Entry(".dockerenv", mode=0o755),
    *directories("dev", "dev/pts", "dev/shm", "etc", "proc", "sys"),
    Entry("dev/console", mode=0o755),
    Entry("etc/hostname", mode=0o755),
    Entry("etc/hosts", mode=0o755),
    Entry("etc/mtab", "symlink", target="/proc/mounts"),
    Entry("etc/resolv.conf", mode=0o755),
)


@dataclass(frozen=True, slots=True)
class Mount:
    """An overlay to be mounted."""

    target: str
    options: str


@dataclass(frozen=True, slots=True)
class Store:
    """A node's data root, and what its containers share."""

    root: str
    rootless: bool
    """Its overlays are mounted in a user namespace: their marks are ``user.overlay.*``."""
    image: Image
    links: tuple[str, ...]
    """Of the image's layers, uppermost first."""


def make(root: str, node: str, *, rootless: bool) -> Store:
    """Make the data root with its image, and no container. Raises OSError."""
    shared = image()
    own = f"{root}/image/overlay2"
    for folder in (
        "layerdb/sha256",
        "layerdb/mounts",
        "imagedb/content/sha256",
        "imagedb/metadata/sha256",
        "distribution",
    ):
        os.makedirs(f"{own}/{folder}")
    for folder in ("overlay2/l", "containers"):
        os.makedirs(f"{root}/{folder}")
    links: tuple[str, ...] = ()
    for number, (entries, chain) in enumerate(zip(LAYERS, shared.chain_ids, strict=True)):
        layer = _identity(node, str(number))
        _overlay_directory(f"{root}/overlay2", layer, links, entries, rootless=rootless)
        links = (_link(layer), *links)
        record = {"cache-id": layer, "diff": shared.diff_ids[number], "size": str(shared.sizes[number])}
        if number:
            record["parent"] = shared.chain_ids[number - 1]
        _records(f"{own}/layerdb/sha256/{_hex(chain)}", record)
    _write(f"{own}/imagedb/content/sha256/{_hex(shared.id)}", shared.config)
    _write(f"{own}/repositories.json", _json({"Repositories": {NAME: {TAG: shared.id}}}))
    return Store(root, rootless, shared, links)


def make_container(store: Store, pod: PodPlan) -> Mount:
    """A pod's container, not started: its layers, their records, and how to mount them. Raises OSError."""
    overlay2, layer = f"{store.root}/overlay2", _identity(pod.container, "mount")
    init = f"{layer}-init"
    _overlay_directory(overlay2, init, store.links, _INIT, rootless=store.rootless)
    links = (_link(init), *store.links)
    _overlay_directory(overlay2, layer, links, _written(pod), rootless=store.rootless, top=True)
    merged = f"{overlay2}/{layer}/merged"
    os.mkdir(merged)
    mounted = {"mount-id": layer, "init-id": init, "parent": store.image.chain_ids[-1]}
    _records(f"{store.root}/image/overlay2/layerdb/mounts/{pod.container}", mounted)
    host = {
        "NetworkMode": "none",
        "CgroupParent": f"/kubepods/pod{pod.uid}",
        "CpuPeriod": cgroups.PERIOD_US,
        "CpuQuota": cgroups.CPU_US,
        "Memory": cgroups.MEMORY,
        "LogConfig": {"Type": "none"},
    }
    _records(f"{store.root}/containers/{pod.container}", {"hostconfig.json": json.dumps(host)})
    lower = ":".join(f"{overlay2}/l/{link}" for link in links)
    folders = f"lowerdir={lower},upperdir={overlay2}/{layer}/diff,workdir={overlay2}/{layer}/work"
    return Mount(merged, f"userxattr,{folders}" if store.rootless else folders)


def start_container(store: Store, pod: PodPlan, pid: int) -> None:
    """Record that a pod's container runs, as process ``pid``. Raises OSError."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    labels = {
        **LABELS,
        "io.kubernetes.container.name": CONTAINER_NAME,
        "io.kubernetes.docker.type": "container",
        "io.kubernetes.pod.name": pod.name,
        "io.kubernetes.pod.namespace": NAMESPACE,
        "io.kubernetes.pod.uid": pod.uid,
    }
    config = {
        "State": {"Running": True, "Pid": pid, "StartedAt": now, "FinishedAt": "0001-01-01T00:00:00Z"},
        "ID": pod.container,
        "Created": now,
        "Path": COMMAND,
        "Args": [],
        "Config": {"Hostname": pod.name, "Image": TAG, "Entrypoint": [COMMAND], "Labels": labels},
        "Image": store.image.id,
        "NetworkSettings": {"Networks": {"none": {}}},
        "Name": f"/k8s_{CONTAINER_NAME}_{pod.name}_{NAMESPACE}_{pod.uid}_0",
        "Driver": "overlay2",
        "OS": "linux",
        "HasBeenStartedBefore": True,
        "MountPoints": {},
    }
    _write(f"{store.root}/containers/{pod.container}/config.v2.json", _json(config))


def _written(pod: PodPlan) -> tuple[Entry, ...]:
    """What a container has written since it was made: a file, a log, one file less, a directory anew."""
    return (
        *directories("app", "etc", "var", "var/log"),
        Entry("app/data", "replaced", mode=0o755),
        Entry("app/data/state", content=f"{pod.ip}\n".encode()),
        Entry("etc/hostname", content=f"{pod.name}\n".encode()),
        Entry("etc/issue", "deleted"),
        Entry("var/log/server.log", content=f"{pod.name}: listening on {pod.ip}:80\n".encode() * 3),
    )


def _overlay_directory(
    overlay2: str, layer: str, lower: Sequence[str], entries: Sequence[Entry], *, rootless: bool, top: bool = False
) -> None:
    """Make the directory of one layer. ``lower`` holds the links below it, uppermost first; ``top``: none is above."""
    folder, link = f"{overlay2}/{layer}", _link(layer)
    os.mkdir(folder)
    os.mkdir(f"{folder}/diff")
    os.symlink(f"../{layer}/diff", f"{overlay2}/l/{link}")
    _write(f"{folder}/link", link.encode())
    if not top:
        _write(f"{folder}/committed", b"")
    if lower:
        _write(f"{folder}/lower", ":".join(f"l/{one}" for one in lower).encode())
        os.mkdir(f"{folder}/work")
    for entry in entries:
        _place(f"{folder}/diff", entry, "user.overlay.opaque" if rootless else "trusted.overlay.opaque")


def _place(diff: str, entry: Entry, opaque: str) -> None:
    path = f"{diff}/{entry.path}"
    if entry.type == "symlink":
        os.symlink(entry.target, path)
    elif entry.type == "link":
        os.link(f"{diff}/{entry.target}", path)
    elif entry.type == "deleted":
        with contextlib.suppress(PermissionError):
            os.mknod(path, stat.S_IFCHR, os.makedev(0, 0))
    elif entry.type == "file":
        _write(path, entry.content, entry.mode)
    else:
        os.mkdir(path)
        os.chmod(path, entry.mode)
        if entry.type == "replaced":
            with contextlib.suppress(OSError):
                os.setxattr(path, opaque, b"y")


def _records(folder: str, texts: dict[str, str]) -> None:
    os.mkdir(folder)
    for name, text in texts.items():
        _write(f"{folder}/{name}", text.encode())


def _write(path: str, data: bytes, mode: int = 0o644) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        os.write(handle, data)
    finally:
        os.close(handle)


def _identity(*words: str) -> str:
    return hashlib.sha256("/".join(words).encode()).hexdigest()


def _link(layer: str) -> str:
    return "".join(_ALPHABET[byte & 31] for byte in hashlib.sha256(layer.encode()).digest()[:26])


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")


def _json(document: object) -> bytes:
    return json.dumps(document).encode()
