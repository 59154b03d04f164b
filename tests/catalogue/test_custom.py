"""catalogue/custom.py: providers of the operator's own."""

import pytest

from tollway.catalogue.custom import CustomModel, CustomProvider
from tollway.catalogue.load import load_catalogue
from tollway.errors import ConfigurationError

MODEL = CustomModel("llama3.2:3b", per_million={"input": "0.05", "output": "0.10"}, context_tokens=8192)


def load(*custom, **environment):
    return load_catalogue(environment=environment, custom=custom)


def test_any_compatible_url_with_its_models_and_prices():
    catalogue = load(
        CustomProvider("acme", url="http://10.0.0.9:8000/v1/", key="k", name="Acme", region="eu", models=(MODEL,))
    )
    offer = catalogue.find("acme/llama3.2:3b").offers[0]
    assert (offer.provider.name, offer.provider.is_usable, offer.region, offer.context_tokens) == (
        "Acme",
        True,
        "eu",
        8192,
    )
    assert (offer.provider.wire.url, offer.provider.wire.auth) == ("http://10.0.0.9:8000/v1", "bearer")
    assert offer.prices[0].prices == {"input": 50_000, "output": 100_000}
    assert offer.provider.wire.usage.paths[0] == ("input", ("usage", "prompt_tokens"))
    assert "k" not in repr(CustomProvider("acme", key="kkkk")).replace("key", "")


def test_without_a_key_none_is_sent():
    assert load(CustomProvider("acme", url="http://10.0.0.9/v1")).providers["acme"].wire.auth == "none"


def test_a_model_without_a_price_has_none():
    catalogue = load(CustomProvider("acme", url="http://10.0.0.9/v1", models=(CustomModel("m"),)))
    assert catalogue.find("acme/m").offers[0].price_list(2_000_000_000) is None


def test_a_price_for_all_models_and_tiers_of_one():
    tiered = CustomModel("big", above={100_000: {"input": "2"}})
    catalogue = load(
        CustomProvider(
            "acme", url="http://10.0.0.9/v1", per_million={"input": "1", "output": "3"}, models=(MODEL, tiered)
        )
    )
    big = catalogue.find("acme/big").offers[0].prices[0]
    assert (big.at(100_000)["input"], big.at(100_001)["input"], big.at(1)["output"]) == (
        1_000_000,
        2_000_000,
        3_000_000,
    )
    assert catalogue.find("acme/llama3.2:3b").offers[0].prices[0].prices["input"] == 50_000


def test_models_may_be_called_as_the_operator_likes_and_join_others():
    named = CustomModel("m1", id="house-model", aliases=("gpt-4o-mini",), per_million={"input": "1", "output": "1"})
    joined = CustomModel("gpt-4o-at-home", id="openai/gpt-4o", per_million={"input": "1", "output": "1"})
    catalogue = load(CustomProvider("acme", url="http://10.0.0.9/v1", models=(named, joined)))
    assert catalogue.find("house-model").id == "house-model"
    assert catalogue.find("gpt-4o-mini").id == "house-model"  # the operator's word counts before ours
    assert catalogue.find("openai/gpt-4o-mini").id == "openai/gpt-4o-mini"
    assert "acme/gpt-4o-at-home" in {offer.id for offer in catalogue.find("openai/gpt-4o").offers}


def test_one_of_ours_with_another_address_and_further_models():
    catalogue = load(CustomProvider("ollama", url="http://10.0.0.9:11434/v1", models=(MODEL,)))
    provider = catalogue.providers["ollama"]
    assert (provider.name, provider.is_usable, provider.wire.auth) == ("Ollama", True, "none")
    assert provider.wire.rename == {"max_completion_tokens": "max_tokens"}
    assert catalogue.find("ollama/llama3.2:3b").offers[0].prices


@pytest.mark.parametrize(("said", "becomes"), [("", "estimate"), ("drain", "drain"), ("no_bill", "no_bill")])
def test_what_a_caller_who_hangs_up_pays_is_the_operators_choice(said, becomes):
    own = CustomProvider("acme", url="http://10.0.0.9/v1", on_disconnect=said)
    assert load(own).providers["acme"].wire.on_disconnect == becomes


def test_one_of_ours_keeps_its_policy_unless_another_is_said():
    assert load(CustomProvider("mistral", key="k")).providers["mistral"].wire.on_disconnect == "drain"
    changed = CustomProvider("mistral", key="k", on_disconnect="no_bill")
    assert load(changed).providers["mistral"].wire.on_disconnect == "no_bill"


def test_one_of_ours_with_a_key_from_the_settings():
    catalogue = load(CustomProvider("anthropic", key="k"))
    provider = catalogue.providers["anthropic"]
    assert (provider.is_usable, provider.key, provider.wire.dialect, provider.wire.auth) == (
        True,
        "k",
        "anthropic",
        "header",
    )
    assert catalogue.find("claude-sonnet-4-5").offers[0].provider is provider


def test_further_models_alone_do_not_make_a_provider_usable():
    assert not load(CustomProvider("openai", models=(MODEL,))).providers["openai"].is_usable


@pytest.mark.parametrize(
    ("custom", "key"),
    [
        (CustomProvider("acme"), "providers.acme.url"),
        (CustomProvider("acme", url="acme.test"), "providers.acme.url"),
        (CustomProvider("acme", url="http://h/v1", dialect="klingon"), "providers.acme.dialect"),
        (
            CustomProvider("acme", url="http://h/v1", models=(MODEL, CustomModel("m", per_million={"inptu": "1"}))),
            "providers.acme.models.1.prices.inptu",
        ),
        (
            CustomProvider("ollama", url="http://h/v1", models=(CustomModel("m", per_million={"input": "x"}),)),
            "providers.ollama.models.0.prices.input",
        ),
    ],
)
def test_a_mistake_is_told_where_it_was_made(custom, key):
    custom = CustomProvider(
        **{name: getattr(custom, name) for name in CustomProvider.__slots__} | {"file": "tollway.toml", "line": 7}
    )
    with pytest.raises(ConfigurationError) as raised:
        load(custom)
    error = raised.value
    assert (error.file, error.line, error.key) == ("tollway.toml", 7, key)


def test_two_of_one_id_are_a_mistake():
    one = CustomProvider("acme", url="http://h/v1")
    with pytest.raises(ConfigurationError, match="two providers"):
        load(one, one)
