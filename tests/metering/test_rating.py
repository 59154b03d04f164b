"""Rating: money.md's usage vectors by hand, and a million-request oracle in fractions (R1, R2, R6, T19)."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollway.catalogue.prices import PriceList, PriceTier
from tollway.catalogue.units import (
    CACHE_READ,
    CACHE_WRITE_1H,
    CACHE_WRITE_5M,
    INPUT,
    INPUT_AUDIO,
    OUTPUT,
    REASONING,
    REQUEST,
    UNITS,
    WEB_SEARCH,
)
from tollway.errors import UnpricedUnit
from tollway.metering.rating import rate, worst_case
from tollway.metering.usage import Usage
from tollway.money.amount import parse_per_million, parse_pico


def prices(**per_million: str) -> PriceList:
    return PriceList("test@2026-01-01", 0, {unit: parse_per_million(text) for unit, text in per_million.items()})


def charge(counts: dict[str, int], list_: PriceList, bps: int) -> int:
    return rate(Usage(counts), list_, bps).charge


@pytest.mark.parametrize(
    ("count", "price", "bps", "nano"),
    [
        (1, "0.02", 1000, 22),
        (1, "0.0375", 1000, 41),  # 41.25
        (1, "0.02", 800, 22),  # 21.6
        (100, "0.003625", 1000, 399),  # 398.75
        (1, "0.003625", 1000, 4),  # 3.9875
    ],
)
def test_usage_vectors_of_one_bucket(count: int, price: str, bps: int, nano: int) -> None:
    assert charge({INPUT: count}, prices(input=price), bps) == nano


def test_usage_vector_of_a_request() -> None:
    assert charge({INPUT: 1234, OUTPUT: 567}, prices(input="3", output="15"), 1000) == 13_427_700


@pytest.mark.parametrize(
    ("cost", "nano"),
    [("0.0001", 110_000), ("0.0003", 330_000), ("0.006", 6_600_000), ("0.002", 2_200_000), ("0.025", 27_500_000)],
)
def test_seed_rows_with_ten_percent(cost: str, nano: int) -> None:
    list_ = PriceList("seed", 0, {REQUEST: parse_pico(cost)})
    assert charge({}, list_, 1000) == nano


def test_r2_margin_is_a_difference_so_that_entries_sum_to_zero() -> None:
    result = rate(Usage({INPUT: 1}), prices(input="0.0375"), 1000)
    assert (result.charge, result.cost, result.margin) == (41, 38, 3)  # 41.25, 37.5 -> even


def test_r2_cost_ties_go_to_the_even() -> None:
    assert rate(Usage({INPUT: 1}), prices(input="0.0365"), 0).charge == 36
    assert rate(Usage({INPUT: 1}), prices(input="0.0375"), 0).charge == 38


def test_r6_the_hold_vector() -> None:
    assert worst_case(prices(input="3", output="15"), 1000, input_tokens=1234, output_tokens=4096) == 71_656_200


def test_r6_a_tier_applies_to_the_whole_request_cached_tokens_included() -> None:
    list_ = PriceList(
        "tiered",
        0,
        {INPUT: 3_000_000, CACHE_READ: 300_000, OUTPUT: 15_000_000},
        (PriceTier(200_000, {INPUT: 6_000_000, CACHE_READ: 600_000, OUTPUT: 22_500_000}),),
    )
    below = rate(Usage({INPUT: 100_000, CACHE_READ: 100_000, OUTPUT: 10}), list_, 0)
    above = rate(Usage({INPUT: 100_000, CACHE_READ: 100_001, OUTPUT: 10}), list_, 0)
    assert below.charge == 330_150_000  # 0.3 + 0.03 + 0.00015
    assert above.charge == 660_225_600  # 0.6 + 0.0600006 + 0.000225


def test_r11_an_unpriced_unit_is_refused_never_free() -> None:
    with pytest.raises(UnpricedUnit):
        rate(Usage({INPUT: 1, WEB_SEARCH: 1}), prices(input="1", output="1"), 0)


def test_a_unit_without_its_own_price_costs_what_its_page_says() -> None:
    assert charge({REASONING: 10}, prices(input="1", output="2"), 0) == 20_000
    assert charge({CACHE_WRITE_1H: 10}, prices(input="1", cache_write_5m="1.25", output="2"), 0) == 12_500
    assert charge({CACHE_READ: 10}, prices(input="1", output="2"), 0) == 10_000


def test_a_price_per_request_is_charged_once() -> None:
    list_ = PriceList("search", 0, {INPUT: 1_000_000, OUTPUT: 1_000_000, REQUEST: parse_pico("0.005")})
    assert charge({INPUT: 1000}, list_, 0) == 6_000_000


def test_r6_the_hold_covers_what_the_request_can_cause() -> None:
    list_ = prices(input="1", cache_write_5m="1.25", cache_write_1h="2", input_audio="32", output="4")
    assert worst_case(list_, 0, input_tokens=100, output_tokens=0) == 125_000
    assert worst_case(list_, 0, input_tokens=100, output_tokens=0, extra_units=(CACHE_WRITE_1H,)) == 200_000
    assert worst_case(list_, 0, input_tokens=100, output_tokens=0, extra_units=(INPUT_AUDIO,)) == 3_200_000


pico = st.integers(0, 10**9)
token_units = [spec.unit for spec in UNITS if spec.side != "call"]
lists = st.builds(
    lambda base, tiers: PriceList("h", 0, base, tuple(PriceTier(above, p) for above, p in sorted(tiers.items()))),
    st.fixed_dictionaries(
        {INPUT: pico, OUTPUT: pico}, optional={unit: pico for unit in token_units if unit not in (INPUT, OUTPUT)}
    ),
    st.dictionaries(
        st.sampled_from([1_000, 128_000, 200_000]), st.fixed_dictionaries({INPUT: pico, OUTPUT: pico}), max_size=2
    ),
)
usages = st.dictionaries(st.sampled_from(token_units), st.integers(0, 2_000_000), max_size=6)


@settings(max_examples=500)
@given(usages, lists, st.integers(0, 5_000))
def test_t19_rating_equals_a_fraction_oracle(counts: dict[str, int], list_: PriceList, bps: int) -> None:
    result = rate(Usage(counts), list_, bps)
    level = list_.at(Usage(counts).input_tokens)
    exact = sum((Fraction(count * level[unit], 1000) for unit, count in counts.items()), Fraction(0))
    assert result.charge == round(exact * (10_000 + bps) / 10_000)
    assert result.cost == round(exact)
    assert result.charge - result.cost == result.margin
    assert abs(result.charge - exact * (10_000 + bps) / 10_000) <= Fraction(1, 2)


@settings(max_examples=500)
@given(usages, lists, st.integers(0, 5_000))
def test_r2_a_charge_never_exceeds_the_hold_of_its_bounds(counts: dict[str, int], list_: PriceList, bps: int) -> None:
    usage = Usage(counts)
    hold = worst_case(
        list_, bps, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, extra_units=tuple(counts)
    )
    assert rate(usage, list_, bps).charge <= hold


@given(usages, lists, st.integers(0, 5_000), st.sampled_from([OUTPUT, REASONING]), st.integers(1, 1000))
def test_rating_is_monotone_in_output(counts: dict[str, int], list_: PriceList, bps: int, unit: str, more: int) -> None:
    grown = {**counts, unit: counts.get(unit, 0) + more}
    assert rate(Usage(grown), list_, bps).charge >= rate(Usage(counts), list_, bps).charge


def test_unit_names_are_unique() -> None:
    names = [spec.unit for spec in UNITS]
    assert len(names) == len(set(names))
    assert CACHE_WRITE_5M in names
