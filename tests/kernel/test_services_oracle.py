"""Traces to Services against the kernel: what is said of each is what connections of a real lab meet."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

import netfs
import netfs.lab
from netfs.lab import probe
from netfs.lab.state import LabState
from netfs.model.trace import Direction, Trace
from tests.kernel.lab_modes import MODES, served
from tests.kernel.test_lab_services import NODE1, NODE2, SERVICES, opened, outcome

pytestmark = pytest.mark.kernel

SOURCES = ("pod-a", "pod-b", "node1", "underlay")
HEADLESS = "heads=pod-b,pod-c:80,headless"
TRIES = 4
"""Connections where several backends may answer."""
PLACES = (
    ("10.96.0.10", 81),
    ("203.0.113.5", 80),
    ("203.0.113.80", 80),
    *((node, port) for node in (NODE1, NODE2) for port in (30080, 30081, 30099, 30200)),
)
"""Addresses and ports beside the Services' own: one that no Service has, of load balancers, of nodes."""


@pytest.fixture(scope="module", params=sorted(MODES))
def lab(request: pytest.FixtureRequest, require_program: Callable[[str], str]) -> Iterator[LabState]:
    """A lab with every kind of Service."""
    mode = request.param
    with served(f"oracle-{mode}-{os.getpid()}", mode, (*SERVICES, HEADLESS), require_program) as made:
        yield made


@pytest.fixture(scope="module")
def cluster(lab: LabState) -> netfs.Cluster:
    """The lab as it was before anybody connected."""
    return netfs.load(f"lab:{lab.name}")


def test_what_a_trace_says_of_a_service_is_what_connections_meet(lab: LabState, cluster: netfs.Cluster) -> None:
    """Delivered: every connection is, to a pod that the trace names. Dropped: none is. Nothing is left undecided."""
    wrong = []
    asked = [
        (f"svc/{service.name}:{port.port}", service.cluster_ips[0], port.port)
        for service in lab.kubernetes.services
        for port in service.ports
        if service.cluster_ips and port.protocol == "tcp"
    ]
    asked += [(address, address, port) for address, port in PLACES]
    for source in SOURCES:
        for text, address, port in asked:
            answer = cluster.trace(source, text, port=None if "svc/" in text else port)
            met = outcome(lab, source, address, port), frozenset[str]()
            if met[0] == "connected":
                met = _meets(lab, source, address, port, tries=TRIES if answer.forward.branches else 1)
            if not _agrees(answer, *met):
                wrong.append(f"{source} to {text} {port}: trace {_said(answer)}, kernel {met}")
    assert wrong == []
    assert len(asked) * len(SOURCES) > 60


def test_a_node_port_is_traced_from_outside_to_its_backends(cluster: netfs.Cluster) -> None:
    """The fabric stands for the world: its name is an endpoint."""
    answer = cluster.trace("underlay", "node/node1", port=30080)
    assert answer.verdict == "delivered"
    assert _reached(answer) == {"default/pod-b", "default/pod-d"}


def test_each_pod_of_a_headless_service_is_a_way(lab: LabState, cluster: netfs.Cluster) -> None:
    answer = cluster.trace("pod-a", "svc/heads")
    assert (answer.verdict, _reached(answer)) == ("delivered", {"default/pod-b", "default/pod-c"})
    assert {_meets(lab, "pod-a", way.hops[0].packet.dst, 80, tries=1)[0] for way in _ways(answer)} == {"connected"}


def test_whom_a_client_stays_with_is_known_from_its_connection(lab: LabState, cluster: netfs.Cluster) -> None:
    """Before it came both may be chosen. Afterwards the node remembers it, and no trace says it is lost."""
    sticky = next(each.service.cluster_ips[0] for each in cluster.services if each.service.name == "sticky")
    assert _reached(cluster.trace("pod-d", "svc/sticky")) == {"default/pod-b", "default/pod-c"}
    _, took = _meets(lab, "pod-d", sticky, 80, tries=3)
    again = netfs.load(f"lab:{lab.name}").trace("pod-d", "svc/sticky")
    assert len(took) == 1
    assert again.verdict != "dropped"
    assert _reached(again) <= {f"default/{pod}" for pod in took}


def _meets(lab: LabState, source: str, address: str, port: int, *, tries: int) -> tuple[str, frozenset[str]]:
    """What connections come to (``connected`` only where all are), and the pods that took them."""
    before = {pod.name: opened(lab, pod.name) for pod in lab.pods}
    found = {outcome(lab, source, address, port) for _ in range(tries)}
    took = frozenset(name for name, count in before.items() if opened(lab, name) > count)
    return "/".join(sorted(found)), took


def _agrees(answer: Trace, met: str, took: frozenset[str]) -> bool:
    if answer.verdict == "delivered":
        return met == "connected" and {f"default/{pod}" for pod in took} <= _reached(answer)
    return answer.verdict == "dropped" and met != "connected"


def _ways(answer: Trace) -> tuple[Direction, ...]:
    return answer.forward, *answer.forward.branches


def _reached(answer: Trace) -> set[str]:
    return {way.reached.name for way in _ways(answer) if way.reached is not None}


def _said(answer: Trace) -> str:
    ways = [way.drop.why if way.drop is not None else way.unknown or "delivered" for way in _ways(answer)]
    return f"{answer.verdict} ({'; '.join(ways)}; back {answer.reverse.verdict})"


@pytest.mark.parametrize("family", [4, 6])
def test_both_families_and_datagrams_are_told_as_they_are_answered(
    lab: LabState, cluster: netfs.Cluster, family: int
) -> None:
    """Every port of every Service in either family, with what its protocol sends."""
    wrong = []
    for service in lab.kubernetes.services:
        address = next((each for each in service.cluster_ips if (":" in each) == (family == 6)), None)
        for port in service.ports if address is not None else ():
            for source in ("pod-a", "pod-b", "node2"):
                answer = cluster.trace(
                    source, f"svc/{service.name}", proto=port.protocol, port=port.port, family=family
                )
                met = probe.answered(lab, source, address or "", proto=port.protocol, port=port.port, timeout=0.4)
                if answer.verdict != ("delivered" if met else "dropped"):
                    wrong.append(f"{source} to {service.name} {port}: trace {_said(answer)}, answered: {met}")
    assert wrong == []
