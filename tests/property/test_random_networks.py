"""Random small networks: what the simulator says of a probe is what the kernel does with it.

A disagreement is shrunk and printed as commands to replay; ``NETFS_KEEP_REGRESSIONS=1`` keeps it under
``tests/property/regressions``, which ``test_network_regressions.py`` plays ever after.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.property.networks.generate import PATTERNS, healthy_spec, random_spec
from tests.property.networks.oracle import Oracle, oracle
from tests.property.networks.spec import Spec, from_json, to_json
from tests.property.networks.worker import Result

pytestmark = pytest.mark.kernel

NETWORKS = 300
CHUNK = 15
SOAK = int(os.environ.get("NETFS_SOAK", "5000"))
"""Fresh networks that a soak plays."""
REPORTED = 2
"""Disagreements that one chunk shrinks and prints; shrinking takes seconds each."""


@pytest.fixture(scope="module")
def kernel() -> Iterator[Oracle[Result]]:
    with oracle() as found:
        yield found


def _agree(kernel: Oracle[Result], seeds: range) -> Counter[str]:
    """Plays every seed; fails with the disagreements, else returns what became of the probes."""
    tally: Counter[str] = Counter()
    wrong: list[Spec] = []
    for seed in seeds:
        spec = random_spec(seed)
        result, found = kernel.judge(spec)
        tally[spec.pattern] += 1
        tally["delivered" if result.observed.delivered else "dropped"] += 1
        tally["answered" if result.observed.answered else "unanswered"] += 1
        tally["unsteady"] += result.observed.unsteady
        if found is not None:
            wrong.append(spec)
    if wrong:
        told = "\n\n".join(kernel.explain(spec) for spec in wrong[:REPORTED])
        pytest.fail(f"{len(wrong)} of {len(seeds)} disagree, seeds {[spec.seed for spec in wrong]}\n{told}")
    assert tally["unsteady"] <= len(seeds) // 5, "too many networks in which the kernel did not do the same thing twice"
    return tally


@pytest.mark.parametrize("first", range(0, NETWORKS, CHUNK))
def test_simulator_and_kernel_agree(kernel: Oracle[Result], first: int) -> None:
    print(dict(_agree(kernel, range(first, first + CHUNK))))


@pytest.mark.soak
@pytest.mark.parametrize("part", range(max(1, SOAK // 100)))
@pytest.mark.timeout(600)
def test_simulator_and_kernel_agree_on_fresh_networks(kernel: Oracle[Result], part: int) -> None:
    first = NETWORKS + _fresh() + part * 100
    print(first, dict(_agree(kernel, range(first, first + min(100, SOAK)))))


def _fresh() -> int:
    """Where fresh seeds begin: another place in each run, the same in all workers of one run."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    return random.Random(run).randrange(1 << 40)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_network_in_working_order_is_set_up_without_refusal(kernel: Oracle[Result], pattern: str) -> None:
    for seed in (1, 2, 3):
        result = kernel.ask(healthy_spec(seed, pattern))
        assert result.refused == ()


def test_about_half_of_the_random_networks_deliver(kernel: Oracle[Result]) -> None:
    delivered = sum(bool(kernel.ask(random_spec(seed)).observed.answered) for seed in range(40))
    assert 10 <= delivered <= 32


def test_the_kernel_answers_the_same_network_alike(kernel: Oracle[Result]) -> None:
    for seed in (2, 4, 11):
        first, second = (kernel.ask(random_spec(seed)).observed for _ in range(2))
        assert (first.delivered, first.answered) == (second.delivered, second.answered)
        assert set(first.request) == set(second.request)


def test_the_same_seed_is_the_same_network_and_survives_json() -> None:
    for seed in range(50):
        spec = random_spec(seed)
        assert spec == random_spec(seed)
        assert from_json(to_json(spec)) == spec
