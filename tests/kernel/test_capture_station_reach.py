"""The namespaces of a lab, read and entered again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import netfs.lab
from netfs.capture.station.order import Order, Post
from netfs.capture.stations import Stations
from netfs.errors import SourceError
from netfs.lab.state import LabState
from netfs.sources import document, load
from netfs.sources.reach import reach


@pytest.fixture(scope="module")
def lab() -> Iterator[LabState]:
    state = netfs.lab.up(f"reach-{os.getpid()}")
    try:
        yield state
    finally:
        netfs.lab.down(state.name)


def test_every_namespace_of_a_lab_is_heard(lab: LabState) -> None:
    snapshots = load([f"lab:{lab.name}"])
    ways = reach(snapshots, [f"lab:{lab.name}"])
    orders = {}
    for node in snapshots.nodes:
        way = ways[node.name]
        assert (way.kernel, way.userns_pid is None) == (node.kernel, lab.root)
        orders[node.name] = way, Order(tuple(Post(way.path(netns.id), netns.id) for netns in node.namespaces))
    with Stations(orders) as stations:
        opened = stations.open()
    assert len(opened) == len(snapshots.nodes) == 3
    assert [(each.deaf, each.lost) for each in opened] == [({}, None)] * 3


def test_a_saved_lab_is_not_probed_though_it_still_runs(lab: LabState, tmp_path: Path) -> None:
    file = tmp_path / "lab.json"
    document.write(load([f"lab:{lab.name}"]), file)
    uris = [f"file:{file}"]
    saved = load(uris)
    for node in saved.nodes:
        way = reach(saved, uris)[node.name]
        with pytest.raises(SourceError, match="cannot be probed: it is a saved snapshot") as wrong:
            way.path(node.netns)
        assert wrong.value.where == node.name


def test_a_lab_that_is_down_says_so(lab: LabState) -> None:
    snapshots = load([f"lab:{lab.name}"])
    gone = replace(snapshots, nodes=tuple(replace(node, source="lab:no-such") for node in snapshots.nodes))
    assert {way.why_not for way in reach(gone).values()} == {"cannot be probed: is not running"}


def test_this_hosts_own_namespace_is_named_by_a_path_that_others_may_open() -> None:
    snapshots = load(["local"])
    (node,) = snapshots.nodes
    way = reach(snapshots)[node.name]
    path = way.path(node.netns)
    assert not path.startswith("/proc/self")
    assert os.stat(path).st_ino == node.netns
