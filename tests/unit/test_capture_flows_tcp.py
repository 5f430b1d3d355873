"""TCP's sequence by columns: retransmissions and gaps, over taps and chunks, and where numbers wrap around."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from netfs.capture.flows.dissection import Segments
from netfs.capture.flows.tcp import MODULUS, Sequences
from tests.flow_reference import Segment, sequence

HALF = 1 << 31


def counted(chunks: list[list[tuple[int, int, int, bool]]], owners: int = 1) -> list[tuple[int, int]]:
    """(retransmissions, gaps) of each owner; a segment is (owner, sequence, length, SYN)."""
    sequences = Sequences()
    again, gaps = np.zeros(owners, np.int64), np.zeros(owners, np.int64)
    for chunk in chunks:
        if not chunk:
            continue
        owner, number, length, syn = (np.array(column) for column in zip(*chunk, strict=True))
        segments = Segments(np.arange(len(chunk)), number & MODULUS, length, syn.astype(np.bool_))
        repeated, jumped, _ = sequences.add(owner, segments)
        again += np.bincount(repeated, minlength=owners)
        gaps += np.bincount(jumped, minlength=owners)
    return list(zip(again.tolist(), gaps.tolist(), strict=True))


def one(*segments: tuple[int, int]) -> tuple[int, int]:
    """The same answer, whether one chunk holds all or each has its own."""
    rows = [(0, number, length, False) for number, length in segments]
    (whole,) = counted([rows])
    (apart,) = counted([[row] for row in rows])
    assert whole == apart
    return whole


def test_in_order() -> None:
    assert one((1000, 100), (1100, 100), (1200, 1)) == (0, 0)


def test_the_same_bytes_again() -> None:
    assert one((1000, 100), (1100, 100), (1100, 100), (1150, 50)) == (2, 0)


def test_more_bytes_than_before_are_new() -> None:
    assert one((1000, 100), (1000, 200)) == (0, 0)


def test_a_jump_ahead_is_a_gap() -> None:
    assert one((1000, 100), (1300, 100), (1400, 100)) == (0, 1)


def test_what_fills_a_gap_is_late_and_once() -> None:
    assert one((1000, 100), (1300, 100), (1100, 200), (1100, 200)) == (1, 1)


def test_a_gap_that_is_filled_piece_by_piece() -> None:
    assert one((1000, 100), (1300, 100), (1200, 50), (1100, 100), (1250, 50), (1150, 100)) == (1, 1)


def test_a_hole_of_one_byte() -> None:
    assert one((1000, 100), (1200, 100), (1101, 99), (1100, 1), (1100, 1)) == (1, 1)
    assert one((1000, 100), (1200, 100), (1100, 99), (1199, 1), (1199, 1)) == (1, 1)


def test_numbers_that_wrap_around() -> None:
    assert one((2**32 - 50, 100), (50, 100), (150, 10)) == (0, 0)
    assert one((2**32 - 50, 100), (2**32 - 50, 100), (150, 10), (2**32 - 20, 40)) == (2, 1)


def test_what_was_before_the_capture_is_taken_as_seen() -> None:
    assert one((1000, 100), (900, 100)) == (1, 0)


def test_a_syn_with_another_number_begins_anew() -> None:
    rows = [(0, 1000, 1, True), (0, 1001, 100, False), (0, 9_000_000, 1, True), (0, 9_000_001, 100, False)]
    again = [(0, 9_000_000, 1, True), (0, 1001, 100, False)]
    assert counted([rows]) == [(0, 0)]
    assert counted([[row] for row in rows]) == [(0, 0)]
    assert counted([rows + again[:1]]) == [(1, 0)]
    assert counted([[row] for row in rows + again[:1]]) == [(1, 0)]


def test_a_hole_ends_with_its_connection() -> None:
    rows = [(0, 1000, 10, False), (0, 1100, 10, False), (0, 1000, 1, True), (0, 1001, 200, False), (0, 1010, 90, False)]
    assert counted([rows]) == [(1, 1)]
    assert counted([[row] for row in rows]) == [(1, 1)]


def test_taps_have_sequences_of_their_own() -> None:
    rows = [(tap, 1000 + 100 * number, 100, False) for number in range(5) for tap in range(10)]
    assert counted([rows], owners=10) == [(0, 0)] * 10


@pytest.mark.parametrize("seed", range(30))
def test_random_segments_against_sets_of_bytes(seed: int) -> None:
    random = Random(seed)
    owners = random.choice((1, 2, 5))
    base = [random.choice((5000, 2**32 - 300, HALF - 200)) for _ in range(owners)]
    rows: list[tuple[int, int, int, bool]] = []
    place = [1000] * owners
    spread = random.choice((5, 40, 200))
    for _ in range(random.choice((5, 60, 400))):
        owner = random.randrange(owners)
        syn = random.random() < 0.02
        if syn:
            place[owner] = random.choice((1000, 2000, 3000))
        jump = random.choice((0, 0, 0, random.randrange(-spread, spread + 1)))
        length = 1 if syn else random.randrange(1, spread)
        number = max(place[owner] + jump, 200)
        rows.append((owner, number, length, syn))
        place[owner] = number + length
    expected = [
        sequence(Segment(number, length, syn) for tap, number, length, syn in rows if tap == owner)
        for owner in range(owners)
    ]
    shifted = [(owner, number + base[owner], length, syn) for owner, number, length, syn in rows]
    cuts = sorted(random.randrange(len(rows) + 1) for _ in range(random.choice((0, 3, 10))))
    parts = [shifted[low:high] for low, high in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
    assert counted(parts, owners) == expected


def test_hostile_numbers_are_counted_somehow() -> None:
    random = Random(1)
    rows = [
        (random.randrange(50), random.getrandbits(32), random.getrandbits(17) + 1, random.random() < 0.1)
        for _ in range(20000)
    ]
    totals = counted([rows[:9000], rows[9000:]], owners=50)
    assert sum(again + gaps for again, gaps in totals) <= len(rows)
