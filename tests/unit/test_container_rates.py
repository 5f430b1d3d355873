"""What happened between two readings of control groups."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfs.container.rates import following, with_rates
from netfs.model.cgroups import Cgroup, Cgroups, Cpu, Io, Memory, Rates
from netfs.model.findings import Finding
from tests.unit.cgroup_records import group, tree

BEFORE = Cgroup(
    "/a",
    inode=5,
    cpu=Cpu(usage_us=1_000_000, throttled_us=100, throttled_periods=10, periods=100),
    memory=Memory(current=500),
    io=(Io("8:0", 1000, 2000),),
)
AFTER = Cgroup(
    "/a",
    inode=5,
    cpu=Cpu(usage_us=2_000_000, throttled_us=400, throttled_periods=15, periods=120),
    memory=Memory(current=100),
    io=(Io("8:0", 3000, 2000), Io("8:16", 0, 800)),
)


def rates(before: Cgroup, after: Cgroup, seconds: float = 2.0) -> Rates | None:
    return with_rates(tree(before, at=10.0), tree(after, at=10.0 + seconds)).groups[0].rates


def test_what_happened_in_each_second() -> None:
    assert rates(BEFORE, AFTER) == Rates(500_000.0, 150.0, 0.25, 1000.0, 400.0, -200.0)


def test_a_group_that_was_made_anew_or_since_has_none() -> None:
    assert rates(BEFORE, replace(AFTER, inode=6)) is None
    assert rates(BEFORE, replace(AFTER, path="/b")) is None


def test_a_counter_that_went_back_has_no_rate() -> None:
    assert BEFORE.cpu is not None
    assert BEFORE.memory is not None
    back = rates(AFTER, BEFORE)
    assert back == Rates(None, None, None, None, 0.0, 200.0)


def test_what_was_not_read_has_no_rate() -> None:
    assert rates(Cgroup("/a"), Cgroup("/a")) == Rates()
    assert rates(BEFORE, Cgroup("/a", inode=5)) == Rates()
    assert rates(Cgroup("/a", inode=5, io=(Io("8:0"),)), AFTER) == Rates(written_bytes=None, read_bytes=None)


def test_without_a_period_there_is_no_share() -> None:
    found = rates(BEFORE, BEFORE)
    assert found is not None
    assert (found.throttled_share, found.cpu_us) == (None, 0.0)


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_two_readings_at_one_moment_have_none(seconds: float) -> None:
    assert rates(BEFORE, AFTER, seconds) is None


def test_findings_of_throttling_are_of_the_interval() -> None:
    old = Finding("cgroup-cpu-throttled", "warning", "/a", "long ago", "")
    kept = Finding("cgroup-oom-killed", "error", "/b", "once", "")
    before, after = (Cgroups((replace(tree(each, at=at), node="n"),)) for each, at in ((BEFORE, 1.0), (AFTER, 3.0)))
    told = following(before, replace(after, findings=(old, kept)), ())
    assert told.findings[0] == kept
    assert [finding.evidence.split(",")[0] for finding in told.findings[1:]] == [
        "stopped in 25 % of its periods just now"
    ]
    assert told.trees[0].groups[0].rates is not None


def test_a_node_that_is_new_has_no_rates() -> None:
    after = Cgroups((replace(tree(AFTER, at=3.0), node="new"),))
    assert following(Cgroups(()), after, ()).trees == after.trees


COUNT = st.none() | st.integers(0, 1 << 63)


@given(*[st.tuples(COUNT, COUNT, COUNT, COUNT, COUNT)] * 2, st.floats(0.001, 1e6))
def test_no_rate_is_negative_but_that_of_memory(
    one: tuple[int | None, ...], other: tuple[int | None, ...], seconds: float
) -> None:
    def made(numbers: tuple[int | None, ...]) -> Cgroup:
        usage, lost, part, whole, read = numbers
        cpu = Cpu(usage_us=usage, throttled_us=lost, throttled_periods=part, periods=whole)
        return group("/a", cpu=cpu, io=(Io("8:0", read, read),))

    found = rates(made(one), made(other), seconds)
    assert found is not None
    for value in (found.cpu_us, found.throttled_us, found.read_bytes, found.written_bytes):
        assert value is None or value >= 0
    assert found.throttled_share is None or 0 <= found.throttled_share <= 1
