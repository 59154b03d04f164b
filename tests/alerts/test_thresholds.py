"""Which thresholds a number has passed: examples by hand, and for any path each one once and in order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.alerts.thresholds import (
    DEFAULTS,
    EMPTY_NANO,
    AlertSettings,
    checked_percents,
    cleared,
    fallen,
    levels,
    passed,
    risen,
)
from tollway.errors import ValidationFailed

USD = 1_000_000_000


@pytest.mark.parametrize(
    ("used", "limit", "told", "expected"),
    [
        (0, 100, (), ()),
        (49, 100, (), ()),
        (50, 100, (), (50,)),
        (79, 100, (50,), ()),
        (100, 100, (), (50, 80, 100)),
        (10**18, 100, (50,), (80, 100)),
        (1, 3, (), ()),
        (2, 3, (), (50,)),
        (5, 0, (), ()),
        (5, -1, (), ()),
    ],
)
def test_percentages(used, limit, told, expected) -> None:
    assert passed(used, limit, DEFAULTS.budget_percent, told) == expected


@given(
    st.integers(1, 10**15),
    st.lists(st.integers(0, 10**14), max_size=50),
    st.sets(st.integers(1, 1000), max_size=10),
)
def test_for_any_spending_each_threshold_is_told_once_and_in_order(limit, steps, percents) -> None:
    told, used = [], 0
    for step in steps:
        used += step
        new = passed(used, limit, percents, told)
        assert passed(used, limit, percents, [*told, *new]) == ()
        told += new
    assert told == sorted(told)
    assert told == sorted(one for one in percents if used * 100 >= one * limit)


@given(st.lists(st.integers(-2 * USD, 20 * USD), max_size=60), st.integers(0, 10 * USD))
def test_a_level_is_told_once_per_fall(balances, low) -> None:
    marks, told = levels(AlertSettings(low_balance_nano=low)), set()
    below = dict.fromkeys(marks, False)
    for balance in balances:
        told -= set(risen(balance, told))
        new = fallen(balance, marks, told)
        for one in marks:
            is_below = balance <= (one or EMPTY_NANO - 1)
            assert (one in new) == (is_below and not below[one])
            below[one] = is_below
        told |= set(new)


def test_levels() -> None:
    assert levels(DEFAULTS) == (5 * USD, 0)
    assert levels(AlertSettings(low_balance_nano=0)) == (0,)
    assert fallen(EMPTY_NANO - 1, (5 * USD, 0), ()) == (5 * USD, 0)
    assert fallen(EMPTY_NANO, (5 * USD, 0), ()) == (5 * USD,)
    assert fallen(5 * USD + 1, (5 * USD, 0), ()) == ()


def test_a_storage_is_cleared() -> None:
    assert cleared(79, 100, (50, 80, 100)) == (80, 100)
    assert cleared(79, -1, (50,)) == (50,)


def test_percentages_are_kept_in_order_and_checked() -> None:
    assert checked_percents([100, 50, 50], "budget_percent") == (50, 100)
    for bad in ([0], [1001], list(range(1, 12))):
        with pytest.raises(ValidationFailed) as refused:
            checked_percents(bad, "budget_percent")
        assert refused.value.param == "budget_percent"
