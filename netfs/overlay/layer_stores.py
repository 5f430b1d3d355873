"""The layer stores of one root or of several nodes, opened: everything ``netfs layers`` answers is asked here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from types import TracebackType
from typing import Self

from netfs.errors import EndpointError, SourceError
from netfs.model.findings import Finding
from netfs.model.gaps import Gap
from netfs.model.layer_answers import (
    ChainRef,
    ChainShown,
    ChainUsage,
    Diff,
    Layers,
    LayerShown,
    LayerUsage,
    Orphan,
    Orphans,
    Usage,
    Verified,
    Which,
)
from netfs.model.layers import Account, Extent, HistoryLine, Layer, Mount, Store
from netfs.overlay import measure, targets
from netfs.overlay.calendar import calendar
from netfs.overlay.chains import Chain, chains, folder, key, short, users
from netfs.overlay.disk.root import Root
from netfs.overlay.merge.view import View
from netfs.overlay.orphans import findings, orphans, undecided
from netfs.overlay.reading import Read
from netfs.overlay.stack import LOWER, Opened, opened

LARGE = 1 << 30
"""Bytes in a container's own layer from which on it is told that it wrote much."""
KINDS = ("container", "image", "build", "snapshot", "mount", "layer")
Progress = Callable[[int], None]


def _order(chain: Chain) -> tuple[int, bool, str]:
    """By kind, then by name; images that have none come last."""
    unnamed = chain.image is not None and not chain.image.names
    return KINDS.index(chain.kind) if chain.kind in KINDS else len(KINDS), unnamed, chain.name


def _silent(_: int) -> None:
    """Nobody watches."""


def _on_host(root: Root, gap: Gap) -> Gap:
    """A gap of a store, where this host has what it is about."""
    return replace(gap, where=root.on_host(gap.where)) if gap.where.startswith("/") else gap


def _needed(gaps: Iterable[Gap], wanted: Iterable[Chain]) -> tuple[Gap, ...]:
    """Without what nobody misses: how the chain of a layer that is nobody's goes on."""
    nobodys = {short(chain.layers[0].id) for chain in wanted if chain.kind == "layer"}
    return tuple(gap for gap in gaps if gap.what != LOWER or gap.where not in nobodys)


def _below(mount: Mount, mountpoints: Iterable[str]) -> frozenset[str]:
    """Mount points that lie in a mount, from its own root."""
    inside = f"{mount.mountpoint.rstrip('/')}/"
    return frozenset(f"/{path.removeprefix(inside)}" for path in mountpoints if path.startswith(inside))


class LayerStores:
    """Layer stores that were read. Files of layers are read when they are asked for."""

    def __init__(self, read: Sequence[Read], progress: Progress | None = None) -> None:
        self._read = tuple(read)
        self._progress = progress or _silent
        self._roots = {each.root.path: each.root for each in self._read}
        self._accounts: dict[measure.Key, Account] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the roots."""
        for each in self._read:
            each.root.close()

    @property
    def stores(self) -> tuple[Store, ...]:
        """Every store."""
        return tuple(store for each in self._read for store in each.stores)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What could not be read of stores. Paths are those of this host."""
        return tuple(
            gap
            for each in self._read
            for gap in (*each.gaps, *(_on_host(each.root, gap) for store in each.stores for gap in store.gaps))
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of stores."""
        return tuple(dict.fromkeys(note for store in self.stores for note in store.notes))

    @cached_property
    def chains(self) -> tuple[Chain, ...]:
        """Every chain of every store: containers by name, images by name, then the rest. An image that an additional
        store has is told once.
        """
        found: list[Chain] = []
        images: set[tuple[object, ...]] = set()
        for each in self._read:
            for store in each.stores:
                for chain in sorted(chains(store, each.mounts.get((store.root, store.path), {})), key=_order):
                    if chain.kind == "image" and chain.layers:
                        image = (store.node, chain.id, chain.name, *(key(store, layer) for layer in chain.layers))
                        if image in images:
                            continue
                        images.add(image)
                    found.append(chain)
        return tuple(found)

    @cached_property
    def _users(self) -> dict[tuple[str, str, str], tuple[str, ...]]:
        return users(self.chains)

    @cached_property
    def _made(self) -> dict[tuple[str, str, str], HistoryLine]:
        """The line of an image's history that made a layer, by ``chains.key``."""
        made: dict[measure.Key, HistoryLine] = {}
        for store in self.stores:
            layers = {layer.id: layer for layer in store.layers}
            for line in (line for image in store.images for line in image.history):
                if line.layer in layers:
                    made[key(store, layers[line.layer])] = line
        return made

    def find(self, target: str, *, namespace: str = "", container: str = "") -> targets.Target:
        """What a name leads to. Raises EndpointError: unknown, or ambiguous; SourceError: unknown, and a store that
        may know it could not be read.
        """
        mounts = {place: found for each in self._read for place, found in each.mounts.items()}
        known = targets.Known(self.chains, self.stores, mounts)
        try:
            return targets.resolve(known, target, namespace=namespace, container=container)
        except targets.UnknownTargetError as failure:
            unread = next((gap for each in self._read for gap in each.gaps if gap.what.endswith(" store")), None)
            if unread is None:
                raise
            raise SourceError(f"{failure.what}; {unread.where}: {unread.reason}") from failure

    def view(self, chain: Chain) -> tuple[View, Opened]:
        """The merged view of a chain, and the trees it is made of."""
        trees = self._open(chain)
        return View(trees.stack), trees

    def ls(self, *, sizes: bool = True) -> Layers:
        """Every chain; with ``sizes`` every layer is measured."""
        gaps = list(self.gaps)
        if sizes:
            self._measure(self.chains, gaps)
        refs = tuple(self._ref(chain, sizes=sizes) for chain in self.chains)
        return Layers(refs, self.notes, _needed(gaps, self.chains))

    def show(self, target: str, **choice: str) -> ChainShown:
        """A chain top to bottom with what each layer adds, changes, hides. Raises EndpointError."""
        found = self.find(target, **choice)
        gaps: list[Gap] = []
        # What a layer hides is told by its place in this chain: in a damaged store another one may go on otherwise.
        accounts: dict[measure.Key, Account] = {}
        measure.measured([found.chain], self._open, accounts, gaps, self._progress)
        shown = tuple(self._shown(found.chain.store, layer, accounts) for layer in found.chain.layers)
        owners: list[Chain] = []
        if found.layer is not None:
            wanted = key(found.chain.store, found.layer)
            owners = [chain for chain in self.chains if wanted in {key(chain.store, layer) for layer in chain.layers}]
        return ChainShown(
            found.chain.ref(),
            shown,
            shown[0] if found.layer is not None else None,
            tuple(chain.ref() for chain in owners if chain.kind != "layer"),
            self.notes,
            tuple(gaps),
        )

    def which(self, target: str, path: str, **choice: str) -> Which:
        """The layer that provides a path, and those that it shadows. Raises EndpointError, UsageError."""
        from netfs.overlay.whence import whence

        chain = self.find(target, **choice).chain
        trees = self._open(chain)
        return whence(chain, trees, path, self._roots[chain.store.root], self._named(chain.store))

    def diff(self, target: str, **choice: str) -> Diff:
        """What a container changed. Raises EndpointError, also for a chain that has nothing of its own."""
        from netfs.overlay.changes.account import Unread
        from netfs.overlay.changes.diff import diff

        chain = self.find(target, **choice).chain
        if not chain.layers:
            raise EndpointError(f"{chain.name} has no layers", hint="netfs layers ls shows those that have")
        trees = self._open(chain)
        there = trees.layers[:1] == chain.layers[:1]
        unread: list[Unread] = []
        changes = tuple(diff(trees.stack, unread=unread)) if there else ()
        gaps = (*trees.gaps, *measure.not_read(unread, trees))
        return Diff(chain.ref(), chain.layers[0].id, changes, gaps)

    def usage(self, target: str = "", **choice: str) -> Usage:
        """Where the disk went: in all stores, or in one chain. Raises EndpointError."""
        wanted = [self.find(target, **choice).chain] if target else list(self.chains)
        gaps = list(self.gaps)
        self._measure(wanted, gaps)
        layers = {key(chain.store, layer): (chain.store, layer) for chain in wanted for layer in chain.layers}
        held = [self._used(store, layer) for place, (store, layer) in layers.items() if place in self._accounts]
        unowned = {key(store, layer) for store in self.stores for layer, _ in self._orphans(store)}
        return Usage(
            layers=tuple(sorted(held, key=lambda each: (-each.own.bytes, each.id))),
            chains=tuple(self._cost(chain) for chain in wanted),
            bytes=sum(each.own.bytes for each in held),
            orphaned=sum(self._extent(each).bytes for each in layers.keys() & unowned),
            findings=tuple(self._large(wanted)),
            notes=self.notes,
            gaps=_needed(gaps, wanted),
        )

    def orphans(self) -> Orphans:
        """Directories that nobody owns, and what is broken. Nothing is deleted."""
        told: list[Finding] = []
        found: list[Orphan] = []
        gaps = list(self.gaps)
        doubtful = tuple(f"{store.path}: {why}" for store in self.stores if (why := undecided(store)))
        for store in self.stores:
            unowned = list(self._orphans(store))
            alone: dict[measure.Key, Account] = {}
            mine = [Chain("layer", store, (layer,)) for layer, _ in unowned]
            measure.measured(mine, self._open, alone, gaps, self._progress)
            own = [chain for chain in self.chains if chain.store is store]
            told += findings(store, own, unowned, self._roots[store.root].on_host)
            found += (
                self._orphan(store, layer, why, alone[place].own if (place := key(store, layer)) in alone else Extent())
                for layer, why in unowned
            )
        total = sum(each.own.bytes for each in found)
        return Orphans(tuple(found), total, tuple(told), doubtful, self.notes, tuple(gaps))

    def _orphan(self, store: Store, layer: Layer, why: str, own: Extent) -> Orphan:
        root = self._roots[store.root]
        try:
            modified_at = calendar(root.status(layer.path).st_mtime_ns)
        except OSError:
            modified_at = ""
        return Orphan(layer.id, root.on_host(layer.path), why, store.node, layer.role, own, modified_at)

    def verify(self, target: str = "", *, content: bool = False, **choice: str) -> tuple[Verified, ...]:
        """Our merged view beside the kernel's, of what is mounted. Raises EndpointError; SourceError: nothing is."""
        wanted = [self.find(target, **choice).chain] if target else list(self.chains)
        mounted = [chain for chain in wanted if chain.mount is not None]
        if not mounted:
            hint = "a container has to run for its overlay to be there; of a copy nothing is mounted"
            raise SourceError("no overlay is mounted", where=target, hint=hint)
        return tuple(self._verified(chain, content) for chain in mounted)

    def _verified(self, chain: Chain, content: bool) -> Verified:
        from netfs.overlay.stores.mounted import mountpoints
        from netfs.overlay.verify import compare, started

        assert chain.mount is not None
        view, trees = self.view(chain)
        place = f"/proc/{chain.mount.pid}/root" if chain.mount.pid else chain.store.root
        try:
            with Root(place) as root:
                kernel = root.tree(chain.mount.mountpoint, userxattr=chain.options.userxattr)
                start = started(view, chain.mount.root)
                covered = _below(chain.mount, mountpoints(chain.mount.pid))
                found = compare(view, start, kernel.root, content=content, progress=self._progress, covered=covered)
        except (OSError, SourceError) as error:
            why = error.what if isinstance(error, SourceError) else os.strerror(error.errno or 0)
            gap = Gap(chain.mount.mountpoint, "mount", why)
            return Verified(chain.ref(), gaps=(*trees.gaps, gap))
        differences, skipped = tuple(found.differences), tuple(found.skipped)
        return Verified(chain.ref(), found.entries, differences, found.more, skipped, tuple(trees.gaps))

    def _open(self, chain: Chain) -> Opened:
        return opened(self._roots[chain.store.root], chain)

    def _measure(self, wanted: Iterable[Chain], gaps: list[Gap]) -> None:
        measure.measured(wanted, self._open, self._accounts, gaps, self._progress)

    def _extent(self, place: measure.Key) -> Extent:
        found = self._accounts.get(place)
        return found.own if found is not None else Extent()

    def _ref(self, chain: Chain, *, sizes: bool) -> ChainRef:
        if not sizes:
            return chain.ref()
        places = [key(chain.store, layer) for layer in chain.layers]
        if places and not any(place in self._accounts for place in places):
            return chain.ref()
        own = shared = 0
        for place in places:
            if len(self._users.get(place, ())) > 1:
                shared += self._extent(place).bytes
            else:
                own += self._extent(place).bytes
        return chain.ref(own, shared)

    def _shown(self, store: Store, layer: Layer, accounts: Mapping[measure.Key, Account]) -> LayerShown:
        place = key(store, layer)
        return LayerShown(
            id=layer.id,
            path=self._roots[store.root].on_host(layer.path) if layer.path else "",
            role=layer.role,
            short=layer.short,
            chain_id=layer.chain_id,
            diff_id=layer.diff_id,
            created_at=layer.created_at,
            created_by=self._created_by(place),
            used_by=self._users.get(place, ()),
            account=accounts.get(place),
        )

    def _used(self, store: Store, layer: Layer) -> LayerUsage:
        place = key(store, layer)
        return LayerUsage(
            id=layer.id,
            path=self._roots[store.root].on_host(layer.path),
            role=layer.role,
            node=store.node,
            store=folder(store),
            own=self._extent(place),
            used_by=self._users.get(place, ()),
            created_by=self._created_by(place),
            recorded_size=layer.recorded_size,
        )

    def _named(self, store: Store) -> Callable[[Layer], tuple[str, tuple[str, ...]]]:
        """Of a layer: the line of history that made it, and the names of those who use it."""

        def told(layer: Layer) -> tuple[str, tuple[str, ...]]:
            place = key(store, layer)
            return self._created_by(place), self._users.get(place, ())

        return told

    def _created_by(self, place: measure.Key) -> str:
        line = self._made.get(place)
        return "" if line is None else line.created_by or line.comment

    def _cost(self, chain: Chain) -> ChainUsage:
        weight, waste = measure.weighed(chain, self._accounts), measure.wasted(chain, self._accounts)
        return ChainUsage(
            self._ref(chain, sizes=True), weight, waste, 1.0 if not weight else round(1 - waste / weight, 4)
        )

    def _large(self, wanted: Iterable[Chain]) -> Iterator[Finding]:
        for chain in wanted:
            if chain.kind == "container" and chain.layers:
                written = self._extent(key(chain.store, chain.layers[0])).bytes
                if written >= LARGE:
                    evidence = f"{written / LARGE:.1f} GiB are in its own layer {short(chain.layers[0].id)}"
                    node = chain.store.node
                    yield Finding("layer-upper-large", "warning", chain.name, evidence, "write to a volume", node)

    def _orphans(self, store: Store) -> Iterator[tuple[Layer, str]]:
        read = next(each for each in self._read if any(one is store for one in each.stores))
        yield from orphans(store, self._users, read.mounts.get((store.root, store.path), {}))
