"""catalogue/prices.py: which list is in force, and which price of it."""

from tollway.catalogue.prices import PriceList, PriceTier, price_at
from tollway.catalogue.units import BY_NAME, INPUT_UNITS, OUTPUT_UNITS


def list_(start, price, window=None):
    return PriceList(f"o@{start}", start, {"input": price}, window_utc=window)


DAY = 86_400
EARLY, LATE = list_(10 * DAY, 1), list_(20 * DAY, 2)
NIGHT = list_(10 * DAY, 3, (79_200, 7_200))  # 22:00 to 02:00


def test_nothing_is_in_force_before_the_first():
    assert price_at((EARLY, LATE), 10 * DAY - 1) is None
    assert price_at((), DAY) is None


def test_the_latest_start_wins_from_its_second_on():
    assert price_at((EARLY, LATE), 10 * DAY) is EARLY
    assert price_at((LATE, EARLY), 20 * DAY - 1) is EARLY
    assert price_at((EARLY, LATE), 20 * DAY) is LATE


def test_a_window_wins_over_its_day_and_may_pass_midnight():
    lists = (EARLY, NIGHT, LATE)
    assert price_at(lists, 11 * DAY + 7_199) is NIGHT
    assert price_at(lists, 11 * DAY + 7_200) is EARLY
    assert price_at(lists, 11 * DAY + 79_199) is EARLY
    assert price_at(lists, 11 * DAY + 79_200) is NIGHT
    assert price_at(lists, 21 * DAY) is LATE  # a later list ends the windows of the earlier one


def test_tiers_inherit_what_they_do_not_name():
    prices = PriceList(
        "o", 0, {"input": 10, "output": 50}, (PriceTier(100, {"input": 20}), PriceTier(200, {"output": 90}))
    )
    assert [(prices.at(tokens)["input"], prices.at(tokens)["output"]) for tokens in (0, 100, 101, 200, 201)] == [
        (10, 50),
        (10, 50),
        (20, 50),
        (20, 50),
        (20, 90),
    ]


def test_fallbacks_follow_the_tier():
    prices = PriceList("o", 0, {"input": 10, "output": 50, "cache_write_5m": 12}, (PriceTier(100, {"input": 20}),))
    assert prices.at(1)["cache_read"] == 10
    assert prices.at(101)["cache_read"] == 20
    assert prices.at(101)["cache_write_1h"] == 12
    assert prices.at(1)["cache_read_image"] == 10
    assert prices.at(1)["reasoning"] == 50


def test_a_call_has_no_fallback():
    level = PriceList("o", 0, {"input": 10, "output": 50}).at(1)
    assert {unit for unit, spec in BY_NAME.items() if spec.side == "call"}.isdisjoint(level)
    assert level.keys() == {*INPUT_UNITS, *OUTPUT_UNITS}


def test_free_is_said_and_not_guessed():
    assert PriceList("o", 0, {"input": 0, "output": 0}).is_free
    assert not PriceList("o", 0, {"input": 0, "output": 0}, (PriceTier(100, {"input": 1}),)).is_free
