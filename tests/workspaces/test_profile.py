"""Profiles, aliases and presets: what is kept, what is refused, and that a request wins over a preset."""

from typing import get_args

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tollway.errors import InvalidField, ValidationFailed
from tollway.routing import asking, tiers, wish
from tollway.workspaces.profile import (
    MODES,
    NEEDS,
    NOT_PARAMETERS,
    PARAMETERS_BYTES_MAX,
    TIERS,
    Alias,
    Preset,
    Profile,
    Reference,
    Sort,
    apply_preset,
    checked_alias,
    checked_preset,
    checked_profile,
    preset_named,
    preset_reference,
)


def profile(**fields: object) -> Profile:
    return Profile(id="p", workspace_id="w", **{"name": "n", **fields})


def preset(**fields: object) -> Preset:
    return Preset(workspace_id="w", **{"name": "support", "version": 1, **fields})


def test_routing_speaks_the_same_words() -> None:
    assert TIERS == tiers.TIERS
    assert NEEDS == wish.NEEDS
    assert {"", *get_args(Sort)} == set(get_args(wish.Sort))
    assert {name: percent / 100 for name, percent in MODES.items()} == dict(asking.KNOBS)


# --- profiles ---


def test_a_profile_is_kept_tidy() -> None:
    found = checked_profile(
        profile(
            name=" App ",
            needs=("audio", "tools", "tools"),
            allowed_models=("b", "a", "b"),
            allowed_providers=(" OpenAI", "openai"),
            ignored_providers=("X",),
            region=" EU ",
            fallbacks=("z", "z", "y"),
        )
    )
    assert (found.name, found.needs, found.allowed_models) == ("App", ("tools", "audio"), ("b", "a"))
    assert (found.allowed_providers, found.ignored_providers, found.region) == (("openai",), ("x",), "eu")
    assert found.fallbacks == ("z", "y")


@given(floor=st.sampled_from(["", *TIERS]), ceiling=st.sampled_from(["", *TIERS]))
def test_a_floor_above_the_ceiling_is_refused_naming_both(floor: str, ceiling: str) -> None:
    is_fine = not floor or not ceiling or TIERS.index(floor) <= TIERS.index(ceiling)
    one = profile(tier_floor=floor, tier_ceiling=ceiling)
    if is_fine:
        assert checked_profile(one) == one
        return
    with pytest.raises(InvalidField, match=f"`tier_floor` is `{floor}`, above `tier_ceiling` `{ceiling}`") as refusal:
        checked_profile(one)
    assert refusal.value.param == "tier_floor"


@pytest.mark.parametrize(("mode", "quality"), MODES.items())
def test_a_mode_sets_the_knob(mode: str, quality: int) -> None:
    found = checked_profile(profile(mode=mode))
    assert found.quality == quality
    assert checked_profile(profile(mode=mode, quality=quality)) == found
    assert found.sorts_by == ("latency" if mode == "fastest" else "")
    assert checked_profile(profile(mode=mode, sort="price")).sorts_by == "price"
    with pytest.raises(InvalidField, match="give one of them"):
        checked_profile(profile(mode=mode, quality=33))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"name": " "}, "name"),
        ({"max_cost_nano": 0}, "max_cost_usd"),
        ({"max_cost_nano": 10**16}, "max_cost_usd"),
        ({"tool_calling_milli": 1_001}, "tool_calling_min"),
        ({"quality": 101}, "quality"),
        ({"allowed_models": ()}, "allowed_models"),
        ({"allowed_providers": ()}, "allowed_providers"),
        ({"allowed_providers": ("a",), "ignored_providers": ("A", "b")}, "ignored_providers"),
    ],
)
def test_what_nothing_could_answer_is_refused(fields: dict, param: str) -> None:
    with pytest.raises((InvalidField, ValidationFailed)) as refusal:
        checked_profile(profile(**fields))
    assert refusal.value.param == param


# --- aliases ---


@pytest.mark.parametrize("name", ["", " ", "a b", "@x", "a@b", "x" * 201, "a\nb", "auto", "Auto", "auto:light"])
def test_a_name_that_cannot_be_an_alias(name: str) -> None:
    with pytest.raises((InvalidField, ValidationFailed)) as refusal:
        checked_alias(Alias("a", "w", name, "m"))
    assert refusal.value.param == "name"


def test_an_alias_is_kept_trimmed() -> None:
    found = checked_alias(Alias("a", "w", " fast ", " auto:light "))
    assert (found.name, found.target) == ("fast", "auto:light")
    assert checked_alias(Alias("a", "w", "autopilot", "m")).name == "autopilot"


# --- presets ---


@pytest.mark.parametrize("name", ["", "-a", "A", "a b", "a/b", "a@1", "x" * 64])
def test_a_name_that_cannot_be_a_preset(name: str) -> None:
    with pytest.raises(ValidationFailed):
        checked_preset(preset(name=name))


@pytest.mark.parametrize("name", sorted(NOT_PARAMETERS | asking.ROUTING_FIELDS))
def test_a_field_of_ours_is_no_parameter(name: str) -> None:
    with pytest.raises(InvalidField) as refusal:
        checked_preset(preset(parameters={"temperature": 1, name: "x"}))
    assert refusal.value.param == f"parameters.{name}"


@pytest.mark.parametrize("value", [float("inf"), float("nan"), "\ud800"])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    with pytest.raises(InvalidField, match="parameters"):
        checked_preset(preset(parameters={"x": value}))


def test_sizes_of_a_preset() -> None:
    checked_preset(preset(parameters={"x": "a" * (PARAMETERS_BYTES_MAX - 8)}, system="s" * 50_000))
    for fields in ({"parameters": {"x": "a" * PARAMETERS_BYTES_MAX}}, {"system": "s" * 50_001}):
        with pytest.raises(ValidationFailed):
            checked_preset(preset(**fields))
    with pytest.raises(InvalidField, match="one field"):
        checked_preset(preset(parameters={"max_tokens": 1, "max_completion_tokens": 1}))


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ("openai/gpt-4o", None),
        ("auto", None),
        ("@preset/support", Reference("support")),
        ("@preset/support@3", Reference("support", 3)),
        ("openai/gpt-4o@preset/support@12", Reference("support", 12, "openai/gpt-4o")),
    ],
)
def test_a_model_may_name_a_preset(model: str, found: Reference | None) -> None:
    assert preset_reference(model) == found


@pytest.mark.parametrize("name", ["", "UPPER", "a@", "a@0", "a@-1", "a@1.5", "a@b", "a@1@2", "a@9999999999"])
def test_a_reference_that_is_none(name: str) -> None:
    with pytest.raises(InvalidField) as refusal:
        preset_reference(f"@preset/{name}")
    assert refusal.value.param == "model"
    with pytest.raises(InvalidField) as refusal:
        preset_named(name)
    assert refusal.value.param == "preset"


def test_the_field_names_a_preset() -> None:
    assert preset_named("support") == preset_named("@preset/support") == Reference("support")
    assert preset_named("support@2") == Reference("support", 2)


MESSAGES = [{"role": "user", "content": "Hello"}]


def test_a_preset_below_a_request() -> None:
    one = preset(model="openai/gpt-4o", parameters={"temperature": 0.2, "max_tokens": 9}, system="Be kind.")
    asked = {"model": "@preset/support", "messages": MESSAGES, "temperature": 1, "stream": True}
    assert apply_preset(asked, one) == {
        "model": "openai/gpt-4o",
        "messages": [{"role": "system", "content": "Be kind."}, *MESSAGES],
        "temperature": 1,
        "max_tokens": 9,
        "stream": True,
    }
    assert asked["messages"] == MESSAGES, "what was asked is not changed"
    assert apply_preset({"model": "a/b@preset/support", "preset": "support"}, one)["model"] == "a/b"
    assert "model" not in apply_preset({"model": "@preset/support"}, preset())


@pytest.mark.parametrize("bound", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("set_", ["max_tokens", "max_completion_tokens"])
def test_the_bound_of_a_request_stands_alone(bound: str, set_: str) -> None:
    assert apply_preset({bound: 5}, preset(parameters={set_: 9})) == {bound: 5}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(["temperature", "top_p", "max_tokens", "max_completion_tokens", "tools", "stop", "seed", "x"])
parameters = st.dictionaries(names, json_values, max_size=5)
models = st.sampled_from(["openai/gpt-4o", "auto", "@preset/support", "a/b@preset/support@2"])
requests = st.fixed_dictionaries(
    {},
    optional={
        "model": models | st.none() | st.integers(),
        "messages": st.lists(json_values, max_size=3) | st.text(max_size=3),
        "preset": st.just("support"),
        "stream": st.booleans(),
        "provider": json_values,
    },
)


@given(own=parameters, rest=requests, below=parameters, model=st.sampled_from(["", "x/y"]), system=st.text(max_size=5))
@example(own={"temperature": None}, rest={"messages": []}, below={"temperature": 1}, model="", system="s")
def test_the_request_always_wins_and_nothing_else_changes(own, rest, below, model, system) -> None:
    asked = {**own, **rest}
    before = msgspec.json.encode(asked)
    found = apply_preset(asked, preset(model=model, parameters=below, system=system))
    assert msgspec.json.encode(asked) == before
    assert "preset" not in found
    for name in asked.keys() - {"model", "messages", "preset"}:
        assert found[name] == asked[name]
    for name in found.keys() - asked.keys() - {"model"}:
        assert found[name] == below[name]
    bounds = {"max_tokens", "max_completion_tokens"}
    assert below.keys() - found.keys() <= (bounds if bounds & asked.keys() else set())
    own_model = asked.get("model")
    own_model = own_model.partition("@preset/")[0] if isinstance(own_model, str) else own_model
    wanted = model if own_model is None or own_model == "" else own_model
    assert found.get("model", "") == wanted
    messages = asked.get("messages")
    if isinstance(messages, list):
        assert found["messages"][-len(messages) :] == messages or not messages
        assert len(found["messages"]) == len(messages) + bool(system)
    else:
        assert found.get("messages") == messages
