"""In which namespaces a live trace listens."""

from __future__ import annotations

from netfs.capture.compare.places import AROUND, namespaces
from netfs.cluster.topology import Topology
from tests.unit import clusters
from tests.unit.live_worlds import World, broken, healthy, machines, web, world


def names(one: World) -> list[str]:
    return [view.name for view in namespaces(one.topology, one.trace)]


def test_those_on_the_way_come_first_and_those_beside_it_behind() -> None:
    found = names(healthy())
    assert found[:5] == ["pod-a", "node1", "fabric", "node2", "pod-b"]
    assert set(found[5:]) == {"pod-c", "pod-d"}


def test_where_the_prediction_ends_early_the_rest_of_the_way_is_heard_all_the_same() -> None:
    for one in (
        broken(pod_a=clusters.no_route("0.0.0.0/0")),
        broken(node1=clusters.no_fdb(clusters.vtep_mac(2))),
    ):
        assert {"pod-a", "node1", "fabric", "node2", "pod-b"} <= set(names(one))


def test_every_branch_is_heard() -> None:
    assert {"pod-b", "pod-c"} <= set(names(web("10.244.1.3:80", "10.244.2.2:80")))


def test_a_large_cluster_is_not_heard_whole() -> None:
    large = world(Topology(clusters.synthetic_snapshots(60, 20)), "pod-a", "pod-b")
    found = names(large)
    assert found[:4] == ["pod-a", "node1", "node2", "pod-b"]
    assert len(found) == 4 + AROUND
    assert "node3" in found


def test_no_namespace_twice() -> None:
    for one in (healthy(), machines(), healthy("pod-a", "pod-a"), web("10.244.1.2:80")):
        found = [view.key for view in namespaces(one.topology, one.trace)]
        assert len(found) == len(set(found))
