"""Pains C-6 of other gateways' users, one test each: what the catalogue does in their place."""

import pytest

from tollway.catalogue.load import load_catalogue
from tollway.catalogue.prices import PriceList
from tollway.errors import ConfigurationError, UnpricedUnit
from tollway.metering.rating import rate, worst_case
from tollway.metering.usage import Usage


def test_64_a_model_without_a_price_is_never_free(catalogue, now):
    """LL PR#35913: unknown model = silent $0; $1.16 logged where about $185 was owed."""
    unpriced = [offer for model in catalogue.models.values() for offer in model.offers if offer.price_list(now) is None]
    assert len(unpriced) > 50
    for offer in unpriced:
        assert offer.prices == ()
    assert catalogue.find("a-model-nobody-has-heard-of") is None
    free = {
        offer.provider.id
        for model in catalogue.models.values()
        for offer in model.offers
        if (prices := offer.price_list(now)) and not any(prices.prices.values())
    }
    assert free == {"simulated"}


def test_65_what_has_no_price_cannot_be_held_for(catalogue, now):
    """LL PR#37110: unmapped models, so budgets never apply. Here there is no list to make a hold from."""
    offer = catalogue.find("openrouter/meta-llama/llama-3.3-70b-instruct:free").offers[0]
    assert offer.price_list(now) is None


def test_65_an_unknown_unit_is_refused_not_free():
    prices = PriceList("o@1970-01-01", 0, {"input": 1, "output": 1})
    with pytest.raises(UnpricedUnit):
        rate(Usage({"input": 1, "web_search": 1}), prices, 0)


def test_66_a_price_per_request_is_charged(catalogue, now):
    """LL PR#37972: no per-request price, so paid calls look free. Sonar is 12 USD per thousand requests, 1 / 1 per million."""
    prices = catalogue.find("sonar").offers[0].price_list(now)
    assert rate(Usage({"input": 10, "output": 20}), prices, 0).charge == 12_000_000 + 30_000
    assert worst_case(prices, 0, input_tokens=10, output_tokens=20) == 12_000_000 + 30_000


def test_67_a_stream_of_an_aggregator_is_asked_for_its_usage(catalogue, now):
    """LL PR#32101, #11626, #16162: streaming through an aggregator cost $0."""
    offer = catalogue.find("openrouter/anthropic/claude-sonnet-4.5").offers[0]
    assert offer.provider.wire.stream_usage
    assert {"input", "cache_read", "cache_write_5m", "output"} <= {unit for unit, _ in offer.provider.wire.usage.paths}
    # 3 / 15 per million, cached 0.3: 1000 fresh, 9000 cached, 100 out = 3,000,000 + 2,700,000 + 1,500,000 nano-USD.
    used = Usage({"input": 1_000, "cache_read": 9_000, "output": 100})
    assert rate(used, offer.price_list(now), 0).charge == 7_200_000


def test_68_a_typo_in_a_price_stops_the_start_and_bricks_nobody(tmp_path):
    """LL#20615: a typo in a price locked a user out. Here the start names the line, and the old process keeps running."""
    path = tmp_path / "corrections.yml"
    path.write_text(
        'offers:\n  - offer: openai/gpt-4o\n    prices:\n      - per_million: {input: "2.5O", output: "10"}\n'
    )
    with pytest.raises(ConfigurationError) as raised:
        load_catalogue(environment={}, corrections=path)
    assert (raised.value.line, raised.value.key) == (4, "offers[0].prices[0].per_million.input")
