"""How much every layer holds, adds, changes and hides: each layer is walked once, whoever shares it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from netfs.model.gaps import Gap
from netfs.model.layers import Account, Extent
from netfs.overlay.chains import Chain, key
from netfs.overlay.stack import Opened

if TYPE_CHECKING:
    from netfs.overlay.changes.account import Unread

Key = tuple[str, str, str]
"""``chains.key``: root, store, layer."""
Opening = Callable[[Chain], Opened]


def measured(
    chains: Iterable[Chain],
    opening: Opening,
    known: dict[Key, Account],
    gaps: list[Gap],
    progress: Callable[[int], None],
) -> None:
    """Add the accounts of every layer of the chains to ``known``; those that are there already cost nothing.

    ``Account.layer`` and the keys of ``Account.hides`` are places in the layer's own chain: 0 is the layer itself.
    """
    from netfs.overlay.changes.account import account
    from netfs.overlay.forked import Apart

    entries = 0
    for chain in chains:
        keys = [key(chain.store, layer) for layer in chain.layers]
        if all(each in known for each in keys):
            continue
        trees = opening(chain)
        gaps += [gap for gap in trees.gaps if gap not in gaps]
        owners = [key(chain.store, layer) for layer in trees.layers[: len(trees.stack.layers)]]
        fresh = [place for place, owner in enumerate(owners) if owner not in known]
        before, seen = entries, 0

        def count(done: int, before: int = before) -> None:
            nonlocal seen
            seen = done
            progress(before + done)

        missed: list[Unread] = []
        accounts = account(trees.stack, fresh, count, missed, Apart())
        gaps += not_read(missed, trees)
        entries = before + seen
        places = {owner: place for place, owner in reversed(list(enumerate(keys)))}
        for each in accounts:
            owner = owners[each.layer]
            own = _placed(each, [places[held] for held in owners], places[owner])
            known[owner] = _joined(known[owner], own) if owner in known else own


def not_read(missed: Sequence[Unread], trees: Opened) -> Iterator[Gap]:
    """What could not be read, one gap for each layer."""
    for place, layer in enumerate(trees.layers):
        mine = [each for each in missed if each.layer == place]
        if mine:
            more = f"; {len(mine) - 1} more of this layer" if len(mine) > 1 else ""
            yield Gap(f"{layer.path}: /{mine[0].path}", "files", os.strerror(mine[0].errno) + more)


def _placed(found: Account, places: list[int], place: int) -> Account:
    """An account with the places of trees turned into places of layers, counted from its own."""
    hides: dict[int, Extent] = {}
    for tree, extent in found.hides.items():
        below = places[tree] - place
        hides[below] = add(hides.get(below, Extent()), extent)
    return replace(found, layer=0, hides=hides)


def _joined(one: Account, other: Account) -> Account:
    """The account of a layer that has several trees."""
    hides = dict(one.hides)
    for place, extent in other.hides.items():
        hides[place] = add(hides.get(place, Extent()), extent)
    return Account(
        layer=one.layer,
        own=add(one.own, other.own),
        added=add(one.added, other.added),
        changed=add(one.changed, other.changed),
        whiteouts=one.whiteouts + other.whiteouts,
        opaque=one.opaque + other.opaque,
        idle=one.idle + other.idle,
        hides=hides,
    )


def add(one: Extent, other: Extent) -> Extent:
    """Both together."""
    return Extent(*(getattr(one, each.name) + getattr(other, each.name) for each in fields(Extent)))


def wasted(chain: Chain, known: Mapping[Key, Account]) -> int:
    """Bytes of a chain that a layer above them hides."""
    found = (known.get(key(chain.store, layer)) for layer in chain.layers)
    return sum(extent.bytes for each in found if each is not None for extent in each.hides.values())


def weighed(chain: Chain, known: Mapping[Key, Account]) -> int:
    """Bytes of all layers of a chain."""
    found = (known.get(key(chain.store, layer)) for layer in chain.layers)
    return sum(each.own.bytes for each in found if each is not None)
