"""Reads of what was kept: receipts, lists, sums; always within one workspace."""

import asyncio

import pytest

from store.world import NOW, FakeClock, charge_of, opened
from tollway.errors import InvalidField, NotFound
from tollway.ports import Settlement

DAY_MS = 86_400_000


async def ask_for(world, name: str, nano: int, **fields) -> None:
    await world.hold(name, 1_000)
    generation = world.generation(name, **fields)
    generation.receipt = b'{"told": "%s"}' % name.encode()
    await world.ledger.settle(Settlement(name, charge_of(nano, nano * 9 // 10), "openai", generation))


def test_a_request_is_found_with_everything_its_receipt_needs(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await world.fund(10_000)
            await ask_for(
                world, "a", 100, input_tokens=12, output_tokens=34, is_streamed=True, user_id="u", finish_reason="stop"
            )
            kept = await world.store.generations.get(world.ws, "a")
            told = kept.generation
            assert (told.input_tokens, told.output_tokens, told.is_streamed, told.user_id) == (12, 34, True, "u")
            assert (told.charge_nano, told.cost_nano, told.receipt) == (100, 90, b'{"told": "a"}')
            assert (kept.end.hold_nano, kept.end.price_list_id, kept.end.margin_bps) == (
                1_000,
                "openai/gpt@2026-01-01",
                1000,
            )
            assert sum(posting.amount_nano for posting in kept.postings) == 0

    asyncio.run(scenario())


def test_another_tenants_request_is_not_found(tmp_path) -> None:
    """security.md: every query takes the workspace."""

    async def scenario() -> None:
        async with opened(tmp_path) as world:
            other = await world.store.workspaces.add_workspace(world.key.organization_id, "other")
            await world.fund(10_000)
            await ask_for(world, "a", 100)
            for workspace, name in ((other.id, "a"), (world.ws, "b"), ("", "a")):
                with pytest.raises(NotFound):
                    await world.store.generations.get(workspace, name)
            assert (await world.store.generations.recent(other.id)).generations == []
            assert await world.store.generations.usage(other.id, start_ms=0, end_ms=2**60, bucket="day") == []
            assert (await world.store.wallets.history(other.id)).transactions == []

    asyncio.run(scenario())


def test_recent_is_paged_newest_first(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await world.fund(10_000)
            for number in range(7):
                world.clock.time += number % 2
                await ask_for(world, f"r{number}", 1)
            found, after = [], ""
            while True:
                page = await world.store.generations.recent(world.ws, limit=3, after=after)
                found += [one.id for one in page.generations]
                if not page.next_cursor:
                    break
                after = page.next_cursor
            assert found == [f"r{number}" for number in reversed(range(7))]
            assert (await world.store.generations.recent(world.ws, key_id="other")).generations == []
            for bad in ("x", "1", "1-", "-1", "1-2-3", "9" * 50):
                with pytest.raises(InvalidField):
                    await world.store.generations.recent(world.ws, after=bad)
            for bad in (0, 1001):
                with pytest.raises(InvalidField):
                    await world.store.generations.recent(world.ws, limit=bad)

    asyncio.run(scenario())


def test_sums_by_bucket_and_group(tmp_path) -> None:
    async def scenario() -> None:
        clock = FakeClock(NOW)
        async with opened(tmp_path, clock) as world:
            await world.fund(10_000)
            await ask_for(world, "a", 10, input_tokens=1, output_tokens=2, model="m1", user_id="u1")
            await ask_for(world, "b", 20, input_tokens=3, output_tokens=4, model="m2", user_id="u1")
            clock.time += 3_600
            await ask_for(world, "c", 30, input_tokens=5, output_tokens=6, model="m1", user_id="u2")
            await world.hold("d", 5)
            await world.void("d")
            clock.time += 31 * 86_400
            await ask_for(world, "e", 40, model="m1")
            generations, span = world.store.generations, {"start_ms": NOW * 1000, "end_ms": (NOW + 40 * 86_400) * 1000}
            (whole,) = await generations.usage(world.ws, **span)
            assert (whole.requests, whole.charge_nano, whole.input_tokens, whole.output_tokens, whole.failed) == (
                5,
                100,
                9,
                12,
                1,
            )
            hours = await generations.usage(world.ws, **span, bucket="hour")
            assert [(row.bucket, row.charge_nano) for row in hours] == [
                (NOW // 3600 * 3600, 30),
                (NOW // 3600 * 3600 + 3600, 30),
                (NOW // 3600 * 3600 + 3600 + 31 * 86_400, 40),
            ]
            months = await generations.usage(world.ws, **span, bucket="month", groups=("model",))
            # 2027-01-01 and 2027-02-01, UTC
            assert [(row.bucket, row.group, row.charge_nano) for row in months] == [
                (1_798_761_600, ("m1",), 40),
                (1_798_761_600, ("m2",), 20),
                (1_798_761_600, ("openai/gpt",), 0),
                (1_801_440_000, ("m1",), 40),
            ]
            users = await generations.usage(world.ws, **span, groups=("user", "status"))
            assert {row.group: row.charge_nano for row in users} == {
                ("", "error"): 0,
                ("", "ok"): 40,
                ("u1", "ok"): 30,
                ("u2", "ok"): 30,
            }
            part = await generations.usage(world.ws, start_ms=(NOW + 1) * 1000, end_ms=(NOW + 3_600) * 1000)
            assert [row.requests for row in part] == [] or part[0].requests == 0
            for bad in ({"bucket": "year"}, {"groups": ("key_id; DROP TABLE keys",)}):
                with pytest.raises(InvalidField):
                    await generations.usage(world.ws, **span, **bad)

    asyncio.run(scenario())


def test_what_was_counted_in_a_day(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await world.fund(10_000)
            await ask_for(world, "a", 10, input_tokens=1, output_tokens=2)
            await ask_for(world, "b", 10, input_tokens=3, output_tokens=4)
            tokens, requests = await world.store.generations.counted(NOW // 86_400)
            assert (tokens, requests) == (
                dict.fromkeys((world.key.id, world.ws), 10),
                dict.fromkeys((world.key.id, world.ws), 2),
            )
            assert await world.store.generations.counted(NOW // 86_400 + 1) == ({}, {})

    asyncio.run(scenario())


def test_the_lists_are_read_by_an_index(tmp_path) -> None:
    """Pains C-4 55: a usage page must not read the whole table."""

    async def scenario() -> None:
        from tollway.store import generations as module

        async with opened(tmp_path) as world:
            plans = await world.ask("EXPLAIN QUERY PLAN " + " ".join(module._MANY), "w", 0, 1, 2, 3, "", "", 10)
            assert "generations_of_workspace" in str(plans)
            assert "TEMP B-TREE FOR ORDER BY" not in str(plans)

    asyncio.run(scenario())
