"""Source URIs: their forms, their names, and what is said of those that cannot be read."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from netfs.errors import SourceError, SourceUriError
from netfs.model.snapshot import NetNs, NodeSnapshot, Snapshots
from netfs.sources import document
from netfs.sources.load import load as snapshots
from netfs.sources.registry import open_uri
from netfs.sources.uri import parse


def load(uris: list[str], timeout: float | None = None) -> tuple[NodeSnapshot, ...]:
    return snapshots(uris, timeout=timeout).nodes


def snapshot(name: str, role: str = "node") -> NodeSnapshot:
    return NodeSnapshot(name, "kernel", 1, (NetNs(1, name),), role=role)


def save(folder: Path, *names: str, role: str = "node") -> None:
    for name in names:
        document.write(Snapshots((snapshot(name, role),)), folder / f"{name}.json")


@pytest.mark.parametrize(
    ("text", "scheme", "rest", "name"),
    [
        ("local", "local", "", None),
        ("edge=netns:n1", "netns", "n1", "edge"),
        ("netns:/run/netns/a=b", "netns", "/run/netns/a=b", None),
        ("file:/x=y.json", "file", "/x=y.json", None),
        ("lab:two", "lab", "two", None),
    ],
)
def test_a_uri_falls_into_its_parts(text: str, scheme: str, rest: str, name: str | None) -> None:
    uri = parse(text)
    assert (uri.scheme, uri.rest, uri.name) == (scheme, rest, name)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("=netns:n1", "empty name"),
        ("carrier-pigeon:x", "no source of the form"),
        ("netns:", "names no namespace"),
        ("pid:abc", "names no process"),
        ("pid:", "names no process"),
        ("file:", "names no file"),
        ("local:here", "nothing after it"),
        ("n=lab", "several nodes"),
        ("ssh://host", "cannot read ssh"),
        ("k8s", "cannot read k8s"),
        ("docker:kind", "pid:"),
        ("netns:\udcff", "UTF-8"),
        ("netns:a\0b", "empty"),
    ],
)
def test_what_has_no_form_is_a_usage_error_of_one_line(text: str, says: str) -> None:
    with pytest.raises(SourceUriError, match=says) as refused:
        open_uri(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["netns:no-such-namespace", "netns:/no/such/path", "pid:999999999", "file:/no/such.json"]
)
def test_a_source_that_is_not_there_is_a_source_error(text: str) -> None:
    with pytest.raises(SourceError):
        load([text])


def test_a_file_that_is_no_namespace_is_a_source_error(tmp_path: Path) -> None:
    (tmp_path / "ns").write_text("")
    with pytest.raises(SourceError):
        load([f"netns:{tmp_path}/ns"])


def test_a_folder_and_a_glob_yield_every_document_in_order(tmp_path: Path) -> None:
    save(tmp_path, "b", "a", "c")
    (tmp_path / "notes.txt").write_text("nothing of ours")
    assert [node.name for node in load([f"file:{tmp_path}"])] == ["a", "b", "c"]
    assert [node.name for node in load([f"file:{tmp_path}/[bc].json"])] == ["b", "c"]
    assert load([f"file:{tmp_path}/a.json"]) == (snapshot("a"),)


def test_an_empty_folder_is_a_source_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no \*\.json"):
        load([f"file:{tmp_path}"])


def test_a_name_given_to_a_file_of_one_node_is_its_name(tmp_path: Path) -> None:
    save(tmp_path, "a", "b")
    assert load([f"edge=file:{tmp_path}/a.json"]) == (replace(snapshot("a"), name="edge"),)
    with pytest.raises(SourceUriError, match="holds 2"):
        load([f"edge=file:{tmp_path}"])


def test_two_nodes_of_one_name_are_refused_and_two_fabrics_are_not(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        save(tmp_path / folder, "wire", role="fabric")
    one, two = f"file:{tmp_path}/one", f"file:{tmp_path}/two"
    assert [node.name for node in load([one, two])] == ["wire", "wire-2"]
    save(tmp_path / "one", "n")
    save(tmp_path / "two", "n")
    with pytest.raises(SourceUriError, match="two nodes are called 'n'"):
        load([one, two])
    assert len(load([one, one])) == 2


def test_names_that_collide_say_what_works_for_sources_of_several_nodes(tmp_path: Path) -> None:
    """``x=lab:two`` and ``x=file:FOLDER`` are refused, so a name alone is no advice."""
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        save(tmp_path / folder, "n")
    with pytest.raises(SourceUriError) as refused:
        load([f"file:{tmp_path}/one", f"file:{tmp_path}/two"])
    assert "one after the other" in (refused.value.hint or "")


def test_a_namespace_that_is_named_twice_is_refused() -> None:
    me = f"pid:{os.getpid()}"
    with pytest.raises(SourceUriError, match="one namespace is there twice: as 'a' from") as refused:
        load([f"a={me}", f"b={me}"])
    assert "\n" not in str(refused.value)


def test_a_source_that_does_not_answer_is_left_in_time(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "silent.json")
    with pytest.raises(SourceError, match=r"no answer within 0\.2 s"):
        load([f"file:{tmp_path}/silent.json"], timeout=0.2)
    with (tmp_path / "silent.json").open("w"):
        pass


def test_this_process_is_a_node() -> None:
    (node,) = load([f"me=pid:{os.getpid()}"])
    assert node.name == "me"
    assert node.netns == os.stat("/proc/self/ns/net").st_ino
    assert any(link.name == "lo" for link in node.namespaces[0].links)
