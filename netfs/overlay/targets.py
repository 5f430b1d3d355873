"""Targets: what the user names, found among the chains.

Forms: a path in a store, ``POD``, ``NAMESPACE/POD``, ``NAMESPACE/POD/CONTAINER``, a container's name, an image's name,
and the beginning of an id, with ``…`` or not: of a container, an image, a layer, a digest, a short link. ``pod/…``,
``container/…``, ``image/…``, ``layer/…`` say which of them is meant, ``NODE/…`` on which node. A path may be one of
another machine: what counts is a layer's id in it, or its link below ``l``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise

from netfs.errors import EndpointError
from netfs.model.layers import Layer, Mount, Store
from netfs.model.text import printable
from netfs.overlay.chains import INIT, Chain, chain_of, short

SANDBOX = "sandbox"
LEAST = 3
"""Characters of an id: fewer are a guess."""
DISTINCT = 25
"""Characters of an id that no folder of another kind is called by: containerd's are plain numbers."""
_TAGGED = re.compile(r":[^/]*$")
_REGISTRIES = ("docker.io/library/", "docker.io/", "localhost/")


class UnknownTargetError(EndpointError):
    """Nothing is called so."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a name leads to."""

    chain: Chain
    layer: Layer | None = None
    """The layer that was named, where one was: the chain is its own."""


@dataclass(frozen=True, slots=True)
class Known:
    """Everything that can be named."""

    chains: Sequence[Chain]
    stores: Sequence[Store]
    mounts: Mapping[tuple[str, str], Mapping[str, Mount]]
    """By root and path of the store, then by ``Layer.id``."""

    def on(self, node: str) -> Known:
        """What a node has of it."""
        chains = [chain for chain in self.chains if chain.store.node == node]
        return Known(chains, [store for store in self.stores if store.node == node], self.mounts)

    def chain_of(self, store: Store, layer: Layer) -> Chain:
        """The chain that a layer begins: its container's, where it is the uppermost of one."""
        for chain in self.chains:
            if chain.container is not None and chain.store is store and chain.layers[0].id == layer.id:
                return chain
        return chain_of(store, layer, self.mounts.get((store.root, store.path), {}))


def resolve(known: Known, text: str, *, namespace: str = "", container: str = "") -> Target:
    """What ``text`` names. ``namespace`` is that of pods named without one, ``container`` chooses one of a pod's.

    Raises EndpointError: unknown, or ambiguous.
    """
    text = text.rstrip("…") if "…" in text else text
    found = _found(known, text)
    node, _, rest = text.partition("/")
    if not found and node and rest:
        found = _found(known.on(node), rest)
    if container:
        found = [each for each in found if each.chain.container and container in _names(each.chain)]
    found = _one_pod(_in_namespace(found, text, namespace))
    if not found:
        raise _unknown(known, text, container)
    if len(found) > 1:
        names = ", ".join(sorted({_placed(each) for each in found})[:12])
        nodes = sorted({each.chain.store.node for each in found})
        how = f"; {nodes[0]}/{text} is that of {nodes[0]}" if len(nodes) > 1 else ""
        raise EndpointError(f"{printable(text)!r} is ambiguous", hint=f"it may be {printable(names + how)}")
    return found[0]


def _found(known: Known, text: str) -> list[Target]:
    kind, _, rest = text.partition("/")
    chosen = {"container": _containers, "image": _images, "layer": _layers, "pod": _pods}.get(kind)
    if text.startswith("/"):
        return _first(known, text, _mountpoints, _by_path, _by_beginning, _by_component)
    if chosen is not None and rest:
        return list(chosen(known, rest))
    return _first(known, text, _pods, _named, _images, _containers, _layers, _by_component)


def _first(known: Known, text: str, *ways: Callable[[Known, str], Iterable[Target]]) -> list[Target]:
    """The first kind of thing that has such a name: whole names come before beginnings of ids."""
    for way in ways:
        found = list(way(known, text))
        if found:
            return found
    return []


def _pods(known: Known, text: str) -> Iterable[Target]:
    """``POD``, ``NAMESPACE/POD`` and ``NAMESPACE/POD/CONTAINER``."""
    for chain in known.chains:
        held = chain.container
        if held is not None and held.pod:
            pod = f"{held.namespace}/{held.pod}"
            if text in (held.pod, pod, f"{pod}/{held.role or held.name}"):
                yield Target(chain)


def _named(known: Known, text: str) -> Iterable[Target]:
    for chain in known.chains:
        if chain.container is not None and text in _names(chain):
            yield Target(chain)


def _names(chain: Chain) -> tuple[str, ...]:
    held = chain.container
    return () if held is None else tuple(name for name in (held.name, held.role, held.id) if name)


def _containers(known: Known, text: str) -> Iterable[Target]:
    for chain in known.chains:
        held = chain.container
        if held is not None and (text in _names(chain) or _begins(held.id, text)):
            yield Target(chain)


def _images(known: Known, text: str) -> Iterable[Target]:
    wanted = _spelled(text)
    for chain in known.chains:
        if chain.kind != "image" or chain.image is None:
            continue
        spelled = {name for full in chain.image.names for name in _spelled(full)}
        if wanted & spelled or _begins(chain.image.id, text):
            yield Target(chain)


def _spelled(name: str) -> set[str]:
    """The ways to write an image's name: with the usual registry or not, with ``:latest`` or not."""
    ways = {name}
    for registry in _REGISTRIES:
        ways |= {way.removeprefix(registry) for way in ways}
    return (
        ways
        | {way.removesuffix(":latest") for way in ways}
        | {f"{way}:latest" for way in ways if not _TAGGED.search(way)}
    )


def _mountpoints(known: Known, text: str) -> Iterable[Target]:
    """The first that is mounted there: several mount namespaces may have something at one path."""
    path = text.rstrip("/") or "/"
    for chain in known.chains:
        if chain.mount is not None and chain.mount.mountpoint == path:
            yield Target(chain)
            return


def _layers(known: Known, text: str) -> Iterable[Target]:
    """By id, short link, ChainID, DiffID, or another name. The init layer has its container's id: it is meant where its
    ``-init`` is written.
    """
    beginning, init = text.removesuffix(INIT), text.endswith(INIT)
    for store in known.stores:
        for layer in store.layers:
            identities = (layer.id, layer.chain_id, layer.diff_id, layer.short)
            named = bool(text) and text in (*layer.names, *identities)
            begun = any(_begins(identity, beginning) for identity in identities)
            if named or (begun and layer.id.endswith(INIT) == init):
                yield Target(known.chain_of(store, layer), layer)


def _by_path(known: Known, text: str) -> Iterable[Target]:
    """A path in a store, as its machine names it or as this host does: the layer that it lies in."""
    path = text.rstrip("/") or "/"
    for store in known.stores:
        inside = _inside(store, path)
        linked = _link(store, inside)
        for layer in store.layers:
            if layer.path and (inside == layer.path or inside.startswith(f"{layer.path}/") or layer.id == linked):
                yield Target(known.chain_of(store, layer), layer)


def _by_beginning(known: Known, text: str) -> Iterable[Target]:
    """A path that ends in the beginning of a layer's id."""
    for store in known.stores:
        folder, _, beginning = _inside(store, text).rpartition("/")
        for each in _layers(known, beginning):
            if each.layer is not None and each.chain.store is store and posixpath.dirname(each.layer.path) == folder:
                yield each


def _by_component(known: Known, text: str) -> Iterable[Target]:
    """A path from elsewhere that has a layer's whole id in it, or the name of a link below ``l``."""
    parts = text.split("/")
    links = {name for folder, name in pairwise(parts) if folder == "l"}
    if len(parts) == 1:
        return
    for store in known.stores:
        for layer in store.layers:
            if (len(layer.id) >= DISTINCT and layer.id in parts) or (layer.short and layer.short in links):
                yield Target(known.chain_of(store, layer), layer)


def _inside(store: Store, path: str) -> str:
    """A path as the machine itself names it."""
    root = store.root.rstrip("/")
    return path.removeprefix(root) if root and path.startswith(f"{root}/") else path


def _link(store: Store, path: str) -> str:
    """The layer that a path below ``l/`` leads to, by what its link says; empty: none."""
    folder, _, rest = path.partition("/l/")
    if not rest or not folder.startswith(store.path.rstrip("/")):
        return ""
    said = store.links.get(rest.split("/")[0], "")
    parts = said.split("/")
    return parts[1] if len(parts) == 3 and parts[0] == ".." else ""


def _begins(identity: str, text: str) -> bool:
    """Whether ``text`` is an id, or a beginning of one that is no guess."""
    digits = identity.partition(":")[2] or identity
    begins = len(text) >= LEAST and (identity.startswith(text) or digits.startswith(text))
    return bool(identity) and (text in (identity, digits) or begins)


def _in_namespace(found: list[Target], text: str, namespace: str) -> list[Target]:
    """Without the pods of other namespaces, where pods were named without one. Raises EndpointError: none is left."""
    pods = [each for each in found if text in _pod(each.chain)]
    if not namespace or not pods:
        return found
    kept = [each for each in pods if each.chain.container and each.chain.container.namespace == namespace]
    if not kept:
        there = ", ".join(sorted({each.chain.name for each in pods})[:12])
        what = f"no pod {printable(text)!r} in namespace {printable(namespace)}"
        raise UnknownTargetError(what, hint=f"there is {printable(there)}")
    return kept


def _one_pod(found: list[Target]) -> list[Target]:
    """Without what nobody means: the same chain twice, a pod's sandbox, containers that have ended beside one that
    runs.
    """
    distinct = {(each.chain.store.root, each.chain.store.path, each.chain.kind, each.chain.id): each for each in found}
    found = list(distinct.values())
    for keep in (
        lambda each: each.chain.container is None or each.chain.container.role != SANDBOX,
        lambda each: each.chain.container is None or each.chain.container.state in ("", "running"),
    ):
        found = [each for each in found if keep(each)] or found if len(found) > 1 else found
    return found


def _placed(target: Target) -> str:
    chain = target.chain
    where = f" on {chain.store.node}" if chain.store.node else f" in {chain.store.path}"
    if target.layer is not None:
        return f"layer/{short(target.layer.id)}{where}"
    return f"{chain.kind}/{chain.name}{where}"


def _unknown(known: Known, text: str, container: str) -> UnknownTargetError:
    shown = printable(text)
    if container:
        return UnknownTargetError(
            f"no container {printable(container)!r} in {shown!r}", hint="netfs layers ls shows all"
        )
    names = {name for chain in known.chains for name in (chain.name, *(_names(chain)), *_pod(chain)) if name}
    near = get_close_matches(text, sorted(names), n=3)
    hint = f"did you mean {printable(', '.join(near))}?" if near else "netfs layers ls shows those there are"
    if text.startswith("/"):
        return UnknownTargetError(f"no layer lies at {shown!r}, and no overlay is mounted there", hint=hint)
    return UnknownTargetError(f"no pod, container, image or layer is called {shown!r}", hint=hint)


def _pod(chain: Chain) -> tuple[str, ...]:
    return (chain.container.pod,) if chain.container is not None else ()
