"""Random small networks, played live: what ``trace --live`` tells of a packet is what became of it.

Each network is traced with a real probe, and, read anew, with three more. A disagreement is shrunk and printed as
commands to replay; ``NETFS_KEEP_REGRESSIONS=1`` keeps it under ``tests/property/regressions``, where all of them are
played ever after, live as well.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator

import pytest

from netfs.model.trace import DROPPED, Trace
from tests.property.networks.generate import random_spec
from tests.property.networks.live_rules import UNTOLD
from tests.property.networks.oracle import REGRESSIONS, Oracle, live_oracle
from tests.property.networks.spec import Spec, from_json
from tests.property.networks.watch import Played

pytestmark = pytest.mark.kernel

NETWORKS = 16
CHUNK = 10
SOAK = int(os.environ.get("NETFS_SOAK", "5000"))
"""Fresh networks that a soak plays."""
PART = 100
REPORTED = 2
"""Disagreements that one chunk shrinks and prints; shrinking takes half a minute each."""
WORDLESS = 0.05
"""Of the drops that the kernel was to tell of, the part of which nothing may be heard."""


@pytest.fixture(scope="module")
def live() -> Iterator[Oracle[Played]]:
    with live_oracle() as found:
        yield found


def _agree(live: Oracle[Played], seeds: range) -> Counter[str]:
    """Plays every seed; fails with the disagreements, else returns what became of the probes."""
    tally: Counter[str] = Counter()
    wrong: list[Spec] = []
    for seed in seeds:
        spec = random_spec(seed)
        played, found = live.judge(spec)
        for run in played.runs:
            tally[run.trace.forward.verdict] += 1
            _count_words(tally, run.trace)
        if found is not None:
            wrong.append(spec)
    if wrong:
        told = "\n\n".join(live.explain(spec) for spec in wrong[:REPORTED])
        pytest.fail(f"{len(wrong)} of {len(seeds)} disagree, seeds {[spec.seed for spec in wrong]}\n{told}")
    assert tally["unspoken"] <= max(2, WORDLESS * tally["drops"]), tally
    return tally


def _count_words(tally: Counter[str], trace: Trace) -> None:
    """How many drops there were that taps saw the packet before, and of how many the kernel said nothing."""
    assert trace.live is not None
    if trace.live.unheard is not None:
        return
    for direction, way in ((trace.forward, trace.live.forward), (trace.reverse, trace.live.reverse)):
        taken = direction if way.branch == 0 else direction.branches[way.branch - 1]
        if taken.verdict == DROPPED and taken.drop is not None and way.last is not None:
            if taken.drop.reason not in UNTOLD:
                tally["drops"] += 1
                tally["unspoken"] += taken.drop.kernel is None


@pytest.mark.parametrize("first", range(0, NETWORKS, CHUNK))
def test_what_is_seen_fits_what_is_predicted(live: Oracle[Played], first: int) -> None:
    print(dict(_agree(live, range(first, first + CHUNK))))


@pytest.mark.parametrize("path", sorted(REGRESSIONS.glob("*.json")), ids=lambda path: path.stem)
def test_a_network_that_was_told_wrongly_is_seen_as_it_is_told(live: Oracle[Played], path: os.PathLike[str]) -> None:
    with open(path, "rb") as file:
        spec = from_json(file.read())
    _, found = live.judge(spec)
    assert found is None, f"{found}\n" + "\n".join(spec.commands())


@pytest.mark.soak
@pytest.mark.parametrize("part", range(max(1, SOAK // PART)))
@pytest.mark.timeout(1200)
def test_what_is_seen_fits_what_is_predicted_on_fresh_networks(live: Oracle[Played], part: int) -> None:
    first = NETWORKS + _fresh() + part * PART
    print(first, dict(_agree(live, range(first, first + min(PART, SOAK)))))


def _fresh() -> int:
    """Where fresh seeds begin: another place in each run, the same in all workers of one run."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    return random.Random(f"live-{run}").randrange(1 << 40)
