"""The evaluator against the kernel, in the language of iptables: random rule sets, real packets, equal fates."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from random import Random

import pytest

from netfs.lab.proxy import iptables as kube_proxy
from netfs.lab.proxy.frontend import Site
from netfs.model.kubernetes import EndpointPort, EndpointSlice, Kubernetes, Service, ServicePort, SliceEndpoint
from tests.kernel.iptables_case import IptablesCase
from tests.kernel.iptables_compare import Report, compare, play
from tests.kernel.iptables_long import long_case
from tests.kernel.iptables_random import counted_case, dense_case, iptables_case
from tests.kernel.iptables_scenarios import BACKENDS, SCENARIOS, packet, refusals, table
from tests.kernel.iptables_sets import sets_case
from tests.kernel.iptables_simulation import Simulation
from tests.kernel.iptables_walk import Walked

pytestmark = pytest.mark.kernel

PROGRAMS = ("iptables-nft-restore", "iptables-legacy-restore", "nft", "ipset")


@pytest.fixture
def unshare(require_program: Callable[[str], str]) -> str:
    for name in PROGRAMS:
        require_program(name)
    return require_program("unshare")


def agreed(cases: Sequence[IptablesCase], unshare: str) -> Report:
    """Every packet of every case went as the rules' evaluator says, and as the whole datapath says.

    The datapath may leave open what the evaluator tells every outcome of.
    """
    answers = play(cases, unshare)
    walked = compare(cases, answers, Walked.of)
    assert not walked.wrong, f"{len(walked.wrong)} disagreements of the datapath, the first:\n{walked.wrong[0]}"
    report = compare(cases, answers)
    assert not report.wrong, f"{len(report.wrong)} disagreements, the first:\n{report.wrong[0]}"
    assert not report.undecided, report.undecided[:3]
    return report


@pytest.mark.parametrize("start", [0, 25])
def test_random_rule_sets(start: int, unshare: str) -> None:
    report = agreed([iptables_case(seed) for seed in range(start, start + 25)], unshare)
    assert report.translated
    assert report.marked


@pytest.mark.parametrize(("start", "count"), [(0, 15), pytest.param(100, 100, marks=pytest.mark.soak)])
def test_random_rule_sets_on_a_bridge(start: int, count: int, unshare: str) -> None:
    cases = [iptables_case(seed, bridge=True) for seed in range(start, start + count)]
    report = compare(cases, play(cases, unshare), Walked.of)
    assert not report.wrong, f"{len(report.wrong)} disagreements, the first:\n{report.wrong[0]}"
    assert report.translated


@pytest.mark.parametrize(("start", "count"), [(0, 10), pytest.param(100, 200, marks=pytest.mark.soak)])
def test_random_matches(start: int, count: int, unshare: str) -> None:
    """Two dozen matches a case: a packet's mark has a bit for each that it fulfils."""
    report = agreed([dense_case(seed) for seed in range(start, start + count)], unshare)
    assert report.marked > 5 * count


@pytest.mark.parametrize(("start", "count"), [(0, 6), pytest.param(100, 100, marks=pytest.mark.soak)])
def test_random_long_chains(start: int, count: int, unshare: str) -> None:
    """What is found by an index is what is met one by one."""
    report = agreed([long_case(seed) for seed in range(start, start + count)], unshare)
    assert report.marked > count


@pytest.mark.parametrize(("start", "count"), [(0, 10), pytest.param(100, 200, marks=pytest.mark.soak)])
def test_random_ipsets(start: int, count: int, unshare: str) -> None:
    """Two dozen sets a case: a packet's mark has a bit for each that it is in."""
    report = agreed([sets_case(seed) for seed in range(start, start + count)], unshare)
    assert report.marked == 24 * count


def counters_agree(seeds: Iterable[int], unshare: str) -> Report:
    cases = [counted_case(seed) for seed in seeds]
    report = compare(cases, play(cases, unshare))
    assert not report.wrong, f"{len(report.wrong)} disagreements, the first:\n{report.wrong[0]}"
    return report


def test_the_rules_said_to_be_met_are_those_that_count(unshare: str) -> None:
    assert counters_agree(range(5), unshare).counted > 12


@pytest.mark.soak
def test_many_rules_said_to_be_met_are_those_that_count(unshare: str) -> None:
    assert counters_agree(range(3000, 3100), unshare).counted > 300


@pytest.mark.soak
@pytest.mark.parametrize("start", range(1000, 1600, 100))
def test_many_random_rule_sets(start: int, unshare: str) -> None:
    report = agreed([iptables_case(seed) for seed in range(start, start + 100)], unshare)
    assert report.rejects
    assert report.branched < report.packets / 4


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_kernel_does_what_the_evaluator_says(name: str, unshare: str) -> None:
    agreed([SCENARIOS[name].case(backend) for backend in BACKENDS], unshare)


def test_rules_of_both_backends_are_met(unshare: str) -> None:
    """Whichever is asked first: what either drops is lost."""
    legacy = table("filter", "-A FORWARD -p udp --dport 80 -j DROP", "-A FORWARD -p udp --dport 82 -j ACCEPT")
    nft = table("filter", "-A FORWARD -p udp --dport 81 -j DROP", "-A FORWARD -p udp --dport 82 -j DROP")
    sent = tuple(packet(number, "10.2.0.9", 80 + number) for number in range(4))
    report = agreed([IptablesCase((("iptables-legacy", legacy), ("iptables-nft", nft)), sent)], unshare)
    assert report.delivered == 3


@pytest.mark.parametrize("family", [4, 6])
def test_every_refusal_is_told_to_the_sender(family: int, unshare: str) -> None:
    scenario = refusals(family)
    report = agreed([scenario.case(backend) for backend in BACKENDS], unshare)
    assert report.rejects == len(BACKENDS) * len(scenario.sent)


def frequencies(case: IptablesCase, unshare: str) -> tuple[Counter[int], dict[int, float]]:
    """How often the kernel gave each mark, and the share that the evaluator gives it."""
    (answer,) = play([case], unshare)
    seen = Counter(each["mark"] for each in answer["rounds"][0])
    one = case.sent[0]
    shares: dict[int, float] = {}
    for fate in Simulation.of(answer, False).first(one.place, one.packet):
        assert fate.share is not None
        shares[fate.packet.mark] = shares.get(fate.packet.mark, 0.0) + fate.share
    return seen, shares


@pytest.mark.parametrize("backend", BACKENDS)
def test_chance_is_as_frequent_as_its_share(backend: str, unshare: str) -> None:
    """Five sigma: false once in two million runs."""
    rules = table(
        "mangle",
        "-A PREROUTING -m statistic --mode random --probability 0.33333333349 -j one",
        "-A PREROUTING -m statistic --mode random --probability 0.5 -j MARK --set-mark 2",
        "-A one -m statistic --mode random --probability 0.25 -j MARK --set-mark 1",
        "-A one -j ACCEPT",
        chains=("one",),
    )
    count = 600
    case = IptablesCase(
        ((f"iptables-{backend}", rules),), tuple(packet(number, "10.2.0.9") for number in range(count)), answers=False
    )
    seen, shares = frequencies(case, unshare)
    assert set(seen) <= set(shares)
    assert sum(shares.values()) == pytest.approx(1.0)
    for mark, share in shares.items():
        assert abs(seen[mark] - count * share) < 5 * (count * share * (1 - share)) ** 0.5, (mark, seen, shares)


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_nth_has_its_share(backend: str, unshare: str) -> None:
    rules = table("mangle", "-A PREROUTING -m statistic --mode nth --every 3 --packet 1 -j MARK --set-mark 1")
    case = IptablesCase(
        ((f"iptables-{backend}", rules),), tuple(packet(number, "10.2.0.9") for number in range(60)), answers=False
    )
    seen, shares = frequencies(case, unshare)
    assert seen == {1: 20, 0: 40}
    assert shares == pytest.approx({1: 1 / 3, 0: 2 / 3})


def services(count: int) -> Kubernetes:
    """Services of one to three backends; every seventh has none, every fifth a node port."""
    random = Random(count)
    found, slices = [], []
    for number in range(count):
        name, port = f"s{number}", ServicePort(80 + number % 3, random.choice(("tcp", "udp")))
        if number % 5 == 0:
            port = ServicePort(port.port, port.protocol, node_port=30000 + number)
        kind = "NodePort" if number % 5 == 0 else "ClusterIP"
        found.append(
            Service(name, type=kind, cluster_ips=(f"10.96.{number // 250}.{1 + number % 250}",), ports=(port,))
        )
        backends = () if number % 7 == 3 else random.sample(range(1, 250), random.randint(1, 3))
        endpoints = tuple(SliceEndpoint(f"10.2.{number % 200}.{each}", node="node1") for each in backends)
        slices.append(EndpointSlice(name, ports=(EndpointPort(8080, port.protocol),), endpoints=endpoints))
    return Kubernetes(tuple(found), tuple(slices))


@pytest.mark.parametrize("backend", BACKENDS)
def test_thousands_of_rules_of_kube_proxy(backend: str, unshare: str) -> None:
    """Chains that are indexed answer as those that the kernel reads one by one.

    An ordinary user's netlink socket holds no transaction of iptables-nft as long as that.
    """
    objects = services(700 if backend == "legacy" or os.geteuid() == 0 else 40)
    rules = kube_proxy.text(objects, Site("node1", "10.1.0.1", "10.1.0.0/16", "10.96.0.0/16"))
    random, spots = Random(7), []
    for number, service in enumerate(random.choices(objects.services, k=60)):
        (port,) = service.ports
        to_node = port.node_port is not None and random.random() < 0.6
        dst, dport = ("10.1.0.1", port.node_port or 0) if to_node else (service.cluster_ips[0], port.port)
        place = random.choice(("client", "client", "router")) if not to_node else "client"
        spots.append(packet(number, dst, dport + (number % 9 == 0), place, port.protocol))
    report = agreed([IptablesCase(((f"iptables-{backend}", rules),), tuple(spots))], unshare)
    assert report.translated > 60
    assert report.rejects
