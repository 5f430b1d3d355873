"""libpod's database: what Podman knows of its containers beside their storage: pods, states, processes.

Podman 4 keeps it in bbolt (``libpod/bolt_state.db``; podman ``libpod/boltdb_state_internal.go``), later ones in SQLite
(``db.sql``; ``libpod/sqlite_state_internal.go``). Both hold the same JSON. Where both are there, SQLite's is the newer.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from netfs.model.gaps import Gap
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import bolt, documents, oci
from netfs.overlay.stores.containers_storage import libpod_sqlite, userdata

_STATES = (
    "unknown",
    "created",
    "initialized",
    "running",
    "stopped",
    "paused",
    "exited",
    "removing",
    "stopping",
)
"""``ContainerStatus`` by its number, as Podman prints it (podman ``libpod/define/containerstate.go``)."""
SETTINGS = ("graph-root", "run-root", "volume-path")


@dataclass(frozen=True, slots=True)
class PodmanContainer:
    """A container as libpod has it."""

    pod: str = ""
    """Name of its pod."""
    pod_id: str = ""
    infra: bool = False
    """It only holds the pod."""
    state: str = ""
    pid: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    mounts: Mapping[str, str] = field(default_factory=dict)
    """As ``Container.mounts``: what is to be mounted when it is started."""
    sandbox: str = ""
    """Id of its pod's infra container."""
    started_at: str = ""
    runtime: oci.Runtime = field(default_factory=oci.Runtime)
    """How it is to be run: what Podman gives the runtime in the end may be more (``userdata``)."""
    cgroup: str = ""
    addresses: tuple[str, ...] = ()
    netns: str = ""


@dataclass(slots=True)
class Libpod:
    """What the databases of a store say."""

    containers: dict[str, PodmanContainer] = field(default_factory=dict)
    graphroot: str = ""
    """Where the store was made."""
    runroot: str = ""
    gaps: list[Gap] = field(default_factory=list)


@dataclass(slots=True)
class Rows:
    """A database, as JSON text by id."""

    containers: dict[str, bytes] = field(default_factory=dict)
    """``ContainerConfig``."""
    states: dict[str, bytes] = field(default_factory=dict)
    """``ContainerState``."""
    pods: dict[str, bytes] = field(default_factory=dict)
    """``PodConfig``."""
    pod_states: dict[str, bytes] = field(default_factory=dict)
    """``PodState``."""
    settings: dict[str, bytes] = field(default_factory=dict)
    """``DBConfig``: what is in ``SETTINGS``."""
    networks: dict[str, bytes] = field(default_factory=dict)
    """Paths of network namespaces, where the state does not hold them (Podman 4)."""


def read(root: Root, path: str, runroots: Sequence[str] = ()) -> Libpod:
    """The databases of the store at ``path``, or in one of ``runroots``. Files may be absent."""
    found = Libpod()
    _bolt(root, posixpath.join(path, "libpod/bolt_state.db"), found)
    for place in (path, *runroots):
        _sqlite(root, posixpath.join(place, "db.sql"), found)
    return found


def _bolt(root: Root, path: str, found: Libpod) -> None:
    try:
        _take(_bolt_rows(bolt.load(root, path)), found)
    except FileNotFoundError:
        return
    except bolt.BoltError as error:
        found.gaps.append(Gap(path, "pods", str(error)))
    except OSError as error:
        found.gaps.append(documents.refused(path, error))


def _bolt_rows(database: bolt.Bolt) -> Rows:
    """Buckets ``ctr/ID`` and ``pod/ID``, each with ``config`` and ``state``."""
    rows = Rows()
    for folder, configs, states in ((b"ctr", rows.containers, rows.states), (b"pod", rows.pods, rows.pod_states)):
        for identity, bucket in _buckets(database.root.bucket(folder)):
            configs[identity] = bucket.get(b"config") or b""
            states[identity] = bucket.get(b"state") or b""
            rows.networks[identity] = bucket.get(b"netns") or b""
    runtime = database.root.bucket(b"runtime-config")
    if runtime is not None:
        rows.settings = {name: runtime.get(name.encode()) or b"" for name in SETTINGS}
    return rows


def _buckets(folder: bolt.Bucket | None) -> Iterator[tuple[str, bolt.Bucket]]:
    for key, value in folder.items() if folder is not None else ():
        if isinstance(value, bolt.Bucket):
            yield key.decode("utf-8", "replace"), value


def _sqlite(root: Root, path: str, found: Libpod) -> None:
    tables = libpod_sqlite.read(root, path, found.gaps)
    if tables:
        configs, states = tables["ContainerConfig"], tables["ContainerState"]
        _take(Rows(configs, states, tables["PodConfig"], tables["PodState"], tables["DBConfig"]), found)


def _take(rows: Rows, found: Libpod) -> None:
    names = {identity: documents.text(_json(text), "name") for identity, text in rows.pods.items()}
    graphroot, runroot, volumes = (rows.settings.get(name, b"").decode("utf-8", "replace") for name in SETTINGS)
    infra = {identity: documents.text(_json(text), "InfraContainerID") for identity, text in rows.pod_states.items()}
    for identity, text in rows.containers.items():
        config, state = _json(text), _json(rows.states.get(identity, b""))
        number, pid = documents.number(state, "state"), documents.number(state, "pid")
        pod = documents.text(config, "pod")
        found.containers[identity] = PodmanContainer(
            pod=names.get(pod) or pod,
            pod_id=pod,
            infra=identity in infra.values(),
            state=_STATES[number] if number is not None and 0 < number < len(_STATES) else "",
            pid=pid if pid is not None and pid > 0 else None,
            labels=documents.labels(config, "labels"),
            mounts=_mounts(config, state, volumes),
            sandbox="" if infra.get(pod) == identity else infra.get(pod, ""),
            started_at=documents.moment(state, "startedTime"),
            runtime=oci.runtime(documents.value(config, "spec")),
            cgroup=documents.text(state, "cgroupPath"),
            addresses=_addresses(state),
            netns=documents.text(state, "netns") or rows.networks.get(identity, b"").decode("utf-8", "replace"),
        )
    found.graphroot = graphroot or found.graphroot
    found.runroot = runroot or found.runroot


def _mounts(config: object, state: object, volumes: str) -> dict[str, str]:
    """Those of the specification, volumes (below ``volumes``), and the files that Podman makes (``/etc/hosts``)."""
    named = {
        documents.text(volume, "dest"): posixpath.join(volumes, documents.text(volume, "volumeName"), "_data")
        for volume in documents.items(config, "namedVolumes")
    }
    found = userdata.mounts(config, "spec", "mounts") | named | documents.labels(state, "bindMounts")
    return {destination: source for destination, source in found.items() if destination.startswith("/")}


def _addresses(state: object) -> tuple[str, ...]:
    """Those of every network's devices, without their prefixes (common ``libnetwork/types``, ``StatusBlock``)."""
    devices = (
        device
        for network in documents.mapping(state, "networkStatus").values()
        for device in documents.mapping(network, "interfaces").values()
    )
    nets = (documents.text(subnet, "ipnet") for device in devices for subnet in documents.items(device, "subnets"))
    return tuple(dict.fromkeys(address for net in nets if (address := net.partition("/")[0])))


def _json(text: bytes) -> object:
    try:
        return documents.parse(text)
    except (ValueError, RecursionError):
        return None
