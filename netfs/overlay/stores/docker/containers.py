"""Docker's containers, and the layers that are theirs alone.

::

    containers/ID/config.v2.json                               name, image, state, labels, networks
    containers/ID/hostconfig.json                              limits.py
    image/overlay2/layerdb/mounts/ID/{mount-id,init-id,parent} the writable directory, the init layer, a ChainID

(moby ``daemon/container/container.go``, ``state.go``, ``daemon/internal/layer/filestore.go``) Builders keep writable
layers of their own among the mounts.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from netfs.model.containers import Container
from netfs.model.gaps import Gap
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import documents
from netfs.overlay.stores.docker import limits

ENGINE = "docker"
ID = re.compile(r"[0-9a-f]{64}")
_CONFIG_BYTES = 4 << 20
_MOUNT = re.compile(r"[0-9a-f]{64}|[0-9a-z]{25}")
_LAYER = re.compile(r"[0-9a-f]{64}(-init)?|[0-9a-z]{25}(-init)?")
_CHAIN = re.compile(r"sha256:[0-9a-f]{64}")
_STATES = (("Paused", "paused"), ("Restarting", "restarting"), ("Running", "running"))
_STOPPED = (("RemovalInProgress", "removing"), ("Dead", "dead"))
_OVER_FILES = {"/etc/hostname": "HostnamePath", "/etc/hosts": "HostsPath", "/etc/resolv.conf": "ResolvConfPath"}
"""What Docker always mounts over a container's files, and the keys that say from where."""


@dataclass(frozen=True, slots=True)
class WritableLayer:
    """What layerdb has of one mount."""

    owner: str
    """A container; or a builder, whose names have 25 characters, or which made up an id."""
    directory: str
    init: str = ""
    parent: str = ""
    """ChainID of the image's uppermost layer; empty: it is made from nothing, or that was not read."""


@dataclass(frozen=True, slots=True)
class Mounts:
    """What layerdb knows of writable layers."""

    layers: Mapping[str, WritableLayer] = field(default_factory=dict)
    """By owner."""
    gaps: tuple[Gap, ...] = ()
    whole: bool = True
    """Every record was read: a directory that none of them names is nobody's writable layer."""


@dataclass(frozen=True, slots=True)
class Containers:
    """The containers, and by which drivers they were made."""

    containers: tuple[Container, ...] = ()
    drivers: Mapping[str, str] = field(default_factory=dict)
    """By container: ``overlay2``, ``overlayfs`` (a snapshotter of containerd's), ``vfs``, …"""
    gaps: tuple[Gap, ...] = ()
    whole: bool = True
    """The folder was read: a container that is not among these is not there."""


def read_mounts(root: Root, path: str) -> Mounts:
    """Read the folder ``mounts`` of layerdb at ``path``."""
    names = documents.names(root, path)
    if isinstance(names, Gap):
        return Mounts() if documents.absent(names) else Mounts(gaps=(names,), whole=False)
    layers: dict[str, WritableLayer] = {}
    gaps: list[Gap] = []
    whole = True
    for name in filter(_MOUNT.fullmatch, names):
        here = posixpath.join(path, name)
        directory = _one(root, f"{here}/mount-id", _LAYER, gaps)
        if directory is None:
            whole = False
            continue
        entries = documents.names(root, here)
        held = set() if isinstance(entries, Gap) else set(entries)
        init = _one(root, f"{here}/init-id", _LAYER, gaps) if "init-id" in held else ""
        parent = _one(root, f"{here}/parent", _CHAIN, gaps) if "parent" in held else ""
        whole = whole and init is not None
        layers[name] = WritableLayer(name, directory, init or "", parent or "")
    return Mounts(layers, tuple(gaps), whole)


def _one(root: Root, path: str, form: re.Pattern[str], gaps: list[Gap]) -> str | None:
    text = documents.line(root, path)
    if isinstance(text, Gap):
        gaps.append(text)
        return None
    if not form.fullmatch(text):
        gaps.append(Gap(path, "file", "is no id"))
        return None
    return text


def read_containers(root: Root, path: str, mounts: Mapping[str, WritableLayer]) -> Containers:
    """Read the folder ``containers`` at ``path``."""
    names = documents.names(root, path)
    if isinstance(names, Gap):
        return Containers(gaps=() if documents.absent(names) else (names,), whole=False)
    containers, drivers, gaps = [], {}, []
    for name in filter(ID.fullmatch, names):
        here = posixpath.join(path, name)
        config = documents.load(root, f"{here}/config.v2.json", _CONFIG_BYTES)
        layer = mounts[name].directory if name in mounts else ""
        if isinstance(config, Gap):
            if documents.absent(config) and not root.is_directory(here):
                continue  # it was removed since the folder was listed
            gaps.append(config)
            containers.append(Container(name, layer=layer, runtime=ENGINE))
            continue
        host = documents.load(root, f"{here}/hostconfig.json", _CONFIG_BYTES)
        if isinstance(host, Gap) and not documents.absent(host):
            gaps.append(host)
        containers.append(replace(hosted(described(name, config), config, host), layer=layer))
        drivers[name] = documents.text(config, "Driver")
    return Containers(tuple(containers), drivers, tuple(gaps))


def described(identity: str, config: object) -> Container:
    """What config.v2.json says; an answer to ``inspect`` has the same keys."""
    """What config.v2.json says, and what the API answers of one container: both have one form here."""
    labels = documents.labels(config, "Config", "Labels")
    sandbox = labels.get("io.kubernetes.docker.type") == "podsandbox"
    pid = documents.number(config, "State", "Pid")
    return Container(
        identity,
        name=documents.text(config, "Name").removeprefix("/"),
        image=documents.text(config, "Image"),
        image_name=documents.text(config, "Config", "Image"),
        state=_state(config),
        pid=pid if pid is not None and 0 < pid < 1 << 31 else None,
        pod=labels.get("io.kubernetes.pod.name", ""),
        namespace=labels.get("io.kubernetes.pod.namespace", ""),
        pod_uid=labels.get("io.kubernetes.pod.uid", ""),
        role="sandbox" if sandbox else labels.get("io.kubernetes.container.name", ""),
        created_at=documents.text(config, "Created"),
        labels=labels,
        runtime=ENGINE,
        sandbox="" if sandbox else labels.get("io.kubernetes.sandbox.id", ""),
        started_at=documents.moment(config, "State", "StartedAt"),
        command=(path, *documents.texts(config, "Args")) if (path := documents.text(config, "Path")) else (),
        addresses=_addresses(documents.value(config, "NetworkSettings")),
        netns=documents.text(config, "NetworkSettings", "SandboxKey"),
    )


def hosted(container: Container, config: object, host_config: object) -> Container:
    """With what hostconfig.json says; the gap of one that cannot be read says nothing."""
    over = _over_files(config, host_config)
    if not documents.mapping(host_config):
        return replace(container, mounts=over)
    group = limits.cgroup(host_config, container.id)
    return replace(container, mounts=over, limits=limits.limits(host_config), cgroup=group)


def _addresses(settings: object) -> tuple[str, ...]:
    """Of every network, IPv4 before IPv6; a stopped container has none (moby ``daemon/network/settings.go``)."""
    networks = documents.mapping(settings, "Networks").values()
    told = (documents.text(network, key) for network in networks for key in ("IPAddress", "GlobalIPv6Address"))
    return tuple(dict.fromkeys(filter(None, told)))


def _over_files(config: object, host_config: object) -> dict[str, str]:
    """What is mounted over a container's files: by path, where it is from, or ``tmpfs``."""
    mounts = dict.fromkeys(documents.labels(host_config, "Tmpfs"), "tmpfs")
    for path, point in documents.mapping(config, "MountPoints").items():
        mounts[path] = documents.text(point, "Source") or documents.text(point, "Type")
    for path, key in _OVER_FILES.items():
        mounts.setdefault(path, documents.text(config, key))
    return {posixpath.normpath(path): source for path, source in mounts.items() if path.startswith("/") and source}


def _state(config: object) -> str:
    """The state in one word, as ``docker ps`` has it (moby ``daemon/container/state.go``, ``StateString``)."""
    state = documents.mapping(config, "State")
    if not state:
        return ""
    words = _STATES if documents.flag(state, "Running") else _STOPPED
    for key, word in words:
        if documents.flag(state, key):
            return word
    return "exited" if documents.moment(state, "StartedAt") else "created"
