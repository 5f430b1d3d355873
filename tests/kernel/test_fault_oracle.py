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
from netfs.model.findings import Finding
from netfs.model.kubernetes import LabelSelector, NetworkPolicy, PolicyPeer, PolicyPort, PolicyRule
from netfs.model.trace import Trace
from tests.kernel.sampled import sampled

HEADERS = {"icmp": 8, "tcp": 20, "udp": 8}
"""Bytes of transport header that the lab's probe adds to its payload."""

pytestmark = pytest.mark.kernel


UNDECIDED = frozenset({"firewall-unknown-match"})
"""Faults that nothing is lost by: they are what netfs cannot know."""
PATH = "/usr/sbin:/sbin:/usr/bin"
TOOLS = {"iptables": "iptables-nft", "iptables-legacy": "iptables-legacy", "nftables": "nft", "none": "nft"}
"""The modes of kube-proxy, and what each needs."""
SERVICES = ("web=pod-b,pod-d:80", "dns=pod-c:53:8080/udp", "door=pod-b:80,type=NodePort")
OF_RULES = sorted(
    slug for slug, fault in faults.catalogue().items() if fault.services and fault.proxy is None and fault.lost
)
"""Faults of what kube-proxy writes: they are played in every mode."""
BY_MODE = sorted(slug for slug, fault in faults.catalogue().items() if fault.iptables_breaks)
"""Faults that break otherwise where the rules are iptables's."""


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[LabState]:
    """A lab of two nodes with both families, and with what the fault of the test needs."""
    params = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    wanted = faults.catalogue()[params["slug"]] if "slug" in params else None
    for tool in wanted.tools if wanted is not None else ():
        if shutil.which(tool, path=PATH) is None:
            pytest.skip(f"{tool} is not installed")
    asked = wanted.lab if wanted is not None else {}
    if mode := params.get("mode"):
        if shutil.which(TOOLS[mode], path=PATH) is None:
            pytest.skip(f"{TOOLS[mode]} is not installed")
        asked = {"services": SERVICES if mode != "none" else (), **asked, "proxy": mode}
    name = f"fault-{os.getpid()}"
    state = netfs.lab.up(name, ipv6=True, **asked)
    yield state
    netfs.lab.down(name)


def addressed(lab: LabState, fault: Fault) -> str:
    """The address the fault's probe goes to."""
    return fault.probe.address or fault.probe.planned(lab)


def answered(lab: LabState, fault: Fault, patience: float, *, planned: bool = False) -> bool:
    """Whether the kernel answers the fault's probe, and the right pod saw it."""
    sent = fault.probe
    address = sent.planned(lab) if planned else addressed(lab, fault)
    before = echoes(lab, sent.dst) if sent.proto == "icmp" else 0
    got = probe.answered(
        lab, sent.src, address, proto=sent.proto, port=sent.port, sport=sent.sport, size=sent.size, timeout=patience
    )
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
    named = sent.dst if sent.address is None and sent.dst != lab.fabric.name else addressed(lab, fault)
    answer = cluster.trace(
        sent.src, named, proto=sent.proto, port=sent.port, sport=sent.sport, size=size, family=sent.family
    )
    return answer, cluster.findings()


@pytest.mark.parametrize("slug", sampled(sorted(faults.catalogue())))
def test_the_trace_agrees_with_the_kernel_and_the_fix_repairs(lab: LabState, slug: str) -> None:
    """Verdict, finding and fix of one fault."""
    play(lab, slug)


@pytest.mark.parametrize("mode", ["iptables-legacy", "nftables"])
@pytest.mark.parametrize("slug", sampled(OF_RULES))
def test_what_kube_proxy_writes_is_judged_alike_in_its_other_modes(lab: LabState, slug: str, mode: str) -> None:
    """As above; iptables is the mode of above."""
    play(lab, slug)


@pytest.mark.parametrize("mode", ["iptables", "iptables-legacy", "none"])
@pytest.mark.parametrize("slug", BY_MODE)
def test_what_flannel_writes_is_broken_in_every_mode(lab: LabState, slug: str, mode: str) -> None:
    """As above; nftables is the mode of above."""
    play(lab, slug)


def play(lab: LabState, slug: str) -> None:
    """Break, ask the kernel, trace, repair by the finding's fix, ask again."""
    fault = faults.catalogue()[slug]
    netfs.lab.break_fault(lab.name, slug)
    arrived = answered(lab, fault, 0.4 if fault.lost else 2.0)
    answer, everything = traced(lab, fault)
    expected = "unknown" if slug in UNDECIDED else "delivered" if arrived else "dropped"
    assert answer.verdict == expected, (answer.forward, answer.reverse)
    assert slug in {finding.slug for finding in answer.findings}, [finding.slug for finding in answer.findings]
    repair(lab, slug)
    assert recovers(lab, fault), "the fix did not repair"
    answer, everything = traced(lab, fault)
    assert slug not in {finding.slug for finding in (*everything, *answer.findings)}
    if slug in netfs.lab.status(lab.name).broken:
        netfs.lab.repair(lab.name, slug)
        assert recovers(lab, fault), "the lab's own repair, after the fix, does harm"


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


@pytest.mark.parametrize("mode", ["iptables", "iptables-legacy", "nftables"])
def test_a_healthy_lab_with_services_has_no_finding_of_severity_error(lab: LabState, mode: str) -> None:
    """In every mode of kube-proxy, traces to every Service included."""
    cluster = netfs.load(f"lab:{lab.name}")
    assert [finding for finding in cluster.findings() if finding.severity == "error"] == []
    for source in ("pod-a", "pod-b", "node/node1"):
        for destination, proto, port in (("svc/web", "tcp", 80), ("svc/dns", "udp", 53), ("svc/door", "tcp", 80)):
            answer = cluster.trace(source, destination, proto=proto, port=port)
            assert answer.verdict == "delivered", (source, destination, answer.forward.hops[-1], answer.reverse)
            assert [finding for finding in answer.findings if finding.severity == "error"] == []
    outside = cluster.trace("pod-a", "192.168.52.1")
    assert (outside.verdict, outside.findings) == ("delivered", ())


POLICY = NetworkPolicy(
    "b-from-a",
    pods=LabelSelector({"app": "pod-b"}),
    ingress=(PolicyRule((PolicyPeer(LabelSelector({"app": "pod-a"})),), (PolicyPort("tcp", 80),)),),
)
ENFORCED = """table inet enforcer {
  chain forward {
    type filter hook forward priority filter; policy accept;
    ct state established,related accept
    ip saddr 10.244.1.2 ip daddr 10.244.2.2 tcp dport 80 accept
    ip daddr 10.244.2.2 drop
  }
}
"""


def test_an_enforced_policy_is_no_finding_but_the_drop_it_asks_for_is(lab: LabState) -> None:
    """A policy and the rules that enforce it agree; a drop that no policy asks for says so."""
    netfs.lab.down(lab.name)
    netfs.lab.up(lab.name, policies=(POLICY,))
    nft(lab, "node2", ENFORCED)
    cluster = netfs.load(f"lab:{lab.name}")
    assert [finding.slug for finding in cluster.findings()] == []
    allowed = cluster.trace("pod-a", "pod-b", proto="tcp", port=80)
    assert (allowed.verdict, allowed.findings) == ("delivered", ())
    for source, port in (("pod-c", 80), ("pod-a", 8080)):
        denied = cluster.trace(source, "pod-b", proto="tcp", port=port)
        assert [finding.slug for finding in denied.findings] == ["networkpolicy-drops"], denied.findings
        assert "ip daddr 10.244.2.2 drop" in denied.findings[0].evidence
        assert not probe.answered(netfs.lab.status(lab.name), source, "10.244.2.2", proto="tcp", port=port, timeout=0.3)
    nft(lab, "node2", "add rule inet enforcer forward ip daddr 10.244.2.3 drop\n")
    other = netfs.load(f"lab:{lab.name}").trace("pod-a", "pod-d", proto="tcp", port=80)
    assert [finding.slug for finding in other.findings] == ["firewall-rule-drops"]
    assert "no NetworkPolicy asks for this" in other.findings[0].evidence


def nft(lab: LabState, name: str, text: str) -> None:
    """Load rules into a member."""
    here = netfs.lab.status(lab.name)

    def work() -> str:
        return member.run(["nft", "-f", "-"], text).stderr

    assert inside.capture(here, here.member(name), work) == ""


@pytest.mark.parametrize(
    ("one", "other", "probed"),
    [
        ("firewall-forward-drop", "masquerade-pod-to-pod", "pod-b"),
        ("networkpolicy-unenforced", "firewall-two-backends", "pod-b"),
        ("firewall-rule-drops", "mtu-overlay-too-big", "pod-b"),
    ],
)
def test_two_faults_at_once_are_two_findings(lab: LabState, one: str, other: str, probed: str) -> None:
    """Neither hides the other."""
    for slug in (one, other):
        netfs.lab.break_fault(lab.name, slug)
    cluster = netfs.load(f"lab:{lab.name}")
    told = {finding.slug for finding in cluster.findings()}
    for proto in ("icmp", "tcp"):
        told |= {finding.slug for finding in cluster.trace("pod-a", probed, proto=proto).findings}
    assert {one, other} <= told
