"""What a request wishes, read from its fields, and the narrower of a profile and a request."""

import pytest

from tollway.catalogue.units import INPUT, OUTPUT
from tollway.errors import InvalidField
from tollway.routing.asking import wish_of
from tollway.routing.wish import PLAIN, Wish, merged


def test_a_named_model_without_fields_wishes_nothing():
    assert wish_of("openai/gpt-4o", {}) is PLAIN
    assert wish_of("meta/llama:free", {}) is PLAIN


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        ("auto", {}, Wish(mode="auto")),
        ("AUTO", {}, Wish(mode="auto")),
        ("auto:light", {}, Wish(mode="tier", tier="light")),
        ("auto:LIGHT:nitro", {}, Wish(mode="tier", tier="light", variant="nitro", sort="throughput")),
        ("auto:floor", {}, Wish(mode="auto", variant="floor", sort="price")),
        ("auto", {"tier": "complex"}, Wish(mode="tier", tier="complex")),
        ("any/model", {"routor_profile": "auto"}, Wish(mode="auto")),
        ("any/model", {"routor_profile": "auto", "routor_tier": "NANO"}, Wish(mode="auto")),
        ("any/model", {"routor_profile": "tier", "routor_tier": "STANDARD"}, Wish(mode="tier", tier="standard")),
        ("any/model", {"routor_profile": "direct"}, Wish()),
        ("auto", {"routor_tier_floor": "LIGHT"}, Wish(mode="auto", floor="light")),
        ("auto", {"routor_tier_ceiling": "LIGHT"}, Wish(mode="auto", ceiling="light")),
        ("auto", {"routor_max_cost": 0.05}, Wish(mode="auto", max_cost_nano=50_000_000)),
        ("auto", {"max_cost": "0.000000001"}, Wish(mode="auto", max_cost_nano=1)),
        ("auto", {"routor_bfcl_min": 0.8}, Wish(mode="auto", tool_calling_min=0.8)),
        ("auto", {"routor_code_quality": 2, "routor_chat_quality": 1}, Wish(mode="auto", code_quality=2, chat_quality=1)),
        ("auto", {"quality": "best"}, Wish(mode="auto", quality_knob=1.0)),
        ("auto", {"quality": "fastest"}, Wish(mode="auto", quality_knob=0.5, sort="latency")),
        ("auto", {"quality": 0.25}, Wish(mode="auto", quality_knob=0.25)),
        ("auto", {"needs": ["vision"]}, Wish(mode="auto", needs=frozenset({"vision"}))),
        ("auto", {"profile": "cheap", "tier": None}, Wish(mode="auto", profile="cheap")),
        ("m", {"provider": {"order": ["Acme"], "sort": "latency"}}, Wish(order=("acme",), sort="latency")),
        ("m", {"provider": {"only": ["a"], "ignore": ["B"], "allow_fallbacks": False, "require_parameters": True}},
         Wish(allowed_providers=frozenset({"a"}), ignored_providers=frozenset({"b"}), fallbacks=False, requires_parameters=True)),
        ("m", {"provider": {"max_price": {"prompt": 1, "completion": "2.5"}}}, Wish(max_price={INPUT: 1_000_000, OUTPUT: 2_500_000})),
        ("m", {"provider": {"region": "EU", "sort": {"by": "price"}}}, Wish(region="eu", sort="price")),
        # These ask for nothing.
        ("m", {"provider": {"data_collection": "allow", "zdr": False, "quantizations": [], "sort": None}}, Wish()),
    ],
)  # fmt: skip
def test_fields_and_their_aliases(model, fields, expected):
    assert wish_of(model, fields) == expected


@pytest.mark.parametrize(
    ("model", "fields", "param", "word"),
    [
        ("auto", {"tier": "huge"}, "tier", "nano, simple, light, standard, complex"),
        ("auto", {"tier": 3}, "tier", "3"),
        ("auto:huge", {}, "model", "after the colon"),
        ("auto:light", {"tier": "nano"}, "tier", "light"),
        ("auto:free:nitro", {}, "model", "one of them"),
        ("auto", {"tier": "nano", "routor_tier": "LIGHT"}, "routor_tier", "different"),
        ("acme/gpt", {"tier": "nano"}, "tier", '"model": "auto"'),
        ("auto", {"routor_profile": "tier"}, "routor_tier", "no tier is named"),
        ("auto", {"routor_profile": "direct"}, "model", "GET /v1/models"),
        ("auto", {"routor_profile": "fast"}, "routor_profile", "auto, tier, direct"),
        ("auto", {"tier_floor": "complex", "routor_tier_ceiling": "nano"}, "tier_floor", "`tier_ceiling`"),
        ("auto:nano", {"tier_floor": "light"}, "tier", "below"),
        ("auto:complex", {"tier_ceiling": "light"}, "tier", "above"),
        ("auto", {"max_cost": "-1"}, "max_cost", "more than 0"),
        ("auto", {"max_cost": "cheap"}, "max_cost", "amount"),
        ("auto", {"max_cost": [1]}, "max_cost", "USD"),
        ("auto", {"tool_calling_min": 1.1}, "tool_calling_min", "from 0 to 1"),
        ("auto", {"quality": "good"}, "quality", "cheapest"),
        ("auto", {"code_quality": 3}, "code_quality", "0 (fast)"),
        ("auto", {"code_quality": [1]}, "code_quality", "0 (fast)"),
        ("auto", {"needs": ["wings"]}, "needs", "vision"),
        ("auto", {"profile": ""}, "profile", "characters"),
        ("m", {"provider": []}, "provider", "object"),
        ("m", {"provider": {"speed": 1}}, "provider.speed", "order"),
        ("m", {"provider": {"order": "acme"}}, "provider.order", "list"),
        ("m", {"provider": {"allow_fallbacks": "no"}}, "provider.allow_fallbacks", "true or false"),
        ("m", {"provider": {"sort": "beauty"}}, "provider.sort", "latency"),
        ("m", {"provider": {"sort": {"by": "price", "partition": "none"}}}, "provider.sort", "within each model"),
        ("m", {"provider": {"data_collection": "deny"}}, "provider.data_collection", "provider.only"),
        ("m", {"provider": {"zdr": True}}, "provider.zdr", "provider.only"),
        ("m", {"provider": {"quantizations": ["fp8"]}}, "provider.quantizations", "provider.only"),
        ("m", {"provider": {"max_price": {"image": 1}}}, "provider.max_price.image", "prompt"),
        ("m", {"provider": {"max_price": {"audio": 1}}}, "provider.max_price.audio", "completion"),
        ("m", {"provider": {"max_price": {"prompt": -1}}}, "provider.max_price.prompt", "negative"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_what_would_do(model, fields, param, word):
    with pytest.raises(InvalidField) as caught:
        wish_of(model, fields)
    assert caught.value.param == param
    assert word in caught.value.message


def test_the_narrower_of_profile_and_request():
    profile = Wish(
        floor="simple", ceiling="standard", max_cost_nano=50, tool_calling_min=0.5, needs=frozenset({"tools"}),
        allowed_models=frozenset({"a", "b"}), allowed_providers=frozenset({"x", "y"}), ignored_providers=frozenset({"z"}),
        quality_knob=0.2, region="eu", fallbacks=False, sort="price", max_price={INPUT: 5, OUTPUT: 5}, profile="team",
        profile_id="p1",
    )  # fmt: skip
    request = Wish(
        mode="auto", floor="light", ceiling="complex", max_cost_nano=90, tool_calling_min=0.7, needs=frozenset({"vision"}),
        allowed_providers=frozenset({"y"}), quality_knob=0.9, max_price={INPUT: 9},
    )  # fmt: skip
    assert merged(profile, request) == Wish(
        mode="auto", floor="light", ceiling="standard", max_cost_nano=50, tool_calling_min=0.7,
        needs=frozenset({"tools", "vision"}), allowed_models=frozenset({"a", "b"}), allowed_providers=frozenset({"y"}),
        ignored_providers=frozenset({"z"}), quality_knob=0.9, region="eu", fallbacks=False, sort="price",
        max_price={INPUT: 5, OUTPUT: 5}, profile="team", profile_id="p1",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("profile", "request_", "param", "words"),
    [
        (Wish(ceiling="light"), Wish(mode="auto", floor="standard"), "tier_floor", ("`tier_floor`", "the ceiling of the profile `team`")),
        (Wish(floor="standard"), Wish(mode="tier", tier="nano"), "tier", ("the floor of the profile `team`",)),
        (Wish(region="eu"), Wish(region="us"), "provider.region", ("`us`", "`eu`")),
        (Wish(allowed_providers=frozenset("a")), Wish(allowed_providers=frozenset("b")), "provider.only", ("`a`", "`b`")),
    ],
)  # fmt: skip
def test_a_contradiction_names_both_sides(profile, request_, param, words):
    import msgspec  # noqa: PLC0415

    with pytest.raises(InvalidField) as caught:
        merged(msgspec.structs.replace(profile, profile="team"), request_)
    assert caught.value.param == param
    for word in words:
        assert word in caught.value.message
