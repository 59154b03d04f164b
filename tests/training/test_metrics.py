"""Measures, against figures that can be worked out by hand."""

import pytest

np = pytest.importorskip("numpy")
from tollway.training import metrics  # noqa: E402


def test_a_perfect_router_and_one_that_is_always_wrong():
    weak, strong = np.array([1.0] * 50 + [0.0] * 50), np.ones(100)
    perfect = metrics.gap_recovered(strong - weak, weak, strong)
    # Half of the calls recover the whole gap: area 0.75, and 25 % of calls recover half of it.
    assert perfect["apgr"] == pytest.approx(0.75, abs=0.01)
    assert perfect["cpt50"] == pytest.approx(25, abs=1)
    assert perfect["cpt80"] == pytest.approx(40, abs=1)
    assert metrics.gap_recovered(weak - strong, weak, strong)["apgr"] == pytest.approx(0.25, abs=0.01)


def test_quality_under_the_hull():
    assert metrics.improvement_in_quality([(1, 0.5), (3, 0.7)], 1, 3) == pytest.approx(0.6)
    # A point below the line between its neighbours, and one that is dearer and worse, change nothing.
    assert metrics.improvement_in_quality([(1, 0.5), (2, 0.55), (3, 0.7), (2.5, 0.1)], 1, 3) == pytest.approx(0.6)


def test_choices_go_from_quality_to_cost():
    chosen = metrics.choices(np.array([[0.6, 0.9], [0.5, 0.4]]), np.array([0.1, 1.0]))
    assert chosen[0].tolist() == [1, 0]
    assert chosen[-1].tolist() == [0, 0]


def test_intervals_hold_the_value_and_are_the_same_again():
    values = np.arange(100.0)
    one = metrics.intervals(lambda at: {"mean": float(values[at].mean())}, 100, rounds=200)
    assert one == metrics.intervals(lambda at: {"mean": float(values[at].mean())}, 100, rounds=200)
    value, low, high = one["mean"]
    assert low < value < high
    assert value == pytest.approx(49.5)


def test_reliability():
    bands = metrics.reliability(np.array([0.4, 0.96, 0.98, 1.0]), np.array([0.0, 1.0, 1.0, 0.0]))
    assert [(name, rows) for name, rows, _, _ in bands] == [("0.00 - 0.50", 1), ("0.95 - 1.00", 3)]
    assert bands[1][3] == pytest.approx(2 / 3)
