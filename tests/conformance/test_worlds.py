"""Docker, Podman, the CNI plugins and firewalls program a node; what real packets meet there is what a trace says."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product

import pytest

from netfs.api import Cluster
from tests.conformance.agreement import CLIENT, NODE, Outcome, Probe, disagreement, traced
from tests.conformance.catalogue import WORLDS
from tests.conformance.observe import PORT
from tests.conformance.proof import sample, unproved
from tests.conformance.world import NotHereError, Played, World, play

pytestmark = pytest.mark.kernel
MANY = 900


def ready(name: str, require_program: Callable[[str], str]) -> World:
    """The world, where it can be played."""
    world = WORLDS[name]
    for program in world.programs:
        require_program(program)
    if not world.user and os.geteuid() != 0:
        pytest.skip(f"{name} needs root")
    return world


def played(name: str, world: World, live: Sequence[int] = ()) -> Played:
    """What was collected and observed; a daemon that a machine does not let start is told, and is no defect of ours."""
    try:
        return play(world, live)
    except NotHereError as failure:
        pytest.xfail(f"{name} does not start here: {str(failure)[-300:]}")


def differences(cluster: Cluster, probes: tuple[Probe, ...], outcomes: list[Outcome]) -> dict[str, str]:
    """Where traces and packets disagree."""
    return {
        f"{probe.src} to {probe.dst} {probe.proto} {probe.port}": said
        for probe, outcome in zip(probes, outcomes, strict=True)
        if (said := disagreement(cluster, probe, outcome)) is not None
    }


def shortcomings(world: World, there: Played) -> dict[str, str]:
    """Where live traces saw something else than they said, or than what became of a real packet."""
    return {
        f"{probe.src} to {probe.dst} {probe.proto} {probe.port}": said
        for probe, outcome, proof in (
            (world.probes[number], there.outcomes[number], proof) for number, proof in there.proofs.items()
        )
        if (said := unproved(probe, outcome, proof)) is not None
    }


@pytest.mark.parametrize("name", WORLDS)
def test_real_software_and_real_packets(name: str, require_program: Callable[[str], str]) -> None:
    world = ready(name, require_program)
    there = played(name, world, sample(world.probes))
    assert differences(there.cluster, world.probes, there.outcomes) == {}
    assert {outcome.verdict for outcome in there.outcomes} == {"delivered", "dropped"}
    assert shortcomings(world, there) == {}
    assert {proof.verdict for proof in there.proofs.values()} >= {"delivered", "dropped"}


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", WORLDS)
def test_every_trace_of_a_world_is_proved_by_its_own_packet(name: str, require_program: Callable[[str], str]) -> None:
    world = ready(name, require_program)
    assert shortcomings(world, played(name, world, range(len(world.probes)))) == {}


def anything(cluster: Cluster, world: World) -> list[Probe]:
    """Everybody to every address by every port that matters in the world."""
    names = [CLIENT, NODE, *(pod.name for node in cluster.nodes for pod in node.pods)]
    held = {each.local for node in cluster.nodes for netns in node.namespaces for each in netns.addresses}
    addresses = sorted(address for address in held if not address.startswith("fe80"))
    ports = sorted({probe.port for probe in world.probes if probe.port is not None})
    kinds = [("icmp", None), *product(("tcp", "udp"), ports)]
    return [Probe(name, address, *kind) for name, address, kind in product(names, [*addresses, "198.51.100.9"], kinds)]


def comparable(cluster: Cluster, probe: Probe) -> bool:
    """Not where a program of the node takes the packet, or a rule asks for the traffic before."""
    trace = traced(cluster, probe)
    if trace.verdict == "unknown":
        why = trace.forward.unknown or trace.reverse.unknown or ""
        return not any(word in why for word in ("-m recent", "limit"))
    last = trace.forward.hops[-1]
    return trace.forward.verdict != "delivered" or last.netns != NODE or last.packet.dport in (None, PORT)


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", WORLDS)
def test_everybody_to_everywhere(name: str, seed: int, require_program: Callable[[str], str]) -> None:
    world = ready(name, require_program)
    probes = anything(played(name, world).cluster, world)
    random.Random(seed).shuffle(probes)
    asked = tuple(probes[:MANY])
    cluster, outcomes, _ = play(replace(world, probes=asked))
    kept = [at for at, probe in enumerate(asked) if comparable(cluster, probe)]
    assert len(kept) > len(asked) * 0.8
    assert differences(cluster, tuple(asked[at] for at in kept), [outcomes[at] for at in kept]) == {}
