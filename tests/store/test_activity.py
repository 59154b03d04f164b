"""Requests one by one: filtered, in order, by position; nothing is skipped or told twice while others come in."""

import asyncio
import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.usage_rows import FIELDS, database, insert, many, rows_of
from store.world import opened
from tollway.store.activity import FIRST, OLDEST, Activity
from tollway.store.usage import Filters

ROW = st.fixed_dictionaries(
    {
        "created_at_ms": st.integers(0, 5),
        "key_id": st.sampled_from(["k1", "k2"]),
        "model": st.sampled_from(["m1", "m2"]),
        "status": st.sampled_from(["ok", "error"]),
        "user_id": st.sampled_from(["", "ann"]),
        "tier": st.sampled_from(["", "fast"]),
    }
)
FILTERS = st.fixed_dictionaries(
    {
        "start_ms": st.integers(0, 3),
        "end_ms": st.integers(3, 7),
        "keys": st.sampled_from([(), ("k1",), ("k1", "k2"), ("k3",)]),
        "models": st.sampled_from([(), ("m2",)]),
        "statuses": st.sampled_from([(), ("ok",)]),
        "users": st.sampled_from([(), ("ann",)]),
        "tiers": st.sampled_from([(), ("fast",)]),
    }
)


async def read(world, filters: Filters, size: int, *, is_ascending: bool = False, between=None) -> list[Activity]:
    found, after = [], OLDEST if is_ascending else FIRST
    while piece := await world.store.activity.rows(world.ws, filters, after, size, is_ascending=is_ascending):
        found, after = found + piece, piece[-1].at
        if between is not None:
            between()
    return found


@settings(max_examples=30, deadline=None)
@given(st.lists(ROW, max_size=25), FILTERS, st.integers(1, 4), st.booleans())
def test_pieces_are_the_whole(rows, chosen, size, is_ascending) -> None:
    """Many requests share a millisecond here, which is where positions go wrong."""

    async def scenario(folder: Path) -> None:
        async with opened(folder) as world:
            insert(database(folder), [row | {"id": f"r{at}", "workspace_id": world.ws} for at, row in enumerate(rows)])
            filters = Filters(**chosen)
            expected = [
                row
                for row in await world.store.reader.run(rows_of)
                if filters.start_ms <= row["created_at_ms"] < filters.end_ms
                and (not filters.keys or row["key_id"] in filters.keys)
                and (not filters.models or row["model"] in filters.models)
                and (not filters.statuses or row["status"] in filters.statuses)
                and (not filters.users or row["user_id"] in filters.users)
                and (not filters.tiers or row["tier"] in filters.tiers)
            ]
            if not is_ascending:
                expected.reverse()
            found = await read(world, filters, size, is_ascending=is_ascending)
            assert [one.id for one in found] == [row["id"] for row in expected]
            start = OLDEST if is_ascending else FIRST
            for count in range(1, len(found) + 2):
                end = await world.store.activity.end_of(world.ws, filters, start, count, is_ascending=is_ascending)
                assert end == (found[count - 1].at if count < len(found) else None)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(scenario(Path(folder)))


@pytest.mark.parametrize("is_ascending", [False, True])
def test_what_comes_in_meanwhile_is_left_out(tmp_path, is_ascending) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            path, number = database(tmp_path), itertools.count()

            def some(count: int = 5) -> None:
                # Each time from the beginning of time: late rows fall before, between and after what was told.
                insert(path, [row | {"id": f"r{next(number)}"} for row in many(world.ws, count)])

            some(20)
            filters = Filters(until_seq=await world.store.usage.last_seq())
            expected = await read(world, filters, 1_000, is_ascending=is_ascending)
            assert len(expected) == 20
            assert await read(world, filters, 3, is_ascending=is_ascending, between=some) == expected

    asyncio.run(scenario())


def test_a_row_is_what_was_kept(tmp_path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            row = {
                name: f"the {name}" if isinstance(value, str) else at for at, (name, value) in enumerate(FIELDS.items())
            }
            insert(database(tmp_path), [row | {"workspace_id": world.ws, "outcome": "settled", "is_streamed": 1}])
            (one,) = await world.store.activity.rows(world.ws, Filters(), FIRST, 10)
            renamed = {"offer": "offer_id"}
            for name in Activity._fields[1:]:
                if name != "is_streamed":
                    assert getattr(one, name) == row[renamed.get(name, name)]
            other = await world.store.workspaces.add_workspace(world.key.organization_id, "other")
            assert await world.store.activity.rows(other.id, Filters(), FIRST, 10) == []

    asyncio.run(scenario())


def test_the_list_is_read_by_an_index(tmp_path) -> None:
    """Pains C-4 55: an activity page must not read or sort the whole table."""

    async def scenario() -> None:
        from tollway.store import activity as module

        async with opened(tmp_path) as world:
            for columns, is_ascending in itertools.product((module._COLUMNS, "created_at_ms, seq"), (False, True)):
                filters = Filters(0, 10, 5, users=["u"], keys=["k"])
                text, params = module._query(columns, world.ws, filters, (1, 2), is_ascending=is_ascending)
                plan = str(await world.ask(f"EXPLAIN QUERY PLAN {text} LIMIT 10", *params))
                assert "generations_of_workspace (workspace_id=? AND created_at_ms>? AND created_at_ms<?)" in plan
                assert "TEMP B-TREE FOR ORDER BY" not in plan

    asyncio.run(scenario())
