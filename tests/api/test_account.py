"""`/v1/wallet`, `/v1/wallet/transactions`, `/v1/key`, `/v1/credits`: exact numbers, written digit by digit."""

import asyncio

from api.house import bearer, opened, refused
from store.world import NOW


def run(scenario) -> None:
    asyncio.run(scenario)


def test_the_wallet_to_the_last_nano(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            # $5.000000001: 500.0000001 cents, which no binary fraction has.
            await house.store.wallets.credit(house.workspace_id, 5_000_000_001, kind="topup")
            await house.store.ledger.hold(_order(house, 500_000_000))
            reply = await house.get("/v1/wallet")
            assert reply.text == (
                '{"data":{"balance_cents":500.0000001,"reserved_cents":50,"available_cents":450.0000001,'
                '"auto_topup_enabled":false,"auto_topup_threshold_cents":500,"auto_topup_amount_cents":2500,'
                '"balance_usd":"5.000000001","reserved_usd":"0.5","available_usd":"4.500000001"}}'
            )
            assert reply.headers["cache-control"] == "no-store"

    run(scenario())


def test_an_empty_wallet_and_one_nano(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            assert '"balance_cents":0,' in (await house.get("/v1/wallet")).text
            await house.store.wallets.credit(house.workspace_id, 1, kind="grant")
            text = (await house.get("/v1/wallet")).text
            assert '"balance_cents":0.0000001,' in text
            assert '"balance_usd":"0.000000001"' in text

    run(scenario())


def test_transactions_newest_first_page_by_page(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            await house.store.wallets.credit(house.workspace_id, 2_000_000_000, kind="topup", external_ref="pay_1")
            await house.store.wallets.credit(house.workspace_id, 500_000_000, kind="grant", reason="Welcome")
            asked = await house.asked(13_427_700, 12_207_000)
            first = (await house.get("/v1/wallet/transactions?limit=2")).json()
            assert (len(first["data"]), first["has_more"]) == (2, True)
            usage, grant = first["data"]
            assert usage == {
                "id": "txn_3", "type": "usage", "amount_cents": -1.34277, "balance_after_cents": 248.65723,
                "description": "Chat completion - acme/gpt", "created_at": "2027-01-15T08:00:00.000Z",
                "amount_usd": "-0.0134277", "balance_after_usd": "2.4865723", "external_ref": asked, "generation_id": asked,
            }  # fmt: skip
            assert (grant["type"], grant["description"], grant["amount_usd"]) == ("grant", "Welcome", "0.5")
            assert grant["generation_id"] is None
            second = (await house.get(f"/v1/wallet/transactions?limit=2&after={first['next_cursor']}")).json()
            assert [one["external_ref"] for one in second["data"]] == ["pay_1"]
            assert (second["has_more"], second["next_cursor"]) == (False, None)

    run(scenario())


def test_transactions_by_type(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            await house.store.wallets.credit(house.workspace_id, 7, kind="topup")
            await house.store.wallets.credit(house.workspace_id, 8, kind="grant")
            found = (await house.get("/v1/wallet/transactions?type=grant")).json()["data"]
            assert [one["amount_usd"] for one in found] == ["0.000000008"]
            for query, param in (
                ("type=gift", "type"),
                ("limit=101", "limit"),
                ("after=x", "after"),
                ("page=2", "page"),
            ):
                reply = await house.get(f"/v1/wallet/transactions?{query}")
                refused(reply, 400, "invalid_request_error", "invalid_field", param)

    run(scenario())


def test_a_wallet_is_its_own_workspaces(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            await house.store.wallets.credit(house.workspace_id, 10**9, kind="topup")
            _, _, stranger = await house.tenant()
            assert '"balance_cents":0,' in (await house.get("/v1/wallet", headers=bearer(stranger))).text
            assert (await house.get("/v1/wallet/transactions", headers=bearer(stranger))).json()["data"] == []

    run(scenario())


def test_the_calling_key_and_its_budget(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            await house.store.wallets.credit(house.workspace_id, 10**10, kind="topup")
            key, secret = await house.store.workspaces.add_key(
                house.workspace_id,
                name="Budgeted",
                budget_nano=1_000_000_000,
                budget_window="day",
                expires_at=NOW + 5 * 86_400,
            )
            await house.asked(300_000_000, key=key)
            house.clock.time = NOW + 86_400
            await house.asked(100_000_000, key=key)
            told = (await house.get("/v1/key", headers=bearer(secret))).json()["data"]
            assert told["label"] == "Budgeted"
            assert told["prefix"] == secret[:7]
            # Yesterday's $0.30 is not today's; NOW is a Friday, so both are of one week and month.
            assert (told["limit"], told["limit_remaining"], told["limit_reset"]) == (1, 0.9, "daily")
            spent = [told[name] for name in ("usage", "usage_daily", "usage_weekly", "usage_monthly")]
            assert spent == [0.4, 0.1, 0.4, 0.4]
            assert told["expires_at"] == "2027-01-20T08:00:00.000Z"
            # Of the plan that a new organization has: Hobby.
            assert (told["rate_limit"]["requests"], told["rate_limit"]["interval"]) == (10, "1m")
            assert told["key_limits"] == {"requests_per_minute": -1, "tokens_per_day": -1}
            assert told["plan_limits"] == {
                "plan": "hobby", "requests_per_minute": 10, "tokens_per_day": 100_000, "max_context_tokens": 8_000,
            }  # fmt: skip
            assert told["creator_user_id"] is None
            assert secret not in str(told)
            # What OpenRouter documents of its endpoint of this name.
            assert told.keys() >= {
                "label", "limit", "limit_remaining", "limit_reset", "usage", "usage_daily", "usage_weekly", "usage_monthly",
                "byok_usage", "byok_usage_daily", "byok_usage_weekly", "byok_usage_monthly", "include_byok_in_limit",
                "is_free_tier", "is_management_key", "is_provisioning_key", "expires_at", "creator_user_id", "rate_limit",
            }  # fmt: skip
            assert set(told["rate_limit"]) == {"requests", "interval", "note"}
            unlimited = (await house.get("/v1/key")).json()["data"]
            assert (unlimited["limit"], unlimited["limit_remaining"], unlimited["limit_reset"]) == (None, None, None)

    run(scenario())


def test_credits_are_what_came_in_and_what_was_charged(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            await house.store.wallets.credit(house.workspace_id, 3_000_000_000, kind="topup")
            await house.asked(13_427_700)
            await house.store.ledger.hold(_order(house, 999))
            reply = await house.get("/v1/credits")
            assert reply.text == '{"data":{"total_credits":3,"total_usage":0.0134277}}'

    run(scenario())


def _order(house, nano: int):
    from api.house import hold_of

    return hold_of(house.ids.new(), house.key, nano, NOW)
