"""How much every layer holds, adds, changes and hides: each layer is walked once, whoever shares it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace

from netfs.model.layers import Account, Extent
from netfs.model.snapshot import Gap
from netfs.overlay.chains import Chain, key
from netfs.overlay.stack import Opened

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

        accounts = account(trees.stack, fresh, count)
        entries = before + seen
        places = {owner: place for place, owner in reversed(list(enumerate(keys)))}
        for each in accounts:
            owner = owners[each.layer]
            own = _placed(each, [places[held] for held in owners], places[owner])
            known[owner] = _joined(known[owner], own) if owner in known else own


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
