"""Whose the directories of a snapshotter are: what all of containerd's records say of them, joined.

``image``: a layer of one, or of one that is gone and has left a container. ``container``: a container's own. ``init``:
what Docker puts below that. ``build``: BuildKit's. ``temporary``: an image is being unpacked. ``snapshot``: something
else keeps it, a lease or a label (core/metadata/gc.go). ``removing``: meta.db has given it up, and its snapshotter has
yet to follow. ``unknown``: no record names the directory, or nothing keeps the snapshot: the engine would collect it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from netfs.model.containers import Container
from netfs.model.gaps import Gap
from netfs.model.layers import Image, Layer
from netfs.overlay.stores.containerd.metadata import REFERENCE, LeaseRecord, Metadata
from netfs.overlay.stores.containerd.snapshots import ACTIVE, COMMITTED, VIEW, Snapshot, SnapshotDirectory, Snapshots

INIT = "-init"
_CHAIN = re.compile(r"sha256:[0-9a-f]{64}")
_MOST_LOST = 20
_KEPT = ("containerd.io/gc.root", "containerd.io/gc.expire", "containerd.io/gc.bref.")
"""Begin labels that keep the snapshot that has them: for good, for a time, or as long as another object."""
_FLAT = "containerd.io/gc.flat"
"""On leases of BuildKit's cache (buildkit, cache/manager.go)."""
_BUILDKIT = "buildkit"
"""BuildKit's own namespace."""
_UNPACKING = ("extract-", "-init-key")
"""Begins the key of an image's layer in the making (core/snapshots/snapshotter.go, UnpackKeyPrefix); ends that of an
init layer (moby ``daemon/containerd/image_snapshot.go``)."""


@dataclass(frozen=True, slots=True)
class Owners:
    """Everything that may claim a snapshot."""

    driver: str
    metadata: Metadata | None = None
    """None: meta.db is not here, or cannot be read."""
    images: Sequence[Image] = ()
    containers: Sequence[Container] = ()
    diff_ids: Mapping[str, str] = field(default_factory=dict)
    """DiffID by ChainID."""


def find(snapshots: Snapshots, metadata: Metadata | None, driver: str) -> dict[tuple[str, str], Snapshot]:
    """The snapshots by namespace and key."""
    if metadata is None:
        return {(snapshot.name.partition("/")[0], snapshot.key): snapshot for snapshot in snapshots.by_id.values()}
    return {
        (record.namespace, record.key): snapshots.by_name[record.name]
        for record in metadata.snapshots
        if record.snapshotter == driver and record.name in snapshots.by_name
    }


def lost(path: str, snapshots: Snapshots, metadata: Metadata | None, driver: str) -> list[Gap]:
    """What meta.db names and the snapshotter's database at ``path`` does not: nobody knows its directory."""
    names = (one.name for one in (metadata.snapshots if metadata else ()) if one.snapshotter == driver)
    unknown = [name for name in names if name not in snapshots.by_name]
    return [Gap(path, "snapshot", f"does not have {name!r}, which meta.db names") for name in unknown[:_MOST_LOST]]


def layers(
    folder: str, found: Sequence[SnapshotDirectory] | None, snapshots: Snapshots, owners: Owners
) -> tuple[Layer, ...]:
    """A Layer of each directory that is there, or that metadata.db names: numbers first, in their order.

    ``found`` None: the folder could not be read.
    """
    there = {directory.name: directory for directory in found or ()}
    roles = _roles(snapshots, owners)
    # Both databases tell when a snapshot was made; what containerd itself says is that of meta.db.
    created = {one.name: one.created_at for one in owners.metadata.snapshots} if owners.metadata else {}
    made = []
    for name in sorted({*there, *snapshots.by_id}, key=_order):
        directory, snapshot = there.get(name), snapshots.by_id.get(name)
        path = posixpath.join(folder, name)
        trees = (f"{path}/fs",) if directory and directory.files else ()
        if snapshot is None:
            made.append(Layer(name, path, trees, lower=None, role=_stray(name)))
            continue
        chain = snapshot.key if snapshot.kind == COMMITTED and _CHAIN.fullmatch(snapshot.key) else ""
        made.append(
            Layer(
                name,
                path,
                () if snapshot.kind == VIEW and snapshot.parent else trees,
                lower=snapshots.below(snapshot),
                role=roles[name],
                names=(snapshot.path,),
                chain_id=chain,
                diff_id=owners.diff_ids.get(chain, "" if snapshot.parent else chain),
                recorded_size=snapshot.size,
                created_at=created.get(snapshot.name) or snapshot.created_at,
                writable=snapshot.kind == ACTIVE,
                missing=found is not None and directory is None,
            )
        )
    return tuple(made)


def _order(name: str) -> tuple[bool, int, str]:
    number = name.isascii() and name.isdecimal()
    return not number, len(name) if number else 0, name


def _stray(name: str) -> str:
    """The role of a directory that metadata.db does not name."""
    if name.startswith("new-"):
        return "temporary"
    return "removing" if name.startswith("rm-") else "unknown"


def _roles(snapshots: Snapshots, owners: Owners) -> dict[str, str]:
    """Role by id: what is said later outweighs what was said before."""
    metadata, everything = owners.metadata, snapshots.by_id
    chains = {name for name, one in everything.items() if one.kind == COMMITTED and _CHAIN.fullmatch(one.key)}
    roles = dict.fromkeys(everything, "unknown")
    if metadata is None:
        roles |= dict.fromkeys(chains, "image")
    else:
        known = {one.name for one in metadata.snapshots}
        if metadata.whole:
            roles |= {name: "removing" for name, one in everything.items() if one.name not in known}
        index = find(snapshots, metadata, owners.driver)
        kept = _with_lower(snapshots, (index[key] for key in _kept(metadata, owners.driver) if key in index))
        roles |= {name: "temporary" if _unpacking(everything[name].key) else "snapshot" for name in kept}
        built = _with_lower(snapshots, (index[key] for key in _built(metadata, owners.driver) if key in index))
        roles |= dict.fromkeys(built, "build")
    used = {layer for image in owners.images for layer in image.layers}
    tops = {one.layer: one.id for one in owners.containers if one.layer}
    used |= _with_lower(snapshots, (everything[name] for name in tops)) & chains
    roles |= dict.fromkeys(used, "image")
    for name, container in tops.items():
        roles[name] = "container"
        lower = snapshots.below(everything[name]) or ()
        roles |= {one: "init" for one in lower if everything[one].key.startswith(f"{container}{INIT}")}
    return roles


def _unpacking(key: str) -> bool:
    start, end = _UNPACKING
    return key.startswith(start) or key.endswith(end)


def _with_lower(snapshots: Snapshots, tops: Iterable[Snapshot]) -> set[str]:
    """The ids of snapshots, and of all that lie below them."""
    found: set[str] = set()
    for top in tops:
        here: Snapshot | None = top
        while here is not None and here.id not in found:
            found.add(here.id)
            here = snapshots.by_name.get(here.parent)
    return found


def _kept(metadata: Metadata, driver: str) -> set[tuple[str, str]]:
    """Namespace and key of what a lease, a label or a sandbox keeps."""
    kept = {key for lease in metadata.leases for key in _leased(lease, driver)}
    kept |= {
        (one.namespace, one.key)
        for one in metadata.snapshots
        if one.snapshotter == driver and any(label.startswith(_KEPT) for label in one.labels)
    }
    kept |= {(one.namespace, one.snapshot_key or one.id) for one in (*metadata.containers, *metadata.sandboxes)}
    holders = [(one.namespace, one.labels) for one in metadata.images]
    holders += [(one.namespace, one.labels) for one in metadata.containers]
    holders += [(one.namespace, one.labels) for one in metadata.snapshots]
    holders += [(namespace, labels) for (namespace, _), labels in metadata.content.items()]
    kept |= {
        (namespace, value)
        for namespace, labels in holders
        for label, value in labels.items()
        if label.startswith(REFERENCE) and label.removeprefix(REFERENCE).partition("/")[0] == driver
    }
    return kept


def _built(metadata: Metadata, driver: str) -> set[tuple[str, str]]:
    """Namespace and key of what BuildKit keeps."""
    built = {key for lease in metadata.leases if _FLAT in lease.labels for key in _leased(lease, driver)}
    return built | {(one.namespace, one.key) for one in metadata.snapshots if one.namespace == _BUILDKIT}


def _leased(lease: LeaseRecord, driver: str) -> list[tuple[str, str]]:
    return [(lease.namespace, key) for snapshotter, key in lease.snapshots if snapshotter == driver]
