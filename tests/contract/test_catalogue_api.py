"""`GET /v1/models` and what belongs to it, as official SDKs and other gateways' clients read it."""

from decimal import Decimal

import openai
import pytest

from contract.talk import AIMOCK, LLMOCK, LOCAL, ask
from support.gateway import Gateway

pytestmark = pytest.mark.servers


def test_the_list_is_the_sdks_shape(sdk: openai.OpenAI) -> None:
    page = sdk.models.list()
    models = {model.id: model for model in page}
    assert page.object == "list"
    assert {*AIMOCK.values(), *LLMOCK.values(), LOCAL, "simulated/echo"} <= models.keys()
    for model in models.values():
        assert model.object == "model"
        assert isinstance(model.created, int)
        assert model.owned_by
        assert model.available is True
        assert model.offers
    assert list(models) == sorted(models)


def test_one_model_by_id_with_slashes_by_alias_and_by_bare_name(sdk: openai.OpenAI) -> None:
    for name in ("openai/gpt-4o", "gpt-4o"):
        model = sdk.models.retrieve(name)
        assert (model.id, model.object, model.context_length) == ("openai/gpt-4o", "model", 128_000)
    assert sdk.models.retrieve("anthropic/claude-sonnet-4.5").id == "anthropic/claude-sonnet-4-5"
    assert sdk.models.retrieve(LLMOCK["gemini"]).id == LLMOCK["gemini"]
    assert sdk.models.retrieve(LOCAL).capabilities["structured_output"] is True


def test_prices_are_exact_text_per_token(house: Gateway, sdk: openai.OpenAI) -> None:
    local = sdk.models.retrieve(LOCAL).pricing
    # 0.02, 0.005 and 0.06 USD per million tokens, as data/providers/local.yml says.
    assert (local["prompt"], local["cache_read"], local["completion"]) == ("0.00000002", "0.000000005", "0.00000006")
    priced = sdk.models.retrieve("simulated/priced").pricing
    assert (Decimal(priced["prompt"]) * 10**6, Decimal(priced["completion"]) * 10**6) == (3, 15)
    free = sdk.models.retrieve("simulated/echo").pricing
    assert set(free.values()) == {"0"}
    assert house.ask("GET", "/v1/models")[1]["margin_bps"] == 550


def test_offers_tell_who_serves_a_model_and_for_how_much(house: Gateway) -> None:
    for path in ("/v1/models/openai/gpt-4o/offers", "/v1/models/openai%2Fgpt-4o/offers", "/v1/models/gpt-4o/offers"):
        status, body, _ = house.ask("GET", path)
        assert (status, body["object"]) == (200, "list")
        offers = {one["provider"]: one for one in body["data"]}
        assert {"openai", "openrouter", "azure"} <= offers.keys()
        assert offers["openai"]["available"] is offers["openrouter"]["available"] is True
        assert offers["azure"]["available"] is False
        assert "no key" in offers["azure"]["unavailable_reason"]
        assert offers["openai"]["pricing"]["prompt"] == "0.0000025"
        # Those that can be called come first.
        available = [one["available"] for one in body["data"]]
        assert available == sorted(available, reverse=True)


def test_the_whole_catalogue_and_its_filters(house: Gateway) -> None:
    few = house.ask("GET", "/v1/models")[1]["data"]
    every = house.ask("GET", "/v1/models?all=true")[1]["data"]
    assert len(every) > 1_000 > len([one for one in few if one["owned_by"] == "google"])
    assert {one["id"] for one in few} < {one["id"] for one in every}
    found = house.ask("GET", "/v1/models?q=sonnet&provider=anthropic")[1]["data"]
    assert found
    assert all("sonnet" in one["id"] for one in found)


def test_a_model_that_writes_no_text_is_not_on_the_list_and_not_called(house: Gateway, sdk: openai.OpenAI) -> None:
    name = "google/gemini-2.5-flash-image"
    assert name not in {one["id"] for one in house.ask("GET", "/v1/models?provider=google")[1]["data"]}
    model = sdk.models.retrieve(name)
    assert (model.available, "writes" in model.unavailable_reason) == (False, True)
    with pytest.raises(openai.BadRequestError) as raised:
        sdk.chat.completions.create(model=name, messages=ask("Draw a cat."))
    assert raised.value.param == "model"


def test_an_unknown_model_is_not_found_with_the_nearest_names(house: Gateway, sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        sdk.models.retrieve("anthropic/claude-sonet-4-5")
    assert raised.value.body["nearest"][0] == "anthropic/claude-sonnet-4-5"
    assert raised.value.param == "model"
    assert house.ask("GET", "/v1/models/no/such/model/offers")[0] == 404


def test_every_reply_has_its_id_and_its_window(house: Gateway) -> None:
    for path in ("/v1/models", "/v1/models/gpt-4o", "/v1/models/gpt-4o/offers"):
        headers = house.ask("GET", path)[2]
        assert len(headers["x-request-id"]) == 36
        assert {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"} <= headers.keys()
