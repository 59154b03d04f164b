"""Budget windows: sums of days, never reset."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.errors import Broken
from tollway.ledger.budget import Spend, window_end, window_start


def day(text: str) -> int:
    return int(datetime.fromisoformat(text + "T00:00:00+00:00").timestamp()) // 86_400


def unix(text: str) -> int:
    return day(text) * 86_400


@pytest.mark.parametrize(
    ("window", "at", "start", "end"),
    [
        ("day", "2027-01-15", "2027-01-15", "2027-01-16"),
        ("week", "2027-01-15", "2027-01-11", "2027-01-18"),  # a Friday; weeks start on Monday
        ("week", "2027-01-11", "2027-01-11", "2027-01-18"),
        ("week", "2027-01-17", "2027-01-11", "2027-01-18"),
        ("week", "2027-01-02", "2026-12-28", "2027-01-04"),  # over the year's end
        ("month", "2027-01-31", "2027-01-01", "2027-02-01"),
        ("month", "2028-02-29", "2028-02-01", "2028-03-01"),
        ("month", "2026-12-31", "2026-12-01", "2027-01-01"),
    ],
)
def test_r13_windows_in_utc(window, at, start, end) -> None:
    assert window_start(window, day(at)) == day(start)
    assert window_end(window, day(at)) == unix(end)


def test_r13_a_lifetime_has_no_end() -> None:
    assert (window_start("lifetime", 20_000), window_end("lifetime", 20_000)) == (0, None)


@given(st.integers(0, 100_000), st.sampled_from(["day", "week", "month"]))
def test_windows_tile_the_calendar(at, window) -> None:
    start, end = window_start(window, at), window_end(window, at)
    assert start <= at < end // 86_400
    assert window_start(window, end // 86_400) == end // 86_400
    assert window_start(window, end // 86_400 - 1) == start
    if window == "month":
        assert datetime.fromtimestamp(start * 86_400, UTC).day == 1


def test_what_is_used_is_spent_and_held_of_the_window() -> None:
    spend = Spend()
    spend.move(day("2027-01-10"), 5, 0)  # the Sunday before
    spend.move(day("2027-01-12"), 7, 0)
    spend.move(day("2027-01-15"), 11, 13)
    friday = day("2027-01-15")
    assert spend.used("day", friday) == 24
    assert spend.used("week", friday) == 31
    assert spend.used("month", friday) == 36
    assert spend.used("lifetime", friday) == 36
    assert spend.used("month", day("2027-02-01")) == 0
    assert spend.used("lifetime", day("2027-02-01")) == 36


def test_an_old_day_moves_neither_the_new_window_nor_below_zero() -> None:
    spend = Spend()
    spend.move(100, 0, 50)
    assert spend.used("day", 101) == 0
    spend.move(101, 0, 30)
    spend.move(100, 40, -50)
    assert spend.used("day", 101) == 30
    assert spend.used("day", 100) == 70  # a clock that jumped back counts what is ahead too: never less
    with pytest.raises(Broken):
        spend.move(101, 0, -31)
    with pytest.raises(Broken):
        spend.move(101, -1, 0)
    assert spend.used("day", 101) == 30


def test_forgetting_keeps_totals_and_days_that_hold() -> None:
    spend = Spend()
    spend.move(10, 5, 0)
    spend.move(11, 0, 3)
    spend.move(100, 7, 0)
    spend.forget_before(100)
    assert sorted(spend.days) == [11, 100]
    assert spend.used("lifetime", 100) == 15


@given(
    st.lists(st.tuples(st.integers(20_000, 20_070), st.integers(0, 50)), max_size=40),
    st.lists(
        st.tuples(st.sampled_from(["day", "week", "month", "lifetime"]), st.integers(20_000, 20_075)), max_size=10
    ),
)
def test_the_cached_sum_is_the_sum(moves, questions) -> None:
    spend, made = Spend(), []
    for at, nano in moves:
        spend.move(at, nano, 0)
        made.append((at, nano))
        for window, today in questions:
            assert spend.used(window, today) == sum(n for d, n in made if d >= window_start(window, today))
