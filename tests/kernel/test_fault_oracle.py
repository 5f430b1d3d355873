"""The catalogue of faults against the kernel, each in a lab of its own.

For each fault: break the lab, send a real packet, trace the same packet. The trace must say what happened,
the finding of that name must be reported, and its fix, executed where it says, must really repair.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

import netfs
import netfs.lab
from netfs.lab import faults, inside, member, probe
from netfs.lab.faults import Fault
from netfs.lab.state import LabState
from netfs.model.trace import Finding, Trace

HEADERS = {"icmp": 8, "tcp": 20, "udp": 8}
"""Bytes of transport header that the lab's probe adds to its payload."""

pytestmark = pytest.mark.kernel


@pytest.fixture
def lab() -> Iterator[LabState]:
    """A lab of two nodes with both families."""
    name = f"fault-{os.getpid()}"
    state = netfs.lab.up(name, ipv6=True)
    yield state
    netfs.lab.down(name)


def addressed(lab: LabState, fault: Fault) -> str:
    """The address the fault's probe goes to."""
    target = lab.member(fault.probe.dst)
    planned = target.ip6 if fault.probe.family == 6 else target.ip
    return fault.probe.address or planned or ""


def answered(lab: LabState, fault: Fault, patience: float, *, planned: bool = False) -> bool:
    """Whether the kernel answers the fault's probe, and the right pod saw it."""
    sent = fault.probe
    target = lab.member(sent.dst)
    address = (target.ip6 if sent.family == 6 else target.ip) or "" if planned else addressed(lab, fault)
    before = echoes(lab, sent.dst)
    got = probe.answered(lab, sent.src, address, proto=sent.proto, port=sent.port, size=sent.size, timeout=patience)
    return got and (sent.proto != "icmp" or echoes(lab, sent.dst) > before)


def echoes(lab: LabState, name: str) -> int:
    """Echo requests that a member's kernel took in (``Icmp.InEchos``, ``Icmp6InEchos``)."""

    def work() -> str:
        with open("/proc/1/net/snmp", encoding="ascii") as file:
            rows = [line.split() for line in file if line.startswith("Icmp:")]
        with open("/proc/1/net/snmp6", encoding="ascii") as file:
            six = next((line.split()[1] for line in file if line.startswith("Icmp6InEchos")), "0")
        return str(int(rows[1][rows[0].index("InEchos")]) + int(six))

    return int(inside.capture(lab, lab.member(name), work))


def traced(lab: LabState, fault: Fault) -> tuple[Trace, tuple[Finding, ...]]:
    """The trace of the fault's probe, and every finding of the cluster."""
    cluster = netfs.load(f"lab:{lab.name}")
    sent = fault.probe
    size = None
    if sent.proto != "tcp":
        size = sent.size + HEADERS[sent.proto] + (40 if sent.family == 6 else 20)
    answer = cluster.trace(
        sent.src, sent.address or sent.dst, proto=sent.proto, port=sent.port, size=size, family=sent.family
    )
    return answer, cluster.findings()


@pytest.mark.parametrize("slug", sorted(faults.catalogue()))
def test_the_trace_agrees_with_the_kernel_and_the_fix_repairs(lab: LabState, slug: str) -> None:
    """Verdict, finding and fix of one fault."""
    fault = faults.catalogue()[slug]
    if "nft" in fault.tools and shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin") is None:
        pytest.skip("nft is not installed")
    netfs.lab.break_fault(lab.name, slug)
    arrived = answered(lab, fault, 0.4)
    answer, everything = traced(lab, fault)
    assert answer.verdict == ("delivered" if arrived else "dropped"), (answer.forward, answer.reverse)
    assert slug in {finding.slug for finding in answer.findings}, [finding.slug for finding in answer.findings]
    repair(lab, slug)
    assert recovers(lab, fault), "the fix did not repair"
    answer, everything = traced(lab, fault)
    assert slug not in {finding.slug for finding in (*everything, *answer.findings)}


def repair(lab: LabState, slug: str) -> None:
    """Run the fixes of a fault's findings, as ``netfs doctor`` or, failing that, the trace gives them."""
    fault = faults.catalogue()[slug]
    answer, everything = traced(lab, fault)
    for finding in [one for one in everything if one.slug == slug] or answer.findings:
        if finding.slug == slug:
            execute(lab, finding)


def recovers(lab: LabState, fault: Fault) -> bool:
    """Whether the probe passes now: at the third packet at the latest, since a sender learns the path's MTU from the
    first; or once what the fault left in neighbour tables, a finding of its own by now, is repaired as well."""
    for _ in range(3):
        if answered(lab, fault, 0.7, planned=True):
            return True
    answer, _ = traced(lab, fault)
    for finding in answer.findings:
        assert finding.slug.startswith("neighbour-"), finding
        execute(lab, finding)
    return answered(lab, fault, 2.0, planned=True)


def execute(lab: LabState, finding: Finding) -> None:
    """Run a finding's fix where it says; what can only be said in words, the lab itself repairs."""
    if finding.fix.startswith("#"):
        netfs.lab.repair(lab.name, finding.slug)
        return

    def work() -> str:
        done = member.run(["sh", "-c", finding.fix], "")
        return f"{done.returncode} {done.stderr}"

    outcome = inside.capture(lab, lab.member(finding.netns or finding.node), work)
    assert outcome.startswith("0 "), f"{finding.fix}: {outcome}"


def test_a_healthy_lab_has_no_finding_of_severity_error(lab: LabState) -> None:
    """Nothing is cried over when nothing is wrong."""
    cluster = netfs.load(f"lab:{lab.name}")
    assert [finding for finding in cluster.findings() if finding.severity == "error"] == []
    for source, destination in (
        ("pod-a", "pod-b"),
        ("pod-a", "pod-c"),
        ("node/node1", "pod-b"),
        ("pod-b", "node/node1"),
    ):
        answer = cluster.trace(source, destination)
        assert answer.verdict == "delivered"
        assert answer.findings == ()
