"""Sums in lanes are the sums that one would take one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.routing.lanes import OFFSET, packed, sums

weights = st.lists(st.integers(-128, 127), min_size=3, max_size=3)


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(weights, st.integers(0, 640)), max_size=8))
def test_lanes_do_not_touch_each_other(table):
    rows = {name: packed(bytes(one + OFFSET for one in row)) for name, (row, _) in table.items()}
    features = {name: times / 64 for name, (_, times) in table.items()}
    expected = [sum(row[at] * times / 64 for row, times in table.values()) for at in range(3)]
    assert sums(rows, features, 3) == pytest.approx(expected)


def test_a_thousand_strong_features_fit():
    rows = {str(at): packed(bytes([255, 0])) for at in range(1_000)}
    assert sums(rows, dict.fromkeys(rows, 10.0), 2) == [1_270_000.0, -1_280_000.0]


def test_unknown_features_are_nothing():
    assert sums({}, {"x": 1.0}, 2) == [0.0, 0.0]
