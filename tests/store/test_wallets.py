"""Credits, transfers and history, as the admin API and the command line ask for them."""

import asyncio

import pytest

from store.world import opened
from tollway.errors import AlreadyExists, InsufficientBalance, InvalidField, NotFound, ValidationFailed


def test_credit_is_told_to_the_owner_and_made_once(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            wallets = world.store.wallets
            first = await wallets.credit(world.ws, 25_000_000_000, reason="Invoice 7", external_ref="inv_7")
            again = await wallets.credit(world.ws, 25_000_000_000, reason="Invoice 7", external_ref="inv_7")
            assert (first.id, first.is_replay, again.is_replay) == (again.id, False, True)
            assert first.balance.available_nano == again.balance.available_nano == 25_000_000_000
            with pytest.raises(AlreadyExists):
                await wallets.credit(world.ws, 1, external_ref="inv_7")
            await wallets.credit(world.ws, -5, kind="adjustment", reason="typo")
            await wallets.credit(world.ws, 3, kind="refund")
            history = (await wallets.history(world.ws)).transactions
            assert [(one.type, one.amount_nano, one.description) for one in history] == [
                ("refund", 3, "Refund"),
                ("adjustment", -5, "typo"),
                ("topup", 25_000_000_000, "Invoice 7"),
            ]
            assert [one.balance_after_nano for one in history] == [24_999_999_998, 24_999_999_995, 25_000_000_000]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("nano", "fields", "param"),
    [
        (0, {}, "usd"),
        (-1, {}, "usd"),
        (2**63, {}, "usd"),
        (1, {"kind": "usage"}, "kind"),
        (1, {"kind": "adjustment"}, "reason"),
        (1, {"reason": "x" * 501}, "reason"),
        (1, {"reason": "a\nb"}, "reason"),
    ],
)
def test_a_wrong_credit_says_which_field(tmp_path, nano, fields, param) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            with pytest.raises(ValidationFailed) as refused:
                await world.store.wallets.credit(world.ws, nano, **fields)
            assert refused.value.param == param

    asyncio.run(scenario())


def test_a_credit_beyond_what_a_column_holds_is_refused(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await world.store.wallets.credit(world.ws, 2**63 - 1)
            with pytest.raises(ValidationFailed):
                await world.store.wallets.credit(world.ws, 1)
            assert world.ledger.is_available

    asyncio.run(scenario())


def test_transfers_stay_within_an_organization(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            store = world.store
            sibling = (await store.workspaces.add_workspace(world.key.organization_id, "b")).id
            stranger = (await store.workspaces.add_workspace((await store.workspaces.add_organization("x")).id, "c")).id
            await world.fund(100)
            moved = await store.wallets.transfer(world.ws, sibling, 40, reason="for tests")
            assert moved.balance.available_nano == 60
            assert store.wallets.balance(sibling).available_nano == 40
            assert (await store.wallets.history(sibling)).transactions[0].amount_nano == 40
            for target, nano in ((stranger, 1), (world.ws, 1), (sibling, 0), (sibling, -5)):
                with pytest.raises(ValidationFailed):
                    await store.wallets.transfer(world.ws, target, nano)
            with pytest.raises(InsufficientBalance):
                await store.wallets.transfer(world.ws, sibling, 61)
            with pytest.raises(NotFound):
                await store.wallets.transfer(world.ws, "nobody", 1)

    asyncio.run(scenario())


def test_history_is_paged_filtered_and_explains_usage(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await world.fund(100, ref="pay")
            for number in range(5):
                await world.hold(f"r{number}", 10)
                await world.settle(f"r{number}", 10)
            wallets = world.store.wallets
            first = await wallets.history(world.ws, limit=2)
            assert [one.generation_id for one in first.transactions] == ["r4", "r3"]
            assert first.transactions[0].description == "Chat completion - openai/gpt"
            rest = await wallets.history(world.ws, limit=10, after=first.next_cursor)
            assert [one.external_ref for one in rest.transactions] == ["r2", "r1", "r0", "pay"]
            assert rest.next_cursor == ""
            assert [one.type for one in (await wallets.history(world.ws, type="topup")).transactions] == ["topup"]
            for bad in ("txn_x", "'; --", "txn_" + "9" * 30):
                with pytest.raises(InvalidField):
                    await wallets.history(world.ws, after=bad)
            with pytest.raises(NotFound):
                await wallets.history("nobody")

    asyncio.run(scenario())
