"""What the user may name, and what is said of names that fit nothing or several things."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netfs.cluster.endpoint import resolve
from netfs.cluster.topology import Topology
from netfs.errors import EndpointError
from netfs.model.gaps import Gap
from netfs.model.snapshot import Container
from tests.unit import clusters


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("pod-a", "default/pod-a"),
        ("default/pod-a", "default/pod-a"),
        ("node/node2", "node/node2"),
        ("node2", "node/node2"),
        ("10.244.2.2", "default/pod-b"),
        ("192.168.52.11", "node/node1"),
        ("8.8.8.8", "8.8.8.8"),
    ],
)
def test_every_form_of_a_name_is_understood(text: str, name: str) -> None:
    """POD, NAMESPACE/POD, node/NAME, NODE, ADDRESS."""
    assert resolve(clusters.two_nodes(), text).name == name


def test_a_container_is_its_pod() -> None:
    """By name, and by the beginning of its id."""
    snapshots = clusters.cluster(2, 2)
    pod = replace(snapshots[0].pods[0], containers=(Container("web", "3f9a8b7c6d5e"),))
    topology = Topology([replace(snapshots[0], pods=(pod, *snapshots[0].pods[1:])), *snapshots[1:]])
    assert resolve(topology, "web").name == resolve(topology, "3f9a8").name == f"default/{pod.name}"


def test_an_unknown_name_lists_near_misses() -> None:
    """A typing error is answered with what was meant."""
    with pytest.raises(EndpointError, match=r"no pod.*pod-aa.*did you mean.*pod-a"):
        resolve(clusters.two_nodes(), "pod-aa")


@pytest.mark.parametrize(
    ("gap", "told"),
    [
        (
            Gap("node1/pod-z", "netns", "/run/netns/pod-z: Operation not permitted", 77),
            "; node1/pod-z could not be read: /run/netns/pod-z: Operation not permitted",
        ),
        (
            Gap("/proc", "namespaces by process", "150 processes may not be looked at (first: pid 1)"),
            "; not all could be found: 150 processes may not be looked at (first: pid 1)",
        ),
        (Gap("node1", "nft", "Permission denied", 7), ""),
    ],
)
def test_a_name_may_be_unknown_because_not_all_was_read(gap: Gap, told: str) -> None:
    first, *others = clusters.cluster(2, 2)
    topology = Topology([replace(first, gaps=(gap,)), *others])
    with pytest.raises(EndpointError) as caught:
        resolve(topology, "database")
    assert caught.value.hint == _hint_of_all("database") + told


def _hint_of_all(name: str) -> str:
    with pytest.raises(EndpointError) as caught:
        resolve(Topology(clusters.cluster(2, 2)), name)
    return caught.value.hint


def test_an_ambiguous_address_lists_its_holders() -> None:
    """An address that two namespaces hold names neither."""
    topology = clusters.two_nodes(pod_d=clusters.new_address("eth0", "10.244.2.2/24"))
    with pytest.raises(EndpointError, match=r"pod-b.*pod-d"):
        resolve(topology, "10.244.2.2")


def test_hostile_names_are_shown_harmless() -> None:
    """What the user typed is escaped in the error."""
    with pytest.raises(EndpointError) as caught:
        resolve(clusters.two_nodes(), "\x1b[31mpod\n")
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pod_that_lost_its_address_is_still_addressed_by_the_one_it_was_given() -> None:
    """What the orchestrator gave it stands in for what its namespace no longer holds."""
    snapshots = clusters.change(clusters.cluster(2, 2), "pod-b", clusters.no_address("10.244.2.2"))
    given = [
        replace(one, pods=tuple(replace(pod, ips=("10.244.2.2",)) if pod.name == "pod-b" else pod for pod in one.pods))
        for one in snapshots
    ]
    assert resolve(Topology(snapshots), "pod-b").address_in(4) is None
    assert resolve(Topology(given), "pod-b").address_in(4) == "10.244.2.2"
