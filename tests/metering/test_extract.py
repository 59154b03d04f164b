"""Extract: the wrong bills of other gateways as cases with numbers by hand (pains C-1), and disjointness as a property.

Where an issue names tokens and dollars, they are its own. Repositories: LL BerriAI/litellm, NA QuantumNous/new-api,
BF maximhq/bifrost.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollway.catalogue.offers import UsageSpec
from tollway.catalogue.prices import PriceList, PriceTier
from tollway.catalogue.units import Unit
from tollway.jsontypes import JSON, JSONObject
from tollway.metering.extract import COUNT_MAX, UnusableUsage, extract
from tollway.metering.rating import rate
from tollway.metering.usage import Usage, UsageSource
from tollway.money.amount import parse_per_million
from wire.golden import ANTHROPIC, GEMINI, OPENAI, usage_spec


def prices(**per_million: str) -> PriceList:
    return PriceList("test@2026-01-01", 0, {Unit(unit): parse_per_million(text) for unit, text in per_million.items()})


def counted(spec: UsageSpec, document: JSON) -> Usage:
    usage = extract(spec, document)
    assert usage is not None
    return usage


def used(spec: UsageSpec, document: JSON) -> dict[str, int]:
    return {unit: number for unit, number in counted(spec, document).counts.items() if number}


def cost(spec: UsageSpec, document: JSON, list_: PriceList) -> int:
    return rate(counted(spec, document), list_, 0).cost


# The cases of pains C-1, by their numbers there.


def test_pain_1_gemini_cached_tokens_are_not_charged_twice() -> None:
    document: JSON = {
        "usageMetadata": {
            "promptTokenCount": 262_960,
            "cachedContentTokenCount": 257_955,
            "candidatesTokenCount": 1_744,
            "totalTokenCount": 264_704,
        }
    }
    assert used(GEMINI, document) == {"input": 5_005, "cache_read": 257_955, "output": 1_744}
    # 5,005 x 1.25 + 257,955 x 0.625 + 1,744 x 10 = 184,918.125 millionths of a dollar: $0.1849, not $0.7642 (LL#14849).
    assert cost(GEMINI, document, prices(input="1.25", cache_read="0.625", output="10")) == 184_918_125


def test_pain_2_and_10_cached_image_tokens_are_not_charged_twice() -> None:
    # LL PR#37407: 1,319 text and 1,142 image tokens, of which 2,432 were cached, images among them.
    spec = usage_spec(
        {
            "input": "usage.prompt_tokens",
            "cache_read": "usage.prompt_tokens_details.cached_tokens",
            "input_image": "usage.prompt_tokens_details.image_tokens",
            "output": "usage.completion_tokens",
        },
        [("cache_read", "input"), ("input_image", "input")],
    )
    details: JSON = {"text_tokens": 1_319, "audio_tokens": 0, "image_tokens": 1_142, "cached_tokens": 2_432}
    document: JSON = {"usage": {"prompt_tokens": 2_461, "completion_tokens": 303, "prompt_tokens_details": details}}
    usage = counted(spec, document)
    assert usage.input_tokens == 2_461
    # The cached count stays as reported; 29 tokens were not cached, whatever their modality (NA#7229).
    assert used(spec, document) == {"cache_read": 2_432, "input_image": 29, "output": 303}
    assert usage.warnings == ("input_image is reported as 1113 more than input has room for; it counts as 29",)


def test_pain_3_anthropic_cache_writes_are_not_charged_twice() -> None:
    document: JSON = {
        "usage": {
            "input_tokens": 3,
            "cache_creation_input_tokens": 12_304,
            "cache_read_input_tokens": 0,
            "output_tokens": 550,
        }
    }
    assert used(ANTHROPIC, document) == {"input": 3, "cache_write_5m": 12_304, "output": 550}
    # 3 x 3 + 12,304 x 3.75 + 550 x 15 = 54,399 millionths: $0.0544, not $0.0913 (LL#9812).
    assert (
        cost(ANTHROPIC, document, prices(input="3", cache_read="0.3", cache_write_5m="3.75", output="15")) == 54_399_000
    )


def test_pain_4_and_13_cached_tokens_are_not_charged_as_input() -> None:
    document: JSON = {"usage": {"input_tokens": 2_000, "cache_read_input_tokens": 1_600_000, "output_tokens": 4_000}}
    assert used(ANTHROPIC, document) == {"input": 2_000, "cache_read": 1_600_000, "output": 4_000}
    # 2,000 x 3 + 1,600,000 x 0.30 + 4,000 x 15 = 546,000 millionths: $0.546; cached as input would be $4.866.
    assert cost(ANTHROPIC, document, prices(input="3", cache_read="0.3", output="15")) == 546_000_000


def test_pain_5_gemini_implicit_cache_is_counted() -> None:
    # Implicit hits come without `cacheTokensDetails` (LL#16341).
    document: JSON = {
        "usageMetadata": {
            "promptTokenCount": 11_125,
            "cachedContentTokenCount": 7_441,
            "candidatesTokenCount": 20,
            "thoughtsTokenCount": 409,
            "totalTokenCount": 11_554,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 11_125}],
        }
    }
    usage = counted(GEMINI, document)
    assert used(GEMINI, document) == {"input": 3_684, "cache_read": 7_441, "output": 20, "reasoning": 409}
    assert (usage.input_tokens, usage.output_tokens, usage.cached_tokens) == (11_125, 429, 7_441)


def test_pain_6_anthropic_reads_and_writes_of_one_request() -> None:
    document: JSON = {
        "usage": {
            "input_tokens": 10,
            "cache_read_input_tokens": 66_360,
            "cache_creation_input_tokens": 32_435,
            "output_tokens": 5_120,
            "output_tokens_details": {"thinking_tokens": 1_710},
        }
    }
    expected = {"input": 10, "cache_read": 66_360, "cache_write_5m": 32_435, "output": 3_410, "reasoning": 1_710}
    assert used(ANTHROPIC, document) == expected
    # 10 x 5 + 66,360 x 0.5 + 32,435 x 6.25 + 5,120 x 25 = 363,948.75 millionths (LL#11364 said $0.04708).
    list_ = prices(input="5", cache_read="0.5", cache_write_5m="6.25", output="25")
    assert cost(ANTHROPIC, document, list_) == 363_948_750


def test_pain_7_cached_tokens_of_a_self_hosted_server_are_kept() -> None:
    usage: JSON = {
        "prompt_tokens": 2_006,
        "completion_tokens": 300,
        "total_tokens": 2_306,
        "prompt_tokens_details": {"cached_tokens": 1_920},
    }
    assert used(OPENAI, {"usage": usage}) == {"input": 86, "cache_read": 1_920, "output": 300}


def test_pain_8_more_cached_than_input_is_never_negative() -> None:
    details: JSON = {"cached_tokens": 150}
    document: JSON = {"usage": {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": details}}
    usage = counted(OPENAI, document)
    assert used(OPENAI, document) == {"cache_read": 100, "output": 5}
    assert usage.input_tokens == 100
    assert usage.warnings == ("cache_read is reported as 50 more than input has room for; it counts as 100",)


def test_pain_9_cache_writes_are_billed_under_tiers_and_choose_the_tier() -> None:
    # 10 + 150,000 read + 60,000 written = 210,010 input tokens: beyond the tier, although only 10 were plain.
    document: JSON = {
        "usage": {
            "input_tokens": 10,
            "cache_read_input_tokens": 150_000,
            "cache_creation_input_tokens": 60_000,
            "output_tokens": 100,
        }
    }
    low = {"input": "3", "cache_read": "0.3", "cache_write_5m": "3.75", "output": "15"}
    high = {"input": "6", "cache_read": "0.6", "cache_write_5m": "7.5", "output": "22.5"}
    tier = PriceTier(200_000, {Unit(unit): parse_per_million(text) for unit, text in high.items()})
    list_ = PriceList("t@2026-01-01", 0, {Unit(unit): parse_per_million(text) for unit, text in low.items()}, (tier,))
    # 10 x 6 + 150,000 x 0.6 + 60,000 x 7.5 + 100 x 22.5 = 542,310 millionths.
    assert cost(ANTHROPIC, document, list_) == 542_310_000


def test_pain_11_cached_tokens_of_the_responses_shape() -> None:
    spec = usage_spec(
        {
            "input": "response.usage.input_tokens",
            "cache_read": "response.usage.input_tokens_details.cached_tokens",
            "output": "response.usage.output_tokens",
            "reasoning": "response.usage.output_tokens_details.reasoning_tokens",
        },
        [("cache_read", "input"), ("reasoning", "output")],
    )
    usage: JSON = {
        "input_tokens": 10_000,
        "input_tokens_details": {"cached_tokens": 9_000},
        "output_tokens": 500,
        "output_tokens_details": {"reasoning_tokens": 320},
    }
    expected = {"input": 1_000, "cache_read": 9_000, "output": 180, "reasoning": 320}
    assert used(spec, {"response": {"usage": usage}}) == expected


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -100, "completion_tokens": 5},
        {"prompt_tokens": 100, "completion_tokens": -1},
        {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": -1}},
        {"prompt_tokens": 100.5, "completion_tokens": 5},
        {"prompt_tokens": 100.0, "completion_tokens": 5},
        {"prompt_tokens": True, "completion_tokens": 5},
        {"prompt_tokens": "100", "completion_tokens": 5},
        {"prompt_tokens": [100], "completion_tokens": 5},
        {"prompt_tokens": COUNT_MAX + 1, "completion_tokens": 5},
    ],
)
def test_pain_12_what_is_no_count_is_not_billed(usage: JSONObject) -> None:
    with pytest.raises(UnusableUsage, match="which is not a count"):
        extract(OPENAI, {"usage": usage})


def test_pain_14_anthropic_cache_writes_of_a_stream() -> None:
    document: JSON = {
        "usage": {
            "input_tokens": 6,
            "cache_creation_input_tokens": 159_217,
            "cache_read_input_tokens": 0,
            "output_tokens": 2_745,
        }
    }
    # 6 x 5 + 159,217 x 6.25 + 2,745 x 25 = 1,063,761.25 millionths: $1.0638, not $1.8598 (BF#3451).
    assert cost(ANTHROPIC, document, prices(input="5", cache_write_5m="6.25", output="25")) == 1_063_761_250


def test_pain_17_cached_audio_has_its_own_count() -> None:
    document: JSON = {
        "usageMetadata": {
            "promptTokenCount": 100_000,
            "cachedContentTokenCount": 70_000,
            "candidatesTokenCount": 200,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 10_000},
                {"modality": "AUDIO", "tokenCount": 90_000},
            ],
            "cacheTokensDetails": [
                {"modality": "AUDIO", "tokenCount": 64_000},
                {"modality": "TEXT", "tokenCount": 6_000},
            ],
        }
    }
    # Audio: 90,000, of which 64,000 cached. Text: 10,000, of which 6,000 cached.
    expected = {"input": 4_000, "cache_read": 6_000, "input_audio": 26_000, "cache_read_audio": 64_000, "output": 200}
    assert used(GEMINI, document) == expected
    assert counted(GEMINI, document).warnings == ()
    # 4,000 x 0.30 + 6,000 x 0.03 + 26,000 x 1 + 64,000 x 0.1 + 200 x 2.5 = 34,280 millionths.
    list_ = prices(input="0.30", cache_read="0.03", input_audio="1", cache_read_audio="0.1", output="2.5")
    assert cost(GEMINI, document, list_) == 34_280_000


def test_pain_42_explicit_zeros_are_believed_and_absence_is_not_zero() -> None:
    zero = counted(OPENAI, {"usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}})
    assert (zero.input_tokens, zero.output_tokens, zero.source) == (0, 0, UsageSource.PROVIDER)
    assert dict(zero.counts) == {"input": 0, "output": 0}
    absent: tuple[JSON, ...] = (
        {},
        {"usage": None},
        {"usage": {}},
        {"usage": {"total_tokens": 7}},
        {"usage": "?"},
        [],
        None,
        3,
        "usage",
    )
    for document in absent:
        assert extract(OPENAI, document) is None


# Anthropic's cache writes: one total, and a split by lifetime.


@pytest.mark.parametrize(
    ("total", "split", "expected", "warnings"),
    [
        (700, (500, 200), {"cache_write_5m": 500, "cache_write_1h": 200}, 0),
        (700, None, {"cache_write_5m": 700}, 0),  # only the total: all of it has the default lifetime
        (700, (0, 700), {"cache_write_1h": 700}, 0),
        (0, (0, 0), {}, 0),
        (700, (100, 200), {"cache_write_5m": 500, "cache_write_1h": 200}, 1),  # does not add up: the total stays
        (700, (0, 0), {"cache_write_5m": 700}, 1),
        (100, (0, 200), {"cache_write_1h": 100}, 1),
        (None, (500, 200), {"cache_write_5m": 500, "cache_write_1h": 200}, 0),  # only the split
    ],
)
def test_cache_writes_by_lifetime(
    total: int | None, split: tuple[int, int] | None, expected: dict[str, int], warnings: int
) -> None:
    usage: JSONObject = {"input_tokens": 10, "cache_read_input_tokens": 0, "output_tokens": 1}
    if total is not None:
        usage["cache_creation_input_tokens"] = total
    if split is not None:
        usage["cache_creation"] = {"ephemeral_5m_input_tokens": split[0], "ephemeral_1h_input_tokens": split[1]}
    assert used(ANTHROPIC, {"usage": usage}) == {"input": 10, "output": 1, **expected}
    assert len(counted(ANTHROPIC, {"usage": usage}).warnings) == warnings


def test_a_total_and_its_own_number_are_compared() -> None:
    spec = usage_spec(
        {
            "input": ["usage.prompt_tokens", "usage.prompt_cache_miss_tokens"],
            "cache_read": "usage.prompt_cache_hit_tokens",
            "output": "usage.completion_tokens",
        },
        [("cache_read", "input")],
    )
    good: JSON = {
        "prompt_tokens": 100,
        "prompt_cache_hit_tokens": 64,
        "prompt_cache_miss_tokens": 36,
        "completion_tokens": 7,
    }
    assert counted(spec, {"usage": good}).warnings == ()
    bad: JSON = {
        "prompt_tokens": 100,
        "prompt_cache_hit_tokens": 64,
        "prompt_cache_miss_tokens": 40,
        "completion_tokens": 7,
    }
    usage = counted(spec, {"usage": bad})
    assert usage.counts[Unit("input")] == 36
    assert usage.warnings == ("input is reported as 40, but its total leaves 36, which counts",)
    alone: JSON = {"prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 36, "completion_tokens": 7}
    assert used(spec, {"usage": alone}) == {"input": 36, "cache_read": 64, "output": 7}


def test_half_a_report_is_unusable() -> None:
    with pytest.raises(UnusableUsage, match="output is missing, although input is reported"):
        extract(OPENAI, {"usage": {"prompt_tokens": 5}})
    with pytest.raises(UnusableUsage, match="input is missing, although output is reported"):
        extract(OPENAI, {"usage": {"completion_tokens": 5}})
    embedding = usage_spec({"input": "usage.prompt_tokens"})
    assert used(embedding, {"usage": {"prompt_tokens": 5}}) == {"input": 5}


def test_tool_calls_are_counted_beside_tokens() -> None:
    usage: JSON = {
        "input_tokens": 1,
        "output_tokens": 2,
        "server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 0},
    }
    assert used(ANTHROPIC, {"usage": usage}) == {"input": 1, "output": 2, "web_search": 3}


def test_beside_is_not_inside() -> None:
    # A provider whose reasoning tokens are not part of the completion's.
    spec = usage_spec(
        {
            "input": "usage.prompt_tokens",
            "output": "usage.completion_tokens",
            "reasoning": "usage.completion_tokens_details.reasoning_tokens",
        }
    )
    usage: JSON = {"prompt_tokens": 5, "completion_tokens": 10, "completion_tokens_details": {"reasoning_tokens": 30}}
    assert used(spec, {"usage": usage}) == {"input": 5, "output": 10, "reasoning": 30}


def test_a_circular_spec_is_refused() -> None:
    circle = usage_spec(
        {"input": "a", "cache_read": "b", "output": "c"}, [("cache_read", "input"), ("input", "cache_read")]
    )
    with pytest.raises(ValueError, match="inside itself"):
        extract(circle, {"a": 1, "b": 1, "c": 1})


def test_specs_that_live_at_the_same_address_are_not_confused() -> None:
    for number in range(300):
        spec = usage_spec({"input": f"usage.in_{number}", "output": "usage.out"})
        assert used(spec, {"usage": {f"in_{number}": 5, "out": 1}}) == {"input": 5, "output": 1}


# Properties.

_NUMBER = st.one_of(st.none(), st.integers(min_value=0, max_value=200))


@given(
    prompt=st.integers(0, 300), parts=st.tuples(_NUMBER, _NUMBER, _NUMBER), answer=st.integers(0, 300), thought=_NUMBER
)
def test_openai_counts_are_disjoint_and_add_up(
    prompt: int, parts: tuple[int | None, int | None, int | None], answer: int, thought: int | None
) -> None:
    cached, written, audio = parts
    details: JSON = {"cached_tokens": cached, "cache_write_tokens": written, "audio_tokens": audio}
    document: JSON = {
        "usage": {
            "prompt_tokens": prompt,
            "prompt_tokens_details": details,
            "completion_tokens": answer,
            "completion_tokens_details": {"reasoning_tokens": thought},
        }
    }
    usage = counted(OPENAI, document)
    assert min(usage.counts.values()) >= 0
    assert (usage.input_tokens, usage.output_tokens) == (prompt, answer)
    fits = (cached or 0) + (written or 0) + (audio or 0) <= prompt and (thought or 0) <= answer
    assert (usage.warnings == ()) == fits
    if fits:
        assert (usage.cached_tokens, usage.reasoning_tokens) == (cached or 0, thought or 0)


@given(
    text=st.integers(0, 100),
    audio=st.integers(0, 100),
    cached_text=st.integers(0, 120),
    cached_audio=st.integers(0, 120),
)
def test_gemini_counts_are_disjoint_and_add_up_through_two_levels(
    text: int, audio: int, cached_text: int, cached_audio: int
) -> None:
    document: JSON = {
        "usageMetadata": {
            "promptTokenCount": text + audio,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": text},
                {"modality": "AUDIO", "tokenCount": audio},
            ],
            "cachedContentTokenCount": cached_text + cached_audio,
            "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": cached_audio}],
            "candidatesTokenCount": 1,
        }
    }
    usage = counted(GEMINI, document)
    assert min(usage.counts.values()) >= 0
    assert usage.input_tokens == text + audio
    if cached_text <= text and cached_audio <= audio:
        assert dict(usage.counts) == {
            "input": text - cached_text,
            "cache_read": cached_text,
            "cache_read_audio": cached_audio,
            "input_audio": audio - cached_audio,
            "output": 1,
        }
        assert usage.warnings == ()


_JSON: st.SearchStrategy[JSON] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.floats(allow_nan=False), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["usage", "prompt_tokens", "completion_tokens", "prompt_tokens_details", "cached_tokens", "modality"]
            ),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=12,
)


@given(document=_JSON)
def test_whatever_a_provider_sends_the_counts_are_counts(document: JSON) -> None:
    for spec in (OPENAI, GEMINI, ANTHROPIC):
        try:
            usage = extract(spec, document)
        except UnusableUsage:
            continue
        assert usage is None or all(type(number) is int and number >= 0 for number in usage.counts.values())
