"""The layers of containers-storage: directories on disk, joined with what their engine wrote down.

::

    overlay/ID/{diff,diff1,diff2,…}         what is in it, uppermost first (containers/storage ``overlay.go``, ``get``)
    overlay/ID/{link,lower,work,merged}     as ``overlay_directories`` tells
    overlay/ID/empty                        only of a base layer: an overlay needs something below
    overlay/ID/composefs-data/              the names of its files, as an erofs image; ``diff`` has only their bytes
    overlay/{staging,tempdirs}/             what is being made, or deleted: no layers

A directory's own ``lower`` is what is mounted; the ``parent`` in the lists is what the engine believes. A link of
``lower`` may be one of another store's ``overlay/l``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from netfs.model.gaps import Gap
from netfs.model.layers import Layer
from netfs.overlay.disk.root import Root
from netfs.overlay.stores import overlay_directories
from netfs.overlay.stores.chain_id import chain_ids
from netfs.overlay.stores.containers_storage.records import LayerRecord, Records
from netfs.overlay.stores.containers_storage.records import read as read_records
from netfs.overlay.stores.overlay_directories import LayerDirectory, LayerFolder

DEEPEST = 500
"""The most layers that the driver puts above each other (``maxDepth``)."""
COMPOSEFS = "composefs-data"
_PASSING = re.compile(r"staging|tempdirs|compat\d+|[a-z-]+-check\d+")
"""Directories that are no layers; the last two are the driver's own trials, left behind."""
_OF_A_LAYER = frozenset(("diff", "link", "lower", "work", "merged", "empty"))


@dataclass(frozen=True, slots=True)
class Shelf:
    """One store's records and directories."""

    path: str
    records: Records
    folder: LayerFolder

    def has(self, identity: str) -> bool:
        """Whether the store knows of a layer."""
        return identity in self.records.layers or identity in self.folder.directories


@dataclass(frozen=True, slots=True)
class Shelves:
    """A store, and those whose images it may use."""

    own: Shelf
    others: tuple[Shelf, ...]
    records: Mapping[str, LayerRecord]
    """Of all of them; the own, where several have one."""

    def shelf(self, identity: str) -> Shelf | None:
        """The store that has a layer: the own, if it is in several."""
        return next((shelf for shelf in (self.own, *self.others) if shelf.has(identity)), None)

    def lower(self, identity: str) -> tuple[str, ...] | None:
        """The layers below one, uppermost first: as its directory has them; as the lists do, where there is none."""
        shelf = self.shelf(identity)
        directory = shelf.folder.directories.get(identity) if shelf else None
        return directory.lower if directory is not None else self.believed(identity)

    def believed(self, identity: str) -> tuple[str, ...] | None:
        """The layers below one as the lists have them. None: one of them is in no list, or they are too many."""
        chain: list[str] = []
        record = self.records.get(identity)
        while record is not None and record.parent:
            chain.append(record.parent)
            if len(chain) > DEEPEST:
                return None
            record = self.records.get(record.parent)
        return None if record is None else tuple(chain)

    def chain(self, identity: str) -> tuple[str, ...]:
        """A layer and those below it; nothing where no store knows it."""
        return (identity, *(self.lower(identity) or ())) if self.shelf(identity) else ()


def read(root: Root, path: str, home: str, records: Records, others: Sequence[str]) -> Shelves:
    """The layers of the store at ``path``, whose directories are in ``home``. ``others``: stores that it may use."""
    beside: dict[str, str] = {}
    shelves = []
    for place in others:
        folder = overlay_directories.read(root, posixpath.join(place, "overlay"), beside)
        listed = read_records(root, place)
        shelves.append(Shelf(place, listed, _layers_only(folder, listed)))
        for directory in folder.directories.values():
            beside.setdefault(directory.short, directory.id)
    folder = overlay_directories.read(root, home, beside)
    known = {identity: record for shelf in reversed(shelves) for identity, record in shelf.records.layers.items()}
    return Shelves(Shelf(path, records, _layers_only(folder, records)), tuple(shelves), known | records.layers)


def layers(shelves: Shelves, images: Iterable[str], containers: Iterable[str], gaps: list[Gap]) -> tuple[Layer, ...]:
    """Every layer of the store, and those of others that something in here needs.

    ``images`` and ``containers`` are their topmost layers: they decide the roles.
    """
    tops = frozenset(containers)
    role = dict.fromkeys((identity for top in tops for identity in shelves.chain(top)), "snapshot")
    role |= dict.fromkeys((identity for top in images for identity in shelves.chain(top)), "image")
    role |= dict.fromkeys(tops, "container")
    own = dict.fromkeys([*shelves.own.records.layers, *shelves.own.folder.directories])
    wanted = own | dict.fromkeys(identity for top in (*own, *role) for identity in shelves.chain(top))
    chain_id = _ChainIds(shelves)
    return tuple(
        _layer(shelf, shelves, identity, role.get(identity, "unknown"), chain_id.of(identity), gaps)
        for identity in wanted
        if (shelf := shelves.shelf(identity)) is not None
    )


def _layer(shelf: Shelf, shelves: Shelves, identity: str, role: str, chain_id: str, gaps: list[Gap]) -> Layer:
    record = shelf.records.layers.get(identity) or LayerRecord(identity)
    directory = shelf.folder.directories.get(identity)
    lower, believed = shelves.lower(identity), shelves.believed(identity)
    path = directory.path if directory else posixpath.join(shelf.folder.path, identity)
    if directory and identity in shelf.records.layers and None is not believed != lower is not None:
        gaps.append(Gap(path, "lower", "it and the list of layers disagree about the layers below"))
    if directory and COMPOSEFS in directory.entries:
        gaps.append(Gap(path, "layer", "the names of its files are in composefs-data, which is not understood"))
    return Layer(
        id=identity,
        path=path,
        trees=_trees(directory) if directory else (),
        lower=lower,
        role="temporary" if record.incomplete else role,
        short=directory.short if directory else "",
        names=record.names,
        chain_id=chain_id,
        diff_id=record.diff_id,
        recorded_size=record.size,
        created_at=record.created_at,
        writable=role == "container",
        missing=directory is None,
    )


def _trees(directory: LayerDirectory) -> tuple[str, ...]:
    """``diff``, and as many of ``diff1``, ``diff2``, … as follow each other; none where it takes an erofs image."""
    if COMPOSEFS in directory.entries or "diff" not in directory.entries:
        return ()
    names = ["diff"]
    while f"diff{len(names)}" in directory.entries:
        names.append(f"diff{len(names)}")
    return tuple(f"{directory.path}/{name}" for name in names)


def _layers_only(folder: LayerFolder, records: Records) -> LayerFolder:
    """Without directories that are no layers: somebody's ``lost+found``."""
    directories = {
        identity: directory
        for identity, directory in folder.directories.items()
        if identity in records.layers or (not _PASSING.fullmatch(identity) and directory.entries & _OF_A_LAYER)
    }
    return LayerFolder(folder.path, directories, folder.links, folder.gaps)


class _ChainIds:
    """ChainIDs, each computed once."""

    def __init__(self, shelves: Shelves) -> None:
        self._shelves = shelves
        self._known: dict[str, str] = {}

    def of(self, identity: str) -> str:
        """Empty where a DiffID on the way is not known."""
        pending = self._pending(identity)
        for layer, parent, diff_id in reversed(list(pending)):
            above = self._known.get(parent, "") if parent else ""
            known = diff_id and (above or not parent)
            self._known[layer] = chain_ids((above, diff_id) if above else (diff_id,))[-1] if known else ""
        return self._known.get(identity, "")

    def _pending(self, identity: str) -> Iterator[tuple[str, str, str]]:
        """A layer and those below it whose ChainID was not computed yet, with parent and DiffID."""
        for layer in (identity, *(self._shelves.believed(identity) or ())):
            if layer in self._known:
                return
            record = self._shelves.records.get(layer, LayerRecord(layer))
            yield layer, record.parent, record.diff_id
