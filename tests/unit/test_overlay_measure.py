"""Each layer is walked once, whoever shares it; what it hides is told by the place in its own chain."""

from __future__ import annotations

from netfs.model.gaps import Gap
from netfs.model.layers import Account, Extent, Layer, Store
from netfs.overlay import measure
from netfs.overlay.chains import Chain, key
from netfs.overlay.merge.tree import Stack
from netfs.overlay.stack import Opened
from tests.unit.trees import WHITEOUT, MemoryTree, tree

BLOCK = 4096
STORE = Store("docker", "/var/lib/docker")
BASE, APP, OTHER = Layer("base", "/base"), Layer("app", "/app"), Layer("other", "/other")


def trees() -> dict[str, MemoryTree]:
    return {
        "base": tree({"a": "1", "b": "2", "etc": {"c": "3"}}),
        "app": tree({"a": "new", "etc": WHITEOUT}),
        "other": tree({"b": WHITEOUT}),
    }


def opening(held: dict[str, MemoryTree], gaps: tuple[Gap, ...] = ()) -> measure.Opening:
    def opened(chain: Chain) -> Opened:
        layers = tuple(layer for layer in chain.layers if layer.id in held)
        return Opened(Stack(tuple(held[layer.id] for layer in layers)), layers, (), list(gaps))

    return opened


def measured(*chains: Chain, held: dict[str, MemoryTree] | None = None) -> dict[measure.Key, Account]:
    known: dict[measure.Key, Account] = {}
    measure.measured(chains, opening(held or trees()), known, [], lambda _: None)
    return known


ONE, TWO = Chain("image", STORE, (APP, BASE)), Chain("image", STORE, (OTHER, BASE))


def test_what_a_layer_hides_is_told_by_its_distance() -> None:
    known = measured(ONE)
    assert known[key(STORE, BASE)].own == Extent(3, 1, 3 * BLOCK, 3)
    assert known[key(STORE, APP)].hides == {1: Extent(2, 1, 2 * BLOCK, 2)}
    assert (measure.weighed(ONE, known), measure.wasted(ONE, known)) == (4 * BLOCK, 2 * BLOCK)


def test_a_shared_layer_is_walked_once() -> None:
    held = trees()
    known = measured(ONE, TWO, held=held)
    assert set(known) == {key(STORE, layer) for layer in (BASE, APP, OTHER)}
    assert held["base"].calls.count("scan etc") + held["base"].calls.count("names etc") <= 1
    assert measure.wasted(TWO, known) == BLOCK


def test_a_chain_that_is_known_is_not_opened() -> None:
    known = measured(ONE)

    def refuse(_: Chain) -> Opened:
        raise AssertionError

    measure.measured([ONE], refuse, known, [], lambda _: None)


def test_a_layer_that_is_not_there_moves_no_other() -> None:
    gone = Layer("gone", "", missing=True)
    known = measured(Chain("image", STORE, (APP, gone, BASE)))
    assert known[key(STORE, APP)].hides.keys() == {2}
    assert key(STORE, gone) not in known


def test_a_layer_of_several_trees_has_one_account() -> None:
    upper, lower, base = tree({"a": "1"}), tree({"a": "2", "b": "3"}), tree({"b": "4"})
    both = Layer("both", "/both", ("/both/diff", "/both/diff1"))

    def opened(_: Chain) -> Opened:
        return Opened(Stack((upper, lower, base), upper=False), (both, both, BASE), ())

    known: dict[measure.Key, Account] = {}
    chain = Chain("image", STORE, (both, BASE))
    measure.measured([chain], opened, known, [], lambda _: None)
    account = known[key(STORE, both)]
    assert account.own.files == 3
    assert account.hides == {0: Extent(1, 0, BLOCK, 1), 1: Extent(1, 0, BLOCK, 1)}


def test_gaps_are_told_once_and_progress_goes_on() -> None:
    gaps: list[Gap] = []
    seen: list[int] = []
    gap = Gap("/base", "layer", "Permission denied")
    measure.measured([ONE, TWO], opening(trees(), (gap,)), {}, gaps, seen.append)
    assert gaps == [gap]
    assert seen == sorted(seen)


def test_extents_add_up() -> None:
    assert measure.add(Extent(1, 2, 3, 4), Extent(1, 1, 1, 1)) == Extent(2, 3, 4, 5)
