"""Whose the directories of ``overlay2`` are: what all of Docker's records say of them, joined.

A layer that a record names is in use or not: an image layer is where an image has it, or a container stands on it; a
writable layer is where its container is there. What is left of a pull or a build that has not ended, or never will, is
``temporary``; a writable layer whose container is gone is ``unknown``, and has the container's id among its ``names``.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from netfs.model.containers import Container
from netfs.model.gaps import Gap
from netfs.model.layers import OWNERS, Image, Layer
from netfs.overlay.stores.docker import buildkit
from netfs.overlay.stores.docker.buildkit import BuildCache
from netfs.overlay.stores.docker.containers import ID, Mounts
from netfs.overlay.stores.docker.images import ImageLayer, LayerRecords
from netfs.overlay.stores.overlay_directories import LayerDirectory, LayerFolder

_INIT = "-init"


@dataclass(frozen=True, slots=True)
class Records:
    """Everything that may claim a directory."""

    layers: LayerRecords | None = None
    """None: there are no records at all, only directories."""
    mounts: Mounts = field(default_factory=Mounts)
    cache: BuildCache = field(default_factory=BuildCache)
    images: tuple[Image, ...] = ()
    containers: tuple[Container, ...] = ()
    whole: bool = True
    """All images and containers are among these."""


def layers(folder: LayerFolder, records: Records) -> tuple[Layer, ...]:
    """A Layer of each directory that is there, or that a record names, sorted by id."""
    roles = _roles(folder, records)
    wanted = {one for directory in folder.directories.values() for one in directory.lower or ()}
    known = _known(records)
    names = dict(records.cache.names)
    living = {container.id for container in records.containers}
    for mount in records.mounts.layers.values():
        if mount.owner not in living:
            names[mount.directory] = (*names.get(mount.directory, ()), mount.owner)
    made = []
    for name in sorted({*folder.directories, *wanted, *absent(folder, records)}):
        directory = folder.directories.get(name)
        record = known.get(name)
        role = roles.get(name, "unknown")
        made.append(
            Layer(
                id=name,
                path=posixpath.join(folder.path, name),
                trees=directory.trees if directory else (),
                lower=_lower(directory) if directory else None,
                role=role,
                short=directory.short if directory else "",
                names=names.get(name, ()),
                chain_id=record.chain_id if record else "",
                diff_id=record.diff_id if record else "",
                recorded_size=record.size if record else None,
                writable=bool(directory) and (role == "container" or records.cache.directories.get(name, False)),
                missing=folder.listed and directory is None,
            )
        )
    return tuple(made)


def absent(folder: LayerFolder, records: Records) -> set[str]:
    """Directories that a record names and that are not in the folder."""
    mounted = {name for mount in records.mounts.layers.values() for name in (mount.directory, mount.init) if name}
    return (mounted | set(_known(records))) - set(folder.directories)


def lost(folder: LayerFolder) -> list[Gap]:
    """What directories should hold, and do not."""
    gaps = []
    for directory in folder.directories.values():
        if _parentless(directory):
            gaps.append(Gap(f"{directory.path}/lower", "lower", "is gone: what lies below cannot be told"))
        if directory.entries and not directory.trees:
            gaps.append(Gap(f"{directory.path}/diff", "files", "is gone"))
    return gaps


def unowned(folder: LayerFolder, records: Records) -> list[Gap]:
    """Why it cannot be told of a directory that nobody owns it; empty where it can."""
    if not folder.directories:
        return []
    if records.layers is None or not records.layers.present:
        return [Gap(folder.path, OWNERS, "the records of its engine are not here")]
    if records.whole and records.layers.whole and records.mounts.whole:
        unclaimed = set(folder.directories) - set(_roles(folder, records))
        builders = not records.cache.present and any(map(buildkit.NAME.fullmatch, unclaimed))
        return [Gap(folder.path, OWNERS, "BuildKit's database is not here")] if builders else []
    return [Gap(folder.path, OWNERS, "not all records of its engine could be read")]


def _parentless(directory: LayerDirectory) -> bool:
    """Whether the file that names what is below is lost: only a layer with something below has a work directory."""
    return "work" in directory.entries and "lower" not in directory.entries


def _lower(directory: LayerDirectory) -> tuple[str, ...] | None:
    return None if _parentless(directory) else directory.lower


def _known(records: Records) -> dict[str, ImageLayer]:
    """Image layers by their directory."""
    return {layer.directory: layer for layer in records.layers.layers.values()} if records.layers else {}


def _roles(folder: LayerFolder, records: Records) -> dict[str, str]:
    """Role by directory: what is said later outweighs what was said before."""
    directories, stored = folder.directories, records.layers
    if stored is None or not stored.present:
        made = [name for name in directories if f"{name}{_INIT}" in directories]
        return dict.fromkeys(made, "container") | dict.fromkeys([f"{name}{_INIT}" for name in made], "init")
    living = {container.id for container in records.containers}
    mounts = records.mounts.layers.values()
    used = {layer for image in records.images for layer in image.layers}
    used |= _with_lower(directories, _tops(records, (mount.parent for mount in mounts if mount.owner in living)))
    built = _with_lower(directories, {*records.cache.directories, *_tops(records, records.cache.chain_ids)})
    roles = dict.fromkeys(stored.removing, "removing") | dict.fromkeys(stored.temporary, "temporary")
    roles |= {layer.directory: "temporary" for layer in stored.layers.values()}
    roles |= dict.fromkeys(built, "build") | dict.fromkeys(used, "image")
    for mount in mounts:
        if mount.owner in living:
            roles |= {mount.init: "init", mount.directory: "container"}
        elif not ID.fullmatch(mount.owner):
            roles |= {mount.init: "build", mount.directory: "build"}
    return roles


def _tops(records: Records, chains: Iterable[str]) -> set[str]:
    known = records.layers.layers if records.layers else {}
    return {known[chain].directory for chain in chains if chain in known}


def _with_lower(directories: Mapping[str, LayerDirectory], tops: Iterable[str]) -> set[str]:
    """Directories, and all that lie below them."""
    found = set(tops)
    for top in tuple(found):
        if top in directories:
            found.update(directories[top].lower or ())
    return found
