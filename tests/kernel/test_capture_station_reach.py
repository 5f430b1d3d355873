"""The namespaces of a lab, read and entered again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

import netfs
import netfs.lab
from netfs.capture.station.order import Order, Post
from netfs.capture.stations import Stations
from netfs.capture.wish import Wish
from netfs.errors import SourceError
from netfs.lab.state import LabState
from netfs.sources import document
from netfs.sources.load import load
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


CONTAINER = """
mount -t tmpfs tmpfs /run
mkdir /run/netns
ip link set lo up
ip netns add pod
ip link add v type veth peer name eth0 netns pod
ip addr add 10.0.0.1/24 dev v
ip link set v up
ip -n pod addr add 10.0.0.2/24 dev eth0
ip -n pod link set eth0 up
echo ready
exec cat
"""


@contextmanager
def container(options: str, script: str) -> Iterator[int]:
    """A process in namespaces of its own, by unshare(1): a user namespace first, as files of /proc/net then belong to
    its root. The first of its PID namespace, where it has one.
    """
    with subprocess.Popen(
        ["unshare", "-Ur", "unshare", *options.split(), "bash", "-ec", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as held:
        assert held.stdin
        assert held.stdout
        try:
            assert held.stdout.readline() == b"ready\n"
            yield _child(held.pid) if "f" in options else held.pid
        finally:
            held.stdin.close()


def _child(pid: int) -> int:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        return int(children.read().split()[0])


@pytest.mark.parametrize("options", ["-nm", "-nmpf --mount-proc"])
def test_a_container_in_its_own_user_namespace_is_entered(options: str, require_program: Callable[[str], str]) -> None:
    """A node of kind, rootless: its pods' namespaces are pinned where nobody outside sees them by that path."""
    require_program("ip")
    with container(options, CONTAINER) as pid:
        cluster = netfs.load(f"node=pid:{pid}")
        way = reach(cluster.snapshots)["node"]
        for netns in cluster.nodes[0].namespaces:
            assert os.stat(way.path(netns.id)).st_ino == netns.id
        live = cluster.trace("pod", "node/node", live=Wish(wait_s=0.3)).live
    assert live is not None
    assert (live.forward.verdict, live.forward.arrived) == ("agrees", 1)
    assert (live.reverse.verdict, live.reverse.arrived) == ("agrees", 1)
    assert {tap.device for tap in live.taps} == {"lo", "v", "eth0"}
    assert not [note for note in live.notes if "not listened to" in note]


TWO = """
ip link set lo up
exec 8<&0
unshare -n cat <&8 &
until [ $(readlink /proc/$!/ns/net) != $(readlink /proc/$$/ns/net) ]; do sleep 0.01; done
ip link add eth0 type veth peer name eth0 netns $!
ip addr add 10.0.0.1/24 dev eth0
ip link set eth0 up
nsenter -t $! -n ip addr add 10.0.0.2/24 dev eth0
nsenter -t $! -n ip link set eth0 up
echo ready
exec cat
"""


def test_two_containers_of_one_user_namespace_are_joined(require_program: Callable[[str], str]) -> None:
    require_program("ip")
    with container("-n", TWO) as pid:
        trace = netfs.load(f"a=pid:{pid}", f"b=pid:{_child(pid)}").trace("node/a", "node/b", live=Wish(wait_s=0.3))
    assert trace.verdict == "delivered"
    assert trace.live is not None
    assert (trace.live.forward.verdict, trace.live.reverse.verdict) == ("agrees", "agrees")
