"""Prices as customers see them: decimal strings in USD per token or per call, under the names of the HTTP contract."""

from collections.abc import Mapping

from tollway.catalogue.prices import PriceList
from tollway.catalogue.units import (
    CACHE_READ,
    CACHE_READ_AUDIO,
    CACHE_READ_IMAGE,
    CACHE_WRITE_1H,
    CACHE_WRITE_5M,
    FILE_SEARCH,
    INPUT,
    INPUT_AUDIO,
    INPUT_IMAGE,
    OUTPUT,
    OUTPUT_AUDIO,
    OUTPUT_IMAGE,
    REASONING,
    REQUEST,
    WEB_SEARCH,
    Unit,
)
from tollway.jsontypes import JSON
from tollway.money.amount import PicoUSD, format_pico

NAMES: Mapping[str, Unit] = {
    "prompt": INPUT,
    "completion": OUTPUT,
    "cache_read": CACHE_READ,
    "cache_write": CACHE_WRITE_5M,
    "cache_write_1h": CACHE_WRITE_1H,
    "reasoning": REASONING,
    "request": REQUEST,
    "image": INPUT_IMAGE,
    "image_cache_read": CACHE_READ_IMAGE,
    "image_output": OUTPUT_IMAGE,
    "audio": INPUT_AUDIO,
    "audio_cache_read": CACHE_READ_AUDIO,
    "audio_output": OUTPUT_AUDIO,
    "web_search": WEB_SEARCH,
    "file_search": FILE_SEARCH,
}
"""Name in the contract -> unit."""

_ALWAYS = frozenset({INPUT, OUTPUT, CACHE_READ, CACHE_WRITE_5M, REASONING})
"""What every chat model charges for, by a price of its own or by that of another unit."""


def pricing_object(prices: PriceList, input_tokens: int = 0) -> dict[str, str]:
    """`{"prompt": "0.000003", "completion": "0.000015", ...}`: USD per token or call of a request with that much input.

    Fallbacks are applied for what every chat model charges (a model without a cache price charges cached input as
    input); other units are there when the list prices them.
    """
    level = prices.at(input_tokens)
    own = prices.prices.keys() | {unit for tier in prices.tiers for unit in tier.prices}
    return _named({unit: pico for unit, pico in level.items() if unit in own or unit in _ALWAYS})


def tier_objects(prices: PriceList) -> list[dict[str, JSON]]:
    """What changes for the whole request once its input is longer: `[{"min_prompt_tokens": 200000, "prompt": ...}]`.

    `min_prompt_tokens` is exclusive: the tier counts from one token more.
    """
    return [{"min_prompt_tokens": tier.above_input_tokens, **_named(tier.prices)} for tier in prices.tiers]


def _named(prices: Mapping[Unit, PicoUSD]) -> dict[str, str]:
    return {name: format_pico(prices[unit]) for name, unit in NAMES.items() if unit in prices}
