"""The whole datapath against the kernel, with random rule sets of nftables: packets there and their answers back."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from tests.kernel.iptables_case import IptablesCase
from tests.kernel.iptables_compare import compare, play
from tests.kernel.iptables_random import packets
from tests.kernel.iptables_walk import Walked
from tests.kernel.netfilter_random import rule_set

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize(("start", "count"), [(0, 30), pytest.param(1000, 300, marks=pytest.mark.soak)])
def test_random_rule_sets(start: int, count: int, require_program: Callable[[str], str]) -> None:
    for name in ("nft", "ipset"):
        require_program(name)
    cases = [
        IptablesCase((), packets(Random(seed), seed, (4, 6), seed % 5 == 0), nft=rule_set(seed), bridge=seed % 5 == 0)
        for seed in range(start, start + count)
    ]
    report = compare(cases, play(cases, require_program("unshare")), Walked.of)
    assert not report.wrong, f"{len(report.wrong)} disagreements, the first:\n{report.wrong[0]}"
    assert report.delivered > 5 * count
    assert len(report.undecided) < report.packets / 10
