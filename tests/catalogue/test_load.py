"""catalogue/load.py: the packaged catalogue as it is shipped, with prices stated by hand."""

import time

import pytest

from tollway.catalogue.load import (
    PACKAGED_SNAPSHOT,
    PROVIDERS,
    corrections_path,
    load_catalogue,
    read_wirings,
    snapshot_path,
)
from tollway.catalogue.units import OUTPUT
from tollway.errors import ConfigurationError
from tollway.metering.rating import rate
from tollway.metering.usage import Usage
from wire import golden

# USD per million tokens x 1,000,000 = pico-USD per token; read from the providers' price pages as of 2026-11.
BY_HAND = {
    "gpt-4o-mini": {"input": 150_000, "cache_read": 75_000, "output": 600_000},
    "gpt-4o": {"input": 2_500_000, "cache_read": 1_250_000, "output": 10_000_000},
    "gpt-4.1": {"input": 2_000_000, "cache_read": 500_000, "output": 8_000_000},
    "claude-sonnet-4-5": {
        "input": 3_000_000,
        "cache_read": 300_000,
        "cache_write_5m": 3_750_000,
        "cache_write_1h": 6_000_000,
        "output": 15_000_000,
        "web_search": 10_000_000_000,
    },
    "claude-haiku-4-5": {"input": 1_000_000, "cache_read": 100_000, "cache_write_5m": 1_250_000, "output": 5_000_000},
    "gemini-2.5-flash": {
        "input": 300_000,
        "cache_read": 30_000,
        "input_audio": 1_000_000,
        "cache_read_audio": 100_000,
        "output": 2_500_000,
        "web_search": 35_000_000_000,
    },
    "simulated/priced": {"input": 3_000_000, "cache_read": 300_000, "output": 15_000_000},
    "simulated/echo": {"input": 0, "output": 0},
    "groq/llama-3.3-70b-versatile": {"input": 590_000, "output": 790_000},
    "local/smollm2-135m": {"input": 20_000, "cache_read": 5_000, "output": 60_000},
}


@pytest.mark.parametrize("name", BY_HAND)
def test_prices_are_the_ones_on_the_page(catalogue, now, name):
    prices = catalogue.find(name).offers[0].price_list(now)
    for unit, pico in BY_HAND[name].items():
        assert prices.prices[unit] == pico, unit


def test_reasoning_and_unpriced_cache_fall_back_to_what_they_are(catalogue, now):
    level = catalogue.find("gpt-4o-mini").offers[0].price_list(now).at(10)
    assert level["reasoning"] == 600_000
    assert level["cache_write_5m"] == 150_000


def test_file_search_of_openai_costs_a_quarter_cent_a_call(catalogue, now):
    for name in ("gpt-4o-mini", "gpt-3.5-turbo"):
        prices = catalogue.find(name).offers[0].price_list(now).prices
        assert prices["file_search"] == 2_500_000_000
        assert prices["web_search"] == 10_000_000_000


def test_a_longer_context_is_priced_by_its_tier_for_the_whole_request(catalogue, now):
    prices = catalogue.find("claude-sonnet-4-5").offers[0].price_list(now)
    assert (prices.at(200_000)["input"], prices.at(200_000)["output"]) == (3_000_000, 15_000_000)
    assert (prices.at(200_001)["input"], prices.at(200_001)["output"]) == (6_000_000, 22_500_000)
    assert prices.at(200_001)["cache_write_1h"] == 12_000_000
    assert prices.at(200_001)["web_search"] == 10_000_000_000


def test_a_price_by_time_of_day_and_a_change_by_date(catalogue):
    offer = catalogue.find("deepseek-v4-pro").offers[0]
    midnight_16_august, midnight_17_august = 1_786_838_400, 1_786_924_800
    assert offer.price_list(midnight_16_august).prices["input"] == 435_000
    assert offer.price_list(midnight_17_august - 1).prices["input"] == 435_000
    assert offer.price_list(midnight_17_august).prices["input"] == 660_000
    assert offer.price_list(midnight_17_august + 3_599).prices["input"] == 660_000
    assert offer.price_list(midnight_17_august + 3_600).prices["input"] == 1_320_000  # 01:00 UTC
    assert offer.price_list(midnight_17_august + 14_399).prices["input"] == 1_320_000
    assert offer.price_list(midnight_17_august + 14_400).prices["input"] == 660_000  # 04:00 UTC
    assert offer.price_list(midnight_17_august + 6 * 3_600).prices["output"] == 3_960_000


def test_vectors_of_money_md(catalogue, now):
    """1234 in and 567 out at 3 / 15 and 10 % are 13,427,700 nano-USD."""
    prices = catalogue.find("simulated/priced").offers[0].price_list(now)
    assert rate(Usage({"input": 1234, "output": 567}), prices, 1000).charge == 13_427_700


# --- names ---


@pytest.mark.parametrize(
    ("name", "model", "upstream_id"),
    [
        ("gpt-4o-mini", "openai/gpt-4o-mini", "gpt-4o-mini"),
        ("openai/gpt-4o-mini", "openai/gpt-4o-mini", "gpt-4o-mini"),
        ("claude-sonnet-4-5", "anthropic/claude-sonnet-4-5", "claude-sonnet-4-5"),
        ("claude-sonnet-4.5", "anthropic/claude-sonnet-4-5", "claude-sonnet-4-5"),
        ("gemini-2.5-flash", "google/gemini-2.5-flash", "gemini-2.5-flash"),
        ("gpt-4o-2024-08-06", "openai/gpt-4o", "gpt-4o-2024-08-06"),
        ("gpt-4o-2024-05-13", "openai/gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
        ("anthropic/claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
        ("claude-sonnet-4.5-20250929", "anthropic/claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
        ("gpt-5-1-2025-11-13", "openai/gpt-5.1", "gpt-5.1-2025-11-13"),
        ("fireworks/kimi-k3", "moonshot/kimi-k3", "accounts/fireworks/models/kimi-k3"),
        ("zai/glm-5.3", "zai/glm-5.3", "glm-5.3"),
        ("mistral-large", "mistral/mistral-large", "mistral-large-latest"),
        ("llama-3.3-70b-instruct", "meta-llama/llama-3.3-70b-instruct", "llama-3.3-70b-versatile"),
        ("qwen/qwen3-coder-flash", "openrouter/qwen/qwen3-coder-flash", "qwen/qwen3-coder-flash"),
    ],
)
def test_names_reach_their_model_and_go_upstream_as_asked(catalogue, name, model, upstream_id):
    found = catalogue.find(name)
    assert (found.id, found.offers[0].upstream_id) == (model, upstream_id)


@pytest.mark.parametrize(
    "name",
    [
        "gpt-4o-mini-20991231x",
        "gpt-99",
        "",
        "openai/",
        "claude-sonnet-4-5-2025",
        "o3-mini-20250131-x",
        "gpt-4o-20250101",
    ],
)
def test_other_names_reach_nothing(catalogue, name):
    assert catalogue.find(name) is None


def test_a_date_is_believed_only_where_the_price_package_believes_it(catalogue):
    from genai_prices.data import providers

    theirs = {provider.id: provider for provider in providers}
    stems = [*catalogue.stems, "gpt-4o", "gpt-4.1-mini", "gemini-2.5-pro", "o3"]
    for stem in stems:
        ours = catalogue.find(f"{stem}-20250514")
        if ours is not None:
            provider = str(ours.offers[0].provider.id)
            if provider in theirs:
                found = theirs[provider].find_model(f"{stem.removeprefix(provider + '/')}-20250514")
                assert found is not None, stem
                assert catalogue.find(f"{provider}/{found.id}").id == ours.id, stem
    assert len(catalogue.stems) > 100
    assert catalogue.find("gpt-4o-20250514") is None


def test_the_name_of_an_offer_pins_its_provider(catalogue):
    model = catalogue.models["meta-llama/llama-3.3-70b-instruct"]
    assert {offer.provider.id for offer in model.offers} >= {"groq", "together", "cerebras", "novita", "openrouter"}
    pinned = catalogue.find("groq/llama-3.3-70b-versatile")
    assert pinned.id == model.id
    assert [offer.id for offer in pinned.offers] == ["groq/llama-3.3-70b-versatile"]


def test_the_own_provider_comes_first_and_others_offer_the_same_model(catalogue):
    offers = catalogue.models["anthropic/claude-sonnet-4-5"].offers
    assert [offer.id for offer in offers] == ["anthropic/claude-sonnet-4-5", "openrouter/anthropic/claude-sonnet-4.5"]
    assert {offer.model for offer in offers} == {"anthropic/claude-sonnet-4-5"}


def test_every_offer_knows_its_model_and_every_list_its_offer(catalogue):
    seen = set()
    for model in catalogue.models.values():
        assert catalogue.find(model.id) is model
        for offer in model.offers:
            assert offer.model == model.id
            for prices in offer.prices:
                assert prices.id.startswith(f"{offer.id}@")
                assert prices.id not in seen
                assert prices.source
                assert prices.checked
                seen.add(prices.id)
    assert len(seen) > 1_300


# --- what is usable ---


def test_with_no_key_only_the_simulated_models_can_be_called():
    catalogue = load_catalogue(environment={})
    usable = {offer.model for model in catalogue.models.values() for offer in model.offers if offer.provider.is_usable}
    assert usable == {f"simulated/{name}" for name in ("echo", "small", "large", "flaky", "slow", "priced")}
    assert catalogue.find("gpt-4o-mini") is not None  # known, so that it can be priced and explained
    assert all(model.context_tokens == 128_000 for model in catalogue.models.values() if model.owned_by == "simulated")


def test_a_key_makes_its_provider_usable_and_is_never_printed():
    catalogue = load_catalogue(environment={"OPENAI_API_KEY": " sk-secret\n", "GOOGLE_API_KEY": "g"})
    openai, google = catalogue.providers["openai"], catalogue.providers["google"]
    assert (openai.is_usable, openai.key, google.is_usable, google.wire.secret) == (
        True,
        "sk-secret",
        True,
        "GOOGLE_API_KEY",
    )
    assert not catalogue.providers["groq"].is_usable
    assert "sk-secret" not in repr(catalogue.find("gpt-4o-mini"))


@pytest.mark.parametrize(
    ("variable", "provider", "url"),
    [
        ("OPENAI_BASE_URL", "openai", "http://127.0.0.1:4010/v1"),
        ("ANTHROPIC_BASE_URL", "anthropic", "http://127.0.0.1:4010"),
        ("GEMINI_BASE_URL", "google", "http://127.0.0.1:4010"),
        ("GROQ_BASE_URL", "groq", "http://127.0.0.1:4010/v1"),
        ("OLLAMA_BASE_URL", "ollama", "http://127.0.0.1:11434/v1"),
        ("TOLLWAY_LOCAL_URL", "local", "http://127.0.0.1:4201/v1"),
    ],
)
def test_a_base_url_from_the_environment_is_used(variable, provider, url):
    catalogue = load_catalogue(environment={variable: url + "/"})
    assert catalogue.providers[provider].wire.url == url


def test_a_server_of_ones_own_needs_an_address_and_no_key():
    for variable, provider in (
        ("OLLAMA_BASE_URL", "ollama"),
        ("VLLM_BASE_URL", "vllm"),
        ("TOLLWAY_LOCAL_URL", "local"),
    ):
        assert not load_catalogue(environment={}).providers[provider].is_usable
        found = load_catalogue(environment={variable: "http://127.0.0.1:1/v1"}).providers[provider]
        assert (found.is_usable, found.wire.auth) == (True, "none")


def test_azure_needs_both_key_and_endpoint():
    assert not load_catalogue(environment={"AZURE_OPENAI_API_KEY": "k"}).providers["azure"].is_usable
    both = {"AZURE_OPENAI_API_KEY": "k", "AZURE_OPENAI_ENDPOINT": "https://example.openai.azure.com/"}
    catalogue = load_catalogue(environment=both)
    wire = catalogue.providers["azure"].wire
    assert wire.url + wire.path == "https://example.openai.azure.com/openai/v1/chat/completions"
    assert (wire.auth, wire.auth_name) == ("header", "api-key")
    assert catalogue.find("azure/gpt-4o").id == "openai/gpt-4o"


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://host/v1", "https://", "https://host/v1?key=1"])
def test_an_address_that_is_none_stops_the_start(url):
    with pytest.raises(ConfigurationError) as raised:
        load_catalogue(environment={"OPENAI_BASE_URL": url})
    assert (raised.value.file, raised.value.key) == ("environment", "OPENAI_BASE_URL")


def test_a_key_with_a_line_break_in_it_stops_the_start_without_being_printed():
    with pytest.raises(ConfigurationError) as raised:
        load_catalogue(environment={"OPENAI_API_KEY": "sk-one\nsk-two"})
    assert raised.value.key == "OPENAI_API_KEY"
    assert "sk-" not in str(raised.value)


def test_a_disabled_provider_is_left_out(every_key):
    catalogue = load_catalogue(environment=every_key, disabled={"openrouter", "azure"})
    assert "openrouter" not in catalogue.providers
    assert [offer.provider.id for offer in catalogue.models["openai/gpt-4o"].offers] == ["openai"]


# --- the data files ---


def test_every_provider_file_loads_and_is_called_as_it_says():
    wirings = read_wirings({})
    assert len(wirings) >= 20
    assert [wiring.provider.id for wiring in wirings] == sorted(path.stem for path in PROVIDERS.glob("*.yml"))
    for wiring in wirings:
        assert wiring.provider.source
        assert wiring.provider.wire.usage.paths


def test_cancelling_is_believed_to_stop_the_bill_only_where_it_does(catalogue):
    policy = {provider.id: provider.wire.on_disconnect for provider in catalogue.providers.values()}
    assert {
        policy[name] for name in ("openai", "azure", "anthropic", "fireworks", "together", "cohere", "x-ai", "deepseek")
    } == {"estimate"}
    assert {policy[name] for name in ("groq", "google", "mistral", "perplexity")} == {"drain"}


def test_usage_is_read_as_the_golden_files_read_it(catalogue):
    for provider, spec in (
        ("openai", golden.OPENAI),
        ("azure", golden.OPENAI),
        ("anthropic", golden.ANTHROPIC),
        ("google", golden.GEMINI),
    ):
        usage = catalogue.providers[provider].wire.usage
        assert set(usage.paths) >= set(spec.paths), provider
        assert set(usage.inside) >= set(spec.inside), provider


def test_every_priced_offer_that_answers_a_chat_prices_input_and_output(catalogue, now):
    chat = [model for model in catalogue.models.values() if "text" in model.output_modalities]
    offers = [offer for model in chat for offer in model.offers if offer.price_list(now) is not None]
    assert len(offers) > 1_100
    for offer in offers:
        for prices in offer.prices:
            assert {"input", "output"} <= prices.prices.keys(), offer.id


def test_what_prices_no_output_answers_no_chat(catalogue):
    assert catalogue.find("text-embedding-3-small").output_modalities == ("embedding",)
    for model in catalogue.models.values():
        if any(OUTPUT not in prices.prices for offer in model.offers for prices in offer.prices):
            assert "text" not in model.output_modalities, model.id


def test_whoever_charges_a_longer_cache_more_has_that_price(catalogue, now):
    for model in catalogue.models.values():
        for offer in model.offers:
            prices = offer.price_list(now)
            if offer.provider.id == "anthropic" and prices and "cache_write_5m" in prices.prices:
                assert prices.prices["cache_write_1h"] == 2 * prices.prices["input"], offer.id


def test_limits_and_abilities_are_known_of_the_well_known(catalogue):
    model = catalogue.find("gpt-4o")
    assert (model.context_tokens, model.max_output_tokens) == (128_000, 16_384)
    assert (model.input_modalities, model.offers[0].tokenizer) == (("text", "image", "file"), "o200k")
    assert {"tools", "json_schema", "vision"} <= set(model.capabilities)
    assert catalogue.find("gpt-3.5-turbo").offers[0].tokenizer == "cl100k"
    assert catalogue.find("claude-sonnet-4-5").max_output_tokens == 64_000
    assert catalogue.find("claude-sonnet-4-5").offers[1].max_output_tokens == 64_000
    assert catalogue.find("claude-sonnet-4-5").offers[0].tokenizer == ""


# --- the snapshot in force ---


def test_the_operators_own_prices_win(tmp_path):
    assert snapshot_path(None) == PACKAGED_SNAPSHOT
    assert snapshot_path(tmp_path) == PACKAGED_SNAPSHOT
    own = tmp_path / "prices" / "prices.json"
    own.parent.mkdir()
    own.write_bytes(
        b'{"version":1,"package":"x 1","generated":"2026-12-01","entries":[\n'
        b'{"provider":"openai","id":"gpt-4o-mini","lists":[{"prices":{"input":1,"output":2},"source":"x","checked":"2026-12-01"}]}\n]}'
    )
    assert snapshot_path(tmp_path) == own
    catalogue = load_catalogue(environment={}, snapshot=snapshot_path(tmp_path))
    assert catalogue.find("gpt-4o-mini").offers[0].prices[0].prices == {
        "input": 1,
        "output": 2,
        "web_search": 10_000_000_000,
        "file_search": 2_500_000_000,
    }
    assert catalogue.find("claude-sonnet-4-5") is None


def test_the_operators_corrections_lie_beside_the_prices(tmp_path):
    assert corrections_path(None) is None
    assert corrections_path(tmp_path) is None
    (tmp_path / "prices").mkdir()
    (tmp_path / "prices" / "corrections.yml").write_text("offers: []\n")
    assert corrections_path(tmp_path) == tmp_path / "prices" / "corrections.yml"
    assert load_catalogue(environment={}, corrections=corrections_path(tmp_path)).models


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "truncated"),
        (b'{"version":2,"package":"x","generated":"","entries":[]}', "version 2"),
        (
            b'{"version":1,"package":"x","generated":"","entries":[{"provider":"p","id":"m","lists":[{"prices":{"inptu":1}}]}]}',
            "inptu",
        ),
        (
            b'{"version":1,"package":"x","generated":"","entries":[{"provider":"p","id":"m","lists":[{"prices":{"input":-1}}]}]}',
            ">= 0",
        ),
        (
            b'{"version":1,"package":"x","generated":"","entries":[{"provider":"p","id":"m","lists":[{"prices":{"input":0.5}}]}]}',
            "int",
        ),
    ],
)
def test_a_broken_snapshot_stops_the_start(tmp_path, content, problem):
    path = tmp_path / "prices.json"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=problem) as raised:
        load_catalogue(environment={}, snapshot=path)
    assert raised.value.file == str(path)


def test_the_version_changes_with_what_is_in_it(every_key):
    versions = [
        load_catalogue(environment=environment).version
        for environment in ({}, {}, {"OPENAI_API_KEY": "a"}, {"OPENAI_API_KEY": "b"}, every_key)
    ]
    assert versions[0] == versions[1]
    assert versions[2] == versions[3]  # a credential is in no digest
    assert len(set(versions)) == 3


def test_loading_is_fast(every_key):
    """About 60 ms on an idle core; the bound is for busy machines."""
    started = time.process_time()
    load_catalogue(environment=every_key)
    assert time.process_time() - started < 1.0
