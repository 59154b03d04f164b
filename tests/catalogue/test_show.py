"""catalogue/show.py: prices as GET /v1/models shows them."""

from tollway.catalogue.prices import PriceList, PriceTier
from tollway.catalogue.show import NAMES, pricing_object, tier_objects
from tollway.catalogue.units import BY_NAME


def test_names_of_the_contract():
    prices = PriceList(
        "o",
        0,
        {
            "input": 3_000_000,
            "output": 15_000_000,
            "cache_read": 3_625,
            "web_search": 10_000_000_000,
            "request": 12_000_000_000,
        },
        (PriceTier(200_000, {"input": 6_000_000}),),
    )
    assert pricing_object(prices) == {
        "prompt": "0.000003",
        "completion": "0.000015",
        "cache_read": "0.000000003625",
        "cache_write": "0.000003",
        "reasoning": "0.000015",
        "request": "0.012",
        "web_search": "0.01",
    }
    assert pricing_object(prices, 200_001)["prompt"] == "0.000006"
    assert tier_objects(prices) == [{"min_prompt_tokens": 200_000, "prompt": "0.000006"}]


def test_a_free_model_says_zero():
    assert pricing_object(PriceList("o", 0, {"input": 0, "output": 0}))["prompt"] == "0"


def test_every_unit_has_a_name():
    assert set(NAMES.values()) == set(BY_NAME)
