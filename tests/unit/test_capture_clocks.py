"""Clocks of machines, estimated from the packets that went between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netfs.capture.compare.clocks import Clocks, Tick, estimate

HERE, THERE, BEYOND = "here", "there", "beyond"
S = 1_000_000_000


def test_one_packet_there_and_one_back_are_what_ntp_makes_of_them() -> None:
    t1, t2, t3, t4 = 1000 * S, 1003 * S + 400, 1003 * S + 500, 1000 * S + 1000
    clocks = estimate(HERE, [[Tick(HERE, t1), Tick(THERE, t2)], [Tick(THERE, t3), Tick(HERE, t4)]])
    found = clocks.estimates[THERE]
    assert found.offset_ns == pytest.approx(((t2 - t1) + (t3 - t4)) / 2, abs=1)
    assert found.uncertainty_ns == pytest.approx(((t4 - t1) - (t3 - t2)) / 2, abs=1)


def test_by_one_way_alone_nothing_is_known() -> None:
    clocks = estimate(HERE, [[Tick(HERE, 0), Tick(THERE, 100)], [Tick(HERE, 1000), Tick(THERE, 1100)]])
    assert clocks.estimates == {}
    assert clocks.since_us(Tick(HERE, 0), Tick(THERE, 100)) is None
    assert clocks.of("node2", THERE).offset_us is None


def test_the_probe_of_least_delay_decides() -> None:
    def turn(at: int, out: int, back: int) -> list[list[Tick]]:
        there = at + out + 5000
        return [
            [Tick(HERE, at), Tick(THERE, there)],
            [Tick(THERE, there + 100), Tick(HERE, at + out + 100 + back)],
        ]

    clocks = estimate(HERE, [*turn(0, 100, 900_000), *turn(1_000_000, 200, 200), *turn(2_000_000, 900_000, 300)])
    found = clocks.estimates[THERE]
    assert abs(found.offset_ns - 5000) <= found.uncertainty_ns <= 200


def test_offsets_add_up_along_a_chain() -> None:
    journeys = [
        [Tick(HERE, 0), Tick(THERE, 1_000_100), Tick(BEYOND, -2_000_000 + 200)],
        [Tick(BEYOND, -2_000_000 + 300), Tick(THERE, 1_000_400), Tick(HERE, 500)],
    ]
    clocks = estimate(HERE, journeys)
    assert clocks.estimates[BEYOND].offset_ns == pytest.approx(-2_000_000, abs=1)
    assert clocks.estimates[BEYOND].uncertainty_ns == pytest.approx(200, abs=1)


def test_of_a_clock_that_was_set_meanwhile_what_was_before_counts() -> None:
    before = [[Tick(HERE, 0), Tick(THERE, 1000)], [Tick(THERE, 1100), Tick(HERE, 2000)]]
    after = [[Tick(HERE, S), Tick(THERE, 50 * S)], [Tick(THERE, 50 * S + 100), Tick(HERE, S + 2000)]]
    assert estimate(HERE, [*before, *after]) == estimate(HERE, before)


def test_nonsense_has_no_estimate() -> None:
    assert estimate(HERE, [[Tick(HERE, 0), Tick(THERE, 100), Tick(HERE, -5)]]).estimates == {}


def test_by_one_clock_noise_is_no_negative_time() -> None:
    clocks = Clocks(HERE)
    assert clocks.since_us(Tick(HERE, 500), Tick(HERE, 300)) == 0.0
    assert clocks.since_us(Tick(THERE, 500), Tick(THERE, 1500)) == 1.0


DELAY = st.integers(0, 2_000_000)
KERNELS = ("a", "b", "c", "d")
TURN = st.tuples(
    st.lists(st.sampled_from(KERNELS[1:]), min_size=1, max_size=5),
    st.lists(DELAY, min_size=14, max_size=14),
)


@settings(max_examples=300, deadline=None)
@given(
    st.fixed_dictionaries({kernel: st.integers(-(10**15), 10**15) for kernel in KERNELS}),
    st.lists(TURN, min_size=1, max_size=8),
)
def test_the_true_offset_lies_within_the_uncertainty_and_no_time_is_negative(
    ahead: Mapping[str, int], turns: Sequence[tuple[Sequence[str], Sequence[int]]]
) -> None:
    ahead = {**ahead, "a": 0}
    journeys: list[list[Tick]] = []
    true: list[list[int]] = []
    now = 10**18
    for stops, delays in turns:
        places = ["a", *stops, *reversed(stops), "a"]
        moments = []
        for _, delay in zip(places, delays, strict=False):
            now += delay
            moments.append(now)
        middle = len(stops) + 1
        for part in (slice(0, middle), slice(middle, len(moments))):
            ticks = [Tick(place, at + ahead[place]) for place, at in zip(places, moments, strict=False)]
            journeys.append(ticks[part])
            true.append(moments[part])
    clocks = estimate("a", journeys)
    for kernel, found in clocks.estimates.items():
        assert abs(found.offset_ns - ahead[kernel]) <= found.uncertainty_ns + 1, kernel
    for journey, moments in zip(journeys, true, strict=True):
        for tick, moment in zip(journey, moments, strict=True):
            took = clocks.since_us(journey[0], tick)
            assert took is None or took >= 0
            if took is not None:
                doubt = sum(
                    clocks.estimates[one.kernel].uncertainty_ns for one in (journey[0], tick) if one.kernel != "a"
                )
                assert abs(took * 1000 - (moment - moments[0])) <= doubt + 1
