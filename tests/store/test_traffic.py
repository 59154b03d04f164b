"""What learning reads of charged requests: from the receipt while there is one, else from the row."""

import asyncio

from api.house import opened as house_opened
from api.test_generations import story
from store.usage_rows import database, insert
from store.world import opened
from tollway.catalogue.units import CACHE_READ, INPUT, OUTPUT, REASONING
from tollway.store.traffic import answering, charged


def test_from_the_row(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            other = await world.store.workspaces.add_workspace(world.key.organization_id, "other")
            common = {"workspace_id": world.ws, "charge_nano": 5, "bad_debt_nano": 2, "margin_bps": 550, "model": "m1"}
            tokens = {"input_tokens": 10, "cached_tokens": 4, "output_tokens": 8, "reasoning_tokens": 8}
            insert(
                database(tmp_path),
                [
                    common | tokens | {"id": "b", "created_at_ms": 2_999, "model_asked": "auto", "tier": "light"},
                    common | {"id": "a", "created_at_ms": 1_000, "tier": "light", "model": "m2"},
                    common | {"id": "void", "created_at_ms": 1_500, "charge_nano": 0, "outcome": "void", "model": "m9"},
                    common | {"id": "late", "created_at_ms": 3_000},
                    common | {"id": "c", "created_at_ms": 1_999, "workspace_id": other.id, "tier": "light", "model": "m3"},
                    # More cached than there was input: an old provider's numbers.
                    common | {"id": "odd", "created_at_ms": 2_999, "input_tokens": 3, "cached_tokens": 7},
                ],
            )  # fmt: skip

            def read(connection):
                period = (1_000, 3_000)
                return (
                    list(charged(connection, world.ws, *period)),
                    [one.id for one in charged(connection, "", *period)],
                    answering(connection, world.ws, *period),
                    answering(connection, "", *period),
                )

            own, every, own_models, models = await world.store.reader.run(read)
            assert [one.id for one in own] == ["a", "b", "odd"]
            assert every == ["a", "c", "b", "odd"]
            one = own[1]
            assert (one.at, one.model_asked, one.model, one.tier, one.margin_bps) == (2, "auto", "m1", "light", 550)
            assert (one.charge_nano, one.cost_pico, one.workspace_id) == (7, None, world.ws)
            assert one.counts == {INPUT: 6, CACHE_READ: 4, REASONING: 8}
            assert own[2].counts == {CACHE_READ: 3}
            assert (own_models, models) == (["m1", "m2"], ["m1", "m2", "m3"])

    asyncio.run(scenario())


def test_from_the_receipt(tmp_path) -> None:
    async def scenario() -> None:
        async with house_opened(tmp_path) as house:
            await house.store.wallets.credit(house.workspace_id, 10**9, kind="topup")
            told = {"input_tokens": 1, "output_tokens": 1}
            name = await house.asked(13_427_700, receipt=story(), **told)
            await house.asked(5, receipt=b"not json", **told)
            await house.asked(5, **told)
            found = await house.store.reader.run(lambda one: list(charged(one, house.workspace_id, 0, 2**60)))
            assert [one.id for one in found][0] == name
            # 1,234 x 3 USD and 567 x 15 USD a million, in pico-USD.
            assert (found[0].counts, found[0].cost_pico) == ({INPUT: 1_234, OUTPUT: 567}, 12_207_000_000)
            assert [(one.counts, one.cost_pico) for one in found[1:]] == [({INPUT: 1, OUTPUT: 1}, None)] * 2

    asyncio.run(scenario())
