"""`auto` against single models: the same tokens, and the ratings of both."""

from hypothesis import given
from hypothesis import strategies as st

from learning.shop import GIANT, SMALL, by_tier, request
from tollway.catalogue.units import INPUT, WEB_SEARCH
from tollway.learning.comparison import LEAST_RATINGS, compare
from tollway.learning.repricing import OnModel, Outcome

ON = {one.id: OnModel(one, lambda _: 0) for one in (SMALL, GIANT)}


def test_cost_and_ratings_by_tier_and_model() -> None:
    asked = [
        by_tier("nano", 1, model="small", charge_nano=1_320),
        by_tier("nano", 2, model="small", charge_nano=100, counts={INPUT: 100, WEB_SEARCH: 1}),
        by_tier("standard", 3, charge_nano=20_000),
        by_tier("", 4, charge_nano=30_000),
        request(5, model="giant", charge_nano=7),
        request(6),
    ]
    ratings = {"r1": [100], "r3": [50, 70], "r5": [80], "r6": [10], "r9": [1]}
    found = compare(asked, ratings, ON)
    assert (found.auto.requests, found.auto.charged_nano, found.auto.scores.count) == (4, 51_420, 3)
    assert (found.direct.requests, found.direct.charged_nano, found.direct.scores.total) == (2, 16_507, 90)
    giant, small = found.singles
    assert (giant.model, giant.costs.count, giant.left_out) == ("giant", 3, 1)
    assert (giant.costs.actual, giant.costs.other, giant.costs.difference) == (51_320, 297_000, 245_680)
    assert (small.costs.other, small.costs.difference) == (3_600, -47_720)
    assert (giant.scores.count, giant.scores.total, small.scores.count) == (1, 80, 0)
    assert [(one.tier, one.model, one.requests, one.scores.count) for one in found.cells] == [
        ("", "giant", 1, 1), ("", "large", 1, 1), ("nano", "small", 2, 1), ("standard", "large", 1, 2), ("unknown", "large", 1, 0),
    ]  # fmt: skip


def rated(count: int, auto: int, direct: int):
    asked = [by_tier("nano", number) for number in range(count)]
    asked += [request(count + number, model="giant") for number in range(count)]
    ratings = {one.id: [auto if one.tier else direct] for one in asked}
    found = compare(asked, ratings, ON)
    return found.against(next(one for one in found.singles if one.model == "giant"))


def test_who_is_better_is_said_only_of_enough_ratings() -> None:
    assert rated(LEAST_RATINGS - 1, 100, 0) is None
    assert rated(0, 100, 0) is None
    better, worse = rated(LEAST_RATINGS, 100, 0), rated(200, 60, 90)
    assert better.estimate == 100
    assert better.lower > 0
    assert worse.upper < 0
    assert rated(LEAST_RATINGS, 70, 72).has_zero


@given(st.lists(st.tuples(st.integers(0, 10**15), st.none() | st.integers(0, 10**15)), max_size=60))
def test_sums_are_exact(rows) -> None:
    asked = [by_tier("nano", at, charge_nano=charge) for at, (charge, _) in enumerate(rows)]
    would = {one.id: row[1] for one, row in zip(asked, rows, strict=True)}
    (single,) = compare(asked, {}, {"m": lambda one: Outcome(would[one.id])}).singles
    assert single.costs.count + single.left_out == len(rows)
    assert single.costs.difference == sum(other - charge for charge, other in rows if other is not None)
