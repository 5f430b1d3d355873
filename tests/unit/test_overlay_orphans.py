"""Orphans and broken chains: told from what a store's records say, and only where they say enough."""

from __future__ import annotations

import pytest

from netfs.model.containers import Container
from netfs.model.gaps import Gap
from netfs.model.layers import Layer, Mount, Store
from netfs.overlay.chains import chains, users
from netfs.overlay.orphans import findings, orphans
from tests.unit.layer_records import APP, BASE, LOST, layer, store


def unowned(held: Store, mounts: dict[str, Mount] | None = None) -> list[str]:
    return [each.id for each, _ in orphans(held, users(chains(held, mounts or {})), mounts or {})]


def slugs(held: Store) -> list[tuple[str, str]]:
    found = chains(held, {})
    return [(each.slug, each.object) for each in findings(held, found, orphans(held, users(found), {}))]


def test_a_healthy_store_has_none() -> None:
    assert unowned(store()) == []
    assert slugs(store()) == []


@pytest.mark.parametrize("role", ["unknown", "temporary", "removing"])
def test_a_directory_that_nobody_names_is_an_orphan(role: str) -> None:
    held = store(layer(LOST, BASE, role=role))
    assert unowned(held) == [LOST]
    assert slugs(held) == [("layer-orphan", f"/var/lib/docker/overlay2/{LOST}")]


def test_what_stands_on_an_orphan_is_one_too() -> None:
    assert unowned(store(layer("below", role="unknown"), layer(LOST, "below", role="unknown"))) == ["below", LOST]


def test_what_something_owned_stands_on_is_none() -> None:
    assert unowned(store(layer("below", role="unknown"), layer("b", "below", BASE, role="build"))) == []


def test_what_is_mounted_is_none_nor_what_it_stands_on() -> None:
    held = store(layer("below", role="unknown"), layer(LOST, "below", role="unknown"))
    assert unowned(held, {LOST: Mount("/merged", ())}) == []


def test_where_owners_could_not_be_read_nothing_is_called_an_orphan() -> None:
    held = store(layer(LOST, role="unknown"), gaps=(Gap("/var/lib/docker/image", "owners", "is not there"),))
    assert unowned(held) == []


def test_a_missing_layer_is_an_error_of_everybody_who_needs_it() -> None:
    held = store(Layer(LOST, "/x", (), ("gone",), "container"), containers=(Container("c", "web", layer=LOST),))
    assert slugs(held) == [("layer-lower-missing", "node1/container web"), ("layer-link-dangling", "/x")][:1]


def test_links_that_lead_nowhere_or_to_another_layer() -> None:
    links = {"NOWHERE": "../gone/diff", "OUT": "../../../etc", "WRONG": f"../{APP}/diff"}
    held = store(links={**store().links, **links})
    folder = "/var/lib/docker/overlay2/l"
    assert slugs(held) == [("layer-link-dangling", f"{folder}/{name}") for name in ("NOWHERE", "OUT", "WRONG")]


def test_an_additional_stores_layers_have_their_links_there() -> None:
    other = Layer(LOST, f"/var/lib/more/overlay/{LOST}", ("/t",), (), "image", "OTHERLINK")
    assert slugs(store(other, links=store().links)) == []


def test_what_nobodys_layer_lacks_is_no_error() -> None:
    lost = Layer(LOST, f"/var/lib/docker/overlay2/{LOST}", ("/t",), None, "unknown")
    assert [slug for slug, _ in slugs(store(lost, layer("1057c", "gone", role="unknown")))] == ["layer-orphan"] * 2


def test_a_link_that_is_gone() -> None:
    links = {name: said for name, said in store().links.items() if APP not in said}
    assert slugs(store(links=links)) == [("layer-link-dangling", f"/var/lib/docker/overlay2/{APP}")]
