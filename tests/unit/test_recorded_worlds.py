"""Traces through what Docker, Podman and the CNI plugins programmed, held against what real packets met there.

The worlds of tests/conformance were played once (``python -m tests.conformance.record``); these are their snapshots.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from netfs.api import Cluster
from netfs.datapath.connection import five_tuple
from netfs.model.snapshot import Connection
from netfs.sources import document
from tests.conformance.agreement import CLIENT, NODE, Outcome, Probe, disagreement, traced
from tests.conformance.catalogue import WORLDS
from tests.conformance.world import outcome

DATA = Path(__file__).parent / "data"


@cache
def cluster(name: str) -> Cluster:
    return Cluster(document.read(str(DATA / f"{name}.json.zst")))


@cache
def recorded(name: str) -> tuple[tuple[Probe, Outcome], ...]:
    lines = json.loads((DATA / f"{name}.json").read_text())
    return tuple((Probe(**line["probe"]), outcome(line["outcome"])) for line in lines)


CASES = [
    pytest.param(
        name, probe, happened, id=f"{name}: {probe.src} to {probe.dst} {probe.proto} {probe.port or ''}".rstrip()
    )
    for name in WORLDS
    for probe, happened in recorded(name)
]


@pytest.mark.parametrize(("name", "probe", "happened"), CASES)
def test_a_trace_says_what_the_packet_met(name: str, probe: Probe, happened: Outcome) -> None:
    assert disagreement(cluster(name), probe, happened) is None


@pytest.mark.parametrize("name", WORLDS)
def test_nothing_is_missing_in_what_was_collected(name: str) -> None:
    assert cluster(name).gaps == ()


@pytest.mark.parametrize("name", sorted(set(WORLDS) - {"ufw"}))
def test_connections_that_translate_were_collected(name: str) -> None:
    node = cluster(name).nodes[0]
    own = next(netns for netns in node.namespaces if netns.id == node.netns)
    assert {"dnat", "snat"} <= {flag for connection in own.connections for flag in connection.status}


def forgetful(cluster: Cluster) -> Cluster:
    """The same nodes with nothing tracked."""
    nodes = tuple(
        replace(node, namespaces=tuple(replace(netns, connections=()) for netns in node.namespaces))
        for node in cluster.snapshots.nodes
    )
    return Cluster(replace(cluster.snapshots, nodes=nodes))


def sender(cluster: Cluster, connection: Connection) -> str:
    """Who opened a connection that the node tracks."""
    for node in cluster.nodes:
        for netns in node.namespaces:
            if connection.src in {each.local for each in netns.addresses}:
                return netns.name if netns.name not in (NODE, CLIENT) else f"node/{netns.name}"
    raise AssertionError(f"nobody has {connection.src}")


@pytest.mark.parametrize("remembered", [True, False], ids=["remembered", "by the rules alone"])
@pytest.mark.parametrize("name", sorted(set(WORLDS) - {"ufw"}))
def test_a_trace_translates_as_the_kernel_remembers_it(name: str, remembered: bool) -> None:
    world = cluster(name) if remembered else forgetful(cluster(name))
    node = cluster(name).nodes[0]
    own = next(netns for netns in node.namespaces if netns.id == node.netns)
    compared = 0
    for entry in own.connections:
        if entry.proto in ("tcp", "udp"):
            src = sender(world, entry)
            trace = world.trace(src, entry.dst, proto=entry.proto, port=entry.dport, sport=entry.sport)
            left = [hop.packet for hop in trace.forward.hops if hop.netns == NODE][-1]
            then = (entry.reply_dst, entry.reply_dport, entry.reply_src, entry.reply_sport)
            assert (left.src, left.sport, left.dst, left.dport) == then, entry
            compared += 1
    assert compared > 2


@pytest.mark.parametrize("name", WORLDS)
def test_nothing_is_translated_while_it_is_forwarded(name: str) -> None:
    for probe, _ in recorded(name):
        trace = traced(cluster(name), probe)
        for way in (trace.forward, trace.reverse):
            for before, hop in pairwise(way.hops):
                if hop.stage == "netfilter" and hop.why.startswith("forward:"):
                    assert five_tuple(hop.packet) == five_tuple(before.packet), hop


@pytest.mark.parametrize("name", WORLDS)
def test_the_records_are_of_the_probes_asked_today(name: str) -> None:
    assert tuple(probe for probe, _ in recorded(name)) == WORLDS[name].probes


@pytest.mark.parametrize(
    ("name", "port", "chains"),
    [
        ("docker", 8080, ["nat PREROUTING", "nat DOCKER", "filter DOCKER-USER", "filter DOCKER"]),
        ("podman", 8080, ["nat PREROUTING", "nat NETAVARK-HOSTPORT-DNAT"]),
        ("ufw", 80, ["filter ufw-before-input", "filter ufw-user-input"]),
        ("cni", 8080, ["nat PREROUTING", "nat CNI-HOSTPORT-DNAT", "filter CNI-ADMIN"]),
    ],
)
def test_the_way_to_a_published_port_names_the_chains_of_its_software(name: str, port: int, chains: list[str]) -> None:
    trace = traced(cluster(name), Probe("client", "192.0.2.1", "tcp", port))
    met = [rule.chain for hop in trace.forward.hops for rule in hop.rules]
    assert [chain for chain in chains if chain not in met] == []
