"""`GET /v1/generations/{id}` and `/v1/generation?id=`: the receipt, and whose it is."""

import asyncio

import msgspec

from api.house import bearer, opened, refused
from tollway.gateway.passage import Attempt
from tollway.gateway.receipt import Story
from tollway.ports import Generation


def run(scenario) -> None:
    asyncio.run(scenario)


def story(**facts: object) -> bytes:
    """As the gateway keeps it: 1,234 in and 567 out at $3 and $15 per million."""
    attempts = [
        Attempt("beta/acme/gpt", "beta", "acme/gpt", 503, "overloaded", "", 1, 101),
        Attempt("acme/acme/gpt", "acme", "acme/gpt", 200, "ok", "", 102, 402),
    ]
    told = Story(
        "gpt", "acme/gpt", "acme/acme/gpt", "acme", "acme/acme/gpt@0", 1_000, 26_855_400, attempts, {"hold": 250},
        lines=(("input", 1_234, 3_000_000), ("output", 567, 15_000_000)), charge_nano=13_427_700, **facts,
    )  # fmt: skip
    return msgspec.json.encode(told)


async def asked(house, **facts: object) -> str:
    await house.store.wallets.credit(house.workspace_id, 10**9, kind="topup")
    known = {
        "input_tokens": 1_234, "output_tokens": 567, "cached_tokens": 200, "reasoning_tokens": 67, "usage_source": "provider",
        "finish_reason": "stop", "latency_ms": 402, "ttft_ms": 0, "user_id": "u-1", "receipt": story(),
    }  # fmt: skip
    return await house.asked(13_427_700, 12_207_000, **{**known, **facts})


def test_the_receipt_adds_up_by_hand(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            name = await asked(house)
            told = (await house.get(f"/v1/generations/{name}")).json()["data"]
            assert told["id"] == name
            assert told["created_at"] == "2027-01-15T08:00:00.000Z"
            assert told["usage"] == {
                "input_tokens": 1_234, "output_tokens": 567, "cached_tokens": 200, "reasoning_tokens": 67,
                "total_tokens": 1_801, "source": "provider",
            }  # fmt: skip
            assert told["receipt"]["lines"] == [
                {"unit": "input", "count": 1_234, "price_usd": "0.000003", "amount_usd": "0.003702"},
                {"unit": "output", "count": 567, "price_usd": "0.000015", "amount_usd": "0.008505"},
            ]
            # 0.003702 + 0.008505 = 0.012207; + 10 % = 0.0134277.
            assert (told["receipt"]["sum_usd"], told["margin_bps"], told["charge_usd"]) == (
                "0.012207",
                1_000,
                "0.0134277",
            )
            assert told["hold"] == {
                "amount_usd": "0.0268554",
                "outcome": "settled",
                "opened_at": "2027-01-15T08:00:00.000Z",
            }
            assert told["receipt"]["released_usd"] == "0.0134277"
            assert [(one["provider"], one["status"], one["reason"]) for one in told["receipt"]["attempts"]] == [
                ("beta", 503, "overloaded"),
                ("acme", 200, "ok"),
            ]
            assert (told["uncovered_usd"], told["price_list"], told["user_id"], told["ttft_ms"]) == (
                "0",
                "acme/acme/gpt@0",
                "u-1",
                None,
            )

    run(scenario())


def test_a_customer_sees_the_wallets_postings_and_no_cost(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            name = await asked(house)
            reply = await house.get(f"/v1/generations/{name}")
            assert reply.json()["data"]["postings"] == [{"account": "wallet", "amount_usd": "-0.0134277"}]
            for hidden in ("payable", "revenue", "0.0012207", "cost_nano"):
                assert hidden not in reply.text

    run(scenario())


def test_another_tenants_request_is_not_there(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            name = await asked(house)
            _, _, stranger = await house.tenant()
            for path in (f"/v1/generations/{name}", f"/v1/generation?id={name}"):
                theirs = refused(await house.get(path, headers=bearer(stranger)), 404, "not_found", "not_found")
                nobodys = refused(await house.get(path.replace(name, "nobodys")), 404, "not_found", "not_found")
                assert theirs["message"].replace(name, "nobodys") == nobodys["message"]

    run(scenario())


def test_a_request_that_failed_and_one_without_a_story(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            name = await asked(house, receipt=b"{}", user_id="")
            told = (await house.get(f"/v1/generations/{name}")).json()["data"]
            assert (told["receipt"], told["user_id"]) == (None, None)
            from api.test_account import _order

            order = _order(house, 500)
            await house.store.ledger.hold(order)
            failed = Generation(
                order.id,
                house.workspace_id,
                house.key.id,
                0,
                "gpt",
                status="error",
                http_status=502,
                error_code="upstream_error",
            )
            await house.store.ledger.void(order.id, failed)
            told = (await house.get(f"/v1/generations/{order.id}")).json()["data"]
            assert (told["status"], told["http_status"], told["error_code"]) == ("error", 502, "upstream_error")
            assert (told["charge_usd"], told["postings"], told["hold"]["outcome"]) == ("0", [], "void")

    run(scenario())


def test_what_recovery_wrote_is_told_as_it_is(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            name = await asked(house, receipt=b'{"status":"expired","reason":"the server stopped"}', status="expired")
            told = (await house.get(f"/v1/generations/{name}")).json()["data"]
            assert told["receipt"] == {"status": "expired", "reason": "the server stopped"}
            assert (await house.get(f"/v1/generation?id={name}")).json()["data"]["provider_responses"] == []

    run(scenario())


def test_the_names_of_another_gateway(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            name = await asked(house, is_streamed=True, ttft_ms=150)
            reply = await house.get(f"/v1/generation?id={name}")
            assert '"total_cost":0.0134277,"usage":0.0134277' in reply.text
            told = reply.json()["data"]
            assert (told["id"], told["model"], told["provider_name"]) == (name, "acme/gpt", "Acme")
            assert (told["tokens_prompt"], told["native_tokens_completion"]) == (1_234, 567)
            assert (told["native_tokens_cached"], told["native_tokens_reasoning"]) == (200, 67)
            assert (told["latency"], told["generation_time"], told["streamed"], told["cancelled"]) == (
                150,
                402,
                True,
                False,
            )
            assert [(one["provider_name"], one["status"], one["latency"]) for one in told["provider_responses"]] == [
                ("Beta", 503, 100),
                ("Acme", 200, 300),
            ]
            refused(await house.get("/v1/generation"), 400, "invalid_request_error", "invalid_field", "id")

    run(scenario())
