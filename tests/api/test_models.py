"""`GET /v1/models` and what belongs to it: shape, filters, allow-lists, price changes, and its speed on a whole catalogue."""

import asyncio
import time

import openai
import pytest

from api.house import ACME, DARK, GPT, MINI, bearer, catalogue, offer, opened, priced, refused
from store.world import NOW
from tollway.api.models import next_change
from tollway.catalogue.offers import Model
from tollway.catalogue.prices import PriceList, PriceTier
from tollway.catalogue.units import INPUT, OUTPUT
from tollway.routing.standing import Standing
from tollway.routing.standings import Known, StandingTable
from tollway.routing.tiers import CATEGORIES


def run(scenario) -> None:
    asyncio.run(scenario)


def names(reply) -> list[str]:
    assert reply.status_code == 200, reply.text
    assert reply.json()["object"] == "list"
    return [one["id"] for one in reply.json()["data"]]


def test_the_list_has_what_can_be_called_now_sorted(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            reply = await house.get("/v1/models")
            assert names(reply) == ["acme/gpt", "acme/mini"]
            assert reply.json()["margin_bps"] == 1_000
            gpt = reply.json()["data"][0]
            # The cheapest offer that can be called is Beta's: $2 and $12 per million tokens.
            assert gpt["pricing"] == {
                "prompt": "0.000002",
                "completion": "0.000012",
                "cache_read": "0.000002",
                "cache_write": "0.000002",
                "reasoning": "0.000012",
            }
            assert [(one["id"], one["region"]) for one in gpt["offers"]] == [
                ("beta/acme/gpt", "eu"),
                ("acme/acme/gpt", None),
            ]
            assert gpt["offers"][1]["pricing"]["cache_read"] == "0.0000003"
            assert gpt["offers"][1]["price_list"] == "acme/acme/gpt@0"
            assert {name: gpt[name] for name in ("object", "created", "owned_by", "name", "context_length", "max_output_tokens", "tier")} == {
                "object": "model", "created": 1_700_000_000, "owned_by": "acme", "name": "Acme GPT",
                "context_length": 128_000, "max_output_tokens": 4_096, "tier": None,
            }  # fmt: skip
            assert gpt["modalities"] == {"input": ["text", "image"], "output": ["text"]}
            assert gpt["capabilities"] == {
                "vision": True, "function_calling": True, "structured_output": True, "reasoning": False, "logprobs": False,
            }  # fmt: skip
            assert gpt["supported_parameters"] == ["tools", "tool_choice", "response_format"]
            assert gpt["available"] is True
            assert "key" not in str(reply.content), "no credential, no name of one"

    run(scenario())


def test_what_is_unknown_is_null_not_a_guess(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            mini = (await house.get("/v1/models/acme/mini")).json()
            assert (mini["context_length"], mini["max_output_tokens"], mini["supported_parameters"]) == (
                None,
                None,
                None,
            )
            assert set(mini["capabilities"].values()) == {None}

    run(scenario())


def test_the_whole_catalogue_says_why_a_model_cannot_be_called(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            reply = await house.get("/v1/models?all=true")
            assert names(reply) == ["acme/gpt", "acme/mini", "acme/next", "beta/free-for-all", "dark/matter"]
            why = {one["id"]: (one["available"], one["unavailable_reason"]) for one in reply.json()["data"]}
            assert why["acme/gpt"] == (True, None)
            assert why["acme/next"] == (False, "it has no price")
            assert why["beta/free-for-all"] == (False, "it has no price")
            assert why["dark/matter"] == (False, "the operator has no key for Dark")

    run(scenario())


def test_filters(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            assert names(await house.get("/v1/models?q=MINI")) == ["acme/mini"]
            assert names(await house.get("/v1/models?q=gpt&provider=acme")) == ["acme/gpt"]
            assert names(await house.get("/v1/models?provider=dark")) == []
            assert names(await house.get("/v1/models?provider=dark&all=true")) == ["acme/gpt", "dark/matter"]
            refused(await house.get("/v1/models?query=x"), 400, "invalid_request_error", "invalid_field", "query")
            refused(await house.get("/v1/models?all=perhaps"), 400, "invalid_request_error", "invalid_field", "all")

    run(scenario())


def test_a_key_sees_what_it_may_use(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            _, secret = await house.store.workspaces.add_key(
                house.workspace_id, name="k", allowed_models=frozenset({"gpt"})
            )
            mine = bearer(secret)
            assert names(await house.get("/v1/models", headers=mine)) == ["acme/gpt"]
            assert names(await house.get("/v1/models?all=true", headers=mine)) == ["acme/gpt"]
            assert (await house.get("/v1/models/acme/gpt", headers=mine)).status_code == 200
            error = refused(
                await house.get("/v1/models/acme/mini", headers=mine), 404, "not_found", "not_found", "model"
            )
            assert "acme/mini" not in str(error["nearest"])

    run(scenario())


def test_one_model_by_id_or_alias_and_its_offers(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            for name in ("acme/gpt", "acme%2Fgpt", "gpt"):
                one = (await house.get(f"/v1/models/{name}")).json()
                assert (one["id"], len(one["offers"])) == ("acme/gpt", 3)
                offers = (await house.get(f"/v1/models/{name}/offers")).json()["data"]
                # Those that can be called first, cheapest first; Dark would be cheaper, but has no key.
                assert [(two["provider"], two["available"]) for two in offers] == [
                    ("beta", True),
                    ("acme", True),
                    ("dark", False),
                ]
            error = refused(await house.get("/v1/models/acme/minni"), 404, "not_found", "not_found", "model")
            assert error["nearest"][0] == "acme/mini"
            assert error["message"].startswith("there is no model `acme/minni`; did you mean `acme/mini`")
            refused(await house.get("/v1/models/no/such/offers"), 404, "not_found", "not_found", "model")

    run(scenario())


def test_tiers_by_context_are_told(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            prices = PriceList(
                "p", 0, {INPUT: 1_250_000, OUTPUT: 10_000_000}, (PriceTier(200_000, {INPUT: 2_500_000}),)
            )
            house.catalogue = catalogue(Model("acme/long", "Long", (offer(ACME, "acme/long", prices),)))
            one = (await house.get("/v1/models/acme/long")).json()
            assert one["offers"][0]["pricing_tiers"] == [{"min_prompt_tokens": 200_000, "prompt": "0.0000025"}]

    run(scenario())


def test_a_price_comes_into_force_at_its_instant(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            house.clock.time = NOW + 59
            assert "acme/next" not in names(await house.get("/v1/models"))
            house.clock.time = NOW + 60
            assert "acme/next" in names(await house.get("/v1/models"))
            house.catalogue = catalogue(MINI)
            assert names(await house.get("/v1/models")) == ["acme/mini"]

    run(scenario())


def test_next_change() -> None:
    day = NOW - NOW % 86_400
    later = Model("m", "m", (offer(ACME, "m", priced("a", 1, 1), priced("b", 1, 1, NOW + 10)),))
    assert next_change(catalogue(later), NOW) == NOW + 10
    assert next_change(catalogue(later), NOW + 10) == NOW + 10 + 86_400
    nightly = PriceList("n", 0, {INPUT: 1}, window_utc=(60_000, 3_600))
    windowed = catalogue(Model("m", "m", (offer(ACME, "m", nightly),)))
    assert next_change(windowed, day + 3_599) == day + 3_600
    assert next_change(windowed, day + 3_600) == day + 60_000
    assert next_change(windowed, day + 60_000) == day + 86_400 + 3_600


def test_the_official_sdk_lists_and_retrieves(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            client = openai.AsyncOpenAI(
                api_key=house.secret, base_url="http://gateway.test/v1", http_client=house.client
            )
            listed = await client.models.list()
            assert [model.id for model in listed.data] == ["acme/gpt", "acme/mini"]
            one = await client.models.retrieve("acme/gpt")
            assert (one.id, one.owned_by, one.object) == ("acme/gpt", "acme", "model")
            with pytest.raises(openai.NotFoundError):
                await client.models.retrieve("acme/none")
            stranger = openai.AsyncOpenAI(
                api_key="tw_x", base_url="http://gateway.test/v1", http_client=house.client, max_retries=0
            )
            with pytest.raises(openai.AuthenticationError):
                await stranger.models.list()

    run(scenario())


def test_two_thousand_models_are_encoded_once(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            many = [
                Model(
                    f"m/{n:04}",
                    f"Model {n}",
                    tuple(offer(one, f"m/{n:04}", priced(f"p{n}", 1, 2)) for one in (ACME, DARK)),
                )
                for n in range(2_330)
            ]
            house.catalogue = catalogue(GPT, *many)
            first = await house.get("/v1/models?all=true")
            assert len(first.json()["data"]) == 2_331
            best = {"": 9.0, "?all=true": 9.0, "?q=m/00": 9.0}
            for _ in range(5):
                for query, before in best.items():
                    began = time.perf_counter()
                    reply = await house.get(f"/v1/models{query}")
                    best[query] = min(before, time.perf_counter() - began)
                    assert reply.status_code == 200
            assert max(best.values()) < 0.05, best

    run(scenario())


def standing(model: str, tier: str, share: float, tools: float | None = None, **more: object) -> tuple[str, Known]:
    quality = dict.fromkeys(CATEGORIES, share)
    return model, Known(model, Standing(tier, quality, tools, "A test.", **more), "shipped", note="A test.")


STANDINGS = StandingTable(dict([standing("acme/gpt", "complex", 0.9, 0.8), standing("acme/mini", "nano", 0.4)]))


def test_tier_and_quality_are_told(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, standings=STANDINGS) as house:
            gpt, mini = (await house.get("/v1/models")).json()["data"]
            assert (gpt["tier"], mini["tier"]) == ("complex", "nano")
            assert gpt["quality"] == {
                "mean": 0.9, "by_category": dict.fromkeys(CATEGORIES, 0.9), "tool_calling": 0.8, "estimated": True,
                "source": "A test.", "checked": None,
            }  # fmt: skip
            one = (await house.get("/v1/models/gpt")).json()
            assert (one["tier"], one["quality"]) == (gpt["tier"], gpt["quality"])
            unknown = (await house.get("/v1/models/acme/next")).json()
            assert (unknown["tier"], unknown["quality"]) == (None, None)
            assert names(await house.get("/v1/models?tier=nano")) == ["acme/mini"]
            assert names(await house.get("/v1/models?tier=light&all=true")) == []
            refused(await house.get("/v1/models?tier=huge"), 400, "invalid_request_error", "invalid_field", "tier")

    run(scenario())


def test_models_beside_each_other(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, standings=STANDINGS) as house:
            reply = await house.get("/v1/models/compare?ids=acme/mini,gpt,acme/gpt,acme/next")
            assert reply.status_code == 200, reply.text
            body = reply.json()
            assert (body["object"], body["margin_bps"]) == ("comparison", 1_000)
            mini, gpt, following = body["data"]
            assert [mini["id"], gpt["id"], following["id"]] == ["acme/mini", "acme/gpt", "acme/next"], (
                "in the order asked, once"
            )
            assert (gpt["provider"], gpt["pricing"]["prompt"], gpt["context_length"]) == ("beta", "0.000002", 128_000)
            assert (mini["tier"], gpt["quality"]["mean"], following["quality"]) == ("nano", 0.9, None)
            assert following["unavailable_reason"] == "it has no price"
            assert {one["latency"] for one in body["data"]} == {None}
            best = body["best"]
            assert (best["prompt"], best["completion"]) == (["acme/mini"], ["acme/mini"])
            assert (best["context_length"], best["tool_calling"], best["proof"]) == (["acme/gpt"],) * 3
            assert best.keys() == {"prompt", "completion", "context_length", "tool_calling", *CATEGORIES}

    run(scenario())


def test_the_latency_seen_here_is_that_of_the_offer_shown(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path, standings=STANDINGS) as house:
            timed = {"latency_ms": 250.0, "ttft_ms": 40.0, "output_tokens": 21, "now": house.clock.time}
            house.rooms.health.record("beta/acme/gpt", is_ok=True, **timed)
            house.rooms.health.record("acme/acme/gpt", is_ok=True, **(timed | {"latency_ms": 9.0}))
            seen = (await house.get("/v1/models/compare?ids=gpt")).json()["data"][0]["latency"]
            assert (seen["samples"], seen["p50_ms"], seen["first_byte_ms"]) == (1, 250.0, 40.0)

    run(scenario())


def test_what_cannot_be_compared_is_said(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            for query in ("", "?ids=", "?ids=,,", "?ids=" + ",".join(f"m{n}" for n in range(11))):
                refused(
                    await house.get(f"/v1/models/compare{query}"), 400, "invalid_request_error", "invalid_field", "ids"
                )
            error = refused(
                await house.get("/v1/models/compare?ids=gpt,acme/minni"), 404, "not_found", "not_found", "ids"
            )
            assert error["nearest"][0] == "acme/mini"
            _, secret = await house.store.workspaces.add_key(
                house.workspace_id, name="k", allowed_models=frozenset({"gpt"})
            )
            reply = await house.get("/v1/models/compare?ids=gpt,acme/mini", headers=bearer(secret))
            refused(reply, 404, "not_found", "not_found", "ids")

    run(scenario())
