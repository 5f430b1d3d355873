"""Services in a lab, with real connections: what kube-proxy's rules do in each of their languages."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

import netfs.lab
from netfs.lab import inside, member, plan, probe, rules, state
from netfs.lab.proxy import nftables
from netfs.lab.state import LabState
from tests.kernel.lab_modes import MODES, served

pytestmark = pytest.mark.kernel

SERVICES = (
    "web=pod-b,pod-d:80:8080,type=NodePort,external-ip=203.0.113.5",
    "none=:80,node-port=30099",
    "self=pod-a:80",
    "sticky=pod-b,pod-c:80,affinity=60",
    "here=pod-b:80,internal=Local,external=Local,node-port=30081",
    "dns=pod-b:53:8080/udp+53:80",
    "inner=pod-b:80,lb-ip=203.0.113.80,lb-from=10.244.1.0/24",
    "late=pod-b,pod-d:80,notready=pod-d",
)
NODE1, NODE2 = "192.168.52.11", "192.168.52.12"


@pytest.fixture(scope="module", params=sorted(MODES))
def lab(request: pytest.FixtureRequest, require_program: Callable[[str], str]) -> Iterator[LabState]:
    """A lab of both families with every kind of Service."""
    mode = request.param
    with served(f"services-{mode}-{os.getpid()}", mode, SERVICES, require_program) as made:
        yield made


def address(lab: LabState, name: str, family: int = 4) -> str:
    """A Service's cluster IP."""
    service = next(one for one in lab.kubernetes.services if one.name == name)
    return next(one for one in service.cluster_ips if (":" in one) is (family == 6))


def reaches(lab: LabState, src: str, to: str, port: int = 80, proto: str = "tcp", patience: float = 1.0) -> bool:
    return probe.answered(lab, src, to, proto=proto, port=port, timeout=patience)


def outcome(lab: LabState, src: str, to: str, port: int = 80) -> str:
    """``connected``, ``refused`` at once, or ``silence``."""

    def work() -> str:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sender:
            sender.settimeout(0.4)
            try:
                sender.connect((to, port))
            except ConnectionRefusedError:
                return "refused"
            except OSError:
                return "silence"
        return "connected"

    return inside.capture(lab, lab.member(src), work)


def opened(lab: LabState, pod: str) -> int:
    """TCP connections that a pod's kernel has taken in (``PassiveOpens``)."""

    def work() -> str:
        with open("/proc/1/net/snmp", encoding="ascii") as file:
            rows = [line.split() for line in file if line.startswith("Tcp:")]
        return rows[1][rows[0].index("PassiveOpens")]

    return int(inside.capture(lab, lab.member(pod), work))


def reached(lab: LabState, src: str, to: str, times: int, port: int = 80) -> dict[str, int]:
    """How many of some connections each pod took."""
    before = {pod.name: opened(lab, pod.name) for pod in lab.pods}
    for _ in range(times):
        assert reaches(lab, src, to, port)
    taken = {name: opened(lab, name) - count for name, count in before.items()}
    return {name: count for name, count in taken.items() if count}


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("src", ["pod-a", "pod-d", "node1", "node2"])
def test_a_cluster_ip_answers_pods_and_nodes(lab: LabState, src: str, family: int) -> None:
    assert reaches(lab, src, address(lab, "web", family))
    assert reaches(lab, src, address(lab, "dns", family), 53, "udp")
    assert reaches(lab, src, address(lab, "dns", family), 53, "tcp")


@pytest.mark.parametrize("src", ["pod-a", "pod-b", "node1", "node2", "underlay"])
def test_node_ports_and_external_addresses_answer_on_every_node(lab: LabState, src: str) -> None:
    assert reaches(lab, src, NODE1, 30080)
    assert reaches(lab, src, NODE2, 30080)
    assert reaches(lab, src, "203.0.113.5")


def test_connections_are_spread_over_the_backends(lab: LabState) -> None:
    taken = reached(lab, "pod-a", address(lab, "web"), 40)
    assert set(taken) == {"pod-b", "pod-d"}
    assert sum(taken.values()) == 40


def test_who_is_not_ready_gets_nothing(lab: LabState) -> None:
    assert reached(lab, "pod-a", address(lab, "late"), 12) == {"pod-b": 12}


def test_affinity_keeps_a_client_with_its_backend(lab: LabState) -> None:
    for src in ("pod-a", "pod-d"):
        assert len(reached(lab, src, address(lab, "sticky"), 12)) == 1


@pytest.mark.parametrize("family", [4, 6])
def test_a_pod_reaches_itself_by_its_service(lab: LabState, family: int) -> None:
    assert reached(lab, "pod-a", address(lab, "self", family), 3) == {"pod-a": 3}


@pytest.mark.parametrize("src", ["pod-a", "pod-d", "node1"])
def test_no_endpoint_is_refused_at_once(lab: LabState, src: str) -> None:
    assert outcome(lab, src, address(lab, "none")) == "refused"
    assert not reaches(lab, src, address(lab, "none", 6))


@pytest.mark.parametrize("src", ["pod-a", "underlay"])
def test_a_node_port_without_endpoints_is_refused(lab: LabState, src: str) -> None:
    assert outcome(lab, src, NODE1, 30099) == "refused"


def test_the_policy_local_is_silent_where_no_backend_is(lab: LabState) -> None:
    assert outcome(lab, "pod-d", address(lab, "here")) == "connected"
    assert outcome(lab, "pod-a", address(lab, "here")) == "silence"
    assert outcome(lab, "underlay", NODE2, 30081) == "connected"
    assert outcome(lab, "underlay", NODE1, 30081) == "silence"


def test_a_load_balancer_lets_in_whom_its_source_ranges_name(lab: LabState) -> None:
    assert outcome(lab, "pod-a", "203.0.113.80") == "connected"
    assert outcome(lab, "pod-d", "203.0.113.80") == "silence"
    assert outcome(lab, "underlay", "203.0.113.80") == "silence"


def test_a_port_no_service_has_is_not_served(lab: LabState) -> None:
    wanted = {"nftables": "refused", "iptables": "silence", "iptables-legacy": "silence"}
    assert outcome(lab, "pod-a", address(lab, "web"), 81) == wanted[lab.proxy]


def loaded(lab: LabState, node: str) -> str:
    """The rules of a node as its tools tell them, without counters and without the clients that affinity remembers."""
    argv = {
        "nftables": ["nft", "-s", "list", "table", "ip", "kube-proxy"],
        "iptables": ["iptables-nft-save"],
        "iptables-legacy": ["iptables-legacy-save"],
    }[lab.proxy]
    told = inside.capture(lab, lab.member(node), lambda: member.run(argv, "").stdout)
    told = re.sub(r"\[\d+:\d+\]|(?<=timeout 1m\n)\t\telements = {[^}]*}\n", "", told)
    return "\n".join(line for line in told.splitlines() if not line.startswith("#"))


def test_every_rule_that_was_meant_is_loaded(lab: LabState) -> None:
    whole = plan.make(2, 2, ipv6=True)
    node = whole.nodes[0]
    told = loaded(lab, "node1")
    if lab.proxy != "nftables":
        loads = [
            one for one in rules.programs(whole, node, lab.proxy, lab.kubernetes) if one.argv[0].startswith("iptables")
        ]
        text = "".join(one.text for one in loads)
        meant = Counter(line.split()[1] for line in text.splitlines() if line[:3] in ("-A ", "-I "))
        assert Counter(line.split()[1] for line in told.splitlines() if line.startswith("-A ")) == meant
        assert 'default/web -> 10.244.2.2:8080" -m statistic --mode random --probability 0.50000000000 -j' in told
        return
    text = "".join(nftables.parts(lab.kubernetes, rules.site(node, 4)))
    chains = re.findall(r"^  chain (\S+) {$", text, re.MULTILINE)
    assert sorted(re.findall(r"^\tchain (\S+) {$", told, re.MULTILINE)) == sorted(chains)
    for words in ("dnat to", "jump ", "goto ", "numgen random", "update @", "fib saddr"):
        assert told.count(words) == text.count(words), words


def sync(lab: LabState, node: str, work: Callable[[plan.Plan, plan.NodePlan], None]) -> None:
    """Do something to a node's rules, inside it."""
    whole = plan.make(2, 2, ipv6=True)
    this = next(one for one in whole.nodes if one.name == node)

    def inside_node() -> str:
        work(whole, this)
        return ""

    inside.capture(lab, lab.member(node), inside_node)


def test_a_second_sync_changes_nothing_and_a_clean_up_leaves_nothing(lab: LabState) -> None:
    before = loaded(lab, "node2")
    sync(lab, "node2", lambda whole, this: rules.again(whole, this, lab.proxy, lab.kubernetes))
    assert loaded(lab, "node2") == before
    sync(lab, "node2", lambda whole, this: rules.again(whole, this, lab.proxy, state.NOTHING))
    assert "10.96.0.10" not in loaded(lab, "node2")
    sync(lab, "node2", lambda whole, this: rules.flush(whole, this, lab.proxy))
    assert set(re.findall(r"^:(KUBE-\S+)", loaded(lab, "node2"), re.MULTILINE)) <= {"KUBE-FIREWALL"}
    assert "kube-proxy" not in loaded(lab, "node2")
    assert not reaches(lab, "pod-d", address(lab, "web"), patience=0.2)
    sync(lab, "node2", lambda whole, this: rules.again(whole, this, lab.proxy, lab.kubernetes))
    assert sorted(loaded(lab, "node2").splitlines()) == sorted(before.splitlines())
    assert reaches(lab, "pod-d", address(lab, "web"))
    sync(lab, "node2", lambda whole, this: rules.anew(whole, this, lab.proxy, lab.kubernetes))
    assert loaded(lab, "node2") == before


def test_the_source_tells_the_labs_objects_and_its_pods_labels(lab: LabState) -> None:
    snapshots = netfs.load(f"lab:{lab.name}").snapshots
    assert snapshots.kubernetes == lab.kubernetes
    pods = {pod.name: pod for node in snapshots.nodes for pod in node.pods}
    assert pods["pod-b"].labels["app"] == "pod-b"
    assert pods["pod-b"].labels["netfs.lab/web"] == "backend"
    assert "netfs.lab/web" not in pods["pod-a"].labels


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_two_hundred_services_are_loaded_at_once(mode: str) -> None:
    """A bound far above what it takes: rules must not be loaded one by one."""
    name = f"plain-{os.getpid()}"
    took = []
    for services in ((), [f"s{number}=pod-b,pod-d:80" for number in range(200)]):
        start = time.monotonic()
        netfs.lab.up(name, services=services, proxy=mode)
        took.append(time.monotonic() - start)
        netfs.lab.down(name)
    assert took[1] < 5 * took[0] + 2.0


def test_without_kube_proxy_nobody_serves() -> None:
    name = f"bare-{os.getpid()}"
    lab = netfs.lab.up(name, proxy="none", services=["web=pod-b:80"])
    try:
        assert not reaches(lab, "pod-a", address(lab, "web"), patience=0.2)
        assert reaches(lab, "pod-a", lab.member("pod-b").ip)
    finally:
        with contextlib.suppress(netfs.errors.LabError):
            netfs.lab.down(name)
