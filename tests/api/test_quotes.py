"""`POST /v1/estimate` and `/v1/compare`: exact costs by hand, nothing called, and what a wrong question is told."""

import asyncio

import pytest

from api.house import ACME, bearer, catalogue, offer, opened, refused
from store.world import NOW
from tollway.catalogue.offers import Model
from tollway.catalogue.prices import PriceList, PriceTier
from tollway.catalogue.units import INPUT, OUTPUT


def run(scenario) -> None:
    asyncio.run(scenario)


@pytest.mark.parametrize(
    ("prices", "tokens", "requests", "total", "amounts"),
    [
        (("0.20", "0.60"), (100, 150), 10_000, "1.1", ["0.2", "0.9"]),
        (("10.00", "30.00"), (500, 2_000), 50, "3.25", ["0.25", "3"]),
        (("0.30", "0.60"), (200, 400), 20, "0.006", ["0.0012", "0.0048"]),
    ],
    ids=["customer support", "articles", "code snippets"],
)
def test_the_three_examples_of_the_seed(tmp_path, *, prices, tokens, requests, total, amounts) -> None:
    """Seed 004: $1.10, $3.25 and $0.006 at its illustrative rates."""

    async def scenario() -> None:
        async with opened(tmp_path) as house:
            asked = {
                "prices": {"input": prices[0], "output": prices[1]},
                "input_tokens": tokens[0], "output_tokens": tokens[1], "requests": requests,
            }  # fmt: skip
            told = (await house.post("/v1/estimate", asked)).json()["data"]
            assert (told["cost_usd"], told["charge_usd"], told["sum_usd"], told["margin_bps"]) == (
                total,
                total,
                total,
                0,
            )
            assert [one["amount_usd"] for one in told["lines"]] == amounts
            assert [one["count"] for one in told["lines"]] == [tokens[0] * requests, tokens[1] * requests]
            assert (told["model"], told["offer"], told["available"]) == (None, None, None)

    run(scenario())


def test_token_counts_on_a_model_with_its_margin(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            reply = await house.post("/v1/estimate", {"model": "gpt", "input_tokens": 1_234, "output_tokens": 567})
            # Money.md's vector is Acme's $3 and $15: 0.012207 + 10 % = 0.0134277. Beta's $2 and $12 are cheaper:
            # 1,234 x 0.000002 + 567 x 0.000012 = 0.009272; + 10 % = 0.0101992.
            offers = {one["provider"]: one for one in reply.json()["offers"]}
            assert (offers["acme"]["sum_usd"], offers["acme"]["cost_usd"], offers["acme"]["hold_usd"]) == (
                "0.012207", "0.0134277", "0.0134277",
            )  # fmt: skip
            told = reply.json()["data"]
            assert (told["provider"], told["sum_usd"], told["cost_usd"]) == ("beta", "0.009272", "0.0101992")
            assert (told["input_source"], told["output_source"], told["available"]) == ("given", "given", True)
            # Cheapest first; Dark cannot be called, so it is not the estimate.
            assert [one["provider"] for one in reply.json()["offers"]] == ["dark", "beta", "acme"]
            assert offers["dark"]["unavailable_reason"] == "the operator has no key for Dark"

    run(scenario())


def test_cached_and_reasoning_tokens_are_parts(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            asked = {
                "model": "gpt",
                "input_tokens": 1_000,
                "cached_tokens": 600,
                "output_tokens": 10,
                "reasoning_tokens": 4,
            }
            acme = [
                one for one in (await house.post("/v1/estimate", asked)).json()["offers"] if one["provider"] == "acme"
            ][0]
            assert [(one["unit"], one["count"], one["amount_usd"]) for one in acme["lines"]] == [
                ("input", 400, "0.0012"),
                ("cache_read", 600, "0.00018"),
                ("output", 6, "0.00009"),
                ("reasoning", 4, "0.00006"),
            ]
            for part, whole in (("cached_tokens", "input_tokens"), ("reasoning_tokens", "output_tokens")):
                reply = await house.post("/v1/estimate", {"model": "gpt", whole: 5, part: 6})
                refused(reply, 400, "invalid_request_error", "invalid_field", part)

    run(scenario())


def test_exact_and_charged_totals_differ_by_the_rounding_of_each_request(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            # One token at $0.0375 per million + 10 % = 41.25 nano-USD, charged as 41: R1, R2.
            asked = {
                "prices": {"input": "0.0375", "output": "0"},
                "margin_bps": 1_000,
                "input_tokens": 1,
                "requests": 4,
            }
            told = (await house.post("/v1/estimate", asked)).json()["data"]
            assert (told["cost_usd"], told["charge_usd"], told["charge_per_request_usd"]) == (
                "0.000000165", "0.000000164", "0.000000041",
            )  # fmt: skip

    run(scenario())


def test_a_chat_body_is_counted_and_held_as_the_road_would(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            chat = {
                "model": "gpt",
                "messages": [{"role": "user", "content": "hello world"}],
                "max_tokens": 100,
                "top_k": 3,
            }
            acme = [
                one for one in (await house.post("/v1/estimate", chat)).json()["offers"] if one["provider"] == "acme"
            ][0]
            # `hello world` is 2 tokens of o200k; 4 for a message and 3 for the reply come on top: 9 x 3 + 100 x 15 = 1,527
            # millionths of a dollar, + 10 %.
            assert (acme["input_tokens"], acme["input_source"]) == (9, "tokenizer")
            assert (acme["output_tokens"], acme["output_source"]) == (100, "max_tokens")
            assert (acme["sum_usd"], acme["cost_usd"], acme["hold_usd"]) == ("0.001527", "0.0016797", "0.0016797")
            # With an expectation beside it, the cost falls and the hold stays.
            asked = {**chat, "output_tokens": 10, "requests": 2}
            acme = [
                one for one in (await house.post("/v1/estimate", asked)).json()["offers"] if one["provider"] == "acme"
            ][0]
            assert (acme["sum_usd"], acme["cost_usd"], acme["hold_usd"]) == ("0.000354", "0.0003894", "0.0016797")
            assert house.chats == [], "nothing was called"
            assert (await house.get("/v1/wallet")).json()["data"]["reserved_cents"] == 0

    run(scenario())


def test_a_chat_body_without_a_bound_is_told_the_default(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            chat = {"model": "acme/mini", "messages": [{"role": "user", "content": "hi"}]}
            whole = (await house.post("/v1/estimate", chat)).json()["data"]
            assert (whole["output_tokens"], whole["output_source"], whole["input_source"]) == (
                4_096,
                "default_bound",
                "heuristic",
            )
            streamed = (await house.post("/v1/estimate", {**chat, "stream": True})).json()["data"]
            # A stream is held in steps of 2,048 tokens (R6b), so its first hold is about half.
            assert streamed["cost_usd"] == whole["cost_usd"]
            assert float(streamed["hold_usd"]) < float(whole["hold_usd"])

    run(scenario())


def test_a_prompt_that_does_not_fit_says_so(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            small = Model(
                "m/small",
                "Small",
                (offer(ACME, "m/small", PriceList("p", 0, {INPUT: 1, OUTPUT: 1}), context_tokens=50),),
            )
            house.catalogue = catalogue(small)
            chat = {"model": "m/small", "messages": [{"role": "user", "content": "word " * 200}]}
            error = refused(
                await house.post("/v1/estimate", chat), 400, "invalid_request_error", "model_not_priced", "model"
            )
            assert "context" in error["message"]

    run(scenario())


def test_the_tier_is_that_of_one_request(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            prices = PriceList("p", 0, {INPUT: 1_000_000, OUTPUT: 1_000_000}, (PriceTier(1_000, {INPUT: 2_000_000}),))
            house.catalogue = catalogue(Model("m/long", "Long", (offer(ACME, "m/long", prices),)))
            below = {"model": "m/long", "input_tokens": 1_000, "output_tokens": 0, "requests": 5}
            assert (await house.post("/v1/estimate", below)).json()["data"]["sum_usd"] == "0.005"
            assert (await house.post("/v1/estimate", {**below, "input_tokens": 1_001})).json()["data"][
                "sum_usd"
            ] == "0.01001"

    run(scenario())


def test_models_compared_cheapest_first(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            counts = {"input_tokens": 1_000, "output_tokens": 1_000}
            every = (await house.post("/v1/compare", counts)).json()
            assert [(one["model"], one["cost_usd"], one["available"]) for one in every["data"]] == [
                ("dark/matter", "0.0022", False),
                ("acme/mini", "0.0033", True),
                ("acme/gpt", "0.0154", True),
                # What has no price comes last.
                ("acme/next", None, False),
                ("beta/free-for-all", None, False),
            ]
            assert every["has_more"] is False
            usable = (await house.post("/v1/compare", {**counts, "available": True, "limit": 1})).json()
            assert ([one["model"] for one in usable["data"]], usable["has_more"]) == (["acme/mini"], True)
            two = (await house.post("/v1/compare", {**counts, "models": ["gpt", "acme/mini", "acme/gpt"]})).json()
            assert [one["model"] for one in two["data"]] == ["acme/mini", "acme/gpt"]

    run(scenario())


def test_a_chat_body_compared(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            chat = {
                "messages": [{"role": "user", "content": "hello world"}],
                "max_tokens": 100,
                "models": ["gpt", "acme/mini"],
            }
            told = (await house.post("/v1/compare", chat)).json()["data"]
            assert [(one["model"], one["output_tokens"]) for one in told] == [("acme/mini", 100), ("acme/gpt", 100)]

    run(scenario())


def test_a_price_is_that_of_now(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            asked = {"model": "acme/next", "input_tokens": 1_000_000}
            refused(await house.post("/v1/estimate", asked), 400, "invalid_request_error", "model_not_priced", "model")
            house.clock.time = NOW + 60
            assert (await house.post("/v1/estimate", asked)).json()["data"]["cost_usd"] == "5.5"

    run(scenario())


def test_a_key_prices_what_it_may_use(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            _, secret = await house.store.workspaces.add_key(
                house.workspace_id, name="k", allowed_models=frozenset({"acme/mini"})
            )
            mine = bearer(secret)
            reply = await house.post("/v1/estimate", {"model": "gpt"}, mine)
            refused(reply, 403, "authorization_error", "model_not_allowed", "model")
            every = (await house.post("/v1/compare", {"input_tokens": 1}, mine)).json()["data"]
            assert [one["model"] for one in every] == ["acme/mini"]

    run(scenario())


def test_wrong_questions(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            bad = "invalid_request_error"
            for body, code, param in (
                ({}, "invalid_field", "model"),
                ({"model": "gpt", "prices": {"input": "1", "output": "1"}}, "invalid_field", "model"),
                ({"model": "gpt", "margin_bps": 5}, "invalid_field", "margin_bps"),
                ({"model": "gtp"}, "model_not_found", "model"),
                ({"model": "gpt", "input_tokens": -1}, "invalid_field", "input_tokens"),
                ({"model": "gpt", "input_tokens": "5"}, "invalid_field", "input_tokens"),
                ({"model": "gpt", "input_tokens": 1.5}, "invalid_field", "input_tokens"),
                ({"model": "gpt", "requests": 0}, "invalid_field", "requests"),
                ({"model": "gpt", "tokens": 5}, "invalid_field", "tokens"),
                ({"prices": {"input": 0.2, "output": "0.6"}}, "invalid_field", "prices.input"),
                ({"prices": {"input": "0.2"}}, "invalid_field", "prices.output"),
                ({"prices": {"input": "1e3", "output": "1"}}, "invalid_field", "prices.input"),
                ({"prices": {"input": "-1", "output": "1"}}, "invalid_field", "prices.input"),
                ({"prices": {"input": "0.0000001", "output": "1"}}, "invalid_field", "prices.input"),
                ({"model": "gpt", "messages": []}, "invalid_field", "messages"),
                ({"model": "gpt", "messages": [{"role": "user"}], "requests": "2"}, "invalid_field", "requests"),
            ):
                refused(await house.post("/v1/estimate", body), 400, bad, code, param)
            refused(
                await house.post("/v1/compare", {"models": ["gpt", "gtp"]}), 400, bad, "model_not_found", "models[1]"
            )
            for content in (b"{", b"[]", b"5", b'{"model": "\xff"}'):
                reply = await house.client.post("/v1/estimate", content=content, headers=house.headers)
                refused(reply, 400, bad, "invalid_json")
            reply = await house.client.post("/v1/estimate", content=b"{", headers={})
            refused(reply, 401, "authentication_error", "missing_api_key")

    run(scenario())
