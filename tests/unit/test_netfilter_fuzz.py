"""Whatever stands where nft's JSON should be, the answer is a typed one."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netfs.datapath.netfilter import HookContext, ruleset, run_hook
from netfs.datapath.netfilter.text import rule_text
from tests.unit.netfilter_views import CNI0, ETH0, PING, VXLAN, WEB, view

LISTING = json.loads((Path(__file__).parent / "netfilter_listing.json").read_text())
ENDS = ("accept", "drop", "return", "reject", "queue", "notrack")
HOOKS = ("prerouting", "input", "forward", "output", "postrouting")
JUNK: tuple[Any, ...] = (None, True, -1, 2**70, 1.5, "", "@s1", "10.0.0.1", "fd00::1", "*", [], {}, [[]], {"set": []})
JUNK += ({"concat": []}, {"prefix": {}}, {"range": [1]}, {"elem": {}}, {"|": [1]}, {"&": [1, 2]}, {"jump": None})


def ask_everything(text: str) -> None:
    """Read a listing and send packets through every hook; every rule is printed."""
    namespace = view(text)
    rules = ruleset(namespace)
    for hook in HOOKS:
        for packet in (PING, WEB, VXLAN):
            answer = run_hook(namespace, hook, packet, HookContext(iif=CNI0, oif=ETH0, masquerade_source="10.0.0.9"))
            assert answer.verdict in ("accept", "drop", "reject", "branches", "unknown")
            assert rules is None or rules.defect is None or answer.verdict == "unknown"
    for table in rules.tables.values() if rules is not None else ():
        for chain in table.chains.values():
            assert all(rule_text(rule).isprintable() for rule in chain.rules)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a document."""
    found = [path] if path else []
    keys = node.keys() if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    return found + [below for key in keys for below in places(node[key], (*path, key))]


def endless(document: Any) -> Any:
    """The listing with rules that decide nothing, so that a packet meets every one of them."""
    for entry in document["nftables"]:
        if "rule" in entry and entry["rule"]["chain"] == "everything":
            entry["rule"]["expr"] = [part for part in entry["rule"]["expr"] if not set(part) & set(ENDS)]
    return document


LONG = endless(copy.deepcopy(LISTING))


def forms() -> Any:
    """A listing with every form of rule that nft prints, in chains of its family."""
    path = Path(__file__).parent / "netfilter_forms.tsv"
    entries: list[dict[str, Any]] = [{"metainfo": {"json_schema_version": 1}}]
    for family in ("ip", "ip6", "netdev"):
        place = {"family": family, "table": "t"}
        hook = {"type": "filter", "prio": 0, "policy": "accept", "hook": "ingress" if family == "netdev" else "forward"}
        entries += [{"table": {"family": family, "name": "t"}}, {"chain": place | {"name": "f"} | hook}]
        entries += [
            {"chain": place | {"name": "c1"}},
            {"set": place | {"name": "dyn", "type": "ipv4_addr", "elem": []}},
        ]
        for line in path.read_text().splitlines():
            of, _, raw = line.split("\t")
            if of == family and not any(f'"{end}"' in raw for end in ENDS):
                entries.append({"rule": place | {"chain": "f", "handle": len(entries), "expr": json.loads(raw)}})
    return {"nftables": entries}


FORMS = forms()


def mutated(random: Random, listings: tuple[Any, ...] = (LISTING, LONG)) -> Any:
    """A listing with a few values replaced, removed, doubled or wrapped."""
    document = copy.deepcopy(random.choice(listings))
    # Mostly in the rules: a defect in the frame spoils the whole, and little of the rest would be reached.
    entries = [at for at, entry in enumerate(document["nftables"]) if random.random() < 0.05 or "rule" in entry]
    for _ in range(random.randint(1, 6)):
        node: Any = document["nftables"][random.choice(entries)]
        *way, last = random.choice(places(node) or [(0,)])
        try:
            for key in way:
                node = node[key]
            change = random.randrange(4)
            if change == 0:
                node[last] = copy.deepcopy(random.choice(JUNK))
            elif change == 1:
                del node[last]
            elif change == 2 and isinstance(node, list):
                node.insert(random.randrange(len(node) + 1), node[last])
            else:
                node[last] = {random.choice(("match", "set", "vmap", "payload", "elem")): node[last]}
        except (KeyError, IndexError, TypeError):
            continue
    return document


def test_the_listing_itself_is_understood() -> None:
    rules = ruleset(view(json.dumps(LISTING)))
    assert rules is not None
    assert rules.defect is None


@pytest.mark.parametrize("block", range(8))
def test_mutated_listings_never_raise(block: int) -> None:
    random = Random(block)
    for _ in range(60):
        ask_everything(json.dumps(mutated(random)))


@pytest.mark.parametrize("block", range(4))
def test_mutated_forms_never_raise(block: int) -> None:
    random = Random(100 + block)
    for _ in range(15):
        ask_everything(json.dumps(mutated(random, (FORMS,))))


def test_a_listing_of_every_form_is_read() -> None:
    rules = ruleset(view(json.dumps(FORMS)))
    assert rules is not None
    assert rules.defect is None
    ask_everything(json.dumps(FORMS))


@settings(max_examples=60, deadline=None)
@given(st.integers(min_value=0, max_value=len(json.dumps(LISTING))), st.text(max_size=3))
def test_truncated_and_garbled_texts_never_raise(cut: int, garbage: str) -> None:
    text = json.dumps(LISTING)
    ask_everything(text[:cut] + garbage)
    ask_everything(text[:cut] + garbage + text[cut + len(garbage) :])


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("match", "left", "set")), inner),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(JSON_VALUES, max_size=4))
def test_any_statements_give_a_typed_answer(statements: list[Any]) -> None:
    chain = {"family": "ip", "table": "t", "name": "f", "type": "filter", "hook": "forward", "prio": 0}
    rule = {"family": "ip", "table": "t", "chain": "f", "handle": 1, "expr": statements}
    table = {"table": {"family": "ip", "name": "t"}}
    ask_everything(json.dumps({"nftables": [table, {"chain": chain}, {"rule": rule}]}))
