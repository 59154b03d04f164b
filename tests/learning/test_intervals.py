"""Intervals: they contain what they are about, get narrower with more of the same, and their sums are exact."""

import random
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.learning.intervals import LEAST_REQUESTS, Pairs, Scores, difference

SCORES = st.lists(st.integers(0, 100), min_size=1, max_size=60)
AMOUNTS = st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 10**12)), min_size=1, max_size=80)


def of(scores) -> Scores:
    found = Scores()
    for score in scores:
        found.add(score)
    return found


def width(scores) -> float:
    found = of(scores).interval()
    return found.upper - found.lower


def pairs(amounts) -> Pairs:
    found = Pairs()
    for one in amounts:
        found.add(*one)
    return found


@given(SCORES)
def test_the_mean_is_inside_and_the_interval_inside_0_to_100(scores) -> None:
    found = of(scores).interval()
    assert found.estimate == pytest.approx(float(Fraction(sum(scores), len(scores))))
    assert 0 <= found.lower <= found.estimate <= found.upper <= 100
    assert found.upper > found.lower, "no number of ratings is certainty"


@given(SCORES, st.integers(2, 20))
def test_more_of_the_same_is_narrower(scores, times) -> None:
    assert width(scores * times) < width(scores)


@given(st.integers(0, 300), st.integers(0, 300))
def test_thumbs_have_wilsons_own_interval(down, up) -> None:
    count = down + up
    found = of([0] * down + [100] * up).interval()
    if not count:
        assert found is None
        return
    share, z2 = up / count, 1.959963984540054**2
    centre, root = share + z2 / (2 * count), (share * (1 - share) * z2 / count + z2**2 / (4 * count**2)) ** 0.5
    shrunk = 1 + z2 / count
    assert found.lower == pytest.approx(100 * (centre - root) / shrunk, abs=1e-6)
    assert found.upper == pytest.approx(100 * (centre + root) / shrunk, abs=1e-6)


def test_known_values() -> None:
    assert of([]).interval() is None
    one = of([100]).interval()
    assert (one.estimate, one.upper, round(one.lower, 2)) == (100, 100, 20.65)
    # Wilson of 81 of 100, as statistics packages print it: 0.7222 to 0.8749.
    found = of([100] * 81 + [0] * 19).interval()
    assert (round(found.lower, 2), round(found.upper, 2)) == (72.22, 87.49)
    # Scores near each other say more than thumbs do.
    assert width([80, 82] * 50) < 5 < width([100] * 81 + [0] * 19)


@pytest.mark.parametrize(
    ("count", "draw"),
    [
        (5, lambda random: 100 * (random.random() < 0.8)),
        (40, lambda random: 100 * (random.random() < 0.95)),
        (15, lambda random: round(100 * random.betavariate(8, 2))),
        (60, lambda random: round(100 * random.betavariate(8, 2))),
        (60, lambda random: round(100 * random.betavariate(0.5, 0.5))),
        (30, lambda random: 0 if random.random() < 0.1 else random.randint(85, 95)),
    ],
)
def test_it_contains_the_truth_19_times_of_20(count, draw) -> None:
    """Of 2,000 samples with a known mean; the same at each run."""
    dice = random.Random(7)
    truth = sum(draw(dice) for _ in range(200_000)) / 200_000
    hits = 0
    for _ in range(2_000):
        found = of(draw(dice) for _ in range(count)).interval()
        hits += found.lower <= truth <= found.upper
    assert hits / 2_000 > 0.93


@given(SCORES, SCORES)
def test_a_difference_contains_its_estimate_and_turns_round(one, other) -> None:
    first, second = of(one).interval(), of(other).interval()
    found, back = difference(first, second), difference(second, first)
    assert found.lower <= found.estimate <= found.upper
    assert (found.estimate, found.lower, found.upper) == pytest.approx((-back.estimate, -back.upper, -back.lower))
    assert difference(first, first).has_zero
    # Means whose intervals do not touch differ.
    if first.lower > second.upper:
        assert not found.has_zero


@given(AMOUNTS)
def test_sums_are_exact_and_the_share_is_of_them(amounts) -> None:
    found = pairs(amounts)
    actual, other = sum(one for one, _ in amounts), sum(two for _, two in amounts)
    assert (found.count, found.actual, found.other, found.difference) == (len(amounts), actual, other, other - actual)
    share = found.saved()
    if not other:
        assert share is None
        return
    assert abs(Fraction(other - actual, other) * 10_000 - share.bps) <= Fraction(1, 2)
    assert (share.half_bps is None) == (len(amounts) < LEAST_REQUESTS)
    assert share.half_bps is None or share.half_bps >= 0


@given(st.lists(st.tuples(st.integers(1, 10**9), st.integers(1, 10**9)), min_size=30, max_size=60))
def test_what_was_saved_is_surer_the_more_there_is(amounts) -> None:
    halves = [pairs(amounts * times).saved().half_bps for times in (1, 2, 4, 8)]
    assert all(more <= less for less, more in pairwise(halves))


def test_the_same_share_everywhere_is_certain() -> None:
    assert pairs([(n, 4 * n) for n in range(1, 41)]).saved() == (7_500, 0)
    assert pairs([(1, 4)] * 29).saved() == (7_500, None)
    assert pairs([(4, 1)] * 40).saved() == (-30_000, 0)
    # By hand: the residuals are 2.5 and -2.5, the total is 640: 1.96 * sqrt(40 / 39 * 250) / 640 is 4.904 %.
    found = pairs([(10, 20)] * 20 + [(10, 12)] * 20).saved()
    assert (found.bps, found.half_bps) == (3_750, 491)


def test_a_share_contains_the_truth() -> None:
    dice, hits = random.Random(3), 0
    for _ in range(1_000):
        amounts = [(round(dice.uniform(0.2, 0.6) * size), size) for size in (dice.randint(1, 10**9) for _ in range(80))]
        share = pairs(amounts).saved()
        hits += abs(share.bps - 6_000) <= share.half_bps
    assert hits / 1_000 > 0.92
