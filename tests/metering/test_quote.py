"""Quotes: seed 004's examples to the last digit, and the difference between exact and charged totals."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.catalogue.offers import Model, ModelId, Offer, Provider, ProviderId, WireSpec
from tollway.catalogue.prices import PriceList, PriceTier
from tollway.catalogue.units import CACHE_READ, INPUT, OUTPUT, REASONING, REQUEST, WEB_SEARCH
from tollway.errors import UnpricedUnit
from tollway.metering.quote import quote, quotes_of, token_counts
from tollway.money.amount import format_usd, parse_per_million, parse_pico


def prices(input_price, output_price, **others):
    units = {INPUT: parse_per_million(input_price), OUTPUT: parse_per_million(output_price)}
    return PriceList("test@2026-01-01", 0, units | others)


# Seed 004: requests, input, output, USD per million in and out, the total it states, and the charge of one request.
SEED_004 = [
    pytest.param(10_000, 100, 150, "0.20", "0.60", "1.1", "0.00011", id="customer support"),
    pytest.param(50, 500, 2_000, "10.00", "30.00", "3.25", "0.065", id="marketing articles"),
    pytest.param(20, 200, 400, "0.30", "0.60", "0.006", "0.0003", id="code generation"),
]


@pytest.mark.parametrize(("requests", "tokens_in", "tokens_out", "price_in", "price_out", "total", "each"), SEED_004)
def test_the_examples_of_seed_004(*, requests, tokens_in, tokens_out, price_in, price_out, total, each):
    counts = token_counts(input_tokens=tokens_in, output_tokens=tokens_out)
    result = quote(prices(price_in, price_out), 0, counts=counts, requests=requests)
    assert result.exact_usd == total
    assert format_usd(result.total_nano) == total
    assert format_usd(result.charge_nano) == each
    assert result.margin_nano == 0


def test_exact_and_charged_totals_differ_by_the_rounding_of_each_request():
    # 1 token at 0.0375/M with 10 %: 41.25 nano exactly, charged 41 (money.md, usage vectors).
    result = quote(prices("0.0375", "1"), 1_000, counts={INPUT: 1}, requests=1_000_000)
    assert result.charge_nano == 41
    assert format_usd(result.total_nano) == "0.041"
    assert result.exact_usd == "0.04125"


def test_the_unit_of_an_exact_total_is_fine_enough_for_one_basis_point():
    # 1 token at 0.000001/M is one pico-USD; one basis point of it is 1e-16 USD.
    result = quote(prices("0.000001", "1"), 1, counts={INPUT: 1})
    assert result.exact_usd == "0.0000000000010001"
    assert result.charge_nano == 0


def test_lines_add_up_by_hand():
    result = quote(
        prices("3", "15", **{CACHE_READ: parse_per_million("0.30")}),
        550,
        counts=token_counts(input_tokens=1_000, output_tokens=200, cached_tokens=400, reasoning_tokens=50),
        requests=3,
    )
    assert [(line.unit, line.count, line.price_pico, line.amount_pico) for line in result.lines] == [
        (INPUT, 600, 3_000_000, 5_400_000_000),
        (CACHE_READ, 400, 300_000, 360_000_000),
        (OUTPUT, 150, 15_000_000, 6_750_000_000),
        (REASONING, 50, 15_000_000, 2_250_000_000),
    ]
    assert result.cost_pico == 14_760_000_000
    # 4,920,000 nano per request x 1.055 = 5,190,600.
    assert result.charge_nano == 5_190_600
    assert result.total_nano == 15_571_800
    assert result.margin_nano == 811_800
    assert result.exact_usd == "0.0155718"


def test_the_hold_is_the_worst_split_of_the_same_counts():
    # Money.md, vector of R6: 1234 in, 4096 out at 3/15 with 10 % holds 71,656,200 nano.
    result = quote(prices("3", "15"), 1_000, counts={INPUT: 1_234, OUTPUT: 4_096})
    assert result.hold_nano == result.charge_nano == 71_656_200


def test_prices_per_call_are_counted_once_per_request():
    per_call = {REQUEST: parse_pico("0.005"), WEB_SEARCH: parse_pico("0.01")}
    result = quote(prices("1", "1", **per_call), 0, counts={INPUT: 10, WEB_SEARCH: 2}, requests=100)
    # 10 tokens are 10,000 nano, one request 5,000,000, two searches 20,000,000.
    assert result.charge_nano == 25_010_000
    assert result.hold_nano == 25_010_000
    assert format_usd(result.total_nano) == "2.501"


def test_the_tier_follows_the_input_of_one_request_not_of_all():
    dear = PriceTier(200_000, {INPUT: parse_per_million("6")})
    tiered = PriceList("t@2026-01-01", 0, {INPUT: parse_per_million("3"), OUTPUT: parse_per_million("15")}, (dear,))
    assert quote(tiered, 0, counts={INPUT: 200_000}, requests=10).charge_nano == 600_000_000
    assert quote(tiered, 0, counts={INPUT: 200_001}, requests=1).charge_nano == 1_200_006_000


def test_an_unpriced_unit_is_refused():
    with pytest.raises(UnpricedUnit, match="web_search"):
        quote(prices("1", "1"), 0, counts={WEB_SEARCH: 1})


def test_nothing_costs_nothing():
    assert quote(prices("1", "1"), 550, counts={}, requests=5).exact_usd == "0"


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"input_tokens": -1, "output_tokens": 0}, "negative"),
        ({"input_tokens": 5, "output_tokens": 0, "cached_tokens": 6}, "more than the 5 input"),
        ({"input_tokens": 5, "output_tokens": 2, "reasoning_tokens": 3}, "more than the 2 output"),
    ],
)
def test_impossible_counts_are_refused(asked, problem):
    with pytest.raises(ValueError, match=problem):
        token_counts(**asked)


def test_offers_come_cheapest_first_and_unpriced_last():
    provider = Provider(ProviderId("p"), "P", WireSpec("openai", "http://localhost"))

    def offer(name, *lists):
        return Offer(f"p/{name}", ModelId("m"), provider, name, lists)

    only_input = PriceList("c@1970-01-01", 0, {INPUT: parse_per_million("0.1")})
    model = Model(
        ModelId("m"),
        "M",
        (
            offer("dear", prices("2", "2")),
            offer("none"),
            offer("half", only_input),
            offer("later", PriceList("l@1970-01-01", 1_000, {INPUT: parse_per_million("0.1")})),
            offer("cheap", prices("1", "1")),
        ),
    )
    found = quotes_of(model, 999, 0, counts={INPUT: 10, OUTPUT: 10})
    assert [one.offer.id for one in found] == ["p/cheap", "p/dear", "p/none", "p/half", "p/later"]
    assert [one.reason for one in found[2:]] == [
        "no price in force",
        "10 x output used, but price list c@1970-01-01 does not price it",
        "no price in force",
    ]


@given(
    price_in=st.integers(0, 10**9),
    price_out=st.integers(0, 10**9),
    tokens_in=st.integers(0, 10**7),
    tokens_out=st.integers(0, 10**7),
    margin=st.integers(0, 100_000),
    requests=st.integers(0, 10**6),
)
def test_against_fractions(*, price_in, price_out, tokens_in, tokens_out, margin, requests):
    chosen = PriceList("p@1970-01-01", 0, {INPUT: price_in, OUTPUT: price_out})
    result = quote(chosen, margin, counts={INPUT: tokens_in, OUTPUT: tokens_out}, requests=requests)
    each = Fraction(price_in * tokens_in + price_out * tokens_out, 10**12) * Fraction(10_000 + margin, 10_000)
    assert Fraction(Decimal(result.exact_usd)) == each * requests
    assert result.charge_nano == round(each * 10**9)  # Fraction rounds half to even
    assert abs(Fraction(result.total_nano, 10**9) - each * requests) <= Fraction(requests, 2 * 10**9)
    assert result.hold_nano >= result.charge_nano
