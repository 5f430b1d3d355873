"""``netfs doctor``: the verdict over findings and gaps."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from syrupy.assertion import SnapshotAssertion

from netfs.cluster.topology import Topology
from netfs.model.findings import Finding
from netfs.model.gaps import Gap
from netfs_cli.commands.doctor import examination
from netfs_cli.render.doctor import render
from netfs_cli.render.ink import Ink
from tests.cli import answers
from tests.cli.conftest import FakeCluster, FakeHeld, Result

Run = Callable[..., Result]

ERROR, WARNING = answers.DROPPED.findings
INFO = Finding("firewall-two-backends", "info", "node1", "both hold rules", "", "node1", "node1")
FIREWALL = tuple(Gap(f"node{n}", "iptables", "iptables-nft-save is not installed") for n in (1, 2, 3))
UNREAD_RULES = (Gap("node1", "nft", "Operation not permitted"),)
LINKS = (Gap("node1/pod-a", "links", "permission denied"),)


@pytest.mark.parametrize(
    ("findings", "gaps", "nodes", "verdict"),
    [
        ((), (), 2, "healthy"),
        ((WARNING, INFO), (), 2, "healthy"),
        ((), FIREWALL, 2, "healthy"),
        ((WARNING, ERROR), (), 2, "defective"),
        ((ERROR,), LINKS, 2, "defective"),
        ((), LINKS, 2, "unknown"),
        ((), UNREAD_RULES, 2, "unknown"),
        ((), (), 0, "unknown"),
    ],
)
def test_defective_before_unknown_before_healthy(
    findings: tuple[Finding, ...], gaps: tuple[Gap, ...], nodes: int, verdict: str
) -> None:
    assert examination(findings, gaps, nodes=nodes, pods=4).verdict == verdict


@pytest.mark.parametrize(
    ("findings", "gaps"),
    [((), ()), ((INFO, WARNING, ERROR), FIREWALL), ((), LINKS)],
    ids=["healthy", "defective", "unknown"],
)
@pytest.mark.parametrize("wide", [False, True], ids=["text", "wide"])
def test_examination_reads_as_agreed(
    findings: tuple[Finding, ...], gaps: tuple[Gap, ...], wide: bool, snapshot: SnapshotAssertion
) -> None:
    answer = examination(findings, gaps, nodes=2, pods=4)
    assert render(answer, Ink(), width=96, wide=wide) == snapshot


@pytest.mark.parametrize(("found", "status"), [((), 0), ((WARNING,), 0), ((WARNING, ERROR), 1)])
def test_status_is_the_verdict(run: Run, cluster: FakeCluster, found: tuple[Finding, ...], status: int) -> None:
    cluster.found = found
    assert run("doctor").status == status
    assert run("doctor", "-o", "json").status == status


def test_what_decides_and_was_not_read_is_undecided(run: Run, cluster: FakeCluster) -> None:
    first, *others = cluster.topology.snapshots
    cluster.topology = Topology([replace(first, gaps=LINKS), *others])
    result = run("doctor")
    assert result.status == 3
    assert "UNDECIDED" in result.out
    assert "permission denied" in result.out


def test_json_carries_findings_and_gaps(run: Run, cluster: FakeCluster) -> None:
    cluster.found = (ERROR,)
    shown = json.loads(run("doctor", "-o", "json").out)
    assert (shown["schema"], shown["verdict"]) == ("netfs.findings/v1", "defective")
    assert [finding["slug"] for finding in shown["findings"]] == ["vxlan-vni-mismatch"]
    assert shown["gaps"] == []


def test_the_severe_come_first(run: Run, cluster: FakeCluster) -> None:
    cluster.found = (INFO, WARNING, ERROR)
    out = run("doctor").out
    assert out.index(ERROR.slug) < out.index(WARNING.slug) < out.index(INFO.slug)


def test_what_live_nodes_lack_is_told_with_the_rest_and_decides_with_it(run: Run, cluster: FakeCluster) -> None:
    killed = Finding("cgroup-oom-killed", "error", "node1/kubepods/pod1", "1 process was killed", "raise the limit")
    cluster.held = FakeHeld((killed,), (Gap("/proc", "namespaces by process", "1 process may not be looked at"),))
    result = run("doctor")
    assert (result.status, "cgroup-oom-killed" in result.out, "may not be looked at" in result.out) == (1, True, True)
    cluster.held = FakeHeld((), cluster.held.unread)
    assert run("doctor").status == 0  # what one process is in does not decide about the network
