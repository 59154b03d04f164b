"""The one list of billable units: disjoint kinds of consumption that a price list prices.

Units are plain strings so that the hot path hashes them fast. A unit with a `fallback` may be priced by the price of
another unit when its own is absent, because the provider's page says that it costs the same (a reasoning token is an
output token); one without is refused by rating when it was used and has no price (money.md R11, pains C-6).
"""

from dataclasses import dataclass
from typing import NewType

Unit = NewType("Unit", str)

INPUT = Unit("input")
CACHE_READ = Unit("cache_read")
CACHE_WRITE_5M = Unit("cache_write_5m")
CACHE_WRITE_1H = Unit("cache_write_1h")
INPUT_AUDIO = Unit("input_audio")
CACHE_READ_AUDIO = Unit("cache_read_audio")
INPUT_IMAGE = Unit("input_image")
CACHE_READ_IMAGE = Unit("cache_read_image")
OUTPUT = Unit("output")
REASONING = Unit("reasoning")
OUTPUT_AUDIO = Unit("output_audio")
OUTPUT_IMAGE = Unit("output_image")
REQUEST = Unit("request")
WEB_SEARCH = Unit("web_search")
FILE_SEARCH = Unit("file_search")


@dataclass(frozen=True, slots=True)
class UnitSpec:
    """One billable unit.

    side: `input` and `output` units are tokens and add up to the provider's totals; `call` units are counted events.
    fallback: the unit whose price applies where a price list has none for this one.
    """

    unit: Unit
    side: str
    meaning: str
    fallback: Unit | None = None


UNITS: tuple[UnitSpec, ...] = (
    UnitSpec(INPUT, "input", "input tokens that came from no cache and were written to none"),
    UnitSpec(CACHE_READ, "input", "input tokens read from the provider's prompt cache", INPUT),
    UnitSpec(
        CACHE_WRITE_5M, "input", "input tokens written to the provider's cache for five minutes, or its default", INPUT
    ),
    UnitSpec(CACHE_WRITE_1H, "input", "input tokens written to the provider's cache for an hour", CACHE_WRITE_5M),
    UnitSpec(INPUT_AUDIO, "input", "audio input tokens that came from no cache", INPUT),
    UnitSpec(CACHE_READ_AUDIO, "input", "audio input tokens read from the cache", INPUT_AUDIO),
    UnitSpec(INPUT_IMAGE, "input", "image input tokens that came from no cache", INPUT),
    UnitSpec(CACHE_READ_IMAGE, "input", "image input tokens read from the cache", CACHE_READ),
    UnitSpec(OUTPUT, "output", "output tokens the caller can read"),
    UnitSpec(REASONING, "output", "output tokens spent on thinking", OUTPUT),
    UnitSpec(OUTPUT_AUDIO, "output", "audio output tokens", OUTPUT),
    UnitSpec(OUTPUT_IMAGE, "output", "image output tokens", OUTPUT),
    UnitSpec(REQUEST, "call", "one request"),
    UnitSpec(WEB_SEARCH, "call", "one web search the provider ran"),
    UnitSpec(FILE_SEARCH, "call", "one file search the provider ran"),
)

BY_NAME: dict[str, UnitSpec] = {spec.unit: spec for spec in UNITS}
INPUT_UNITS: tuple[Unit, ...] = tuple(spec.unit for spec in UNITS if spec.side == "input")
OUTPUT_UNITS: tuple[Unit, ...] = tuple(spec.unit for spec in UNITS if spec.side == "output")
