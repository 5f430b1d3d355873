"""From a root to its stores and mounts: every engine's files, and what of the kernel's overlays is in none of them."""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING

from netfs.errors import NetfsError, SourceError
from netfs.model.gaps import Gap
from netfs.model.layers import Layer, Mount, Store
from netfs.model.places import NodeRoot
from netfs.overlay.disk.root import Root
from netfs.overlay.stores.find import READERS, Place, find
from netfs.overlay.stores.join import join
from netfs.overlay.stores.mounted import live, of
from netfs.overlay.stores.refused import READ_AS_ROOT, refused

if TYPE_CHECKING:
    from netfs.overlay.layer_stores import LayerStores


@dataclass(slots=True)
class Read:
    """What one root holds."""

    root: Root
    stores: tuple[Store, ...]
    mounts: Mapping[tuple[str, str], Mapping[str, Mount]] = field(default_factory=dict)
    """By root and path of the store, then by ``Layer.id`` of the uppermost layer."""
    gaps: tuple[Gap, ...] = ()


def read(root: Root, node: str, mounts: Sequence[Mount] = (), places: Sequence[Place] = ()) -> Read:
    """The stores below a root; those at ``places`` where they are known, else those that are found."""
    stores: list[Store] = []
    gaps: list[Gap] = []
    known = places or find(root)
    if not places:
        gaps += (gap for _, gap in refused(root, known))
    for place in known:
        try:
            store = import_module(READERS[place.engine]).read(root, place.path)
        except NetfsError as failure:
            gaps.append(Gap(root.on_host(place.path), f"{place.engine} store", failure.what))
            continue
        stores.append(replace(store, root=root.path, node=node))
    joined = join(stores)
    matched, others = _matched(root, joined, mounts)
    strange = _strange(root, node, others)
    return Read(root, (*joined, *strange.stores), {**matched, **strange.mounts}, tuple(gaps))


def _matched(
    root: Root, stores: Iterable[Store], mounts: Sequence[Mount]
) -> tuple[dict[tuple[str, str], dict[str, Mount]], list[Mount]]:
    """Mounts by the layer that is their uppermost, and those that are of no store."""
    trees = {
        tree: (store, layer) for store in stores for layer in store.layers for tree in layer.trees if not layer.missing
    }
    matched: dict[tuple[str, str], dict[str, Mount]] = {}
    others: list[Mount] = []
    for mount in mounts:
        top = _top(mount)
        found = trees.get(top) or trees.get(_resolved(root, top))
        if found is None:
            others.append(mount)
        else:
            store, layer = found
            matched.setdefault((store.root, store.path), {}).setdefault(layer.id, mount)
    return matched, others


def _placed(root: Root, mount: Mount, path: str) -> str:
    """Where a relative path leads: Docker and containerd give those that are too long for one page from the folder that
    holds all layers' directories.
    """
    folder = posixpath.dirname(posixpath.dirname(mount.upper or ""))
    found = posixpath.join(folder, path)
    return found if folder and not path.startswith("/") and root.is_directory(found) else path


def _parted(root: Root, mounts: Iterable[Mount]) -> tuple[list[Mount], dict[int, list[Mount]]]:
    """Mounts whose layers are those of a root, and by process those of another: a path may mean both."""
    own: list[Mount] = []
    away: dict[int, list[Mount]] = {}
    for mount in mounts:
        if _is_here(root, mount):
            own.append(mount)
        else:
            away.setdefault(mount.pid, []).append(mount)
    return own, away


def _is_here(root: Root, mount: Mount) -> bool:
    top = _top(mount)
    try:
        with Root(f"/proc/{mount.pid}/root") as theirs:
            there = theirs.status(top)
    except (SourceError, OSError):
        return True
    try:
        return os.path.samestat(there, root.status(top))
    except OSError:
        return False


def _elsewhere(away: Mapping[int, Sequence[Mount]], node: str) -> Iterator[Read]:
    """Overlays of other mount namespaces, whose layers are where their processes see them."""
    for pid, mounts in away.items():
        try:
            root = Root(f"/proc/{pid}/root")
        except SourceError:
            continue
        yield _strange(root, node, mounts)


def _top(mount: Mount) -> str:
    return mount.upper or next(iter(mount.lower), "")


def _resolved(root: Root, path: str) -> str:
    try:
        return root.resolve(path) if path.startswith("/") else path
    except OSError:
        return path


def _strange(root: Root, node: str, mounts: Sequence[Mount]) -> Read:
    """Overlays that no engine's files tell of, as a store of their own: each of their directories is a layer."""
    if not mounts:
        return Read(root, ())
    layers: dict[str, Layer] = {}
    for mount in mounts:
        stack = tuple(_placed(root, mount, path) for path in (*((mount.upper,) if mount.upper else ()), *mount.lower))
        for place, path in enumerate(stack):
            below = stack[place + 1 :]
            layers.setdefault(path, Layer(path, path, (path,), below, "mount", missing=_gone(root, path)))
    store = Store("mounts", "/proc/self/mountinfo", root.path, node, "overlay", layers=tuple(layers.values()))
    held = {_placed(root, mount, top): mount for mount in mounts if (top := _top(mount))}
    return Read(root, (store,), {(root.path, store.path): held})


def _gone(root: Root, path: str) -> bool:
    """Whether a directory is not there; one that may not be looked at is."""
    try:
        return not stat.S_ISDIR(root.status(path).st_mode)
    except OSError as error:
        return error.errno not in (errno.EACCES, errno.EPERM)


def whole(path: str, progress: Callable[[int], None] | None = None) -> LayerStores:
    """Everything below a root; of this host's own also what is mounted. Raises SourceError: nothing is there."""
    from netfs.overlay.layer_stores import LayerStores

    root = Root(path)
    gaps: tuple[Gap, ...] = ()
    mounts: tuple[Mount, ...] = ()
    if os.path.abspath(path) == "/":
        mounts, gaps = live()
    own, away = _parted(root, mounts)
    found = read(root, "", own)
    others = list(_elsewhere(away, ""))
    if not found.stores and not others:
        root.close()
        hint = "it is the root of a machine, or an engine's folder: /var/lib/docker, /var/lib/containerd, …"
        raise _nothing([found], path, hint)
    return LayerStores((replace(found, gaps=found.gaps + gaps), *others), progress)


def of_nodes(nodes: Sequence[NodeRoot], progress: Callable[[int], None] | None = None) -> LayerStores:
    """The stores of several nodes. Raises SourceError where no node has any.

    Whoever mounts a container's root does so by paths of the host: where a process does not see the layers of what it
    has mounted, this host may.
    """
    from netfs.overlay.layer_stores import LayerStores

    found: list[Read] = []
    for node in nodes:
        mounts, gaps = live() if node.pid is None else of(node.pid)
        places = (Place("docker", node.docker),) if node.docker is not None else ()
        root = Root(node.path)
        own, away = _parted(root, mounts)
        outside = [mount for mount in own if node.path != "/" and not root.is_directory(_top(mount))]
        one = read(root, node.node, [mount for mount in own if mount not in outside], places)
        found.append(replace(one, gaps=one.gaps + gaps))
        found += _elsewhere(away, node.node)
        if outside:
            found.append(_strange(Root("/"), node.node, outside))
    if not any(each.stores for each in found):
        where = ", ".join(node.node for node in nodes)
        for each in found:
            each.root.close()
        raise _nothing(found, where, "--root DIR reads a store that was copied")
    return LayerStores(found, progress)


def _nothing(found: Iterable[Read], where: str, hint: str) -> SourceError:
    """That there is no store; where one may not be looked at, that."""
    refused = [gap.where for each in found for gap in each.gaps if gap.reason.endswith(READ_AS_ROOT)]
    if refused:
        return SourceError(f"{', '.join(dict.fromkeys(refused))} may not be read", where=where, hint=READ_AS_ROOT)
    return SourceError("no layer store is there", where=where, hint=hint)
